"""Data sets, vectors and queries with what is known about them: the small real one that ships, and those in files.

| what `load` takes | base | queries | to learn from | true neighbours | metric |
|---|---|---|---|---|---|
| folder of .npy, .fvecs, .fbin, ... | base | queries, query, test | train, learn | gt, groundtruth, neighbors | metric, gt_ip |
| PREFIX of such files: PREFIX_base.fvecs | the same | | | | |
| .hdf5 of ann-benchmarks | train | test | learn | neighbors | attribute distance |

A file is known by these words in its name, between dots, dashes and underscores: sift_base.fvecs (texmex), base.1B.u8bin,
query.public.10K.u8bin, groundtruth.neighbors.ibin (big-ann), train-00000-of-00003.parquet. Where there is no base, train is the
base, as in ann-benchmarks. qrels.json holds a list of base ids for each query, what relevance labels name; sample_queries.* holds
further queries. Ids are row numbers of the base. What single files hold, and how they are read: vecpress/vectorfiles.py.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from .checks import Metric, check_choice, check_path
from .vectorfiles import SUFFIXES, Batches, batches, optional, read

__all__ = ["Batches", "Dataset", "SUFFIXES", "batches", "demo", "load", "read"]

METRICS: tuple[Metric, ...] = get_args(Metric)
METRIC_NAMES: dict[str, Metric] = {
    "ip": "ip", "dot": "ip", "inner": "ip", "inner_product": "ip", "innerproduct": "ip", "l2": "l2", "euclidean": "l2",
    "sqeuclidean": "l2", "cos": "cos", "cosine": "cos", "angular": "cos",
}  # fmt: skip
ROLES = {
    "base": {"base", "database"},
    "queries": {"query", "queries", "test"},
    "train": {"train", "learn"},
    "truth": {"gt", "groundtruth", "neighbors", "neighbours"},
}
GROUND_TRUTH = re.compile(r"gt\d+[kmb]?")  # gt1000, gt10m
SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)")
UNKNOWN = "not stated in its files"


@dataclass(frozen=True)
class Dataset:
    """Vectors to search, queries, and what is known about both.

    base : [n, d]
    queries : [nq, d], for figures only
    sample_queries : [ns, d], apart from `queries`, for anything: fitting, choosing options
    metric : "ip", "l2" or "cos"
    train : [nt, d], to learn from; None: the base
    relevant : for each of `queries` int64[r], the base ids that its relevance labels name, empty where there are none
    true_ids : int64[nq, k], best first, -1 where there is none: the ground truth as a file has it, which may break ties otherwise
        than `vecpress.exact`, or be of another base
    """

    name: str
    base: np.ndarray
    queries: np.ndarray
    sample_queries: np.ndarray
    metric: Metric
    licence: str
    train: np.ndarray | None = None
    relevant: tuple[np.ndarray, ...] | None = None
    true_ids: np.ndarray | None = None


def demo() -> Dataset:
    """The set that ships: 6,000 passages and 500 questions on health, 384 dimensions, float16, memory-mapped.

    Source, encoder and licence: vecpress/data/LICENSE-DATA.md.
    """
    folder = Path(__file__).parent / "data"
    queries = read(folder / "queries.npy")
    return Dataset(
        name="MedQuAD passages and questions, all-MiniLM-L6-v2",
        base=read(folder / "base.npy"),
        queries=queries[100:],
        sample_queries=queries[:100],
        metric="ip",
        licence="CC BY 4.0",
    )


def load(path: str | os.PathLike[str], metric: Metric | None = None) -> Dataset:
    """The data set in a folder, in the files that begin with a prefix, or in an .hdf5: the table in the module's docstring.

    path : the folder, prefix or .hdf5
    metric : None for what the files state. Ground truth of another metric is left out; where its metric is not stated, it is
        taken to be this one

    What can be mapped is; a Parquet file, or a compressed or chunked .hdf5, is read whole. The pieces NAME-i-of-N of an array are
    copied into one in memory, in the order of i; all must be there, of one width and dtype. `sample_queries` has no rows unless
    there is a file of that name.

    Raises ValueError if there is no base, there are no queries, or more than one file could be meant; if the metric is unknown
    and not given; if the widths of base, queries and train differ, an id is none of a base row, or there is not a row for each
    query; if there are several vectors a document (multi-vector sets); FileNotFoundError if there is nothing at `path`; what
    `read` raises.
    """
    check_path("load", path)
    if metric is not None:
        check_choice("load", "metric", metric, METRICS)
    path = Path(os.fsdecode(path))
    if path.is_file():
        if path.suffix.lower() not in (".hdf5", ".h5"):
            hint = "one file holds vectors only, which vecpress.datasets.read reads"
            raise ValueError(f"{path}: expected a folder, a prefix or an .hdf5 file; {hint}")
        return _from_hdf5(path, metric)
    return _from_files(path, metric)


# ---- .hdf5


def _from_hdf5(path: Path, metric: Metric | None) -> Dataset:
    h5py = optional("h5py", path)
    try:
        with h5py.File(path, "r") as file:
            names, distance = set(file), file.attrs.get("distance")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file: {error}") from None
    if {"train", "test"} - names:
        there = f"there are {', '.join(sorted(names))}" if names else "there is none"
        raise ValueError(f"{path}: expected data sets train (the base) and test (the queries), as of ann-benchmarks; {there}")
    text = distance.decode() if isinstance(distance, bytes) else distance
    stated = METRIC_NAMES.get(str(text).lower())
    chosen = metric or stated
    if chosen is None:
        got = "is missing" if text is None else f"is {text!r}"
        raise ValueError(f"{path}: the metric is unknown: attribute distance {got}; give metric, one of {', '.join(METRICS)}")
    parts = {"base": read(path, "train"), "queries": read(path, "test")}
    if "learn" in names:
        parts["train"] = read(path, "learn")
    truth = read(path, "neighbors") if "neighbors" in names and stated in (None, chosen) else None
    return _checked(path, path.stem, chosen, parts, truth, None)


# ---- folders and prefixes


def _from_files(path: Path, metric: Metric | None) -> Dataset:
    if path.is_dir():
        folder, prefix = path, ""
    else:
        folder, prefix = path.parent, path.name
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    starts = tuple(prefix + separator for separator in "._-") if prefix else ("",)
    files = [f for f in files if f.name.startswith(starts) and f.is_file()]
    if not files:
        raise FileNotFoundError(2, "no such folder, no such .hdf5 file, and no file whose name begins so", str(path))
    names = {f.name[len(prefix) :].lstrip("._-"): f for f in files}
    if "tokens.npy" in names or "offsets.npy" in names:
        raise ValueError(f"{path}: expected one vector a document, got a multi-vector set (tokens.npy, offsets.npy)")
    by_role: dict[str, list[str]] = {role: [] for role in (*ROLES, "sample_queries")}
    for name in names:
        role = _role(name)
        if role is not None:
            by_role[role].append(name)
    truths = by_role.pop("truth")
    chosen, true_name = _metric(path, metric, names, truths)
    if not by_role["base"]:
        by_role["base"], by_role["train"] = by_role["train"], []
    parts: dict[str, np.ndarray] = {}
    for role, candidates in by_role.items():
        found = _pick(path, role, candidates)
        if found:
            arrays = [read(names[name]) for name in found]
            parts[role] = arrays[0] if len(arrays) == 1 else _joined(path, found, arrays)
        elif role in ("base", "queries"):
            words = ", ".join(sorted(ROLES[role]))
            raise ValueError(f"{path}: there is no file of {role}: expected {words} in its name, got {', '.join(names)}")
    truth = None if true_name is None else read(names[true_name])
    labels = _labels(names["qrels.json"]) if "qrels.json" in names else None
    return _checked(path, prefix or folder.resolve().name, chosen, parts, truth, labels)


def _role(name: str) -> str | None:
    """What a file holds, by its name without the prefix; None: something else."""
    file = Path(name)
    if file.suffix.lower() not in SUFFIXES:
        return None
    if file.stem == "sample_queries":
        return file.stem
    words = set(re.split(r"[._-]+", file.stem.lower()))
    if words & ROLES["truth"] or any(GROUND_TRUTH.fullmatch(word) for word in words):
        return None if "distances" in words else "truth"
    return next((role for role in ("queries", "base", "train") if words & ROLES[role]), None)


def _pick(path: Path, role: str, candidates: Sequence[str]) -> list[str]:
    """The file of a role, or all the pieces that it was cut into."""
    exact = [name for name in candidates if Path(name).stem in {role, *ROLES.get(role, ())}]
    found = exact or list(candidates)
    cut = [(int(p[2]), name, p[1], int(p[3])) for name in found if (p := SHARD.fullmatch(Path(name).stem))]
    if not cut and len(found) < 2:
        return found
    cut.sort()  # by number: 10 of 11 is behind 9 of 11
    one = len({piece[2:] for piece in cut}) == 1 and len(cut) == len(found) == cut[0][3]
    if one and [piece[0] for piece in cut] == list(range(len(cut))):
        return [piece[1] for piece in cut]
    raise ValueError(f"{path}: expected one file of {role}, or all pieces NAME-00000-of-N of one, got {', '.join(found)}")


def _joined(path: Path, names: Sequence[str], arrays: Sequence[np.ndarray]) -> np.ndarray:
    widths = {a.shape[1:]: name for a, name in zip(arrays, names, strict=True)}
    if len(widths) > 1:
        got = ", ".join(f"{shape} in {name}" for shape, name in widths.items())
        raise ValueError(f"{path}: pieces of one array expected one width, got {got}")
    if len({a.dtype for a in arrays}) > 1:  # NumPy would widen them, or round integers
        got = ", ".join(f"{a.dtype} in {name}" for a, name in zip(arrays, names, strict=True))
        raise ValueError(f"{path}: pieces of one array expected one dtype, got {got}")
    return np.concatenate(arrays)


def _metric(path: Path, metric: Metric | None, names: dict[str, Path], truths: Sequence[str]) -> tuple[Metric, str | None]:
    """The metric, and the file of its ground truth where there is one."""
    of: dict[str, Metric | None] = {}
    for name in truths:
        words = re.split(r"[._-]+", Path(name).stem.lower())
        of[name] = next((METRIC_NAMES[word] for word in words if word in METRIC_NAMES), None)
    stated = {m for m in of.values() if m is not None}
    if "metric" in names:
        text = names["metric"].read_text(errors="replace").strip().lower()
        if text not in METRIC_NAMES:
            raise ValueError(f"{names['metric']}: the metric expected one of {', '.join(METRIC_NAMES)}, got {text[:40]!r}")
        stated = {METRIC_NAMES[text]}
    if metric is None:
        if len(stated) != 1:
            named = (
                f"its files name {' and '.join(sorted(stated))}" if stated else "no file `metric` and no ground truth names it"
            )
            raise ValueError(f"{path}: the metric is unknown: {named}; give metric, one of {', '.join(METRICS)}")
        (metric,) = stated
    fitting = [name for name in truths if of[name] == metric]
    if not fitting and (not stated or metric in stated):
        fitting = [name for name in truths if of[name] is None]
    if len(fitting) > 1:
        raise ValueError(f"{path}: expected one file of true neighbours by {metric}, got {', '.join(fitting)}")
    return metric, fitting[0] if fitting else None


# ---- checks


def _labels(path: Path) -> list[Any]:
    try:
        labels = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(labels, list):
        raise ValueError(f"{path}: expected a list with a list of base ids for each query, got {type(labels).__name__}")
    for row, ids in enumerate(labels):
        if not isinstance(ids, list) or not all(type(i) is int and abs(i) < 2**63 for i in ids):
            raise ValueError(f"{path}: query {row} expected a list of base ids, got {str(ids)[:60]}")
    return labels


def _checked(
    path: Path, name: str, metric: Metric, parts: dict[str, np.ndarray], truth: np.ndarray | None, labels: list[Any] | None
) -> Dataset:
    """The data set, after all that can be told without reading the vectors has been checked."""
    base, queries = parts["base"], parts["queries"]
    for role, x in parts.items():
        if x.ndim != 2 or x.dtype.kind not in "fiu":
            raise ValueError(f"{path}: {role} expected a matrix of numbers, got shape {x.shape} of {x.dtype}")
        if x.shape[1] != base.shape[1]:
            raise ValueError(f"{path}: {role} expected d={base.shape[1]} columns as the base has, got {x.shape[1]}")
        if not len(x) and role != "sample_queries":
            raise ValueError(f"{path}: {role} expected at least one row, got none")
    true_ids = relevant = None
    if truth is not None:
        if truth.dtype.kind not in "iu" or truth.ndim != 2 or len(truth) != len(queries):
            wanted = f"ids for each of the {len(queries)} queries"
            raise ValueError(f"{path}: true neighbours expected {wanted}, got shape {truth.shape} of {truth.dtype}")
        true_ids = np.array(truth, np.int64)
        _check_ids(path, "true neighbours", true_ids, len(base), -1)
    if labels is not None:
        if len(labels) != len(queries):
            raise ValueError(f"{path}: qrels.json expected ids for each of the {len(queries)} queries, got {len(labels)}")
        relevant = tuple(np.array(ids, np.int64) for ids in labels)
        _check_ids(path, "qrels.json", relevant, len(base), 0)
    return Dataset(
        name, base, queries, parts.get("sample_queries", queries[:0]), metric, UNKNOWN, parts.get("train"), relevant, true_ids
    )


def _check_ids(path: Path, what: str, rows: Iterable[np.ndarray], n: int, low: int) -> None:
    for query, ids in enumerate(rows):
        wrong = ids[(ids < low) | (ids >= n)]
        if len(wrong):
            raise ValueError(f"{path}: {what} of query {query} expected base ids of {low} to {n - 1}, got {wrong[0]}")
