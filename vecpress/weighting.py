"""The query-weighted Karhunen-Loeve transform: axes in which the rows vary independently, and queries weigh errors alike.

What counts for inner products is the error e of x along the queries, E(q . e)^2 = trace(S_q S_e). With M = S_q^(g/2) it is the
plain squared error of M x where g = 1; where g is less, queries weigh less, which ranks better: neighbours differ in directions
that an average query hardly has. z = V^T M (x - mean), with V the eigenvectors of M C M, has independent components of falling
variance, and <q, x - mean> = <V^T M^-1 q, z>.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .checks import Metric

LEAST = 1e-3  # of the mean variance that every direction has at least, so that M can be inverted


class Transform(NamedTuple):
    """z = (x - mean) @ forward, and queries by q @ back; x = mean + z @ back.T.

    variances : float64[d] of z, by falling size
    """

    mean: np.ndarray
    forward: np.ndarray
    back: np.ndarray
    variances: np.ndarray


def moments(x: np.ndarray, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """The mean float64[d] of the rows (zeros where not `centred`) and their second moment about it, float64[d, d], shrunk.

    The moment is drawn towards a multiple of the identity, by the share that makes the expected error least for so many rows:
    with fewer rows than columns there would else be directions without variance.
    Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004.
    """
    n, d = x.shape
    mean = x.mean(axis=0, dtype=np.float64) if centred else np.zeros(d)
    total, fourth = np.zeros((d, d)), 0.0
    for start in range(0, n, 8192):  # float64 copies of a block, not of x
        block = x[start : start + 8192] - mean
        total += block.T @ block
        fourth += float(np.square(np.einsum("ij,ij->i", block, block)).sum())
    moment = total / n
    level = float(np.trace(moment)) / d
    away = float(np.square(moment).sum()) - d * level**2  # squared distance from the identity's multiple
    noise = (fourth / n - float(np.square(moment).sum())) / n
    share = min(max(noise / away, 0.0), 1.0) if away > 0 else 1.0
    share = max(share, LEAST)
    return mean, (1 - share) * moment + share * level * np.eye(d)


def weighted_transform(mean: np.ndarray, covariance: np.ndarray, of_queries: np.ndarray, exponent: float) -> Transform:
    """The transform of rows of `mean` and `covariance` for queries of second moment `of_queries`, weighed by `exponent`.

    exponent : 0 for the plain transform, 1 for the least error of inner products

    Cost: two eigendecompositions, 18 d^3.
    """
    values, axes = np.linalg.eigh(of_queries)
    values = np.maximum(values, 0)
    weights = np.ones_like(values) if exponent == 0 or values[-1] <= 0 else (values / values[-1]) ** (exponent / 2)
    weights = np.maximum(weights, LEAST)
    root, inverse = (axes * weights) @ axes.T, (axes / weights) @ axes.T
    variances, directions = np.linalg.eigh(root @ covariance @ root)
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    directions = directions * np.where(largest < 0, -1.0, 1.0)
    forward, back = (np.ascontiguousarray(a, np.float32) for a in (root @ directions, inverse @ directions))
    return Transform(mean.astype(np.float32), forward, back, variances)


def query_axes(x: np.ndarray, queries: np.ndarray | None, metric: Metric, exponent: float) -> Transform:
    """The transform learned from rows x, for queries like these; None takes rows for queries.

    A few queries say little of d^2 numbers: they are believed as half as many rows as there are columns would be.
    """
    mean, covariance = moments(x, centred=True)
    of_queries = covariance if metric == "l2" else covariance + np.outer(mean, mean)  # rows as queries
    if queries is not None and len(queries):
        given = moments(queries - mean if metric == "l2" else queries, centred=False)[1]
        share = len(queries) / (len(queries) + x.shape[1] / 2)
        level = np.trace(given) / max(float(np.trace(of_queries)), 1e-300)
        of_queries = share * given + (1 - share) * level * of_queries
    return weighted_transform(mean, covariance, of_queries, exponent)
