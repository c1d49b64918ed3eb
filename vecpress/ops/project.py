"""Matrix product in a fixed order, so that a row's result is the same alone, in a batch, and on every machine."""

from __future__ import annotations

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array, fma32


def project(
    x: np.ndarray, matrix: np.ndarray, offset: np.ndarray | None = None, *, num_threads: int | None = None
) -> np.ndarray:
    """x @ matrix + offset, accumulated along d in order.

    out[i, j] = fma(x[i, d-1], matrix[d-1, j], ... fma(x[i, 0], matrix[0, j], offset[j]))       one rounding to float32 a term

    Parameters
    ----------
    x : float32[n, d]
    matrix : float32[d, p]
    offset : float32[p], 0 if None

    Returns
    -------
    float32[n, p]

    Cost: n * d * p fused multiply-adds, vectorised over p. BLAS is not used: its order of summation depends on the machine, the
    thread count and the batch, and codes must not.
    """
    x = array("project", "x", x, np.float32, (None, None))
    matrix = array("project", "matrix", matrix, np.float32, (x.shape[1], None))
    p = matrix.shape[1]
    offset = np.zeros(p, np.float32) if offset is None else array("project", "offset", offset, np.float32, (p,))
    out = empty((len(x), p), np.float32)
    run("project", out, x, matrix, offset, num_threads=num_threads)
    return out


@reference("project")
def _project(out: np.ndarray, x: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> None:
    total = np.broadcast_to(offset, out.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(x.shape[1]):
            total = fma32(x[:, t, None], matrix[t], total)
    out[...] = total
