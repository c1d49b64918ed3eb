"""What norms promises beyond equality with its reference."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from calls import order_shows
from hard_values import FINITE, HUGE, SIZES, TINY, values

from vecpress import ops


def exact(row: np.ndarray) -> float:
    """The norm from the exact sum of squares, scaled by powers of two so that its square root neither over- nor underflows."""
    total = sum((Fraction(float(v)) ** 2 for v in row), Fraction(0))
    return math.sqrt(total * Fraction(4) ** 300) * 2.0**-300 if total < 1 else math.sqrt(total)


@pytest.mark.parametrize("d", [s for s in SIZES if s])
def test_within_one_step_of_float32(d):
    for x in (values(d, 12, d), np.random.default_rng(d).choice(FINITE[np.abs(FINITE) < 1e19], (12, d))):
        wanted = np.array([exact(row) for row in x])
        assert np.all(np.abs(ops.norms(x) - wanted) <= np.spacing(wanted.astype(np.float32)))


def test_neither_overflows_nor_underflows_early():
    assert ops.norms(np.full((1, 4), HUGE / 2, np.float32))[0] == np.float32(HUGE)
    assert ops.norms(np.array([[HUGE, HUGE]], np.float32))[0] == np.inf
    assert ops.norms(np.full((1, 4), TINY, np.float32))[0] == np.float32(2 * TINY)
    assert ops.norms(np.zeros((2, 0), np.float32)).tolist() == [0, 0]


def test_three_four_five():
    assert ops.norms(np.array([[3, 4], [-5, 12]], np.float32)).tolist() == [5, 13]


def test_the_order_of_addition_shows():
    """The equality suite has such rows: the order of addition is part of what it tests."""
    x = order_shows(0, 200, 40)
    squares = x.astype(np.float64) ** 2
    in_turn, lanes = np.zeros(200), np.zeros((200, 8))
    for t in range(40):
        in_turn += squares[:, t]
        lanes[:, t % 8] += squares[:, t]
    a, b, c, d, e, f, g, h = lanes.T
    for total in (in_turn, ((a + c) + (e + g)) + ((b + d) + (f + h))):
        assert (np.sqrt(total).astype(np.float32) != ops.norms(x)).any()
