"""Scan of nibbles: each nibble of a code picks one number of its 16-entry table."""

from __future__ import annotations

import numpy as np

from ..dispatch import reference
from .blocks import Blocks
from .factors import Factor
from .numerics import array
from .scan import reference_codes, reference_scan, scan


def lut4(
    blocks: Blocks,
    tables: np.ndarray,
    k: int,
    *,
    ids: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    scale: float | Factor = 1.0,
    bias: Factor | None = None,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k codes of largest table sum.

    sum[q, i] = (...((t[0] + t[1]) + t[2]) + ...) + t[m - 1],  t[j] = tables[q, j, nibble j of code i], sums rounded to float32

    Nibble 2 b is the low half of payload byte b, nibble 2 b + 1 its high half.

    Parameters
    ----------
    blocks : codes of p payload bytes, group 1
    tables : float32[nq, m, 16], m = 2 p, or 2 p - 1 when the last high half is unused
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * m table look-ups. Kernels look up 8-bit roundings of the tables in registers, skip the rows whose upper bound
    is below the k-th best score, and sum the float tables for the others, so the result is exact.
    Source of the in-register look-up: Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough", VLDB 2015.
    """
    p = blocks.code_size - blocks.head
    tables = array("lut4", "tables", tables, np.float32, (None, None, 16))
    if blocks.group != 1:
        raise ValueError(f"lut4: blocks expected group 1, got {blocks.group}")
    if tables.shape[1] not in (2 * p, max(2 * p - 1, 0)):
        raise ValueError(f"lut4: tables expected {2 * p} or {2 * p - 1} on axis 1, got shape {tables.shape}")
    return scan("lut4", blocks, tables, (), k, ids, allow, scale, bias, constant, num_threads)


@reference("lut4")
def _lut4(scores, found, data, layout, tables, ids, allow, scale, bias, constant) -> None:
    codes = reference_codes(data, layout)
    nibbles = np.stack((codes & 15, codes >> 4), axis=2).reshape(len(codes), 2 * codes.shape[1])
    sums = table_sums(tables, nibbles)
    reference_scan(scores, found, sums, data, layout, ids, allow, scale, bias, constant)


def table_sums(tables: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """float32[nq, n]: the tables' entries that the codes pick, added in order."""
    total = np.zeros((len(tables), len(codes)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for j in range(tables.shape[1]):
            total += tables[:, j, codes[:, j]]
    return total
