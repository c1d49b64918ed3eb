"""Range search: every row with a score at least as good as a bound, by top k searches that grow with what they find."""

from __future__ import annotations

from typing import Any

import numpy as np

from .codec import Query
from .ops.blocks import Blocks

FIRST, GROWTH = 128, 8  # results looked for at first, and how many times more where that was too few
TABLE_NBYTES = 64 << 20  # of results that are looked for at a time

Found = tuple[np.ndarray, np.ndarray]


def within(
    query: Query, blocks: Blocks, bounds: np.ndarray, ids: np.ndarray | None, allow: np.ndarray | None, num_threads: int | None
) -> list[Found]:
    """For each query all rows with a similarity of at least its bound, best first: scores float32[r], ids int64[r].

    bounds : float64[nq], compared exactly with the float32 scores; the other arguments as in `Query.search`

    Scans give the k best only, so k grows GROWTH times until the k-th is beyond the bound: a query with r results is scanned
    1 + log(r / FIRST) / log(GROWTH) times, rounded up, and never for more than GROWTH times what it finds.
    Memory: the results and a table of TABLE_NBYTES, or of one query's results where that is more.
    """
    out: list[Found] = [(np.empty(0, np.float32), np.empty(0, np.int64))] * len(bounds)
    pending, k = np.arange(len(bounds)), min(FIRST, blocks.n)
    while len(pending) and k:
        more: list[int] = []
        step = max(1, TABLE_NBYTES // (12 * k))
        for start in range(0, len(pending), step):
            which = pending[start : start + step]
            scores, found = query.part(which).search(blocks, k, ids, allow, num_threads)
            good = (found >= 0) & (scores >= bounds[which, None])
            for i, r, s, f in zip(which.tolist(), good.sum(axis=1).tolist(), scores, found, strict=True):
                if r < k or k == blocks.n:
                    out[i] = s[:r].copy(), f[:r].copy()
                else:
                    more.append(i)
        pending, k = np.array(more, np.int64), min(GROWTH * k, blocks.n)
    return out


def radius_bounds(radius: Any, nq: int) -> np.ndarray:
    """A caller's radius for `search_radius`, a number or one for each query, float64[nq]. Raises TypeError or ValueError."""
    bounds = np.asarray(radius)
    if bounds.dtype.kind not in "fiu":
        raise TypeError(f"search_radius: radius expected a number or one for each query, got {type(radius).__name__}")
    if bounds.shape not in ((), (nq,)):
        raise ValueError(f"search_radius: radius expected a number or one for each of {nq} queries, got shape {bounds.shape}")
    if np.isnan(bounds).any():
        raise ValueError("search_radius: radius expected numbers, got nan")
    return np.broadcast_to(bounds, nq).astype(np.float64)


def no_results(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and ids of n queries that have found nothing."""
    return np.full((n, k), np.nan, np.float32), np.full((n, k), -1, np.int64)
