"""Where vectors come from beside arrays: files by path and iterators of blocks, read front to back; and a sample of either.

A sample is bounded in bytes, so that 59 GB of vectors can be learned from on a small machine: a reservoir, drawn with a seed, the
same for the same rows however they come (an array, a memory map, a Parquet file, blocks of any size).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np

from . import vectorfiles
from .arrays import FLOAT32_MAX, Rows, as_array, is_torch

SAMPLE_NBYTES = 256 << 20  # float32 bytes of a sample: 87,000 rows of 768 columns, more than k-means profits from
DRAWS_AT_ONCE = 1 << 16


class Stream:
    """Vectors that are read once, front to back, in float32 blocks; what `Rows` is to an array.

    blocks : [r, d] each, any r, of the kinds of values that `Rows` takes; a vector [d] is a block of one row
    what, dim, unit, largest, num_threads : as in `Rows`; errors name the row by its number in the whole stream
    n : rows in all where that is known, else None; seen : rows read so far

    The first block is taken at once, so that a wrong kind or a wrong width is found before anything else is done. `dim` is None
    where there are no rows to tell it. Raises what `Rows` raises, when a block is read.
    """

    def __init__(
        self,
        blocks: Iterable[Any],
        what: str,
        dim: int | None = None,
        *,
        n: int | None = None,
        unit: bool = False,
        largest: float = FLOAT32_MAX,
        num_threads: int | None = None,
    ):
        self.what, self.dim, self.n, self.unit, self.largest, self.num_threads = what, dim, n, unit, largest, num_threads
        self.seen = 0
        self._blocks = iter(blocks)
        self._first = next((rows for rows in map(self._rows, self._blocks, itertools.repeat(0)) if rows.n), None)
        if self._first is not None:
            self.dim = self._first.dim

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, float32[r, d]) over all rows, C-contiguous and checked; once."""
        rows, self._first, start = self._first, None, 0
        while rows is not None:
            for at, block in rows.blocks():
                yield start + at, block
            self.seen = start = start + rows.n
            item = next(self._blocks, None)
            rows = None if item is None else self._rows(item, start)
        if self.n is not None and start != self.n:
            raise ValueError(f"{self.what} expected {self.n} rows, got {start}")

    def _rows(self, item: Any, first: int) -> Rows:
        if not is_torch(item):
            item = as_array(item, self.what)
        if item.ndim == 0:  # the words for what is no array at all: an iterator of numbers is no matrix either
            got = f"an iterator of {type(item.item()).__name__}, not of blocks [r, d]"
            raise TypeError(f"{self.what} expected real numbers, got dtype object: {got}")
        where = f"{self.what}, block from row {first}," if first else self.what
        rows = Rows(
            item, where, self.dim, unit=self.unit, largest=self.largest, num_threads=self.num_threads, first=first
        )
        rows.what = self.what  # a row is named by its number
        return rows


def open_source(x: Any, what: str, dim: int | None = None, **options: Any) -> Rows | Stream:
    """What a caller hands in, to be read in blocks.

    x : what `Rows` takes; a path (`pathlib.Path`, or text that ends in a suffix of `vecpress.datasets.read`), FILE::NAME for one
        of several arrays; an iterator, or an iterable that is neither array nor sequence, of blocks
    options : of `Rows` and `Stream`

    Raises what reading the file, `Rows` and `Stream` raise.
    """
    if not isinstance(x, np.ndarray):
        if isinstance(x, os.PathLike) or (isinstance(x, str) and _is_file_name(x)):
            return open_file(os.fspath(x), what, dim, **options)
        if _is_iterable_of_blocks(x):
            return Stream(x, what, dim, **options)
    return Rows(x, what, dim, **options)


def open_file(where: str, what: str, dim: int | None = None, **options: Any) -> Rows | Stream:
    """The vectors in FILE or FILE::NAME: `Rows` of a memory map, or a `Stream` of what cannot be mapped. As `open_source`."""
    found = vectorfiles.batches(*split(where))
    if isinstance(found, np.ndarray):
        return Rows(found, what, dim, **options)
    return Stream(found.read(), what, dim, n=found.n, **options)


def split(where: str) -> tuple[str, str | None]:
    """The file and the name of the array in it from FILE or FILE::NAME; the name None where only a file is named."""
    path, separator, name = where.rpartition("::")
    return (path, name) if separator and not Path(where).exists() else (where, None)


def sample(source: Rows | Stream, k: int, seed: int) -> Rows:
    """At most k rows to learn from: all where there are no more, else k of them, each row with equal chance.

    Algorithm R, on one stream of random numbers: row i is kept if i < k; later it replaces slot floor(u_i (i + 1)) if that is
    below k, u_i being the i-th number that PCG64(seed) draws. So the sample, and its order, depend on the rows, k and the seed
    alone.

    Memory: k float32 rows, a block, and 16 bytes a sampled row where the source is random access. A `Stream` is read whole and
    every row checked; of `Rows` only those drawn are read. Cost: one random number a row.
    Source: Vitter, "Random sampling with a reservoir", ACM TOMS 1985.
    """
    if source.dim is None:
        raise ValueError(f"{source.what} expected at least one row, got none")
    if isinstance(source, Stream):
        return _reservoir(source, k, seed)
    if source.n <= k:
        return source
    slots = np.arange(k)
    rng = np.random.Generator(np.random.PCG64(seed))
    for start in range(0, source.n, DRAWS_AT_ONCE):
        rows = np.arange(start, min(start + DRAWS_AT_ONCE, source.n))
        to, kept = _place(rng, rows, k)
        slots[to] = rows[kept]
    held = np.empty((k, source.dim), np.float32)
    order = np.argsort(slots)  # so that a file is read forwards
    step = max(1, (8 << 20) // (4 * source.dim))
    for start in range(0, k, step):
        to = order[start : start + step]
        held[to] = source.take(slots[to])
    return Rows(held, source.what)  # checked and scaled


def _reservoir(source: Stream, k: int, seed: int) -> Rows:
    held = np.empty((k if source.n is None else min(k, source.n), source.dim or 0), np.float32)
    rng = np.random.Generator(np.random.PCG64(seed))
    n = 0
    for start, block in source.blocks():
        to, kept = _place(rng, np.arange(start, start + len(block)), k)
        n = start + len(block)
        held[to] = block if len(to) == len(block) else block[kept]
    return Rows(held[:n], source.what)


def _place(rng: np.random.Generator, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the next rows go, slots int64[s] in order of the rows, and which rows go anywhere, bool[r]; later ones overwrite."""
    drawn = (rng.random(len(rows)) * (rows + 1)).astype(np.int64)
    slots = np.where(rows < k, rows, drawn)
    kept = slots < k
    return slots[kept], kept


def _is_file_name(text: str) -> bool:
    return any(Path(name).suffix.lower() in vectorfiles.SUFFIXES for name in {text, split(text)[0]})


def _is_iterable_of_blocks(x: Any) -> bool:
    if is_torch(x) or isinstance(x, (str, bytes, Set)) or not isinstance(x, Iterable):
        return False
    return not any(hasattr(x, name) for name in ("__array__", "__dlpack__", "__array_interface__", "__getitem__"))
