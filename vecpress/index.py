"""The index: codes in block layout with their ids; add, search, remove, from several threads at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

import numpy as np

from . import native
from .arrays import is_torch, like
from .checks import check_int
from .codec import Codec
from .dispatch import check_threads, empty
from .errors import CorruptFileError
from .ids import LARGEST, as_ids, first_repeated
from .ops.blocks import BLOCK, Blocks, count
from .ops.scan import MAX_K
from .rwlock import ReadWriteLock

QUERIES = 64  # scanned together: their tables stay small beside the codes, and a pass over those serves all


class Index:
    """Codes of many vectors, searched where they lie.

        index = vp.Index(vp.PQ(m=48).fit(x))
        index.add(x)
        scores, ids = index.search(q, k=10)

    codec : a fitted codec; the index keeps it as it is now, a later `fit` does not reach it

    Ids are int64, 0 or more. Without explicit ids, vectors are numbered on from the highest id ever used plus
    1, and as long as nothing is removed and no explicit id is given, ids take no memory. Any number of
    threads may search while one adds or removes; a search sees the index before or after a change, never
    within. A call that raises leaves the index as it was. Only what a signal handler raises (Ctrl-C) may also come
    when the change is complete, never when it is half done.

    Raises TypeError if `codec` is no codec, NotFittedError if it is not fitted.
    """

    def __init__(self, codec: Codec):
        if not isinstance(codec, Codec):
            raise TypeError(f"Index: codec expected a Codec, got {type(codec).__name__}")
        codec.check_fitted()
        self._codec = copy.copy(codec)
        nothing = np.zeros((0, codec.code_size * BLOCK), np.uint8)
        self._hold(nothing, native.id_table(), None)

    @classmethod
    def _restore(cls, codec: Codec, data: np.ndarray, n: int, ids: np.ndarray | None, next_id: int, source: str | None) -> Self:
        """An index of arrays that the caller has checked and gives away; `source`: the file they lie in."""
        index = cls(codec)
        index._hold(data, native.id_table(n, ids, next_id), source)
        return index

    def _hold(self, data: np.ndarray, ids: Any, source: str | None) -> None:
        # the codes in block layout, and room for more behind the last row
        self._data = data
        # the ids, and with them how many rows there are: one step of this table ends every change (csrc/core/id_table.cpp)
        self._ids = ids
        # the file that the arrays are mapped from; such an index is read-only
        self._source = source
        self._lock = ReadWriteLock()

    # ---- what it holds

    @property
    def codec(self) -> Codec:
        """The codec of the codes, a copy: fitting it again does not reach the index."""
        return copy.copy(self._codec)

    @property
    def ids(self) -> np.ndarray:
        """int64[n]: the ids in row order, a copy. A removal moves the last rows into the free places."""
        with self._lock.shared:
            ids = self._ids.ids
            return np.arange(len(self), dtype=np.int64) if ids is None else np.array(ids)

    @property
    def nbytes(self) -> int:
        """Bytes held for the vectors: codes, ids, room for rows to come, and the map from ids to rows, which is built when
        first needed; without the codec."""
        with self._lock.shared:
            return self._data.nbytes + self._ids.nbytes

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"<Index of {len(self)} vectors, {self._codec!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("an Index cannot be copied or pickled: use save(path) and vecpress.load(path)")

    def codes(self, ids: Any, *, num_threads: int | None = None) -> np.ndarray:
        """The canonical codes uint8[r, code_size] of `ids`: one id or a vector, any order, repeats allowed.

        Raises ValueError that names the first id that is unknown; num_threads as in `search`.
        """
        check_threads(num_threads)
        wanted = as_ids(ids, "codes: ids")
        with self._lock.shared:
            return self._blocks().rows(self._rows(wanted, "codes: ids"), num_threads=num_threads)

    # ---- search

    def search(
        self,
        q: Any,
        k: int = 10,
        *,
        allow: Any = None,
        symmetric: bool = False,
        num_threads: int | None = None,
    ) -> tuple[Any, Any]:
        """The k best vectors for each query, by an exhaustive scan of the codes.

        Parameters
        ----------
        q : [nq, d], or one query [d], which gives results of one row; the kinds of values that `Codec.encode`
            takes
        k : 1 to 2**31 - 1; more than there are vectors is fine
        allow : the vectors to consider: ids (repeats are fine, none at all gives no results), or a mask in
            `index.ids` order, which is what a bool array is taken for
        symmetric : code the queries too (SDC)
        num_threads : None for VECPRESS_NUM_THREADS, or else the processors this process may use

        Returns
        -------
        scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id. Scores are inner products
            or cosines (larger is better) or squared distances (smaller is better). Where fewer than k vectors
            are allowed, the rest of a row is id -1 and score nan. Torch tensors on q's device where q is one.

        Raises TypeError or ValueError for bad input: a wrong width, NaN (naming the row), k < 1, an unknown
        id in `allow` (naming it), a mask of another length.
        """
        k = check_int("search", "k", k, 1, MAX_K)
        check_threads(num_threads)
        codec = self._codec
        if symmetric:
            rows, make_query = codec._rows(q, "search: q", codec.dim, num_threads), codec._symmetric_query
        else:
            rows, make_query = codec._query_rows(q, "search: q", codec.dim, num_threads), codec._query
        scores, found = empty((rows.n, k), np.float32), empty((rows.n, k), np.int64)
        with self._lock.shared:
            blocks, ids = self._blocks(), self._ids.ids
            there = min(k, max(1, blocks.n))
            if there < k:
                scores[:, there:], found[:, there:] = np.nan, -1
            bitmap = None if allow is None else self._bitmap(allow)
            for start, block in rows.blocks(QUERIES):
                part = slice(start, start + len(block))
                # no name keeps the query's tables alive while the next ones are made
                result = make_query(block, num_threads).search(blocks, there, ids, bitmap, num_threads)
                scores[part, :there], found[part, :there] = result
        if codec.metric == "l2":
            np.subtract(np.float32(0), scores, out=scores)  # not a change of sign: a distance of zero is +0
        return like(q, scores, found)

    def _bitmap(self, allow: Any) -> np.ndarray:
        """uint64[ceil(n / 64)]: bit r of word b allows row 64 b + r."""
        n = len(self)
        mask = allow.detach().cpu().numpy() if is_torch(allow) else allow
        if not isinstance(mask, np.ndarray):
            mask = np.asarray(mask)
        if mask.dtype == np.bool_:
            if mask.shape != (n,):
                raise ValueError(f"search: allow expected a mask of shape ({n},), got {mask.shape}")
            packed = np.zeros(count(n) * 8, np.uint8)
            packed[: -(-n // 8)] = np.packbits(mask, bitorder="little")
            return packed.view("<u8").astype(np.uint64, copy=False)
        rows = self._rows(as_ids(mask, "search: allow"), "search: allow")
        words = np.zeros(count(n), np.uint64)
        np.bitwise_or.at(words, rows // BLOCK, np.uint64(1) << (rows % BLOCK).astype(np.uint64))
        return words

    # ---- change

    def add(self, x: Any, ids: Any = None, *, num_threads: int | None = None) -> None:
        """Encodes vectors and appends their codes.

        x : [n, d], the kinds of values that `Codec.encode` takes, a path or an iterator of blocks among them; read and
            encoded in blocks, so a memory-mapped file stays one
        ids : int64[n], all new and different; None numbers on from the highest id ever used plus 1

        Searches go on meanwhile and see the new vectors when all are there. Raises TypeError or ValueError
        for bad input (naming the first bad row or id) and for an index that is mapped from a file, and then
        adds nothing.
        """
        check_threads(num_threads)
        rows = self._codec._source(x, "add: x", self._codec.dim, num_threads)
        encode = self._codec._encode  # what Codec.encode calls; the rows are checked under this method's name
        parts: Iterable[tuple[int, np.ndarray]] = ((start, encode(block, num_threads)) for start, block in rows.blocks())
        n = rows.n
        if n is None:  # an iterator tells at its end
            parts = list(parts)
            n = sum(len(codes) for _, codes in parts)
        self._append("add", n, ids, parts, num_threads)

    def add_codes(self, codes: Any, ids: Any = None, *, num_threads: int | None = None) -> None:
        """Appends canonical codes uint8[n, code_size] of the index's codec. The rest as in `add`."""
        check_threads(num_threads)
        codes = self._codec.check_codes(codes, "add_codes: codes")
        self._append("add_codes", len(codes), ids, [(0, codes)], num_threads)

    def remove(self, ids: Any) -> None:
        """Removes vectors: one id or a vector of them. The last rows fill the places; O(1) amortised per id.

        Raises ValueError that names the first id that is unknown or repeated, and for an index that is mapped
        from a file; then removes nothing.
        """
        gone = as_ids(ids, "remove: ids")
        with self._lock.changing:
            self._check_writable("remove")
            rows = np.sort(self._rows(gone, "remove: ids"))
            repeated = first_repeated(gone)
            if repeated is not None:
                raise ValueError(f"remove: ids expected different ids, {repeated} is there twice")
            codec = self._codec
            with self._lock.exclusive:
                self._ids.remove(rows, self._data, codec.code_size, codec.head, codec.group)
                room = count(len(self))
                if len(self._data) > 4 * room + 4:  # gives memory back where most of it is free
                    with suppress(MemoryError):  # what is removed is removed
                        self._resize(2 * room)

    def save(self, path: Any) -> None:
        """Writes a .vpz file (vecpress/io.py): complete or not at all."""
        from . import io

        io.save_index(self, path)

    def _append(
        self, call: str, r: int, ids: Any, parts: Iterable[tuple[int, np.ndarray]], num_threads: int | None = None
    ) -> None:
        """Appends r codes that come as (place of the first, uint8[_, code_size]).

        They are written behind the last row, where neither a search nor a file sees them, and become rows all at once.
        """
        with self._lock.changing:
            self._check_writable(call)
            new = self._new_ids(call, r, ids)
            n, room = len(self), len(self._data)
            try:
                if room < count(n + r):
                    with self._lock.exclusive:
                        self._resize(max(count(n + r), room + room // 8))  # an eighth more: adding is O(1) amortised
                for start, codes in parts:
                    with self._lock.exclusive:  # the last block holds both rows that searches read and the new ones
                        self._blocks().put(n + start, codes, num_threads=num_threads)
                with self._lock.exclusive:
                    self._ids.append(r, new)
            except BaseException:
                room = max(room, count(len(self)))  # the new rows may be there: Ctrl-C also comes right behind the last step
                if room < len(self._data):
                    with self._lock.exclusive:
                        self._resize(room)
                raise

    def _new_ids(self, call: str, r: int, ids: Any) -> np.ndarray | None:
        """The checked ids of r rows to come; None numbers on."""
        if ids is None:
            if self._ids.next_id + r - 1 > LARGEST:
                raise ValueError(f"{call}: no default ids are left behind {self._ids.next_id - 1}: give ids")
            return None
        new = as_ids(ids, f"{call}: ids")
        if len(new) != r:
            raise ValueError(f"{call}: ids expected one id for each of {r} vectors, got {len(new)}")
        known = self._ids.clash(new)
        if known >= 0:
            raise ValueError(f"{call}: ids expected new and different ids, {new[known]} is there already")
        return new

    def _resize(self, blocks: int) -> None:
        """Room for so many blocks, in place where the system can; in `exclusive`, for nobody may have a view."""
        self._data.resize((blocks, self._data.shape[1]), refcheck=False)

    def _blocks(self) -> Blocks:
        """The codes as they are now."""
        codec = self._codec
        return Blocks(self._data, len(self), codec.code_size, codec.head, codec.group)

    # ---- ids

    def _rows(self, ids: np.ndarray, what: str) -> np.ndarray:
        """The row of each id, int64[r]. Raises ValueError that names the first id that is unknown."""
        repeated = self._ids.map_rows()
        if repeated is not None:  # only a mapped file can bring that: its ids are not read before
            raise CorruptFileError(f"{self._source}: array 'ids' has {repeated} twice")
        rows = self._ids.rows(ids)
        unknown = rows < 0
        if unknown.any():
            raise ValueError(f"{what} expected ids that the index holds, {ids[unknown][0]} is unknown")
        return rows

    def _check_writable(self, call: str) -> None:
        if self._source is not None:
            raise ValueError(f"{call}: the index is mapped from {self._source} and read-only: load it without mmap=True")
