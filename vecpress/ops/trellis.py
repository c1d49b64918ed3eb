"""Scan of trellis codes: every component of a code is a level named by bits that it shares with its neighbours."""

from __future__ import annotations

import numpy as np

from ..dispatch import reference
from .blocks import Blocks
from .dot import CHAINS
from .encode_trellis import check_words, decode_trellis, steps_of
from .factors import Factor
from .numerics import array, fma32
from .scan import reference_codes, reference_scan, scan


def trellis(
    blocks: Blocks,
    rows: np.ndarray,
    k: int,
    *,
    words: np.ndarray,
    levels: np.ndarray,
    tables: np.ndarray | None = None,
    ids: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    scale: float | Factor = 1.0,
    bias: Factor | None = None,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k codes of largest inner product with the query.

    part[j] = fma chain over t = j, j + 16, j + 32, ... below m of rows[q, t] * value[t] of code i, from 0, for j < 16
    sum[q, i] = part[0] after part[j] = part[j] + part[j + h] for j < h, for h = 8, 4, 2, 1;
                then sum = sum + tables[q, v, label[v]] for v = 0, 1, ..., one after the other

    Parameters
    ----------
    blocks : codes whose payload is one byte for each table, the labels, and then words as `encode_trellis` writes them, group 1
    rows : float32[nq, m]
    words, levels : of the codes, as in `encode_trellis`; value[t] is a level as a number
    tables : float32[nq, v, 256] or None for no labels
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * m multiply-adds, and 6 to 8 instructions for 64 components to decode (AVX2: 50), with 256 levels 9 to 11 (AVX2:
    140), once for 128 queries. As in `dot`, the query is rounded to whole numbers with a bound of what that loses, and rows that
    reach the k-th best score are summed in float32: the result is exact.
    """
    words, levels = check_words("trellis", words, levels)
    rows = array("trellis", "rows", rows, np.float32, (None, int(steps_of(words).sum())))
    if tables is not None:
        tables = array("trellis", "tables", tables, np.float32, (len(rows), None, 256))
    if blocks.group != 1:
        raise ValueError(f"trellis: blocks expected group 1, got {blocks.group}")
    size = int(words[:, 0].sum()) + (0 if tables is None else tables.shape[1])
    if blocks.code_size - blocks.head != size:
        raise ValueError(
            f"trellis: blocks expected a payload of {size} bytes, the labels and the words, got {blocks.code_size - blocks.head}"
        )
    return scan("trellis", blocks, rows, (words, levels, tables), k, ids, allow, scale, bias, constant, num_threads)


@reference("trellis")
def _trellis(scores, found, data, layout, rows, words, levels, tables, ids, allow, scale, bias, constant) -> None:
    n, (nq, m) = layout[0], rows.shape
    codes = reference_codes(data, layout)
    labels = 0 if tables is None else tables.shape[1]
    values = decode_trellis(np.ascontiguousarray(codes[:, labels:]), words, levels).astype(np.float32)
    parts = np.zeros((nq, n, CHAINS), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(0, m, CHAINS):
            chains = slice(min(CHAINS, m - t))
            parts[:, :, chains] = fma32(rows[:, None, t : t + CHAINS], values[:, t : t + CHAINS], parts[:, :, chains])
        half = CHAINS // 2
        while half:
            parts[:, :, :half] += parts[:, :, half : 2 * half]
            half //= 2
        sums = parts[:, :, 0]
        for v in range(labels):
            sums = sums + tables[:, v, codes[:, v]]
    reference_scan(scores, found, sums, data, layout, ids, allow, scale, bias, constant)
