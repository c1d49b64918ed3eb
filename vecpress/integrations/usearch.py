"""usearch: a graph over codes, walked by the codes' own distance. docs/integrations/usearch.md."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
from usearch.index import CompiledMetric, MetricKind, MetricSignature, ScalarKind
from usearch.index import Index as Graph

from .. import native
from ..arrays import Rows
from ..checks import check_int, check_path
from ..codec import Codec
from ..errors import CorruptFileError
from ..ids import as_ids
from ..io import load as load_file
from .bytewise import lookup

__all__ = ["GraphIndex"]

CODEC = ".vpz"  # the codec's file is beside the graph's, its name and this
MOST_BYTES = 256  # of a code: tables of 64 MB


class GraphIndex:
    """Codes in a graph (HNSW), searched without looking at all of them: some neighbours are missed, and time hardly grows with n.

        graph = GraphIndex(vp.PQ(m=48).fit(x))
        graph.add(x)
        scores, ids = graph.search(q, k=10, rerank=50)

    codec : fitted. Sign and ITQ, and Truncate around Sign: the graph compares bits, by usearch's own Hamming distance. PQ, OPQ,
        LowRankPQ and SQ of 4 and 8 bits, and Truncate around these: by a table of all pairs of values of each byte, 256 KiB a
        byte of code, in compiled code. Others have factors, or decode otherwise, and are a ValueError
    connectivity, expansion_add, expansion_search : of usearch: links a vector, candidates while adding and while searching; more
        finds more and takes longer

    Ids are int64, 0 or more. `graph` is the `usearch.Index` itself: int8 of codes' bytes, or bits.

    Raises TypeError for what is no codec, NotFittedError, ValueError for a codec or an option that cannot be, RuntimeError where
    64 tables are in use.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        connectivity: int | None = None,
        expansion_add: int | None = None,
        expansion_search: int | None = None,
    ):
        if not isinstance(codec, Codec):
            raise TypeError(f"GraphIndex: codec expected a Codec, got {type(codec).__name__}")
        codec.check_fitted()
        options = {"connectivity": connectivity, "expansion_add": expansion_add, "expansion_search": expansion_search}
        for name, value in options.items():
            if value is not None:
                check_int("GraphIndex", name, value, 2 if name == "connectivity" else 1)
        self.codec, self._next, self._compiled = codec, 0, None
        self._hamming = codec._symmetric_query(np.zeros((1, codec.dim), np.float32), 1)
        self._bits = self._hamming.scan == "hamming"
        if self._bits:
            self.graph = Graph(ndim=8 * codec.code_size, dtype=ScalarKind.B1, metric=MetricKind.Hamming, **options)
            return
        self._metric = native.code_metric(pair_table(codec))  # lives as long as the graph, which has only its address
        self._compiled = CompiledMetric(self._metric.pointer, MetricKind.L2sq, MetricSignature.ArrayArray)
        self.graph = Graph(ndim=codec.code_size, dtype=ScalarKind.I8, metric=self._compiled, **options)

    def __len__(self) -> int:
        return len(self.graph)

    def add(self, x: Any, ids: Any = None, *, num_threads: int | None = None) -> None:
        """Encodes vectors [n, d] and adds them; see `add_codes`. Errors as in `Codec.encode`."""
        self.add_codes(self.codec.encode(x, num_threads=num_threads), ids, num_threads=num_threads)

    def add_codes(self, codes: Any, ids: Any = None, *, num_threads: int | None = None) -> None:
        """Adds codes uint8[n, code_size].

        ids : int64[n], new and different; None numbers on from the highest id that was there

        Raises TypeError or ValueError for what is none, an id that is there or repeated, and then adds nothing.
        """
        codes = self.codec.check_codes(codes, "add_codes: codes")
        ids = np.arange(len(codes)) + self._next if ids is None else as_ids(ids, "add_codes: ids")
        if len(ids) != len(codes):
            raise ValueError(f"add_codes: ids expected {len(codes)} of them, got {len(ids)}")
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            raise ValueError(f"add_codes: ids expected different ones, got {values[counts > 1][0]} twice")
        there = self._has(ids)
        if there.any():
            raise ValueError(f"add_codes: ids expected new ones, {ids[there][0]} is there")
        if len(ids):
            self.graph.add(ids.astype(np.uint64), self._as_stored(codes), threads=num_threads or 0)
            self._next = max(self._next, int(values[-1]) + 1)

    def remove(self, ids: Any) -> None:
        """Removes vectors; their places in the graph stay, marked. Raises ValueError that names an id that is not there."""
        ids = as_ids(ids, "remove: ids")
        there = self._has(ids)
        if not there.all():
            raise ValueError(f"remove: ids expected known ones, got {ids[~there][0]}")
        if len(ids):
            self.graph.remove(np.unique(ids).astype(np.uint64))

    def search(
        self, q: Any, k: int = 10, *, rerank: int | None = None, exact: bool = False, num_threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest that the graph finds for each query [nq, d].

        rerank : so many candidates, at least k, are found by their codes and scored again by the float query
        exact : look at all codes instead of walking the graph

        Returns scores float32[nq, k] and ids int64[nq, k], best first, as `Index.search` does: with `symmetric=True`, or with
        rerank those of float queries. Ties among what the graph finds go to the lower id. Where it finds fewer, id -1 and score
        nan. Errors as in `Index.search`.
        """
        k = check_int("search", "k", k, 1)
        wide = k if rerank is None else check_int("search", "rerank", rerank, k)
        codec = self.codec
        rows = Rows(q, "search: q", codec.dim, unit=codec.metric == "cos", num_threads=num_threads).all()
        ids = np.full((len(rows), wide), -1, np.int64)
        scores = np.full((len(rows), wide), np.nan, np.float32)
        if len(self) and len(rows):
            coded = self._as_stored(codec._encode(rows, num_threads))
            found: Any = self.graph.search(coded, min(wide, len(self)), exact=exact, threads=num_threads or 0)
            keys, distances = np.atleast_2d(found.keys), np.atleast_2d(found.distances)  # of one query they are vectors
            counts: Any = getattr(found, "counts", [keys.shape[1]])
            for row, n in enumerate(counts):
                ids[row, :n] = keys[row, :n]
                scores[row, :n] = -distances[row, :n]
        if rerank is not None:
            scores = self._scores_of(rows, ids, num_threads)
        elif self._bits:
            scores = self._hamming_scores(scores)
        order = np.lexsort((ids, -np.where(ids < 0, -np.inf, scores)), axis=1)[:, :k]
        scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
        return (0 - scores if codec.metric == "l2" else scores), ids

    def save(self, path: Any) -> None:
        """Writes the graph to `path`, by usearch, and the codec beside it, to path + ".vpz". OSError or RuntimeError."""
        check_path("save", path)
        self.codec.save(os.fsdecode(path) + CODEC)
        self.graph.save(os.fsdecode(path))

    @classmethod
    def load(cls, path: Any, *, view: bool = False, **options: Any) -> Self:
        """What `save` wrote. view : leave graph and codes in the file, mapped; nothing can be added then.

        usearch reads the graph: its reader was not made for files of people you do not trust. Raises FileNotFoundError;
        CorruptFileError for a graph that is none or not of this codec.
        """
        check_path("load", path)
        name = os.fsdecode(path)
        codec = load_file(name + CODEC)
        if not os.path.exists(name):
            raise FileNotFoundError(2, os.strerror(2), name)
        index = cls(codec, **options)
        try:
            about: Any = Graph.metadata(name)
        except (RuntimeError, ValueError) as error:
            raise CorruptFileError(f"{name}: usearch cannot read it: {error}") from None
        wanted = (index.graph.ndim, index.graph.dtype)
        got = (about["dimensions"], about["kind_scalar"])
        if got != wanted:
            raise CorruptFileError(f"{name}: expected a graph of {wanted[0]} values of {wanted[1]}, got {got[0]} of {got[1]}")
        try:
            (index.graph.view if view else index.graph.load)(name)
        except (RuntimeError, ValueError) as error:
            raise CorruptFileError(f"{name}: usearch cannot read it: {error}") from None
        if index._compiled is not None:
            index.graph.metric = index._compiled  # the file brought the squared distance of bytes with it
        if len(index):
            index._next = max(int(key) for key in index.graph.keys) + 1
        return index

    def _has(self, ids: np.ndarray) -> np.ndarray:
        return np.array([int(i) in self.graph for i in ids], bool) if len(ids) < 2 else self.graph.contains(ids.astype(np.uint64))

    def _as_stored(self, codes: np.ndarray) -> np.ndarray:
        # as int8 bytes go in as they are; uint8 would be taken for numbers and scaled
        return codes if self._bits else codes.view(np.int8)

    def _scores_of(self, rows: np.ndarray, ids: np.ndarray, num_threads: int | None) -> np.ndarray:
        """Similarities float32[nq, wide] of queries and decoded vectors, nan where there is no id."""
        out = np.full(ids.shape, np.nan, np.float32)
        for row, query in enumerate(rows):
            known = ids[row] >= 0
            if known.any():
                stored: Any = self.graph.get(ids[row][known].astype(np.uint64))
                stored = np.atleast_2d(stored)
                x = self.codec._decode(np.ascontiguousarray(stored).view(np.uint8))
                out[row, known] = -np.square(x - query).sum(axis=1) if self.codec.metric == "l2" else x @ query
        return out

    def _hamming_scores(self, negated: np.ndarray) -> np.ndarray:
        """Hamming distances, negated, in the metric's unit: the affine map that the codec's own scan of bits uses."""
        query = self._hamming
        constant = np.float32(0) if query.constant is None else query.constant[0]
        assert isinstance(query.scale, float)
        return -negated * np.float32(query.scale) + constant


def pair_table(codec: Codec) -> np.ndarray:
    """float32[code_size, 256, 256]: what each byte adds to the distance of two codes, squared distance or negated inner product.

    Raises ValueError for a codec whose codes do not decode byte by byte, or of more than 256 bytes.
    """
    found = lookup(codec)
    if found is None:
        known = "Sign, ITQ, PQ, OPQ, LowRankPQ, SQ of 4 or 8 bits or Truncate around these"
        raise ValueError(f"GraphIndex: codec expected {known}, got {codec!r}")
    size = codec.code_size
    if size > MOST_BYTES:
        raise ValueError(f"GraphIndex: codec expected codes of up to {MOST_BYTES} bytes, got {size}")
    books, projection, offset = (a.astype(np.float64) for a in found)
    width = books.shape[2]
    if projection.size:
        if not np.allclose(projection @ projection.T, np.eye(len(projection)), atol=1e-3):
            raise ValueError(f"GraphIndex: codec expected a map that keeps distances before the codes, got {codec!r}")
        padded = np.zeros((size * width, codec.dim))
        padded[: len(projection)] = projection
        parts = np.einsum("bvw,bwd->bvd", books, padded.reshape(size, width, codec.dim))
        along = parts @ offset  # of the constant part of every vector
        constant = float(offset @ offset) / size
    else:
        along, constant = np.zeros((size, 256)), 0.0
    table = np.empty((size, 256, 256), np.float32)
    for b, book in enumerate(books):
        products = book @ book.T  # rows of a projection are orthonormal
        if codec.metric == "l2":
            squares = np.diag(products)
            table[b] = squares[:, None] + squares - 2 * products
        else:
            table[b] = -(products + along[b][:, None] + along[b] + constant)
    return table
