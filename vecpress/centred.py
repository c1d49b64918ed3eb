"""Chains about a mean whose inner codec serves inner products whatever the metric, and one more number a vector for l2."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import numpy as np

from . import ops
from .arrays import Rows
from .chain import Chain, describe, inner_codec
from .codec import Array, Codec, Query
from .errors import NotFittedError
from .ops.factors import Factor
from .scales import square_factor, square_table, store_squares

UNIT_ROWS = 16384  # that the unit of lengths is learned from at most
SMALLEST = 2.0**-60  # of it
SQUARE_BYTES = 2


class Centred(Chain):
    """A chain that maps x - mean_ by what keeps inner products but not distances, so that its inner codec works with "ip".

    | metric | score |
    |---|---|
    | ip, cos | <q, mean_> + <q, x_hat - mean_> |
    | l2 | 2 <q - mean_, x_hat - mean_> - |x_hat - mean_|^2 - |q - mean_|^2 |

    Code layout: for l2 |x_hat - mean_| / unit_ as by `ops.factors.to_u2`, which is within 2^-11 of it; then `own_bytes` of the
    chain; then the inner codec's.
    Inner codecs whose scores have a bias of their own are a ValueError in `fit`.
    """

    own_bytes = 0  # of factors besides the squared length
    mean_: np.ndarray
    unit_: np.ndarray

    # ---- what such a chain writes

    @abstractmethod
    def _turn(self, q: np.ndarray, num_threads: int | None) -> np.ndarray:
        """Queries float32[nq, d], from the mean for l2, for the inner codec."""

    @abstractmethod
    def _encode_centred(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Codes without the squared length, and x_hat - mean_, float32[n, d]; None where no length is asked for."""

    def _score(self, query: Query) -> Query:
        """The inner codec's scan of turned queries with the chain's own factors, of which the first stands at `square_bytes`."""
        return query

    # ---- what each has

    def _set_codec(self, codec: str | Codec) -> None:
        where = type(self).__name__
        self._template = inner_codec(where, describe(inner_codec(where, codec, self.metric)), "ip")
        self.codec = describe(self._template)
        if self.metric == "l2":
            self.own_state = {**self.own_state, "unit_": Array("float32", (1,))}

    @property
    def inner_dim(self) -> int:
        return self.dim

    @property
    def square_bytes(self) -> int:
        return SQUARE_BYTES if self.metric == "l2" else 0

    @property
    def head(self) -> int:  # type: ignore[override]
        return self.square_bytes + self.own_bytes + self.inner.head

    @property
    def code_size(self) -> int:
        try:
            return self.square_bytes + self.own_bytes + self.inner.code_size
        except NotFittedError:
            self.check_fitted()  # the error is to name the chain
            raise

    def _check_dim(self, dim: int) -> None:
        try:
            self._template._check_dim(dim)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: codec expected one for d={dim}, got {self.codec!r}: {error}") from None

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        if self.metric == "l2":
            self.unit_ = np.ones(1, np.float32)
        super()._fit(x, queries, num_threads)
        super()._freeze()
        self._query(np.zeros((1, self.dim), np.float32), num_threads)  # refuses inner codecs

    def _learn_unit(self, x: np.ndarray, num_threads: int | None) -> None:
        """From a sample, once all else is learned."""
        if self.metric == "l2":
            _, point = self._encode_centred(x[:UNIT_ROWS], num_threads)
            assert point is not None
            squares = np.square(ops.norms(point, num_threads=num_threads), dtype=np.float64)
            self.unit_ = square_table(squares, SQUARE_BYTES)[:1]

    def _freeze(self) -> None:
        super()._freeze()
        if self.metric == "l2" and not SMALLEST <= self.unit_[0] <= 1 / SMALLEST:
            raise ValueError(f"{type(self).__name__}: unit_ expected 2^-60 to 2^60, got {self.unit_[0]}")

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        codes, point = self._encode_centred(x, num_threads)
        if point is None:
            return codes
        return np.hstack((store_squares(ops.norms(point, num_threads=num_threads), self.unit_, SQUARE_BYTES), codes))

    def _map_queries(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            if self.metric != "l2":
                return self._turn(q, num_threads), ops.project(q, self.mean_[:, None], num_threads=num_threads)[:, 0]
            away = q - self.mean_
            constant = -np.square(ops.norms(away, num_threads=num_threads))
            return self._turn(away * np.float32(2), num_threads), constant

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        with np.errstate(over="ignore", invalid="ignore"):
            turned, constant = self._map_queries(q, num_threads)
            query = self.inner._query(turned, num_threads)
            if query.bias is not None:
                raise ValueError(
                    f"{type(self).__name__}: codec expected one whose scores are inner products alone, got {self.codec!r}, whose "
                    "codes have a bias each"
                )
            query = self._score(query)
            total = constant if query.constant is None else query.constant + constant
        bias = square_factor(0, self.unit_, SQUARE_BYTES) if self.metric == "l2" else None
        return query._replace(bias=bias, constant=total)

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        return self._query(self._decode(self._encode(q, num_threads), num_threads), num_threads)


def behind(query: Query, nbytes: int) -> Query:
    """The same scan of codes that have `nbytes` more in front."""
    if nbytes and isinstance(query.scale, Factor):
        return query._replace(scale=replace(query.scale, offset=query.scale.offset + nbytes))
    return query
