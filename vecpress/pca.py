"""Principal components and nearest rotations: what codecs that turn the axes learn from. Float64 LAPACK, so for `fit` only."""

from __future__ import annotations

import numpy as np

SAMPLE_ROWS = 65536  # that principal components are learned from at most
ENOUGH_ROWS = 2  # a column; with fewer, recall falls quickly
MOST_COLUMNS = 4096  # beyond, decompositions of d x d take hours, and what is learned more than what is compressed


def check_columns(where: str, dim: int) -> None:
    """Raises ValueError where vectors have too many columns for decompositions of d x d."""
    if dim > MOST_COLUMNS:
        raise ValueError(f"{where}: it decomposes d x d matrices, d expected at most {MOST_COLUMNS}, got {dim}")


def principal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances and directions of the rows of x, by falling variance.

    x : float32[n, d], n at least 1

    Returns variances float64[d], at least 0, and directions float64[d, d], one a column. Where there are fewer rows
    than columns the last directions are any that complete a basis. Of a direction's two signs it has the one that makes its
    largest component positive, the first of equals.

    Cost: n d^2 multiply-adds and an eigendecomposition, 9 d^3.
    """
    mean = x.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), 8192):  # float64 copies of a block, not of x
        block = x[start : start + 8192] - mean
        covariance += block.T @ block
    variances, directions = np.linalg.eigh(covariance / len(x))
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return variances, directions * np.where(largest < 0, -1.0, 1.0)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """float64[d, p]: the R of orthonormal columns that makes the trace of R^T matrix largest, matrix float64[d, p], p at most d.

    Where matrix = X^T Y it makes |X - Y R^T| smallest, and |X R - Y| where p = d. Reflections count as rotations here.
    Source: Schonemann, "A generalized solution of the orthogonal Procrustes problem", 1966.
    """
    u, _, vt = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return u @ vt


def random_rotation(d: int, rng: np.random.Generator) -> np.ndarray:
    """float64[d, d]: orthonormal, uniformly distributed. Source: Mezzadri, "How to generate random matrices", 2007."""
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
