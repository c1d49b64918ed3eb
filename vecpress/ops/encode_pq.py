"""Product quantizer encoding: the nearest centroid of every sub-vector, packed into bytes."""

from __future__ import annotations

import numpy as np

from ..dispatch import empty, reference, run
from .assign import squared_distances
from .numerics import array


def encode_pq(x: np.ndarray, codebooks: np.ndarray, *, by_column: bool = False, num_threads: int | None = None) -> np.ndarray:
    """Codes of x under a product quantizer.

    label[i, j] = argmin over c of |x[i, j * dsub : (j + 1) * dsub] - codebooks[j, c]|^2, summed as in `assign`, ties to the lower

    Parameters
    ----------
    x : float32[n, m * dsub]
    codebooks : float32[m, ks, dsub], ks 16 or 256
    by_column : codebooks are float32[m, dsub, ks]: the same codes, sooner where there are few rows

    Returns
    -------
    uint8[n, m] for ks = 256: one byte a label.
    uint8[n, ceil(m / 2)] for ks = 16: label 2 b in the low half of byte b, label 2 b + 1 in the high half, 0 where m ends.

    Cost: n * ks * m * dsub subtractions and fused multiply-adds.
    Source: Jegou, Douze, Schmid, "Product quantization for nearest neighbor search", PAMI 2011, section II.
    """
    codebooks = array("encode_pq", "codebooks", codebooks, np.float32, (None, None, None))
    m, ks, dsub = codebooks.shape
    if by_column:
        ks, dsub = dsub, ks
    if ks not in (16, 256):
        raise ValueError(f"encode_pq: codebooks expected 16 or 256 on axis {1 + by_column}, got shape {codebooks.shape}")
    x = array("encode_pq", "x", x, np.float32, (None, m * dsub))
    out = empty((len(x), m if ks == 256 else (m + 1) // 2), np.uint8)
    run("encode_pq", out, x, codebooks, bool(by_column), num_threads=num_threads)
    return out


@reference("encode_pq")
def _encode_pq(out: np.ndarray, x: np.ndarray, codebooks: np.ndarray, by_column: bool) -> None:
    if by_column:
        codebooks = codebooks.transpose(0, 2, 1)
    m, ks, dsub = codebooks.shape
    labels = np.zeros((len(x), m + m % 2), np.uint8)
    for j in range(m):
        labels[:, j] = squared_distances(x[:, j * dsub : (j + 1) * dsub], codebooks[j]).argmin(axis=1)
    out[...] = labels[:, :m] if ks == 256 else labels[:, 0::2] | labels[:, 1::2] << 4
