"""Nearest centroid of each row."""

from __future__ import annotations

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array, fma32


def assign(x: np.ndarray, centroids: np.ndarray, *, num_threads: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centroid of each row by squared distance.

    distance[i, c] = fma chain over t = 0 .. d-1 of e * e from 0, e = x[i, t] - centroids[c, t] rounded to float32

    Distances are summed from differences, not expanded into norms and products, so that a row equal to a centroid is at distance
    exactly 0 and encodes to it.

    Parameters
    ----------
    x : float32[n, d]
    centroids : float32[k, d], k at least 1

    Returns
    -------
    labels int32[n], distances float32[n] : ties to the lower label

    Cost: n * k * d subtractions and fused multiply-adds.
    """
    x = array("assign", "x", x, np.float32, (None, None))
    centroids = array("assign", "centroids", centroids, np.float32, (None, x.shape[1]))
    if not len(centroids):
        raise ValueError("assign: centroids expected at least 1 row, got 0")
    labels, distances = empty((len(x),), np.int32), empty((len(x),), np.float32)
    run("assign", labels, distances, x, centroids, num_threads=num_threads)
    return labels, distances


@reference("assign")
def _assign(labels: np.ndarray, distances: np.ndarray, x: np.ndarray, centroids: np.ndarray) -> None:
    total = squared_distances(x, centroids)
    labels[...] = total.argmin(axis=1)
    distances[...] = total[np.arange(len(x)), labels]


def squared_distances(x: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """float32[n, k], as in `assign`."""
    total = np.zeros((len(x), len(centroids)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(x.shape[1]):
            difference = x[:, t, None] - centroids[:, t]
            total = fma32(difference, difference, total)
    return total
