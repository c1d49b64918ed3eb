"""Micro benchmarks: one row an operation, backend and shape (cases.py, library.py); peers as further rows of the same group.

    pytest bench/micro                       every operation on every backend that runs here
    pytest bench/micro -k "hamming and avx2"

A kernel is timed only after it has equalled its reference in the same process. `extra_info` of each row holds what a time alone
does not say: bytes per call, the rate, the ratio to the read loop's and to the limit of the same session, backend, threads, and
the quality of the result where it is no exact one. Compare two commits with `python -m bench.compare`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a peer's idle threads must not spin beside the next measurement

from typing import Any

import numpy as np
import pytest

import vecpress as vp
from vecpress import dispatch

from .. import limits
from .cases import Case, scaled
from .library import all_cases


def runnable(op: str) -> list[str]:
    """Backends with a kernel of `op` that run here, best first; the references are definitions and are not timed."""
    usable = vp.backends()
    kernels = dispatch.operations().get(op) or [name for name in usable if usable[name] == "ok"][:1]  # a whole codec's: the best
    return [name for name in kernels if name != "reference" and usable[name] == "ok"]


def rows(*groups: str) -> list[Any]:
    """Parameters (case, backend) of these groups."""
    found = {}
    for case in all_cases():
        if case.group in groups:
            for backend in runnable(case.group):
                fitting = scaled(case) if backend == "scalar" else case
                found[f"{fitting.name} {backend}"] = pytest.param(fitting, backend, id=f"{fitting.name} {backend}")
    return list(found.values())


@pytest.fixture(scope="session")
def machine() -> dict[str, float | None]:
    """The limits that rates are compared with, measured in this session."""
    return {name: rate for name, rate in limits.measure().items() if not isinstance(rate, str)}


@pytest.fixture
def measure(benchmark, request):
    """measure(case, backend): checks the case against the reference, times it, records its rate and what to compare it with."""

    def run(case: Case, backend: str) -> None:
        benchmark.group = f"{case.group} {case.unit}"
        if case.small is not None:
            gate(case, backend)
        call = case.call(np.random.default_rng(0))
        with vp.use(backend):
            result = benchmark(call.run)
        quality = call.quality(result) if call.quality else {}
        if benchmark.stats is None:  # --benchmark-disable
            return
        machine = request.getfixturevalue("machine")
        seconds = benchmark.stats.stats.median
        limit, least = case.bound(machine)
        benchmark.extra_info.update(
            backend=backend,
            threads=1,
            unit=case.unit,
            rate=case.amount / seconds,
            bytes_per_call=case.nbytes,
            read_loop=case.read_loop,
            ratio_to_read=case.nbytes / seconds / machine[case.read_loop],
            limit=limit,
            ratio_to_limit=least / seconds,
            **case.shape,
            **quality,
        )

    return run


def gate(case: Case, backend: str) -> None:
    """Bit for bit what the reference gives, at a small shape."""
    results = []
    for name in ("reference", backend):
        call = case.call(np.random.default_rng(0), case.small)
        with vp.use(name):
            out = call.run()
        results.append(out if isinstance(out, tuple) else (out,))
    for wanted, got in zip(*results, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
