"""vecpress encode: vectors to codes, in blocks, so that the vectors may be larger than memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np

from ..arrays import Rows
from ..codec import Codec
from ..container import replacing
from ..index import Index
from ..sources import Stream
from ..stream import header, write_codes
from .command import Opt, Result, command
from .console import Console, count, size
from .files import Threads, Vectors, check_output, read_codec, read_source


@command("Encode vectors: to an index, or to plain codes.")
def encode(
    vectors: Vectors,
    *,
    codec: Annotated[str, Opt(("--codec",), "codec file that vecpress fit wrote", "FILE")],
    output: Annotated[str, Opt(("-o", "--output"), "file to write: .vpz an index ready to search, .npy codes", "FILE")],
    resume: Annotated[
        bool, Opt(("--resume",), "codes only: keep what is done when stopped, and go on from there the next time")
    ] = False,
    threads: Threads = None,
    console: Console,
) -> Result:
    suffix = check_output(output, (".vpz", ".npy"), vectors, codec)
    if resume and suffix != ".npy":
        raise ValueError(f"{output}: --resume expected .npy codes, got an index, which is written whole or not")
    fitted = read_codec(codec)
    rows = read_source(vectors, fitted)
    start = time.perf_counter()
    with console.progress("encode", rows.n or 0) as advance:
        if suffix == ".vpz":
            n = _to_index(rows, fitted, output, threads, advance)
        elif resume:
            n = len(write_codes(fitted, rows, output, resume=True, overwrite=True, num_threads=threads, advance=advance))
        else:
            n = _to_codes(rows, fitted, output, threads, advance)
    seconds = time.perf_counter() - start
    nbytes = Path(output).stat().st_size
    data = {
        "output": output,
        "kind": "codes" if suffix == ".npy" else "index",
        "vectors": n,
        "dim": fitted.dim,
        "code_size": fitted.code_size,
        "file_nbytes": nbytes,
        "times_smaller": 4 * fitted.dim / fitted.code_size,
        "seconds": seconds,
        "vectors_per_second": n / seconds,
    }
    text = (
        f"{output}: {count(n, 'vector')} in {size(nbytes)}, {fitted.code_size} bytes each, "
        f"{4 * fitted.dim / fitted.code_size:.3g} times smaller than float32; "
        f"{seconds:.1f} s, {n / seconds:,.0f} vectors a second"
    )
    return Result(data, text)


def _to_codes(
    rows: Rows | Stream, codec: Codec, output: str, threads: int | None, advance: Callable[[int], None]
) -> int:
    n = 0
    with replacing(output) as file:
        file.write(header(0, codec.code_size))
        for total, codes in _coded(rows, codec, threads, advance):
            file.write(codes.data)
            n = total
        file.seek(0)
        file.write(header(n, codec.code_size))
    return n


def _to_index(
    rows: Rows | Stream, codec: Codec, output: str, threads: int | None, advance: Callable[[int], None]
) -> int:
    index = Index(codec)
    for _, codes in _coded(rows, codec, threads, advance):
        index.add_codes(codes, num_threads=threads)
    index.save(output)
    return len(index)


def _coded(
    rows: Rows | Stream, codec: Codec, threads: int | None, advance: Callable[[int], None]
) -> Iterator[tuple[int, np.ndarray]]:
    """The codes of each block, behind the number of rows there are with it."""
    for start, block in rows.blocks():
        yield start + len(block), codec._encode(block, threads)  # the rows are checked under the file's name
        advance(len(block))
