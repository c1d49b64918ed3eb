"""Binarisation: compare with a threshold and pack the bits."""

from __future__ import annotations

import math

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array, first_beyond


def pack_bits(x: np.ndarray, thresholds: np.ndarray, *, num_threads: int | None = None) -> np.ndarray:
    """One bit a value: 1 where x > threshold, else 0 (so a value equal to its threshold gives 0).

    Parameters
    ----------
    x : float32[n, d]
    thresholds : float32[d]

    Returns
    -------
    uint8[n, ceil(d / 8)] : dimension 8 b + r is bit 7 - r of byte b, as `numpy.packbits`; the last byte's rest is 0

    Cost: one pass over x.
    """
    return pack_bits_within(x, thresholds, math.inf, num_threads=num_threads)[0]


def pack_bits_within(
    x: np.ndarray, thresholds: np.ndarray, largest: float, *, num_threads: int | None = None
) -> tuple[np.ndarray, int]:
    """`pack_bits`, and whether the values are such as are allowed, in the same pass.

    Parameters
    ----------
    x : float32[n, d]
    thresholds : float32[d]
    largest : the largest magnitude that is allowed, rounded to float32

    Returns
    -------
    bits uint8[n, ceil(d / 8)] : as from `pack_bits`
    first : the first row with a NaN or a magnitude beyond `largest`, n where there is none

    Raises TypeError or ValueError for arrays that are not such. Cost: one pass over x.
    """
    x = array("pack_bits", "x", x, np.float32, (None, None))
    thresholds = array("pack_bits", "thresholds", thresholds, np.float32, (x.shape[1],))
    out, first = empty((len(x), (x.shape[1] + 7) // 8), np.uint8), empty((1,), np.int64)
    run("pack_bits", out, first, x, thresholds, largest, num_threads=num_threads)
    return out, int(first[0])


@reference("pack_bits")
def _pack_bits(out: np.ndarray, first: np.ndarray, x: np.ndarray, thresholds: np.ndarray, largest: float) -> None:
    out[...] = np.packbits(x > thresholds, axis=1)
    first[0] = first_beyond(x, largest)
