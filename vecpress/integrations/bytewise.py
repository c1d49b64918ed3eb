"""Codecs whose codes decode byte by byte, as tables: found by asking them, so that nothing here knows a layout."""

from __future__ import annotations

import numpy as np

from ..chain import Chain
from ..codec import Codec
from ..codecs.opq import OPQ
from ..codecs.pq import PQ

ASKED = 256  # random codes that a codec decodes, to see that tables say the same


def lookup(codec: Codec) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Codebooks, projection and offset by which `codec` decodes: x_hat = gathered @ projection + offset; empty: as gathered.

    None for a codec that decodes otherwise.
    """
    nothing = np.empty(0, np.float32)
    codebooks = _codebooks(codec)
    if codebooks is not None:
        return codebooks, nothing, nothing
    if isinstance(codec, OPQ):
        inner: Codec = PQ.restore(codec.config(), codec.dim, {"codebooks_": codec.codebooks_})
        projection, offset = codec.rotation_.T, np.zeros(codec.dim, np.float32)
    elif isinstance(codec, Chain) and codec.inner.code_size == codec.code_size:
        inner = codec.inner
        offset = codec._unmap(np.zeros((1, inner.dim), np.float32), 1)[0]
        projection = codec._unmap(np.eye(inner.dim, dtype=np.float32), 1) - offset
    else:
        return None
    codebooks = _codebooks(inner)
    if codebooks is None:
        return None
    codes = _random_codes(codec)
    wanted = codec._decode(codes)
    gathered = codebooks[np.arange(codec.code_size), codes].reshape(ASKED, -1)[:, : len(projection)]
    if not np.allclose(gathered @ projection + offset, wanted, rtol=1e-4, atol=1e-4 * float(np.abs(wanted).max())):
        return None  # its map back is not affine
    return codebooks, np.ascontiguousarray(projection), offset


def _codebooks(codec: Codec) -> np.ndarray | None:
    """float32[code_size, 256, w] where byte b of a code alone decides columns w b .. w (b + 1) - 1; None where it is not so.

    The codec is asked: it decodes every byte, and then random codes, which the table must give bit for bit.
    """
    size, dim = codec.code_size, codec.dim
    codes = _random_codes(codec)
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], size, axis=1)
    try:
        with np.errstate(all="ignore"):  # bytes that are no code of this codec may mean anything
            entries, wanted = codec._decode(every), codec._decode(codes)
    except (ValueError, IndexError):
        return None
    least = -(-dim // size)
    for width in range(least, 2 * least + 1):  # the last byte may decide fewer columns
        padded = np.zeros((256, size * width), np.float32)
        if padded.shape[1] < dim or size * width - dim >= 2 * width:
            continue
        padded[:, :dim] = entries
        table = np.ascontiguousarray(padded.reshape(256, size, width).transpose(1, 0, 2))
        if np.array_equal(table[np.arange(size), codes].reshape(ASKED, -1)[:, :dim], wanted):
            return table
    return None


def _random_codes(codec: Codec) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (ASKED, codec.code_size), dtype=np.uint8)
