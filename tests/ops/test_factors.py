"""Per-vector factors: the two-byte floats, by hand and over all their patterns; numbers that a factor is multiplied with."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import ops
from vecpress.ops import Blocks, Factor
from vecpress.ops.factors import U2_LARGEST, from_u2, to_u2

PATTERNS = np.arange(2**16, dtype="<u2")


def f(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_two_byte_floats_by_hand():
    """2^(e - 31) (1 + f / 1024), and 2^-30 f / 1024 where e is 0."""
    patterns = [0, 31 << 10, (31 << 10) + 512, 32 << 10, 1 << 10, 1, 63 << 10]
    assert to_u2(f(0, 1, 1.5, 2, 2**-30, 2**-40, 2.0**32)).tolist() == patterns
    assert from_u2(np.array([0xFFFF, 1], "<u2")).tolist() == [2.0**33 - 2.0**22, 2.0**-40]


def test_every_pattern_is_a_number_of_its_own_and_survives():
    numbers = from_u2(PATTERNS)
    assert numbers.dtype == np.float32 and np.isfinite(numbers).all() and (np.diff(numbers) > 0).all()
    assert (to_u2(numbers) == PATTERNS).all()


def test_rounding_is_to_the_nearest_and_ties_to_even():
    numbers = from_u2(PATTERNS).astype(np.float64)
    normal = slice(2**10, None)  # below, float32 rounds first
    middle = ((numbers[:-1] + numbers[1:]) / 2)[normal]
    even = PATTERNS[:-1][normal] + (PATTERNS[:-1][normal] & 1)
    assert (to_u2(middle.astype(np.float32)) == even).all()
    rng = np.random.default_rng(0)
    x = (2.0 ** rng.uniform(-30, 32.9, 20000)).astype(np.float32)
    assert (np.abs(from_u2(to_u2(x)) - x) <= x * 2.0**-11).all()


def test_what_is_too_large_becomes_the_largest():
    assert to_u2(f(U2_LARGEST, np.nextafter(np.float32(U2_LARGEST), np.float32(np.inf)), 1e30)).tolist() == [0xFFFF] * 3
    assert to_u2(f(2.0**33 - 2.0**22)).tolist() == [0xFFFF]


@pytest.mark.parametrize("kind", ["f2", "f4", "u2"])
def test_a_factor_is_multiplied_with_its_times(kind):
    numbers = f(1, 2, 0.5)
    stored = to_u2(numbers) if kind == "u2" else numbers.astype("<" + kind)
    codes = np.hstack([stored[:, None].view(np.uint8), np.array([[4], [4], [4]], np.uint8)])
    tables = np.arange(256, dtype=np.float32)[None, None]
    blocks = Blocks.pack(codes, codes.shape[1] - 1)
    scores, ids = ops.lut8(blocks, tables, 3, scale=Factor(0, kind, times=-3))
    assert scores[0].tolist() == [-6, -12, -24] and ids[0].tolist() == [2, 0, 1]
    scores, _ = ops.lut8(blocks, tables, 3, bias=Factor(0, kind, times=100))
    assert scores[0].tolist() == [204, 104, 54]
    scores, _ = ops.lut8(blocks, tables, 3, bias=Factor(0, kind + "^2", times=100))
    assert scores[0].tolist() == [404, 104, 29]
