"""What only LloydMax promises: the known errors of its levels, codes by hand, unbiased scales, factors, limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hard_values import values
from helpers import bits, clustered, scan_all

import vecpress as vp
from vecpress import ops
from vecpress.normal_levels import coded_levels, normal_levels
from vecpress.ops.factors import from_u2, to_u2
from vecpress.ops.pack_codes import packed_size

WIDTHS = range(1, 9)


def cells(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every level's cell under N(0, 1): its share and its mean."""
    edges = np.concatenate(([-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]))
    share = np.diff([math.erfc(-edge / math.sqrt(2)) / 2 for edge in edges])
    density = np.exp(-np.square(edges) / 2) / math.sqrt(2 * math.pi)
    return share, (density[:-1] - density[1:]) / share


@pytest.mark.parametrize(
    ("n_bits", "error"),
    [(1, 0.3634), (2, 0.1175), (3, 0.03455), (4, 0.009501), (5, 0.002505), (6, 6.44e-4), (7, 1.635e-4), (8, 4.12e-5)],
)
def test_levels_have_the_known_error_and_are_the_means_of_their_cells(n_bits, error):
    levels = normal_levels(n_bits)
    share, mean = cells(levels)
    assert len(levels) == 2**n_bits and (np.diff(levels) > 0).all() and (levels == -levels[::-1]).all()
    np.testing.assert_allclose(levels, mean, atol=1e-9)
    assert 1 - (share * levels**2).sum() == pytest.approx(error, rel=2e-3)


@pytest.mark.parametrize(("n_bits", "most", "loss"), [(3, 127, 4e-4), (4, 127, 3e-3), (5, 254, 5e-3)])
def test_coded_levels_are_multiples_of_one_number_and_lose_next_to_nothing(n_bits, most, loss):
    levels, best = coded_levels(n_bits), normal_levels(n_bits)
    assert (levels == -levels[::-1]).all()
    apart = np.diff(levels)
    multiples = [apart / (apart.min() / times) for times in range(1, 20)]
    fitting = [m for m in multiples if np.abs(m - np.rint(m)).max() < 1e-9]
    assert fitting and np.rint(fitting[0]).sum() <= most
    share, mean = cells(levels)  # a sum of squares less what the cells' means explain
    error = 1 - 2 * (share * mean * levels).sum() + (share * levels**2).sum()
    share, mean = cells(best)
    assert error < (1 - (share * best**2).sum()) * (1 + loss)


@pytest.mark.parametrize("n_bits", [1, 2, 6, 7, 8])
def test_other_levels_are_the_best(n_bits):
    assert (coded_levels(n_bits) == normal_levels(n_bits)).all()


def test_levels_of_one_and_two_bits_by_hand():
    np.testing.assert_allclose(normal_levels(1), [-math.sqrt(2 / math.pi), math.sqrt(2 / math.pi)], rtol=1e-14)
    np.testing.assert_allclose(normal_levels(2), [-1.5104176, -0.4527800, 0.4527800, 1.5104176], atol=1e-7)


@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize("n_bits", WIDTHS)
def test_a_code_is_factors_then_labels(n_bits, metric):
    x = clustered(0, 300, 21)
    codec = vp.LloydMax(n_bits, metric=metric, seed=3).fit(x)
    codes = codec.encode(x)
    assert codec.code_size == 2 + packed_size(21, n_bits)
    y = ops.rotate(x - codec.mean_, codec.signs_).astype(np.float64)
    u = y * math.sqrt(21) / np.linalg.norm(y, axis=1, keepdims=True)
    labels = ops.unpack_codes(np.ascontiguousarray(codes[:, codec.head :]), 21, n_bits)
    nearest = np.abs(u[:, :, None] - codec.levels_).argmin(axis=2)
    assert (labels == nearest).mean() > 0.999  # but where u is midway and rounding decides
    levels = codec.levels_[labels].astype(np.float64)
    product = (y * levels).sum(axis=1)
    scale = product / (levels**2).sum(axis=1) if metric == "l2" else (y**2).sum(axis=1) / product
    stored = from_u2(codes[:, :2].copy().view("<u2")[:, 0]) * codec.unit_
    np.testing.assert_allclose(stored, scale, rtol=2**-11 + 1e-5)


