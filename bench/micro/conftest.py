"""Micro benchmarks: one row an operation, backend and shape; peers as further rows of the same group.

    pytest bench/micro                       every operation on every backend that runs here
    pytest bench/micro -k "hamming and avx2"

A kernel is timed only after it has equalled its reference in the same process. `extra_info` of each row holds what a time alone
does not say: bytes or operations per call, the rate, the read loop's rate of the same session, backend, threads. Compare two
commits by rates relative to the read loop, or in one job: see bench/README.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a peer's idle threads must not spin beside the next measurement

import numpy as np
import pytest

import vecpress as vp
from bench import limits
from vecpress import dispatch


def runnable(op: str) -> list[str]:
    """Backends with a kernel of `op` that run here; the references are definitions and are not timed."""
    usable = vp.backends()
    return [name for name in dispatch.operations()[op] if name != "reference" and usable[name] == "ok"]


def pytest_generate_tests(metafunc):
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", runnable(metafunc.function.op))


@pytest.fixture(scope="session")
def machine() -> dict[str, float]:
    """The limits that rates are compared with, measured in this session."""
    return {
        "dram_read": limits.read_rate(limits.DRAM_BYTES, passes=1),
        "l2_read": limits.read_rate(limits.L2_BYTES),
        "sgemm": limits.sgemm_rate(),
    }


@pytest.fixture
def measure(benchmark, machine, request):
    """measure(call, backend, limit, amount, unit): times `call` and records its rate, amount per call over the median time."""

    def run(call, backend, limit, amount, unit, **info):
        benchmark.group = f"{request.function.op} {unit}"
        benchmark(call)
        if benchmark.stats is None:  # --benchmark-disable
            return
        rate = amount / benchmark.stats.stats.median
        benchmark.extra_info.update(
            backend=backend, unit=unit, rate=rate, limit=limit, ratio_to_limit=rate / machine[limit], limit_rate=machine[limit],
            threads=1, **info,
        )

    return run


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def same(got, wanted) -> None:
    """The gate before timing: bit for bit."""
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(g, w)
