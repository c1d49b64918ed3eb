"""Scan of packed bits: how many bits of a code differ from the query's."""

from __future__ import annotations

import numpy as np

from ..dispatch import reference
from .blocks import Blocks
from .factors import Factor
from .numerics import array
from .scan import reference_codes, reference_scan, scan

LARGEST = 8191  # payload bytes: kernels count differing bits in 16 bits


def hamming(
    blocks: Blocks,
    bits: np.ndarray,
    k: int,
    *,
    ids: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    scale: float | Factor = -1.0,
    bias: Factor | None = None,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k codes nearest in Hamming distance.

    sum[q, i] = number of bits in which code i differs from bits[q]

    Parameters
    ----------
    blocks : codes of p payload bytes, p at most 8,191, group 1
    bits : uint8[nq, p], the queries' packed bits
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`. The scale must be negative for near codes
        to come first, hence its default: scores are then minus the distance.

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * p bytes of xor and popcount.
    """
    bits = array("hamming", "bits", bits, np.uint8, (None, blocks.code_size - blocks.head))
    if bits.shape[1] > LARGEST:
        raise ValueError(f"hamming: bits expected at most {LARGEST} bytes, got {bits.shape[1]}")
    if blocks.group != 1:
        raise ValueError(f"hamming: blocks expected group 1, got {blocks.group}")
    return scan("hamming", blocks, bits, (), k, ids, allow, scale, bias, constant, num_threads)


@reference("hamming")
def _hamming(scores, found, data, layout, bits, ids, allow, scale, bias, constant) -> None:
    codes = reference_codes(data, layout)
    count = np.array([bin(byte).count("1") for byte in range(256)], np.int64)
    sums = count[bits[:, None, :] ^ codes[None, :, :]].sum(axis=2)
    reference_scan(scores, found, sums.astype(np.float32), data, layout, ids, allow, scale, bias, constant)
