"""Screening: kernels skip rows by rounded tables, and no row of the exact result may be among the skipped.

In each case a bound that is only nearly right loses a row. 2,000 rows and few results, so that nearly all are skipped.
"""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks, Factor

N, K = 2000, 10
SCANS = {"lut4": 16, "lut8": 256}
BACKENDS = [b for b in dispatch.operations()["lut4"] if b != "reference"]


@pytest.fixture(params=BACKENDS)
def backend(request, need_backend):
    need_backend(request.param)
    return request.param


def check(op, backend, codes, tables, head=0, **options):
    blocks = Blocks.pack(np.ascontiguousarray(codes), head)
    with dispatch.use("reference"):
        wanted = getattr(ops, op)(blocks, tables, K, **options)
    for threads in (1, 2):
        with dispatch.use(backend):
            got = getattr(ops, op)(blocks, tables, K, num_threads=threads, **options)
        np.testing.assert_array_equal(got[0], wanted[0])
        np.testing.assert_array_equal(got[1], wanted[1])


def make(rng, op, m, nq=3):
    """Random codes uint8[N, _] of m table places, and tables float32[nq, m, entries]."""
    entries = SCANS[op]
    return rng.integers(0, 256, (N, m // 2 if entries == 16 else m), dtype=np.uint8), rng.standard_normal((nq, m, entries))


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("name", "tables_of"),
    [
        ("plain", lambda t, rng: t),
        ("offsets far larger than the differences", lambda t, rng: t / 1e4 + 100 * rng.standard_normal((1, t.shape[1], 1))),
        ("one table far wider than the others", lambda t, rng: t * np.where(np.arange(t.shape[1]) == 3, 1e3, 1)[:, None]),
        ("sums that cancel", lambda t, rng: t * 10.0 ** rng.integers(-3, 4, (1, t.shape[1], 1))),
        ("few levels, so that most sums tie", lambda t, rng: np.round(t)),
        ("all equal", lambda t, rng: np.ones_like(t)),
        ("subnormal", lambda t, rng: t * 1e-42),
        ("near float32's largest", lambda t, rng: t * 3e37),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_tables(op, seed, name, tables_of, backend):
    rng = np.random.default_rng(seed)
    codes, tables = make(rng, op, 12)
    ids = rng.permutation(N).astype(np.int64)
    check(op, backend, codes, tables_of(tables, rng).astype(np.float32), ids=ids)


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("constant", [1e5, -1e8, 3e38, np.inf, -np.inf, np.nan])
def test_constants_that_round_sums_together(op, constant, backend):
    """Sums that differ become equal scores, and then the lower id wins."""
    rng = np.random.default_rng(1)
    codes, tables = make(rng, op, 12)
    check(op, backend, codes, tables.astype(np.float32), ids=np.arange(N)[::-1].copy(), constant=np.full(3, constant, np.float32))


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("seed", range(6))
def test_subnormal_scores(op, seed, backend):
    """Rounding is absolute there: a row just below the bar may round up to it and win by its id."""
    rng = np.random.default_rng(seed)
    codes, tables = make(rng, op, 16)
    magnitude = 10.0 ** rng.integers(-6, 3)
    scales = (10.0 ** rng.uniform(-45, -42) / magnitude / 16 * (1 + 0.1 * rng.random(N))).astype("<f4")
    codes = np.hstack([scales[:, None].view(np.uint8), codes])
    tables = (np.abs(tables) * magnitude).astype(np.float32)
    check(op, backend, codes, tables, head=4, scale=Factor(0, "f4"), ids=np.arange(N)[::-1].copy())


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_wild_entries(op, wild, backend):
    """A few rows score nan or inf; the others are ranked as ever."""
    rng = np.random.default_rng(2)
    codes, tables = make(rng, op, 12)
    tables[:, 5, 7] = wild
    tables[1, :, :] *= -1
    check(op, backend, codes, tables.astype(np.float32))


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("k", [1, 100, 1999, 2000, 5000])
def test_any_k(op, k, backend):
    rng = np.random.default_rng(3)
    codes, tables = make(rng, op, 12)
    blocks = Blocks.pack(codes)
    tables = tables.astype(np.float32)
    with dispatch.use("reference"):
        wanted = getattr(ops, op)(blocks, tables, k)
    with dispatch.use(backend):
        got = getattr(ops, op)(blocks, tables, k)
    np.testing.assert_array_equal(got[0], wanted[0])
    np.testing.assert_array_equal(got[1], wanted[1])


@pytest.mark.parametrize("bias", [np.inf, np.float32(3.4028e38), -np.inf, np.nan])
@pytest.mark.parametrize("kind", ["f4", "f2"])
@pytest.mark.parametrize("nq", [1, 20])
@pytest.mark.parametrize("op", ["lut4", "lut8", "dot"])
def test_a_rare_wild_bias(op, nq, kind, bias, backend):
    """A row of the lowest sum that its bias puts first, in a block whose other rows are all skipped."""
    rng = np.random.default_rng(5)
    labels = rng.integers(1, 16, (256, 32)).astype(np.uint8)
    labels[200] = 0
    with np.errstate(over="ignore"):
        biases = np.zeros(256, kind)
        biases[200] = bias
    codes = ops.pack_codes(labels, 4) if op != "lut8" else labels
    blocks = Blocks.pack(np.hstack([biases[:, None].view(np.uint8), codes]), biases.itemsize)
    factor = Factor(0, kind)
    if op == "dot":
        arguments, options = (np.ones((nq, 32), np.float32), 1), {"n_bits": 4, "bias": factor}
    else:
        entries = SCANS[op]
        tables = np.broadcast_to(np.arange(entries, dtype=np.float32), (nq, 32, entries)).copy()
        arguments, options = (tables, 1), {"bias": factor}
    with dispatch.use("reference"):
        wanted = getattr(ops, op)(blocks, *arguments, **options)
    with dispatch.use(backend):
        got = getattr(ops, op)(blocks, *arguments, num_threads=1, **options)
    np.testing.assert_array_equal(got[0], wanted[0])
    np.testing.assert_array_equal(got[1], wanted[1])
