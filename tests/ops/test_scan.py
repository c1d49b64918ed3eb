"""What all scans share: order, filter, factors, padding; on every backend, with a scan whose sums are easy to see."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks, Factor

BACKENDS = dispatch.operations()["lut8"]


@pytest.fixture(params=BACKENDS)
def backend(request, need_backend):
    need_backend(request.param)
    with dispatch.use(request.param):
        yield request.param


def scan(values, k, head=None, **options):
    """Scans rows whose sums are `values` (whole numbers below 256); head uint8[n, h] stands in front."""
    codes = np.array(values, np.uint8)[:, None]
    head = codes[:, :0] if head is None else np.ascontiguousarray(head).view(np.uint8).reshape(len(codes), -1)
    tables = np.arange(256, dtype=np.float32)[None, None]
    scores, ids = ops.lut8(Blocks.pack(np.hstack([head, codes]), head.shape[1]), tables, k, **options)
    return scores[0].tolist(), ids[0].tolist()


def mask(n: int, rows) -> np.ndarray:
    allowed = np.zeros(-(-n // 64) * 64, bool)
    allowed[rows] = True
    return np.packbits(allowed, bitorder="little").view(np.uint64)


def test_the_first_bytes_of_codes_are_codes(backend):
    """What stands behind them does not count, but factors may stand there."""
    rng = np.random.default_rng(0)
    codes, q = rng.integers(0, 256, (200, 7), dtype=np.uint8), np.float32(rng.standard_normal((3, 4, 256)))
    table = np.float32(rng.standard_normal(256))
    short = ops.lut8(Blocks.pack(np.ascontiguousarray(codes[:, :5]), 1), q, 9, scale=Factor(0, "u1", table))
    there = ops.lut8(Blocks.pack(codes, 1).prefix(5, 1), q, 9, scale=Factor(0, "u1", table))
    assert np.array_equal(short[0], there[0]) and np.array_equal(short[1], there[1])
    front = ops.lut8(
        Blocks.pack(codes[:, [6, 0, 1, 2, 3, 4, 5]], 1), np.pad(q, ((0, 0), (1, 1), (0, 0))), 9, scale=Factor(0, "u1", table)
    )
    behind = ops.lut8(Blocks.pack(codes, 0), np.pad(q, ((0, 0), (1, 2), (0, 0))), 9, scale=Factor(6, "u1", table))
    assert np.array_equal(front[0], behind[0]) and np.array_equal(front[1], behind[1])


def test_best_first_and_ties_to_the_lower_id(backend):
    assert scan([5, 9, 5, 9, 1], 4) == ([9, 9, 5, 5], [1, 3, 0, 2])
    ids = np.array([70, 60, 10, 50, 0])
    assert scan([5, 9, 5, 9, 1], 4, ids=ids) == ([9, 9, 5, 5], [50, 60, 10, 70])


def test_ties_at_the_edge_of_the_results(backend):
    """Hundreds of rows tie for the last places; with ids of its own a later row may win."""
    n = 700
    assert scan([7] * n, 3) == ([7, 7, 7], [0, 1, 2])
    assert scan([7] * n, 3, ids=np.arange(n)[::-1].copy()) == ([7, 7, 7], [0, 1, 2])
    ids = np.random.default_rng(0).permutation(n) * 2**40
    assert scan([7] * n, 3, ids=ids) == ([7, 7, 7], [0, 2**40, 2**41])


def test_ids_keep_all_64_bits(backend):
    limits = np.iinfo(np.int64)
    ids = np.array([limits.max, 0, limits.min, limits.max - 1])
    assert scan([1, 1, 1, 1], 4, ids=ids)[1] == [limits.min, 0, limits.max - 1, limits.max]


def test_fewer_rows_than_k_are_padded(backend):
    scores, ids = scan([3, 4], 5)
    assert scores[:2] == [4, 3] and np.isnan(scores[2:]).all() and ids == [1, 0, -1, -1, -1]
    scores, ids = scan([], 2)
    assert np.isnan(scores).all() and ids == [-1, -1]


def test_only_allowed_rows_come_back(backend):
    n = 200
    values = np.arange(n)
    for rows in ([0], [63], [64], [199], [5, 70, 130], range(60, 70), range(n), []):
        rows = list(rows)
        scores, ids = scan(values, 4, allow=mask(n, rows))
        best = sorted(rows, reverse=True)[:4]
        assert ids == best + [-1] * (4 - len(best))
        assert scores[: len(best)] == best and np.isnan(scores[len(best) :]).all()


def test_bits_behind_the_last_row_mean_nothing(backend):
    assert scan([1, 2, 3], 4, allow=np.array([~np.uint64(0)]))[1] == [2, 1, 0, -1]


def test_factors(backend):
    """score = sum * scale + bias + constant."""
    constant = np.array([0.5], np.float32)
    scale = np.array([1, -2, 0.5, 0], "<f2")
    assert scan([4, 4, 4, 4], 4, scale, scale=Factor(0, "f2"), constant=constant) == ([4.5, 2.5, 0.5, -7.5], [0, 2, 3, 1])
    both = np.zeros(4, [("bias", "<f4"), ("scale", "<f2")])
    both["bias"], both["scale"] = [10, 20, 30, 40], scale
    found = scan([4, 4, 4, 4], 4, both, scale=Factor(4, "f2"), bias=Factor(0, "f4"), constant=constant)
    assert found == ([40.5, 32.5, 14.5, 12.5], [3, 2, 0, 1])
    table = np.zeros(256, np.float32)
    table[[7, 9]] = [100, 200]
    codes = np.array([7, 9, 7, 8], np.uint8)
    assert scan([1, 2, 3, 4], 4, codes, bias=Factor(0, "u1", table)) == ([202, 103, 101, 4], [1, 2, 0, 3])
    assert scan([1, 2, 3], 3, scale=-1.0) == ([-1, -2, -3], [0, 1, 2])
    assert scan([1, 2, 3], 3, scale=0.0) == ([0, 0, 0], [0, 1, 2])


def test_each_step_is_rounded(backend):
    scale = np.float32(1 + 2.0**-12)
    (score,), _ = scan([255], 1, scale=float(scale), constant=np.array([-255.0625], np.float32))
    assert score == np.float32(np.float32(255) * scale) - np.float32(255.0625)


def test_a_score_that_is_not_a_number_counts_as_minus_infinity(backend):
    scale = np.array([np.nan, 1, np.inf, -np.inf], "<f4")
    assert scan([0, 5, 0, 3], 4, scale, scale=Factor(0, "f4")) == ([5, -np.inf, -np.inf, -np.inf], [1, 0, 2, 3])


def test_no_queries(backend):
    blocks = Blocks.pack(np.zeros((3, 2), np.uint8))
    scores, ids = ops.lut8(blocks, np.zeros((0, 2, 256), np.float32), 4)
    assert scores.shape == ids.shape == (0, 4)
