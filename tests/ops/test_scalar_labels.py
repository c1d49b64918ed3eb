"""What scalar_labels promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np

from vecpress import ops

F = np.float32


def test_by_hand():
    x = np.array([[0, 1, 2], [0.26, 1.49, 9], [-5, 1.51, 2.5]], F)
    low, step = np.array([0, 1, 1], F), np.array([0.5, 1, 1], F)
    assert ops.scalar_labels(x, low, step, 3).tolist() == [[0, 0, 1], [1, 0, 3], [0, 1, 2]]


def test_ties_go_to_even_and_no_number_is_0():
    x = np.array([[0.5, 1.5, 2.5, np.nan, np.inf, -np.inf]], F)
    low, one = np.zeros(6, F), np.ones(6, F)
    assert ops.scalar_labels(x, low, one, 255).tolist() == [[0, 2, 2, 0, 255, 0]]
    assert ops.scalar_labels(x[:, :3].copy(), low[:3], np.full(3, np.inf, F), 255).tolist() == [[0, 0, 0]]
