"""One side of a comparison: a process that runs this clone's cases on the vecpress of a given folder, as told over a pipe.

Both sides run the same cases with the same arguments, whatever benchmarks their own commits had; what a side's vecpress does not
know yet is an answer, not a crash. A request and its answer are one JSON line each:

    {"prepare": case's name, "backend": name or null}  {"seconds": of a call, "digest": of its result} or {"error": why not}
    {"calls": in a sample, "samples": how many}        {"seconds": of a call in the fastest sample}
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .builds import ROOT

ENOUGH = 5.0  # seconds of warming up


class WorkerError(Exception):
    """A side's process ended or answered what is no answer; the message says which and shows what it printed last."""


def environment(folder: Path) -> dict[str, str]:
    """For a process that imports vecpress from `folder` and bench from this clone, deterministic and on one thread."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VECPRESS_ISA", "PYTHONHOME")}
    one = dict.fromkeys(("VECPRESS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join((str(folder), str(ROOT)))
    return kept | one | {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


class Side:
    """The process of one side, as its caller sees it; a context manager that ends it.

    name : for messages; folder : what to import vecpress from; cpu : the processor to stay on, None for any
    """

    def __init__(self, name: str, folder: Path, cpu: int | None = None):
        self.name = name
        command = [sys.executable, "-P", "-m", "bench.worker", str(folder), "" if cpu is None else str(cpu)]
        self._process = subprocess.Popen(
            command, env=environment(folder), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request, see the module. Raises WorkerError where the process is gone."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"{self.name}: its process ended with exit code {self._process.wait()} at {request}")
        return json.loads(line)


def digest(value: Any) -> str:
    """Of a result's arrays, or of a codec's learned ones: whether two sides computed the same."""
    import numpy as np

    found = hashlib.sha256()

    def add(item: Any) -> None:
        if isinstance(item, (tuple, list)):
            for each in item:
                add(each)
        elif isinstance(item, np.ndarray):
            found.update(f"{item.dtype}{item.shape}".encode() + np.ascontiguousarray(item).tobytes())
        elif isinstance(item, (int, float)):
            found.update(repr(item).encode())
        elif item is not None:  # a codec: its learned arrays
            for _, each in sorted(vars(item).items()):
                if isinstance(each, np.ndarray):
                    add(each)

    add(value)
    return found.hexdigest()[:16]


def sample(run: Any, calls: int, samples: int) -> float:
    """Seconds of a call: the fastest of `samples` means over `calls`, so that a moment's disturbance does not count."""
    best = float("inf")
    for _ in range(samples):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        best = min(best, (time.perf_counter() - start) / calls)
    return best


def imported_from(folder: Path) -> None:
    import vecpress

    if not Path(vecpress.__file__).resolve().is_relative_to(folder.resolve()):
        sys.exit(f"vecpress was imported from {vecpress.__file__}, expected from {folder}: is it installed before PYTHONPATH?")


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answers until the requests end."""
    import numpy as np

    import vecpress as vp

    from .micro.library import all_cases

    cases = {case.name: case for case in all_cases()}
    run: Any = None
    for line in requests:
        request = json.loads(line)
        if "prepare" in request:
            run = None  # its arrays go before new ones come
            try:
                vp.use(request["backend"])
                run = cases[request["prepare"]].call(np.random.default_rng(0)).run
                start = time.perf_counter()
                result = run()
                while sample(run, 1, 1) > 0 and time.perf_counter() - start < 0.02:
                    pass
                seconds = sample(run, 1, 3 if time.perf_counter() - start < ENOUGH / 5 else 1)
                answer = {"seconds": seconds, "digest": digest(result)}
            except Exception as error:  # whatever an older vecpress makes of the case
                answer = {"error": f"{type(error).__name__}: {error}"}
            result = None
        else:
            gc.collect()
            gc.disable()
            answer = {"seconds": sample(run, request["calls"], request["samples"])}
            gc.enable()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main(arguments: Sequence[str]) -> None:
    folder, cpu = arguments
    if cpu and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu)})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anything prints must not look like an answer
    imported_from(Path(folder))
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
