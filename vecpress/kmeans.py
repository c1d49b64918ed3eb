"""k-means: seeded, the same bits for any number of threads and any instruction set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from . import ops
from .checks import check_int
from .dispatch import check_threads
from .ops.numerics import array

SEED_ROWS = 16  # rows a centroid that seeding looks at: more of them improve the final objective by less than 0.5 %


def kmeans(
    x: np.ndarray, k: int, seed: int | Sequence[int], *, iterations: int = 25, num_threads: int | None = None
) -> tuple[np.ndarray, float]:
    """k centroids with a small sum of squared distances from each row to its nearest.

    Seeding is k-means++ on at most 16 k rows, then Lloyd's iterations: assign every row to its nearest centroid (`ops.assign`),
    move every centroid to the mean of its rows, until no row changes its centroid. A centroid that no row is nearest to moves to
    the row farthest from its own centroid, the next one to the next farthest.

    Parameters
    ----------
    x : float32[n, d], n at least 1, finite, absolute values up to 2^50, so that no squared distance overflows; squared distances
        below float32's smallest number count as 0
    k : centroids, at least 1; where x has fewer distinct rows, some centroids are nearest to no row
    seed : for numpy.random.PCG64, an int or a sequence of ints
    iterations : Lloyd iterations at most; smaller -> faster, a larger objective

    Returns
    -------
    centroids float32[k, d], objective float : the sum of x's squared distances to these centroids

    Cost: iterations * n * k * d multiply-adds. Sums are taken in float64 in row order, for any number of threads.
    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; Lloyd, "Least squares
    quantization in PCM", 1982. Differs in the subsample for seeding and in what happens to empty clusters.
    """
    x = array("kmeans", "x", x, np.float32, (None, None))
    if not len(x):
        raise ValueError("kmeans: x expected at least one row, got none")
    k, iterations = check_int("kmeans", "k", k, 1), check_int("kmeans", "iterations", iterations, 1)
    num_threads = check_threads(num_threads)
    rng = np.random.Generator(np.random.PCG64(seed))
    centroids = _seed(x, k, rng, num_threads)
    before = None
    for _ in range(iterations):
        labels, distances = ops.assign(x, centroids, num_threads=num_threads)
        count = np.bincount(labels, minlength=k)
        if not distances.any() or (before is not None and count.all() and np.array_equal(labels, before)):
            break
        before = labels
        centroids = moved(x, labels, distances, count, num_threads)
    else:
        _, distances = ops.assign(x, centroids, num_threads=num_threads)
    return centroids, math.fsum(distances.tolist())


def _seed(x: np.ndarray, k: int, rng: np.random.Generator, num_threads: int | None) -> np.ndarray:
    """k rows of x by k-means++: each drawn with a chance in proportion to its squared distance from those drawn before."""
    if len(x) > SEED_ROWS * k:
        x = x[np.sort(rng.choice(len(x), SEED_ROWS * k, replace=False))]
    chosen = np.empty(k, np.int64)
    chosen[0] = int(rng.random() * len(x))
    nearest = np.full(len(x), np.inf, np.float32)
    for i in range(1, k):
        _, distances = ops.assign(x, x[chosen[i - 1]][None], num_threads=num_threads)
        np.minimum(nearest, distances, out=nearest)
        total = np.cumsum(nearest, dtype=np.float64)
        if not total[-1]:  # every row is drawn already
            chosen[i:] = chosen[0]
            break
        drawn = np.searchsorted(total, rng.random() * total[-1], side="right")
        chosen[i] = min(drawn, np.searchsorted(total, total[-1]))  # rounding must not lead past the last row with a chance
    return x[chosen]


def moved(
    x: np.ndarray, labels: np.ndarray, distances: np.ndarray, count: np.ndarray, num_threads: int | None = None
) -> np.ndarray:
    """float32[k, d]: the centroids after one of Lloyd's moves, as in `kmeans`.

    x : float32[n, d]; labels, distances : as of `ops.assign`; count : int[k], rows of each centroid
    """
    sums = ops.label_sums(x, labels, len(count), num_threads=num_threads)
    centroids = (sums / np.maximum(count, 1)[:, None]).astype(np.float32)
    unused = np.flatnonzero(count == 0)
    if len(unused):
        farthest = np.argsort(-distances, kind="stable")[: len(unused)]
        centroids[unused] = x[np.resize(farthest, len(unused))]  # over again where there are more than rows
    return centroids
