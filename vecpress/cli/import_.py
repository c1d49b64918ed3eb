"""vecpress import: an index from a file of another stack."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from .command import Arg, Opt, Result, command
from .console import Console, count, size
from .files import check_output, read_codec


@command("Read an index of faiss.")
def import_(
    file: Annotated[str, Arg("FILE", "file that faiss or vecpress export wrote; not from people you do not trust")],
    *,
    output: Annotated[str, Opt(("-o", "--output"), "index file to write, .vpz", "FILE")],
    codec: Annotated[
        str | None,
        Opt(("--codec",), "codec file that the index was exported of; without, it is made of what the index holds", "FILE"),
    ] = None,
    metric: Annotated[
        str | None, Opt(("--metric",), "of bits, whose index says none: ip, l2 or cos (default: l2)", "NAME")
    ] = None,
    console: Console,
) -> Result:
    from ..integrations import faiss

    check_output(output, (".vpz",), file, codec)
    start = time.perf_counter()
    index = faiss.read(file, None if codec is None else read_codec(codec), metric=metric)
    index.save(output)
    nbytes = Path(output).stat().st_size
    data = {
        "output": output, "codec": repr(index.codec), "vectors": len(index), "dim": index.codec.dim, "file_nbytes": nbytes,
        "seconds": time.perf_counter() - start,
    }  # fmt: skip
    return Result(data, f"{output}: {count(len(index), 'vector')} of {index.codec!r} in {size(nbytes)}")
