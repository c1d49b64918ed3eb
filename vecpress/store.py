"""What an index reranks by: a finer codec's codes beside its own, its own whole codes, or the vectors in an array elsewhere."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import vectorfiles
from .arrays import Rows
from .codec import Codec
from .codecs.raw import Raw
from .container import DTYPES
from .contents import Contents, RowColumn
from .dispatch import empty
from .ops.blocks import Blocks

GATHERED = 16 << 20  # bytes of codes or vectors that are looked up at a time
FEW = 1 << 20  # bytes of one query's candidates below which a second thread costs more than it helps


class CodecStore:
    """Codes of a finer codec: a column of the index's contents, in step with the other."""

    limit = None

    def __init__(self, column: RowColumn):
        self.column, self.codec = column, column.codec

    @property
    def nbytes(self) -> int:
        """Bytes held, room for rows to come included."""
        return self.column.data.nbytes

    def codes(self, ids: np.ndarray, contents: Contents, call: str) -> np.ndarray:
        """uint8[r, code_size]: what `codec` wrote for `ids`."""
        return self.column.rows(len(contents), contents.rows(ids, f"{call}: ids"), None)

    def vectors(self, ids: np.ndarray, contents: Contents) -> np.ndarray:
        """float32[r, d], decoded."""
        return self.codec._decode(self.codes(ids, contents, "vectors"))


