"""Sign: one bit a dimension, on which side of the mean it lies."""

from __future__ import annotations

import functools
import math

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_choice
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query

ENOUGH_ROWS = 100  # recall on medquad_minilm's demo part: .63 from 3 rows, .64 from 10, .65 from 100 and from 6,000
PATTERNS = np.arange(16)[:, None] >> np.arange(3, -1, -1) & 1  # the four bits of every nibble, first dimension first
SIGNS = (2 * PATTERNS - 1).astype(np.float32)  # what they multiply by


class Sign(Codec):
    """Keeps of each component only whether it is above its mean.

    x_hat[t] = mean_[t] + level_ where x[t] > mean_[t], else mean_[t] - level_

    Code layout, code_size = ceil(d / 8): dimension 8 b + r is bit 7 - r of byte b (`numpy.packbits`); the last byte's rest is 0.
    A component equal to its mean, so every component of a constant dimension, gives 0.

    Scores of float queries are those of the query with x_hat, exact up to float32 rounding: the mean is never dropped.
    With `symmetric=True` the query is coded too, and the score is an affine map of the Hamming distance h, in the metric's unit:

    | metric | score |
    |---|---|
    | l2 | 4 level_^2 h |
    | ip, cos | (norm(mean_)^2 + d level_^2) - 2 level_^2 h |

    For l2 that is the squared distance of the decoded vectors. For ip and cos it is their inner product without the two terms
    <mean_, x_hat - mean_>, of the query and of the base vector: the order is the Hamming order, which finds more neighbours than
    the full product does (.630 against .545 on medquad_minilm as below).

    Parameters
    ----------
    metric : "ip", "l2" or "cos"

    Learned: mean_ float32[d]; level_ float32[1], the mean of |x - mean_| over all rows and dimensions, which makes |x - x_hat|^2
    smallest. Both take every row of x, in two passes; fewer than 100 rows raise a SmallTrainingSetWarning. Values beyond 2^50 are
    a ValueError.

    One level for all dimensions, not one each: a level a dimension lowers the error of x_hat and finds fewer neighbours.
    Recall 10@10 (questions 300..999 of medquad_minilm, ip, 30,000 x 384; sift_photos_us, l2, 100,000 x 128):

    | | medquad_minilm | sift_photos_us |
    |---|---|---|
    | float queries, one level | .690 | .353 |
    | float queries, a level each | .686 | .348 |
    | symmetric, Hamming | .630 | .249 |

    Cost: fit and encode a pass over x; a query 8 d additions and d / 4 look-ups a code, d / 8 bytes of popcount if symmetric.
    """

    state = {"mean_": Array("float32", ("dim",)), "level_": Array("float32", (1,))}  # noqa: RUF012  ClassVar in Codec
    largest = SQUARES_FIT
    mean_: np.ndarray
    level_: np.ndarray

    def __init__(self, *, metric: Metric = "ip"):
        self.metric = check_choice("Sign", "metric", metric, METRICS)

    @property
    def code_size(self) -> int:
        return -(-self.dim // 8)

    @property
    def enough_rows(self) -> int:
        return ENOUGH_ROWS

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        total = np.zeros(x.dim)
        for _, block in x.blocks():
            total += block.sum(axis=0, dtype=np.float64)
        self.mean_ = (total / x.n).astype(np.float32)
        spread = 0.0
        for _, block in x.blocks():
            spread += float(np.abs(np.subtract(block, self.mean_, dtype=np.float64)).sum())
        self.level_ = np.array([spread / (x.n * x.dim)], np.float32)

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return ops.pack_bits(x, self.mean_, num_threads=num_threads)

    def _encode_unchecked(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, int]:
        return ops.pack_bits_within(x, self.mean_, self.largest, num_threads=num_threads)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        below, above = self._levels()
        return np.where(np.unpackbits(codes, axis=1, count=self.dim), above, below)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        if self.metric == "l2":
            below, above = (q - level for level in self._levels())
            return Query("lut4", tables=_nibble_tables(-(above * above), -(below * below)))
        tables = _signed_tables(q * self.level_, num_threads)
        return Query("lut4", tables=tables, constant=ops.project(q, self.mean_[:, None], num_threads=num_threads)[:, 0])

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        bits = ops.pack_bits(q, self.mean_, num_threads=num_threads)
        square = float(self.level_[0]) ** 2
        if self.metric == "l2":
            return Query("hamming", rows=bits, scale=-4 * square)
        constant = math.fsum(float(c) ** 2 for c in self.mean_) + self.dim * square
        return Query("hamming", rows=bits, scale=-2 * square, constant=np.full(len(q), constant, np.float32))

    def _levels(self) -> tuple[np.ndarray, np.ndarray]:
        """What the bits 0 and 1 decode to, float32[d] each; 1 to more than the mean even where the level is lost in rounding."""
        return self.mean_ - self.level_, np.maximum(self.mean_ + self.level_, np.nextafter(self.mean_, np.float32(np.inf)))

    @classmethod
    def examples(cls) -> list[Codec]:
        return [cls(), cls(metric="l2"), cls(metric="cos")]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """Itself where a bit a dimension fits."""
        return [cls(metric=metric)] if -(-dim // 8) <= code_size else []


def _signed_tables(one: np.ndarray, num_threads: int | None) -> np.ndarray:
    """`_nibble_tables` where a bit 0 takes away what a bit 1 adds: products with the signs, which are exact."""
    nq, d = one.shape
    size = -(-d // 8)
    if d % 8:
        padded = np.zeros((nq, 8 * size), np.float32)
        padded[:, :d] = one
        one = padded
    order, signs = _nibbles(size)
    return ops.tables(one.take(order, axis=1), signs, by_column=True, num_threads=num_threads)


@functools.lru_cache(maxsize=8)
def _nibbles(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Of codes of `size` bytes: the dimensions in the order of the nibbles, and what patterns multiply them by, as codebooks."""
    order = np.arange(8 * size).reshape(size, 2, 4)[:, ::-1].ravel()
    return order, np.tile(SIGNS.T, (2 * size, 1, 1))


def _nibble_tables(one: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Tables for `ops.lut4` from what each dimension adds where its bit is 1 and where it is 0, float32[nq, d] each.

    float32[nq, 2 ceil(d / 8), 16]: table 2 b sums dimensions 8 b + 4 .. 8 b + 7, which are the low half of byte b, table 2 b + 1
    dimensions 8 b .. 8 b + 3; in order, padding adds 0. Elementwise float32 sums: the same bits on every machine.
    """
    nq, d = one.shape
    size = -(-d // 8)
    both = np.zeros((2, nq, 8 * size), np.float32)
    both[0, :, :d], both[1, :, :d] = zero, one
    halves = both.reshape(2, nq, size, 2, 4)[:, :, :, ::-1, :, None]
    tables = np.where(PATTERNS[:, 0], halves[1, :, :, :, 0], halves[0, :, :, :, 0])
    for r in range(1, 4):
        tables += np.where(PATTERNS[:, r], halves[1, :, :, :, r], halves[0, :, :, :, r])
    return tables.reshape(nq, 2 * size, 16)
