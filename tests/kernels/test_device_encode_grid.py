"""encode_grid on the device: the reference's labels and sums, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values
from tensors import same

from vecpress import ops


@pytest.mark.parametrize("n_bits", range(1, 9))
@pytest.mark.parametrize("n, d", [(0, 3), (1, 1), (1, 31), (2, 32), (3, 130), (1, 257)])
def test_labels_and_sums(modules, put, n_bits, n, d):
    y, along = values(n * d, n, d), values(1, d)
    got = modules.encode_grid.encode_grid(put(y), n_bits, put(along))
    for tensor, array in zip(got, ops.encode_grid(y, n_bits, along), strict=True):
        same(tensor, array)


@pytest.mark.parametrize("d", [6, 40])
def test_rows_that_are_short_or_even(modules, put, d):
    y = np.zeros((6, d), np.float32)
    y[1], y[2, 0], y[3], y[4, ::2], y[5] = 1, -(2.0**-101), -(2.0**90), 1e-30, 2.0**-100
    labels, sums = ops.encode_grid(y, 3)
    got = modules.encode_grid.encode_grid(put(y), 3)
    same(got[0], labels)
    same(got[1], sums)
