"""One run: a contender in a fresh process, whose crash, hang or hunger ends that process only; what came of it as a Record."""

from __future__ import annotations

import contextlib
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress.cli.machine import cpu_name

from . import load, measures, records, rules
from .contender import Contender
from .inputs import Inputs
from .plugins import Plugin

# Waiting threads of a peer must not spin beside what is measured; MEASURING rules ask for it.
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS", "VECPRESS_NUM_THREADS",
)  # fmt: skip
MACHINE = ("read_rate", "read_nbytes", "isa")  # what a child says of the machine
LOG_TAIL = 1 << 16  # bytes of what a process wrote that its last line is looked for in
MEASURED = ("vecpress", "csrc", "setup.py", "bench/child.py", "bench/plugins/vecpress.py")
MOST_ERROR = 300  # characters


@dataclass(frozen=True)
class Run:
    """What is to be measured: one contender with one seed."""

    plugin: Plugin
    contender: Contender
    budget: int
    seed: int | None
    budgets: tuple[int, ...] = ()  # all that its plug-in was asked for

    @property
    def label(self) -> str:
        """The contender as people call it."""
        return rules.label(self.contender.library, self.contender.codec, self.contender.config)


@dataclass(frozen=True)
class Settings:
    """How runs are made. seconds : for each timing; timeout : seconds a run may take; memory : bytes it may have"""

    threads: int
    seconds: float = 1.0
    timeout: float = 300.0
    memory: int = 1 << 40


def default_memory() -> int:
    """Three quarters of what the machine has free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
        return free * 1024 * 3 // 4
    except (OSError, StopIteration):
        return 1 << 40


@functools.cache
def commit() -> str:
    """The last commit that changed what is measured, "+" behind it where files were changed since; "" where there is no clone."""
    root = Path(vp.__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if not git("ls-files", "vecpress/__init__.py"):
            return ""
        changed = git("status", "--porcelain", "--", *MEASURED)
        return git("log", "-1", "--format=%h", "--abbrev=12", "--", *MEASURED) + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


@functools.cache
def cache_nbytes() -> int | None:
    """Of the last-level cache; None where the system does not say."""
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    try:
        text = (folders[-1] / "size").read_text().strip()
        return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[text[-1]]
    except (OSError, ValueError, KeyError, IndexError):
        return None


def versions(plugin: Plugin) -> dict[str, str]:
    """Of what a run of the plug-in depends on."""
    own = {"python": platform.python_version(), "numpy": np.__version__, "vecpress": vp.__version__}
    used = {plugin.NAME: plugin.version()}
    for name in getattr(plugin, "DEPENDS", ()):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            used[name] = importlib.metadata.version(name)
    return {**own, **{name: version for name, version in used.items() if version is not None}}


def new_record(run: Run, data: dict[str, Any], threads: int) -> records.Record:
    """The record of a run before it was made: all that is known beforehand."""
    c = run.contender
    known = versions(run.plugin)
    of = {**known, "commit": commit()} if c.library == rules.OURS else known  # a peer's figures do not depend on our code
    key = records.key_of(data, c.library, c.codec, c.config, run.seed, threads, of)
    return records.Record(
        key, c.library, c.codec, c.config, run.seed, data, notes=c.notes, budget=run.budget, code_size=c.code_size,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), commit=commit(), versions=known,
        machine={"cpu": cpu_name(), "cpus": load.cpus(), "threads": threads, "cache": cache_nbytes()},
    )  # fmt: skip


def run(run: Run, inputs: Inputs, settings: Settings) -> records.Record:
    """Measures, and never raises for what a contender does."""
    record = new_record(run, inputs.data, settings.threads)
    record.machine["load_before"] = load.before()
    folder = inputs.folder / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    beside = load.Load()
    result = _in_process(run, inputs, settings, folder)
    record.machine["load_beside"] = beside.others()
    record.machine |= {name: result.pop(name) for name in MACHINE if name in result}
    if "error" not in result:
        try:
            result |= _figures(inputs, folder, settings.threads)
        except (OSError, ValueError) as error:
            result = {"error": f"its results cannot be read: {error}"}
    if "error" in result:
        others = record.machine["load_beside"]
        record.status = "failed"
        record.error = result["error"] + (f" (others used {others:g} processors)" if others > load.BUSY else "")
    else:
        for name, value in result.items():
            setattr(record, name, value)
    shutil.rmtree(folder, ignore_errors=True)
    return record


def _figures(inputs: Inputs, folder: Path, threads: int) -> dict[str, Any]:
    """What the ids that were found are worth."""
    base, queries = inputs.load("base"), inputs.load("queries")
    assert base is not None and queries is not None
    found, wide = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("found", "wide"))
    near, near_wide = (measures.nearness(queries, base, ids, inputs.profile.metric, threads) for ids in (found, wide))
    recalls = measures.recalls(near, near_wide, inputs.bars)
    figures = {
        "recall": recalls.recall, "recall_1": recalls.recall_1, "recall_wide": recalls.recall_wide,
        "hits": measures.to_digits(recalls.hits),
    }  # fmt: skip
    if inputs.relevant is not None:
        figures |= {"ndcg": measures.ndcg(found, inputs.relevant), "success": measures.success(found, inputs.relevant)}
    return figures


def _in_process(run: Run, inputs: Inputs, settings: Settings, folder: Path) -> dict[str, Any]:
    """What child.py found, or {"error": why there is nothing}."""
    c = run.contender
    job = {
        "plugin": str(run.plugin.__file__), "codec": c.codec, "config": c.config, "budgets": [[run.budget], run.budgets],
        "profile": asdict(inputs.profile), "seed": 0 if run.seed is None else run.seed, "threads": settings.threads,
        "data": str(inputs.folder), "folder": str(folder), "seconds": settings.seconds, "memory": settings.memory,
        "parent": os.getpid(),
    }  # fmt: skip
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    package = __name__.rpartition(".")[0]
    command = [sys.executable, "-m", f"{package}.child", str(path)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=_environment(settings.threads),
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(settings.timeout)
        except subprocess.TimeoutExpired:
            return {"error": f"no result within {settings.timeout:g} s"}
        finally:  # Ctrl-C, too: neither it nor what it started is left behind
            _kill(process)
    result = folder / "result.json"
    if result.exists():
        return json.loads(result.read_text())
    return {"error": _last_words(process.returncode, folder / "log")}


def _environment(threads: int) -> dict[str, str]:
    """This process's, with the thread counts, and with what makes the same packages importable."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {**os.environ, **ENVIRONMENT, **dict.fromkeys(THREADS, str(threads)), "PYTHONPATH": path}


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _last_words(code: int, log: Path) -> str:
    """How a process ended that left no result."""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL))
        lines = file.read().decode(errors="replace").strip().splitlines()
    try:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
    except ValueError:
        how = f"killed by signal {-code}"
    return f"{how}: {lines[-1].strip()[:MOST_ERROR]}" if lines and lines[-1].strip() else how
