"""How faiss lays out the codes of its indexes, and ours in that layout and back: arrays of bytes, no faiss needed.

Layouts as of faiss 1.15, from its headers impl/RaBitQUtils.h, impl/EDENQuantizer.h and impl/pq4_fast_scan.h. Packed numbers
begin at a byte's least significant bit; factors are float32, little-endian.

| index | a code |
|---|---|
| IndexPQ, IndexScalarQuantizer, IndexFlat, IndexBinaryFlat | what vecpress writes, bit for bit |
| IndexLSH | dimension 8 b + r is bit r of byte b |
| IndexRaBitQ, 1 bit | bits; the squared length N, the multiplier M |
| IndexRaBitQ, B bits | the top bits of the labels; N, M and the bound E of what these lack; the other B - 1 bits; add, rescale |
| IndexEDEN | labels; the squared length of the decoded vector, its scale |
| IndexPQFastScan | blocks of 32 rows; pair k of sub-vectors in 32 bytes, the low nibbles rows 0 .. 15, the high ones 16 .. 31 |
"""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..arrays import FLOAT32_MAX
from ..codecs.lloydmax import LloydMax
from ..codecs.rabitq import RaBitQ
from ..ops.factors import U2_LARGEST, from_u2, to_u2

SAME_FACTORS = 2.0**-9  # relative: of 2-byte factors' squares, rounded twice
SLACK = 1.001  # for the rounding of sums that faiss skips rows by
ERROR_BITS = {"u2": 18, "f4": 32}
FAST_ROWS = 32  # of a block of IndexPQFastScan


class NoFaissForm(ValueError):
    """This codec cannot be said in a faiss index, in this kind or at all, or this index not as a codec; the message says why."""


def reverse_bits(codes: np.ndarray) -> np.ndarray:
    """uint8, each byte's first bit last: its own inverse."""
    return _REVERSED[codes]


_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1), axis=1, bitorder="little")[:, 0]


def pack_numbers(labels: np.ndarray, n_bits: int) -> np.ndarray:
    """Numbers uint8[n, d] below 2**n_bits to uint8[n, ceil(d n_bits / 8)], from the least significant bit on."""
    n, d = labels.shape
    bits = np.empty((n, d, n_bits), np.uint8)
    for place in range(n_bits):
        np.bitwise_and(labels, 1 << place, out=bits[:, :, place])  # any number but 0 is packed as 1
    return np.packbits(bits.reshape(n, d * n_bits), axis=1, bitorder="little")


def unpack_numbers(packed: np.ndarray, d: int, n_bits: int) -> np.ndarray:
    """uint8[n, d]: what `pack_numbers` packed."""
    bits = np.unpackbits(packed, axis=1, count=d * n_bits, bitorder="little").reshape(len(packed), d, n_bits)
    out = np.zeros((len(packed), d), np.uint8)
    for place in range(n_bits):
        out |= bits[:, :, place] << np.uint8(place)
    return out


