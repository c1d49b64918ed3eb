"""The nibble scan by hand, and against sums in float64."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks

BACKENDS = dispatch.operations()["lut4"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_by_hand(backend, need_backend):
    """Sub-code 0 is the low nibble of byte 0, sub-code 1 its high nibble."""
    need_backend(backend)
    tables = np.zeros((1, 3, 16), np.float32)
    tables[0, 0] = np.arange(16)
    tables[0, 1] = 100 * np.arange(16)
    tables[0, 2] = 10000 * np.arange(16)
    codes = np.array([[0x21, 0x03], [0x12, 0x03], [0xFF, 0x00], [0x21, 0x03]], np.uint8)
    with dispatch.use(backend):
        scores, ids = ops.lut4(Blocks.pack(codes), tables, 4)
    assert scores.tolist() == [[30201, 30201, 30102, 1515]]
    assert ids.tolist() == [[0, 3, 1, 2]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_unused_last_nibble_counts_for_nothing(backend, need_backend):
    need_backend(backend)
    tables = np.random.default_rng(0).standard_normal((3, 5, 16)).astype(np.float32)
    codes = np.random.default_rng(1).integers(0, 256, (80, 3), dtype=np.uint8)
    clean = codes.copy()
    clean[:, 2] &= 15
    with dispatch.use(backend):
        for mine, other in zip(ops.lut4(Blocks.pack(codes), tables, 9), ops.lut4(Blocks.pack(clean), tables, 9), strict=True):
            assert np.array_equal(mine, other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_finds_the_largest_sums(backend, need_backend):
    need_backend(backend)
    rng = np.random.default_rng(2)
    tables = rng.standard_normal((4, 40, 16)).astype(np.float32)
    codes = rng.integers(0, 256, (3000, 20), dtype=np.uint8)
    nibbles = np.stack((codes & 15, codes >> 4), axis=2).reshape(3000, 40)
    sums = tables.astype(np.float64)[:, np.arange(40), nibbles].sum(axis=2)
    with dispatch.use(backend):
        scores, ids = ops.lut4(Blocks.pack(codes), tables, 12)
    np.testing.assert_allclose(scores, -np.sort(-sums, axis=1)[:, :12], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(sums, ids, axis=1), scores, rtol=1e-5)
