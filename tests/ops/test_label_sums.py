"""What label_sums promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np

from vecpress import ops


def test_by_hand():
    x = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    assert ops.label_sums(x, np.array([2, 0, 2], np.int32), 3).tolist() == [[3, 4], [0, 0], [6, 8]]


def test_rows_are_added_in_order():
    """2^53, then 1 twice: added to it one by one, both are lost; the other way round, their sum is not."""
    ascending = np.array([[1], [1], [2.0**53]], np.float32)
    labels = np.zeros(3, np.int32)
    assert ops.label_sums(ascending, labels, 1)[0, 0] == 2.0**53 + 2
    assert ops.label_sums(ascending[::-1].copy(), labels, 1)[0, 0] == 2.0**53


def test_no_rows():
    assert ops.label_sums(np.zeros((0, 2), np.float32), np.zeros(0, np.int32), 2).tolist() == [[0, 0], [0, 0]]
