"""What rotate promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import SIZES

from vecpress import ops

DIMS = [s for s in SIZES if s] + [384, 768, 1000]


def signs_of(d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, d)).integers(0, 256, (4, -(-d // 8)), dtype=np.uint8)


def normal(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(d).standard_normal((n, d)).astype(np.float32)


def by_matrices(x: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """The rotation as the docstring has it, as float64 matrices: nothing in common with the kernels."""
    d = x.shape[1]
    w = 2 ** int(np.log2(d))
    bits = np.array([[f"{b:08b}" for b in row] for row in signs])
    parity = np.array([[bin(i & j).count("1") & 1 for j in range(w)] for i in range(w)])
    y = x.astype(np.float64)
    for r in range(4):
        y = y * [1 - 2 * int(c) for c in "".join(bits[r])[:d]]
        where = slice(d - w, d) if r % 2 else slice(0, w)
        y[:, where] = y[:, where] @ ((1 - 2 * parity) / np.sqrt(w))
        if w < d:
            a, b = y[:, : d // 2].copy(), y[:, d // 2 : 2 * (d // 2)].copy()
            y[:, : d // 2], y[:, d // 2 : 2 * (d // 2)] = (a + b) / np.sqrt(2), (a - b) / np.sqrt(2)
    return y


@pytest.mark.parametrize("d", [d for d in DIMS if d <= 130])
def test_is_the_rotation_described(d):
    x, signs = normal(5, d), signs_of(d)
    np.testing.assert_allclose(ops.rotate(x, signs), by_matrices(x, signs), atol=4e-6)


@pytest.mark.parametrize("d", DIMS)
def test_keeps_norms_and_inner_products(d):
    x = normal(40, d)
    before, after = (y.astype(np.float64) @ y.astype(np.float64).T for y in (x, ops.rotate(x, signs_of(d))))
    lengths = np.sqrt(np.diag(before))
    assert np.all(np.abs(after - before) <= 1e-6 * np.outer(lengths, lengths))


@pytest.mark.parametrize("d", DIMS)
def test_inverse_undoes(d):
    x, signs = normal(20, d), signs_of(d)
    limit = 1e-6 * np.linalg.norm(x, axis=1)
    for first in (False, True):
        back = ops.rotate(ops.rotate(x, signs, inverse=first), signs, inverse=not first)
        assert np.all(np.linalg.norm(back - x, axis=1) <= limit)


@pytest.mark.parametrize("d", [64, 65, 97, 128, 130, 256, 384, 768, 1000, 1024, 1536])
def test_spreads_every_unit_vector(d):
    """The worst over all axes. Powers of two come near a random direction; elsewhere parts meet only in later rounds."""
    largest = np.abs(ops.rotate(np.eye(d, dtype=np.float32), signs_of(d))).max()
    assert largest < (6 / np.sqrt(d) if d & (d - 1) == 0 else 0.65 if d < 300 else 0.45)


@pytest.mark.parametrize("d", [9, 64, 100])
def test_every_sign_counts_and_the_bits_behind_do_not(d):
    x, signs = normal(1, d), signs_of(d)
    rotated = ops.rotate(x, signs)
    for r in range(4):
        for t in range(8 * signs.shape[1]):
            other = signs.copy()
            other[r, t // 8] ^= 128 >> t % 8
            assert np.array_equal(ops.rotate(x, other), rotated) == (t >= d)


def test_zeros_stay_and_rows_do_not_mix():
    x, signs = normal(70, 96), signs_of(96)
    x[3] = 0
    rotated = ops.rotate(x, signs)
    assert not rotated[3].any()
    for i in (0, 3, 69):
        assert np.array_equal(ops.rotate(x[i : i + 1], signs)[0], rotated[i])
