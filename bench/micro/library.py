"""The micro benchmarks' cases of whole codecs, on the shipped embeddings: a search, an encoding, a fit, each with its quality."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np

import vecpress as vp

from .cases import Call, Case, K, of_operations

# by the name that stands in a case's name; ITQ and OPQ are Sign and PQ behind `project`, and take long to fit
CODECS: dict[str, dict[str, Any]] = {
    "PQ-8": {"codec": "PQ", "m": 48, "n_bits": 8},
    "PQ-4": {"codec": "PQ", "m": 96, "n_bits": 4},
    "SQ-8": {"codec": "SQ", "n_bits": 8},
    "LloydMax-4": {"codec": "LloydMax", "n_bits": 4},
    "RaBitQ-1": {"codec": "RaBitQ", "n_bits": 1},
    "RaBitQ-4": {"codec": "RaBitQ", "n_bits": 4},
    "Sign": {"codec": "Sign"},
    "Raw-16": {"codec": "Raw", "dtype": "float16"},
}
COUNTED = ("RaBitQ-1", "Sign", "Raw-16")  # quick to fit, as the fit runs under valgrind, too
N, DIM = 6000, 384  # of the shipped set
QUERIES = 400


@functools.cache
def base() -> np.ndarray:
    return np.asarray(vp.datasets.demo().base, np.float32)


@functools.cache
def queries() -> np.ndarray:
    return np.asarray(vp.datasets.demo().queries, np.float32)


@functools.cache
def truth(n: int) -> np.ndarray:
    return vp.exact(queries(), base()[:n], K)[1]


@functools.cache
def fitted(name: str) -> Any:
    """A codec learned from the first 3000 vectors."""
    options = dict(CODECS[name])
    with warnings.catch_warnings():  # fewer vectors than it would like: speed does not depend on that, and fitting does
        warnings.simplefilter("ignore")
        return getattr(vp, options.pop("codec"))(**options).fit(base()[:3000])


@functools.cache
def index(name: str, n: int) -> Any:
    made = vp.Index(fitted(name))
    made.add(base()[:n])
    return made


def search(rng: np.random.Generator, codec: str, n: int, nq: int) -> Call:
    """index.search; its recall 10@10 is that of all queries where all are searched, else of those searched."""
    wanted, held, true = queries()[:nq], index(codec, n), truth(n)[:nq]
    return Call(lambda: held.search(wanted, K, num_threads=1), lambda found: {"recall": vp.recall(found[1], true, K)})


def encode(rng: np.random.Generator, codec: str, n: int) -> Call:
    """codec.encode; distortion is the mean squared error of what decodes by the vectors' variance."""
    x, of = base()[:n], fitted(codec)

    def quality(codes: np.ndarray) -> dict[str, float]:
        return {"distortion": float(np.square(of.decode(codes) - x).mean() / x.var(axis=0).mean())}

    return Call(lambda: of.encode(x, num_threads=1), quality)


def fit_kmeans(rng: np.random.Generator, n: int, d: int, k: int) -> Call:
    """k-means of sub-vectors, as PQ's fit calls it; the objective is the mean squared distance."""
    from vecpress.kmeans import kmeans

    x = np.ascontiguousarray(base()[:n, :d])
    return Call(
        lambda: kmeans(x, k, 0, iterations=10, num_threads=1),
        lambda result: {"objective": float(result[1] / n)},
    )


def fit_codec(rng: np.random.Generator, codec: str, n: int) -> Call:
    """A codec's whole fit; see `encode` for the distortion."""
    x, options = base()[:n], dict(CODECS[codec])
    new = getattr(vp, options.pop("codec"))

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return new(**options).fit(x, num_threads=1)

    def quality(of: Any) -> dict[str, float]:
        return {"distortion": float(np.square(of.decode(of.encode(x)) - x).mean() / x.var(axis=0).mean())}

    return Call(run, quality)


def _rows(group: str, build: Any, shape: dict[str, Any], counted: dict[str, Any] | None) -> Case:
    """A case whose rate is that of its rows' float32 bytes, or, of a search, in queries."""
    n = shape["n"]
    nbytes = 4 * n * shape.get("d", DIM)
    amount, unit = (shape["nq"], "queries/s") if group == "search" else (nbytes, "bytes/s")
    if group == "search":
        options = CODECS[shape["codec"]]
        bits = {"PQ": options.get("m", 0) * options.get("n_bits", 0), "Sign": DIM, "Raw": 16 * DIM}.get(
            options["codec"], DIM * options.get("n_bits", 0)
        )
        nbytes = n * bits // 8  # without the factors
    needs = {"read": nbytes} | ({"l2_read": nbytes * shape["nq"]} if group == "search" else {})  # every query reads every code
    return Case(group, shape, build, unit, amount, nbytes, needs, None, counted)


def of_library() -> list[Case]:
    """The cases of whole codecs."""
    found = []
    for codec in CODECS:
        for nq in (1, QUERIES):
            shape = {"codec": codec, "n": N, "nq": nq}
            found.append(_rows("search", search, shape, shape | {"n": 2000} if nq == 1 and codec in COUNTED else None))
    for codec in CODECS:
        shape = {"codec": codec, "n": N}
        found.append(_rows("encode", encode, shape, shape | {"n": 100} if codec in COUNTED else None))
    found.append(_rows("fit", fit_kmeans, {"n": N, "d": 8, "k": 256}, None))
    found.append(_rows("fit", fit_kmeans, {"n": N, "d": 384, "k": 64}, None))
    found += [_rows("fit", fit_codec, {"codec": codec, "n": 2000}, None) for codec in ("PQ-4", "SQ-8", "LloydMax-4")]
    return found


def all_cases() -> list[Case]:
    """Every case there is."""
    return of_operations() + of_library()
