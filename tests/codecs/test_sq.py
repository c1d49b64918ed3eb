"""What only SQ promises: labels by hand, ranges that outliers do not spoil, constant dimensions, float16."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values
from helpers import bits, clustered, scan_all

import vecpress as vp


def sq(low: list[float], step: list[float], n_bits: int, metric: str = "ip") -> vp.SQ:
    arrays = {"low_": np.array(low, np.float32), "step_": np.array(step, np.float32)}
    return vp.SQ.restore({"n_bits": n_bits, "metric": metric}, len(low), arrays)


def error(codec: vp.Codec, x: np.ndarray) -> np.ndarray:
    return np.square(codec.decode(codec.encode(x)).astype(np.float64) - x).sum(axis=0)


def test_labels_by_hand():
    x = [[0, 1.5, -9, 3, 7], [7.4, 2.5, 90, 3, 7.6]]  # ties to even, clipped at both ends; step 0 gives 0
    eight = sq([0, 0, -1, 3, 0], [1, 1, 0.25, 0, 1], 8)
    assert eight.encode(x).tolist() == [[0, 2, 0, 0, 7], [7, 2, 255, 0, 8]]
    assert eight.decode(eight.encode(x))[1].tolist() == [7, 2, 62.75, 3, 8]
    four = sq([0, 0, -1, 3, 0], [1, 1, 0.25, 0, 1], 4)
    assert four.encode(x).tolist() == [[0x20, 0x00, 0x07], [0x27, 0x0F, 0x08]]
    assert (eight.code_size, four.code_size) == (5, 3)


@pytest.mark.parametrize("n_bits", [4, 8])
def test_scores_by_hand(n_bits):
    for metric, expected in (("ip", [2 * 3 - 1 * 1, 2 * 1 - 1 * 5]), ("l2", [-(1**2) - 2**2, -(1**2) - 6**2])):
        codec = sq([1, -1], [1, 2], n_bits, metric)
        codes = codec.encode([[3, 1], [1, 5]])
        assert scan_all(codec, codes, codec.query([[2, -1]])).tolist() == [expected]


@pytest.mark.parametrize("n_bits", [4, 8])
def test_the_range_has_the_least_error_around(n_bits):
    x = clustered(0, 4000, 9)
    codec = vp.SQ(n_bits).fit(x)
    most, fitted = 2**n_bits - 1, error(codec, x)
    low, high = codec.low_, codec.low_ + codec.step_ * most
    width = high - low
    for a, b in ((0, 0.03), (0, -0.03), (0.03, 0), (-0.03, 0), (0.03, -0.03), (-0.03, 0.03)):
        other_low, other_high = low + np.float32(a) * width, high + np.float32(b) * width
        other = sq(other_low.tolist(), ((other_high - other_low) / most).tolist(), n_bits)
        assert (fitted <= 1.01 * error(other, x)).all(), (a, b)


@pytest.mark.parametrize("outlier", [30, -30])
def test_outliers_do_not_spoil_the_range(outlier):
    x = np.random.default_rng(0).standard_normal((16000, 4)).astype(np.float32)
    plain = vp.SQ(4).fit(x)
    x[77, 2] = outlier
    spoilt = vp.SQ(4).fit(x)
    assert (spoilt.step_[[0, 1, 3]] == plain.step_[[0, 1, 3]]).all()
    np.testing.assert_allclose(spoilt.step_, plain.step_, rtol=0.25)  # from end to end it would be 4 times as wide
    stretched = sq([min(outlier, -4)] * 4, [34 / 15] * 4, 4)
    assert error(spoilt, x)[2] < 0.2 * error(stretched, x)[2]


@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize("n_bits", [4, 8])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e10, 16777217.0, 1e-45])
def test_a_constant_dimension_decodes_exactly(metric, n_bits, value):
    x = clustered(0, 333, 11)
    x[:, 4] = np.float32(value)
    codec = vp.SQ(n_bits, metric=metric).fit(x)
    assert codec.step_[4] == 0
    assert (codec.decode(codec.encode(x))[:, 4] == np.float32(value)).all()


@pytest.mark.parametrize("n_bits", [4, 8])
def test_a_code_encodes_to_itself_where_a_step_is_lost_in_rounding(n_bits):
    rng = np.random.default_rng(0)
    x = (np.array([1e8, -3e4, 1, 0, 1e-38]) + rng.standard_normal((900, 5)) * [20, 1e-2, 1e-7, 1e-44, 1e-40]).astype(np.float32)
    codec = vp.SQ(n_bits).fit(x)
    codes = codec.encode(x)
    assert bits(codec.encode(codec.decode(codes))) == bits(codes)
    spread = np.square(x - x.mean(axis=0, dtype=np.float64)).sum(axis=0)
    assert (error(codec, x)[:2] <= 0.25 * spread[:2]).all()  # columns of 16 and 29 different numbers


@pytest.mark.parametrize("n_bits", [4, 8, 16])
def test_one_vector_alone_is_learned_from(n_bits):
    x = values(0, 1, 9)
    codec = vp.SQ(n_bits).fit(x)
    assert np.isfinite(scan_all(codec, codec.encode(x), codec.query(x))).all()
    if n_bits < 16:
        assert bits(codec.decode(codec.encode(x)) + np.float32(0)) == bits(x + np.float32(0))


def test_sixteen_bits_are_those_of_raw():
    x, q = clustered(0, 99, 13), clustered(0, 7, 13, draw=1)
    for metric in ("ip", "l2", "cos"):
        codec, raw = vp.SQ(16, metric=metric).fit(x), vp.Raw("float16", metric=metric).fit(x)
        assert bits(codec.encode(x)) == bits(raw.encode(x)) and codec.group == raw.group == 2
        assert bits(scan_all(codec, codec.encode(x), codec.query(q))) == bits(scan_all(raw, raw.encode(x), raw.query(q)))


def test_more_bits_find_more():
    x, q = clustered(1, 2000, 32), clustered(1, 50, 32, draw=1)
    recall = [vp.evaluate(vp.SQ(n_bits), x, q, repeats=1).recall for n_bits in (4, 8, 16)]
    assert recall[0] > 0.7 and recall[1] > 0.97 and recall[2] > 0.99
