"""The index: codes with their ids, and what they are reranked by; add, search, remove, from several threads at once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .arrays import Rows, like
from .checks import check_int
from .codec import Codec, Query
from .codecs.aligned import same_codes
from .contents import Column, RowColumn
from .devices import contents_of, empty_column
from .dispatch import check_threads
from .filters import batches
from .ids import as_ids
from .incoming import encoded
from .ops.scan import MAX_K
from .ranges import no_results, radius_bounds, within
from .store import CodecStore, OwnCodes, Store, VectorStore, open_store
from .store import rerank as rerank_by


class Index:
    """Codes of many vectors, searched where they lie.

        index = vp.Index(vp.PQ(m=48).fit(x))
        index.add(x)
        scores, ids = index.search(q, k=10)

        index = vp.Index(vp.Sign().fit(x), store=vp.Raw("float16").fit(x))
        index.add(x)
        scores, ids = index.search(q, k=10, rerank=100)

    codec : a fitted codec; the index keeps it as it is now, a later `fit` does not reach it
    store : what `search(rerank=...)` scores candidates by. A fitted codec of the same metric: its codes are kept beside those of
        `codec`. Or the vectors themselves, in an array [n, d], a memory map or a .npy file (its path): the id of a vector is then
        its row there, the array is neither copied nor saved, and only the rows of candidates are read
    device : where the codes are kept and scanned: "cpu", "cuda" or "cuda:N". Results are the same, bit for bit (docs/gpu.md)

    Ids are int64, 0 or more. Without explicit ids, vectors are numbered on from the highest id ever used plus 1, and as long as
    ids are the row numbers, they take no memory. Any number of threads may search while one adds or removes; a search sees the
    index before or after a change, never within. A call that raises leaves the index as it was. Only what a signal handler raises
    (Ctrl-C) may also come when the change is complete, never when it is half done.

    Raises TypeError if `codec` is no codec or `store` nothing of that kind, ValueError if they do not fit together,
    NotFittedError if a codec is not fitted, OSError if a file cannot be read, BackendError if the device cannot be used.
    """

    def __init__(self, codec: Codec, store: Any = None, *, device: str = "cpu"):
        if not isinstance(codec, Codec):
            raise TypeError(f"Index: codec expected a Codec, got {type(codec).__name__}")
        codec.check_fitted()
        kept = copy.copy(codec)
        column = empty_column(kept, device, "Index")
        self._hold(column, None if store is None else open_store(store, kept, "Index"))

    @classmethod
    def _restore(cls, codes: Column, store: Store | None, ids: Any, source: str | None) -> Self:
        """An index of arrays that the caller has checked and gives away; `source`: the file they lie in."""
        index = cls.__new__(cls)
        index._hold(codes, store, ids, source)
        return index

    def _hold(self, codes: Column, store: Store | None, ids: Any = None, source: str | None = None) -> None:
        self._codec, self._store = codes.codec, store
        layers = self._codec.layers  # of which the first is scanned where candidates are reranked by the whole codes
        self._first = self._codec.truncate(layers[0]) if len(layers) > 1 and store is None else None
        columns = [codes, store.column] if isinstance(store, CodecStore) else [codes]
        self._contents = contents_of(columns, ids, source, None if store is None else store.limit)

    # ---- what it holds

    @property
    def codec(self) -> Codec:
        """The codec of the codes, a copy: fitting it again does not reach the index."""
        return copy.copy(self._codec)

    @property
    def store(self) -> Codec | np.ndarray | None:
        """What candidates are reranked by: the finer codec, a copy, or the array; None where there is none or it is not there."""
        if isinstance(self._store, CodecStore):
            return copy.copy(self._store.codec)
        return None if self._store is None else self._store.array

    @property
    def ids(self) -> np.ndarray:
        """int64[n]: the ids in row order, a copy. A removal moves the last rows into the free places."""
        with self._contents.lock.shared:
            return self._contents.all_ids()

    @property
    def nbytes(self) -> int:
        """Bytes held for the vectors: codes, ids, room for rows to come, and the map from ids to rows, which is built when
        first needed; without the codec and the store."""
        with self._contents.lock.shared:
            return self._contents.columns[0].nbytes + self._contents.ids.nbytes

    @property
    def store_nbytes(self) -> int:
        """Bytes of what candidates are reranked by: the finer codes held, room for rows to come included, or the whole array of
        vectors, wherever it is; 0 without a store."""
        with self._contents.lock.shared:
            return 0 if self._store is None else self._store.nbytes

    @property
    def device(self) -> str:
        """Where the codes are: "cpu", "cuda:0", ..."""
        return self._contents.columns[0].device

    def __len__(self) -> int:
        return len(self._contents)

    def __repr__(self) -> str:
        beside = ""
        if isinstance(self._store, CodecStore):
            beside = f", store={self._store.codec!r}"
        elif self._store is not None:
            beside = f", store={self._store}"
        where = "" if self.device == "cpu" else f" on {self.device}"
        return f"<Index of {len(self)} vectors{where}, {self._codec!r}{beside}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"an {type(self).__name__} cannot be copied or pickled: use save(path) and vecpress.load(path)")

    def codes(self, ids: Any, *, store: bool = False, num_threads: int | None = None) -> np.ndarray:
        """The canonical codes uint8[r, code_size] of `ids`: one id or a vector, any order, repeats allowed.

        store : those of the finer codec

        Raises ValueError that names the first id that is unknown, or if there is no finer codec; num_threads as in `search`.
        """
        if store and not isinstance(self._store, CodecStore):
            raise ValueError("codes: store=True expected an index with a finer codec as its store")
        return self._codes("codes", ids, int(store), num_threads)

    def vectors(self, ids: Any, *, store: bool = False, num_threads: int | None = None) -> np.ndarray:
        """The vectors float32[r, d] that the codes of `ids` decode to; under "cos" of length about 1.

        store : those of the store instead, decoded, or as they are in the array

        Raises ValueError as `codes` does, or if there is no store or its vectors are not at hand.
        """
        if not store:
            return self._codec._decode(self._codes("vectors", ids, 0, num_threads))
        num_threads = check_threads(num_threads)
        beside, wanted = self._need_store("vectors", "store=True"), as_ids(ids, "vectors: ids")
        with self._contents.lock.shared:
            return beside.vectors(wanted, self._contents)

    def _codes(self, call: str, ids: Any, column: int, num_threads: int | None) -> np.ndarray:
        num_threads = check_threads(num_threads)
        wanted, contents = as_ids(ids, f"{call}: ids"), self._contents
        with contents.lock.shared:
            return contents.columns[column].rows(len(contents), contents.rows(wanted, f"{call}: ids"), num_threads)

    # ---- search

    def search(
        self,
        q: Any,
        k: int = 10,
        *,
        allow: Any = None,
        rerank: int | None = None,
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
            `index.ids` order, which is what a bool array is taken for. Or one of these for each query: a list or tuple of them,
            None among them for all vectors, or a matrix, a row a query. Queries with equal filters are scanned together
        rerank : candidates, at least k: so many are found by their codes, and the k best of them by the store are returned,
            with the store's scores. Without a store the k best by whole codes and float queries: of a progressive codec, whose
            first layer finds the candidates, or with symmetric=True, where coded queries do (for bits, a Hamming shortlist)
        symmetric : code the queries too (SDC); candidates are reranked by the float queries
        num_threads : None for VECPRESS_NUM_THREADS, or else the processors this process may use

        Returns
        -------
        scores float32[nq, k], ids int64[nq, k] : best first, ties to the lower id. Scores are inner products
            or cosines (larger is better) or squared distances (smaller is better). Where fewer than k vectors
            are allowed, the rest of a row is id -1 and score nan. Torch tensors on q's device where q is one.

        Raises TypeError or ValueError for bad input: a wrong width, NaN (naming the row), k < 1, an unknown
        id in `allow` (naming it), a mask of another length, `rerank` without a store, layers and symmetric=True.
        """
        k = check_int("search", "k", k, 1, MAX_K)
        store: Store | OwnCodes | None = None
        codec = self._codec
        num_threads = check_threads(num_threads)
        if rerank is not None:
            rerank = check_int("search", "rerank", rerank, k, MAX_K)
            if self._first is not None or (symmetric and self._store is None):
                store, codec = OwnCodes(codec, num_threads), self._first or codec
            else:
                store = self._need_store("search", f"rerank={rerank}")
        rows, make_query = self._queries("search", q, codec, symmetric, num_threads)
        results: tuple[np.ndarray, np.ndarray] | None = None
        contents = self._contents
        with contents.lock.shared:
            blocks, ids = contents.blocks().prefix(codec.code_size, codec.head), contents.ids.ids
            most = max(1, blocks.n)
            there, wide = min(k, most), min(rerank or k, most)
            for which, block, bitmap in batches("search", rows, allow, contents, blocks.elsewhere):
                # no name keeps the query's tables alive while the next ones are made
                best = make_query(block, num_threads).search(blocks, wide, ids, bitmap, num_threads)
                if store is not None:
                    best = rerank_by(store, contents, block, best[1], there, num_threads)
                if there == k and len(block) == rows.n and isinstance(which, slice):  # all queries in order: no copy
                    results = best
                    break
                results = results or no_results(rows.n, k)
                results[0][which, :there], results[1][which, :there] = best
        scores, found = results or no_results(rows.n, k)
        if self._codec.metric == "l2":
            np.subtract(np.float32(0), scores, out=scores)  # not a change of sign: a distance of zero is +0
        return like(q, scores, found)

    def search_radius(
        self, q: Any, radius: Any, *, allow: Any = None, symmetric: bool = False, num_threads: int | None = None
    ) -> tuple[Any, Any, Any]:
        """All vectors whose score is at least as good as `radius`, for each query.

        radius : the smallest inner product or cosine, or the largest squared distance; a number, or one for each query [nq]
        q, allow, symmetric, num_threads : as in `search`

        Returns
        -------
        offsets int64[nq + 1], scores float32[r], ids int64[r] : what query i found is scores[offsets[i] : offsets[i + 1]] and the
            same of ids, best first, ties to the lower id. Torch tensors on q's device where q is one.

        Raises TypeError or ValueError as `search` does, and for a radius that is no number.
        Cost and memory: vecpress/ranges.py.
        """
        num_threads = check_threads(num_threads)
        rows, make_query = self._queries("search_radius", q, self._codec, symmetric, num_threads)
        contents, l2 = self._contents, self._codec.metric == "l2"
        bounds = radius_bounds(radius, rows.n) * (-1 if l2 else 1)
        nothing = np.empty(0, np.float32), np.empty(0, np.int64)
        out = [nothing] * rows.n
        with contents.lock.shared:
            blocks, ids = contents.blocks(), contents.ids.ids
            for which, block, bitmap in batches("search_radius", rows, allow, contents, blocks.elsewhere):
                found = within(make_query(block, num_threads), blocks, bounds[which], ids, bitmap, num_threads)
                for i, one in zip(np.arange(rows.n)[which], found, strict=True):
                    out[i] = one
        offsets = np.cumsum([0, *(len(one[1]) for one in out)], dtype=np.int64)
        scores, numbers = (np.concatenate([nothing[i], *(one[i] for one in out)]) for i in (0, 1))
        if l2:
            np.subtract(np.float32(0), scores, out=scores)
        return like(q, offsets, scores, numbers)

    def _queries(
        self, call: str, q: Any, codec: Codec, symmetric: bool, num_threads: int | None
    ) -> tuple[Rows, Callable[[np.ndarray, int | None], Query]]:
        """The queries, and what makes scans of codec's codes of them."""
        if symmetric:
            return codec._rows(q, f"{call}: q", codec.dim, num_threads), codec._symmetric_query
        return codec._query_rows(q, f"{call}: q", codec.dim, num_threads), codec._query

    def _need_store(self, call: str, why: str) -> Store:
        if self._store is None:
            others = ", or of a progressive codec, or symmetric=True" if call == "search" else ""
            raise ValueError(f"{call}: {why} expected an index with a store, Index(codec, store=...){others}")
        return self._store

    # ---- change

    def add(self, x: Any = None, ids: Any = None, *, num_threads: int | None = None) -> None:
        """Encodes vectors and appends their codes.

        x : [n, d], the kinds of values that `Codec.encode` takes, a path or an iterator of blocks among them; read and
            encoded in blocks, so a memory-mapped file stays one. Where the store is the vectors themselves, None takes them
            from there
        ids : int64[n], all new and different; None numbers on from the highest id ever used plus 1 (and where x is None
            too, to the store's last row)

        Searches go on meanwhile and see the new vectors when all are there. Raises TypeError or ValueError
        for bad input (naming the first bad row or id) and for an index that is mapped from a file, and then
        adds nothing.
        """
        num_threads = check_threads(num_threads)
        n, numbers, parts = encoded("add", x, ids, self._codec, self._store, self._contents, num_threads)
        self._contents.append("add", n, numbers, parts, num_threads)

    def add_codes(self, codes: Any, ids: Any = None, *, store_codes: Any = None, num_threads: int | None = None) -> None:
        """Appends canonical codes uint8[n, code_size] of the index's codec. The rest as in `add`.

        store_codes : the codes of the same vectors by the finer codec, where the store is one
        """
        num_threads = check_threads(num_threads)
        both = [self._codec.check_codes(codes, "add_codes: codes")]
        if isinstance(self._store, CodecStore):
            if store_codes is None:
                raise ValueError(f"add_codes: store_codes expected codes of {self._store.codec!r}, the index's store, got None")
            both.append(self._store.codec.check_codes(store_codes, "add_codes: store_codes"))
            if len(both[0]) != len(both[1]):
                raise ValueError(f"add_codes: store_codes expected {len(both[0])} codes as in codes, got {len(both[1])}")
        elif store_codes is not None:
            raise ValueError("add_codes: store_codes expected None, for the store of the index is no codec")
        self._contents.append("add_codes", len(both[0]), ids, [(0, both)], num_threads)

    def upsert(self, x: Any = None, ids: Any = None, *, num_threads: int | None = None) -> None:
        """Encodes vectors, which take the place of those with the same ids where there are such, and are appended where not.

        x : as in `add`; None takes the vectors of `ids` from the store
        ids : int64[n], all different

        Searches go on meanwhile and see all of the change or nothing of it. Errors as in `add`. Memory: that of the new codes
        twice, until the call ends.
        """
        num_threads = check_threads(num_threads)
        numbers = as_ids(ids, "upsert: ids")
        n, _, parts = encoded("upsert", x, numbers, self._codec, self._store, self._contents, num_threads)
        self._contents.upsert("upsert", n, numbers, parts, num_threads)

    def remove(self, ids: Any) -> None:
        """Removes vectors: one id or a vector of them. The last rows fill the places; O(1) amortised per id.

        Raises ValueError that names the first id that is unknown or repeated, and for an index that is mapped
        from a file; then removes nothing.
        """
        self._contents.remove("remove", as_ids(ids, "remove: ids"))

    def merge(self, other: Index, *, renumber: bool = False, num_threads: int | None = None) -> None:
        """Appends the vectors of another index of an equal codec: their codes, without decoding. The other stays as it is.

        renumber : number them on, in the other's row order; else they keep their ids, which must be new here

        A finer codec's codes come along; both indexes need equal ones. Where the store is the vectors, the other's ids must be
        rows of it. Searches of either go on meanwhile. Raises TypeError or ValueError, naming the first id that is in both, and
        then changes nothing. Cost: a copy of the other's codes.
        """
        num_threads = check_threads(num_threads)
        if not isinstance(other, Index):
            raise TypeError(f"merge: other expected an Index, got {type(other).__name__}")
        if other is self:
            raise ValueError("merge: other expected another index than this one")
        if other._codec != self._codec:
            raise ValueError(f"merge: other expected an index of an equal codec {self._codec!r}, got {other._codec!r}")
        mine, theirs = (i._store.codec if isinstance(i._store, CodecStore) else None for i in (self, other))
        if mine != theirs:
            raise ValueError(f"merge: other expected an index with an equal codec as its store, {mine!r}, got {theirs!r}")
        if renumber and isinstance(self._store, VectorStore):
            raise ValueError("merge: renumber=True expected an index whose ids are no rows of its store")
        self._contents.merge(other._contents, renumber, num_threads)

    def truncate(self, code_size: int, *, num_threads: int | None = None) -> Index:
        """A new index of the first bytes of a progressive codec's codes, under the same ids and without a store.

        code_size : where a layer ends (`codec.layers`)

        The vectors are not needed, and this index stays as it is. Default ids go on from the highest held. ValueError if no layer
        ends there.
        """
        return self._copied_to(type(self)(self._codec.truncate(code_size), device=self.device), "truncate", num_threads)

    def with_codec(self, codec: Codec, *, num_threads: int | None = None) -> Index:
        """A new index of the same codes and ids for a new model's vectors, without a store: nothing is encoded again.

        codec : `Aligned` around the index's codec, as `vecpress.align` and `vecpress.train.compatible` make it

        This index stays as it is. Default ids go on from the highest held. ValueError if the codec's codes are others.
        """
        other = type(self)(codec, device=self.device)
        if not same_codes(codec, self._codec):
            raise ValueError(f"with_codec: codec expected Aligned around {self._codec!r}, as the index has it, got {codec!r}")
        return self._copied_to(other, "with_codec", num_threads)

    def to(self, device: str, *, num_threads: int | None = None) -> Index:
        """A new index of the same codes, ids and store whose codes are on another device: "cpu", "cuda" or "cuda:N".

        This index stays as it is. Default ids go on from the highest held. A finer codec's codes stay in the processor's memory,
        and vectors that are the store are shared.
        """
        store = CodecStore(RowColumn.empty(self._store.codec)) if isinstance(self._store, CodecStore) else self._store
        other = type(self)._restore(empty_column(self._codec, device, "to"), store, None, None)
        return self._copied_to(other, "to", num_threads)

    def _copied_to(self, other: Index, call: str, num_threads: int | None) -> Index:
        num_threads = check_threads(num_threads)
        with self._contents.lock.shared:
            self._contents.copy_to(other._contents, call, other._codec.code_size, num_threads)
        return other

    def save(self, path: Any) -> None:
        """Writes a .vpz file (vecpress/io.py): complete or not at all."""
        from . import io

        io.save_index(self, path)
