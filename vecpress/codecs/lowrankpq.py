"""LowRankPQ: product quantization of a few learned directions, whose choice and codebooks are learned together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import Rows
from ..chain import Chain, Projection
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric
from ..pca import ENOUGH_ROWS, MOST_COLUMNS, check_columns, principal
from .opq import balanced_directions, learned_axes, some_rows
from .pq import MAX_SEED, PQ, TRAIN_ROWS

SHARES = (1, 2, 4)  # of the columns: all, a half, a quarter are tried
TIED = 1.02  # fewer columns are taken where they lose no more than so many times the least


class LowRankPQ(Chain):
    """Projects a vector to `dims` numbers, codes these as PQ does, and maps what is decoded back.

    z = (x - mean_) @ components_; x_hat = mean_ + z_hat @ components_.T, z_hat = PQ's decoded vector of z

    Code layout: that of PQ, of z. Products are summed in the order of `vecpress.ops.project`. The columns of components_ are
    orthonormal, so the labels are those of the least |x - x_hat|, and scores are PQ's and one number a query: <q, mean_>, or for
    l2 the squared distance from q to what z can reach.

    Directions and codebooks are learned together, for the least |x - x_hat|^2 in turns: centroids move once, then the directions
    become those from which decoded vectors come nearest to x (`vecpress.codecs.opq`). The start is the principal directions,
    in order or dealt out in balance, or those within each of m runs of columns, whichever loses least of rows held out. m need
    not divide d. With half the columns encode, queries and maps take half of OPQ's time and memory, at about the same recall.

    Parameters
    ----------
    m : sub-vectors. Larger -> more bytes, more recall
    n_bits : 8 or 4, as of PQ
    dims : columns of z, a multiple of m, at most d; None: of the largest such up to d, d / 2 and d / 4 the fewest that lose at
        most 2 % more of held-out rows than the best
    metric : "ip", "l2" or "cos"
    seed : of the sample that is learned from and of k-means, 0 .. 2^63 - 1

    Learned: form_ int64[1], the columns of z; mean_ float32[d]; components_ float32[d, dims], from 32,768 rows at most;
    inner_codebooks_ float32[m, 2**n_bits, dims / m], from 65,536. `inner` is the PQ of z. Fewer rows than PQ wants, or than 2 d,
    warn. Values beyond 2^50 / (2 sqrt(d)), and more than 4096 columns, are a ValueError.

    Maps that are not orthonormal gain nothing for other rows: decoding by least squares from the codes, with labels as they are,
    lowers the error of the rows it was learned from by up to 4 % and raises that of others (medquad_minilm, 10,000 rows).

    Cost: fit as OPQ for each number of columns that is tried, in proportion; encode and decode d * dims multiply-adds a vector, a
    query as many (l2: twice); scans as PQ.
    Source: Zhu et al., "Learning low-rank representations for model compression", 2022 (codewords of fewer dimensions and a map,
    learned together); Ge, He, Ke, Sun, "Optimized product quantization", PAMI 2014 (the alternation). Differs from the first in
    learning by alternation for vectors as they are, not by gradients of a task.
    """

    own_state = {  # noqa: RUF012  never changed in place
        "form_": Array("int64", (1,)),
        "mean_": Array("float32", ("dim",)),
        "components_": Array("float32", ("dim", "inner_dim")),
    }
    form_: np.ndarray
    mean_: np.ndarray
    components_: np.ndarray

    def __init__(self, m: int, n_bits: int = 8, dims: int | None = None, *, metric: Metric = "ip", seed: int = 0):
        self.m = check_int("LowRankPQ", "m", m, 1)
        self.n_bits = check_choice("LowRankPQ", "n_bits", n_bits, (4, 8))
        self.dims = None if dims is None else check_int("LowRankPQ", "dims", dims, 1)
        if self.dims is not None and self.dims % self.m:
            raise ValueError(f"LowRankPQ: dims expected a multiple of m={self.m}, got {dims}")
        self.metric = check_choice("LowRankPQ", "metric", metric, METRICS)
        self.seed = check_int("LowRankPQ", "seed", seed, 0, MAX_SEED)
        self._template = PQ(self.m, self.n_bits, metric="ip" if self.metric == "cos" else self.metric, seed=self.seed)

    @property
    def inner_dim(self) -> int:
        """Columns of z; before `fit` as many as there may be."""
        if "form_" in self.__dict__:
            return int(self.form_[0])
        return self.dims or (self.dim // self.m * self.m if self.is_fitted else self.m)

    @property
    def largest(self) -> float:  # type: ignore[override]
        # no component of z is longer than x - mean_, which is at most 2 sqrt(d) times a component of x
        return SQUARES_FIT / (2 * math.sqrt(self.dim)) if self.is_fitted else SQUARES_FIT

    @property
    def enough_rows(self) -> int:
        return max(super().enough_rows, ENOUGH_ROWS * self.dim)

    def _check_dim(self, dim: int) -> None:
        if dim < (self.dims or self.m):
            name = "m" if self.dims is None else "dims"
            raise ValueError(f"LowRankPQ: {name} expected at most d={dim}, got {getattr(self, name)}")
        check_columns("LowRankPQ", dim)

    def _learn(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        x.largest = min(x.largest, self.largest)  # it depends on d
        rows, held_out = some_rows(x.sample(TRAIN_ROWS, self.seed))
        learned = len(rows) - held_out
        self.mean_ = rows[:learned].mean(axis=0, dtype=np.float64).astype(np.float32)
        rows = rows - self.mean_
        tried: list[tuple[float, np.ndarray]] = []
        for dims in self._columns():
            starts = [*principal_starts(rows[:learned], self.m, dims), blocks(rows[:learned], self.m, dims)]
            axes, error = learned_axes(rows, held_out, starts, self._codebooks(dims), num_threads)
            tried.append((error, axes))
        least = min(error for error, _ in tried)
        self.components_ = min((axes for error, axes in tried if error <= TIED * least), key=lambda axes: axes.shape[1])
        self.form_ = np.array([self.components_.shape[1]])

    def _columns(self) -> list[int]:
        """Numbers of columns to try."""
        if self.dims is not None:
            return [self.dims]
        return list(dict.fromkeys(max(self.dim // share // self.m, 1) * self.m for share in SHARES))

    def _codebooks(self, dims: int) -> Any:
        """How PQ learns codebooks of `dims` columns."""
        inner = PQ(**self._template.config())
        inner.dim_ = dims
        return inner._codebooks

    def _freeze(self) -> None:
        dims = int(self.form_[0])
        if dims not in (self.dims or dims,) or dims % self.m or not self.m <= dims <= self.dim:
            raise ValueError(f"LowRankPQ: form_ expected a number of columns that m, dims and d={self.dim} allow, got {dims}")
        super()._freeze()

    @property
    def _projection(self) -> Projection:
        return Projection(self.mean_, self.components_)

    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return self._projection.forward(x, num_threads)

    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        return self._projection.back(z, num_threads)

    def _map_queries(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        return self._projection.queries(q, self.metric, num_threads)

    @classmethod
    def examples(cls) -> list[Codec]:
        return [
            cls(4),
            cls(3, 8, 12, metric="l2"),
            cls(5, 4, 10, metric="cos", seed=1),
            cls(5, 4, metric="l2"),  # an odd m: half a byte is unused
        ]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Half the columns, 1/2 and 1 bit a dimension."""
        sizes = dict.fromkeys(max(dim // share, 1) for share in (16, 8))
        return [cls(m, 8, max(dim // 2 // m, 1) * m, metric=metric) for m in sizes] if dim <= MOST_COLUMNS else []

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        return [cls(code_size, metric=metric)] if code_size <= dim <= MOST_COLUMNS else []

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """A sub-vector a byte: of nearly all columns where OPQ would leave bytes unused, else of half of them."""
        m = min(code_size, dim)
        columns = dim // m if dim % m else dim // 2 // m
        return [cls(m, 8, max(columns, 1) * m, metric=metric, seed=seed)] if dim <= MOST_COLUMNS else []


def principal_starts(x: np.ndarray, m: int, dims: int) -> list[np.ndarray]:
    """float32[d, dims] each: the first principal directions of x, in order, and dealt out to m sub-vectors in balance."""
    directions = np.ascontiguousarray(principal(x)[1][:, :dims], np.float32)
    return [directions, directions @ balanced_directions(x @ directions, m)]


def blocks(x: np.ndarray, m: int, dims: int) -> np.ndarray:
    """float32[d, dims]: the first dims / m principal directions within each of m runs of columns, of about d / m columns."""
    out = np.zeros((x.shape[1], dims), np.float32)
    for j, columns in enumerate(np.array_split(np.arange(x.shape[1]), m)):
        each = dims // m
        out[columns, j * each : (j + 1) * each] = principal(x[:, columns])[1][:, :each]
    return out
