"""What only Sign promises: bits by hand, Hamming by hand, and scores of the decoded vector without the mean lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hard_values import SIZES, values
from helpers import bits, clustered, scan_all

import vecpress as vp


def sign(mean: list[float], level: float, metric: str = "ip") -> vp.Sign:
    arrays = {"mean_": np.array(mean, np.float32), "level_": np.array([level], np.float32)}
    return vp.Sign.restore({"metric": metric}, len(mean), arrays)


def test_bits_by_hand():
    codec = sign([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 1.0)
    x = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 1, 2, 4, 4, 5, 6, 8, 9, 9], [9] * 9 + [10]]
    # above the mean is 1, at it 0; dimension 0 is the highest bit; the last byte is filled up with 0
    assert codec.encode(x).tolist() == [[0b00000000, 0b00000000], [0b10010001, 0b10000000], [0b11111111, 0b11000000]]
    assert codec.code_size == 2
    assert codec.decode(codec.encode(x))[1].tolist() == [1, 0, 1, 4, 3, 4, 5, 8, 9, 8]


@pytest.mark.parametrize("d", [size for size in SIZES if size])
def test_bits_are_those_of_numpy(d):
    x = values(d, 33, d)
    codec = vp.Sign().fit(x)
    assert codec.code_size == math.ceil(d / 8)
    assert bits(codec.encode(x)) == bits(np.packbits(x > codec.mean_, axis=1))


def test_learned_are_the_mean_and_the_mean_distance_from_it():
    x = clustered(0, 500, 17)
    codec = vp.Sign().fit(x)
    mean = x.mean(axis=0, dtype=np.float64)
    np.testing.assert_array_max_ulp(codec.mean_, mean.astype(np.float32), maxulp=1)
    np.testing.assert_allclose(codec.level_, [np.abs(x - mean).mean()], rtol=1e-6)
    errors = []
    for factor in (0.98, 1.0, 1.02):  # no other level has a smaller error
        other = sign(codec.mean_.tolist(), float(codec.level_[0]) * factor)
        errors.append(((other.decode(other.encode(x)).astype(np.float64) - x) ** 2).sum())
    assert errors[1] < min(errors[0], errors[2])


def test_the_mean_is_taken_over_all_blocks(monkeypatch):
    x = clustered(0, 500, 16)
    whole = vp.Sign().fit(x)
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 4 * 16 * 33)
    parts = vp.Sign().fit(x)
    np.testing.assert_array_max_ulp(parts.mean_, whole.mean_, maxulp=1)
    np.testing.assert_allclose(parts.level_, whole.level_, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e10, 16777217.0, 1e-45, 255.0])
def test_a_constant_dimension_gives_zero(value):
    x = clustered(0, 333, 11)
    x[:, 4] = np.float32(value)
    codec = vp.Sign().fit(x)
    assert (np.unpackbits(codec.encode(x), axis=1)[:, 4] == 0).all()
    assert codec.mean_[4] == np.float32(value)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_one_vector_alone_is_learned_from(metric):
    x = values(0, 1, 9)
    codec = vp.Sign(metric=metric).fit(x)
    assert (codec.encode(x) == 0).all() and codec.level_ == 0
    for symmetric in (False, True):
        assert np.isfinite(scan_all(codec, codec.encode(x), codec.query(x, symmetric=symmetric))).all()


def test_values_whose_squares_overflow_are_refused():
    codec = vp.Sign(metric="l2").fit(values(0, 9, 4))
    for call in (codec.fit, codec.encode):
        call([[2.0**50, 0, 0, 1]])
        with pytest.raises(ValueError, match=r"expected absolute values up to 1\.12589991e\+15, row 0 has -2\.25179981e\+15"):
            call([[-(2.0**51), 0, 0, 1]])


def test_a_bit_is_kept_where_the_level_is_lost_in_the_rounding_of_the_mean():
    codec = sign([1e8] * 8, 0.25)
    codes = np.array([[0b10110001]], np.uint8)
    assert (codec.encode(codec.decode(codes)) == codes).all()


def test_float_scores_by_hand():
    codes = np.array([[0b10100000, 0b10000000]], np.uint8)  # x_hat = mean + (2, -2, 2, -2, -2, -2, -2, -2, 2, -2)
    mean = [10.0, 0, 0, 0, 0, 0, 0, 0, 0, -1]
    q = [[1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10]]
    x_hat = [12, -2, 2, -2, -2, -2, -2, -2, 2, -3]
    product = sum(a * b for a, b in zip(q[0], x_hat, strict=True))
    assert scan_all(sign(mean, 2.0), codes, sign(mean, 2.0).query(q)).tolist() == [[product]]
    distance = sum((a - b) ** 2 for a, b in zip(q[0], x_hat, strict=True))
    assert scan_all(sign(mean, 2.0, "l2"), codes, sign(mean, 2.0, "l2").query(q)).tolist() == [[-distance]]


@pytest.mark.parametrize("d", [size for size in SIZES if size])
@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_whole_numbers_score_exactly(d, metric):
    rng = np.random.default_rng(d)
    codec = sign(rng.integers(-20, 20, d).tolist(), 3.0, metric)
    q = rng.integers(-50, 50, (5, d)).astype(np.float32)
    codes = codec.encode(rng.integers(-50, 50, (65, d)).astype(np.float32))
    decoded = codec.decode(codes)
    expected = -((q[:, None] - decoded[None]) ** 2).sum(axis=2) if metric == "l2" else q @ decoded.T
    assert (scan_all(codec, codes, codec.query(q)) == expected).all()


def test_the_mean_is_not_dropped_from_scores():
    x = clustered(0, 300, 16) + 100
    codec = vp.Sign().fit(x)
    scores = scan_all(codec, codec.encode(x), codec.query(x[:5]))
    np.testing.assert_allclose(scores, x[:5].astype(np.float64) @ x.T.astype(np.float64), rtol=0.02)


TABLE = [  # two codes and the number of bits in which they differ
    ("00000000 00", "00000000 00", 0),
    ("10000000 00", "00000000 00", 1),
    ("00000000 01", "00000000 00", 1),
    ("11111111 11", "00000000 00", 10),
    ("10101010 10", "01010101 01", 10),
    ("10101010 10", "10101010 01", 2),
    ("11110000 00", "11000011 00", 4),
]


@pytest.mark.parametrize(("query", "code", "distance"), TABLE)
def test_hamming_by_hand(query, code, distance):
    level, mean = 1.5, [float(t) for t in range(10)]
    above = np.array([[int(b) for b in text.replace(" ", "")] for text in (query, code)])
    x = np.array(mean) + np.where(above, 0.25, -0.25)
    for metric, expected in (
        ("l2", -4 * level**2 * distance),
        ("ip", sum(c * c for c in mean) + 10 * level**2 - 2 * level**2 * distance),
        ("cos", None),
    ):
        codec = sign(mean, level, metric)
        if metric == "cos":  # a code of its own: lengths change which side of the mean a component is on
            codes = codec.encode(x)
            distance = int(np.unpackbits(codes[0] ^ codes[1]).sum())
            expected = sum(c * c for c in mean) + 10 * level**2 - 2 * level**2 * distance
        codes = codec.encode(x[1:])
        assert scan_all(codec, codes, codec.query(x[:1], symmetric=True)).tolist() == [[expected]]


def test_symmetric_l2_is_the_distance_of_the_decoded_vectors():
    x = clustered(0, 130, 30)
    codec = vp.Sign(metric="l2").fit(x)
    codes = codec.encode(x)
    decoded = codec.decode(codes).astype(np.float64)
    expected = -((decoded[:5, None] - decoded[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(scan_all(codec, codes, codec.query(x[:5], symmetric=True)), expected, rtol=1e-5, atol=1e-5)


def test_symmetric_ip_is_the_product_of_the_decoded_vectors_but_for_its_linear_terms():
    x = clustered(0, 130, 30)
    codec = vp.Sign().fit(x)
    codes = codec.encode(x)
    decoded, mean = codec.decode(codes).astype(np.float64), codec.mean_.astype(np.float64)
    linear = (decoded - mean) @ mean
    expected = decoded[:5] @ decoded.T - linear[:5, None] - linear[None]
    np.testing.assert_allclose(scan_all(codec, codes, codec.query(x[:5], symmetric=True)), expected, rtol=1e-5)
