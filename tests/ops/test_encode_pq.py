"""What encode_pq promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values

from vecpress import dispatch, ops

BACKENDS = dispatch.operations()["encode_pq"]


def labels_of(codes: np.ndarray, m: int, ks: int) -> np.ndarray:
    """Labels int[n, m] by the layout in the docstring, byte by byte."""
    if ks == 256:
        return codes.astype(int)
    return np.array([[row[j // 2] >> 4 if j % 2 else row[j // 2] & 15 for j in range(m)] for row in codes.tolist()])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("m, ks", [(1, 16), (2, 16), (7, 16), (8, 16), (17, 16), (1, 256), (3, 256), (4, 256), (9, 256)])
def test_planted_centroids_encode_exactly(m, ks, backend, need_backend):
    need_backend(backend)
    rng = np.random.default_rng(m)
    codebooks = rng.standard_normal((m, ks, 3)).astype(np.float32)
    labels = rng.integers(0, ks, (45, m))
    x = codebooks[np.arange(m), labels].reshape(45, m * 3)
    with dispatch.use(backend):
        codes = ops.encode_pq(x, codebooks)
    assert codes.shape == (45, m if ks == 256 else (m + 1) // 2)
    assert np.array_equal(labels_of(codes, m, ks), labels)
    if ks == 16 and m % 2:
        assert not (codes[:, -1] >> 4).any()


def test_is_assign_for_every_sub_vector():
    for m, ks in ((5, 16), (4, 256)):
        x, codebooks = values(1, 50, m * 6), values(2, m, ks, 6)
        labels = np.stack([ops.assign(x[:, 6 * j : 6 * j + 6], codebooks[j])[0] for j in range(m)], axis=1)
        assert np.array_equal(labels_of(ops.encode_pq(x, codebooks), m, ks), labels)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_encodes_the_same_alone_and_in_a_batch(backend, need_backend):
    need_backend(backend)
    x, codebooks = values(1, 67, 24), values(2, 6, 256, 4)
    with dispatch.use(backend):
        batch = ops.encode_pq(x, codebooks)
        alone = np.vstack([ops.encode_pq(x[i : i + 1], codebooks) for i in range(67)])
        by_column = ops.encode_pq(x, np.ascontiguousarray(codebooks.transpose(0, 2, 1)), by_column=True)
    assert np.array_equal(batch, alone) and np.array_equal(batch, by_column)
