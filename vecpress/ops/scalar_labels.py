"""Values rounded to the levels of a grid of their column's own: scalar quantization."""

from __future__ import annotations

import numpy as np

from ..checks import check_int
from ..dispatch import empty, reference, run
from .numerics import array


def scalar_labels(
    x: np.ndarray, low: np.ndarray, step: np.ndarray, most: int, *, num_threads: int | None = None
) -> np.ndarray:
    """The number of the nearest level of each value.

    out[i, t] = the whole number nearest to (x[i, t] - low[t]) / step[t], ties to even, within 0 .. most; difference and quotient
        are rounded to float32, and a quotient that is no number counts as 0

    Parameters
    ----------
    x : float32[n, d]
    low, step : float32[d]; a step of infinity gives 0
    most : the highest label, 1 to 255

    Returns
    -------
    uint8[n, d]

    Raises TypeError or ValueError for what is not such. Cost: a division a value, and one pass over x.
    """
    x = array("scalar_labels", "x", x, np.float32, (None, None))
    low = array("scalar_labels", "low", low, np.float32, (x.shape[1],))
    step = array("scalar_labels", "step", step, np.float32, (x.shape[1],))
    most = check_int("scalar_labels", "most", most, 1, 255)
    out = empty(x.shape, np.uint8)
    run("scalar_labels", out, x, low, step, most, num_threads=num_threads)
    return out


@reference("scalar_labels")
def _scalar_labels(out: np.ndarray, x: np.ndarray, low: np.ndarray, step: np.ndarray, most: int) -> None:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        labels = (x - low) / step
    labels = np.where(labels > 0, labels, np.float32(0))
    out[...] = np.rint(np.minimum(labels, np.float32(most)))
