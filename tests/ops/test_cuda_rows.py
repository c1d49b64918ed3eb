"""Row operations on a device where screens are misled: near ties, rows of any length, numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest
from calls import some_paths
from test_equality import same_bits

import vecpress as vp
from vecpress import ops
from vecpress.ops.encode_trellis import WINDOWS, steps_of
from vecpress.ops.trellis_levels import TABLES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(vp.backends()["cuda"] != "ok", reason="there is no device, nor a library that does without"),
]


def check(call) -> None:
    with vp.use("reference"):
        wanted = call()
    with vp.use("cuda"):
        got = call()
    for a, b in zip(got if isinstance(got, tuple) else (got,), wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        assert same_bits(a, b), np.argwhere(a != b)[:5]


def near_ties(rng: np.random.Generator, n: int, k: int, d: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Centroids in small groups that differ by `apart` of their length; rows near groups' middles."""
    groups = rng.standard_normal((-(-k // 6), d))
    centroids = np.repeat(groups, 6, axis=0)[:k]
    centroids = centroids * (1 + apart * rng.standard_normal(centroids.shape))
    rows = groups[rng.integers(0, len(groups), n)] * (1 + apart * rng.standard_normal((n, d)))
    return rows.astype(np.float32), rng.permutation(centroids).astype(np.float32)


APART = (0.0, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("k, d", [(9, 3), (40, 33), (300, 70), (530, 16)])
def test_assign_finds_the_nearest_of_near_ones(k, d, apart):
    x, centroids = near_ties(np.random.default_rng(k), 150, k, d, apart)
    check(lambda: ops.assign(x, centroids))


@pytest.mark.parametrize("apart", [1e-5, 0.1])
def test_assign_in_several_pieces(apart):
    """More rows than a screen takes at once."""
    x, centroids = near_ties(np.random.default_rng(8), 1500, 40, 9, apart)
    check(lambda: ops.assign(x, centroids))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e18])
def test_assign_of_rows_of_any_length(scale):
    rng = np.random.default_rng(1)
    x, centroids = near_ties(rng, 140, 50, 20, 0.1)
    x *= (10.0 ** rng.integers(-8, 9, (140, 1))).astype(np.float32)
    x[:, ::3] *= np.float32(1e-6)
    x[7], x[20, 3], x[21, 0] = 0, np.inf, np.nan
    for c in (centroids, np.abs(centroids), centroids * np.float32(0), np.where(centroids > 2, np.float32(np.inf), centroids)):
        check(lambda c=c: ops.assign(x, c))
        check(lambda c=c: ops.assign(x * np.float32(scale), c * np.float32(scale)))


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("m, dsub", [(5, 8), (17, 4), (2, 13), (3, 16), (2, 29), (1, 45), (1, 46)])
def test_labels_of_near_centroids(m, dsub, apart):
    rng = np.random.default_rng(m)
    parts = [near_ties(rng, 70, 256, dsub, apart) for _ in range(m)]
    x, books = np.concatenate([p[0] for p in parts], axis=1), np.stack([p[1] for p in parts])
    check(lambda: ops.encode_pq(x, books))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e18])
def test_labels_of_rows_of_any_length(scale):
    rng = np.random.default_rng(2)
    x, book = near_ties(rng, 100, 256, 8, 0.1)
    x *= (10.0 ** rng.integers(-8, 9, (100, 1))).astype(np.float32)
    x[7], x[20, 3], x[21, 0] = 0, np.inf, np.nan
    x, books = np.tile(x, 4), np.stack([book, book * np.float32(0), np.where(book > 2, np.float32(np.inf), book), book[::-1]])
    check(lambda: ops.encode_pq(x, books))
    check(lambda: ops.encode_pq(x * np.float32(scale), books * np.float32(scale)))


