"""Lloyd-Max: a random rotation, then every component rounded to the best levels of a normal number, and one scale a vector."""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..labels import label_query
from ..ops.factors import U2_LARGEST, Factor, from_u2, to_u2
from ..ops.pack_codes import packed_size

MAX_SEED = 2**63 - 1
NEWTON_ROUNDS = 50  # at most; it takes about 8
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


def normal_levels(n_bits: int) -> np.ndarray:
    """float64[2**n_bits], ascending: the levels of least mean squared error for N(0, 1), n_bits from 1 to 8.

    Every level is the mean of the numbers nearer to it than to another. Only the positive half is computed, the other mirrors
    it, so that level i is exactly minus level 2**n_bits - 1 - i. Errors of 1, 2, ... 8 bits: .3634, .1175, .03455, .009501,
    .002505, 6.44e-4, 1.635e-4, 4.12e-5.

    Cost: milliseconds.
    Source: Max, "Quantizing for minimum distortion", 1960; Lloyd, "Least squares quantization in PCM", 1982.
    """
    count = 2 ** (n_bits - 1)
    # what a compander makes that is best for many levels: even steps of the distribution of three times the variance
    levels = math.sqrt(3) * _quantiles(0.5 + (np.arange(count) + 0.5) / (2 * count))
    for _ in range(NEWTON_ROUNDS):
        edges, density, share, mean = _cells(levels)
        # how a cell's mean moves with its edges, of which each lies midway between two levels; the outermost do not move
        by_lower = density[:-1] * (mean - edges[:-1]) / share / 2
        by_upper = np.append(density[1:-1] * (edges[1:-1] - mean[:-1]) / share[:-1] / 2, 0.0)
        by_lower[0] = 0.0
        slopes = np.diag(1 - by_lower - by_upper) - np.diag(by_lower[1:], -1) - np.diag(by_upper[:-1], 1)
        step = np.linalg.solve(slopes, levels - mean)
        levels = levels - step
        if np.abs(step).max() < 1e-9:
            break
    return np.concatenate((-levels[::-1], levels))


def coded_levels(n_bits: int) -> np.ndarray:
    """float64[2**n_bits]: `normal_levels`, from 3 to 5 bits rounded to multiples of one number, half ones or whole ones.

    `ops.dot` then multiplies whole numbers of 8 bits and nothing is lost. Of the numbers that leave at most 128 multiples, at 5
    bits 255, the one of least error is taken: the squared error of normal numbers rises by 0.03, 0.2 and 0.4 %.
    """
    levels = normal_levels(n_bits)
    if not 3 <= n_bits <= 5:
        return levels
    upper = levels[len(levels) // 2 :]
    share = _cells(upper)[2]
    best, least = levels, np.inf
    for most in range(64, 255 if n_bits == 5 else 128):  # multiples from the lowest level to the highest
        half = most % 2 / 2
        multiples = np.rint(upper / (2 * upper[-1] / most) - half) + half
        if multiples[0] <= 0 or (np.diff(multiples) <= 0).any():
            continue
        step = (share * multiples * upper).sum() / (share * multiples**2).sum()
        _, _, own_share, mean = _cells(step * multiples)
        error = (own_share * step * multiples * (step * multiples - 2 * mean)).sum()  # less the numbers' own squares
        if error < least:
            best, least = step * np.concatenate((-multiples[::-1], multiples)), error
    return best


def _cells(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of the cells of the positive half's levels: edges and the normal density there; shares of all numbers, and means."""
    edges = np.concatenate(([0.0], (levels[1:] + levels[:-1]) / 2, [np.inf]))
    density = np.exp(-np.square(edges) / 2) / math.sqrt(2 * math.pi)
    above = np.array([math.erfc(edge / math.sqrt(2)) / 2 for edge in edges])
    share = above[:-1] - above[1:]
    return edges, density, share, (density[:-1] - density[1:]) / share


def _quantiles(shares: np.ndarray) -> np.ndarray:
    """The normal numbers that the given shares of all lie below, by bisection."""
    low, high = np.full(len(shares), -10.0), np.full(len(shares), 10.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in middle]) < shares
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
