"""The scan of small whole numbers by hand, against sums in float64, and with levels that break its screen."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks, Factor
from vecpress.ops.dot import even_levels
from vecpress.ops.pack_codes import packed_size

BACKENDS = dispatch.operations()["dot"]
N, K = 2000, 10


@pytest.fixture(params=BACKENDS)
def backend(request, need_backend):
    need_backend(request.param)
    return request.param


@pytest.fixture(params=[name for name in BACKENDS if name != "reference"])
def kernel(request, need_backend):
    need_backend(request.param)
    return request.param


def test_by_hand(backend):
    rows, levels = np.array([[1, 10, 100]], np.float32), np.array([0, 1, 2, 7], np.float32)
    labels = np.array([[0, 1, 2], [3, 3, 0], [0, 0, 3], [3, 3, 0]], np.uint8)
    with dispatch.use(backend):
        scores, ids = ops.dot(Blocks.pack(ops.pack_codes(labels, 2)), rows, 4, n_bits=2, levels=levels)
        even, order = ops.dot(Blocks.pack(ops.pack_codes(labels, 2)), rows, 1, n_bits=2)
    assert scores.tolist() == [[700, 210, 77, 77]]
    assert ids.tolist() == [[2, 0, 1, 3]]
    assert (even[0, 0], order[0, 0]) == (1.5 * 100 - 1.5 * 11, 2)


@pytest.mark.parametrize("nq", [1, 9])  # few queries are multiplied more precisely
@pytest.mark.parametrize("n_bits", range(1, 9))
def test_finds_the_largest_sums(n_bits, nq, backend):
    rng = np.random.default_rng(n_bits)
    rows = rng.standard_normal((nq, 77)).astype(np.float32)
    labels = rng.integers(0, 2**n_bits, (N, 77)).astype(np.uint8)
    blocks = Blocks.pack(ops.pack_codes(labels, n_bits))
    for levels in (None, np.sort(rng.standard_normal(2**n_bits)).astype(np.float32)):
        sums = rows.astype(np.float64) @ (even_levels(n_bits) if levels is None else levels)[labels].T
        with dispatch.use(backend):
            scores, ids = ops.dot(blocks, rows, K, n_bits=n_bits, levels=levels)
        np.testing.assert_allclose(scores, -np.sort(-sums, axis=1)[:, :K], rtol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(sums, ids, axis=1), scores, rtol=1e-5)


@pytest.mark.parametrize("nq", [1, 9])
@pytest.mark.parametrize("n_bits", range(1, 9))
def test_finds_the_least_distances(n_bits, nq, backend):
    rng = np.random.default_rng(n_bits)
    rows = 3 * rng.standard_normal((nq, 77)).astype(np.float32)
    labels = rng.integers(0, 2**n_bits, (N, 77)).astype(np.uint8)
    scales = rng.uniform(0.01, 2, N).astype("<f4")
    blocks = Blocks.pack(np.hstack([scales[:, None].view(np.uint8), ops.pack_codes(labels, n_bits)]), 4)
    for levels in (None, np.sort(rng.standard_normal(2**n_bits)).astype(np.float32)):
        values = scales[:, None] * (even_levels(n_bits) if levels is None else levels)[labels].astype(np.float64)
        distances = np.square(rows[:, None] - values).sum(axis=2)
        with dispatch.use(backend):
            scores, ids = ops.dot(blocks, rows, K, n_bits=n_bits, levels=levels, l2=True, scale=Factor(0, "f4"))
        np.testing.assert_allclose(-scores, np.sort(distances, axis=1)[:, :K], rtol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(distances, ids, axis=1), -scores, rtol=1e-5)


def test_distances_far_from_the_origin_are_as_precise_as_their_differences(backend):
    """By norms all of them would be 0, or whatever the rounding of 10^12 leaves."""
    labels = np.tile(np.array([[1, 0], [2, 0], [3, 0], [3, 1]], np.uint8), (40, 1))
    rows = np.array([[1e6 + 2, 0]], np.float32)
    levels = np.array([0, 1e6, 1e6 + 1, 1e6 + 2], np.float32)
    with dispatch.use(backend):
        scores, ids = ops.dot(Blocks.pack(ops.pack_codes(labels, 2)), rows, 81, n_bits=2, levels=levels, l2=True)
    assert scores[0].tolist() == [0] * 40 + [-1] * 40 + [-4] and ids[0, 40] == 1


def test_distances_where_the_square_of_a_scale_is_below_float32(kernel):
    """s^2 levels^2 is an ordinary number, s^2 is not."""
    rng = np.random.default_rng(0)
    codes = ops.pack_codes(rng.integers(0, 16, (N, 32)).astype(np.uint8), 4)
    scales = (1e-24 * rng.uniform(1, 2, N)).astype("<f4")[:, None].view(np.uint8)
    rows = (1e-12 * rng.standard_normal((5, 32))).astype(np.float32)
    levels = np.linspace(-1e12, 1e12, 16).astype(np.float32)
    same(kernel, Blocks.pack(np.hstack([scales, codes]), 4), rows, n_bits=4, levels=levels, l2=True, scale=Factor(0, "f4"))
    levels *= np.float32(4e-37)
    scales = (1.5e19 * rng.uniform(1, 2, N)).astype("<f4")[:, None].view(np.uint8)
    rows *= np.float32(4e7)
    same(kernel, Blocks.pack(np.hstack([scales, codes]), 4), rows, n_bits=4, levels=levels, l2=True, scale=Factor(0, "f4"))


def test_distances_among_the_smallest_numbers_of_float32(kernel):
    """Each of 128 squares is rounded by up to half of the smallest, the best row's not at all."""
    least = 2.0**-149
    e, f = np.sqrt(0.49 * least), np.sqrt(0.51 * least)
    levels = (np.array([0, e - f, e, e]) * 2.0**72).astype(np.float32)
    labels = np.full((300, 128), 2)
    np.put_along_axis(labels, np.argsort(np.random.default_rng(0).random((300, 128)), axis=1)[:, :60], 1, axis=1)
    labels[150] = 0
    blocks, rows = Blocks.pack(ops.pack_codes(labels.astype(np.uint8), 2)), np.full((5, 128), e, np.float32)
    same(kernel, blocks, rows, n_bits=2, levels=levels, l2=True, scale=2.0**-72)
    same(kernel, blocks, rows[:1], n_bits=2, levels=levels, l2=True, scale=2.0**-72)


