"""A product quantizer's query tables: the similarity of every query sub-vector with every centroid."""

from __future__ import annotations

import numpy as np

from ..dispatch import empty, reference, run
from .assign import squared_distances
from .numerics import array, fma32


def tables(
    q: np.ndarray, codebooks: np.ndarray, *, l2: bool = False, by_column: bool = False, num_threads: int | None = None
) -> np.ndarray:
    """One table a query and sub-vector, larger is better.

    out[i, j, c] = fma chain over t of q[i, j * dsub + t] * codebooks[j, c, t], from 0
    out[i, j, c] = -(squared distance of the two, summed as in `assign`)                    where l2

    Parameters
    ----------
    q : float32[nq, m * dsub]
    codebooks : float32[m, ks, dsub]
    by_column : codebooks are float32[m, dsub, ks], ks a multiple of 16: the same tables, sooner where there are few queries

    Returns
    -------
    float32[nq, m, ks]

    Cost: nq * ks * m * dsub fused multiply-adds.
    """
    codebooks = array("tables", "codebooks", codebooks, np.float32, (None, None, None))
    m, ks, dsub = codebooks.shape
    if by_column:
        ks, dsub = dsub, ks
        if ks % 16:
            raise ValueError(f"tables: codebooks expected a multiple of 16 columns on axis 2, got {ks}")
    q = array("tables", "q", q, np.float32, (None, m * dsub))
    out = empty((len(q), m, ks), np.float32)
    run("tables", out, q, codebooks, bool(l2), bool(by_column), num_threads=num_threads)
    return out


@reference("tables")
def _tables(out: np.ndarray, q: np.ndarray, codebooks: np.ndarray, l2: bool, by_column: bool) -> None:
    if by_column:
        codebooks = codebooks.transpose(0, 2, 1)
    m, _, dsub = codebooks.shape
    for j in range(m):
        part = q[:, j * dsub : (j + 1) * dsub]
        out[:, j] = -squared_distances(part, codebooks[j]) if l2 else _products(part, codebooks[j])


def _products(x: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    total = np.zeros((len(x), len(centroids)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(x.shape[1]):
            total = fma32(x[:, t, None], centroids[:, t], total)
    return total
