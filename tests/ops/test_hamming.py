"""The Hamming scan by hand, and against counting bits."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks

BACKENDS = dispatch.operations()["hamming"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_by_hand(backend, need_backend):
    need_backend(backend)
    codes = np.array([[0b11110000, 0], [0b11110001, 0], [0, 0b1], [0b11111111, 0b11111111], [0b11110000, 0]], np.uint8)
    bits = np.array([[0b11110000, 0], [0, 0]], np.uint8)
    with dispatch.use(backend):
        scores, ids = ops.hamming(Blocks.pack(codes), bits, 5)
    assert scores.tolist() == [[0, 0, -1, -5, -12], [-1, -4, -4, -5, -16]]
    assert ids.tolist() == [[0, 4, 1, 2, 3], [2, 0, 4, 1, 3]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_counts_every_bit(backend, need_backend):
    """One bit flipped in each place; all flipped, for payloads whose count leaves 8 and 9 bits."""
    need_backend(backend)
    with dispatch.use(backend):
        for payload in (1, 31, 32, 33, 62, 63, 300, 1100):
            query = np.random.default_rng(payload).integers(0, 256, (1, payload), dtype=np.uint8)
            flips = np.zeros((67, payload), np.uint8)
            places = np.linspace(0, payload - 1, 66).astype(int)
            flips[np.arange(66), places] = 1 << np.arange(66) % 8
            flips[66] = 255
            scores, ids = ops.hamming(Blocks.pack(query ^ flips), query, 67)
            assert scores[0].tolist() == [-1] * 66 + [-8 * payload]
            assert ids[0].tolist() == list(range(67))


def test_affine_map_of_distances():
    codes = np.array([[0], [1], [3], [7]], np.uint8)
    scores, ids = ops.hamming(Blocks.pack(codes), np.zeros((1, 1), np.uint8), 4, scale=-0.5, constant=np.array([10], np.float32))
    assert scores.tolist() == [[10, 9.5, 9, 8.5]] and ids.tolist() == [[0, 1, 2, 3]]
    scores, ids = ops.hamming(Blocks.pack(codes), np.zeros((1, 1), np.uint8), 2, scale=1.0)  # far codes first
    assert scores.tolist() == [[3, 2]] and ids.tolist() == [[3, 2]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale, constant", [(-1, np.nan), (-np.inf, 0), (-np.inf, np.inf), (-1, np.inf), (np.nan, 1)])
def test_scores_that_are_not_numbers(scale, constant, backend, need_backend):
    """They count as -inf, infinities tie, and of all ties the lowest ids are the best, wherever their rows stand."""
    need_backend(backend)
    codes = np.random.default_rng(0).integers(0, 256, (300, 4), dtype=np.uint8)
    bits = np.full((1, 4), 0x5A, np.uint8)
    with dispatch.use(backend):
        scores, ids = ops.hamming(
            Blocks.pack(codes), bits, 3, ids=np.arange(300)[::-1].copy(), scale=scale, constant=np.array([constant], np.float32)
        )
    assert ids.tolist() == [[0, 1, 2]]
    assert np.isinf(scores).all()
