"""Aligned: the codes of an old model's codec, for the vectors and queries of a new model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from .. import ops
from ..arrays import Rows
from ..chain import Chain, _shifted, describe, inner_codec
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..errors import NotFittedError


@dataclass(frozen=True)
class Maps:
    """The affine maps between a new space of d columns and an old one of p, as `Aligned` keeps them.

    decoder float32[p, d], origin float32[d] : of old vectors to new ones, x = origin + z @ decoder
    query_map float32[d, p], query_shift float32[p] : of new queries to old ones
    document_map float32[d, p], document_shift float32[p] : of new documents to old ones
    """

    decoder: np.ndarray
    origin: np.ndarray
    query_map: np.ndarray
    query_shift: np.ndarray
    document_map: np.ndarray
    document_shift: np.ndarray


class Aligned(Chain):
    """Searches the codes of an old model's codec with vectors of a new model: old and new codes mix in one index.

    With z_hat what the inner codec, the old one, makes of a code, a code stands for x_hat = origin_ + z_hat @ decoder_, and a
    query q becomes r = q @ query_map_ + query_shift_:

    | metric | score |
    |---|---|
    | ip, cos | <r, z_hat> + <q, origin_>: <q, x_hat> where query_map_ is decoder_.T and query_shift_ is 0 |
    | l2 | |r - z_hat|^2: a squared distance in the old space |

    New documents are coded as x @ document_map_ + document_shift_ by the inner codec. Code layout: the inner codec's; every code
    of the old codec is one of this codec. Products are summed in the order of `vecpress.ops.project`.

    Scores are exact up to float32 rounding. Under "cos" vectors are scaled to length 1 before they are mapped, and not again
    after it. With `symmetric=True` the inner codec codes the mapped query, and what it scores is that of the inner codec.

    `vecpress.align` and `vecpress.train.compatible` learn the maps from vectors of the new model and codes of the old one of the
    same texts. `fit` learns the inner codec alone, with maps that change nothing: the new model is the old one.

    Parameters
    ----------
    codec : the old codec, as text such as "PQ(m=8, n_bits=4)" or an unfitted codec; kept as text without its metric
    dims : columns of the old model's vectors; None: as many as the new one's
    metric : "ip", "l2" or "cos", the old codec's

    Learned: decoder_ float32[p, d], origin_ float32[d], query_map_ and document_map_ float32[d, p], query_shift_ and
    document_shift_ float32[p]; the inner codec's arrays, under the prefix inner_. Limits of values are such that what is mapped
    is within the inner codec's. `layers` and `truncate` are the inner codec's.

    Cost: d p multiply-adds a vector and a query beside the inner codec's; scans as the inner codec.
    Source: Shen et al., "Towards backward-compatible representation learning", CVPR 2020 (the task); the maps:
    `vecpress.alignment`.
    """

    own_state = {  # noqa: RUF012  never changed in place
        "decoder_": Array("float32", ("inner_dim", "dim")),
        "origin_": Array("float32", ("dim",)),
        "query_map_": Array("float32", ("dim", "inner_dim")),
        "query_shift_": Array("float32", ("inner_dim",)),
        "document_map_": Array("float32", ("dim", "inner_dim")),
        "document_shift_": Array("float32", ("inner_dim",)),
    }
    decoder_: np.ndarray
    origin_: np.ndarray
    query_map_: np.ndarray
    query_shift_: np.ndarray
    document_map_: np.ndarray
    document_shift_: np.ndarray

    def __init__(self, codec: str | Codec, dims: int | None = None, *, metric: Metric = "ip"):
        self.dims = None if dims is None else check_int("Aligned", "dims", dims, 1)
        self.metric = check_choice("Aligned", "metric", metric, METRICS)
        self._template = inner_codec("Aligned", codec, self.metric)
        self.codec = describe(self._template)

    @classmethod
    def of(cls, old: Codec, maps: Maps) -> Self:
        """The fitted codec of an old one, which is left as it is, and maps. Raises ValueError where their shapes do not fit."""
        p, d = np.shape(maps.decoder)
        codec = cls(describe(old), None if p == d else p, metric=old.metric)
        given = {f"{field.name}_": getattr(maps, field.name) for field in fields(maps)}
        own = {name: np.ascontiguousarray(array, np.float32) for name, array in given.items()}
        return cls.restore(codec.config(), d, own | {f"inner_{name}": array for name, array in old.arrays().items()})

    @property
    def inner_dim(self) -> int:
        return self.dim if self.dims is None else self.dims

    @property
    def inner(self) -> Codec:
        return super().inner if self.is_fitted else self._template

    @property
    def state(self) -> dict[str, Array]:  # type: ignore[override]
        if self.is_fitted:
            return super().state
        return self.own_state | {f"inner_{name}": array for name, array in self._template.state.items()}

    @property
    def code_size(self) -> int:
        try:
            return self.inner.code_size
        except NotFittedError:
            self.check_fitted()  # the error is to name the chain
            raise

    @property
    def largest(self) -> float:  # type: ignore[override]
        limit = self._inner_largest
        if "_inner" not in self.__dict__:
            return limit
        longest = float(np.abs(self.document_map_).sum(axis=0, dtype=np.float64).max())
        left = limit - float(np.abs(self.document_shift_).max())
        return max(min(limit if longest == 1.0 else SQUARES_FIT, left / max(longest, 2.0**-60)), 0.0)

    @property
    def layers(self) -> tuple[int, ...]:
        return self.inner.layers

    def truncate(self, code_size: int) -> Aligned:
        self.check_fitted()
        shorter = self.inner.truncate(code_size)
        maps = {name: getattr(self, name) for name in self.own_state}
        fresh = type(self)(describe(shorter), self.dims, metric=self.metric)
        inner = {f"inner_{name}": array for name, array in shorter.arrays().items()}
        return type(self).restore(fresh.config(), self.dim, maps | inner)

    def _check_dim(self, dim: int) -> None:
        columns = dim if self.dims is None else self.dims
        try:
            self._template._check_dim(columns)
        except ValueError as error:
            raise ValueError(f"Aligned: codec expected one for {columns} columns, got {self.codec!r}: {error}") from None

    def _learn(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        if self.inner_dim != self.dim:
            raise ValueError(f"Aligned: dims expected None or d={self.dim} in fit, got {self.dims}: vecpress.align learns maps")
        same, nothing = np.eye(self.dim, dtype=np.float32), np.zeros(self.dim, np.float32)
        self.decoder_, self.query_map_, self.document_map_ = same, same.copy(), same.copy()
        self.origin_, self.query_shift_, self.document_shift_ = nothing, nothing.copy(), nothing.copy()

    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return ops.project(x, self.document_map_, self.document_shift_, num_threads=num_threads)

    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        return ops.project(z, self.decoder_, self.origin_, num_threads=num_threads)

    def _map_queries(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            r = ops.project(q, self.query_map_, self.query_shift_, num_threads=num_threads)
            if self.metric == "l2":
                return r, None
            return r, ops.project(q, self.origin_[:, None], num_threads=num_threads)[:, 0]

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        z, constant = self._map_queries(q, num_threads)
        return _shifted(self.inner._symmetric_query(z, num_threads), constant)

    @classmethod
    def examples(cls) -> list[Codec]:
        return [cls("PQ(m=8)"), cls("Sign()", metric="l2"), cls("LloydMax(n_bits=2)", metric="cos")]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Signs alone: without an old model it is its inner codec."""
        return [cls("Sign()", metric=metric)]


def same_codes(a: Codec, b: Codec) -> bool:
    """Whether the codes of two fitted codecs are codes of the same codec, but for what is `Aligned` around it."""
    one, other = _innermost(a), _innermost(b)
    if type(one) is not type(other) or a.metric != b.metric or one.dim != other.dim:
        return False
    mine, theirs = ({name: value for name, value in codec.config().items() if name != "metric"} for codec in (one, other))
    ours, others = one.arrays(), other.arrays()
    return mine == theirs and all(np.array_equal(ours[name], others[name]) for name in ours)


def _innermost(codec: Codec) -> Codec:
    while isinstance(codec, Aligned):
        codec = codec.inner
    return codec
