"""What a search may find: allow-lists and masks as bitmaps of rows, and the queries that share one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .arrays import Rows, is_torch
from .contents import Contents
from .ids import as_ids
from .ops.blocks import BLOCK, count

QUERIES = 64  # scanned together: their tables stay small beside the codes, and a pass over those serves all
QUERIES_ELSEWHERE = 512  # of codes on a device, which has more to do at once

# the places of some queries, float32[r, d] of them, and the bitmap of the rows that they may find
Batch = tuple[slice | np.ndarray, np.ndarray, np.ndarray | None]


def batches(call: str, rows: Rows, allow: Any, contents: Contents, elsewhere: bool = False) -> Iterator[Batch]:
    """The queries, `QUERIES` at a time, with their filter; those that have the same filter come together.

    allow : as in `Index.search`; elsewhere : whether codes are on a device

    In `lock.shared`. Raises TypeError or ValueError for a filter that is none.
    """
    together = QUERIES_ELSEWHERE if elsewhere else QUERIES
    each = None if allow is None else _of_each(allow)
    if each is None:
        bitmap = None if allow is None else _bitmap(f"{call}: allow", allow, contents)
        for start in range(0, rows.n, together):
            some = slice(start, min(start + together, rows.n))
            yield some, rows.take(some), bitmap
        return
    if len(each) != rows.n:
        raise ValueError(f"{call}: allow expected one filter for each of {rows.n} queries, got {len(each)}")
    for same in _groups(f"{call}: allow", each):
        one = each[same[0]]
        bitmap = None if one is None else _bitmap(f"{call}: allow[{same[0]}]", one, contents)
        for start in range(0, len(same), together):
            which = np.array(same[start : start + together])
            yield which, rows.take(which), bitmap


def _of_each(allow: Any) -> Sequence[Any] | None:
    """The filters where there is one for each query, None where there is one for all."""
    if isinstance(allow, (list, tuple)):  # the first tells: a filter has an axis, an id has none
        return allow if len(allow) and (allow[0] is None or np.ndim(allow[0])) else None
    return list(allow) if getattr(allow, "ndim", 1) == 2 else None


def _groups(what: str, each: Sequence[Any]) -> list[list[int]]:
    """The places of filters that are equal as they were given."""
    objects: dict[int, list[int]] = {}
    for i, one in enumerate(each):
        objects.setdefault(id(one), []).append(i)
    groups: dict[Any, list[int]] = {}
    for places in objects.values():
        one = each[places[0]]
        array = None if one is None else _array(f"{what}[{places[0]}]", one)
        key = None if array is None else (array.dtype, array.shape, hashlib.sha256(array.tobytes()).digest())
        groups.setdefault(key, []).extend(places)
    return list(groups.values())


def _array(what: str, allow: Any) -> np.ndarray:
    allow = allow.detach().cpu().numpy() if is_torch(allow) else allow
    try:
        return allow if isinstance(allow, np.ndarray) else np.asarray(allow)
    except ValueError as error:  # rows of different lengths
        raise TypeError(f"{what} expected int64 ids or a mask, got {type(allow).__name__}: {error}") from None


def _bitmap(what: str, allow: Any, contents: Contents) -> np.ndarray:
    """uint64[ceil(n / 64)]: bit r of word b allows row 64 b + r."""
    n, mask = len(contents), _array(what, allow)
    if mask.dtype == np.bool_:
        if mask.shape != (n,):
            raise ValueError(f"{what} expected a mask of shape ({n},), got {mask.shape}")
        packed = np.zeros(count(n) * 8, np.uint8)
        packed[: -(-n // 8)] = np.packbits(mask, bitorder="little")
        return packed.view("<u8").astype(np.uint64, copy=False)
    rows = contents.rows(as_ids(mask, what), what)
    words = np.zeros(count(n), np.uint64)
    np.bitwise_or.at(words, rows // BLOCK, np.uint64(1) << (rows % BLOCK).astype(np.uint64))
    return words
