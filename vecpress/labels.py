"""Labels of n_bits a dimension, as `ops.pack_codes` packs them: the scan that multiplies a query with what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import ops
from .codec import Query
from .ops import Factor
from .ops.dot import even_levels

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
    square: then they are looked up, four dimensions at a time.
    """
    if n_bits == 1 and l2 and isinstance(scale, Factor):
        level = 0.5 if levels is None else float(levels[1])
        times = rows.shape[1] * (level * scale.times) ** 2
        if SMALLEST <= times <= LARGEST:
            square = Factor(scale.offset, scale.kind + "^2", times=-times)
            tables = nibble_tables(rows * np.float32(2), even_levels(1) if levels is None else levels, 1)
            own = -np.square(ops.norms(rows, num_threads=num_threads))
            return Query("lut4", tables=tables, scale=scale, bias=square, constant=own)
    options: dict[str, Any] = {"n_bits": n_bits}
    if levels is not None:
        options["levels"] = levels
    if l2:
        options["l2"] = True
    return Query("dot", rows=rows, scale=scale, constant=constant, options=options)


def nibble_tables(rows: np.ndarray, levels: np.ndarray, n_bits: int) -> np.ndarray:
    """Tables for `ops.lut4` over codes of `ops.pack_codes`, n_bits 1 or 2: sums of rows[t] * levels[number t].

    float32[nq, 2 bytes of a code, 16]: table 2 b is of the low half of byte b. Elementwise float32, dimensions in order, padding
    adds 0: the same bits on every machine.
    """
    nq, d = rows.shape
    together = 4 // n_bits
    size = -(-d // (2 * together))
    padded = np.zeros((nq, size, 2, together), np.float32)
    padded.reshape(nq, 2 * size * together)[:, :d] = rows
    padded = padded[:, :, ::-1]  # the first numbers are in a byte's high half
    nibbles = np.arange(16)
    tables = np.zeros((nq, size, 2, 16), np.float32)
    for j in range(together):
        tables += padded[:, :, :, j, None] * levels[nibbles >> (4 - n_bits * (j + 1)) & (2**n_bits - 1)]
    return tables.reshape(nq, 2 * size, 16)
