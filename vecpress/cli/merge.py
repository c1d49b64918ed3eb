"""vecpress merge: several indexes of one codec in one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from ..index import Index
from ..keys import KeyedIndex
from .command import Arg, Opt, Result, command
from .console import Console, count, size
from .files import check_output, read_index


@command("Merge indexes of one codec.")
def merge(
    indexes: Annotated[list[str], Arg("INDEX", "index files that vecpress encode wrote, of equal codecs")],
    *,
    output: Annotated[str, Opt(("-o", "--output"), "file to write, .vpz", "FILE")],
    renumber: Annotated[bool, Opt(("--renumber",), "number vectors on, file by file, instead of keeping their ids")] = False,
    console: Console,
) -> Result:
    check_output(output, (".vpz",), *indexes)
    start = time.perf_counter()
    first, *others = indexes
    merged = read_index(first, mmap=False)
    with console.progress("merge", len(indexes)) as advance:
        advance(1)
        for path in others:
            other = read_index(path, mmap=True)
            try:
                if isinstance(merged, KeyedIndex) and isinstance(other, KeyedIndex):
                    merged.merge(other)
                elif isinstance(merged, Index) and isinstance(other, Index):
                    merged.merge(other, renumber=renumber)
                else:
                    keys = "with" if isinstance(merged, KeyedIndex) else "without"
                    raise ValueError(f"expected an index {keys} keys as {first}")
            except ValueError as error:
                raise type(error)(f"{path}: {error}") from None
            advance(1)
    merged.save(output)
    nbytes = Path(output).stat().st_size
    data = {
        "output": output, "indexes": len(indexes), "vectors": len(merged), "file_nbytes": nbytes,
        "seconds": time.perf_counter() - start,
    }  # fmt: skip
    files = count(len(indexes), "index", "indexes")
    return Result(data, f"{output}: {count(len(merged), 'vector')} of {files} in {size(nbytes)}")
