"""Labels of n_bits a dimension, as `ops.pack_codes` packs them: the scan that multiplies a query with what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import ops
from .ops import Factor
from .query import Query

SMALLEST, LARGEST = 2.0**-126, 2.0**120  # numbers that factors are multiplied with


def label_query(
    rows: np.ndarray,
    n_bits: int,
    levels: np.ndarray | None = None,
    *,
    l2: bool = False,
    scale: float | Factor = 1.0,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> Query:
    """The scan of codes of n_bits, 1 to 8, a dimension, whose sums are those of rows[q, t] * levels[label t], or distances.

    rows : float32[nq, d]
    levels : float32[2**n_bits]; None for c - (2**n_bits - 1) / 2; those of 1 bit x and -x
    l2 : scores are the negative squared distances from rows[q] to scale * levels[labels] instead; takes no constant
    scale, constant : as in `Query`; with l2 the scale is a factor of kind "u2" or "f4"

    Distances to codes of 1 bit, of which all of one scale are equally long, are products too where float32 has that length's
    square, and far quicker.
    """
    options: dict[str, Any] = {"n_bits": n_bits}
    if levels is not None:
        options["levels"] = levels
    if n_bits == 1 and l2 and isinstance(scale, Factor):
        level = 0.5 if levels is None else float(levels[1])
        times = rows.shape[1] * (level * scale.times) ** 2
        if SMALLEST <= times <= LARGEST:
            square = Factor(scale.offset, scale.kind + "^2", times=-times)
            own = -np.square(ops.norms(rows, num_threads=num_threads))
            return Query("dot", rows=rows * np.float32(2), scale=scale, bias=square, constant=own, options=options)
    if l2:
        options["l2"] = True
    return Query("dot", rows=rows, scale=scale, constant=constant, options=options)
