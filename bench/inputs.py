"""A data set made ready for measuring: float32 files that processes share, exact neighbours, labels, a checksum, once a set."""

from __future__ import annotations

import hashlib
import inspect
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

import vecpress as vp
from vecpress import bounds
from vecpress.checks import Metric
from vecpress.datasets import Dataset

from . import measures
from .contender import Profile

DEMO = "demo"  # names the set that ships
MADE = "synthetic:"  # begins the name of a made set
NO_SETS = ("power_law_variances", "topic_texts")  # of vecpress.synthetic
# Sets of whose queries the first so many are for development (fitting, choosing options); figures come from the others only.
SAMPLES = {"medquad_minilm": 300}
SPECTRUM_ROWS, SPECTRUM_SIZES = 20_000, 24  # rows that the bound is computed from, sizes that it is computed for
FILES = ("base", "train", "queries", "samples")


@dataclass(frozen=True)
class Inputs:
    """One data set.

    folder : base.npy, queries.npy (those that figures come from), and where they are not the base and none, train.npy and
        samples.npy; float32, C-ordered, to be mapped
    bars : float32[n_figures, K], similarities of the true neighbours, larger for nearer, nan where there are fewer
    relevant : row numbers for each query, None where there are no labels, or they are not to be judged by
    data : what a record says about the set
    """

    profile: Profile
    folder: Path
    bars: np.ndarray
    relevant: tuple[np.ndarray, ...] | None
    data: dict[str, Any]

    def load(self, part: str) -> np.ndarray | None:
        """One of FILES, mapped copy-on-write, as peers may want to write; None where there is no such part."""
        path = self.folder / f"{part}.npy"
        if part == "train" and not path.exists():
            path = self.folder / "base.npy"
        return np.asarray(np.load(path, mmap_mode="c")) if path.exists() else None


@contextmanager
def workspace() -> Iterator[Path]:
    """A temporary folder for `prepare`, gone at the end, whichever way it comes."""
    with tempfile.TemporaryDirectory(prefix="vecpress-bench-") as folder:
        yield Path(folder)


def read(where: str, metric: str | None = None) -> Dataset:
    """The data set at a path; the one that ships where it is called "demo"; a made one where it is called as MADE says.

    ValueError names what is wrong; OSError where there is nothing.
    """
    if where.startswith(MADE):
        return _made(where)
    if where == DEMO and not Path(where).exists():
        return vp.datasets.demo()
    return vp.datasets.load(where, cast(Metric, metric))


def read_all(where: str, metric: str | None, note: Callable[[str], None]) -> list[Dataset]:
    """As `read`, but a folder of nothing but folders is one of data sets: all that can be read, in the order of their names.

    `note` is told what cannot, be it no data set, empty, or of a format whose library is missing.
    """
    path = Path(where)
    folders = sorted(p for p in path.iterdir() if p.is_dir()) if path.is_dir() else []
    if not folders or any(p.suffix in vp.datasets.SUFFIXES for p in path.iterdir()):
        return [read(where, metric)]
    found, why = [], ""
    for folder in folders:
        try:
            found.append(read(str(folder), metric))
        except (ValueError, OSError, ImportError) as error:
            why = str(error)
            note(f"left out: {why}")
    if not found:
        raise ValueError(f"{where}: expected a data set, or a folder of data sets; {why}")
    return found


def _made(where: str) -> Dataset:
    """`synthetic:gaussian,d=384`: a generator of vecpress.synthetic, and its arguments."""
    name, *settings = where.removeprefix(MADE).split(",")
    makers = {maker: getattr(vp.synthetic, maker) for maker in vp.synthetic.__all__ if maker not in NO_SETS}
    if name not in makers:
        raise ValueError(f"{where}: expected one of {', '.join(MADE + maker for maker in sorted(makers))}")
    arguments: dict[str, Any] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        try:
            arguments[key] = value if key == "metric" else float(value) if "." in value or "e" in value else int(value)
        except ValueError:
            raise ValueError(f"{where}: {setting!r} expected name=number") from None
    unknown = set(arguments) - set(inspect.signature(makers[name]).parameters)
    if unknown:
        raise ValueError(f"{where}: {name} has no argument {', '.join(sorted(unknown))}")
    return cast(Dataset, makers[name](**arguments))


