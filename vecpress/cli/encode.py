"""vecpress encode: vectors to codes, in blocks, so that the vectors may be larger than memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np

from ..arrays import Rows
from ..codec import Codec
from ..container import replacing
from ..index import Index
from .command import Opt, Result, command
from .console import Console, count, size
from .files import Threads, Vectors, check_output, read_codec, read_rows


@command("Encode vectors: to an index, or to plain codes.")
def encode(
    vectors: Vectors,
    *,
    codec: Annotated[str, Opt(("--codec",), "codec file that vecpress fit wrote", "FILE")],
    output: Annotated[str, Opt(("-o", "--output"), "file to write: .vpz an index ready to search, .npy codes", "FILE")],
    threads: Threads = None,
    console: Console,
) -> Result:
    suffix = check_output(output, (".vpz", ".npy"), vectors, codec)
    fitted = read_codec(codec)
    rows = read_rows(vectors, fitted.dim)
    start = time.perf_counter()
    if suffix == ".npy":
        _to_codes(rows, fitted, output, threads, console)
    else:
        _to_index(rows, fitted, output, threads, console)
    seconds = time.perf_counter() - start
    nbytes = Path(output).stat().st_size
    data = {
        "output": output,
        "kind": "codes" if suffix == ".npy" else "index",
        "vectors": rows.n,
        "dim": rows.dim,
        "code_size": fitted.code_size,
        "file_nbytes": nbytes,
        "times_smaller": 4 * fitted.dim / fitted.code_size,
        "seconds": seconds,
        "vectors_per_second": rows.n / seconds,
    }
    text = (
        f"{output}: {count(rows.n, 'vector')} in {size(nbytes)}, {fitted.code_size} bytes each, "
        f"{4 * fitted.dim / fitted.code_size:.3g} times smaller than float32; "
        f"{seconds:.1f} s, {rows.n / seconds:,.0f} vectors a second"
    )
    return Result(data, text)


def _to_codes(rows: Rows, codec: Codec, output: str, threads: int | None, console: Console) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows.n, codec.code_size)}
    with replacing(output) as file, console.progress("encode", rows.n) as advance:
        np.lib.format.write_array_header_1_0(file, header)
        for _, block in rows.blocks():
            file.write(codec.encode(block, num_threads=threads).data)
            advance(len(block))


def _to_index(rows: Rows, codec: Codec, output: str, threads: int | None, console: Console) -> None:
    index = Index(codec)
    with console.progress("encode", rows.n) as advance:
        for _, block in rows.blocks():
            index.add_codes(codec.encode(block, num_threads=threads), num_threads=threads)
            advance(len(block))
    index.save(output)
