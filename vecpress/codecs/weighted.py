"""Weighted: axes in which queries weigh errors alike, before any other codec."""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..arrays import Rows
from ..centred import UNIT_ROWS, Centred, behind
from ..chain import describe
from ..checks import check_choice, check_int, check_number
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..heldout import FAR_QUERIES, JUDGED_ROWS, LEARNED_ROWS, LEAST_ROWS, Judge, hold_out
from ..pca import ENOUGH_ROWS, SAMPLE_ROWS, check_columns
from ..weighting import query_axes
from .pq import MAX_SEED
from .scaled import Scaled

# exponents to choose from, and by how much recall they must be better than the first: so much is chance
EXPONENTS = {0.5: 0.0, 0.3: 0.002, 0.0: 0.005}

TRIED = 0.4  # by `vecpress.auto`


class Weighted(Centred):
    """Codes a vector in axes that are stretched where queries are long, so that what is lost is lost where they are short.

    z = (x - mean_) @ forward_, which is coded; x_hat = mean_ + z_hat @ back_.T

    The components of z vary independently, by falling variance. The axes (`vecpress.weighting`) make the squared error of z that
    of inner products with queries, to the degree `exponent`: 1 for these alone, 0 for a rotation. Queries q become q @ back_.

    Code layout:

    | bytes | content |
    |---|---|
    | 0, 1, for l2 only | |x_hat - mean_| / unit_ as a 2-byte float of `ops.factors.to_u2`, little-endian |
    | then | the inner codec's code of z |

    Products are summed in the order of `vecpress.ops.project`. Scores are those of the query with x_hat, up to float32 rounding:
    the inner codec's by inner product, and one number a query; for l2 twice that, less the square in front and |q - mean_|^2, up
    to the rounding of that square by 2^-10.

    Give `fit` sample queries where you have them, a few hundred: without, rows count as queries. A few queries are believed as
    half as many rows as columns would be, against the rows.

    Parameters
    ----------
    codec : the inner codec, as text such as "PQ(m=48)" or "Scaled('OPQ(m=48)')", or an unfitted codec; kept as text without its
        metric. Any codec that serves as many columns; it works with "ip"
    exponent : 0 to 1, how much queries weigh; None: of .5, .3 and 0 the one of most recall, for queries and rows that were held
        out of codecs fitted on 8,192 rows at most; with fewer than 512 rows, or 16 queries where these are given, .5
    metric : "ip", "l2" or "cos"
    seed : of the sample that is learned from and of what is held out, 0 .. 2^63 - 1

    Learned: mean_ float32[d], forward_ and back_ float32[d, d], from 65,536 rows at most; for l2 unit_ float32[1]; the inner
    codec's arrays, from z, under the prefix inner_. `inner` is the inner codec. Limits of values are its own, divided by
    2 sqrt(d), and at most 2^50; fewer rows than 2 d warn, and more than 4096 columns are a ValueError.

    For l2 a scale belongs outside, as of Scaled("Weighted('PQ(m=48)')"): within, it would be chosen for inner products.

    Cost: fit 18 d^3 and d^2 a row, and for exponent=None three times as much, with the inner codec's on 8,192 rows; encode and
    decode d^2 a vector, for l2 encode both; a query d^2; scans as the inner codec.
    Source: Huang and Schultheiss, "Block quantization of correlated Gaussian random variables", 1963 (axes); weights: Guo et al.,
    "Accelerating large-scale inference with anisotropic vector quantization", ICML 2020, section 2, by second moments of queries.
    """

    own_state = {  # noqa: RUF012  never changed in place
        "mean_": Array("float32", ("dim",)),
        "forward_": Array("float32", ("dim", "dim")),
        "back_": Array("float32", ("dim", "dim")),
    }
    mean_: np.ndarray
    forward_: np.ndarray
    back_: np.ndarray

    def __init__(self, codec: str | Codec, exponent: float | None = None, *, metric: Metric = "ip", seed: int = 0):
        self.metric = check_choice("Weighted", "metric", metric, METRICS)
        self.exponent = None if exponent is None else check_number("Weighted", "exponent", exponent, 0, 1)
        self.seed = check_int("Weighted", "seed", seed, 0, MAX_SEED)
        self._set_codec(codec)

    @property
    def largest(self) -> float:  # type: ignore[override]
        # forward_ lengthens nothing, and x - mean_ is at most 2 sqrt(d) times a component of x
        limit = self._inner_largest
        return min(limit / (2 * math.sqrt(self.dim)), SQUARES_FIT) if self.is_fitted else min(limit, SQUARES_FIT)

    @property
    def enough_rows(self) -> int:
        return max(super().enough_rows, ENOUGH_ROWS * self.dim, LEAST_ROWS if self.exponent is None else 1)

    def _check_dim(self, dim: int) -> None:
        super()._check_dim(dim)
        check_columns("Weighted", dim)

    # ---- learning

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        super()._fit(x, queries, num_threads)
        self._learn_unit(x.sample(UNIT_ROWS, self.seed), num_threads)

    def _learn(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        x.largest = min(x.largest, self.largest)  # it depends on d
        sample = x.sample(SAMPLE_ROWS, self.seed)
        asked = None if queries is None else queries.sample(SAMPLE_ROWS, self.seed)
        exponent = self._choose(sample, asked, num_threads) if self.exponent is None else self.exponent
        self.mean_, self.forward_, self.back_, _ = query_axes(sample, asked, self.metric, exponent)

    @FAR_QUERIES
    def _choose(self, x: np.ndarray, queries: np.ndarray | None, num_threads: int | None) -> float:
        """The exponent by the recall of rows and for queries that were not learned from."""
        parts = hold_out(x, queries, self.seed)
        if parts is None:
            return next(iter(EXPONENTS))
        half = min(len(parts.rows) // 2, LEARNED_ROWS)
        learned, base = parts.rows[:half], parts.rows[half : half + JUDGED_ROWS]
        judge = Judge(base, parts.judges, self.metric)
        found = {}
        for exponent, price in EXPONENTS.items():
            trial = type(self)(**{**self.config(), "exponent": exponent})
            trial.dim_ = self.dim_
            known = None if parts.known is None else Rows(parts.known, "fit: queries")
            trial._fit(Rows(learned, "fit: x"), known, num_threads)
            trial._freeze()
            away = trial._decode(trial._encode(base, num_threads)) - trial.mean_
            asked = parts.judges - trial.mean_ if self.metric == "l2" else parts.judges
            found[exponent] = judge.recall(asked @ away.T, np.square(away).sum(axis=1)) - price
        return max(found, key=lambda exponent: found[exponent])

    # ---- maps

    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        with np.errstate(over="ignore"):
            return ops.project(x - self.mean_, self.forward_, num_threads=num_threads)

    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        return ops.project(z, self.back_.T, self.mean_, num_threads=num_threads)

    def _turn(self, q: np.ndarray, num_threads: int | None) -> np.ndarray:
        return ops.project(q, self.back_, num_threads=num_threads)

    def _encode_centred(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        codes = self.inner._encode(self._map(x, num_threads), num_threads)
        if not self.square_bytes:
            return codes, None
        return codes, ops.project(self._decode_inner(codes, num_threads), self.back_.T, num_threads=num_threads)

    def _decode(self, codes: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        return super()._decode(np.ascontiguousarray(codes[:, self.square_bytes :]), num_threads)

    def _score(self, query: Query) -> Query:
        return behind(query, self.square_bytes)

    @classmethod
    def examples(cls) -> list[Codec]:
        return [
            cls("PQ(m=8)"),
            cls("Scaled('PQ(m=6, n_bits=4)')", 0.5, metric="l2"),
            cls("Scaled('OPQ(m=12, n_bits=4)')", 0.5, metric="cos", seed=1),
            cls("LloydMax(n_bits=2)", 0.0, metric="l2"),
        ]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Before scaled LowRankPQ, 1/2 and 1 bit a dimension."""
        return [cls(describe(codec), metric=metric) for codec in Scaled.candidates(dim, metric)]

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        return [cls(describe(codec), metric=metric) for codec in Scaled.sized(dim, code_size, metric)]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """Before scaled LowRankPQ, as `Scaled` is offered; of one exponent, for time's sake."""
        return [cls(describe(codec), TRIED, metric=metric, seed=seed) for codec in Scaled.offers(dim, code_size, metric, seed)]
