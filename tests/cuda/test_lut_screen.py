"""Scans of tables on a device: bounds of rounded tables skip most rows, and lose none that belongs among the results."""

from __future__ import annotations

import numpy as np
import pytest

import vecpress as vp
from vecpress import ops
from vecpress.cuda import library
from vecpress.ops import Blocks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(vp.backends()["cuda"] != "ok", reason="there is no device, nor a library that does without"),
]

# an operation, queries, payload bytes: one query, four a look-up, tables too large for shared memory, products
PATHS = [
    ("lut8", 1, 24), ("lut8", 4, 24), ("lut8", 6, 19), ("lut8", 2, 70), ("lut8", 1, 261),
    ("lut4", 1, 24), ("lut4", 4, 24), ("lut4", 3, 261), ("lut4", 9, 24), ("lut4", 7, 13),
]  # fmt: skip
ROWS = 3000


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    """The smallest workspace: after 32 rows there is a bar, so that bounds matter."""
    monkeypatch.setenv("VECPRESS_CUDA_WORKSPACE", "1")


def shape(op: str, nq: int, payload: int) -> tuple[int, int, int]:
    return (nq, payload, 256) if op == "lut8" else (nq, 2 * payload, 16)


def codes_of(op: str, labels: np.ndarray) -> np.ndarray:
    return (labels if op == "lut8" else labels[:, 0::2] | labels[:, 1::2] << 4).astype(np.uint8)


def scored_exactly(op: str, codes: np.ndarray, tables: np.ndarray, k: int = 3, **options) -> int:
    """Rows that the device's screen did not skip; the results are checked against the reference's."""
    blocks, run = Blocks.pack(codes, 0), getattr(ops, op)
    with vp.use("reference"):
        wanted = run(blocks, tables, k, **options)
    before = library.load().vp_cuda_exact_rows()
    with vp.use("cuda"):
        got = run(blocks, tables, k, **options)
    np.testing.assert_array_equal(got[1], wanted[1])
    np.testing.assert_array_equal(got[0].view(np.uint32), wanted[0].view(np.uint32))
    return library.load().vp_cuda_exact_rows() - before


@pytest.mark.parametrize("op, nq, payload", PATHS)
def test_most_rows_are_skipped(op, nq, payload):
    rng = np.random.default_rng(payload)
    codes = rng.integers(0, 256, (ROWS, payload), dtype=np.uint8)
    tables = rng.standard_normal(shape(op, nq, payload)).astype(np.float32)
    for scale in (1.0, -0.5):
        exact = scored_exactly(op, codes, tables, scale=scale)
        # of rows in no special order, 3 ln(ROWS / 32) or so enter after the first 32; bounds let some more through
        assert not library.emulated() or 32 * nq <= exact < ROWS * nq // 12


@pytest.mark.parametrize("op, nq, payload", PATHS)
def test_no_screen_where_no_bound_would_hold(op, nq, payload):
    rng = np.random.default_rng(payload)
    codes = rng.integers(0, 256, (130, payload), dtype=np.uint8)
    for number in (np.nan, np.inf, -np.inf, 3e38, -3e38):
        tables = rng.standard_normal(shape(op, nq, payload)).astype(np.float32)
        tables[0, -1, 3] = tables[0, 0, 15] = number
        if nq > 1:
            tables[1] *= 1e-36
        exact = scored_exactly(op, codes, tables)
        assert not library.emulated() or exact >= 130 * min(nq, 2)


@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.parametrize("op, nq, payload", PATHS)
def test_bounds_hold_when_all_roundings_point_the_same_way(op, nq, payload, scale):
    """The best rows' entries are rounded down by 0.49 steps, all others' up, and their sums are all but as good."""
    rng = np.random.default_rng(payload)
    _, m, entries = shape(op, nq, payload)
    # where two tables become one, the second has nothing to say
    levels, used = (127, np.arange(m)) if op == "lut4" and nq >= 5 else (255, np.arange(0, m, 2 if op == "lut4" else 1))
    values = np.full(entries, 59.51)
    values[2::3], values[3::3], values[0], values[1] = 60.49, 60.51, 0, levels
    above, below, less = (np.arange(first, entries, 3) for first in (2, 3, 4))
    labels, short = rng.choice(below, (ROWS, m)), max(1, round(len(used) * 0.021 + 0.5))
    for row in range(ROWS):
        places = rng.choice(used, short, replace=False)
        labels[row, places] = rng.choice(less, short)
    best = ROWS // 3 + rng.choice(ROWS - ROWS // 3, 40, replace=False)
    labels[best] = rng.choice(above, (40, m))
    tables = np.zeros((nq, m, entries))
    tables[:, used] = values * 2.0 ** rng.integers(-3, 4, (nq, 1, 1))
    ids = rng.permutation(ROWS)
    scored_exactly(op, codes_of(op, labels), (tables * scale).astype(np.float32), 45, scale=scale, ids=ids)


@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.parametrize("op, nq, payload", PATHS)
def test_bounds_hold_where_float_sums_lose_more_than_tables(op, nq, payload, scale):
    rng = np.random.default_rng(payload)
    tables = rng.standard_normal(shape(op, nq, payload)) * 0.01
    tables += rng.choice([-1e6, 1e6], tables.shape[:2])[:, :, None] * rng.random(tables.shape[:2])[:, :, None]
    codes = rng.integers(0, 256, (ROWS, payload), dtype=np.uint8)
    scored_exactly(op, codes, tables.astype(np.float32), 20, scale=scale)


@pytest.mark.parametrize("op, nq, payload", PATHS)
def test_equal_tables_and_empty_ones(op, nq, payload):
    codes = np.random.default_rng(payload).integers(0, 256, (200, payload), dtype=np.uint8)
    scored_exactly(op, codes, np.full(shape(op, nq, payload), 0.3, np.float32), 5, ids=np.arange(200)[::-1].copy())
    scored_exactly(op, codes[:, :0], np.zeros(shape(op, nq, 0), np.float32), 5)
