"""Scan of small whole numbers: each of a code's numbers picks one of a few levels, and the query is multiplied with these."""

from __future__ import annotations

import numpy as np

from ..checks import check_choice
from ..dispatch import reference
from .blocks import Blocks
from .factors import NO_FACTOR, Factor
from .numerics import array, fma32
from .pack_codes import BITS, _unpack_codes, packed_size
from .scan import factors_of_rows, reference_codes, reference_scan, scan

CHAINS = 16  # a power of two


def dot(
    blocks: Blocks,
    rows: np.ndarray,
    k: int,
    *,
    n_bits: int,
    levels: np.ndarray | None = None,
    l2: bool = False,
    ids: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    scale: float | Factor = 1.0,
    bias: Factor | None = None,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k codes of largest inner product with the query, or of least squared distance to it.

    part[j] = fma chain over t = j, j + 16, j + 32, ... below d of rows[q, t] * levels[number t of code i], from 0, for j < 16
    sum[q, i] = part[0] after part[j] = part[j] + part[j + h] for j < h, for h = 8, 4, 2, 1

    With l2 the chains are those of e * e, e = rows[q, t] - levels[number t of code i] * scale[i], both rounded, and the score is
    -sum[q, i] + constant. A code needs no norm for it: kernels have those of whole blocks for the price of two queries.

    Parameters
    ----------
    blocks : codes whose payload is d numbers of n_bits as `pack_codes` packs them, group 1
    rows : float32[nq, d]
    n_bits : 1 to 8
    levels : float32[2**n_bits], what the numbers stand for; None for evenly spaced ones, c - (2**n_bits - 1) / 2
    l2 : squared distances, negated; takes no bias
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * d multiply-adds. Kernels multiply whole numbers of 8 bits, the query and the levels rounded, with a bound of
    what that loses, and sum in float32 where the bound reaches the k-th best score: the result is exact. The bound is sharpest
    for levels that are multiples of one number, 64 to 127 of them from the lowest to the highest.
    """
    n_bits = check_choice("dot", "n_bits", n_bits, BITS)
    rows = array("dot", "rows", rows, np.float32, (None, None))
    if blocks.group != 1:
        raise ValueError(f"dot: blocks expected group 1, got {blocks.group}")
    size, d = blocks.code_size - blocks.head, rows.shape[1]
    if packed_size(d, n_bits) != size:
        raise ValueError(f"dot: rows expected columns whose numbers of {n_bits} bits fill {size} bytes, got shape {rows.shape}")
    if levels is not None:
        levels = array("dot", "levels", levels, np.float32, (2**n_bits,))
    if l2 and bias is not None:
        raise ValueError("dot: bias expected None with l2, got one")
    return scan("dot", blocks, rows, (levels, n_bits, bool(l2)), k, ids, allow, scale, bias, constant, num_threads)


def even_levels(n_bits: int) -> np.ndarray:
    """float32[2**n_bits]: c - (2**n_bits - 1) / 2 for every number c."""
    return np.arange(2**n_bits, dtype=np.float32) - np.float32((2**n_bits - 1) / 2)


@reference("dot")
def _dot(scores, found, data, layout, rows, levels, n_bits, l2, ids, allow, scale, bias, constant) -> None:
    n, (nq, d) = layout[0], rows.shape
    labels = np.empty((n, d), np.uint8)
    _unpack_codes(labels, reference_codes(data, layout), n_bits)
    values = (even_levels(n_bits) if levels is None else levels)[labels]
    parts = np.zeros((nq, n, CHAINS), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if l2:
            values = values * factors_of_rows(scale, data, layout)
            scale = NO_FACTOR
        for t in range(0, d, CHAINS):
            chains = slice(min(CHAINS, d - t))
            x, y = rows[:, None, t : t + CHAINS], values[:, t : t + CHAINS]
            if l2:
                x = y = x - y
            parts[:, :, chains] = fma32(x, y, parts[:, :, chains])
        half = CHAINS // 2
        while half:
            parts[:, :, :half] += parts[:, :, half : 2 * half]
            half //= 2
    reference_scan(scores, found, -parts[:, :, 0] if l2 else parts[:, :, 0], data, layout, ids, allow, scale, bias, constant)
