"""The contract of every codec: configuration, learned state, encode, decode, and the scan that a query becomes.

A codec is one file in vecpress/codecs. It writes `__init__` (configuration, checked), `state` (its learned arrays), `code_size`,
`_fit`, `_encode`, `_decode`, `_query` and `examples`; everything else here follows from those: input of any kind, save and load,
equality, copies, repr, registration.
"""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .arrays import FLOAT32_MAX, Rows, as_codes, like
from .checks import Metric, check_int
from .dispatch import check_threads, empty
from .errors import NotFittedError, SmallTrainingSetWarning
from .layers import kept_layers
from .query import Query
from .sources import SAMPLE_NBYTES, Stream, open_source, sample

METRICS: tuple[Metric, ...] = ("ip", "l2", "cos")
SQUARES_FIT = 2.0**50  # vectors of absolute values up to here have squared distances inside float32, for d up to 2^26

_codecs: dict[str, type[Codec]] = {}


@dataclass(frozen=True)
class Array:
    """A learned array: its dtype and its shape, each length a number or the name of a codec's attribute."""

    dtype: str
    shape: tuple[int | str, ...]


class Codec(ABC):
    """Turns vectors into codes of `code_size` bytes and a query into a scan over such codes.

    Attributes
    ----------
    metric : "ip" inner product, "l2" squared Euclidean distance, "cos" cosine (vectors are scaled to length 1 first)
    dim : columns of the vectors, known after `fit`
    code_size : bytes per vector, every per-vector factor included
    head, group : how scans want the codes laid out (vecpress/ops/blocks.py): factor bytes first, then groups of bytes
    largest : the largest absolute value that `fit` and `encode` accept; what lies beyond is a ValueError, never a wrong code

    Learned attributes end in `_`; arrays among them are read-only.
    """

    metric: Metric
    state: ClassVar[dict[str, Array]] = {}
    head: int = 0
    group: int = 1
    largest: float = FLOAT32_MAX
    dim_: int

    # ---- what a codec writes

    @property
    @abstractmethod
    def code_size(self) -> int:
        """Bytes per vector."""

    @abstractmethod
    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        """Sets the learned arrays. `self.dim` is known; under "cos" rows arrive with length 1."""

    @abstractmethod
    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[n, d] to uint8[n, code_size], row by row."""

    def _encode_unchecked(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, int] | None:
        """`_encode` for any values, and the first row with one that is not finite or beyond `largest`, n where there is none.

        For codecs that see this in the pass that encodes; others have none, and their rows are checked before.
        """
        return None

    @abstractmethod
    def _decode(self, codes: np.ndarray) -> np.ndarray:
        """uint8[n, code_size] to float32[n, d]."""

    @abstractmethod
    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        """The scan that scores codes against queries float32[nq, d]."""

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        """The scan that scores codes against coded queries: that of the decoded codes, unless a codec has a cheaper equal."""
        return self._query(self._decode(self._encode(q, num_threads)), num_threads)

    @classmethod
    @abstractmethod
    def examples(cls) -> list[Codec]:
        """Small instances that the contract tests and the default benchmark run."""

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Instances worth comparing on vectors of `dim` columns, at a few sizes: what `vecpress demo` measures.

        Here the examples, under `metric`, that can serve `dim`; a codec with better advice overrides it.
        """
        fitting: list[Codec] = []
        for codec in cls.examples():
            config = codec.config()
            codec = cls(**(config | {"metric": metric})) if "metric" in config else codec
            with suppress(ValueError):
                codec._check_dim(dim)
                fitting += [codec] if codec not in fitting else []  # examples often differ in their metric only
        return fitting

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec] | None:
        """Instances for so many bytes a vector, that the benchmark is to measure; None: it searches the constructor's numbers."""
        return None

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """Unfitted instances that `vecpress.auto` tries for vectors of `dim` columns and a budget; none unless overridden.

        code_size : bytes a vector, factors included, that none may exceed, 1 or more
        metric, seed : of every instance, where it has a seed

        One for every way in which the codec may be good, as large as fits: what is smaller is offered at smaller budgets.
        """
        return []

    # ---- what every codec has

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            _codecs[cls.__name__] = cls

    def fit(self, x: Any, queries: Any = None, *, sample_nbytes: int | None = None, num_threads: int | None = None) -> Self:
        """Learns from a sample.

        x : [n, d], n at least 1; float16, bfloat16, float32, float64 or uint8; NumPy, torch, or anything with __array__ or
            __dlpack__; the path of a file that `vecpress.datasets.read` reads; an iterator of blocks [r, d]
        queries : [nq, d], optional sample of queries, used by codecs that weigh by them
        sample_nbytes : float32 bytes of x that are held at most; where x has more, a uniform sample is drawn with the codec's
            `seed` (0 where it has none), the same whatever x comes as. None means 256 MiB for files, memory maps and iterators,
            and no bound for arrays, which are in memory anyway

        Returns the codec. The result does not depend on num_threads. Raises TypeError or ValueError for bad input and then leaves
        the codec as it was; of a large x only the rows that are learned from are read and checked, but of an iterator all.
        Warns, SmallTrainingSetWarning, if it learns from fewer rows than `enough_rows`.
        """
        num_threads = check_threads(num_threads)
        if sample_nbytes is not None:
            check_int("fit", "sample_nbytes", sample_nbytes, 1)
        fresh = type(self)(**self.config())  # learns in a copy: a failed fit must not leave half a state
        source = fresh._source(x, "fit: x", None, num_threads)
        if source.n == 0 or source.dim is None:
            raise ValueError("fit: x expected at least one row, got none")
        weights = None if queries is None else self._query_rows(queries, "fit: queries", source.dim, num_threads)
        if weights is not None:
            weights.check()  # bad queries are an error for every codec, whether it weighs by them or not
        fresh.dim_ = source.dim
        fresh._check_dim(source.dim)
        if isinstance(source, Stream) or source.is_mapped or sample_nbytes is not None:
            most = max(1, (sample_nbytes or SAMPLE_NBYTES) // (4 * source.dim))
            rows = sample(source, most, getattr(self, "seed", 0))
            if rows.n < 1:
                raise ValueError("fit: x expected at least one row, got none")
        else:
            rows = source
        if rows.n < fresh.enough_rows:
            what = "x" if rows is source else "the sample of x"
            short = f"fit: {what} has {rows.n} rows, {fresh!r} wants at least {fresh.enough_rows}"
            warnings.warn(short, SmallTrainingSetWarning, stacklevel=2)
        fresh._fit(rows, weights, num_threads)
        fresh._freeze()
        self.__dict__.update(fresh.__dict__)
        return self

    def encode(
        self, x: Any, *, out: Any = None, resume: bool = False, overwrite: bool = False, num_threads: int | None = None
    ) -> Any:
        """Vectors [n, d] to codes uint8[n, code_size]; a row encodes the same alone and in a batch.

        x : an array, a path or an iterator of blocks, as in `fit`
        out : a .npy file to write the codes to as they are made; returned are these, memory-mapped and read-only. Until it is
            complete it is called out + ".partial", and stays, to be resumed, if the work is stopped, by whatever
        resume : goes on with a partial file where there is one: rows that are done are read and compared, not encoded, and the
            file becomes the one of an uninterrupted run
        overwrite : replaces `out`; without `resume` a partial file too

        Raises NotFittedError before `fit`; TypeError or ValueError for bad input (the first bad row is named), for an `out` or a
        partial file that is there without leave, and for a partial file of another codec or of other vectors; OSError.
        """
        num_threads = check_threads(num_threads)
        dim = self.dim
        if out is not None:
            from . import stream

            stream.check_output(out, x)
            source = self._source(x, "encode: x", dim, num_threads)
            return stream.write_codes(self, source, out, resume=resume, overwrite=overwrite, num_threads=num_threads)
        if resume or overwrite:
            raise ValueError(f"encode: {'resume' if resume else 'overwrite'}=True expected a file to write, got out=None")
        return like(x, self._encode_all(self._source(x, "encode: x", dim, num_threads), num_threads))

    def decode(self, codes: Any) -> Any:
        """Codes uint8[n, code_size] to vectors float32[n, d]. Under "cos" these approximate the vectors scaled to length 1.

        Raises NotFittedError before `fit`; TypeError or ValueError for what is no matrix of codes.
        """
        self.check_fitted()
        return like(codes, self._decode(self.check_codes(codes, "decode: codes")))

    def query(self, q: Any, *, symmetric: bool = False, num_threads: int | None = None) -> Query:
        """The scan that scores codes against queries [nq, d]; `symmetric` codes the queries too (SDC).

        Under "cos" a zero query scores 0 against every code; coded, it scores as what its code decodes to.
        Errors as in `encode`.
        """
        num_threads = check_threads(num_threads)
        if symmetric:
            return self._symmetric_query(self._rows(q, "query: q", self.dim, num_threads).all(), num_threads)
        return self._query(self._query_rows(q, "query: q", self.dim, num_threads).all(), num_threads)

    def check_codes(self, codes: Any, what: str) -> np.ndarray:
        """`codes` as a contiguous uint8[n, code_size]. Raises TypeError or ValueError that names `what`."""
        return as_codes(codes, what, self.code_size)

    def _encode_all(self, source: Rows | Stream, num_threads: int | None) -> np.ndarray:
        """uint8[n, code_size] of a source of known or unknown length."""
        if isinstance(source, Rows) and (x := source.unchecked()) is not None:
            encoded = self._encode_unchecked(x, num_threads)
            if encoded is not None:
                codes, first = encoded
                if first == len(x):
                    return codes
                source.check()  # raises, with the reason and the row
        parts = ((start, self._encode(block, num_threads)) for start, block in source.blocks())
        if source.n is None:
            return np.concatenate([empty((0, self.code_size), np.uint8), *(codes for _, codes in parts)])
        out = empty((source.n, self.code_size), np.uint8)
        for start, codes in parts:
            out[start : start + len(codes)] = codes
        return out

    def _source(self, x: Any, what: str, dim: int | None, num_threads: int | None = None) -> Rows | Stream:
        """x, which may be a path or an iterator of blocks, as rows that can be coded."""
        return open_source(x, what, dim, unit=self.metric == "cos", largest=self.largest, num_threads=num_threads)

    def _rows(self, x: Any, what: str, dim: int | None, num_threads: int | None = None) -> Rows:
        """x as rows that can be coded."""
        return Rows(x, what, dim, unit=self.metric == "cos", largest=self.largest, num_threads=num_threads)

    def _query_rows(self, q: Any, what: str, dim: int, num_threads: int | None = None) -> Rows:
        """q as rows that are only compared with codes, and so may have any finite values."""
        return Rows(q, what, dim, unit=self.metric == "cos", num_threads=num_threads)

    @property
    def dim(self) -> int:
        """Columns of the vectors. Raises NotFittedError before `fit`."""
        return self.dim_

    def check_fitted(self) -> None:
        """Raises NotFittedError before `fit`."""
        if not self.is_fitted:
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit(x) first")

    @property
    def enough_rows(self) -> int:
        """Rows with which `fit` learns as well as it can, about; with fewer it warns. Known with `dim`."""
        return 1

    @property
    def bits_per_dim(self) -> float:
        """8 * code_size / dim."""
        return 8 * self.code_size / self.dim

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes at which a code may be cut and still is one, ascending, code_size last: more than one for progressive codes."""
        return (self.code_size,)

    def truncate(self, code_size: int) -> Codec:
        """The fitted codec of `codes[:, :code_size]`. Raises NotFittedError, or ValueError if no layer ends there."""
        kept_layers(self, code_size)
        return copy.copy(self)

    _planned_rows: int | None = None  # that `planned` is asked for

    @property
    def is_fitted(self) -> bool:
        return "dim_" in self.__dict__

    @property
    def state_nbytes(self) -> int:
        """Bytes of the learned arrays."""
        return sum(a.nbytes for a in self.arrays().values())

    def planned(self, dim: int, rows: int | None = None) -> tuple[int, int]:
        """code_size and state_nbytes as they will be, about, once it is fitted on so many vectors, or many, of `dim` columns.

        Raises ValueError if the configuration cannot serve these.
        """
        self._check_dim(dim)
        other = type(self)(**self.config())
        other.dim_, other._planned_rows = dim, rows
        lengths = ([getattr(other, s) if isinstance(s, str) else s for s in array.shape] for array in other.state.values())
        sizes = (np.dtype(array.dtype).itemsize for array in other.state.values())
        return other.code_size, sum(size * math.prod(shape) for size, shape in zip(sizes, lengths, strict=True))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON values: type(codec)(**codec.config()) is an unfitted copy."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def arrays(self) -> dict[str, np.ndarray]:
        """The learned arrays by name, read-only. Raises NotFittedError before `fit`."""
        self.check_fitted()
        return {name: getattr(self, name) for name in self.state}

    @classmethod
    def restore(cls, config: dict[str, Any], dim: int, arrays: dict[str, np.ndarray]) -> Self:
        """A fitted codec from configuration and learned arrays (copied). Raises ValueError if they do not belong together."""
        try:
            codec = cls(**config)
        except TypeError as error:
            raise ValueError(f"{cls.__name__}: configuration {config} does not fit: {error}") from None
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise ValueError(f"{cls.__name__}: dim expected a positive int, got {dim!r}")
        codec.dim_ = dim
        codec._check_dim(dim)
        if set(arrays) != set(codec.state):
            raise ValueError(f"{cls.__name__}: arrays expected {sorted(codec.state)}, got {sorted(arrays)}")
        for name in codec.state:
            wanted = codec.state[name]  # of an array whose shape depends on those before it
            shape = tuple(getattr(codec, s) if isinstance(s, str) else s for s in wanted.shape)
            got = arrays[name]
            if got.dtype != np.dtype(wanted.dtype) or got.shape != shape:
                raise ValueError(f"{cls.__name__}.{name}: expected {wanted.dtype}{shape}, got {got.dtype}{got.shape}")
            if got.dtype.kind == "f" and not np.isfinite(got).all():
                raise ValueError(f"{cls.__name__}.{name}: expected finite values")
            setattr(codec, name, np.array(got, order="C"))
        codec._freeze()
        return codec

    def save(self, path: Any) -> None:
        """Writes a .vpz file (vecpress/io.py): complete or not at all. Errors as in `vecpress.io.save_codec`."""
        from . import io

        io.save_codec(self, path)

    def _freeze(self) -> None:
        """Called when the learned arrays are complete. Makes them read-only, for shallow copies, also in indexes, share them."""
        for array in self.arrays().values():
            array.setflags(write=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.is_fitted:  # copied or pickled arrays come writeable
            self._freeze()

    def _check_dim(self, dim: int) -> None:  # noqa: B027  not abstract: most codecs serve any number of columns
        """Raises ValueError when the configuration cannot serve vectors of `dim` columns."""

    def __getattr__(self, name: str) -> Any:
        if isinstance(getattr(type(self), name, None), property):
            return getattr(type(self), name).fget(self)  # it raised NotFittedError, an AttributeError: let that through
        if name.endswith("_") and not name.startswith("_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted: {name.rstrip('_')} is known after fit(x)")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Codec):
            return NotImplemented
        if self.config() != other.config() or self.is_fitted != other.is_fitted:
            return False
        if not self.is_fitted:
            return True
        mine, theirs = self.arrays(), other.arrays()
        return self.dim == other.dim and all(np.array_equal(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]  # mutable: fit changes it

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


def codecs() -> list[type[Codec]]:
    """Every codec class there is, by name."""
    return [_codecs[name] for name in sorted(_codecs)]


def codec_class(name: str) -> type[Codec]:
    """The codec class of that name. Raises ValueError if there is none."""
    if name not in _codecs:
        raise ValueError(f"there is no codec {name!r}; there are {', '.join(sorted(_codecs))}")
    return _codecs[name]