@pytest.mark.parametrize("ks", [256, 255, 128, 9])  # of the last all are kept
@pytest.mark.parametrize("keep", [1, 9, 32, 33, 200, 256])
def test_beams_of_totals_that_are_equal_or_none(ks, keep):
    """Whatever reaches the bar has a place: all of a group at once."""
    rng = np.random.default_rng(keep)
    paths = some_paths(keep, 6, 7, 3, ks)
    costs, pairs = np.zeros((6, ks), np.float32), np.zeros((3 * ks, ks), np.float32)
    scores = np.array([0.0, -0.0, np.inf, np.nan, -np.inf, -1.0, 1.0], np.float32)[None].repeat(6, axis=0)
    check(lambda: ops.beam_step(costs, pairs, paths, np.zeros_like(scores), keep))
    check(lambda: ops.beam_step(costs * np.float32(-1), pairs * np.float32(-1), paths, scores, keep))
    costs, scores = rng.integers(-2, 3, costs.shape).astype(np.float32), rng.integers(-1, 2, scores.shape).astype(np.float32)
    check(lambda: ops.beam_step(costs, pairs, paths, scores, keep))


@pytest.mark.parametrize("labels", [31, 32, 33, 63])
def test_beams_of_long_paths(labels):
    rng = np.random.default_rng(labels)
    paths = some_paths(labels, 40, 6, labels, 20)
    paths[:, 3:5] = paths[:, 1:2]
    paths[:, 4, -1] = 7  # parts from its like at the end
    costs, pairs = rng.standard_normal((40, 20)), rng.standard_normal((labels * 20, 20))
    scores = rng.standard_normal((40, 6))
    check(lambda: ops.beam_step(*(a.astype(np.float32) for a in (costs, pairs)), paths, scores.astype(np.float32), 5))


@pytest.mark.parametrize("window", WINDOWS)
def test_more_words_than_a_launch_takes(window):
    rng = np.random.default_rng(5)
    words = np.stack((rng.integers(1, 3, 450), rng.choice([3, 4], 450)), axis=1).astype(np.uint8)
    y = (40 * rng.standard_normal((35, int(steps_of(words).sum())))).astype(np.float32)
    check(lambda: ops.encode_trellis(y, words, TABLES[window].levels))


def test_trellis_codes_of_rows_on_the_device():
    from vecpress.cuda import rows
    from vecpress.cuda.memory import DeviceArray

    rng, levels = np.random.default_rng(6), TABLES[6].levels
    words = np.array([[8, 1], [5, 3]], np.uint8)
    y = (40 * rng.standard_normal((33, 77))).astype(np.float32)
    codes, values = rows.encode_trellis(DeviceArray.of(y, 0), words, levels)
    for got, wanted in zip((codes.numpy(), values.numpy()), ops.encode_trellis(y, words, levels), strict=True):
        assert same_bits(got, wanted)
    with pytest.raises(ValueError, match="encode_trellis: words expected 1 to 8 bytes"):
        rows.encode_trellis(y, words + np.uint8(4), levels)
    with pytest.raises(ValueError, match=r"encode_trellis: levels expected shape \(4, 64\) or \(4, 256\), got \(4, 32\)"):
        rows.encode_trellis(y, words, levels[:, :32])


def test_arrays_on_the_device_stay_there():
    from vecpress.cuda import rows
    from vecpress.cuda.memory import DeviceArray

    rng = np.random.default_rng(3)
    x, matrix = rng.standard_normal((40, 12)).astype(np.float32), rng.standard_normal((12, 8)).astype(np.float32)
    books = rng.standard_normal((2, 256, 4)).astype(np.float32)
    projected = rows.project(DeviceArray.of(x, 0), matrix)
    assert isinstance(projected, DeviceArray)
    codes = rows.encode_pq(projected, books, False)
    assert np.array_equal(codes.numpy(), ops.encode_pq(ops.project(x, matrix), books))
    labels, distances = rows.assign(projected, books[0].reshape(-1, 8)[:30])
    assert (labels.shape, distances.shape) == ((40,), (40,))
    with pytest.raises(ValueError, match="project: matrix expected shape"):
        rows.project(x, matrix[:5])
    with pytest.raises(TypeError, match="project: x expected a float32 array"):
        rows.project(x.astype(np.float64), matrix)
