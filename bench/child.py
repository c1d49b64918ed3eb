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
REPEATS = (7, 31)  # of a batch, at least and at most
PIECES, LEAST_PIECE = 8, 512  # that the base is added in, the first as a warm-up; rows of one
WARM_UP = 5  # searches before any is timed
PATIENCE = 5  # times the time allowed that a timing may take; a slower library is timed on fewer queries
LEAST_QUERIES = 32  # of a batch
DECODED = 20_000  # rows, evenly spread, whose distortion is taken
READ_BYTES = (1 << 20, 64 << 20)  # least and most that the plain read loop runs over


def main(path: str) -> None:
    job = json.loads(Path(path).read_text())
    folder = Path(job["folder"])
    if hasattr(os, "sched_setaffinity"):  # no library may use more processors than it is given threads, whatever it counts
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["threads"]])
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
    encoded = add(system, base)
    k, wide = min(measures.K, len(base)), min(measures.WIDE, len(base))
    found, first = search(system, queries, k, len(base))
    found_wide, first_wide = search(system, queries, wide, len(base))
    peak = max(0, peak_memory() - before)
    np.save(folder / "found.npy", found)
    np.save(folder / "wide.npy", found_wide)
    nbytes = system.nbytes()
    single = one_by_one(system, queries, k, job["seconds"])
    return {
        "code_size": nbytes.code, "held_nbytes": nbytes.held, "state_nbytes": nbytes.state, "file_nbytes": nbytes.file,
        "fit_seconds": fit, "encode_per_second": encoded, "peak_memory": peak,
        "latency_p50": float(np.quantile(single, 0.5)),
        "latency_p99": float(np.quantile(single, 0.99)) if len(single) >= SINGLE else None,
        "search_per_second": batch_rate(system, queries, k, job["seconds"], first),
        "search_wide_per_second": batch_rate(system, queries, wide, job["seconds"] / 2, first_wide),
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


def add(system: System, base: np.ndarray) -> float:
    """Adds the base; vectors a second, the median of pieces behind a first one, of all at once where there is but one."""
    count = min(PIECES, len(base) // LEAST_PIECE) if system.appends else 1
    pieces = np.array_split(base, max(1, count))
    rates = [len(piece) / timed(lambda piece=piece: system.add(piece)) for piece in pieces]  # type: ignore[misc]
    return float(np.median(rates[1:] or rates))


def search(system: System, queries: np.ndarray, k: int, n: int) -> tuple[np.ndarray, float]:
    """What is found for all queries, checked, and the seconds that it took."""
    start = time.perf_counter()
    found = system.search(queries, k)
    return measures.check_found(found, len(queries), k, n), time.perf_counter() - start


def batch_rate(system: System, queries: np.ndarray, k: int, seconds: float, first: float) -> float:
    """Queries a second of one batch, the median of REPEATS calls; of fewer queries where all, which took `first`
    seconds, would take too long."""
    least, most = REPEATS
    fitting = int(len(queries) * PATIENCE * seconds / (least * max(first, 1e-9)))
    batch = queries[: max(LEAST_QUERIES, fitting)]
    times: list[float] = []
    while len(times) < least or (sum(times) < seconds and len(times) < most):
        times.append(timed(lambda: system.search(batch, k)))
    return len(batch) / float(np.median(times))


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
