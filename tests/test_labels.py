"""Queries over labels: whatever the width, the sums are those of what labels stand for."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import ops
from vecpress.labels import label_query, nibble_tables
from vecpress.ops import Blocks
from vecpress.ops.dot import even_levels


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("n_bits", range(1, 9))
@pytest.mark.parametrize("d", [1, 3, 8, 21])
def test_sums_are_of_what_labels_stand_for(d, n_bits, even):
    rng = np.random.default_rng(d)
    rows = rng.standard_normal((2, d)).astype(np.float32)
    levels = even_levels(n_bits) if even else np.sort(rng.standard_normal(2**n_bits)).astype(np.float32)
    labels = rng.integers(0, 2**n_bits, (9, d), dtype=np.uint8)
    constant = np.array([10, -20], np.float32)
    query = label_query(rows, n_bits, None if even else levels, scale=2.0, constant=constant)
    scores, ids = query.search(Blocks.pack(ops.pack_codes(labels, n_bits)), 9)
    expected = 2 * rows @ levels[labels].T + constant[:, None]
    np.testing.assert_allclose(scores, np.take_along_axis(expected, ids, axis=1), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("n_bits", [1, 2])
def test_tables_of_nibbles_by_hand(n_bits):
    rows = np.array([[1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7]], np.float32)[:, : 8 // n_bits]
    tables = nibble_tables(rows, np.arange(2**n_bits, dtype=np.float32), n_bits)
    byte = ops.pack_codes((np.arange(8 // n_bits, dtype=np.uint8) % 2)[None], n_bits)[0, 0]
    assert tables[0, 0, byte & 15] + tables[0, 1, byte >> 4] == rows[0, 1::2].sum()
    assert tables.shape == (1, 2, 16) and tables[0, :, 0].tolist() == [0, 0]
