"""Symmetric scan of small numbers: the query's packed numbers and a code's, multiplied as the levels that they stand for."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..checks import check_choice, check_int
from ..dispatch import reference
from .blocks import Blocks
from .factors import Factor
from .numerics import array
from .pack_codes import _unpack_codes, packed_size
from .scan import reference_codes, reference_scan, scan

BITS = (1, 2, 4)
LARGEST = 8192  # dimensions: sums of numbers of 4 bits stay below 2^24, which float32 holds
Form = Literal["tables", "products", "planes"]
FORMS: tuple[Form, ...] = ("tables", "products", "planes")


def sdc(
    blocks: Blocks,
    codes: np.ndarray,
    k: int,
    *,
    dim: int,
    n_bits: int,
    form: Form | None = None,
    weights: np.ndarray | None = None,
    ids: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    scale: float | Factor = 1.0,
    bias: Factor | None = None,
    constant: np.ndarray | None = None,
    num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k codes of largest inner product with the query's code.

    sum[q, i] = sum over t < dim of (2 * number t of codes[q] - M) * (2 * number t of code i - M), M = 2**n_bits - 1

    That is 4**(n_bits - 1) times the inner product of the levels (2 c - M) / 2**(n_bits - 1), exactly: a whole number, which
    float32 holds. For n_bits = 1 it is dim less twice the Hamming distance. What a last byte holds behind dimension dim does not
    count, whatever it is, in queries and codes alike.

    Parameters
    ----------
    blocks : codes whose payload is dim numbers of n_bits as `pack_codes` packs them, group 1
    codes : uint8[nq, packed_size(dim, n_bits)], the queries' numbers, packed alike
    dim : at most 8,192
    n_bits : 1, 2 or 4
    form : how kernels make the sum, the same whole number in each: "tables" of what pairs of nibbles add, "products" of unpacked
        numbers, "planes" of bits, whose pairs are counted. None takes the fastest. Where there is none of its name, for it could
        be of no use (products of 1 bit, planes of 4 bits), another takes its place
    weights : float32[nq], above 0 and finite, what each query's sums are multiplied with in float32; None: 1
    k, ids, allow, scale, bias, constant, num_threads : see `vecpress.ops.scan.scan`

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id

    Cost: nq * n * payload bytes, as a scan of packed bits of the same size.
    Source: Binary embedding-based retrieval (arXiv:2302.08714), whose kernel this one equals in what it sums.
    """
    n_bits = check_choice("sdc", "n_bits", n_bits, BITS)
    dim = check_int("sdc", "dim", dim, 0, LARGEST)
    way = 0 if form is None else 1 + FORMS.index(check_choice("sdc", "form", form, FORMS))
    if blocks.group != 1:
        raise ValueError(f"sdc: blocks expected group 1, got {blocks.group}")
    size = blocks.code_size - blocks.head
    if packed_size(dim, n_bits) != size:
        raise ValueError(f"sdc: dim expected as many numbers of {n_bits} bits as fill the codes' {size} bytes, got {dim}")
    codes = array("sdc", "codes", codes, np.uint8, (None, size))
    weights = np.ones(len(codes), np.float32) if weights is None else array("sdc", "weights", weights, np.float32, (len(codes),))
    good = (weights > 0) & (weights <= np.finfo(np.float32).max)
    if not good.all():
        query = int(np.argmin(good))
        raise ValueError(f"sdc: weights expected finite numbers above 0, got {weights[query]} for query {query}")
    return scan("sdc", blocks, codes, (dim, n_bits, way, weights), k, ids, allow, scale, bias, constant, num_threads)


@reference("sdc")
def _sdc(scores, found, data, layout, codes, dim, n_bits, form, weights, ids, allow, scale, bias, constant) -> None:
    def numbers(packed: np.ndarray) -> np.ndarray:
        labels = np.empty((len(packed), dim), np.uint8)
        _unpack_codes(labels, packed, n_bits)
        return 2 * labels.astype(np.int64) - (2**n_bits - 1)

    sums = numbers(codes) @ numbers(reference_codes(data, layout)).T
    with np.errstate(over="ignore", invalid="ignore"):
        weighed = sums.astype(np.float32) * weights[:, None]
    reference_scan(scores, found, weighed, data, layout, ids, allow, scale, bias, constant)
