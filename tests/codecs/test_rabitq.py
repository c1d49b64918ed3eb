"""What only RaBitQ promises: codes by hand, unbiased estimates, bounds that hold, factors, limits."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hard_values import values
from helpers import bits, clustered, scan_all

import vecpress as vp
from vecpress import ops
from vecpress.ops.factors import from_u2
from vecpress.ops.pack_codes import packed_size

WIDTHS = range(1, 9)
HOLDS = math.erf(1.9 / math.sqrt(2))  # the share of a bound of 1.9 standard errors


def compared(q: np.ndarray, x: np.ndarray, metric: str) -> np.ndarray:
    """float64[nq, n]: what the metric compares."""
    q, x = q.astype(np.float64), x.astype(np.float64)
    if metric == "l2":
        return ((q[:, None] - x) ** 2).sum(axis=2)
    if metric == "cos":
        q, x = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (q, x))
    return q @ x.T


@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize("factors", ["u2", "f4"])
@pytest.mark.parametrize("n_bits", WIDTHS)
def test_a_code_is_factors_then_labels(n_bits, factors, metric):
    x = clustered(0, 200, 21)
    codec = vp.RaBitQ(n_bits, metric=metric, factors=factors, seed=3).fit(x)
    codes = codec.encode(x)
    digits = 0 if metric == "l2" or n_bits == 7 else {1: 8, 2: 4, 3: 2, 4: 2}.get(n_bits, 1)
    sines = digits if factors == "u2" else 0
    width = 2 if factors == "u2" else 4
    head = width if sines else 2 * width
    assert codec.head == head and codec.code_size == codes.shape[1] == head + packed_size(21 + digits + sines, n_bits)
    y = ops.rotate(x - codec.mean_, codec.signs_)
    labels = ops.unpack_codes(np.ascontiguousarray(codes[:, head:]), 21 + digits + sines, n_bits)
    labels, extra, angle = (part.astype(np.int64) for part in np.split(labels, [21, 21 + digits], axis=1))
    assert (labels == ops.encode_grid(y, n_bits)[0]).all()
    y, g = y.astype(np.float64), labels - (2**n_bits - 1) / 2
    length, product, square = (y**2).sum(axis=1), (y * g).sum(axis=1), (g**2).sum(axis=1)
    scale = product / square if metric == "l2" else length / product
    error = np.linalg.norm(y - (length / product)[:, None] * g, axis=1)  # orthogonal to y: its length times the tangent
    stored = [codes[:, i * width : (i + 1) * width].copy().view("<" + factors)[:, 0] for i in range(head // width)]
    if factors == "u2":
        units = float(codec.unit_[0]) * np.array([1, 2.0 ** (n_bits - 1 + 3)])
        stored = [from_u2(number) * unit for number, unit in zip(stored, units, strict=False)]
    precision = 2.0**-11 if factors == "u2" else 1e-6
    np.testing.assert_allclose(stored[0], scale, rtol=precision)
    if sines:  # steps of a sine, rounded up
        step = 2.0 ** ((n_bits + 3) / 2 ** (digits * n_bits))
        sine = step ** -(angle << n_bits * np.arange(sines)).sum(axis=1).astype(np.float64)
        true = error / np.linalg.norm(y, axis=1) * product / np.linalg.norm(y, axis=1) / np.sqrt(square)
        assert (sine * (1 + 1e-6) >= true).all() and (sine < true * step * (1 + 1e-6)).all()
    else:
        np.testing.assert_allclose(stored[1], error, rtol=precision * 1.01)
    if digits:  # what the point lacks along the mean, in 256 steps of 1 / 64 or fewer from -2 to 2
        v = ops.rotate((codec.mean_ / np.linalg.norm(codec.mean_))[None], codec.signs_)[0].astype(np.float64)
        lacks = (y @ v) / stored[0] - g @ v
        count = 2 ** (digits * n_bits)
        coded = ((extra << n_bits * np.arange(digits)).sum(axis=1) + 0.5) * 4 / count - 2
        assert (np.abs(coded - np.clip(lacks, -2, 2)) <= 2 / count + 1e-5).all() and np.abs(lacks).max() > 0.3


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("n_bits", [1, 3, 4, 8])
def test_estimates_are_unbiased_over_rotations_and_bounds_hold(n_bits, metric):
    x, q = clustered(1, 60, 48), clustered(1, 20, 48, draw=1)
    exact, errors, held = compared(q, x, metric), [], []
    for seed in range(100):
        codec = vp.RaBitQ(n_bits, metric=metric, seed=seed).fit(x)
        estimates, bounds = codec.estimate(codec.encode(x), q)
        errors.append((estimates - exact) / bounds)
        held.append((np.abs(estimates - exact) <= bounds).mean())
    means = np.mean(errors, axis=(1, 2))
    assert abs(means.mean()) < 3 * means.std(ddof=1) / 10
    assert means.std(ddof=1) / 10 < 0.02  # of a bound: enough seeds to see a bias
    assert np.mean(held) > HOLDS
    if n_bits == 1 or (n_bits < 4 and metric == "l2"):  # finer ones lose as much by factors of few bits, which the bound adds
        assert np.mean(held) < HOLDS + 0.02  # and it is no wider than it must be


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_bounds_with_float_factors_are_as_wide_as_they_say(metric):
    x, q = clustered(1, 150, 64), clustered(1, 30, 64, draw=1)
    exact = compared(q, x, metric)
    for n_bits in (2, 5, 7):
        for epsilon in (1.0, 1.9, 3.0):
            held = []
            for seed in range(8):
                codec = vp.RaBitQ(n_bits, metric=metric, factors="f4", seed=seed).fit(x)
                estimates, bounds = codec.estimate(codec.encode(x), q, epsilon=epsilon)
                held.append((np.abs(estimates - exact) <= bounds).mean())
            assert math.erf(epsilon / math.sqrt(2)) - 0.005 < np.mean(held) < math.erf(epsilon / math.sqrt(2)) + 0.03


@pytest.mark.parametrize("metric", ["ip", "cos"])
@pytest.mark.parametrize("n_bits", WIDTHS)
def test_scores_of_inner_products_are_the_estimates(n_bits, metric):
    x, q = clustered(1, 90, 30), clustered(1, 7, 30, draw=1)
    codec = vp.RaBitQ(n_bits, metric=metric).fit(x)
    codes = codec.encode(x)
    np.testing.assert_allclose(scan_all(codec, codes, codec.query(q)), codec.estimate(codes, q)[0], atol=2e-5)


@pytest.mark.parametrize("n_bits", [1, 4])
def test_an_estimate_is_the_same_alone_and_in_a_batch(n_bits, monkeypatch):
    x, q = clustered(1, 90, 30), clustered(1, 7, 30, draw=1)
    codec = vp.RaBitQ(n_bits, metric="l2").fit(x)
    codes = codec.encode(x)
    whole = codec.estimate(codes, q)
    monkeypatch.setattr(sys.modules[vp.RaBitQ.__module__], "ESTIMATE_BYTES", 4 * 30 * 7)
    assert [bits(a) for a in codec.estimate(codes, q, num_threads=1)] == [bits(a) for a in whole]
    assert [bits(a) for a in codec.estimate(codes[5:6], q[2])] == [bits(a[2:3, 5:6]) for a in whole]
    assert all(a.shape == (7, 0) for a in codec.estimate(codes[:0], q))
    assert all(a.shape == (0, 90) for a in codec.estimate(codes, q[:0]))


def test_bad_input_to_estimate():
    x = clustered(1, 90, 30)
    codec = vp.RaBitQ(2)
    with pytest.raises(vp.NotFittedError):
        codec.estimate(x, x)
    codes = codec.fit(x).encode(x)
    for wrong, error in ((-1, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("2", TypeError), (True, TypeError)):
        with pytest.raises(error, match="estimate: epsilon expected a number"):
            codec.estimate(codes, x, epsilon=wrong)
    with pytest.raises(ValueError, match="estimate: codes expected code_size="):
        codec.estimate(codes[:, 1:], x)
    with pytest.raises(ValueError, match="estimate: q expected d=30 columns"):
        codec.estimate(codes, x[:, 1:])


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("n_bits", WIDTHS)
def test_a_vector_at_the_mean_decodes_to_it(metric, n_bits):
    x = values(0, 1, 9)
    codec = vp.RaBitQ(n_bits, metric=metric).fit(x)
    codes = codec.encode(x)
    assert bits(codec.decode(codes)) == bits(codec.mean_[None])
    estimates, bounds = codec.estimate(codes, x)
    assert np.isfinite(estimates).all() and (bounds == 0).all()
    np.testing.assert_allclose(estimates, compared(x, x, metric), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("factors", ["u2", "f4"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_few_columns(d, factors):
    x = np.random.default_rng(d).standard_normal((40, d)).astype(np.float32)
    for metric in ("ip", "l2"):
        codec = vp.RaBitQ(6, metric=metric, factors=factors).fit(x)
        codes = codec.encode(x)
        assert ((codec.decode(codes) - x) ** 2).sum() < 0.02 * ((x - x.mean(axis=0)) ** 2).sum()
        estimates, bounds = codec.estimate(codes, x)
        assert np.isfinite(estimates).all() and np.isfinite(bounds).all()


@pytest.mark.parametrize("factors", ["u2", "f4"])
@pytest.mark.parametrize("power", [-90, -40, 0, 30, 45])
def test_any_scale_of_data_is_coded_alike(power, factors):
    x = clustered(0, 300, 24)
    factor = np.float32(2.0**power)
    one, other = (vp.RaBitQ(4, factors=factors).fit(x * f) for f in (np.float32(1), factor))
    codes, scaled = one.encode(x), other.encode(x * factor)
    if factors == "u2":
        assert bits(codes) == bits(scaled)
    assert bits(codes[:, one.head :]) == bits(scaled[:, one.head :])
    np.testing.assert_array_equal(other.decode(scaled), one.decode(codes) * factor)


def test_a_factor_that_two_bytes_cannot_hold_is_refused_with_its_row():
    x = clustered(0, 300, 24)
    codec = vp.RaBitQ(4).fit(x)
    assert codec.largest > 2**20 * np.abs(x).max()
    bad = x.copy()
    bad[7, 3] = 1.01 * codec.largest
    with pytest.raises(ValueError, match=r"encode: x expected absolute values up to .*, row 7 has"):
        codec.encode(bad)
    bad[7] = codec.largest
    assert (codec.encode(bad)[7, :2].copy().view("<u2") < 2**16 - 1).all()


def test_a_large_constant_column_leaves_room():
    x = clustered(0, 300, 24)
    x[:, 5] = 2.0**40
    codec = vp.RaBitQ(8).fit(x)
    error = np.square(codec.decode(codec.encode(x)).astype(np.float64) - x)
    assert error.sum() < 1e-3 * np.square(x - x.mean(axis=0, dtype=np.float64)).sum()


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_more_bits_find_more_and_two_bytes_lose_next_to_nothing(metric):
    x, q = clustered(1, 2000, 32), clustered(1, 50, 32, draw=1)
    recall = [vp.evaluate(vp.RaBitQ(n_bits, metric=metric), x, q, repeats=1).recall for n_bits in WIDTHS]
    assert recall[-1] > 0.95 and (np.diff(recall[:6]) > 0.001).all()
    wide = [vp.evaluate(vp.RaBitQ(n_bits, metric=metric, factors="f4"), x, q, repeats=1).recall for n_bits in WIDTHS]
    assert np.abs(np.subtract(recall, wide)).max() < 0.02 and abs(np.mean(np.subtract(recall, wide))) < 0.005


@pytest.mark.parametrize("n_bits", [1, 3, 4])
def test_beside_faiss(n_bits):
    """The same estimator over its own rotation: about the same recall, from fewer bytes."""
    faiss = pytest.importorskip("faiss")
    x, q = clustered(1, 3000, 64), clustered(1, 100, 64, draw=1)
    truth = vp.exact(q, x, 10, "l2")[1]
    ours, theirs = [], []
    for seed in range(3):
        rotation = faiss.RandomRotationMatrix(64, 64)
        rotation.init(seed)
        index = faiss.IndexPreTransform(rotation, faiss.IndexRaBitQ(64, faiss.METRIC_L2, n_bits))
        index.train(x)
        index.add(x)
        theirs.append(vp.recall(index.search(q, 10)[1], truth, 10))
        own = vp.Index(vp.RaBitQ(n_bits, metric="l2", seed=seed).fit(x))
        own.add(x)
        ours.append(vp.recall(own.search(q, 10)[1], truth, 10))
    assert np.mean(ours) > np.mean(theirs) - 0.02
