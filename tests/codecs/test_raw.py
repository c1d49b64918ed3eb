"""What only Raw promises: exactness, and float16 by the book."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import FINITE, SIZES, values
from helpers import bits, scan_all

import vecpress as vp


@pytest.mark.parametrize("n", SIZES)
def test_float32_codes_are_the_bytes_of_the_vectors(n):
    x = np.resize(FINITE, (n, 7)).astype(np.float32)
    codec = vp.Raw().fit(np.zeros((1, 7), np.float32))
    assert codec.code_size == 28 and codec.bits_per_dim == 32 and codec.state_nbytes == 0
    assert bits(codec.encode(x)) == x.astype("<f4").tobytes()
    assert bits(codec.decode(codec.encode(x))) == bits(x)


def test_float16_codes_round_to_nearest_even():
    x = np.array([[1 + 2.0**-11, 1 + 3 * 2.0**-11, 2.0**-25, 3 * 2.0**-25, 65504.0, -65504.0, -0.0, 0.1]], np.float32)
    codec = vp.Raw("float16").fit(x)
    assert codec.code_size == 16 and codec.bits_per_dim == 16
    expected = [[1.0, 1 + 2.0**-9, 0.0, 2.0**-23, 65504.0, -65504.0, -0.0, 0.0999755859375]]
    assert codec.decode(codec.encode(x)).tolist() == expected
    assert bits(codec.encode(x)) == bytes.fromhex("003c023c00000200ff7bfffb0080662e")


def test_every_float16_survives():
    x = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(-1, 64)
    x = x[np.isfinite(x).all(axis=1)]
    codec = vp.Raw("float16").fit(x)
    assert bits(codec.encode(x)) == x.astype("<f2").tobytes()
    assert bits(codec.decode(codec.encode(x))) == bits(x.astype(np.float32))


@pytest.mark.parametrize("value", [65504.004, 65519.0, 65520.0, -65536.0, 1e30])
def test_what_float16_cannot_hold_is_refused_and_never_infinite(value):
    codec = vp.Raw("float16").fit(np.zeros((1, 3), np.float32))
    x = np.zeros((4, 3), np.float32)
    x[2, 1] = value
    for call in (codec.fit, codec.encode, lambda x: codec.query(x, symmetric=True)):
        with pytest.raises(ValueError, match="expected absolute values up to 65504, row 2 has"):
            call(x)
    codec.query(x)  # a float query is not stored, so float16 is no limit for it


def exact(q: np.ndarray, x: np.ndarray, metric: str) -> np.ndarray:
    q, x = q.astype(np.float64), x.astype(np.float64)
    return -((q[:, None] - x[None]) ** 2).sum(axis=2) if metric == "l2" else q @ x.T


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_small_whole_numbers_score_exactly(dtype, metric):
    rng = np.random.default_rng(0)
    q, x = (rng.integers(-50, 50, (n, 33)).astype(np.float32) for n in (5, 130))
    codec = vp.Raw(dtype, metric=metric).fit(x)
    for symmetric in (False, True):
        assert (scan_all(codec, codec.encode(x), codec.query(q, symmetric=symmetric)) == exact(q, x, metric)).all()


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_the_scan_reads_float16_as_its_float32(metric):
    x, q = values(1, 97, 17), values(2, 3, 17)
    half, full = vp.Raw("float16", metric=metric).fit(x), vp.Raw(metric=metric).fit(x)
    rounded = full.encode(half.decode(half.encode(x)))
    assert bits(scan_all(half, half.encode(x), half.query(q))) == bits(scan_all(full, rounded, full.query(q)))


def test_under_cos_vectors_are_stored_with_length_one_and_zero_stays_zero():
    x = values(3, 33, 9)
    x[4] = 0
    codec = vp.Raw(metric="cos").fit(x)
    lengths = np.linalg.norm(codec.decode(codec.encode(x)).astype(np.float64), axis=1)
    np.testing.assert_allclose(np.delete(lengths, 4), 1, rtol=1e-6)
    assert lengths[4] == 0
    assert (scan_all(codec, codec.encode(x), codec.query(x))[:, 4] == 0).all()


def test_the_dtype_is_one_of_two():
    with pytest.raises(ValueError, match=r"^Raw: dtype expected one of 'float32', 'float16', got 'int8'$"):
        vp.Raw("int8")
