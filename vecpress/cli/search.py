"""vecpress search: the nearest vectors of each query."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np

from ..checks import check_int
from ..container import replacing
from ..ops.scan import MAX_K
from .command import Arg, Opt, Result, command
from .console import Console, count, table
from .files import Threads, check_output, read_index, read_rows

BATCH = 256  # queries between two signs of progress


@command("Search an index.")
def search(
    index: Annotated[str, Arg("INDEX", "index file that vecpress encode wrote")],
    queries: Annotated[str, Arg("QUERIES", "query vectors, in the formats that encode reads")],
    *,
    k: Annotated[int, Opt(("-k",), "results per query", "N")] = 10,
    symmetric: Annotated[bool, Opt(("--symmetric",), "code the queries too")] = False,
    mmap: Annotated[bool, Opt(("--mmap",), "search the file in place instead of reading it into memory")] = False,
    threads: Threads = None,
    output: Annotated[str | None, Opt(("-o", "--output"), "write ids and scores to this .npz instead", "FILE")] = None,
    console: Console,
) -> Result:
    check_int("search", "k", k, 1, MAX_K)
    if output is not None:
        check_output(output, (".npz",), index, queries)
    loaded = read_index(index, mmap)
    rows = read_rows(queries, loaded.codec.dim)
    scores: list[np.ndarray] = []
    ids: list[np.ndarray] = []
    start = time.perf_counter()
    with console.progress("search", rows.n) as advance:
        for _, block in rows.blocks(BATCH):
            some_scores, some_ids = loaded.search(block, k, symmetric=symmetric, num_threads=threads)
            scores.append(some_scores)
            ids.append(some_ids)
            advance(len(block))
    seconds = time.perf_counter() - start
    all_scores = np.concatenate(scores) if scores else np.empty((0, k), np.float32)
    all_ids = np.concatenate(ids) if ids else np.empty((0, k), np.int64)
    data = {
        "index": index,
        "vectors": len(loaded),
        "metric": loaded.codec.metric,
        "queries": rows.n,
        "k": k,
        "seconds": seconds,
        "searches_per_second": rows.n / seconds,
    }
    if output is None:
        return Result({**data, "ids": all_ids, "scores": all_scores}, _text(all_scores, all_ids))
    with replacing(output) as file:
        np.savez(file, ids=all_ids, scores=all_scores)
    text = f"{output}: ids and scores of {count(rows.n, 'query', 'queries')}, {k} each"
    return Result({**data, "output": output}, text)


def _text(scores: np.ndarray, ids: np.ndarray) -> str:
    rows = [[str(query), str(rank), str(ids[query, rank]), f"{scores[query, rank]:.6g}"] for query, rank in np.argwhere(ids >= 0)]
    return table(["query", "rank", "id", "score"], rows, left=0)
