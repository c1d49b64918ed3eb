"""What all scans share: the per-vector factors, the filter, the score's last steps, and the exact top k.

A scan gives, for each query, the k best rows by (score, id): larger scores first, ties to the lower id.

    score[i] = ((sum[i] * scale[i]) + bias[i]) + constant          each step rounded to float32

`sum` is the scan's own, in float32. Larger is better everywhere in this layer; the index negates for squared L2.
Where fewer than k rows are allowed, the rest of a result row is score nan and id -1. A score that is not a number counts as
-inf. A kernel may skip rows by cheaper arithmetic with a proven bound, but its result is this one, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import check_int
from ..dispatch import empty, run
from .blocks import BLOCK, Blocks, byte_offsets, count, row_strides
from .factors import KINDS, WIDTHS, Factor, KernelFactor, factor_values, kernel_factor
from .numerics import array

# results are tables of k places a query, 12 bytes each: a larger k is a slip, better named than met by "array is too big"
MAX_K = 2**31 - 1
Layout = tuple[int, int, int, int]  # n, code_size, head, stride


def scan(
    op: str,
    blocks: Blocks,
    operand: np.ndarray,
    options: tuple[Any, ...],
    k: int,
    ids: np.ndarray | None,
    allow: np.ndarray | None,
    scale: float | Factor,
    bias: Factor | None,
    constant: np.ndarray | None,
    num_threads: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Checks what all scans take, allocates the results and runs operation `op`.

    blocks : the codes
    operand : [nq, ...] what the scan reads of each query; options : further arguments of the operation
    k : 1 to MAX_K; more than there are rows is fine
    ids : int64[n] or None for 0..n-1
    allow : uint64[ceil(n / 64)], bit r of word b allows row 64 b + r; None allows all
    scale, bias : per-vector factors in the head, or anywhere in a code of group 1; a plain number is the scale of every row
    constant : float32[nq] added to every score of a query, or None

    Raises TypeError or ValueError for what is not such, MemoryError where the results do not fit in memory.
    """
    blocks.check()
    nq = len(operand)
    k = check_int(op, "k", k, 1, MAX_K)
    if ids is not None:
        ids = array(op, "ids", ids, np.int64, (blocks.n,))
    if allow is not None:
        allow = array(op, "allow", allow, np.uint64, (count(blocks.n),))
    constant = np.zeros(nq, np.float32) if constant is None else array(op, "constant", constant, np.float32, (nq,))
    # where bytes lie one after the other, factors may stand anywhere in a code
    inside = blocks.code_size if blocks.group == 1 else blocks.head
    factors = (kernel_factor(op, "scale", scale, inside), kernel_factor(op, "bias", bias, inside))
    if blocks.elsewhere:
        return blocks.scan(op, operand, options, k, ids, allow, *factors, constant)
    scores, found = empty((nq, k), np.float32), empty((nq, k), np.int64)
    layout = (blocks.n, blocks.code_size, blocks.head, blocks.stride)
    run(op, scores, found, blocks.data, layout, operand, *options, ids, allow, *factors, constant, num_threads=num_threads)
    return scores, found


def reference_codes(data: np.ndarray, layout: Layout, group: int = 1) -> np.ndarray:
    """The codes' payload behind the head, uint8[n, code_size - head]."""
    n, code_size, head, _ = layout
    return _bytes(data, n, code_size, head, group, np.arange(head, code_size))


def _bytes(data: np.ndarray, n: int, size: int, head: int, group: int, which: np.ndarray) -> np.ndarray:
    row = np.arange(n)[:, None]
    return data[row // BLOCK, byte_offsets(size, head, group)[which] + row % BLOCK * row_strides(size, head, group)[which]]


def reference_scan(
    scores: np.ndarray,
    found: np.ndarray,
    sums: np.ndarray,
    data: np.ndarray,
    layout: Layout,
    ids: np.ndarray | None,
    allow: np.ndarray | None,
    scale: KernelFactor,
    bias: KernelFactor,
    constant: np.ndarray,
) -> None:
    """From the scan's sums float32[nq, n] to the results: the definition of this module's first lines."""
    n, k = layout[0], scores.shape[1]
    with np.errstate(invalid="ignore", over="ignore"):
        total = sums * factors_of_rows(scale, data, layout)[:, 0]
        if bias[0]:
            total = total + factors_of_rows(bias, data, layout)[:, 0]
        total = total + constant[:, None]
    total = np.where(np.isnan(total), np.float32(-np.inf), total)
    ids = np.arange(n) if ids is None else ids
    rows = np.arange(n)
    if allow is not None:
        rows = rows[(allow[rows // BLOCK] >> (rows % BLOCK).astype(np.uint64)) & np.uint64(1) == 1]
    scores.fill(np.nan)
    found.fill(-1)
    for i in range(len(scores)):
        best = rows[np.lexsort((ids[rows], -total[i, rows]))][:k]
        scores[i, : len(best)] = total[i, best]
        found[i, : len(best)] = ids[best]


def factors_of_rows(factor: KernelFactor, data: np.ndarray, layout: Layout) -> np.ndarray:
    """float32[n, 1]."""
    kind, offset, value, _ = factor
    n, size, head, _ = layout
    if KINDS[kind] == "none":
        return np.full((n, 1), value, np.float32)
    return factor_values(factor, _bytes(data, n, size, head, 1, np.arange(offset, offset + WIDTHS[KINDS[kind]])))[:, None]