@pytest.mark.parametrize("n_bits", [1, 2, 4])
def test_inner_products_are_unbiased_over_rotations(n_bits):
    rng = np.random.default_rng(0)
    x, q = rng.standard_normal((1, 64)).astype(np.float32), rng.standard_normal((1, 64)).astype(np.float32)
    q += x / 2
    errors = []
    for seed in range(400):
        codec = vp.LloydMax(n_bits, seed=seed).fit(np.concatenate((x, -x)))  # the mean is 0
        errors.append(float(scan_all(codec, codec.encode(x), codec.query(q))[0, 0]) - float((q.astype(np.float64) * x).sum()))
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / math.sqrt(len(errors))
    assert abs(np.mean(errors)) < 0.05 * float(np.linalg.norm(q) * np.linalg.norm(x) / 8)


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_l2_codes_have_the_least_error_of_any_scale(n_bits):
    x = clustered(1, 200, 32)
    codec = vp.LloydMax(n_bits, metric="l2").fit(x)
    decoded = codec.decode(codec.encode(x)).astype(np.float64)

    def error(factor: float) -> np.ndarray:
        return ((codec.mean_ + factor * (decoded - codec.mean_) - x) ** 2).sum()

    assert error(1) < min(error(0.99), error(1.01))
    levels = normal_levels(n_bits)
    assert error(1) / ((x - codec.mean_) ** 2).sum() < 1.1 * (1 - (cells(levels)[0] * levels**2).sum())


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_two_byte_scales_lose_next_to_nothing(metric):
    x, q = clustered(1, 3000, 48), clustered(1, 60, 48, draw=1)
    codec = vp.LloydMax(4, metric=metric).fit(x)
    two = vp.evaluate(codec, x, q, repeats=1).recall
    labels, scale = codec._label(codec._rows(x, "x", 48).all(), None)
    y = codec.levels_[labels].astype(np.float64) * scale[:, None]
    exact = ops.rotate(y.astype(np.float32), codec.signs_, inverse=True) + codec.mean_
    truth = vp.exact(q, x, 10, metric)[1]
    found = vp.exact(q, exact, 10, "ip" if metric == "cos" else metric)[1]
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, found, strict=True)])
    assert abs(two - share) < 0.01


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("n_bits", WIDTHS)
def test_a_vector_at_the_mean_decodes_to_it(metric, n_bits):
    x = values(0, 1, 9)
    codec = vp.LloydMax(n_bits, metric=metric).fit(x)
    assert bits(codec.decode(codec.encode(x))) == bits(codec.mean_[None])
    for symmetric in (False, True):
        assert np.isfinite(scan_all(codec, codec.encode(x), codec.query(x, symmetric=symmetric))).all()


@pytest.mark.parametrize("power", [-90, -40, 0, 30, 45])
def test_any_scale_of_data_is_coded_alike(power):
    x = clustered(0, 300, 24)
    one, other = vp.LloydMax(4).fit(x), vp.LloydMax(4).fit(x * np.float32(2.0**power))
    assert bits(other.encode(x * np.float32(2.0**power))) == bits(one.encode(x))


def test_a_scale_that_two_bytes_cannot_hold_is_refused_with_its_row():
    x = clustered(0, 300, 24)
    codec = vp.LloydMax(4).fit(x)
    assert codec.largest > 2**20 * np.abs(x).max()
    bad = x.copy()
    bad[7, 3] = 1.01 * codec.largest
    with pytest.raises(ValueError, match=r"encode: x expected absolute values up to .*, row 7 has"):
        codec.encode(bad)
    bad[7] = codec.largest
    scale = from_u2(codec.encode(bad)[7, :2].copy().view("<u2"))
    assert scale < from_u2(to_u2(np.array([np.inf], np.float32)))
    codec.fit(bad)  # which learns another unit


def test_a_large_constant_column_leaves_room():
    x = clustered(0, 300, 24)
    x[:, 5] = 2.0**40
    codec = vp.LloydMax(8).fit(x)
    error = np.square(codec.decode(codec.encode(x)).astype(np.float64) - x)
    assert error.sum() < 1e-3 * np.square(x - x.mean(axis=0, dtype=np.float64)).sum()


def test_more_bits_find_more():
    x, q = clustered(1, 2000, 32), clustered(1, 50, 32, draw=1)
    recall = [vp.evaluate(vp.LloydMax(n_bits), x, q, repeats=1).recall for n_bits in WIDTHS]
    assert recall[0] > 0.25 and recall[-1] > 0.95 and (np.diff(recall[:6]) > 0.01).all()
