"""vecpress search: the nearest vectors of each query, or all within a radius."""

from __future__ import annotations

import time
from typing import Annotated, Any

import numpy as np

from ..checks import check_int
from ..container import replacing
from ..index import Index
from ..keys import KeyedIndex
from ..ops.scan import MAX_K
from .command import Arg, Opt, Result, command
from .console import Console, count, size, table
from .files import Threads, check_output, read_index, read_rows

BATCH = 256  # queries between two signs of progress


@command("Search an index.")
def search(
    index: Annotated[str, Arg("INDEX", "index file that vecpress encode wrote")],
    queries: Annotated[str, Arg("QUERIES", "query vectors, in the formats that encode reads")],
    *,
    k: Annotated[int, Opt(("-k",), "results per query", "N")] = 10,
    radius: Annotated[
        float | None, Opt(("--radius",), "all results at least as good as this score, instead of the best -k", "SCORE")
    ] = None,
    rerank: Annotated[int | None, Opt(("--rerank",), "candidates per query that the index's store reranks", "N")] = None,
    store: Annotated[str | None, Opt(("--store",), "the vectors to rerank by, .npy, where the index holds none", "FILE")] = None,
    symmetric: Annotated[bool, Opt(("--symmetric",), "code the queries too")] = False,
    mmap: Annotated[bool, Opt(("--mmap",), "search the file in place instead of reading it into memory")] = False,
    threads: Threads = None,
    output: Annotated[str | None, Opt(("-o", "--output"), "write ids and scores to this .npz instead", "FILE")] = None,
    console: Console,
) -> Result:
    check_int("search", "k", k, 1, MAX_K)
    if radius is not None and rerank is not None:
        raise ValueError("search: --radius expected no --rerank, which has candidates and no radius")
    if output is not None:
        check_output(output, (".npz",), index, queries, store)
    loaded = read_index(index, mmap, store)
    rows = read_rows(queries, loaded.codec.dim)
    if radius is None:
        found = _Nearest(loaded, k, {"rerank": rerank, "symmetric": symmetric, "num_threads": threads})
    else:
        found = _Within(loaded, radius, {"symmetric": symmetric, "num_threads": threads})
    start = time.perf_counter()
    with console.progress("search", rows.n) as advance:
        for _, block in rows.blocks(BATCH):
            found.search(block)
            advance(len(block))
    seconds = time.perf_counter() - start
    data: dict[str, Any] = {"index": index, "vectors": len(loaded), "metric": loaded.codec.metric, "queries": rows.n}
    data |= {"k": k} if radius is None else {"radius": radius}
    data |= {} if rerank is None else {"rerank": rerank, "store_nbytes": loaded.store_nbytes}
    data |= {"seconds": seconds, "searches_per_second": rows.n / seconds}
    arrays = found.arrays()
    if output is None:
        return Result({**data, **arrays}, found.text(arrays))
    if "keys" in arrays:  # not as objects, which a reader would have to unpickle
        arrays["keys"] = np.array([key or "" for key in arrays["keys"].ravel()], np.str_).reshape(arrays["keys"].shape)
    with replacing(output) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    each = f"{k} each" if radius is None else f"{count(len(arrays['scores']), 'result')} in all"
    text = f"{output}: {found.name} and scores of {count(rows.n, 'query', 'queries')}, {each}"
    if rerank is not None:
        text += f"; reranked by a store of {size(loaded.store_nbytes)}"
    return Result({**data, "output": output}, text)


class _Nearest:
    """The k best of each query, a table."""

    def __init__(self, index: Index | KeyedIndex, k: int, options: dict[str, Any]):
        self.index, self.k, self.options = index, k, options
        self.name = "keys" if isinstance(index, KeyedIndex) else "ids"
        self.parts: list[tuple[np.ndarray, ...]] = []

    def search(self, block: np.ndarray) -> None:
        self.parts.append(self.index.search(block, self.k, **self.options))

    def arrays(self) -> dict[str, np.ndarray]:
        nothing = np.empty((0, self.k), np.float32), np.empty((0, self.k), object if self.name == "keys" else np.int64)
        scores, ids = (np.concatenate([nothing[i], *(part[i] for part in self.parts)]) for i in (0, 1))
        return {self.name: ids, "scores": scores}

    def text(self, arrays: dict[str, np.ndarray]) -> str:
        scores, ids = arrays["scores"], arrays[self.name]
        places = np.argwhere(~np.isnan(scores)).tolist()
        return _table(self.name, [(query, rank, ids[query, rank], scores[query, rank]) for query, rank in places])


class _Within(_Nearest):
    """All that is within the radius: query i's are offsets[i] .. offsets[i + 1] of ids and scores."""

    def __init__(self, index: Index | KeyedIndex, radius: float, options: dict[str, Any]):
        super().__init__(index, 0, options)
        self.radius = radius

    def search(self, block: np.ndarray) -> None:
        self.parts.append(self.index.search_radius(block, self.radius, **self.options))

    def arrays(self) -> dict[str, np.ndarray]:
        counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(part[0]) for part in self.parts)])
        nothing = np.empty(0, np.float32), np.empty(0, object if self.name == "keys" else np.int64)
        scores, ids = (np.concatenate([nothing[i], *(part[i + 1] for part in self.parts)]) for i in (0, 1))
        return {"offsets": np.cumsum(counts), self.name: ids, "scores": scores}

    def text(self, arrays: dict[str, np.ndarray]) -> str:
        offsets = arrays["offsets"]
        query = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        rank = np.arange(offsets[-1]) - offsets[query]
        return _table(self.name, list(zip(query.tolist(), rank.tolist(), arrays[self.name], arrays["scores"], strict=True)))


def _table(name: str, found: list[tuple[int, int, Any, float]]) -> str:
    rows = [[str(query), str(rank), str(one), f"{score:.6g}"] for query, rank, one, score in found]
    return table(["query", "rank", name.removesuffix("s"), "score"], rows, left=0)
