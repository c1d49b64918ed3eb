"""Aligned: the codes of an old model's codec, for the vectors and queries of a new model."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from .. import ops
from ..arrays import Rows
from ..chain import Chain, _shifted, describe, inner_codec
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..errors import NotFittedError
from ..layers import kept_layers
from ..ops.pack_codes import packed_size
from ..recurrent import grid_levels, grid_unit, on_grid
from ..recurrentfit import turned_directions
from .recurrentbinary import MOST_DIRECTIONS, RecurrentBinary


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


SAMPLE_ROWS = 16384  # that wider codes are learned from
DECODER_RIDGE = 1e-4  # of the mean square of their numbers
SHORT = np.float32(2.0**-100)  # scales below are 0


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

    Wider codes, `more` above 0, for ip and cos and a `RecurrentBinary` inside, have as many further numbers of its u + 1 bits
    behind the inner codec's code, which is a layer of its own: `truncate` gives the codec whose codes mix with old ones. With s
    the code's scale, the numbers are the levels v nearest to (x - x_hat) @ more_map_ / s, and x_hat gains s v @ more_back_: what
    the old code leaves of the new vector. One scan serves both parts, and scores are <q, x_hat>; query_map_ serves what is cut.
    Coded queries are scored as what their codes stand for.

    `vecpress.align` and `vecpress.train.compatible` learn the maps from vectors of the new model and codes of the old one of the
    same texts. `fit` learns the inner codec alone, with maps that change nothing: the new model is the old one.

    Parameters
    ----------
    codec : the old codec, as text such as "PQ(m=8, n_bits=4)" or an unfitted codec; kept as text without its metric
    dims : columns of the old model's vectors; None: as many as the new one's
    more : numbers of wider codes, 0 to 8192; above 0 the inner codec's have 1, 2 or 4 bits each that fill whole bytes
    metric : "ip", "l2" or "cos", the old codec's

    Learned: decoder_ float32[p, d], origin_ float32[d], query_map_ and document_map_ float32[d, p], query_shift_ and
    document_shift_ float32[p]; of wider codes more_map_ float32[d, more] and more_back_ float32[more, d]; the inner codec's
    arrays, under the prefix inner_. Limits of values are such that what is mapped is within the inner codec's. `layers` and
    `truncate` are the inner codec's but for wider codes.

    Cost: d p multiply-adds a vector and a query beside the inner codec's, wider codes decode too and take d more beside; scans as
    the inner codec.
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
    more_map_: np.ndarray
    more_back_: np.ndarray

    def __init__(self, codec: str | Codec, dims: int | None = None, more: int = 0, *, metric: Metric = "ip"):
        self.dims = None if dims is None else check_int("Aligned", "dims", dims, 1)
        self.metric = check_choice("Aligned", "metric", metric, METRICS)
        self._template = inner_codec("Aligned", codec, self.metric)
        self.codec = describe(self._template)
        self.more = check_int("Aligned", "more", more, 0, MOST_DIRECTIONS)
        if self.more:
            self._check_wider()
            wider = {"more_map_": Array("float32", ("dim", "more")), "more_back_": Array("float32", ("more", "dim"))}
            self.own_state = {**self.own_state, **wider}

    def _check_wider(self) -> None:
        inner, got = self._template, f"got {self.more}"
        if self.metric == "l2":
            raise ValueError(f"Aligned: more expected 0 with metric='l2', whose codes hold the length of the whole, {got}")
        if not isinstance(inner, RecurrentBinary) or inner.u == 2 or inner.m * (inner.u + 1) % 8:
            numbers = "a RecurrentBinary whose numbers of 1, 2 or 4 bits fill whole bytes"
            raise ValueError(f"Aligned: more expected 0 or {numbers} as codec, {got} and {self.codec!r}")

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
    def code_size(self) -> int:
        try:
            return self.inner.code_size + (packed_size(self.more, self._bits) if self.more else 0)
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
    def _bits(self) -> int:
        """Of a number of wider codes."""
        return int(self._template.u) + 1  # type: ignore[attr-defined]

    @property
    def layers(self) -> tuple[int, ...]:
        return (self.inner.code_size, self.code_size) if self.more else self.inner.layers

    def truncate(self, code_size: int) -> Aligned:
        if kept_layers(self, code_size) == 2 and self.more:
            return copy.copy(self)
        shorter = self.inner.truncate(code_size)
        maps = {name: getattr(self, name) for name in type(self).own_state}
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

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        more, self.more = self.more, 0  # these come last
        super()._fit(x, queries, num_threads)
        self.more = more
        if more:
            self._learn_more(x.sample(SAMPLE_ROWS, 0), 0, num_threads)

    def widened(self, x: np.ndarray, more: int, seed: int = 0, num_threads: int | None = None) -> Aligned:
        """The codec of wider codes, of `more` further numbers that are learned from new vectors float32[n, d], checked rows."""
        wide = type(self)(self.codec, self.dims, more, metric=self.metric)
        wide.__dict__.update({name: array for name, array in self.__dict__.items() if name.endswith("_") or name == "_inner"})
        wide._learn_more(x, seed, num_threads)
        wide._freeze()
        return wide

    def _learn_more(self, x: np.ndarray, seed: int, num_threads: int | None) -> None:
        """Principal directions of what old codes leave, turned so that numbers lose least; decoded by least squares."""
        codes = self.inner._encode(self._map(x, num_threads), num_threads)
        left, s = self._left(x, codes, num_threads)
        directions = turned_directions(left, left, self.more, self._bits - 1, self.dim, seed)
        unit = grid_unit(left @ directions, self._bits - 1)
        self.more_map_ = np.ascontiguousarray(directions / np.float32(unit), np.float32)
        v = self._levels(self._labels(left, num_threads)).astype(np.float64) * s[:, None]
        gram = v.T @ v
        gram[np.diag_indices_from(gram)] += max(DECODER_RIDGE * float(np.trace(gram)) / len(gram), 1e-30)
        self.more_back_ = np.linalg.solve(gram, v.T @ (left * s[:, None])).astype(np.float32)

    def _left(self, x: np.ndarray, codes: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """What inner codes leave of x, in units of their scales, float32[n, d]; the scales, float32[n]."""
        left = x - self._unmap(self._decode_inner(codes, num_threads), num_threads)
        s = self.inner._parts(codes)[1]  # type: ignore[attr-defined]
        return left / np.where(s > SHORT, s, np.float32(np.inf))[:, None], s

    def _labels(self, left: np.ndarray, num_threads: int | None) -> np.ndarray:
        levels = grid_levels(self._bits - 1)
        z = ops.project(left, self.more_map_, num_threads=num_threads)
        return np.searchsorted((levels[1:] + levels[:-1]) / 2, z).astype(np.uint8)

    def _levels(self, labels: np.ndarray) -> np.ndarray:
        return on_grid(labels, self._bits - 1)

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        codes = super()._encode(x, num_threads)
        if not self.more:
            return codes
        labels = self._labels(self._left(x, codes, num_threads)[0], num_threads)
        return np.hstack((codes, ops.pack_codes(labels, self._bits, num_threads=num_threads)))

    def _decode(self, codes: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        if not self.more:
            return super()._decode(codes, num_threads)
        old, rest = (np.ascontiguousarray(part) for part in np.split(codes, [self.inner.code_size], axis=1))
        v = self._levels(ops.unpack_codes(rest, self.more, self._bits, num_threads=num_threads))
        s = self.inner._parts(old)[1]  # type: ignore[attr-defined]
        return super()._decode(old, num_threads) + ops.project(v * s[:, None], self.more_back_, num_threads=num_threads)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        query = super()._query(q, num_threads)
        if not self.more:
            return query
        assert query.rows is not None
        with np.errstate(over="ignore", invalid="ignore"):
            rest = ops.project(q, np.ascontiguousarray(self.more_back_.T), num_threads=num_threads)
        return query._replace(rows=np.concatenate((query.rows, rest), axis=1))

    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return ops.project(x, self.document_map_, self.document_shift_, num_threads=num_threads)

    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        return ops.project(z, self.decoder_, self.origin_, num_threads=num_threads)

    def _map_queries(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            own = (np.ascontiguousarray(self.decoder_.T), None) if self.more else (self.query_map_, self.query_shift_)
            r = ops.project(q, *own, num_threads=num_threads)
            if self.metric == "l2":
                return r, None
            return r, ops.project(q, self.origin_[:, None], num_threads=num_threads)[:, 0]

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        if self.more:
            return self._query(self._decode(self._encode(q, num_threads), num_threads), num_threads)
        z, constant = self._map_queries(q, num_threads)
        return _shifted(self.inner._symmetric_query(z, num_threads), constant)

    @classmethod
    def examples(cls) -> list[Codec]:
        wide = cls("RecurrentBinary(m=8, u=1, recipe='rotation')", more=12)
        return [cls("PQ(m=8)"), cls("Sign()", metric="l2"), cls("LloydMax(n_bits=2)", metric="cos"), wide]

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        """None: without an old model it is its inner codec."""
        return []

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Signs alone: without an old model it is its inner codec."""
        return [cls("Sign()", metric=metric)]


def same_codes(a: Codec, b: Codec) -> bool:
    """Whether the codes of two fitted codecs are those of one codec, but for what is `Aligned` around it; wider codes never."""
    one, other = _innermost(a), _innermost(b)
    if type(one) is not type(other) or isinstance(one, Aligned) or a.metric != b.metric or one.dim != other.dim:
        return False
    mine, theirs = ({name: value for name, value in codec.config().items() if name != "metric"} for codec in (one, other))
    ours, others = one.arrays(), other.arrays()
    return mine == theirs and all(np.array_equal(ours[name], others[name]) for name in ours)


def _innermost(codec: Codec) -> Codec:
    while isinstance(codec, Aligned) and not codec.more:
        codec = codec.inner
    return codec
