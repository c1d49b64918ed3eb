"""What the figures mean: recall with ties counted, nDCG and success by relevance labels, distortion, intervals, summaries.

Every figure is computed by the suite, from the ids that a contender returned, never by the contender.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vecpress.arrays import Rows
from vecpress.evaluate import found_similarities

from .records import DIGITS

K = 10  # neighbours that count
WIDE = 100  # how many are looked among for the third recall
DRAWS = 4000  # of the bootstrap
LIMIT_SHARE = 0.5  # of all pairs of labelled vectors that share a query: so many, and no labels can be met


@dataclass(frozen=True)
class Recalls:
    """Shares over all queries; hits int64[nq]: of the true K, how many each query found among its first K."""

    recall: float
    recall_1: float
    recall_wide: float
    hits: np.ndarray


def check_found(found: object, nq: int, k: int, n: int) -> np.ndarray:
    """What a search returned, as int64[nq, k]. ValueError says what is wrong with it: results are never repaired."""
    ids = np.asarray(found)
    if ids.dtype.kind not in "iu" or ids.shape != (nq, k):
        raise ValueError(f"search: expected int64 row numbers of shape ({nq}, {k}), got {ids.dtype} of shape {ids.shape}")
    ids = ids.astype(np.int64)
    if ids.size and (ids.min() < -1 or ids.max() >= n):
        bad = int(np.flatnonzero((ids < -1) | (ids >= n))[0])
        raise ValueError(f"search: expected row numbers below {n}, or -1, got {ids.flat[bad]} for query {bad // k}")
    ordered = np.sort(ids, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise ValueError(f"search: expected every row once, got one twice for query {int(np.flatnonzero(twice)[0])}")
    return ids


def nearness(queries: np.ndarray, base: np.ndarray, found: np.ndarray, metric: str, threads: int | None = None) -> np.ndarray:
    """float32[nq, k]: the exact similarity of what was found, larger for nearer, -inf for -1; bit for bit `vecpress.exact`'s."""
    rows = Rows(base, "base", unit=metric == "cos", num_threads=threads)
    return found_similarities(queries, rows, found, metric, threads)


def recalls(near: np.ndarray, near_wide: np.ndarray, bars: np.ndarray) -> Recalls:
    """Recall K@K, 1@K and K@WIDE; whatever is as near as the last true neighbour counts, so ties count as found.

    near, near_wide : `nearness` of what was found for K and for WIDE neighbours; bars : float[nq, K], similarities of the true K,
    best first, nan where the base has fewer
    """
    there = (~np.isnan(bars)).sum(axis=1)
    last = bars[np.arange(len(bars)), there - 1]
    hits = _hits(near[:, :K], last, there)
    first = _hits(near[:, :K], bars[:, 0], np.ones(len(bars), int))
    wide = _hits(near_wide[:, :WIDE], last, there)
    total = int(there.sum())
    return Recalls(int(hits.sum()) / total, int(first.sum()) / len(bars), int(wide.sum()) / total, hits)


def _hits(near: np.ndarray, bar: np.ndarray, most: np.ndarray) -> np.ndarray:
    return np.minimum((near >= bar[:, None]).sum(axis=1), most)


def to_digits(hits: np.ndarray) -> str:
    """Hits as a record keeps them, one of DIGITS a query."""
    return "".join(DIGITS[h] for h in hits)


# ---- relevance labels


def ndcg(found: np.ndarray, relevant: Sequence[np.ndarray], k: int = K) -> float | None:
    """Mean nDCG@k over the queries with a label: gain 1 for what is labelled, divided by log2(1 + place), by the best possible.

    found : int64[nq, k or more]; relevant : row numbers, per query. None where no query has a label.
    Source: Järvelin, Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002.
    """
    weights = 1 / np.log2(np.arange(2, k + 2))
    return _mean(found, relevant, k, lambda hits, count: float(weights[hits].sum() / weights[: min(count, k)].sum()))


def success(found: np.ndarray, relevant: Sequence[np.ndarray], k: int = K) -> float | None:
    """The share of the queries with a label that find something labelled among the first k; None where no query has one."""
    return _mean(found, relevant, k, lambda hits, count: float(len(hits) > 0))


def _mean(found: np.ndarray, relevant: Sequence[np.ndarray], k: int, figure: Callable[[np.ndarray, int], float]) -> float | None:
    """figure(places of the labelled among the first k, number of labels), over the queries that have labels."""
    labels = [np.unique(ids) for ids in relevant]
    values = [figure(np.flatnonzero(np.isin(f[:k], r)), len(r)) for f, r in zip(found, labels, strict=True) if len(r)]
    return sum(values) / len(values) if values else None


def is_limit(relevant: Sequence[np.ndarray]) -> bool:
    """Whether the labels join so many pairs of vectors that vectors cannot meet them, so that a compressor is not judged by them.

    LIMIT makes every pair of documents the answer of a query: Weller et al., "On the Theoretical Limitations of Embedding-Based
    Retrieval", 2025. Said of at least 10 labelled vectors, half of whose pairs share a query of few labels.
    """
    pairs = {(int(a), int(b)) for ids in relevant if 2 <= len(ids) <= K for a in ids for b in ids if a < b}
    labelled = {int(i) for ids in relevant for i in ids}
    return len(labelled) >= 10 and len(pairs) >= LIMIT_SHARE * math.comb(len(labelled), 2)


# ---- distortion


def distortion(x: np.ndarray, decoded: np.ndarray) -> float:
    """Mean squared error by the variance around the mean of x float32[n, d]; 0 for constant vectors that come back exactly."""
    error = float(np.square(np.subtract(x, decoded, dtype=np.float64)).sum())
    spread = float(np.square(x - x.mean(axis=0, dtype=np.float64)).sum())
    return error / spread if spread else (0.0 if error == 0 else math.inf)


# ---- comparisons


def paired_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """How much more recall a has than b: the mean difference, and the ends of its 95 % bootstrap interval.

    a, b : float64[nq], the recall of the same queries, each the mean over seeds. Queries are drawn with replacement, the same for
    both, DRAWS times and always the same ones, so that a report made twice is the same. ValueError if queries differ in number or
    there is none.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not len(a):
        raise ValueError(f"paired_interval: expected the same queries, at least one, got {len(a)} and {len(b)}")
    low, high = np.quantile(_draws(len(a)) @ (a - b), (0.025, 0.975))
    return float((a - b).mean()), float(low), float(high)


@functools.lru_cache(maxsize=4)
def _draws(n: int) -> np.ndarray:
    """Weights of n queries in every draw, float32[DRAWS, n]."""
    rng = np.random.default_rng(0)
    weights = np.empty((DRAWS, n), np.float32)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return weights / np.float32(n)


@dataclass(frozen=True)
class Summary:
    """Of one figure over seeds: mean, the worst, and how many seeds there are."""

    mean: float
    worst: float
    seeds: int


def summary(values: Sequence[float | None], *, larger_is_better: bool = True) -> Summary | None:
    """Mean and worst of the values that there are; None if there is none."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    return Summary(math.fsum(there) / len(there), min(there) if larger_is_better else max(there), len(there))