def test_distances_in_more_dimensions_than_squares_are_counted_for(kernel):
    labels = np.full((70, 66_060), 255, np.uint8)
    labels[1], labels[2] = 128, 127
    blocks = Blocks.pack(ops.pack_codes(labels, 8))
    same(kernel, blocks, np.zeros((1, 66_060), np.float32), n_bits=8, l2=True)


def same(backend, blocks, rows, **options):
    with dispatch.use("reference"):
        wanted = ops.dot(blocks, rows, K, **options)
    for threads in (1, 2):
        with dispatch.use(backend):
            got = ops.dot(blocks, rows, K, num_threads=threads, **options)
        np.testing.assert_array_equal(got[0], wanted[0])
        np.testing.assert_array_equal(got[1], wanted[1])


@pytest.mark.parametrize("n_bits", [1, 3, 4, 7, 8])
@pytest.mark.parametrize(
    ("name", "levels_of", "rows_of"),
    [
        ("one level far from the others", lambda v, rng: np.where(np.arange(len(v)) == 1, 1e4, v), lambda r: r),
        ("levels far from zero", lambda v, rng: v + 1e5, lambda r: r),
        ("equal levels", lambda v, rng: np.ones_like(v), lambda r: r),
        ("an infinite level", lambda v, rng: np.where(np.arange(len(v)) == 1, np.inf, v), lambda r: r),
        ("a level that is no number", lambda v, rng: np.where(np.arange(len(v)) == 0, np.nan, v), lambda r: r),
        ("in no order", lambda v, rng: rng.permutation(v), lambda r: r),
        ("tiny", lambda v, rng: v * 1e-30, lambda r: r * 1e-12),
        ("near float32's largest", lambda v, rng: v * 1e19, lambda r: r * 3e18),
        ("one component far larger", lambda v, rng: v, lambda r: r * np.where(np.arange(r.shape[1]) == 5, 1e4, 1)),
        ("zero queries", lambda v, rng: v, lambda r: 0 * r),
        ("an infinite component", lambda v, rng: v, lambda r: np.where(np.arange(r.shape[1]) == 5, np.inf, r)),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_hard_levels_and_queries(n_bits, name, levels_of, rows_of, kernel):
    rng = np.random.default_rng(n_bits)
    for nq in (3, 7):
        with np.errstate(all="ignore"):
            rows = rows_of(rng.standard_normal((nq, 45))).astype(np.float32)
            levels = levels_of(np.sort(rng.standard_normal(2**n_bits)), rng).astype(np.float32)
        codes = ops.pack_codes(rng.integers(0, 2**n_bits, (N, 45)).astype(np.uint8), n_bits)
        scales = rng.uniform(0.5, 2, N).astype("<f4")[:, None].view(np.uint8)
        same(kernel, Blocks.pack(codes), rows, n_bits=n_bits, levels=levels, ids=np.arange(N)[::-1].copy())
        for l2 in (False, True):
            blocks = Blocks.pack(np.hstack([scales, codes]), 4)
            same(kernel, blocks, rows, n_bits=n_bits, levels=levels, scale=Factor(0, "f4"), l2=l2)


def test_more_dimensions_than_are_unpacked_at_once(kernel):
    rng = np.random.default_rng(0)
    for d in (1023, 1025, 2100):
        codes = ops.pack_codes(rng.integers(0, 8, (130, d)).astype(np.uint8), 3)
        rows = rng.standard_normal((6, d)).astype(np.float32)
        same(kernel, Blocks.pack(codes), rows, n_bits=3)
        same(kernel, Blocks.pack(codes), rows[:1], n_bits=3)
        same(kernel, Blocks.pack(codes), rows[:1], n_bits=3, l2=True)


@pytest.mark.parametrize("n_bits", [2, 3, 4])
@pytest.mark.parametrize("d", [2208, 4000, 4300])
@pytest.mark.parametrize("l2", [False, True])
def test_rows_longer_than_a_tile(d, n_bits, l2, kernel):
    """They are unpacked in pieces, and a block's refinement for one query must leave the others theirs."""
    rng = np.random.default_rng(d)
    blocks = Blocks.pack(rng.integers(0, 256, (150, packed_size(d, n_bits)), dtype=np.uint8))
    rows = rng.standard_normal((20, d)).astype(np.float32)
    with dispatch.use("reference"):
        wanted = ops.dot(blocks, rows, 10, n_bits=n_bits, l2=l2)
    for nq in (1, 5, 20):
        with dispatch.use(kernel):
            scores, ids = ops.dot(blocks, rows[:nq], 10, n_bits=n_bits, l2=l2)
        np.testing.assert_array_equal(scores, wanted[0][:nq])
        np.testing.assert_array_equal(ids, wanted[1][:nq])