def unpack_fast(blocks: np.ndarray, n: int, m: int) -> np.ndarray:
    """The codes uint8[n, ceil(m / 2)] in blocks uint8[ceil(n / 32), 32 ceil(m / 2)] of IndexPQFastScan, as IndexPQ has them."""
    pairs = -(-m // 2)
    # within the 16 bytes of a sub-vector rows 0 .. 7 and 8 .. 15 alternate
    halves = blocks.reshape(-1, pairs, 2, 8, 2).transpose(0, 4, 3, 1, 2).reshape(-1, 16, pairs, 2)
    labels = np.stack([halves & 15, halves >> 4], axis=1).reshape(-1, pairs, 2)[:n]
    if m % 2:
        labels[:, -1, 1] = 0
    return labels[:, :, 0] | labels[:, :, 1] << 4


class RaBitQCodes:
    """Codes of a RaBitQ codec as those of an IndexRaBitQ, whose scores are then those of the codec.

    faiss's index has a column for each of our labels: the d of the grid, the digits of the part along the mean, those of the sine
    of the error, and, where a code holds the error itself, its bits as labels. `matrix` maps a vector to these columns: rotated;
    its part along the mean times what a digit weighs; and zeros, for the error is no part of a score. With z that column
    vector, c its centre, g the grid point of the labels and s the scale, faiss scores

        ip   <z, c> + add + rescale <z - c, g>        l2   |z - c|^2 + add + rescale <z - c, g>

    so add = s <c, g>, rescale = s; or s^2 |g|^2 and -2 s. With one bit the same comes of N and M. With more, faiss first looks
    at the top bits alone, N + |z - c|^2 - 4 M <z - c, g1> / sqrt(columns), g1 the signs of g halved, and skips what is worse
    than the k best by more than E |z - c|: E is what Cauchy and Schwarz allow, so that it skips nothing that belongs there.
    """

    def __init__(self, codec: RaBitQ, centre: np.ndarray):
        """centre : float32[d], of the index, before the rotation; zeros for l2"""
        self.codec, self.n_bits, self.l2 = codec, codec.n_bits, codec.metric == "l2"
        d, digits, sines = codec.dim, codec._digits, codec._sines
        self.labels = d + digits + sines
        # e, where the code has it, as the upper bits of a float32: those that a 2-byte factor times a power of two needs, or all
        self.error_bits = 0 if codec.head == codec._width else ERROR_BITS[codec.factors]
        self.columns = self.labels + -(-self.error_bits // self.n_bits)
        self.scored = d + digits  # columns that are more than zero
        self.centre = np.zeros(self.columns, np.float32)
        self.centre[:d] = ops.rotate(centre[None], codec.signs_, num_threads=1)[0]
        self.sign_bytes = -(-self.columns // 8)
        self.rest = self.n_bits - 1
        self.factors = 2 if self.rest == 0 else 3

    @property
    def code_size(self) -> int:
        rest = 0 if self.rest == 0 else -(-self.columns * self.rest // 8) + 8
        return self.sign_bytes + 4 * self.factors + rest

    def matrix(self) -> np.ndarray:
        """float32[columns, d]"""
        codec = self.codec
        out = np.zeros((self.columns, codec.dim), np.float32)
        out[: codec.dim] = ops.rotate(np.eye(codec.dim, dtype=np.float32), codec.signs_).T
        out[codec.dim : self.scored] = codec._weights()[:, None] * codec._along(None)
        return out

    def theirs(self, codes: np.ndarray) -> np.ndarray:
        """uint8[n, code_size of the codec] to uint8[n, code_size]."""
        codec, n = self.codec, len(codes)
        labels = np.zeros((n, self.columns), np.uint8)
        labels[:, : self.labels] = codec._labels(codes)
        if self.error_bits:
            error = codec._factor(codes[:, codec._width : codec.head], codec._units[1])
            raw = (error.view(np.uint32) >> self._dropped).astype("<u4")[:, None].view(np.uint8)
            labels[:, self.labels :] = unpack_numbers(np.pad(raw, ((0, 0), (0, 1))), self.columns - self.labels, self.n_bits)
        scale = codec._factor(codes[:, : codec._width], codec._units[0]).astype(np.float64)
        half = (2**self.n_bits - 1) / 2
        points = labels[:, : self.scored].astype(np.float32) - np.float32(half)
        square = np.einsum("ij,ij->i", points, points).astype(np.float64)  # quarters: exact up to 2^22
        along = ops.project(points, self.centre[: self.scored, None])[:, 0].astype(np.float64)
        add = np.square(scale) * square if self.l2 else scale * along
        first = add if self.l2 else -float(np.square(self.centre, dtype=np.float64).sum()) - 2 * add
        signs = labels >> self.rest
        if self.rest == 0:
            return np.hstack([pack_numbers(signs, 1), _floats(first, scale * (math.sqrt(self.columns) / 2))])
        product = np.abs(points).sum(axis=1, dtype=np.float64) / 2  # <g, g1>
        coarse = scale * product / (self.scored / 4)
        lacks = np.sqrt(np.maximum(scale**2 * square - 2 * scale * coarse * product + coarse**2 * (self.scored / 4), 0))
        bound = (2 if self.l2 else 1) * SLACK * lacks + 1e-5 * scale * np.sqrt(square)
        rescale = -2 * scale if self.l2 else scale
        head = _floats(first, coarse * (math.sqrt(self.columns) / 2), bound)
        return np.hstack(
            [pack_numbers(signs, 1), head, pack_numbers(labels & (2**self.rest - 1), self.rest), _floats(add, rescale)]
        )

    def ours(self, codes: np.ndarray) -> np.ndarray:
        """The inverse. Raises ValueError for a scale that is none."""
        codec, n = self.codec, len(codes)
        labels = unpack_numbers(np.ascontiguousarray(codes[:, : self.sign_bytes]), self.columns, 1) << self.rest
        if self.rest:
            behind = self.sign_bytes + 4 * self.factors
            labels |= unpack_numbers(np.ascontiguousarray(codes[:, behind:-8]), self.columns, self.rest)
        head = [_stored(codec, "scales", self.scales(codes), float(codec.unit_[0]))]
        if self.error_bits:
            raw = np.zeros((n, 4), np.uint8)
            packed = pack_numbers(labels[:, self.labels :], self.n_bits)[:, :4]
            raw[:, : packed.shape[1]] = packed
            error = (raw.view("<u4")[:, 0].astype(np.uint32) << self._dropped).view(np.float32)
            head.append(_stored(codec, "errors", error.astype(np.float64), codec._units[1]))
        packed = ops.pack_codes(np.ascontiguousarray(labels[:, : self.labels]), self.n_bits)
        return np.hstack([*head, packed]).reshape(n, codec.code_size)

    def check(self, codes: np.ndarray, ours: np.ndarray, first: int) -> None:
        """Raises NoFaissForm if `codes` have other factors than `ours`, made of them, which have none for what faiss adds."""
        length = math.sqrt(np.square(self.centre, dtype=np.float64).sum())
        longest = (2**self.n_bits - 1) / 2 * math.sqrt(self.scored)  # |g|
        got = self._factors(codes)
        slack = np.zeros_like(got)
        # what is added, in columns 0 and 3, may be a small difference of large numbers
        slack[:, ::3] = (2.0**-18 * length * (length + np.abs(self.scales(codes)) * longest))[:, None]
        _check_factors(got, self._factors(self.theirs(ours)), slack, first)

    def _factors(self, codes: np.ndarray) -> np.ndarray:
        head = _read_floats(codes[:, self.sign_bytes : self.sign_bytes + 4 * self.factors])
        return np.hstack([head, _read_floats(codes[:, -8:])]) if self.rest else head

    @property
    def _dropped(self) -> np.uint32:
        """Lower bits of e, less the sign, that are not kept."""
        return np.uint32(31 - self.error_bits if self.error_bits < 32 else 0)

    def scales(self, codes: np.ndarray) -> np.ndarray:
        """float64[n]: s of faiss's codes."""
        if self.rest:
            return _read_floats(codes[:, -4:])[:, 0] / (-2 if self.l2 else 1)
        return _read_floats(codes[:, self.sign_bytes :])[:, 1] / (math.sqrt(self.columns) / 2)


class EdenCodes:
    """Codes of a LloydMax codec as those of an IndexEDEN of equal levels: labels, s^2 |levels|^2, s."""

    def __init__(self, codec: LloydMax):
        self.codec = codec
        self.code_size = -(-codec.dim * codec.n_bits // 8) + 8

    def theirs(self, codes: np.ndarray) -> np.ndarray:
        codec = self.codec
        labels = ops.unpack_codes(np.ascontiguousarray(codes[:, codec.head :]), codec.dim, codec.n_bits)
        scale = (from_u2(np.ascontiguousarray(codes[:, :2]).view("<u2")[:, 0]) * codec.unit_).astype(np.float64)
        square = np.square(codec.levels_)[labels].sum(axis=1, dtype=np.float64)
        return np.hstack([pack_numbers(labels, codec.n_bits), _floats(scale**2 * square, scale)])

    def ours(self, codes: np.ndarray) -> np.ndarray:
        """The inverse. Raises ValueError for a scale that is none."""
        codec = self.codec
        labels = unpack_numbers(np.ascontiguousarray(codes[:, :-8]), codec.dim, codec.n_bits)
        return np.hstack(
            [_stored(codec, "scales", self.scales(codes), float(codec.unit_[0])), ops.pack_codes(labels, codec.n_bits)]
        )

    def scales(self, codes: np.ndarray) -> np.ndarray:
        """float64[n]: s of faiss's codes."""
        return _read_floats(codes[:, -4:])[:, 0]

    def check(self, codes: np.ndarray, ours: np.ndarray, first: int) -> None:
        """As that of RaBitQCodes: faiss scores by the length that a code says, `ours` by that of the levels."""
        _check_factors(_read_floats(codes[:, -8:]), _read_floats(self.theirs(ours)[:, -8:]), 0.0, first)


def check_finite(dtype: str, codes: np.ndarray, first: int) -> None:
    """Raises ValueError for a row of numbers, the first of which is row `first`, with a NaN or an infinity."""
    good = np.isfinite(np.ascontiguousarray(codes).view(dtype)).all(axis=1)
    if not good.all():
        raise ValueError(f"faiss: codes expected finite values, row {first + int(good.argmin())} has NaN or infinity")


def _check_factors(got: np.ndarray, wanted: np.ndarray, slack: np.ndarray | float, first: int) -> None:
    near = np.abs(got - wanted) <= SAME_FACTORS * np.abs(wanted) + slack  # nan is not
    if not near.all():
        row = int(near.all(axis=1).argmin())
        factors = ", ".join(f"{factor:.6g}" for factor in got[row])
        wanted_words = "the factors of a code that vecpress exported"
        raise NoFaissForm(f"codes: row {first + row} expected {wanted_words}, got {factors}; faiss added it itself")


def _stored(codec: RaBitQ | LloydMax, what: str, numbers: np.ndarray, unit: float) -> np.ndarray:
    """Factors float64[n] as the bytes that the codec has for them, uint8[n, width]."""
    wide = isinstance(codec, RaBitQ) and codec.factors == "f4"
    most = FLOAT32_MAX if wide else U2_LARGEST * unit
    if not ((numbers >= 0) & (numbers <= most)).all():  # nan is neither
        raise ValueError(
            f"codes: {what} expected 0 to {most:.9g}, as the codec has, got {numbers.min():.9g} to {numbers.max():.9g}"
        )
    single = (numbers / unit).astype(np.float32)
    return (single.astype("<f4") if wide else to_u2(single))[:, None].view(np.uint8)


def _floats(*columns: np.ndarray) -> np.ndarray:
    """Numbers [n] each to the bytes of float32, uint8[n, 4 columns]."""
    return np.ascontiguousarray(np.stack(columns, axis=1).astype("<f4")).view(np.uint8)


def _read_floats(raw: np.ndarray) -> np.ndarray:
    """uint8[n, 4 r] to float64[n, r]."""
    return np.ascontiguousarray(raw).view("<f4").astype(np.float64)
