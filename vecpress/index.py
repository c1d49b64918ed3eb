"""The index: codes in block layout with their ids; add, search, remove, from several threads at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from . import native
from .arrays import Rows, is_torch, like
from .codec import Codec, check_int
from .dispatch import check_threads, empty
from .errors import CorruptFileError
from .idmap import LARGEST, as_ids, first_repeated
from .ops.blocks import BLOCK, Blocks, count
from .rwlock import ReadWriteLock

QUERIES = 64  # scanned together: their tables stay small beside the codes, and a pass over those serves all
MOVES = 1 << 16  # codes moved at a time when a removal fills its holes


class Index:
    """Codes of many vectors, searched where they lie.

        index = vp.Index(vp.PQ(m=48).fit(x))
        index.add(x)
        scores, ids = index.search(q, k=10)

    codec : a fitted codec; the index keeps it as it is now, a later `fit` does not reach it

    Ids are int64, 0 or more. Without explicit ids, vectors are numbered on from the highest id ever used plus
    1, and as long as nothing is removed and no explicit id is given, ids take no memory. Any number of
    threads may search while one adds or removes; a search sees the index before or after a change, never
    within. A call that raises leaves the index as it was.

    Raises TypeError if `codec` is no codec, NotFittedError if it is not fitted.
    """

    def __init__(self, codec: Codec):
        if not isinstance(codec, Codec):
            raise TypeError(f"Index: codec expected a Codec, got {type(codec).__name__}")
        codec.dim  # noqa: B018  raises NotFittedError
        self._codec = copy.copy(codec)
        nothing = np.zeros((0, codec.code_size * BLOCK), np.uint8)
        self._blocks = Blocks(nothing, 0, codec.code_size, codec.head, codec.group)
        # int64[rows there is room for]; None: the id is the row
        self._ids: np.ndarray | None = None
        # from id to row, built when first needed; ids of an unfinished add have rows from len(self) on
        self._map: Any = None
        # the highest id ever used + 1
        self._next_id = 0
        # the file that the arrays are mapped from; such an index is read-only
        self._source: str | None = None
        self._lock = ReadWriteLock()

    @classmethod
    def _restore(cls, codec: Codec, data: np.ndarray, n: int, ids: np.ndarray | None, next_id: int, source: str | None) -> Self:
        """An index of arrays that the caller has checked and gives away; `source`: the file they lie in."""
        index = cls(codec)
        index._blocks.data, index._blocks.n = data, n
        index._ids, index._next_id, index._source = ids, next_id, source
        return index

    # ---- what it holds

    @property
    def codec(self) -> Codec:
        """The codec of the codes."""
        return self._codec

    @property
    def ids(self) -> np.ndarray:
        """int64[n]: the ids in row order, a copy. A removal moves the last rows into the free places."""
        with self._lock.shared:
            n = self._blocks.n
            return np.arange(n, dtype=np.int64) if self._ids is None else np.array(self._ids[:n])

    @property
    def nbytes(self) -> int:
        """Bytes held for the vectors: codes, ids, id map, room for rows to come; without the codec."""
        with self._lock.shared:
            held = self._blocks.data.nbytes
            held += 0 if self._ids is None else self._ids.nbytes
            return held + (0 if self._map is None else self._map.nbytes)

    def __len__(self) -> int:
        return self._blocks.n

    def __repr__(self) -> str:
        return f"<Index of {len(self)} vectors, {self._codec!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("an Index cannot be copied or pickled: use save(path) and vecpress.load(path)")

    def codes(self, ids: Any) -> np.ndarray:
        """The canonical codes uint8[r, code_size] of `ids`: one id or a vector, any order, repeats allowed.

        Raises ValueError that names the first id that is unknown.
        """
        wanted = as_ids(ids, "codes: ids")
        with self._lock.shared:
            return self._blocks.rows(self._rows(wanted, "codes: ids"))

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
        k : at least 1; more than there are vectors is fine
        allow : the vectors to consider: ids (repeats are fine, none at all gives no results), or a bool mask
            in `index.ids` order
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
        k = check_int("search", "k", k, 1)
        check_threads(num_threads)
        codec = self._codec
        if symmetric:
            rows, make_query = codec._rows(q, "search: q", codec.dim), codec._symmetric_query
        else:
            rows, make_query = Rows(q, "search: q", codec.dim, unit=codec.metric == "cos"), codec._query
        scores, found = empty((rows.n, k), np.float32), empty((rows.n, k), np.int64)
        with self._lock.shared:
            n = self._blocks.n
            ids = None if self._ids is None else self._ids[:n]
            bitmap = None if allow is None else self._bitmap(allow)
            for start, block in rows.blocks(QUERIES):
                part = slice(start, start + len(block))
                # no name keeps the query's tables alive while the next ones are made
                result = make_query(block, num_threads).search(self._blocks, k, ids, bitmap, num_threads)
                scores[part], found[part] = result
        if codec.metric == "l2":
            np.subtract(np.float32(0), scores, out=scores)  # not a change of sign: a distance of zero is +0
        return like(q, scores, found)

    def _bitmap(self, allow: Any) -> np.ndarray:
        """uint64[ceil(n / 64)]: bit r of word b allows row 64 b + r."""
        n = self._blocks.n
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

        x : [n, d], the kinds of values that `Codec.encode` takes; read and encoded in blocks, so a
            memory-mapped file stays one
        ids : int64[n], all new and different; None numbers on from the highest id ever used plus 1

        Searches go on meanwhile and see the new vectors when all are there. Raises TypeError or ValueError
        for bad input (naming the first bad row or id) and for an index that is mapped from a file, and then
        adds nothing.
        """
        rows = self._codec._rows(x, "add: x", self._codec.dim)
        check_threads(num_threads)
        encode = self._codec._encode  # what Codec.encode calls; the rows are checked under this method's name
        parts = ((start, encode(block, num_threads)) for start, block in rows.blocks())
        self._append("add", rows.n, ids, parts)

    def add_codes(self, codes: Any, ids: Any = None) -> None:
        """Appends canonical codes uint8[n, code_size] of the index's codec. Ids and errors as in `add`."""
        codes = self._codec.check_codes(codes, "add_codes: codes")
        self._append("add_codes", len(codes), ids, [(0, codes)])

    def remove(self, ids: Any) -> None:
        """Removes vectors: one id or a vector of them. The last rows fill the places; O(1) amortised per id.

        Raises ValueError that names the first id that is unknown or repeated, and for an index that is mapped
        from a file; then removes nothing.
        """
        gone = as_ids(ids, "remove: ids")
        with self._lock.changing:
            self._check_writable("remove")
            rows = self._rows(gone, "remove: ids")
            repeated = first_repeated(gone)
            if repeated is not None:
                raise ValueError(f"remove: ids expected different ids, {repeated} is there twice")
            if len(gone):
                with self._lock.exclusive:
                    self._make_explicit()
                    self._remove_rows(gone, np.sort(rows))

    def save(self, path: Any) -> None:
        """Writes a .vpz file (vecpress/io.py): complete or not at all."""
        from . import io

        io.save_index(self, path)

    def _append(self, call: str, r: int, ids: Any, parts: Iterable[tuple[int, np.ndarray]]) -> None:
        """Appends r codes that come as (place of the first, uint8[_, code_size]).

        len(self) moves last: until then nothing has happened that a search or a file can see.
        """
        with self._lock.changing:
            self._check_writable(call)
            new = self._new_ids(call, r, ids)
            n = self._blocks.n
            with self._lock.exclusive:
                self._claim(call, n, r, new)
            try:
                for start, codes in parts:
                    with self._lock.exclusive:
                        self._blocks.put(n + start, codes)
            except BaseException:
                if new is not None:
                    with self._lock.exclusive:
                        self._map.erase(new)
                raise
            with self._lock.exclusive:
                if new is None:
                    self._next_id += r
                elif r:
                    self._next_id = max(self._next_id, int(new.max()) + 1)
                self._blocks.n = n + r

    def _new_ids(self, call: str, r: int, ids: Any) -> np.ndarray | None:
        """The ids of r rows to come, checked but for duplicates; None where the id is the row."""
        if ids is not None:
            new = as_ids(ids, f"{call}: ids")
            if len(new) != r:
                raise ValueError(f"{call}: ids expected one id for each of {r} vectors, got {len(new)}")
            return new
        if self._next_id + r - 1 > LARGEST:
            raise ValueError(f"{call}: no default ids are left behind {self._next_id - 1}: give ids")
        return None if self._ids is None else np.arange(r, dtype=np.int64) + min(self._next_id, LARGEST)

    def _claim(self, call: str, n: int, r: int, new: np.ndarray | None) -> None:
        """Makes room for r rows behind n, and takes their ids."""
        self._reserve(n + r)
        if new is None:
            return
        self._make_explicit()
        ids: np.ndarray = self._ids  # type: ignore[assignment]
        if len(ids) < n + r:
            ids.resize(_room(len(ids), n + r), refcheck=False)
        known = self._id_map().insert(new, n)
        if known >= 0:
            raise ValueError(f"{call}: ids expected new and different ids, {new[known]} is there already")
        ids[n : n + r] = new

    def _reserve(self, rows: int) -> None:
        data = self._blocks.data
        if len(data) < count(rows):
            # in place where the system can: codes are not held twice; in `exclusive` nobody has a view
            data.resize((_room(len(data), count(rows)), data.shape[1]), refcheck=False)

    def _make_explicit(self) -> None:
        """From "the id is the row" to an array of ids."""
        if self._ids is None:
            self._ids = np.arange(self._blocks.n, dtype=np.int64)

    def _remove_rows(self, gone: np.ndarray, rows: np.ndarray) -> None:
        """Takes `rows` (int64[r], ascending, of the ids `gone`) out; the last rows fill their places."""
        id_map = self._id_map()
        ids: np.ndarray = self._ids  # type: ignore[assignment]
        blocks = self._blocks
        left = blocks.n - len(rows)
        split = np.searchsorted(rows, left)
        holes = rows[:split]
        stays = np.ones(len(rows), bool)  # of the rows from `left` on
        stays[rows[split:] - left] = False
        movers = left + np.flatnonzero(stays)
        for start in range(0, len(holes), MOVES):
            to = holes[start : start + MOVES]
            codes = blocks.rows(movers[start : start + MOVES])
            ends = [*(np.flatnonzero(np.diff(to) != 1) + 1).tolist(), len(to)]
            begin = 0  # runs of neighbouring holes are written at once
            for end in ends:
                blocks.put(int(to[begin]), codes[begin:end])
                begin = end
        moved = ids[movers]
        ids[holes] = moved
        id_map.set_rows(moved, holes)
        id_map.erase(gone)
        blocks.n = left
        if len(blocks.data) > 4 * count(left) + 4:  # gives memory back where most of it is free
            blocks.data.resize((2 * count(left), blocks.data.shape[1]), refcheck=False)
            ids.resize(2 * count(left) * BLOCK, refcheck=False)

    # ---- ids

    def _rows(self, ids: np.ndarray, what: str) -> np.ndarray:
        """The row of each id, int64[r]. Raises ValueError that names the first id that is unknown."""
        n = self._blocks.n
        rows = ids if self._ids is None else self._id_map().rows(ids)
        unknown = (rows < 0) | (rows >= n)
        if unknown.any():
            raise ValueError(f"{what} expected ids that the index holds, {ids[unknown][0]} is unknown")
        return rows

    def _id_map(self) -> Any:
        """The map from ids to rows, built at the first call; two threads in `shared` may both do it."""
        if self._map is None:
            built = native.id_map()
            ids = np.ascontiguousarray(self._ids[: self._blocks.n])  # type: ignore[index]
            repeated = built.insert(ids, 0)
            if repeated >= 0:  # only a mapped file can bring that: its ids are not read before
                raise CorruptFileError(f"{self._source}: array 'ids' has {ids[repeated]} twice")
            self._map = built
        return self._map

    def _check_writable(self, call: str) -> None:
        if self._source is not None:
            raise ValueError(f"{call}: the index is mapped from {self._source} and read-only: load it without mmap=True")


def _room(have: int, need: int) -> int:
    """What to allocate where `need` is more than `have`: an eighth more, so that adding is O(1) amortised."""
    return max(need, have + have // 8)
