"""Scan of bytes: each byte of a code picks one number of its 256-entry table."""

from __future__ import annotations

import numpy as np

from ..dispatch import reference
from .blocks import Blocks
from .factors import Factor
from .lut4 import table_sums
from .numerics import array
from .scan import reference_codes, reference_scan, scan


def lut8(
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

    sum[q, i] = (...((t[0] + t[1]) + t[2]) + ...) + t[m - 1],  t[j] = tables[q, j, byte j of code i], sums rounded to float32

    Parameters
    ----------
    blocks : codes of m payload bytes, group 1
    tables : float32[nq, m, 256]
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * m table look-ups; kernels skip rows as those of `lut4` do where the look-up fits registers.
    Source: Jegou, Douze, Schmid, "Product quantization for nearest neighbor search", PAMI 2011, eq. 13.
    """
    tables = array("lut8", "tables", tables, np.float32, (None, blocks.code_size - blocks.head, 256))
    if blocks.group != 1:
        raise ValueError(f"lut8: blocks expected group 1, got {blocks.group}")
    return scan("lut8", blocks, tables, (), k, ids, allow, scale, bias, constant, num_threads)


@reference("lut8")
def _lut8(scores, found, data, layout, tables, ids, allow, scale, bias, constant) -> None:
    sums = table_sums(tables, reference_codes(data, layout))
    reference_scan(scores, found, sums, data, layout, ids, allow, scale, bias, constant)