class VectorStore:
    """The vectors in an array or a .npy file; the id of a vector is its row.

    Nothing is copied: of a memory map only the rows that are asked for are read. Without an array (an index that was loaded
    without its vectors) it knows what they are, and says so when they are needed.
    """

    def __init__(self, codec: Codec, array: np.ndarray | None, path: str | None, shape: tuple[int, int], dtype: str):
        self.array, self.path, self.shape, self.dtype = array, path, shape, dtype
        self.codec: Codec = Raw.restore({"metric": codec.metric}, shape[1], {})  # which scores vectors as they are
        self.limit = shape[0]

    def __repr__(self) -> str:
        return f"{self.dtype} {self.shape[0]} x {self.shape[1]} in {'memory' if self.path is None else self.path}"

    @property
    def nbytes(self) -> int:
        """Bytes of the array, in memory or in its file."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    def rows(self, codec: Codec, call: str) -> Rows:
        """The vectors as `codec` takes them."""
        return codec._rows(self._present(call), f"{call}: store", self.shape[1])

    def blocks(self, ids: np.ndarray, codec: Codec, call: str) -> Iterator[tuple[int, np.ndarray]]:
        """(place of the first, float32[r, d]): the vectors of `ids`, for `codec` to encode."""
        rows, step = self.rows(codec, call), max(1, GATHERED // (4 * self.shape[1]))
        return ((start, rows.take(ids[start : start + step])) for start in range(0, len(ids), step))

    def codes(self, ids: np.ndarray, contents: Contents, call: str) -> np.ndarray:
        """uint8[r, 4 d]: the vectors of `ids` as `codec` takes them."""
        return self.codec._encode(self.rows(self.codec, call).take(self._inside(ids, call)), None)

    def vectors(self, ids: np.ndarray, contents: Contents) -> np.ndarray:
        """float32[r, d], as they are."""
        contents.rows(ids, "vectors: ids")
        return Rows(self._present("vectors"), "vectors: store").take(self._inside(ids, "vectors"))

    def _present(self, call: str) -> np.ndarray:
        if self.array is None:
            why = "which the index was loaded without: load(path, store=...)"
            raise ValueError(f"{call}: store expected its vectors ({self}), {why}")
        return self.array

    def _inside(self, ids: np.ndarray, call: str) -> np.ndarray:
        if ids.size and int(ids.max()) >= self.limit:  # ids of a mapped file are not looked at before
            raise ValueError(f"{call}: ids expected rows of the store, 0 to {self.limit - 1}, got {ids.max()}")
        return ids


class OwnCodes:
    """The index's own codes, whole: a search has read the first layer of them, or compared them with coded queries.

    The second is how Hamming shortlists are served: Yamada, Asai, Hajishirzi, "Efficient passage retrieval with hashing for
    open-domain question answering", ACL 2021, section 3; sentence-transformers calls it rescoring.
    """

    def __init__(self, codec: Codec, num_threads: int | None):
        self.codec, self.num_threads = codec, num_threads

    def codes(self, ids: np.ndarray, contents: Contents, call: str) -> np.ndarray:
        """uint8[r, code_size] of `ids`."""
        return contents.columns[0].rows(len(contents), contents.rows(ids, f"{call}: ids"), self.num_threads)


Store = CodecStore | VectorStore


def open_store(store: Any, codec: Codec, where: str) -> Store:
    """A caller's store for an index of `codec`: a fitted codec, an array [n, d] of numbers, or the path of a .npy file.

    Raises TypeError or ValueError, NotFittedError, or OSError for a file that cannot be read.
    """
    if not isinstance(store, Codec):
        return open_vectors(store, codec, where)
    store.check_fitted()
    for name in ("dim", "metric"):
        wanted, got = getattr(codec, name), getattr(store, name)
        if got != wanted:
            raise ValueError(f"{where}: store expected a codec with {name} {wanted!r} as the index's, got {got!r}")
    return CodecStore(RowColumn.empty(copy.copy(store)))


def open_vectors(store: Any, codec: Codec, where: str) -> VectorStore:
    """The same of what is no codec."""
    path = None
    if isinstance(store, (str, bytes, os.PathLike)):
        path = os.fsdecode(store)
        if os.path.splitext(path)[1].lower() != ".npy":
            raise ValueError(f"{where}: store expected a .npy file, got {path!r}")
        store = vectorfiles.read(path)
    elif isinstance(store, np.memmap) and store.filename is not None:
        path = os.fsdecode(store.filename)
    if not isinstance(store, np.ndarray):
        kinds = "a fitted codec, an array or the path of a .npy file"
        raise TypeError(f"{where}: store expected {kinds}, got {type(store).__name__}")
    if store.ndim != 2:
        raise ValueError(f"{where}: store expected a matrix [n, d], got shape {store.shape}")
    codec._rows(store, f"{where}: store", codec.dim)  # its checks of the dtype and the columns
    if store.dtype.name not in DTYPES:
        raise TypeError(f"{where}: store expected one of the dtypes {', '.join(DTYPES)}, got {store.dtype}")
    return VectorStore(codec, store, path, (int(store.shape[0]), int(store.shape[1])), store.dtype.name)


def rerank(
    store: Store | OwnCodes, contents: Contents, q: np.ndarray, candidates: np.ndarray, k: int, num_threads: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of each query's candidates by the store's codec: similarities float32[nq, k], ids int64[nq, k].

    q : float32[nq, d], as the codec's `_query` takes them; candidates : int64[nq, c] ids, the rest of a row is -1

    A score is the one that the codec's scan of all its codes gives the row. What several queries want is read once, in ascending
    order, `GATHERED` bytes at a time. Cost: c codes read and scored a query.
    """
    scores, found = empty((len(q), k), np.float32), empty((len(q), k), np.int64)
    codec = store.codec
    query = codec._query(q, num_threads)
    nbytes = candidates.shape[1] * codec.code_size
    step, threads = max(1, GATHERED // max(1, nbytes)), 1 if nbytes < FEW else num_threads
    for start in range(0, len(q), step):
        some = candidates[start : start + step]
        there = some >= 0
        wanted, place = np.unique(some[there], return_inverse=True)
        codes = store.codes(wanted, contents, "search")
        begin = 0
        for i, (ids, own) in enumerate(zip(some, there, strict=True), start):
            ids = ids[own]
            blocks = Blocks.pack(codes[place[begin : begin + len(ids)]], codec.head, codec.group, num_threads=threads)
            best = query.part(slice(i, i + 1)).search(blocks, k, ids, None, threads)
            scores[i], found[i] = best[0][0], best[1][0]
            begin += len(ids)
    return scores, found
