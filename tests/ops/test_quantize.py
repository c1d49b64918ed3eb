"""What quantize promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import FINITE, TINY, values

from vecpress import ops


def test_by_hand():
    x = np.array([[-9, -1, -0.5, 0, 0.5, 1, 9], [np.inf, -np.inf, np.nan, 1.0000001, -1.0000001, 0, 1]], np.float32)
    thresholds = np.array([-1, 0, 1], np.float32)
    assert ops.quantize(x, thresholds).tolist() == [[0, 0, 1, 1, 2, 2, 3], [3, 0, 0, 3, 0, 1, 2]]


def test_zeros_of_either_sign_are_one_number():
    x = np.array([[0.0, -0.0, TINY, -TINY]], np.float32)
    for zero in (0.0, -0.0):
        assert ops.quantize(x, np.array([zero], np.float32)).tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63, 64, 100, 255])
def test_equals_searchsorted(count):
    x = values(count, 40, 33)
    for thresholds in (np.sort(values(count + 1, count)), np.sort(np.random.default_rng(0).choice(FINITE, count))):
        assert np.array_equal(ops.quantize(x, thresholds), np.searchsorted(thresholds, x, side="left"))


def test_infinite_thresholds():
    x = np.array([[-np.inf, 0, np.inf]], np.float32)
    for count in (2, 40):
        thresholds = np.full(count, np.inf, np.float32)
        thresholds[0] = -np.inf
        assert ops.quantize(x, thresholds).tolist() == [[0, 1, 1]]
