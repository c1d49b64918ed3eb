"""What an index holds, rows of codes and their ids, and how that changes: each change whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from . import native
from .codec import Codec
from .errors import CorruptFileError
from .ids import LARGEST, as_ids, first_repeated
from .ops.blocks import BLOCK, Blocks, count
from .rwlock import ReadWriteLock

# codes of the same rows, one array uint8[r, code_size] a column, and the place of the first
Part = tuple[int, Sequence[np.ndarray]]
MERGED = 1 << 16  # rows that `merge` copies at a time


@dataclass
class Column:
    """The codes of one codec in block layout, as scans read them, and room for more behind the last row."""

    codec: Codec
    data: np.ndarray  # uint8[blocks, 64 * code_size]
    device: ClassVar[str] = "cpu"

    def __post_init__(self) -> None:
        # as the table of ids takes it: the array itself, which is resized in place
        self.layout = self.data, self.codec.code_size, self.codec.head, self.codec.group

    @classmethod
    def empty(cls, codec: Codec) -> Self:
        return cls(codec, np.zeros((0, BLOCK * codec.code_size), np.uint8))

    @property
    def room(self) -> int:
        """Blocks that there is room for."""
        return len(self.data)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.data.nbytes

    def blocks(self, n: int, ids: np.ndarray | None = None) -> Blocks:
        """The codes of the first n rows; ids: those of these rows, for columns that keep a copy of them."""
        data, code_size, head, group = self.layout
        return Blocks(data, n, code_size, head, group)

    def rows(self, n: int, rows: np.ndarray, num_threads: int | None) -> np.ndarray:
        """The canonical codes uint8[r, code_size] of some of the n rows."""
        return self.blocks(n).rows(rows, num_threads=num_threads)

    def put(self, start: int, codes: np.ndarray, num_threads: int | None) -> None:
        self.blocks(start).put(start, codes, num_threads=num_threads)

    def resize(self, blocks: int) -> None:
        """Room for so many blocks, in place where the system can; while nobody has a view."""
        self.data.resize((blocks, self.data.shape[1]), refcheck=False)


class RowColumn(Column):
    """The same row by row, uint8[64 * blocks, code_size]: a code lies in one piece, to be read alone when it is a candidate."""

    @classmethod
    def empty(cls, codec: Codec) -> Self:
        return cls(codec, np.zeros((0, codec.code_size), np.uint8))

    @property
    def room(self) -> int:
        return len(self.data) // BLOCK

    def blocks(self, n: int, ids: np.ndarray | None = None) -> Blocks:
        raise TypeError("codes that lie row by row are not scanned")

    def rows(self, n: int, rows: np.ndarray, num_threads: int | None) -> np.ndarray:
        return self.data[rows]

    def put(self, start: int, codes: np.ndarray, num_threads: int | None) -> None:
        self.data[start : start + len(codes)] = codes

    def resize(self, blocks: int) -> None:
        super().resize(BLOCK * blocks)


class Contents:
    """Columns of codes, a table of ids, and the lock that changes take.

    columns : the codes, and finer ones beside them where there are such
    ids : how many rows there are, and their ids; one step of this table ends every change (csrc/core/id_table.cpp)
    source : the file that the arrays are mapped from; then they are read-only
    limit : ids are below it, for they are rows of an array that has so many; None for any
    word : what callers call an id, for errors about how many there are

    New codes are written behind the last row, where neither a search nor a file sees them, and become rows all at once. Every
    method that changes takes the lock itself; those that read are called in `lock.shared`. `call` is how errors name the method.
    """

    def __init__(self, columns: Sequence[Column], ids: Any = None, source: str | None = None, limit: int | None = None):
        self.columns = tuple(columns)
        self._layouts = [column.layout for column in columns if column.device == "cpu"]
        self._room = min(column.room for column in columns)  # blocks that every column has room for
        self.ids = native.id_table() if ids is None else ids
        self.source, self.limit, self.word = source, limit, "id"
        self.lock = ReadWriteLock()

    def __len__(self) -> int:
        return len(self.ids)

    # ---- read

    def all_ids(self) -> np.ndarray:
        """int64[n]: the ids in row order, a copy."""
        ids = self.ids.ids
        return np.arange(len(self), dtype=np.int64) if ids is None else np.array(ids)

    def blocks(self) -> Blocks:
        """The codes as they are now."""
        return self.columns[0].blocks(len(self), self.ids.ids)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """The row of each id, int64[r], -1 where it is unknown."""
        repeated = self.ids.map_rows()
        if repeated is not None:  # only a mapped file can bring that: its ids are not read before
            raise CorruptFileError(f"{self.source}: array 'ids' has {repeated} twice")
        return self.ids.rows(ids)

    def rows(self, ids: np.ndarray, what: str) -> np.ndarray:
        """The row of each id, int64[r]. Raises ValueError that names the first id that is unknown."""
        rows = self.find(ids)
        unknown = rows < 0
        if unknown.any():
            raise ValueError(f"{what} expected ids that the index holds, {ids[unknown][0]} is unknown")
        return rows

    # ---- change

    def append(self, call: str, r: int, ids: Any, parts: Iterable[Part], num_threads: int | None) -> None:
        """Appends r rows; without ids, numbered on from the highest id ever used plus 1."""
        with self.lock.changing:
            self.check_writable(call)
            new = self._new_ids(call, r, ids)
            self._write(r, parts, lambda: self._append_rows(r, new), num_threads)

    def upsert(self, call: str, r: int, ids: np.ndarray, parts: Iterable[Part], num_threads: int | None) -> None:
        """Gives r different ids new codes: in their rows where they are known, in new rows where not."""
        with self.lock.changing:
            self.check_writable(call)
            self._check_different(call, ids)
            self._check_number(call, r, ids)
            self._check_limit(call, int(ids.max(initial=-1)))

            room = self._room
            self._write(r, parts, lambda: self._upsert_rows(ids), num_threads)
            spare = max(room, count(len(self)) + count(len(self)) // 8)
            if self._room > spare:  # where ids were known, their new codes need no room any more
                with suppress(MemoryError):
                    self._resize(spare)

    def remove(self, call: str, ids: np.ndarray) -> None:
        """Removes ids; the last rows fill the places. O(1) amortised per id."""
        with self.lock.changing:
            self.check_writable(call)
            with self.lock.exclusive:
                removed = self._remove_rows(ids)
            if not removed:  # which of them it is takes longer to say
                self.rows(ids, f"{call}: ids")
                self._check_different(call, ids)
            room = count(len(self))
            if self._room > 4 * room + 4:  # gives memory back where most of it is free
                with suppress(MemoryError):  # what is removed is removed
                    self._resize(2 * room)

    def merge(self, other: Contents, renumber: bool, num_threads: int | None) -> None:
        """Appends the rows of other contents with columns of the same codecs, under their ids or numbered on."""
        first, second = sorted((self.lock, other.lock), key=id)  # in one order, or two merges could wait for each other
        with first.changing, second.changing:  # other contents cannot change now, and so are read without `shared`
            self.check_writable("merge")
            n = len(other)
            new = self._new_ids("merge", n, None if renumber else other.all_ids())
            pieces = ((start, np.arange(start, min(start + MERGED, n))) for start in range(0, n, MERGED))
            columns = other.columns[: len(self.columns)]
            parts = ((start, [column.rows(n, rows, num_threads) for column in columns]) for start, rows in pieces)
            self._write(n, parts, lambda: self._append_rows(n, new), num_threads)

    def copy_to(self, other: Contents, call: str, code_size: int, num_threads: int | None) -> None:
        """Appends the first bytes of every code to empty contents of as many columns or fewer, under the same ids.

        In `lock.shared`; code_size: of the first column, the others are copied whole.
        """
        n, ids, columns = len(self), self.ids.ids, self.columns[1 : len(other.columns)]
        pieces = (np.arange(start, min(start + MERGED, n)) for start in range(0, n, MERGED))
        codes = ((rows, self.columns[0].rows(n, rows, num_threads)) for rows in pieces)
        parts = (
            (rows[0], [np.ascontiguousarray(some[:, :code_size]), *(column.rows(n, rows, num_threads) for column in columns)])
            for rows, some in codes
        )
        other.append(call, n, None if ids is None else np.array(ids), parts, num_threads)

    def check_writable(self, call: str) -> None:
        if self.source is not None:
            raise ValueError(f"{call}: the index is mapped from {self.source} and read-only: load it without mmap=True")

    def _write(self, r: int, parts: Iterable[Part], change: Callable[[], None], num_threads: int | None) -> None:
        """Writes r codes behind the last row and calls `change`, the one step that makes rows of them; in `changing`."""
        n, room = len(self), self._room
        try:
            if room < count(n + r):
                self._resize(max(count(n + r), room + room // 8))  # an eighth more: adding is O(1) amortised
            for start, codes in parts:
                with self.lock.exclusive:  # the last block holds both rows that searches read and the new ones
                    for column, own in zip(self.columns, codes, strict=True):
                        column.put(n + start, own, num_threads)
            with self.lock.exclusive:
                change()
        except BaseException:
            room = max(room, count(len(self)))  # the new rows may be there: Ctrl-C also comes right behind the last step
            if any(column.room > room for column in self.columns):
                self._resize(room)
            raise

    def _resize(self, blocks: int) -> None:
        with self.lock.exclusive:
            self._room = min(self._room, blocks)  # so much there is, whatever comes in between
            for column in self.columns:
                column.resize(blocks)
            self._room = blocks

    # ---- the one step that ends a change

    def _append_rows(self, r: int, ids: np.ndarray | None) -> None:
        self.ids.append(r, ids)

    def _upsert_rows(self, ids: np.ndarray) -> None:
        self.ids.upsert(ids, self._layouts)

    def _remove_rows(self, ids: np.ndarray) -> bool:
        return self.ids.remove(ids, self._layouts)

    # ---- ids of rows to come

    def _new_ids(self, call: str, r: int, ids: Any) -> np.ndarray | None:
        """The checked ids of r rows to come; None numbers on."""
        if ids is None:
            if self.ids.next_id + r - 1 > LARGEST:
                raise ValueError(f"{call}: no default ids are left behind {self.ids.next_id - 1}: give ids")
            self._check_limit(call, self.ids.next_id + r - 1 if r else -1)
            return None
        new = as_ids(ids, f"{call}: ids")
        self._check_number(call, r, new)
        known = self.ids.clash(new)
        if known >= 0:
            raise ValueError(f"{call}: ids expected new and different ids, {new[known]} is there already")
        self._check_limit(call, int(new.max(initial=-1)))
        return new

    def _check_number(self, call: str, r: int, ids: np.ndarray) -> None:
        if len(ids) != r:
            raise ValueError(f"{call}: {self.word}s expected one {self.word} for each of {r} vectors, got {len(ids)}")

    def _check_different(self, call: str, ids: np.ndarray) -> None:
        repeated = first_repeated(ids)
        if repeated is not None:
            raise ValueError(f"{call}: ids expected different ids, {repeated} is there twice")

    def _check_limit(self, call: str, largest: int) -> None:
        if self.limit is not None and largest >= self.limit:
            raise ValueError(f"{call}: ids expected rows of the store, 0 to {self.limit - 1}, got {largest}")
