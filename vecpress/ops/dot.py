"""Scan of small whole numbers: each of a code's numbers picks one of a few levels, and the query is multiplied with these."""

from __future__ import annotations

import numpy as np

from ..checks import check_choice
from ..dispatch import reference
from .blocks import Blocks
from .factors import Factor
from .numerics import array, fma32
from .pack_codes import BITS, _unpack_codes, packed_size
from .scan import reference_codes, reference_scan, scan


def dot(
    blocks: Blocks,
    rows: np.ndarray,
    k: int,
    *,
    n_bits: int,
    levels: np.ndarray | None = None,
    ids: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    scale: float | Factor = 1.0,
    bias: Factor | None = None,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k codes of largest inner product with the query.

    sum[q, i] = fma chain over t = 0 .. d-1 of rows[q, t] * levels[number t of code i], from 0

    Parameters
    ----------
    blocks : codes whose payload is d numbers of n_bits as `pack_codes` packs them, group 1
    rows : float32[nq, d]
    n_bits : 1 to 8
    levels : float32[2**n_bits], what the numbers stand for; None for evenly spaced ones, c - (2**n_bits - 1) / 2
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * d multiply-adds. Kernels multiply the query and the levels rounded to 8 bits, in whole numbers, skip the rows
    whose upper bound is below the k-th best score, and sum in float32 for the others, so the result is exact.
    """
    n_bits = check_choice("dot", "n_bits", n_bits, BITS)
    rows = array("dot", "rows", rows, np.float32, (None, None))
    if blocks.group != 1:
        raise ValueError(f"dot: blocks expected group 1, got {blocks.group}")
    size = blocks.code_size - blocks.head
    if packed_size(rows.shape[1], n_bits) != size:
        raise ValueError(
            f"dot: rows expected as many columns as {size} bytes hold numbers of {n_bits} bits, got shape {rows.shape}"
        )
    if levels is None:
        levels = even_levels(n_bits)
    levels = array("dot", "levels", levels, np.float32, (2**n_bits,))
    return scan("dot", blocks, rows, (levels, n_bits), k, ids, allow, scale, bias, constant, num_threads)


def even_levels(n_bits: int) -> np.ndarray:
    """float32[2**n_bits]: c - (2**n_bits - 1) / 2 for every number c."""
    return np.arange(2**n_bits, dtype=np.float32) - np.float32((2**n_bits - 1) / 2)


@reference("dot")
def _dot(scores, found, data, layout, rows, levels, n_bits, ids, allow, scale, bias, constant) -> None:
    labels = np.empty((layout[0], rows.shape[1]), np.uint8)
    _unpack_codes(labels, reference_codes(data, layout), n_bits)
    sums = np.zeros((len(rows), len(labels)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(rows.shape[1]):
            sums = fma32(rows[:, t, None], levels[None, labels[:, t]], sums)
    reference_scan(scores, found, sums, data, layout, ids, allow, scale, bias, constant)
