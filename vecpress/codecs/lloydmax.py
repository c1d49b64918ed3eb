"""Lloyd-Max: a random rotation, then every component rounded to the best levels of a normal number, and one scale a vector."""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..labels import label_query
from ..normal_levels import coded_levels
from ..ops.factors import U2_LARGEST, Factor, from_u2, to_u2
from ..ops.pack_codes import packed_size

MAX_SEED = 2**63 - 1
SHORT = 2.0**-100  # vectors so near to the mean count as it: what they would be stretched by leaves float32


class LloydMax(Codec):
    """x_hat = mean_ + R^-1 (s levels_[c]), where c are d labels of n_bits and s is one number a vector.

    R is `ops.rotate` with signs_: it makes the components of any vector look like normal numbers of one spread, for which
    levels_ are best: no codebook is trained. With y = R (x - mean_) and u = y sqrt(d) / |y|:

        c[t] = number of midpoints between neighbouring levels that are below u[t]      (`ops.quantize`)
        s    = |y|^2 / <y, levels_[c]>      for ip and cos: <q, x_hat> is an unbiased estimate of <q, x> over rotations
        s    = <y, levels_[c]> / |levels_[c]|^2      for l2: the scale of least squared error

    For l2 the scale is another because the squared distance to a vector that was stretched to be unbiased counts that stretch:
    with the scale of least error all squared distances shrink about alike, which leaves their order alone.

    Code layout, code_size = 2 + ceil(d n_bits / 8):

    | bytes | content |
    |---|---|
    | 0, 1 | s / unit_ as `ops.factors.to_u2` rounds it, little-endian |
    | then | the labels as `ops.pack_codes` packs them |

    A vector nearer than 2^-100 to the mean has s = 0. Scores are those of the query with x_hat, up to float32 rounding. For l2 no
    norm is stored: the scan has it of the labels (`ops.dot`), and with 1 bit it follows from s.

    Parameters
    ----------
    n_bits : 1 to 8 a dimension
    metric : "ip", "l2" or "cos"
    seed : of the rotation

    Learned: mean_ float32[d], over every row; signs_, drawn from the seed; levels_ float32[2**n_bits], `coded_levels`, the same
    for all data; unit_ float32[1], a power of two that brings the training rows' scales to 1 or below, so that 2-byte scales
    keep 11 bits from 2^-30 of that up to 2^33 times that.

    Raises ValueError, naming the row, in `fit` for values beyond 2^50, in `encode` for values so large that their scale might be
    beyond 2^33 unit_.
    Cost: fit two passes over x; encode a rotation and about ten passes; a query a rotation and d n_bits / 4 look-ups a code, from
    3 bits on, for l2 from 2, d multiply-adds.

    Source: Max 1960 and Lloyd 1982 for levels; Vargaftik et al., "EDEN", 2022, for rotation, levels and unbiased scale; Gao and
    Long, "RaBitQ", 2024, for the same scale at one bit.
    """

    head = 2
    state = {  # noqa: RUF012  ClassVar in Codec
        "mean_": Array("float32", ("dim",)),
        "signs_": Array("uint8", (4, "sign_bytes")),
        "levels_": Array("float32", ("n_levels",)),
        "unit_": Array("float32", (1,)),
    }
    mean_: np.ndarray
    signs_: np.ndarray
    levels_: np.ndarray
    unit_: np.ndarray

    def __init__(self, n_bits: int = 4, *, metric: Metric = "ip", seed: int = 0):
        self.n_bits = check_int("LloydMax", "n_bits", n_bits, 1, 8)
        self.metric = check_choice("LloydMax", "metric", metric, METRICS)
        self.seed = check_int("LloydMax", "seed", seed, 0, MAX_SEED)

    @property
    def code_size(self) -> int:
        return self.head + packed_size(self.dim, self.n_bits)

    @property
    def sign_bytes(self) -> int:
        """Bytes of one round of the rotation's signs."""
        return -(-self.dim // 8)

    @property
    def n_levels(self) -> int:
        return 2**self.n_bits

    @property
    def enough_rows(self) -> int:
        return 30  # the mean is all that is learned

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        rng = np.random.Generator(np.random.PCG64(self.seed))
        self.signs_ = rng.integers(0, 256, (4, self.sign_bytes), np.uint8)
        self.levels_ = coded_levels(self.n_bits).astype(np.float32)
        total = np.zeros(x.dim)
        for _, block in x.blocks():
            total += block.sum(axis=0, dtype=np.float64)
        self.mean_ = (total / x.n).astype(np.float32)
        most = max(float(self._label(block, num_threads)[1].max()) for _, block in x.blocks())
        # what `largest` allows is to hold the mean four times
        most = max(most, 10 * math.sqrt(x.dim) * float(np.abs(self.mean_).max()) / U2_LARGEST)
        self.unit_ = np.array([2.0 ** min(max(math.ceil(math.log2(most)), -90), 90) if most > 0 else 1.0], np.float32)

    @property
    def largest(self) -> float:  # type: ignore[override]
        """Once the unit is known, the largest absolute value that is surely no scale beyond U2_LARGEST.

        A scale is 2.5 |y| at most: <u, levels> is at least 0.4 |u| (level / upper edge of its cell is at least 0.4 in the inner
        cells, and the outermost level is at least 0.79), and |y| is at most sqrt(d) (largest + |mean|), but for rounding.
        """
        if not self.is_fitted:
            return SQUARES_FIT
        held = U2_LARGEST * float(self.unit_[0]) / (2.6 * math.sqrt(self.dim))
        return min(SQUARES_FIT, held - float(np.abs(self.mean_).max()))

    def _label(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Labels uint8[n, d] and scales float64[n]."""
        y = ops.rotate(x - self.mean_, self.signs_, num_threads=num_threads)
        length = ops.norms(y, num_threads=num_threads)
        there = length >= SHORT
        y *= (np.float32(math.sqrt(self.dim)) / np.where(there, length, np.float32(np.inf)))[:, None]
        labels = ops.quantize(y, (self.levels_[1:] + self.levels_[:-1]) / np.float32(2), num_threads=num_threads)
        levels = self.levels_[labels]
        # <y, levels> by norms, whose order of summing is fixed
        norm, other = (ops.norms(a, num_threads=num_threads).astype(np.float64) for a in (y, levels))
        y -= levels
        product = (norm * norm + other * other - np.square(ops.norms(y, num_threads=num_threads), dtype=np.float64)) / 2
        product = np.where(there, product, 1.0)
        stretch = product / (other * other) if self.metric == "l2" else norm * norm / product
        return labels, np.where(there, length * stretch / math.sqrt(self.dim), 0.0)

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        labels, scale = self._label(x, num_threads)
        stored = to_u2((scale / self.unit_).astype(np.float32))[:, None].view(np.uint8)
        return np.hstack([stored, ops.pack_codes(labels, self.n_bits, num_threads=num_threads)])

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        scale = from_u2(np.ascontiguousarray(codes[:, :2]).view("<u2")[:, 0]) * self.unit_
        y = self.levels_[ops.unpack_codes(np.ascontiguousarray(codes[:, self.head :]), self.dim, self.n_bits, num_threads=1)]
        y *= scale[:, None]
        y = ops.rotate(y, self.signs_, inverse=True, num_threads=1)
        y += self.mean_
        return y

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        scale = Factor(0, "u2", times=float(self.unit_[0]))
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            if self.metric != "l2":
                constant = ops.project(q, self.mean_[:, None], num_threads=num_threads)[:, 0]
                y = ops.rotate(q, self.signs_, num_threads=num_threads)
                return label_query(y, self.n_bits, self.levels_, scale=scale, constant=constant)
            y = ops.rotate(q - self.mean_, self.signs_, num_threads=num_threads)
            return label_query(y, self.n_bits, self.levels_, l2=True, scale=scale, num_threads=num_threads)

    @classmethod
    def examples(cls) -> list[Codec]:
        l2 = [cls(4, metric="l2"), cls(1, metric="l2"), cls(8, metric="l2", seed=1)]
        return [cls(), cls(1, seed=1), cls(8), cls(3), cls(6, metric="cos"), cls(2, metric="cos"), *l2]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """1, 2, 4 and 8 bits a dimension."""
        return [cls(n_bits, metric=metric) for n_bits in (1, 2, 4, 8)]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """As many bits a dimension as fit."""
        sizes = (cls(n_bits, metric=metric, seed=seed) for n_bits in range(8, 0, -1))
        fitting: list[Codec] = [codec for codec in sizes if codec.planned(dim)[0] <= code_size]
        return fitting[:1]
