"""The byte scan by hand, and against sums in float64."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks

BACKENDS = dispatch.operations()["lut8"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_by_hand(backend, need_backend):
    need_backend(backend)
    tables = np.stack([np.arange(256), 1000 * np.arange(256)]).astype(np.float32)[None]
    codes = np.array([[255, 0], [3, 2], [0, 255], [3, 2]], np.uint8)
    with dispatch.use(backend):
        scores, ids = ops.lut8(Blocks.pack(codes), tables, 4)
    assert scores.tolist() == [[255000, 2003, 2003, 255]]
    assert ids.tolist() == [[2, 1, 3, 0]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_finds_the_largest_sums(backend, need_backend):
    need_backend(backend)
    rng = np.random.default_rng(2)
    tables = rng.standard_normal((4, 20, 256)).astype(np.float32)
    codes = rng.integers(0, 256, (3000, 20), dtype=np.uint8)
    sums = tables.astype(np.float64)[:, np.arange(20), codes].sum(axis=2)
    with dispatch.use(backend):
        scores, ids = ops.lut8(Blocks.pack(codes), tables, 12)
    np.testing.assert_allclose(scores, -np.sort(-sums, axis=1)[:, :12], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(sums, ids, axis=1), scores, rtol=1e-5)
