"""Binarisation: compare with a threshold and pack the bits."""

from __future__ import annotations

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array


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
    x = array("pack_bits", "x", x, np.float32, (None, None))
    thresholds = array("pack_bits", "thresholds", thresholds, np.float32, (x.shape[1],))
    out = empty((len(x), (x.shape[1] + 7) // 8), np.uint8)
    run("pack_bits", out, x, thresholds, num_threads=num_threads)
    return out


@reference("pack_bits")
def _pack_bits(out: np.ndarray, x: np.ndarray, thresholds: np.ndarray) -> None:
    out[...] = np.packbits(x > thresholds, axis=1)
