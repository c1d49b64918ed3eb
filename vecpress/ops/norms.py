"""Euclidean norms in a fixed order."""

from __future__ import annotations

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array

LANES = 8


def norms(x: np.ndarray, *, num_threads: int | None = None) -> np.ndarray:
    """The Euclidean norm of each row.

    lane[l] = sum over t = l, l + 8, l + 16, ... of x[i, t]^2 in float64, in order
    out[i] = sqrt(((lane 0 + lane 4) + (lane 2 + lane 6)) + ((lane 1 + lane 5) + (lane 3 + lane 7))), rounded to float32

    Parameters
    ----------
    x : float32[n, d]

    Returns
    -------
    float32[n]

    Cost: one pass over x. float64 holds every square exactly and cannot overflow; the lanes keep the order independent of the
    machine.
    """
    x = array("norms", "x", x, np.float32, (None, None))
    out = empty((len(x),), np.float32)
    run("norms", out, x, num_threads=num_threads)
    return out


@reference("norms")
def _norms(out: np.ndarray, x: np.ndarray) -> None:
    lanes = np.zeros((len(x), LANES))
    for t in range(x.shape[1]):
        lanes[:, t % LANES] += x[:, t].astype(np.float64) ** 2
    four = lanes[:, :4] + lanes[:, 4:]
    two = four[:, :2] + four[:, 2:]
    with np.errstate(over="ignore"):
        out[...] = np.sqrt(two[:, 0] + two[:, 1])
