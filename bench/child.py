"""The process that measures one contender: `python -m bench.child job.json`, started by run_one.py, once a run.

Writes found.npy, wide.npy (int64[nq, k]) and result.json into the job's folder; result.json has an "error" where it failed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import inputs, limits, measures, plugins
from .contender import Contender, Profile, System

SINGLE = 100  # queries timed one by one, at least
MOST_SINGLE = 1000
REPEATS = (3, 7, 31)  # of a batch: at least; at least where time allows; at most
WARM_UP = 5  # searches before any is timed
PATIENCE = 5  # times the time allowed, after which the least number of repeats is not waited for
DECODED = 20_000  # rows, evenly spread, whose distortion is taken
READ_BYTES = (1 << 20, 64 << 20)  # least and most that the plain read loop runs over


def main(path: str) -> None:
    job = json.loads(Path(path).read_text())
    folder = Path(job["folder"])
    protect(job["memory"], job["parent"])
    try:
        result = measure(job, folder)
    except BaseException as error:  # whatever a library raises is this run's failure
        traceback.print_exc()
        lines = str(error).strip().splitlines()
        result = {"error": f"{type(error).__name__}: {lines[-1] if lines else ''}".rstrip(": ")}
    partial = folder / "result.partial"
    partial.write_text(json.dumps(result))
    partial.replace(folder / "result.json")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # what a library does at exit is not measured, and must not undo what was


def protect(memory: int, parent: int) -> None:
    """No more than so many bytes, no longer than the suite itself, and first in line where the machine runs out of memory."""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it went before this process could say so
        os._exit(1)
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        pass


def measure(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Everything that is measured, by the names of Record's fields where there are such."""
    profile, threads = Profile(**job["profile"]), job["threads"]
    shared = inputs.Inputs(profile, Path(job["data"]), np.empty(0), None, {})
    base, train, queries, samples = (shared.load(part) for part in inputs.FILES)
    assert base is not None and train is not None and queries is not None
    for array in (base, train, queries, samples):
        if array is not None:
            array.sum()  # its pages are in memory before memory is measured
    system = contender(job, profile).make(profile, job["seed"], threads)
    before = reset_peak()
    fit = timed(lambda: system.fit(train, samples))
    encode = timed(lambda: system.add(base))
    k, wide = min(measures.K, len(base)), min(measures.WIDE, len(base))
    found = measures.check_found(system.search(queries, k), len(queries), k, len(base))
    found_wide = measures.check_found(system.search(queries, wide), len(queries), wide, len(base))
    peak = max(0, peak_memory() - before)
    np.save(folder / "found.npy", found)
    np.save(folder / "wide.npy", found_wide)
    nbytes = system.nbytes()
    single = one_by_one(system, queries, k, job["seconds"])
    return {
        "code_size": nbytes.code, "held_nbytes": nbytes.held, "state_nbytes": nbytes.state, "file_nbytes": nbytes.file,
        "fit_seconds": fit, "encode_per_second": len(base) / encode, "peak_memory": peak,
        "latency_p50": float(np.quantile(single, 0.5)), "latency_p99": float(np.quantile(single, 0.99)),
        "search_per_second": len(queries) / batch_seconds(lambda: system.search(queries, k), job["seconds"]),
        "search_wide_per_second": len(queries) / batch_seconds(lambda: system.search(queries, wide), job["seconds"] / 2),
        "distortion": distortion(system, base, profile.metric),
        **speed_limits(int(nbytes.code * len(base))),
    }  # fmt: skip


def contender(job: dict[str, Any], profile: Profile) -> Contender:
    """The one that the job names, of its plug-in's list: that of its budget, which is shorter, or that of all."""
    plugin = plugins.load(Path(job["plugin"]))
    for budgets in job["budgets"]:
        for found in plugin.contenders(profile, budgets):
            if (found.codec, found.config) == (job["codec"], job["config"]):
                return found
    raise ValueError(f"{job['plugin']}: {job['codec']} {job['config']} is not among its contenders in the process that measures")


# ---- time


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return max(time.perf_counter() - start, 1e-9)


def batch_seconds(call: Callable[[], Any], seconds: float) -> float:
    """The median of as many calls as fit in the time, of REPEATS."""
    least, usual, most = REPEATS
    times = [timed(call)]
    while len(times) < most:
        spent = sum(times)
        if spent >= seconds and (len(times) >= usual or (len(times) >= least and spent >= PATIENCE * seconds)):
            break
        times.append(timed(call))
    return float(np.median(times))


def one_by_one(system: System, queries: np.ndarray, k: int, seconds: float) -> np.ndarray:
    """Seconds of single queries, the first few left out: SINGLE at least, more while the time lasts."""
    for i in range(WARM_UP):
        system.search(queries[i % len(queries)][None], k)
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < MOST_SINGLE:
        spent = time.perf_counter() - start
        if (spent >= seconds and len(times) >= SINGLE) or spent >= PATIENCE * seconds:
            break
        query = queries[len(times) % len(queries)][None]
        times.append(timed(lambda query=query: system.search(query, k)))  # type: ignore[misc]
    return np.array(times)


def speed_limits(working_set: int) -> dict[str, Any]:
    """The plain read loop's rate over as many bytes as the codes have, and what our kernels run on."""
    from vecpress import dispatch

    size = min(max(working_set, READ_BYTES[0]), READ_BYTES[1])
    try:
        rate = limits.read_rate(size, passes=1)
    except Exception:  # no compiler, or no loop for this processor
        rate = None
    return {"read_rate": rate, "read_nbytes": size, "isa": dispatch.chosen("flat")}


# ---- memory and distortion


def reset_peak() -> int:
    """The peak counts from here; returned are the bytes in memory now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return peak_memory()


def peak_memory() -> int:
    """Bytes that the process had in memory at most, since `reset_peak` where the system allows it."""
    try:
        return _status("VmHWM")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status: there is no {name}")


def distortion(system: System, base: np.ndarray, metric: str) -> float | None:
    rows = np.unique(np.linspace(0, len(base) - 1, min(len(base), DECODED)).astype(np.int64))
    decoded = system.decode(rows)
    if decoded is None:
        return None
    x = base[rows]
    if metric == "cos":
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.float32(1e-30))
    value = measures.distortion(x, np.asarray(decoded))
    return value if np.isfinite(value) else None


if __name__ == "__main__":
    main(sys.argv[1])
