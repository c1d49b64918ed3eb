"""What encode_sq promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np

from vecpress import ops

F = np.float32


def test_by_hand():
    x = np.array([[0, 1, 2], [0.26, 1.49, 9], [-5, 1.51, 99]], F)
    low, step = np.array([0, 1, 1], F), np.array([0.5, 1, 1], F)
    codes, first = ops.encode_sq(x, low, step, 4)
    assert codes.tolist() == [[0x00, 0x01], [0x01, 0x08], [0x10, 0x0F]] and first == 3
    assert ops.encode_sq(x, low, step, 8)[0].tolist() == [[0, 0, 1], [1, 0, 8], [0, 1, 98]]


def test_ties_go_to_even_and_no_number_is_0():
    x = np.array([[0.5, 1.5, 2.5, np.nan, np.inf, -np.inf]], F)
    low, one = np.zeros(6, F), np.ones(6, F)
    assert ops.encode_sq(x, low, one, 8)[0].tolist() == [[0, 2, 2, 0, 255, 0]]
    assert ops.encode_sq(x[:, :3].copy(), low[:3], np.full(3, np.inf, F), 8)[0].tolist() == [[0, 0, 0]]


def test_the_first_row_beyond_what_is_allowed():
    x = np.zeros((9, 70), F)
    x[4, 69], x[5, 0], x[7, 3] = -2, np.inf, np.nan
    firsts = [ops.encode_sq(x, np.zeros(70, F), np.ones(70, F), 8, largest=largest)[1] for largest in (1, 2, np.inf)]
    assert firsts == [4, 5, 7]


def test_a_magnitude_is_allowed_up_to_the_last_bit():
    for d in (64, 70, 384):
        for largest in (F(2.0**50), F(3), F(1e-30), F(3e38)):
            x = np.zeros((5, d), F)
            x[1, d - 1], x[3, d - 7] = -largest, np.nextafter(largest, F(np.inf))
            assert ops.encode_sq(x, np.zeros(d, F), np.ones(d, F), 8, largest=float(largest))[1] == 3
