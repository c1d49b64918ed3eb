"""Every kernel of every operation equals its NumPy reference, bit for bit, for any number of threads, with poisoned outputs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from calls import CALLS, DATA, FACTORS, SCANS, scan_call
from hard_values import SIZES
from worst_calls import rounded_levels, rounded_rows, rounded_tables, rounded_words

import vecpress as vp
from vecpress import dispatch

THREADS = (1, 2, 3)
DEVICES = {"cuda"}  # these take no number of threads
BACKENDS = [
    pytest.param(name, marks=pytest.mark.gpu) if name in DEVICES else name
    for name, state in vp.backends().items()
    if state == "ok" and name != "reference"
]
# payload bytes: sums of bytes and of 16 bits must widen
LONG = {"hamming": 2100, "lut4": 700, "lut8": 1031, "flat": 2100, "dot": 1500, "trellis": 1100, "sdc": 1024}


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal in every bit, except that one NaN is as good as another."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind == "f":
        return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a) & (a == a), np.signbit(b) & (b == b))
    return np.array_equal(a, b)


def outputs(call, threads: int) -> tuple[np.ndarray, ...]:
    out = call.run(threads)
    return out if isinstance(out, tuple) else (out,)


@lru_cache(maxsize=16)
def expected(op: str, size: int):
    with vp.use("reference"):
        return [(call, outputs(call, 1)) for call in CALLS[op](size)]


def check(call, wanted, backend: str) -> None:
    with vp.use(backend):
        for threads in THREADS[: 1 if backend in DEVICES else None]:
            for number, (got, want) in enumerate(zip(outputs(call, threads), wanted, strict=True)):
                if not same_bits(got, want):
                    where = np.argwhere(~((got == want) | ((got != got) & (want != want))))
                    first = tuple(where[0]) if len(where) else "signs of zero"
                    pytest.fail(
                        f"{call.label}, {threads} threads, output {number}: differs in {len(where)} places, first {first}: "
                        f"expected {want[first] if len(where) else ''}, got {got[first] if len(where) else ''}"
                    )


def test_every_operation_has_calls():
    assert set(CALLS) == set(dispatch.operations())


@pytest.mark.parametrize("op", dispatch.operations())
def test_every_instruction_set_has_a_kernel(op):
    """A forced instruction set must be able to run everything."""
    here = {name for name, why in vp.backends().items() if why == "ok" and name not in DEVICES}
    assert here <= set(dispatch.operations()[op])


# size outermost, so that the cached reference results of a size serve all backends before they go
@pytest.mark.parametrize(
    "op, size, backend",
    [
        pytest.param(op, size, backend, id=f"{op}[{backend}]-{size}", marks=pytest.mark.gpu if backend in DEVICES else ())
        for op in dispatch.operations()
        for size in SIZES
        for backend in dispatch.operations()[op]
        if vp.backends()[backend] == "ok" and backend != "reference"
    ],
)
def test_kernel_equals_reference(op, size, backend):
    for call, wanted in expected(op, size):
        check(call, wanted, backend)


@lru_cache(maxsize=4)
def long_scan(op: str, data: str, factors: str, n: int, payload: int, nq: int):
    mix = {"factors": factors, "allow": "random", "ids": "shuffled", "data": data, "nq": nq, "k": "3"}
    call = scan_call(op, (n, payload, SCANS.index(op)), n, payload, mix)
    with vp.use("reference"):
        return call, outputs(call, 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("factors", ["one", "bias f2"])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("op", SCANS)
def test_long_payloads(op, data, factors, backend):
    check(*long_scan(op, data, factors, 331, LONG[op], 5), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("op", SCANS)
def test_many_rows(op, data, factors, backend):
    """Far more rows than results: most are skipped by a bound, none that belongs among the results."""
    # from 16 on, two of them bound what they lose by lengths; from 8 on, lut4 sums otherwise
    nq = 18 if op in ("dot", "trellis", "lut4") else 6
    check(*long_scan(op, data, factors, 2900, 24, nq), backend)


@lru_cache(maxsize=1)
def worst_rounding(op: str, factors: str):
    with vp.use("reference"):
        if op == "dot":
            shapes = [(seed, nq, finest) for seed in range(4) for nq in (2, 20) for finest in (127, 127 * 128)]
            calls = [rounded_rows(seed, factors, nq, finest) for seed, nq, finest in shapes]
        elif op == "trellis":
            calls = [rounded_words(seed, factors, nq) for seed in range(4) for nq in (2, 20)]
        else:
            counts = (5, 12) if op == "lut4" else (5,)
            shapes = [(seed, part, nq) for seed in range(3) for part in ("fine", "coarse") for nq in counts]
            calls = [rounded_tables(op, seed, factors, part, nq) for seed, part, nq in shapes]
        return [(call, outputs(call, 1)) for call in calls]


@lru_cache(maxsize=1)
def worst_distances():
    with vp.use("reference"):
        shapes = [(seed, nq, finest) for seed in range(4) for nq in (2, 20) for finest in (127, 127 * 128)]
        calls = [rounded_rows(seed, "one", nq, finest, l2=True) for seed, nq, finest in shapes]
        calls += [rounded_levels(seed, finest, nq) for seed in range(3) for finest in (127, 255) for nq in (2, 6)]
        return [(call, outputs(call, 1)) for call in calls]


@pytest.mark.parametrize("factors", ["one", "negative", "bias u1"])
@pytest.mark.parametrize("op", ["lut4", "lut8", "dot", "trellis"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_bounds_hold_when_all_roundings_point_the_same_way(op, factors, backend):
    for call, wanted in worst_rounding(op, factors):
        check(call, wanted, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bounds_of_distances_hold_when_all_roundings_point_the_same_way(backend):
    for call, wanted in worst_distances():
        check(call, wanted, backend)
