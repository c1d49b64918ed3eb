"""vecpress export: an index, or a codec, as a file of another stack."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from .. import io
from ..codec import Codec
from ..index import Index
from .command import Arg, Opt, Result, command
from .console import Console, count, size
from .files import check_output


@command("Write an index as one of faiss.")
def export(
    index: Annotated[str, Arg("INDEX", "index that vecpress encode wrote, or a codec for an empty index")],
    *,
    output: Annotated[str, Opt(("-o", "--output"), "file to write, .faiss", "FILE")],
    kind: Annotated[
        str | None,
        Opt(("--kind",), "pq, pqfs, binary, lsh, rabitq, eden, sq or flat (default: the first that the codec has)", "NAME"),
    ] = None,
    ivf: Annotated[int | None, Opt(("--ivf",), "in so many inverted lists, 0 for as many as suit", "LISTS")] = None,
    hnsw: Annotated[int | None, Opt(("--hnsw",), "in a graph of so many links a vector, say 32", "LINKS")] = None,
    console: Console,
) -> Result:
    from ..integrations import faiss

    check_output(output, (".faiss",), index)
    if ivf is not None and hnsw is not None:
        raise ValueError("export: one of --ivf and --hnsw expected, got both")
    structure = faiss.IVF(ivf or None) if ivf is not None else None if hnsw is None else faiss.HNSW(hnsw)
    start = time.perf_counter()
    source = io.load(index, mmap=True, verify=True)  # in the new file damage would be hidden
    if not isinstance(source, (Codec, Index)):
        raise ValueError(f"{index}: expected an index without keys, which faiss has no place for, got one with keys")
    codec = source if isinstance(source, Codec) else source.codec
    try:
        faiss.write(source, output, kind, structure)
    except ValueError as error:
        raise type(error)(f"{index}: {error}") from None
    if isinstance(source, Index) and source.store is not None:
        console.note(f"{output}: codes only, without what {index} reranks by")
    n, nbytes, kind = 0 if source is codec else len(source), Path(output).stat().st_size, faiss.kind_of(codec, kind, structure)
    way = "" if structure is None else f" in {type(structure).__name__}"
    data = {
        "output": output, "codec": repr(codec), "kind": kind, "structure": type(structure).__name__ if structure else None,
        "vectors": n, "file_nbytes": nbytes, "seconds": time.perf_counter() - start,
    }  # fmt: skip
    return Result(data, f"{output}: {count(n, 'vector')} of {codec!r} as {kind!r}{way} in {size(nbytes)}")
