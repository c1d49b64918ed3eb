"""What encode_grid promises beyond equality with its reference: points by hand, and the best of all by exhaustive search."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hard_values import values

import vecpress as vp
from vecpress import ops


def points(labels: np.ndarray, n_bits: int) -> np.ndarray:
    return labels.astype(np.float64) - (2**n_bits - 1) / 2


def off(y: np.ndarray, labels: np.ndarray, n_bits: int) -> np.ndarray:
    """float64[n]: 1 - cosine of the angle between rows and their points, from what is orthogonal: nothing cancels."""
    y, g = y.astype(np.float64), points(labels, n_bits)
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    g = g / np.linalg.norm(g, axis=1, keepdims=True)
    return ((y - g) ** 2).sum(axis=1) / 2


def best(row: np.ndarray, n_bits: int) -> np.ndarray:
    """The labels of largest cosine: every scale at which one changes is visited in order, as Gao et al. do with a heap."""
    most = 2 ** (n_bits - 1) - 1
    a = np.abs(row.astype(np.float64))
    steps = np.arange(1, most + 1)
    with np.errstate(divide="ignore"):
        scales = (steps[None] / a[:, None]).ravel()
    order = np.argsort(scales, kind="stable")
    which, step = np.repeat(np.arange(len(a)), most)[order], np.tile(steps, len(a))[order]
    product = a.sum() / 2 + np.concatenate(([0], np.cumsum(a[which])))
    square = len(a) / 4 + np.concatenate(([0], np.cumsum(2.0 * step)))
    count = int((product / np.sqrt(square)).argmax())
    magnitude = np.bincount(which[:count], minlength=len(a))
    return np.where(row > 0, most + 1 + magnitude, most - magnitude).astype(np.uint8)


def test_by_hand():
    y = np.array([[1, 3, -1, -3], [2, 2, 2, 0], [0.1, -0.1, 0.1, 5]], np.float32)
    labels, sums = ops.encode_grid(y, 2)
    assert labels[0].tolist() == [2, 3, 1, 0]  # 1/2 3/2 -1/2 -3/2: the row itself
    assert labels[1, :3].tolist() == [3, 3, 3] and labels[1, 3] == 1  # a zero counts as below zero
    assert labels[2].tolist() == [2, 1, 2, 3]
    np.testing.assert_array_equal(sums[0], [20, 10, 0, 0, 5])
    np.testing.assert_array_equal(sums[1], [12, 9, 0, 0, 7])
    along = np.array([1, 10, 100, 1000], np.float32)
    np.testing.assert_array_equal(ops.encode_grid(y, 2, along)[1][0], [20, 10, -3069, -1534.5, 5])
    assert ops.encode_grid(y, 1)[0].tolist() == (y > 0).astype(int).tolist()


@pytest.mark.parametrize("n_bits", range(1, 9))
def test_sums_are_those_of_the_row_and_its_point(n_bits):
    y = values(n_bits, 40, 77)
    y[3] = 0
    along = values(0, 77)
    labels, sums = ops.encode_grid(y, n_bits, along)
    g = points(labels, n_bits)
    assert labels.max() < 2**n_bits
    np.testing.assert_allclose(sums[:, 0], (y.astype(np.float64) ** 2).sum(axis=1), rtol=1e-14)
    np.testing.assert_allclose(sums[:, 1], (y * g).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(sums[:, 2], (y.astype(np.float64) * along).sum(axis=1), rtol=1e-11, atol=1e-3)
    np.testing.assert_allclose(sums[:, 3], (g * along).sum(axis=1), rtol=1e-11, atol=1e-3)
    np.testing.assert_array_equal(sums[:, 4], (g**2).sum(axis=1))
    assert (sums[:, 1] >= np.abs(y).sum(axis=1, dtype=np.float64) / 2 * (1 - 1e-12)).all()
    assert (labels[3] == 2 ** (n_bits - 1) - 1).all()


@pytest.mark.parametrize("n_bits", range(1, 9))
@pytest.mark.parametrize("d", [10, 31, 32, 128, 384])
def test_normal_rows_lose_next_to_nothing_of_the_best(n_bits, d):
    y = np.random.default_rng((n_bits, d)).standard_normal((100, d)).astype(np.float32)
    got = off(y, ops.encode_grid(y, n_bits)[0], n_bits)
    least = off(y, np.stack([best(row, n_bits) for row in y]), n_bits)
    assert (got > least * (1 - 1e-9)).all()  # the oracle is one
    assert got.mean() < least.mean() * (1 + (2e-4 if d > 31 else 2e-3))


@pytest.mark.parametrize(("n_bits", "d"), [(2, 1), (2, 3), (2, 6), (3, 3), (3, 5), (4, 3), (5, 2)])
def test_small_rows_are_optimal_among_all_points(n_bits, d):
    """The oracle of the other tests too."""
    grid = np.array(list(itertools.product(range(2**n_bits), repeat=d)), np.uint8)
    g = points(grid, n_bits)
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    y = np.random.default_rng((n_bits, d)).standard_normal((100, d)).astype(np.float32)
    least = off(y, grid[(y @ g.T).argmax(axis=1)], n_bits)
    np.testing.assert_allclose(off(y, np.stack([best(row, n_bits) for row in y]), n_bits), least, rtol=1e-5, atol=1e-12)
    got = off(y, ops.encode_grid(y, n_bits)[0], n_bits)
    assert (got <= least * (1 + 1e-5) + 1e-9).mean() >= 0.99 and got.mean() <= least.mean() * 1.001 + 1e-9


@pytest.mark.parametrize("n_bits", range(2, 9))
def test_a_row_that_points_at_a_point_gets_it(n_bits):
    rng = np.random.default_rng(n_bits)
    for d in (4, 30, 200):
        planted = rng.integers(0, 2**n_bits, (20, d), dtype=np.uint8)
        planted[:, 0], planted[:, 1] = 2**n_bits - 1, 2 ** (n_bits - 1)  # so that no shorter point has its direction
        y = (points(planted, n_bits) * rng.uniform(0.01, 100, (20, 1))).astype(np.float32)
        assert off(y, ops.encode_grid(y, n_bits)[0], n_bits).max() < 1e-6


@pytest.mark.parametrize("n_bits", [1, 2, 5, 8])
def test_signs_mirror_and_powers_of_two_change_nothing(n_bits):
    y = np.random.default_rng(0).standard_normal((30, 70)).astype(np.float32)
    labels, sums = ops.encode_grid(y, n_bits)
    mirrored, same = ops.encode_grid(-y, n_bits)
    assert (mirrored == 2**n_bits - 1 - labels).all() and (same == sums).all()
    for power in (-90, -3, 90):
        scaled, other = ops.encode_grid(y * np.float32(2.0**power), n_bits)
        assert (scaled == labels).all()
        np.testing.assert_array_equal(other, sums * [4.0**power, 2.0**power, 1, 1, 1])


@pytest.mark.parametrize("backend", [name for name, why in vp.backends().items() if why == "ok"])
def test_the_longest_rows_do_not_overflow(backend):
    """Every number the largest: sums of 32 bits would, were they not split."""
    d = 5000 if backend != "reference" else 1500
    with vp.use(backend):
        labels, sums = ops.encode_grid(np.full((2, d), 3, np.float32), 8)
    assert (labels == labels[0, 0]).all()
    np.testing.assert_allclose(sums[:, 1] ** 2, sums[:, 0] * sums[:, 4], rtol=1e-12)


def test_rows_of_tiny_numbers_are_their_signs():
    y = np.array([[2.0**-101, -(2.0**-120), 0, 1e-45]], np.float32)
    assert ops.encode_grid(y, 4)[0].tolist() == [[8, 7, 7, 8]]
    assert math.isclose(ops.encode_grid(y, 4)[1][0, 4], 1.0)
