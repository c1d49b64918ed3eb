"""What pack_bits promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np
from hard_values import SIZES, TINY, values

from vecpress import ops


def test_equals_numpy_packbits():
    for d in SIZES:
        x, thresholds = values(d, 9, d), values(d + 1, d)
        assert np.array_equal(ops.pack_bits(x, thresholds), np.packbits(x > thresholds, axis=1))


def test_by_hand():
    x = np.array([[1, -1, 0, 2, 0, 0, 0, 5, 1, 1]], np.float32)
    assert ops.pack_bits(x, np.zeros(10, np.float32)).tolist() == [[0b10010001, 0b11000000]]


def test_a_value_at_its_threshold_gives_0():
    x = np.array([[0.0, -0.0, TINY, -TINY, 1.5, np.nextafter(np.float32(1.5), np.float32(2)), 0.0, 0.0]], np.float32)
    thresholds = np.array([-0.0, 0.0, 0.0, 0.0, 1.5, 1.5, TINY, -TINY], np.float32)
    assert ops.pack_bits(x, thresholds).tolist() == [[0b00100101]]
