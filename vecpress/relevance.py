"""Retrieval quality by relevance labels: success and nDCG of what a search found, beside `recall`, which knows vectors alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .checks import check_int
from .evaluate import id_table


def success(ids: Any, relevant: Any, k: int = 10, *, each: bool = False) -> Any:
    """The share of queries with at least one relevant vector among the first k found: "success@k".

    ids : int64[nq, k or more], what a search found, best first; -1 is nothing
    relevant : for each query the ids that answer it: nq arrays or lists, any order, repeats count once. A query that has none,
        an empty list, is left out
    each : give float64[nq], 1 or 0 a query and nan where it is left out, instead of the mean

    Raises TypeError or ValueError if ids, relevant or k are not such, and ValueError if no query has a relevant id.
    """
    hits, there = _hits("success", ids, relevant, k)
    found = np.where(there > 0, hits.any(axis=1).astype(np.float64), np.nan)
    return found if each else float(np.nanmean(found))


def ndcg(ids: Any, relevant: Any, k: int = 10, *, each: bool = False) -> Any:
    """The normalised discounted cumulative gain of the first k found, mean over queries: "nDCG@k".

    DCG = the sum of 1 / log2(1 + rank) over the ranks 1 .. k of relevant ids; nDCG = DCG / that of a search whose first
    min(k, number relevant) are relevant. A relevant id that stands in a row twice counts where it stands first.

    ids, relevant, each : as in `success`; errors too

    Source: Jarvelin, Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 2002, with gains 0 and 1 and the
    discount of all ranks.
    """
    hits, there = _hits("ndcg", ids, relevant, k)
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.concatenate(([np.nan], np.cumsum(discounts)))[np.minimum(there, hits.shape[1])]
    gains = (hits @ discounts) / best
    return gains if each else float(np.nanmean(gains))


def _hits(call: str, ids: Any, relevant: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    """bool[nq, k], where a relevant id was found for the first time, and int64[nq], how many there are."""
    k = check_int(call, "k", k, 1)
    found = id_table(ids, f"{call}: ids", k)
    if isinstance(relevant, (str, bytes)) or not isinstance(relevant, (Sequence, np.ndarray)):
        raise TypeError(f"{call}: relevant expected a list of ids for each query, got {type(relevant).__name__}")
    if len(relevant) != len(found):
        raise ValueError(f"{call}: relevant expected ids for each of {len(found)} queries, got {len(relevant)}")
    hits, there = np.zeros(found.shape, bool), np.zeros(len(found), np.int64)
    for i, (row, wanted) in enumerate(zip(found, relevant, strict=True)):
        known = _ids(call, i, wanted)
        there[i] = len(known)
        first = np.zeros(len(row), bool)
        first[np.unique(row, return_index=True)[1]] = True
        hits[i] = first & np.isin(row, known)
    if not there.any():
        raise ValueError(f"{call}: relevant expected at least one id, got none")
    return hits, there


def _ids(call: str, i: int, wanted: Any) -> np.ndarray:
    """The different ids of one query."""
    kinds = isinstance(wanted, Iterable) and not isinstance(wanted, (str, bytes))
    listed = np.asarray(list(wanted) if kinds and not isinstance(wanted, np.ndarray) else wanted)
    if listed.ndim != 1 or (listed.size and listed.dtype.kind not in "iu"):
        got = f"{listed.dtype} of shape {listed.shape}"
        raise TypeError(f"{call}: relevant expected int64 ids for each query, got {got} for query {i}")
    if listed.size and not 0 <= int(listed.min()) <= int(listed.max()) < 2**63:
        raise ValueError(f"{call}: relevant expected ids of 0 to 2^63 - 1, got {listed.min()} to {listed.max()} for query {i}")
    return np.unique(listed.astype(np.int64))
