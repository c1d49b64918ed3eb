"""Small whole numbers packed into bits: the codes of the scans that read n_bits a dimension."""

from __future__ import annotations

import numpy as np

from ..checks import check_choice
from ..dispatch import empty, reference, run
from .numerics import array

# widths of the planes that a code of n_bits a dimension is stored in, most significant bits first
PLANES = {1: (1,), 2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1), 8: (8,)}
BITS = tuple(PLANES)


def packed_size(d: int, n_bits: int) -> int:
    """Bytes of d numbers of n_bits."""
    return sum(-(-d * width // 8) for width in PLANES[n_bits])


def pack_codes(labels: np.ndarray, n_bits: int, *, num_threads: int | None = None) -> np.ndarray:
    """Numbers below 2**n_bits to bytes.

    Widths of 1, 2, 4 and 8 bits are one plane; others are stored as several planes one after the other, the most significant
    bits first: 3 = 2 + 1, 5 = 4 + 1, 6 = 4 + 2, 7 = 4 + 2 + 1. Each plane fills whole bytes, the last byte's rest is 0:

    | width | byte b of the plane |
    |---|---|
    | 1 | dimension 8 b + r is bit 7 - r |
    | 2 | dimension 4 b + r is bits 7 - 2 r and 6 - 2 r |
    | 4 | dimension 2 b is the low half, dimension 2 b + 1 the high half |
    | 8 | dimension b |

    Parameters
    ----------
    labels : uint8[n, d]; bits beyond the lowest n_bits are ignored
    n_bits : 1 to 8

    Returns
    -------
    uint8[n, packed_size(d, n_bits)]

    Cost: one pass over the labels.
    """
    labels = array("pack_codes", "labels", labels, np.uint8, (None, None))
    n_bits = check_choice("pack_codes", "n_bits", n_bits, BITS)
    out = empty((len(labels), packed_size(labels.shape[1], n_bits)), np.uint8)
    run("pack_codes", out, labels, n_bits, num_threads=num_threads)
    return out


def unpack_codes(codes: np.ndarray, d: int, n_bits: int, *, num_threads: int | None = None) -> np.ndarray:
    """The labels uint8[n, d] of codes uint8[n, packed_size(d, n_bits)]: what `pack_codes` packed. Cost: one pass."""
    n_bits = check_choice("unpack_codes", "n_bits", n_bits, BITS)
    codes = array("unpack_codes", "codes", codes, np.uint8, (None, packed_size(d, n_bits)))
    out = empty((len(codes), d), np.uint8)
    run("unpack_codes", out, codes, n_bits, num_threads=num_threads)
    return out


@reference("pack_codes")
def _pack_codes(out: np.ndarray, labels: np.ndarray, n_bits: int) -> None:
    n, d = labels.shape
    begin, left = 0, n_bits
    for width in PLANES[n_bits]:
        left -= width
        size = -(-d * width // 8)
        part = labels >> left & (2**width - 1)
        padded = np.zeros((n, size * 8 // width), np.uint8)
        padded[:, :d] = part
        padded = padded.reshape(n, size, 8 // width)
        out[:, begin : begin + size] = (padded << _shifts(width)).sum(axis=2, dtype=np.uint8)
        begin += size


@reference("unpack_codes")
def _unpack_codes(out: np.ndarray, codes: np.ndarray, n_bits: int) -> None:
    n, d = out.shape
    out.fill(0)
    begin = 0
    for width in PLANES[n_bits]:
        size = -(-d * width // 8)
        part = codes[:, begin : begin + size, None] >> _shifts(width) & (2**width - 1)
        out[...] = (out << width) + part.reshape(n, size * 8 // width)[:, :d]
        begin += size


def _shifts(width: int) -> np.ndarray:
    """How far each of a byte's numbers stands from its lowest bit."""
    places = np.arange(8 // width, dtype=np.uint8) * np.uint8(width)
    return places if width == 4 else places[::-1]
