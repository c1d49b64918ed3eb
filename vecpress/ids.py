"""Ids as callers hand them in."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import is_torch

LARGEST = int(np.iinfo(np.int64).max)


def as_ids(values: Any, what: str) -> np.ndarray:
    """`values` (an int or a vector of ints of any kind) as a new int64[r].

    Raises TypeError for other kinds of values; ValueError for more than one axis, and for ids outside 0 ..
    2**63 - 1: negative numbers are left to -1, which stands for "no vector" in results.
    """
    if type(values) is int and 0 <= values <= LARGEST:  # one id: NumPy's ways would take longer than its removal
        return np.array([values], np.int64)
    if is_torch(values):
        values = values.detach().cpu().numpy()
    try:
        given = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} expected int64 ids, got {type(values).__name__}: {error}") from None
    if given.dtype.kind not in "iu" and (given.size or given.dtype.kind not in "f"):  # an empty list arrives as float64
        wrong = _no_id(values)  # one of them makes floats or objects of all
        if wrong is not None:
            raise ValueError(f"{what} expected ids of 0 to {LARGEST}, got {wrong}")
        raise TypeError(f"{what} expected int64 ids, got dtype {given.dtype}")
    if given.ndim > 1:
        raise ValueError(f"{what} expected one id or a vector of ids, got shape {given.shape}")
    if given.dtype == np.uint64 and given.size and int(given.max()) > LARGEST:
        raise ValueError(f"{what} expected ids of 0 to {LARGEST}, got {given.max()}")
    ids = np.array(given, np.int64, ndmin=1)
    if ids.size and ids.min() < 0:
        raise ValueError(f"{what} expected ids of 0 to {LARGEST}, got {ids[ids < 0][0]}")
    return ids


def _no_id(values: Any) -> int | None:
    """The first int of `values` that is no id, if `values` is an int or a sequence of ints."""
    listed = values if isinstance(values, (list, tuple, range)) else [values]
    if not all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in listed):
        return None
    return next((int(one) for one in listed if not 0 <= one <= LARGEST), None)


def first_repeated(ids: np.ndarray) -> int | None:
    """The first id of int64[r] that has stood earlier in it, or None if all differ."""
    if len(ids) < 2:
        return None
    order = np.argsort(ids, kind="stable")
    again = order[1:][ids[order[1:]] == ids[order[:-1]]]
    return int(ids[again.min()]) if len(again) else None
