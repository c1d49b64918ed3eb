"""fma32 against exact rational arithmetic, and the argument checks that every operation makes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hard_values import FINITE, HUGE, TINY

from vecpress.ops.numerics import array, fma32

LARGEST = Fraction(HUGE)
HALF_STEP_PAST = LARGEST + Fraction(2) ** 103  # from here on round-to-nearest gives infinity


def rounded(exact: Fraction) -> np.float32:
    """The float32 nearest to an exact number, ties to the even one: IEEE 754 by its definition, not by any float arithmetic."""
    size = abs(exact)
    if size == 0:
        return np.float32(0)
    if size >= HALF_STEP_PAST:
        value = np.inf
    else:
        exponent = max(size.numerator.bit_length() - size.denominator.bit_length() - 24, -149)
        while size >= Fraction(2) ** (exponent + 24):
            exponent += 1
        value = float(round(size / Fraction(2) ** exponent) * Fraction(2) ** exponent)  # round() of a Fraction: ties to even
    return np.float32(value if exact > 0 else -value)


def test_the_oracle_rounds_as_numpy_does():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000) * 2.0 ** rng.integers(-155, 128, 2000)
    with np.errstate(over="ignore"):
        assert [rounded(Fraction(v)) for v in x] == x.astype(np.float32).tolist()


def check_fma(a, b, c) -> None:
    got = fma32(a, b, c)
    assert got.dtype == np.float32
    for i in range(len(a)):
        want = rounded(Fraction(float(a[i])) * Fraction(float(b[i])) + Fraction(float(c[i])))
        assert got[i] == want, (a[i], b[i], c[i])


def test_fma_of_random_numbers():
    rng = np.random.default_rng(1)
    for scale in (0, 20, 60):
        a, b, c = (rng.standard_normal((3, 3000)) * 2.0 ** rng.integers(-scale, scale + 1, (3, 3000))).astype(np.float32)
        check_fma(a, b, c)


def test_fma_of_hard_numbers():
    a, b, c = (part.ravel() for part in np.meshgrid(FINITE, FINITE, FINITE))
    check_fma(a, b, c)


def test_fma_where_two_roundings_go_wrong():
    """The exact sum lies just beside the middle of two float32: rounding to float64 first would land on the middle."""
    steps = np.float32(2.0) ** np.arange(-60, -24, dtype=np.float32)
    one_and_half_step = np.float32(1) + np.float32(2**-23)
    for near in (np.float32(1), one_and_half_step, -one_and_half_step):
        for sign in (1, -1):
            # near + 2^-24 is a middle; a * b is 2^-24 but for a part of it too small for float64 beside `near`
            for tiny in steps:
                a = np.float32(2.0**-12 * (1 + 2.0**-23))
                b = np.float32(2.0**-12)
                check_fma(np.array([a, a]), np.array([b * sign, b]), np.array([near, near * sign]))
                check_fma(np.array([tiny]), np.array([np.float32(sign)]), np.array([near]))
    # products that cancel the addend but for their last bits, and sums that are subnormal
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 2000)).astype(np.float32)
    check_fma(a, b, -(a * b))
    a, b = a * np.float32(2.0**-70), b * np.float32(2.0**-70)
    check_fma(a, b, np.full(2000, TINY, np.float32))
    check_fma(a, b, rng.standard_normal(2000).astype(np.float32) * np.float32(2.0**-140))


def test_fma_overflows_to_infinity():
    huge = np.array([HUGE], np.float32)
    with np.errstate(over="ignore"):
        assert fma32(huge, huge, huge) == np.inf
        assert fma32(huge, np.float32(1), np.float32(2.0**102)) == HUGE  # below half a step past the largest
        assert fma32(huge, np.float32(1), np.float32(2.0**103)) == np.inf


def test_array_never_converts():
    good = np.zeros((3, 4), np.float32)
    assert array("op", "x", good, np.float32, (3, None)) is good
    fortran = np.asfortranarray(good)
    assert array("op", "x", fortran, np.float32, (None, 4)).flags.c_contiguous
    with pytest.raises(TypeError, match="op: x expected a float32 array, got float64"):
        array("op", "x", good.astype(np.float64), np.float32, (None, 4))
    with pytest.raises(TypeError, match="op: x expected a float32 array, got list"):
        array("op", "x", [[0.0]], np.float32, (None, 1))
    with pytest.raises(TypeError, match="op: x expected a float32 array, got >f4"):
        array("op", "x", good.astype(">f4"), np.float32, (None, 4))
    with pytest.raises(ValueError, match=r"op: x expected shape \(any, 5\), got \(3, 4\)"):
        array("op", "x", good, np.float32, (None, 5))
    with pytest.raises(ValueError, match=r"op: x expected shape \(any\), got \(3, 4\)"):
        array("op", "x", good, np.float32, (None,))
