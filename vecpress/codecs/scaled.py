"""Scaled: one byte a vector beside any other codec's, the scale that makes up for what that loses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import ops
from ..arrays import Rows
from ..centred import Centred
from ..chain import describe
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..heldout import FAR_QUERIES, JUDGED_ROWS, LEAST_ROWS, Judge, hold_out
from ..ops.factors import Factor
from ..scales import SHORT, STRETCHES, scale_factor, scale_table, scales_of, store_scales, stored_scales
from .lowrankpq import LowRankPQ
from .pq import MAX_SEED

SAMPLE_ROWS = 65536  # that scales are learned from at most
BLOCK_ROWS = 8192  # coded at a time
# 2 a to choose from, and by how much recall they must be better than the first: so much is chance
PRICES = {1: 0.0, 0: 0.002, 2: 0.002}
CENTRED = 0.003  # as much for scales about the mean, where those about the origin are usual
UNEVEN = 0.3  # spread of lengths, by their mean, beyond which those of largest product are mostly the longest
MARGIN, WIDEST = 2.0, 1e6  # `scale_table`: rounds scales that differ by a factor of 3 by 0.5 % at most, of 1000 by 1.6 %


class _Coded(NamedTuple):
    """codes uint8[n, bytes]; y float32[n, d], what they were made of; c float32[n, d], what they stand for

    length : float32[n], that of x - mean_ where y has length 1, else 1
    """

    codes: np.ndarray
    y: np.ndarray
    c: np.ndarray
    length: np.ndarray


class Scaled(Centred):
    """x_hat = mean_ + s c, c what the inner codec decodes for (x - mean_) / |x - mean_|, and s one of 256 scales.

    Codes of few bytes decode to vectors that are too short, and by how much differs from vector to vector. With y = x - mean_

        s = (|y|^2 / <y, c>)^(1 - a) (<y, c> / |c|^2)^a

    lies between the scale without bias, a = 0, and that of least squares, a = 1; it is 0 where <y, c> is not positive. Of levels
    the nearest by ratio is taken. Because s restores the length, the inner codec sees vectors of one length and wastes nothing on
    what they differ in: where rows lie unevenly about the mean it finds as much as where they do not. But for ip, where lengths
    spread by more than 0.3 of their mean, it codes y as it is, for there the longest vectors are most neighbours.

    Code layout:

    | bytes | content |
    |---|---|
    | 0, 1, for l2 only | |x_hat - mean_| / unit_ as a 2-byte float of `ops.factors.to_u2`, little-endian |
    | next | the place of s in scales_ |
    | then | the inner codec's code |

    Scores are those of the query with x_hat, up to float32 rounding and, for l2, that of |x_hat - mean_|^2 by 2^-10.

    For ip and cos mean_ is 0, or the mean of x where scales about that find more: about the origin a scale makes up for the
    product of a vector with itself. For l2 it is the mean.

    Parameters
    ----------
    codec : the inner codec, as text such as "OPQ(m=48)" or an unfitted codec; kept as text without its metric; works with "ip":
        any whose scores are table look-ups, or products without a constant. Not those with a scale or bias in their codes already
        (LloydMax, RaBitQ, TransformCodec), nor SQ of 4 and 8 bits, which lose next to nothing that a scale could make up for
    stretch : 2 a; None: the one of most recall on the sample, for queries that were held out from it if none are given; 1 where
        there are fewer than 512 rows, or 16 queries. 0, the unbiased one, stretches what the code hardly shows by any factor
    metric : "ip", "l2" or "cos"
    seed : of the sample that scales are learned from and of the queries that judge, 0 .. 2^63 - 1

    Learned: mean_ float32[d]; form_ int64[2]: 2 a, and 1 where the inner codec sees vectors of one length; scales_ float32[256],
    0 and even ratios; for l2 unit_ float32[1]; the inner codec's arrays under the prefix inner_. `inner` is the inner codec.
    Values beyond 2^50, and for ip beyond half the inner codec's limit, are a ValueError.

    Cost: beside the inner codec's a pass over the sample that encodes and decodes it, and where means win a second fit; `encode`
    decodes, too; scans as the inner codec, and a multiplication.
    Source: Gao and Long, "RaBitQ", 2024 (a = 0); with a = 1 it is shape-gain quantization: Sabin and Gray, 1984.
    """

    own_bytes = 1
    own_state = {  # noqa: RUF012  never changed in place
        "form_": Array("int64", (2,)),
        "mean_": Array("float32", ("dim",)),
        "scales_": Array("float32", (256,)),
    }
    form_: np.ndarray
    mean_: np.ndarray
    scales_: np.ndarray

    def __init__(self, codec: str | Codec, stretch: int | None = None, *, metric: Metric = "ip", seed: int = 0):
        self.metric = check_choice("Scaled", "metric", metric, METRICS)
        self.stretch = None if stretch is None else check_choice("Scaled", "stretch", stretch, STRETCHES)
        self.seed = check_int("Scaled", "seed", seed, 0, MAX_SEED)
        self._set_codec(codec)

    @property
    def largest(self) -> float:  # type: ignore[override]
        # but for ip the inner codec sees vectors of length 1
        return min(self._inner_largest / 2, SQUARES_FIT) if self.metric == "ip" else SQUARES_FIT

    @property
    def enough_rows(self) -> int:
        return max(super().enough_rows, LEAST_ROWS if self.stretch is None else 1)

    # ---- learning

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        sample = x.sample(SAMPLE_ROWS, self.seed)
        asked = None if queries is None else queries.sample(SAMPLE_ROWS, self.seed)
        mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        usual = mean if self.metric == "l2" else np.zeros_like(mean)
        self._fit_about(usual, sample, x, queries, num_threads)
        centred, stretch = self._choose(sample, asked, mean, num_threads)
        if centred:
            self._fit_about(mean, sample, x, queries, num_threads)
        self.form_ = np.array([stretch, self.form_[1]])
        blocks = (self._coded(sample[start : start + BLOCK_ROWS], num_threads) for start in range(0, len(sample), BLOCK_ROWS))
        found = np.concatenate([self._scale(coded, num_threads) for coded in blocks])
        self.scales_ = scale_table(found, self.own_bytes, MARGIN, WIDEST)
        self._learn_unit(sample, num_threads)

    def _fit_about(
        self, mean: np.ndarray, sample: np.ndarray, x: Rows, queries: Rows | None, num_threads: int | None
    ) -> None:  # fmt: skip
        lengths = ops.norms(sample - mean, num_threads=num_threads).astype(np.float64)
        even = self.metric != "ip" or float(lengths.std()) <= UNEVEN * float(lengths.mean())
        stretch = next(iter(PRICES)) if self.stretch is None else self.stretch
        self.mean_, self.scales_, self.form_ = mean, np.ones(256, np.float32), np.array([stretch, int(even)])
        super()._fit(x, queries, num_threads)

    def _learn(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        """Nothing: `_fit_about` has set the map."""

    @FAR_QUERIES
    def _choose(
        self, x: np.ndarray, queries: np.ndarray | None, mean: np.ndarray, num_threads: int | None
    ) -> tuple[bool, int]:  # fmt: skip
        """Whether scales are to be about the mean instead, and 2 a, by recall with the inner codec that there is."""
        usual = int(self.form_[0])
        parts = hold_out(x, queries, self.seed)
        if parts is None:
            return False, usual
        base = parts.rows[:JUDGED_ROWS]
        judge = Judge(base, parts.judges, self.metric)
        judges = parts.judges - mean if self.metric == "l2" else parts.judges
        coded = self._coded(base, num_threads)
        y, point = base - self.mean_, coded.c * coded.length[:, None]
        found: dict[tuple[bool, int], float] = {}
        for centred in (False, True) if self.metric != "l2" else (False,):
            if centred:
                y, point = y - mean, point - mean
            products, squares = judges @ point.T, np.square(point).sum(axis=1)
            for stretch in PRICES if self.stretch is None else (self.stretch,):
                s = scales_of(y, point, stretch, num_threads).astype(np.float32)
                found[centred, stretch] = judge.recall(products * s, squares * s**2) - PRICES[stretch] - CENTRED * centred
        return max(found, key=lambda option: found[option])

    def _freeze(self) -> None:
        super()._freeze()
        stretch, even = self.form_.tolist()
        if stretch not in STRETCHES or even not in (0, 1) or self.scales_[0] != 0 or not (np.diff(self.scales_) >= 0).all():
            raise ValueError("Scaled: the learned arrays do not belong together")

    # ---- coding

    def _evened(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """What the inner codec sees of x, float32[n, d], and what lengths it was divided by, float32[n]."""
        y = x - self.mean_
        if not self.form_[1]:
            return y, np.ones(len(y), np.float32)
        length = ops.norms(y, num_threads=num_threads)
        return y / np.maximum(length, np.float32(SHORT))[:, None], length

    def _coded(self, x: np.ndarray, num_threads: int | None) -> _Coded:
        y, length = self._evened(x, num_threads)
        codes = self.inner._encode(y, num_threads)
        return _Coded(codes, y, self._decode_inner(codes, num_threads), length)

    def _scale(self, coded: _Coded, num_threads: int | None) -> np.ndarray:
        """float64[n]: s before it is rounded."""
        return scales_of(coded.y, coded.c, int(self.form_[0]), num_threads) * coded.length

    def _encode_centred(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        coded = self._coded(x, num_threads)
        stored = store_scales(self._scale(coded, num_threads), self.scales_, self.own_bytes)
        codes = np.hstack((stored, coded.codes))
        return codes, coded.c * stored_scales(stored, self.scales_)[:, None] if self.square_bytes else None

    def _decode(self, codes: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        c = self._decode_inner(np.ascontiguousarray(codes[:, self.square_bytes + self.own_bytes :]), num_threads)
        return c * self.scales_[codes[:, self.square_bytes]][:, None] + self.mean_

    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return self._evened(x, num_threads)[0]

    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        return z + self.mean_

    def _turn(self, q: np.ndarray, num_threads: int | None) -> np.ndarray:
        return q

    def _score(self, query: Query) -> Query:
        if isinstance(query.scale, Factor) or (query.constant is not None and query.tables is None):
            raise ValueError(
                "Scaled: codec expected one whose scores are sums of table entries, or products without a constant or a scale in "
                f"its codes, got {self.codec!r}"
            )
        times, tables = np.float32(query.scale), query.tables
        if query.constant is not None and tables is not None:  # it is to be scaled as the sum is
            tables = tables.copy()
            tables[:, 0] += (query.constant / times)[:, None]
        return query._replace(
            tables=tables, constant=None, scale=scale_factor(self.square_bytes, self.scales_ * times, self.own_bytes)
        )

    @classmethod
    def examples(cls) -> list[Codec]:
        return [
            cls("PQ(m=8)"),
            cls("OPQ(m=4, n_bits=4)", 2, metric="l2"),
            cls("Sign()", 2, metric="cos", seed=1),
            cls("Truncate(dims=12, codec='PQ(m=6, n_bits=4)', basis='pca')", metric="cos"),
        ]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Beside LowRankPQ, 1/2 and 1 bit a dimension."""
        return [cls(describe(codec), metric=metric) for codec in LowRankPQ.candidates(dim, "ip")]

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        return cls.offers(dim, code_size, metric)

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """Beside LowRankPQ of the other bytes."""
        # up to 4 bits a dimension, where a scale makes up for something
        left = min(code_size - 1 - 2 * (metric == "l2"), dim // 2)
        if left < 1:
            return []
        return [cls(describe(codec), metric=metric, seed=seed) for codec in LowRankPQ.offers(dim, left, "ip", seed)]
