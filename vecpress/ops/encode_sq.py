"""Values rounded to the levels of a grid of their column's own, as codes: scalar quantization."""

from __future__ import annotations

import math

import numpy as np

from ..checks import check_choice
from ..dispatch import empty, reference, run
from .numerics import array, first_beyond
from .pack_codes import packed_size


def encode_sq(
    x: np.ndarray,
    low: np.ndarray,
    step: np.ndarray,
    n_bits: int,
    *,
    largest: float = math.inf,
    num_threads: int | None = None,
) -> tuple[np.ndarray, int]:
    """The numbers of the levels nearest to values, packed, and whether the values are such as are allowed.

    label[i, t] = the whole number nearest to (x[i, t] - low[t]) / step[t], ties to even, within 0 .. 2**n_bits - 1; difference
        and quotient are rounded to float32, and a quotient that is no number counts as 0

    Parameters
    ----------
    x : float32[n, d]
    low, step : float32[d]; a step of infinity gives 0
    n_bits : 4 or 8
    largest : the largest magnitude that is allowed, rounded to float32

    Returns
    -------
    codes uint8[n, packed_size(d, n_bits)] : the labels as `pack_codes` packs them
    first : the first row with a NaN or a magnitude beyond `largest`, n where there is none

    Raises TypeError or ValueError for what is not such. Cost: one pass over x; a multiplication a value, and a division for
    64 values of which a product is too near to halfway between two labels.
    """
    x = array("encode_sq", "x", x, np.float32, (None, None))
    low = array("encode_sq", "low", low, np.float32, (x.shape[1],))
    step = array("encode_sq", "step", step, np.float32, (x.shape[1],))
    n_bits = check_choice("encode_sq", "n_bits", n_bits, (4, 8))
    out, first = empty((len(x), packed_size(x.shape[1], n_bits)), np.uint8), empty((1,), np.int64)
    run("encode_sq", out, first, x, low, step, n_bits, largest, num_threads=num_threads)
    return out, int(first[0])


@reference("encode_sq")
def _encode_sq(
    out: np.ndarray, first: np.ndarray, x: np.ndarray, low: np.ndarray, step: np.ndarray, n_bits: int, largest: float
) -> None:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        labels = (x - low) / step
    labels = np.rint(np.minimum(np.where(labels > 0, labels, np.float32(0)), np.float32(2**n_bits - 1))).astype(np.uint8)
    if n_bits == 4:
        labels = np.pad(labels, ((0, 0), (0, labels.shape[1] % 2)))
        labels = labels[:, ::2] | labels[:, 1::2] << 4
    out[...] = labels
    first[0] = first_beyond(x, largest)
