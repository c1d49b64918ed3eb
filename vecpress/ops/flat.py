"""Scan of uncompressed rows: exact inner products or squared distances with float32 or float16 vectors."""

from __future__ import annotations

import numpy as np

from ..dispatch import reference
from .blocks import Blocks
from .factors import Factor
from .numerics import array, fma32
from .scan import reference_codes, reference_scan, scan


def flat(
    blocks: Blocks,
    rows: np.ndarray,
    k: int,
    *,
    l2: bool = False,
    ids: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    scale: float | Factor = 1.0,
    bias: Factor | None = None,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k vectors of largest inner product, or of smallest squared distance.

    sum[q, i] = fma chain over t = 0 .. d-1 of rows[q, t] * x[i, t], from 0
    sum[q, i] = -(fma chain over t of e * e), e = rows[q, t] - x[i, t] rounded to float32             where l2

    Parameters
    ----------
    blocks : little-endian float32 (group 4) or float16 (group 2) vectors x[n, d]
    rows : float32[nq, d]
    l2 : squared distance instead of inner product
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * d multiply-adds.
    """
    if blocks.group not in (2, 4):
        raise ValueError(f"flat: blocks expected group 4 (float32) or 2 (float16), got {blocks.group}")
    rows = array("flat", "rows", rows, np.float32, (None, (blocks.code_size - blocks.head) // blocks.group))
    return scan("flat", blocks, rows, (blocks.group, bool(l2)), k, ids, allow, scale, bias, constant, num_threads)


@reference("flat")
def _flat(scores, found, data, layout, rows, group, l2, ids, allow, scale, bias, constant) -> None:
    x = np.ascontiguousarray(reference_codes(data, layout, group)).view(f"<f{group}").astype(np.float32)
    sums = np.zeros((len(rows), len(x)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(x.shape[1]):
            a, b = rows[:, t, None], x[None, :, t]
            sums = fma32(a - b, a - b, sums) if l2 else fma32(a, b, sums)
    reference_scan(scores, found, -sums if l2 else sums, data, layout, ids, allow, scale, bias, constant)
