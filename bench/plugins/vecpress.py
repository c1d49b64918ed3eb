"""vecpress itself: every codec that `vp.codecs()` lists, in every configuration that fits a budget, found without its name.

A codec's own advice comes first: `Codec.sized`. Where it has none, the constructor's arguments are searched: a whole number
without a default sets the size, one with a default (1 to 16 are tried) makes another contender, text keeps its default.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

import vecpress as vp
from vecpress.checks import Metric
from vecpress.codec import Codec, codecs

from ..contender import Contender, Nbytes, Profile, System
from . import fits

NAME = "vecpress"
OPTIONS = range(1, 17)  # tried for a whole number that has a default
FIRST = 64  # sizes, of which one must be accepted, or the search gives up
PROBE_DIM = 24  # columns of the vectors that the contract suite fits examples on
SEED = re.compile(r", seed=\d+")  # in the text of an inner codec
# How long `fit` takes, as a multiple of PQ's, for the plan's estimate; 1 where a codec is not listed.
SLOW = {
    "OPQ": 3.3, "ITQ": 2.0, "LloydMax": 0.05, "LowRankPQ": 5.0, "RQ": 60.0, "RaBitQ": 0.02, "Raw": 0.0, "SQ": 0.4, "Scaled": 3.0,
    "Sign": 0.02, "Weighted": 8.0,
}  # fmt: skip


def version() -> str | None:
    return vp.__version__


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    found: dict[str, Contender] = {}  # by repr: one configuration may fit several budgets
    for cls in codecs():
        for codec in configurations(cls, profile, budgets):
            for symmetric in (False, True) if codes_queries(codec) else (False,):
                contender = _contender(codec, symmetric)
                found.setdefault(repr(contender), contender)
    return list(found.values())


def configurations(cls: type[Codec], profile: Profile, budgets: Sequence[int]) -> Iterator[Codec]:
    """Unfitted codecs of the class, each with its `dim`, that fit one of the budgets."""
    metric, dim = cast(Metric, profile.metric), profile.dim
    searched: list[list[tuple[int, Codec]]] | None = None
    for budget in sorted(budgets):
        own = cls.sized(dim, budget, metric)
        if own is None:
            if searched is None:
                searched = [_sizes(cls, arguments, dim, max(budgets)) for arguments in _choices(cls, metric)]
            own = (
                [codec for sizes in searched if (codec := _largest(sizes, budget))]
                if any(searched)
                else cls.candidates(dim, metric)
            )
        for codec in own:
            size = _size(codec, dim)
            if size is not None and fits(size, budget):
                yield codec


def _choices(cls: type[Codec], metric: Metric) -> list[dict[str, Any]]:
    """Arguments that the constructor may take, all but the one that sets the size, which is None here."""
    values: dict[str, list[Any]] = {}
    words: list[str] = []
    for name, parameter in inspect.signature(cls).parameters.items():
        default = parameter.default
        if name == "metric":
            values[name] = [metric]
        elif name == "seed":
            continue
        elif default is inspect.Parameter.empty:
            if [None] in values.values() or parameter.annotation not in (int, "int"):
                return []  # not to be searched
            values[name] = [None]
        elif isinstance(default, int) and not isinstance(default, bool):
            values[name] = [default, *(value for value in OPTIONS if value != default)]
        elif isinstance(default, str):
            words.append(name)
    if not set(values) - {"metric"}:  # no number at all: what its examples have
        values |= {name: list(dict.fromkeys(codec.config()[name] for codec in cls.examples())) for name in words}
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def _sizes(cls: type[Codec], arguments: dict[str, Any], dim: int, most: int) -> list[tuple[int, Codec]]:
    """(code_size, codec) for every value of the argument that sets the size, up to 8 a byte and `most` bytes."""
    name = next((name for name, value in arguments.items() if value is None), None)
    found: list[tuple[int, Codec]] = []
    for value in (None,) if name is None else range(1, 8 * min(most, 2 * dim) + 1):
        if value is not None and value > FIRST and not found:
            break  # the other arguments are refused
        try:
            codec = cls(**arguments if name is None else {**arguments, name: value})
        except (TypeError, ValueError):
            continue
        size = _size(codec, dim)
        if size is not None and size <= most:
            found.append((size, codec))
    return found


def _largest(sizes: list[tuple[int, Codec]], budget: int) -> Codec | None:
    """The one of most bytes within the budget; of several, that of the largest argument."""
    within = [(size, at) for at, (size, _) in enumerate(sizes) if size <= budget]
    return sizes[max(within)[1]][1] if within else None


def _size(codec: Codec, dim: int) -> int | None:
    """Its code_size for vectors of `dim` columns, None if it does not serve these."""
    try:
        codec._check_dim(dim)
        codec.dim_ = dim
        return codec.code_size
    except (AttributeError, ValueError):
        return None


def codes_queries(codec: Codec) -> bool:
    """Whether there is a scan of codes by codes, which makes another contender."""
    inner = getattr(codec, "inner", None)
    while isinstance(inner, Codec):
        codec, inner = inner, getattr(inner, "inner", None)
    return _compares_codes(type(codec))


@functools.cache
def _compares_codes(cls: type[Codec]) -> bool:
    """Seen on an example, fitted on a few random vectors."""
    x = np.random.default_rng(0).standard_normal((64, PROBE_DIM)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for example in cls.examples():
            try:
                return example.fit(x).query(x[:1], symmetric=True).scan in ("hamming", "sdc")
            except ValueError:
                continue
    return False


def _contender(codec: Codec, symmetric: bool) -> Contender:
    """The seed, in the configuration or in the text of an inner codec, is left to the suite."""
    given = {name: value for name, value in codec.config().items() if name != "seed"}
    config = {name: SEED.sub("", value) if isinstance(value, str) else value for name, value in given.items()}
    seeded = config != codec.config()
    return Contender(
        NAME, type(codec).__name__, {**config, "symmetric": True} if symmetric else config, codec.code_size,
        functools.partial(_make, codec, symmetric), seeded, SLOW.get(type(codec).__name__, 1.0),
        "queries are coded too" if symmetric else "",
    )  # fmt: skip


def _make(codec: Codec, symmetric: bool, profile: Profile, seed: int, threads: int) -> System:
    config = {
        name: SEED.sub(f", seed={seed}", value) if isinstance(value, str) else value for name, value in codec.config().items()
    }
    return Ours(type(codec)(**config | ({"seed": seed} if "seed" in config else {})), symmetric, threads)


class Ours(System):
    """A codec with an index."""

    def __init__(self, codec: Codec, symmetric: bool, threads: int):
        self.codec, self.symmetric, self.threads = codec, symmetric, threads

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", vp.SmallTrainingSetWarning)  # the report gives the number of training rows
            self.codec.fit(train, queries, num_threads=self.threads)
        self.index = vp.Index(self.codec)

    def add(self, base: np.ndarray) -> None:
        self.index.add(base, num_threads=self.threads)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k, symmetric=self.symmetric, num_threads=self.threads)[1]

    def nbytes(self) -> Nbytes:
        n, size = len(self.index), self.codec.code_size
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index.vpz")
            self.index.save(path)
            return Nbytes(size, (self.index.nbytes - n * size) / n, self.codec.state_nbytes, os.path.getsize(path))

    def decode(self, rows: np.ndarray) -> np.ndarray:
        return self.codec.decode(self.index.codes(rows))
