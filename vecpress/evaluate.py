"""How good a codec is: exact neighbours, recall, and a row of figures (recall, bytes, distortion, speed)."""

from __future__ import annotations

import copy
import functools
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import dispatch, ops
from .arrays import Rows, as_array, is_torch, like
from .checks import check_choice, check_int
from .codec import METRICS, Codec, Metric
from .dispatch import check_threads
from .ids import LARGEST
from .index import Index
from .ops.scan import MAX_K

BLOCK_BYTES = 32 << 20  # of base vectors that `exact` scans at a time: the merge after each costs little beside the scan
WIDE = 10  # the third recall looks among this many times k
SINGLE_QUERIES = 100  # timed one by one for the latency
MIN_SECONDS = 0.05  # a timing repeats short calls until it lasts this long


def exact(q: Any, x: Any, k: int = 10, metric: Metric = "ip", *, num_threads: int | None = None) -> tuple[Any, Any]:
    """The true k nearest of x for each query: the ground truth.

    Parameters
    ----------
    q : [nq, d], or one query [d]; x : [n, d] : the kinds of values that `Codec.encode` takes; x is read in blocks, so a
        memory-mapped file stays one
    k : at least 1; where n is smaller, the rest of a row is id -1 and score nan
    metric : "ip", "l2" or "cos"; under "cos" a zero vector scores 0
    num_threads : None for VECPRESS_NUM_THREADS, or else the processors this process may use

    Returns
    -------
    scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id; ids are row numbers of x.
        Scores are inner products or cosines (larger is better) or squared distances (smaller is better).
        Torch tensors on q's device where q is one

    Raises TypeError or ValueError for bad input: k or a metric that is none, a NaN or infinity (naming the first bad row), a q
    of another width than x; MemoryError where the results do not fit in memory.
    Cost: nq * n * d multiply-adds (vecpress/ops/flat.py); memory for q, two blocks of x and a few tables as large as the results.
    """
    k = check_int("exact", "k", k, 1, MAX_K)
    metric = check_choice("exact", "metric", metric, METRICS)
    num_threads = check_threads(num_threads)
    base = Rows(x, "exact: x", unit=metric == "cos", num_threads=num_threads)
    rows = Rows(q, "exact: q", base.dim, unit=metric == "cos", num_threads=num_threads).all()
    scores = np.full((len(rows), k), np.nan, np.float32)
    ids = np.full((len(rows), k), -1, np.int64)
    for start, block in base.blocks(max(1, BLOCK_BYTES // (4 * base.dim))):
        numbers = np.arange(start, start + len(block), dtype=np.int64)
        scores, ids = _merge((scores, ids), _flat(rows, block, min(k, len(block)), metric, numbers, num_threads), k)
    if metric == "l2":
        np.subtract(np.float32(0), scores, out=scores)
    return like(q, scores, ids)


def recall(ids: Any, true_ids: Any, k: int = 10, at: int | None = None) -> float:
    """The share of the true k nearest found among the first `at`, over all queries: "k@at".

    ids : int64[nq, at or more], what a search found; true_ids : int64[nq, k or more], from `exact` or a file,
        best first
    at : None means k, so recall(ids, true_ids) is 10@10; recall(ids, true_ids, 1, 10) is 1@10

    The id -1 (nothing found) never counts, and where the truth itself holds fewer than k ids, the share is of
    those. Ties are not known here: a found vector that is as near as the k-th counts only if the truth lists
    it (`evaluate` knows better).

    Raises TypeError or ValueError if the arrays, k or `at` are not such; ValueError if the truth holds no id.
    """
    k = check_int("recall", "k", k, 1)
    at = k if at is None else check_int("recall", "at", at, 1)
    found, true = id_table(ids, "recall: ids", at), id_table(true_ids, "recall: true_ids", k)
    if len(found) != len(true):
        raise ValueError(f"recall: expected as many rows of ids as of true_ids, got {len(found)} and {len(true)}")
    hits = sum(int(np.isin(t[t >= 0], f).sum()) for f, t in zip(found, true, strict=True))
    total = int((true >= 0).sum())
    if not total:
        raise ValueError("recall: true_ids expected at least one id, got none")
    return hits / total


@dataclass(frozen=True)
class Evaluation:
    """The figures of one codec on one set of vectors; `row()` gives them by the names that tables use.

    codec : as measured, fitted
    n, dim, n_queries, k : of the data; threads, backend : what searched, e.g. "lut8: avx512"
    recall, recall_1, recall_wide : k@k, 1@k and k@(10 k): exhaustive scan, no reranking, ties counted as
        found
    code_nbytes : per vector, every factor included; held_nbytes : caches and ids per vector that the index
        holds beside
    state_nbytes, file_nbytes : of the codec and of the saved index, divided by n
    distortion : mean squared error of decoded vectors by the vectors' variance (of unit vectors under "cos")
    fit_seconds : nan if the codec came fitted
    encode_per_second, search_per_second : vectors, and queries in one batch (median of the repeats)
    latency_seconds : of one query alone, median
    """

    codec: Codec
    n: int
    dim: int
    n_queries: int
    k: int
    recall: float
    recall_1: float
    recall_wide: float
    code_nbytes: int
    held_nbytes: float
    state_nbytes: float
    file_nbytes: float
    distortion: float
    fit_seconds: float
    encode_per_second: float
    search_per_second: float
    latency_seconds: float
    threads: int
    backend: str
    symmetric: bool
    versions: dict[str, str] = field(repr=False)

    def row(self) -> dict[str, Any]:
        """The figures as JSON values, by the names of a table's columns, in their order."""
        k = self.k
        return {
            "codec": repr(self.codec) + (" symmetric" if self.symmetric else ""),
            "metric": self.codec.metric, "n": self.n, "dim": self.dim, "n_queries": self.n_queries,
            f"recall {k}@{k}": self.recall, f"recall 1@{k}": self.recall_1,
            f"recall {k}@{WIDE * k}": self.recall_wide,
            "code bytes/vector": self.code_nbytes, "held bytes/vector": self.held_nbytes,
            "state bytes/vector": self.state_nbytes, "file bytes/vector": self.file_nbytes,
            "times smaller": 4 * self.dim / self.code_nbytes, "distortion": self.distortion,
            "fit s": None if math.isnan(self.fit_seconds) else self.fit_seconds,
            "encode vectors/s": self.encode_per_second,
            "searches/s": self.search_per_second, "latency s": self.latency_seconds,
            "threads": self.threads, "backend": self.backend, **self.versions,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = []
        for name, value in self.row().items():
            lines.append(f"{name:>20}  {value:.4g}" if isinstance(value, float) else f"{name:>20}  {value}")
        return "\n".join(lines)


def evaluate(
    codec: Codec,
    x: Any,
    queries: Any,
    k: int = 10,
    *,
    fit: Any = None,
    fit_queries: Any = None,
    truth: tuple[Any, Any] | None = None,
    symmetric: bool = False,
    repeats: int = 7,
    num_threads: int | None = None,
) -> Evaluation:
    """Measures a codec: encodes x, searches it for the queries, and compares with the exact neighbours.

    Parameters
    ----------
    codec : left as it is; if it is not fitted, a copy is, and is in the result
    x : [n, d]; queries : [nq, d] : the kinds of values that `Codec.encode` takes. Queries must not be among
        what the codec was fitted on, or the figures flatter
    fit, fit_queries : what to fit on if the codec is not fitted; None means x, and no queries
    truth : `exact(queries, x, k or more, codec.metric)` if it is there already, to save the time
    symmetric : code the queries too
    repeats : of the timed batch search

    Raises what fit, encode and search raise; ValueError if x or queries is empty.
    Cost: one exact search (unless `truth` is given), one encoding and decoding of x, and the timed searches;
    memory for the codes.
    """
    k = check_int("evaluate", "k", k, 1, MAX_K)
    repeats = check_int("evaluate", "repeats", repeats, 1)
    num_threads = check_threads(num_threads)
    if not isinstance(codec, Codec):
        raise TypeError(f"evaluate: codec expected a Codec, got {type(codec).__name__}")
    codec, fit_seconds = copy.copy(codec), float("nan")
    if not codec.is_fitted:
        begin = time.perf_counter()
        codec.fit(x if fit is None else fit, fit_queries, num_threads=num_threads)
        fit_seconds = time.perf_counter() - begin
    base = codec._rows(x, "evaluate: x", codec.dim, num_threads)
    q = Rows(queries, "evaluate: queries", codec.dim).all()
    if not (base.n and len(q)):
        raise ValueError(f"evaluate: x and queries expected at least one row, got {base.n} and {len(q)}")
    if truth is None:
        truth = exact(q, x, k, codec.metric, num_threads=num_threads)
    bars = similarities(truth, len(q), k, codec.metric)
    index, distortion, encode_seconds = _encode_all(codec, base, num_threads)

    def search(rows: np.ndarray, wanted: int = k) -> tuple[np.ndarray, np.ndarray]:
        return index.search(rows, wanted, symmetric=symmetric, num_threads=num_threads)

    width = min(WIDE * k, base.n)
    nearness = found_similarities(q, base, search(q, width)[1], codec.metric, num_threads)
    batch = statistics.median(_seconds(lambda: search(q), MIN_SECONDS) for _ in range(repeats))
    single = statistics.median(_seconds(functools.partial(search, q[i : i + 1])) for i in range(min(len(q), SINGLE_QUERIES)))
    return Evaluation(
        codec=codec, n=base.n, dim=base.dim, n_queries=len(q), k=k,
        recall=_tied_recall(nearness, bars, k, k), recall_1=_tied_recall(nearness, bars, 1, k),
        recall_wide=_tied_recall(nearness, bars, k, width),
        code_nbytes=codec.code_size, held_nbytes=(index.nbytes - base.n * codec.code_size) / base.n,
        state_nbytes=codec.state_nbytes / base.n, file_nbytes=_file_nbytes(index) / base.n,
        distortion=distortion, fit_seconds=fit_seconds, encode_per_second=base.n / encode_seconds,
        search_per_second=len(q) / batch, latency_seconds=single,
        threads=num_threads, backend=_backend(codec, q, symmetric, num_threads),
        symmetric=symmetric, versions=_versions(),
    )  # fmt: skip


# ---- neighbours


def _flat(
    rows: np.ndarray, x: np.ndarray, k: int, metric: str, ids: np.ndarray | None, num_threads: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of x float32[n, d] by similarity: squared distances are negated."""
    blocks = ops.Blocks.pack(np.ascontiguousarray(x, "<f4").view(np.uint8), group=4, num_threads=num_threads)
    return ops.flat(blocks, rows, k, l2=metric == "l2", ids=ids, num_threads=num_threads)


def _merge(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of two results, by (similarity, id)."""
    scores, ids = (np.concatenate(pair, axis=1) for pair in zip(a, b, strict=True))
    nothing = ids < 0
    order = np.lexsort((np.where(nothing, LARGEST, ids), np.where(nothing, np.inf, -scores), nothing), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)


def id_table(ids: Any, what: str, columns: int) -> np.ndarray:
    """The first `columns` of int[nq, columns or more]."""
    table = ids.detach().cpu().numpy() if is_torch(ids) else as_array(ids, what)
    if table.dtype.kind not in "iu":
        raise TypeError(f"{what} expected int64 ids, got dtype {table.dtype}")
    if table.ndim != 2 or table.shape[1] < columns:
        raise ValueError(f"{what} expected a matrix of {columns} or more columns, got shape {table.shape}")
    return table[:, :columns].astype(np.int64)


# ---- the parts of an evaluation


def similarities(truth: tuple[Any, Any], nq: int, k: int, metric: str) -> np.ndarray:
    """The true scores float32[nq, k], larger for nearer."""
    scores = truth[0].detach().cpu().numpy() if is_torch(truth[0]) else np.asarray(truth[0])
    if scores.ndim != 2 or len(scores) != nq or scores.shape[1] < k:
        raise ValueError(f"evaluate: truth expected scores of shape ({nq}, {k} or more), got {scores.shape}")
    return -scores[:, :k] if metric == "l2" else scores[:, :k]


def _encode_all(codec: Codec, base: Rows, num_threads: int | None) -> tuple[Index, float, float]:
    """An index of all rows, the distortion, and the seconds of encoding. Two passes over x, in blocks."""
    mean = np.zeros(base.dim)
    for _, block in base.blocks():
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= base.n
    codes = np.empty((base.n, codec.code_size), np.uint8)
    error = spread = seconds = 0.0
    for start, block in base.blocks():
        part = slice(start, start + len(block))
        begin = time.perf_counter()
        codes[part] = codec._encode(block, num_threads)
        seconds += time.perf_counter() - begin
        error += float(np.square(np.subtract(block, codec.decode(codes[part]), dtype=np.float64)).sum())
        spread += float(np.square(block - mean).sum())
    index = Index(codec)
    index.add_codes(codes, num_threads=num_threads)  # at once, so that the index holds no room for more
    return index, error / spread if spread else (0.0 if error == 0 else float("inf")), seconds


def found_similarities(q: np.ndarray, base: Rows, found: np.ndarray, metric: str, num_threads: int | None) -> np.ndarray:
    """The exact similarity of every vector found, -inf for the id -1; bit for bit the numbers of `exact`."""
    out = np.full(found.shape, -np.inf, np.float32)
    queries = Rows(q, "evaluate: queries", unit=metric == "cos", num_threads=num_threads).blocks(1)
    for (_, query), ids, row in zip(queries, found, out, strict=True):
        there = np.flatnonzero(ids >= 0)
        if len(there):
            scores, order = _flat(query, base.take(ids[there]), len(there), metric, None, num_threads)
            row[there[order[0]]] = scores[0]
    return out


def _tied_recall(nearness: np.ndarray, bars: np.ndarray, k: int, at: int) -> float:
    """k@at, where everything as near as the k-th true neighbour (of those there are) counts as found."""
    hits, there = tied_hits(nearness, bars, k, at)
    return float(hits.sum() / there.sum())


def tied_hits(nearness: np.ndarray, bars: np.ndarray, k: int, at: int) -> tuple[np.ndarray, np.ndarray]:
    """How many of each query's true k were found among the first `at`, ties counted, and how many there are: int64[nq] each."""
    there = np.minimum((~np.isnan(bars[:, :k])).sum(axis=1), k)
    bar = bars[np.arange(len(bars)), there - 1]
    return np.minimum((nearness[:, :at] >= bar[:, None]).sum(axis=1), there), there


def _seconds(call: Callable[[], Any], at_least: float = 0.0) -> float:
    """Of one call: the mean of as many as last `at_least` so long together."""
    count, begin = 0, time.perf_counter()
    while True:
        call()
        count += 1
        spent = time.perf_counter() - begin
        if spent >= at_least:
            return spent / count


def _file_nbytes(index: Index) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "index.vpz")
        index.save(path)
        return os.path.getsize(path)


def _backend(codec: Codec, q: np.ndarray, symmetric: bool, num_threads: int | None) -> str:
    scan = codec.query(q[:1], symmetric=symmetric, num_threads=num_threads).scan
    return f"{scan}: {dispatch.chosen(scan)}"


def _versions() -> dict[str, str]:
    from . import __version__

    return {"vecpress": __version__, "numpy": np.__version__, "python": platform.python_version()}
