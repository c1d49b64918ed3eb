"""Codecs that map vectors first and leave the coding to another codec: what they share.

A chain writes its configuration, `_learn` and the three maps. The inner codec is fixed, or text in the configuration. Its learned
arrays are the chain's, under the prefix `inner_`, so a chain is saved, loaded, compared and copied as any codec is.
"""

from __future__ import annotations

import ast
import copy
import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import ops
from .arrays import FLOAT32_MAX, Rows
from .codec import Array, Codec, Metric, Query, codec_class
from .errors import NotFittedError

EXAMPLE = "'PQ(m=8, n_bits=4)'"


class Chain(Codec):
    """A codec whose codes are those of an inner codec for mapped vectors.

    Under "cos" vectors are scaled to length 1 before they are mapped, and not again after it: the inner codec works with "ip".
    Codes, `head`, `group` and `largest` are the inner codec's. The map must keep what the metric compares, up to a constant for
    each query, as a rotation or a change of the origin does.
    """

    own_state: dict[str, Array] = {}  # noqa: RUF012  never changed in place
    _template: Codec  # unfitted
    _inner: Codec  # fitted, of the arrays inner_*

    # ---- what a chain writes

    @property
    @abstractmethod
    def inner_dim(self) -> int:
        """Columns of the mapped vectors."""

    def _learn(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        """Sets the arrays of `own_state`."""

    @abstractmethod
    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[n, d] to the vectors that are coded, float32[n, inner_dim]."""

    @abstractmethod
    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        """Decoded vectors float32[n, inner_dim] to float32[n, d]."""

    @abstractmethod
    def _map_queries(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Queries float32[nq, inner_dim] for the inner codec, and what to add to their scores, float32[nq] or None."""

    def _hamming_constant(self) -> float:
        """What to add to scores of coded queries where these are an affine map of the Hamming distance."""
        return 0.0

    # ---- what every chain has

    @property
    def inner(self) -> Codec:
        """The codec of the mapped vectors; it has its learned arrays once this one is fitted."""
        if "_inner" in self.__dict__:
            return self._inner
        inner = copy.copy(self._template)
        inner._planned_rows = self._planned_rows
        with suppress(NotFittedError):  # columns that only `fit` tells
            inner.dim_ = self.inner_dim
        for name in inner.state:  # what is there so far, for shapes that depend on it
            if f"inner_{name}" in self.__dict__:
                setattr(inner, name, self.__dict__[f"inner_{name}"])
        return inner

    @property
    def state(self) -> dict[str, Array]:  # type: ignore[override]
        inner = self.inner
        arrays = dict(self.own_state)
        for name, array in inner.state.items():
            shape = tuple(getattr(inner, s) if isinstance(s, str) and inner.is_fitted else s for s in array.shape)
            arrays[f"inner_{name}"] = Array(array.dtype, shape)
        return arrays

    @property
    def code_size(self) -> int:
        return self.inner.code_size

    @property
    def head(self) -> int:  # type: ignore[override]
        return self.inner.head

    @property
    def group(self) -> int:  # type: ignore[override]
        return self.inner.group

    @property
    def largest(self) -> float:  # type: ignore[override]
        return self._inner_largest

    @property
    def _inner_largest(self) -> float:
        """The inner codec's limit, which may depend on what it learned."""
        return self.__dict__.get("_inner", self._template).largest

    @property
    def enough_rows(self) -> int:
        return self.inner.enough_rows

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        self._learn(x, queries, num_threads)
        inner = self.inner
        mapped = _Mapped(x, lambda block: self._map(block, num_threads), inner.dim, self._inner_largest)
        sample = None
        if queries is not None:
            sample = _Mapped(queries, lambda block: self._map_queries(block, num_threads)[0], inner.dim)
        inner._fit(mapped, sample, num_threads)
        for name, array in inner.arrays().items():
            setattr(self, f"inner_{name}", array)

    def _freeze(self) -> None:
        super()._freeze()
        self.__dict__.pop("_inner", None)
        inner = self.inner
        for name in inner.state:
            setattr(inner, name, getattr(self, f"inner_{name}"))
        inner._freeze()
        self._inner = inner

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return self.inner._encode(self._map(x, num_threads), num_threads)

    def _decode(self, codes: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        return self._unmap(self._decode_inner(codes, num_threads), num_threads)

    def _decode_inner(self, codes: np.ndarray, num_threads: int | None) -> np.ndarray:
        inner = self.inner
        if "num_threads" in inspect.signature(inner._decode).parameters:  # it projects what it decodes
            return inner._decode(codes, num_threads)  # type: ignore[call-arg]
        return inner._decode(codes)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        z, constant = self._map_queries(q, num_threads)
        return _shifted(self.inner._query(z, num_threads), constant)

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        query = self.inner._symmetric_query(self._map(q, num_threads), num_threads)
        if query.scan == "hamming":
            return _shifted(query, np.full(len(q), self._hamming_constant(), np.float32))
        return self._query(self._decode(self._encode(q, num_threads), num_threads), num_threads)


@dataclass(frozen=True)
class Projection:
    """z = (x - mean) @ components and back, x = mean + z @ components.T: the affine map that chains use.

    mean float32[d]; components float32[d, p], p orthonormal columns
    """

    mean: np.ndarray
    components: np.ndarray

    def forward(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[n, d] to float32[n, p]. The mean is taken off first, for where it is long its projection would round x away."""
        with np.errstate(over="ignore"):
            return ops.project(x - self.mean, self.components, num_threads=num_threads)

    def back(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[n, p] to float32[n, d]."""
        return ops.project(z, self.components.T, self.mean, num_threads=num_threads)

    def queries(self, q: np.ndarray, metric: Metric, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Queries float32[nq, p] and constants float32[nq] so that the scores of z are those of `back(z)`.

        ip, cos : q @ components; the product with the mean
        l2 : forward(q); minus the squared distance of q from the nearest point that `back` reaches
        """
        if metric != "l2":
            both = np.concatenate((self.components, self.mean[:, None]), axis=1)
            products = ops.project(q, both, num_threads=num_threads)
            return np.ascontiguousarray(products[:, :-1]), products[:, -1].copy()
        z = self.forward(q, num_threads)
        return z, -squared_norms(q - self.back(z, num_threads), num_threads)


def square(x: np.ndarray) -> float:
    """The squared length of a vector, rounded once."""
    return math.fsum(float(c) ** 2 for c in x)


def squared_norms(x: np.ndarray, num_threads: int | None) -> np.ndarray:
    """float32[n]: `ops.norms` squared."""
    with np.errstate(over="ignore"):
        return ops.norms(x, num_threads=num_threads) ** 2


def describe(codec: Codec) -> str:
    """The codec as text, without its metric: 'PQ(m=8, n_bits=4, seed=0)'."""
    config = {name: value for name, value in codec.config().items() if name != "metric"}
    return f"{type(codec).__name__}({', '.join(f'{name}={value!r}' for name, value in config.items())})"


def inner_codec(where: str, codec: Any, metric: Metric) -> Codec:
    """An unfitted codec that works under `metric` inside a chain, from text as of `describe` or from an unfitted codec.

    Text is parsed, never run: a codec's name and arguments that are literals. Raises TypeError for what is neither, ValueError
    for what is no codec, a fitted codec, or one with a metric, other than the default "ip", that contradicts the chain's.
    """
    if isinstance(codec, Codec):
        if codec.is_fitted:
            raise ValueError(f"{where}: codec expected an unfitted codec, got a fitted {type(codec).__name__}")
        given = codec
    elif isinstance(codec, str):
        given = _parse(where, str(codec))
    else:
        raise TypeError(f"{where}: codec expected text such as {EXAMPLE} or a codec, got {type(codec).__name__}")
    config = given.config()
    if "metric" in config:
        if config["metric"] not in ("ip", metric):
            raise ValueError(f"{where}: codec expected one without a metric or with {metric!r}, got metric={config['metric']!r}")
        config["metric"] = "ip" if metric == "cos" else metric
    return type(given)(**config)


def _parse(where: str, text: str) -> Codec:
    expected = f"{where}: codec expected text such as {EXAMPLE}, got {text!r}"
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("it is not a codec's name with arguments")
        arguments = [ast.literal_eval(argument) for argument in call.args]
        options = {str(option.arg): ast.literal_eval(option.value) for option in call.keywords}
        return codec_class(call.func.id)(*arguments, **options)
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"{expected}: {reason}") from None


def _shifted(query: Query, constant: np.ndarray | None) -> Query:
    """The query with `constant` added to its scores."""
    if constant is None:
        return query
    return query._replace(constant=constant if query.constant is None else query.constant + constant)


class _Mapped(Rows):
    """Rows as the inner codec sees them, mapped when they are read."""

    def __init__(
        self, rows: Rows, mapping: Callable[[np.ndarray], np.ndarray], dim: int, largest: float = FLOAT32_MAX
    ):  # not that of Rows, which opens what a caller hands in
        self.n, self.dim, self.what, self.largest, self.num_threads = rows.n, dim, rows.what, largest, rows.num_threads
        self._rows, self._mapping = rows, mapping

    def unchecked(self) -> None:
        return None

    def take(self, which: slice | np.ndarray) -> np.ndarray:
        out = self._mapping(self._rows.take(which))
        if self.largest < FLOAT32_MAX and out.size and np.abs(out).max() > self.largest:
            raise ValueError(
                f"{self.what} expected values that are mapped to {self.largest:.9g} at most, got {np.abs(out).max():.9g}"
            )
        return out
