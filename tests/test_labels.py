"""Queries over labels: whatever the width, the sums are those of what labels stand for."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import ops
from vecpress.labels import label_query
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
