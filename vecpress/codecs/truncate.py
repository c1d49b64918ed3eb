"""Truncate: keeps the first components, or principal components, and leaves their coding to another codec."""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..arrays import Rows
from ..chain import Chain, Projection, describe, inner_codec, square, squared_norms
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric
from ..pca import ENOUGH_ROWS, MOST_COLUMNS, SAMPLE_ROWS, check_columns, principal


class Truncate(Chain):
    """Keeps `dims` numbers of a vector and codes these with the inner codec.

    | basis | z, which is coded | x_hat, from the decoded z_hat |
    |---|---|---|
    | "first" | the first dims components of x | z_hat, and mean_ for the others |
    | "pca" | (x - mean_) @ components_ | mean_ + z_hat @ components_.T |

    Code layout: the inner codec's, of z. Products are summed in the order of `vecpress.ops.project`.

    Scores of float queries are those of the query with x_hat, exact up to float32 rounding: the inner codec's score of the
    query's z, and one number a query, the same for all vectors: the inner product with the mean (ip, cos) or the squared distance
    to what z can reach (l2). The order of results is that of z. Under "cos" vectors are scaled to length 1 before truncation, and
    not again after it. Where the inner codec scores coded queries by their Hamming distance, so does this one; |mean_|^2, of the
    components that are not kept with "first", is added for ip and cos.

    "first" is for embeddings trained to be cut (Matryoshka); "pca" for all others.

    Parameters
    ----------
    dims : numbers kept, 1 .. d
    codec : the inner codec, as text such as "PQ(m=8, n_bits=4)" or an unfitted codec; kept as text without its metric. Any codec,
        another Truncate included, that serves `dims` columns; its metric follows this one's ("ip" under "cos")
    basis : "first" or "pca"
    metric : "ip", "l2" or "cos"

    Learned: mean_ float32[d], from 65,536 rows at most; with "pca" components_ float32[d, dims], orthonormal, by falling
    variance, from the same; the inner codec's arrays, from z, under the prefix inner_ (inner_codebooks_ for PQ). `inner` is the
    inner codec. Warnings of few rows and limits of values are its own; with "pca" fewer than 2 d rows warn, too, and limits are
    divided by 2 sqrt(d), and at most 2^50, and d is 4096 at most.

    With "pca" a decoded vector's z differs from z_hat by rounding, so it encodes to the same code unless the inner codec
    distinguishes neighbouring floats, as Raw does.

    Cost: with "pca" fit d^2 multiply-adds a row and 9 d^3, encode and decode d * dims a vector, a query as many (l2: twice);
    no more than copies with "first".
    Source: Kusupati et al., "Matryoshka representation learning", NeurIPS 2022.
    """

    own_state = {"mean_": Array("float32", ("dim",)), "components_": Array("float32", ("dim", "dims"))}  # noqa: RUF012
    mean_: np.ndarray
    components_: np.ndarray

    def __init__(self, dims: int, codec: str | Codec, basis: str = "first", *, metric: Metric = "ip"):
        self.dims = check_int("Truncate", "dims", dims, 1)
        self.basis = check_choice("Truncate", "basis", basis, ("first", "pca"))
        self.metric = check_choice("Truncate", "metric", metric, METRICS)
        self._template = inner_codec("Truncate", codec, self.metric)
        self.codec = describe(self._template)
        try:
            self._template._check_dim(self.dims)
        except ValueError as error:
            raise ValueError(f"Truncate: codec expected one for dims={self.dims} columns, got {self.codec!r}: {error}") from None
        if self.basis == "first":
            self.own_state = {"mean_": self.own_state["mean_"]}

    @property
    def inner_dim(self) -> int:
        return self.dims

    @property
    def largest(self) -> float:  # type: ignore[override]
        limit = self._inner_largest
        if self.basis == "first":
            return limit
        # no component of x - mean_ in other axes is longer than x - mean_, which is at most 2 sqrt(d) times a component of x
        return min(limit / (2 * math.sqrt(self.dim)), SQUARES_FIT) if self.is_fitted else min(limit, SQUARES_FIT)

    @property
    def enough_rows(self) -> int:
        return max(super().enough_rows, ENOUGH_ROWS * self.dim if self.basis == "pca" else 1)

    def _check_dim(self, dim: int) -> None:
        if dim < self.dims:
            raise ValueError(f"Truncate: dims expected at most d={dim}, got {self.dims}")
        if self.basis == "pca":
            check_columns("Truncate", dim)

    def _learn(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        x.largest = min(x.largest, self.largest)  # it depends on d
        sample = x.sample(SAMPLE_ROWS, 0)
        self.mean_ = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        if self.basis == "pca":
            _, directions = principal(sample)
            self.components_ = np.ascontiguousarray(directions[:, : self.dims], np.float32)

    @property
    def _projection(self) -> Projection:
        return Projection(self.mean_, self.components_)

    @property
    def _rest(self) -> np.ndarray:
        """The mean of the components that "first" does not keep."""
        return self.mean_[self.dims :]

    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        if self.basis == "pca":
            return self._projection.forward(x, num_threads)
        return np.ascontiguousarray(x[:, : self.dims])

    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        if self.basis == "pca":
            return self._projection.back(z, num_threads)
        return np.concatenate((z, np.broadcast_to(self._rest, (len(z), len(self._rest)))), axis=1)

    def _map_queries(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        if self.basis == "pca":
            return self._projection.queries(q, self.metric, num_threads)
        z, rest = self._map(q, num_threads), q[:, self.dims :]
        if self.dims == self.dim:
            return z, None
        if self.metric == "l2":
            return z, -squared_norms(rest - self._rest, num_threads)
        return z, ops.project(rest, self._rest[:, None], num_threads=num_threads)[:, 0]

    def _hamming_constant(self) -> float:
        return 0.0 if self.metric == "l2" else square(self.mean_ if self.basis == "pca" else self._rest)

    @classmethod
    def examples(cls) -> list[Codec]:
        return [
            cls(8, "PQ(m=4)"),
            cls(9, "Sign()", "pca", metric="l2"),
            cls(12, "PQ(m=6, n_bits=4)", "pca"),
            cls(11, "Raw('float16')", metric="l2"),
            cls(12, "PQ(m=6, n_bits=4, seed=1)", "pca", metric="cos"),
            cls(10, "Sign()", metric="cos"),
            cls(12, "Truncate(dims=8, codec='PQ(m=2)')", "pca", metric="l2"),
        ]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Half and a quarter of the columns, by both bases, in 4-bit sub-vectors of 2 columns: 1 and 1/2 bit a dimension."""
        found = []
        for share in (2, 4):
            dims = max(dim // share // 2 * 2, 1)
            found += [cls(dims, f"PQ(m={max(dims // 2, 1)}, n_bits=4)", basis, metric=metric) for basis in ("first", "pca")]
        return [codec for i, codec in enumerate(found) if codec not in found[:i]]

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        """Half the principal components by PQ of 8 bits, and as many components as there are bytes by SQ of 8 bits."""
        halved = dim // 2 // code_size * code_size  # m divides it
        found: list[Codec] = [cls(halved, f"PQ(m={code_size}, n_bits=8)", "pca", metric=metric)] if halved else []
        return [*found, cls(code_size, "SQ(n_bits=8)", "pca", metric=metric)] if code_size < dim else found

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """As many principal components as fit at 8, 4, 3, 2 and 1 bits, where these are fewer than all; half of all, by PQ.

        And as many first components at 8 and 4 bits, for embeddings that are trained to be cut. Where the budget is no divisor of
        d, as many principal components as it divides, by OPQ.
        """
        seeded = f"seed={seed})"
        left = code_size - 2  # bytes beside the scale; 3 bits are stored in planes of 8 labels a byte
        fits = {4: 2 * left, 3: left // 3 * 8, 2: 4 * left, 1: 8 * left}
        lloydmax = ((dims, f"LloydMax(n_bits={bits}, {seeded}") for bits, dims in fits.items())
        scalar = ((code_size, "SQ(n_bits=8)"), *lloydmax)
        wanted = [(dims, inner, "pca") for dims, inner in scalar] + [(dims, inner, "first") for dims, inner in scalar[:2]]
        wanted.append((dim // 2 // code_size * code_size, f"PQ(m={code_size}, {seeded}", "pca"))
        if dim % code_size:
            wanted.append((dim // code_size * code_size, f"OPQ(m={code_size}, {seeded}", "pca"))
        served = (one for one in wanted if 1 <= one[0] < dim and (one[2] == "first" or dim <= MOST_COLUMNS))
        return [cls(dims, inner, basis, metric=metric) for dims, inner, basis in served]
