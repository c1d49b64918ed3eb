"""Scalar quantisation: the number of thresholds below a value is its label."""

from __future__ import annotations

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array

MOST = 255  # thresholds, so that labels fit a byte


def quantize(x: np.ndarray, thresholds: np.ndarray, *, num_threads: int | None = None) -> np.ndarray:
    """The number of thresholds t with x > t, for every value: one at its threshold counts as below it, NaN gives 0.

    Parameters
    ----------
    x : float32[n, d]
    thresholds : float32[L], ascending, L from 1 to 255

    Returns
    -------
    uint8[n, d] : labels 0..L

    Raises ValueError for thresholds that are too many, none, NaN, or out of order.
    Cost: one pass over x; a value takes L comparisons up to 15 thresholds, log2 L dependent look-ups beyond.
    """
    x = array("quantize", "x", x, np.float32, (None, None))
    thresholds = array("quantize", "thresholds", thresholds, np.float32, (None,))
    if not 1 <= len(thresholds) <= MOST:
        raise ValueError(f"quantize: thresholds expected 1 to {MOST} numbers, got {len(thresholds)}")
    ordered = thresholds[1:] >= thresholds[:-1]
    if np.isnan(thresholds).any() or not ordered.all():
        at = int(np.argmax(np.isnan(thresholds))) if np.isnan(thresholds).any() else int(np.argmin(ordered)) + 1
        raise ValueError(f"quantize: thresholds expected ascending numbers, got {thresholds[at]} at {at}")
    out = empty(x.shape, np.uint8)
    run("quantize", out, x, thresholds, num_threads=num_threads)
    return out


@reference("quantize")
def _quantize(out: np.ndarray, x: np.ndarray, thresholds: np.ndarray) -> None:
    out.fill(0)
    for threshold in thresholds:
        out += x > threshold
