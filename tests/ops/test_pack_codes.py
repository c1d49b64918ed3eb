"""What pack_codes and unpack_codes promise beyond equality with their references."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import SIZES

from vecpress import ops
from vecpress.ops.pack_codes import BITS, packed_size


@pytest.mark.parametrize(
    ("n_bits", "labels", "expected"),
    [
        (1, [1, 0, 0, 1, 0, 0, 0, 1, 1, 1], [0b10010001, 0b11000000]),
        (2, [3, 0, 1, 2, 2], [0b11000110, 0b10000000]),
        (3, [7, 0, 2, 5, 4], [0b11000110, 0b10000000, 0b10010000]),  # high bits 3 0 1 2 2, low bits 1 0 0 1 0
        (4, [1, 2, 15], [0x21, 0x0F]),
        (5, [0b00011, 0b11110, 0b10000], [0xF1, 0x08, 0b10000000]),
        (6, [0b000111, 0b111000, 0b100010], [0xE1, 0x08, 0b11001000]),
        (7, [0b0001110, 0b1110001, 0b1000101], [0xE1, 0x08, 0b11001000, 0b01100000]),
        (8, [0, 1, 254, 255], [0, 1, 254, 255]),
    ],
)
def test_bytes_by_hand(n_bits, labels, expected):
    labels = np.array([labels], np.uint8)
    assert ops.pack_codes(labels, n_bits).tolist() == [expected]
    assert ops.unpack_codes(np.array([expected], np.uint8), labels.shape[1], n_bits).tolist() == labels.tolist()


@pytest.mark.parametrize("n_bits", BITS)
def test_unpacking_gives_back_what_was_packed(n_bits):
    for d in SIZES:
        labels = np.random.default_rng(d).integers(0, 2**n_bits, (9, d), dtype=np.uint8)
        codes = ops.pack_codes(labels, n_bits)
        assert codes.shape == (9, packed_size(d, n_bits))
        assert np.array_equal(ops.unpack_codes(codes, d, n_bits), labels)


@pytest.mark.parametrize("n_bits", BITS)
def test_bits_beyond_n_bits_are_ignored(n_bits):
    labels = np.random.default_rng(0).integers(0, 256, (5, 67), dtype=np.uint8)
    low = (labels & (2**n_bits - 1)).astype(np.uint8)
    assert np.array_equal(ops.pack_codes(labels, n_bits), ops.pack_codes(low, n_bits))


def test_one_bit_is_what_numpy_packs():
    for d in SIZES:
        labels = np.random.default_rng(d).integers(0, 2, (7, d), dtype=np.uint8)
        assert np.array_equal(ops.pack_codes(labels, 1), np.packbits(labels, axis=1))


def test_size_is_that_of_whole_bytes_a_plane():
    assert [packed_size(9, n_bits) for n_bits in BITS] == [2, 3, 3 + 2, 5, 5 + 2, 5 + 3, 5 + 3 + 2, 9]