def describe(dataset: Dataset) -> tuple[Profile, int]:
    """What plug-ins may know of a set, and how many of its queries give figures; quick, nothing is computed."""
    figures = figure_queries(dataset)[0]
    n_train = len(dataset.base if dataset.train is None else dataset.train)
    n_query = len(dataset.queries) + len(dataset.sample_queries)
    n_base, dim = dataset.base.shape
    return Profile(dataset.name, dataset.metric, n_train, n_base, n_query, dim), len(figures)


def prepare(dataset: Dataset, folder: Path, threads: int | None = None) -> Inputs:
    """Writes the set's float32 files into the folder, and finds its exact neighbours.

    ValueError for vectors that are none (NaN, infinity, another width), naming the first bad row.
    """
    profile, n_figures = describe(dataset)
    figures, samples, relevant = figure_queries(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for part, rows in zip(FILES, (dataset.base, learned_rows(dataset), figures, samples), strict=True):
        if rows is not None and len(rows):
            array = np.ascontiguousarray(rows, np.float32)
            np.save(folder / f"{part}.npy", array)
            digest.update(f"{part} {array.shape}".encode())
            digest.update(array.view(np.uint8).data)
    base, queries = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("base", "queries"))
    scores, _ = vp.exact(queries, base, measures.K, cast(Metric, profile.metric), num_threads=threads)
    if relevant is not None and (measures.is_limit(relevant) or not any(len(ids) for ids in relevant)):
        relevant = None
    train = dataset.base if learned_rows(dataset) is None else dataset.train
    data = {
        "name": profile.name, "metric": profile.metric, "dim": profile.dim, "n_base": profile.n_base, "n_train": profile.n_train,
        "n_query": profile.n_query, "n_figures": n_figures, "checksum": digest.hexdigest()[:16],
        "bound": bound(train, profile),
    }  # fmt: skip
    return Inputs(profile, folder, -scores if profile.metric == "l2" else scores, relevant, data)


def bound(train: np.ndarray, profile: Profile) -> list[list[float]]:
    """[bytes a vector, least distortion of a Gaussian source with this spectrum]: vecpress/bounds.py. Of a sample of the rows."""
    rows = train[np.linspace(0, len(train) - 1, min(len(train), SPECTRUM_ROWS)).astype(np.int64)].astype(np.float64)
    if profile.metric == "cos":
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    rows -= rows.mean(axis=0)
    variances = np.linalg.eigvalsh(rows.T @ rows / len(rows)).clip(min=0)
    sizes = np.unique(np.geomspace(4, 4 * profile.dim, SPECTRUM_SIZES).astype(int))
    return [[int(size), float(f"{bounds.reachable(variances, size):.4g}")] for size in sizes]


def figure_queries(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...] | None]:
    """Queries that figures come from, sample queries, and the labels of the former: the two never share a query."""
    queries, samples, relevant = dataset.queries, dataset.sample_queries, dataset.relevant
    count = 0 if len(samples) else min(SAMPLES.get(dataset.name, 0), len(queries) // 2)
    if count:
        samples, queries = queries[:count], queries[count:]
        relevant = None if relevant is None else relevant[count:]
    if not len(queries) or not len(dataset.base):
        raise ValueError(
            f"{dataset.name}: expected a base and queries for figures, got {len(dataset.base)} and {len(queries)} rows"
        )
    return queries, samples, relevant


def learned_rows(dataset: Dataset) -> np.ndarray | None:
    """Rows to learn from where they are not the base."""
    return None if dataset.train is dataset.base else dataset.train
