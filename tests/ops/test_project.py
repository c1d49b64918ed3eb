"""What project promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values

from vecpress import dispatch, ops


@pytest.mark.parametrize("n, d, p", [(5, 1, 1), (40, 100, 37), (9, 700, 130)])
def test_is_the_product_within_float32(n, d, p):
    x, matrix, offset = values(1, n, d), values(2, d, p), values(3, p)
    exact = x.astype(np.float64) @ matrix + offset
    size = np.abs(x).astype(np.float64) @ np.abs(matrix) + np.abs(offset)
    assert np.all(np.abs(ops.project(x, matrix, offset) - exact) <= (d + 1) * 2.0**-24 * size)


def test_by_hand():
    x = np.array([[1, 2], [0, -1]], np.float32)
    matrix = np.array([[1, 0, 10], [3, 1, 0]], np.float32)
    offset = np.array([100, 0, -1], np.float32)
    assert ops.project(x, matrix, offset).tolist() == [[107, 2, 9], [97, -1, -1]]


def test_terms_are_fused_and_in_order():
    """1 + 2^-24 rounds to 1 at each step, so small terms vanish one by one; a product is not rounded before it is added."""
    small = np.float32(2.0**-24)
    x = np.array([[1, 1, 1]], np.float32)
    assert ops.project(x, np.array([[1], [small], [small]], np.float32))[0, 0] == 1
    assert ops.project(x, np.array([[small], [small], [1]], np.float32))[0, 0] == np.float32(1 + 2.0**-23)
    a = np.float32(1 + 2.0**-12)
    product = ops.project(np.array([[1, a]], np.float32), np.array([[-1], [a]], np.float32))[0, 0]
    assert product == np.float32(float(a) * float(a) - 1) != a * a - np.float32(1)


@pytest.mark.parametrize("backend", [b for b in dispatch.operations()["project"]])
def test_a_row_alone_equals_the_row_in_a_batch(backend, need_backend):
    need_backend(backend)
    x, matrix = values(1, 41, 70), values(2, 70, 53)
    with dispatch.use(backend):
        batch = ops.project(x, matrix)
        for i in (0, 7, 40):
            assert ops.project(x[i : i + 1], matrix).tobytes() == batch[i].tobytes()


def test_no_offset_is_an_offset_of_zeros():
    x, matrix = values(1, 3, 8), values(2, 8, 5)
    assert np.array_equal(ops.project(x, matrix), ops.project(x, matrix, np.zeros(5, np.float32)))


def test_no_terms_leave_the_offset():
    offset = values(1, 5)
    assert np.array_equal(ops.project(np.zeros((2, 0), np.float32), np.zeros((0, 5), np.float32), offset), [offset, offset])
