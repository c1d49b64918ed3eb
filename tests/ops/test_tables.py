"""What tables promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np
from hard_values import values

from vecpress import ops


def test_by_hand():
    codebooks = np.array([[[1, 0], [0, 2]], [[1, 1], [3, -1]]], np.float32)
    q = np.array([[5, 7, 1, 2]], np.float32)
    assert ops.tables(q, codebooks).tolist() == [[[5, 14], [3, 1]]]
    assert ops.tables(q, codebooks, l2=True).tolist() == [[[-65, -50], [-1, -13]]]


def test_picked_entries_sum_to_the_product_and_the_distance():
    m, ks, dsub = 6, 16, 5
    q, codebooks = values(1, 4, m * dsub), values(2, m, ks, dsub)
    codes = np.random.default_rng(3).integers(0, ks, (30, m))
    decoded = codebooks[np.arange(m), codes].reshape(30, m * dsub).astype(np.float64)
    picked = [ops.tables(q, codebooks, l2=l2)[:, np.arange(m), codes].astype(np.float64).sum(axis=2) for l2 in (False, True)]
    size = np.abs(q).astype(np.float64) @ np.abs(decoded).T
    assert np.all(np.abs(picked[0] - q.astype(np.float64) @ decoded.T) <= 1e-6 * size)
    np.testing.assert_allclose(picked[1], -((q[:, None].astype(np.float64) - decoded) ** 2).sum(axis=2), rtol=1e-6)


def test_a_centroid_is_at_distance_0_from_itself():
    codebooks = values(1, 3, 16, 4)
    rows = codebooks.transpose(1, 0, 2).reshape(16, 12)
    out = ops.tables(np.ascontiguousarray(rows), codebooks, l2=True)
    assert not out[np.arange(16), :, np.arange(16)].any()
    assert np.all(out <= 0)
