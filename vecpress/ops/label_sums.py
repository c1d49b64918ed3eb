"""Sums of the rows that have the same label: k-means' means before they are divided."""

from __future__ import annotations

import numpy as np

from ..checks import check_int
from ..dispatch import empty, reference, run
from .numerics import array


def label_sums(x: np.ndarray, labels: np.ndarray, k: int, *, num_threads: int | None = None) -> np.ndarray:
    """The sum of the rows of each label.

    out[c] = sum over i = 0 .. n-1 with labels[i] = c of x[i], in float64, in order

    Parameters
    ----------
    x : float32[n, d]
    labels : int32[n], 0 to k - 1
    k : labels there are, at least 1

    Returns
    -------
    float64[k, d] : 0 where no row has the label

    Raises TypeError or ValueError for what is not such. Cost: one pass over x for each thread.
    """
    x = array("label_sums", "x", x, np.float32, (None, None))
    labels = array("label_sums", "labels", labels, np.int32, (len(x),))
    k = check_int("label_sums", "k", k, 1)
    if len(labels) and not 0 <= labels.min() <= labels.max() < k:
        raise ValueError(f"label_sums: labels expected 0 to {k - 1}, got {labels.min()} to {labels.max()}")
    out = empty((k, x.shape[1]), np.float64)
    run("label_sums", out, x, labels, num_threads=num_threads)
    return out


@reference("label_sums")
def _label_sums(out: np.ndarray, x: np.ndarray, labels: np.ndarray) -> None:
    out.fill(0)
    for row, label in zip(x, labels, strict=True):
        out[label] += row
