"""What commands read: vectors in blocks, codecs and indexes by kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from .. import datasets, io
from ..arrays import Rows
from ..codec import Codec
from ..index import Index
from ..keys import KeyedIndex
from ..sources import Stream, open_file, split
from .command import Arg, Opt

Vectors = Annotated[
    str,
    Arg(
        "VECTORS",
        "vectors: .npy .npz .fvecs .bvecs .ivecs .fbin .f16bin .u8bin .i8bin .ibin .hdf5 .h5 .parquet; "
        "FILE::NAME picks one of several arrays",
    ),
]
Threads = Annotated[int | None, Opt(("--threads",), "threads to use (default: all processors)", "N")]


def read_rows(where: str, dim: int | None = None) -> Rows:
    """The vectors in FILE or FILE::NAME, to be read in blocks; errors name the file and the row."""
    return Rows(datasets.read(*split(where)), where, dim)


def read_source(where: str, codec: Codec | None = None, store: Codec | None = None) -> Rows | Stream:
    """As `read_rows`, but what cannot be mapped is read once, in batches. Given codecs: as the rows that they code."""
    if codec is None:
        return open_file(where, where)
    largest = codec.largest if store is None else min(codec.largest, store.largest)
    return open_file(where, where, codec.dim, unit=codec.metric == "cos", largest=largest)


def read_codec(path: str) -> Codec:
    loaded = io.load(path)
    if not isinstance(loaded, Codec):
        raise ValueError(f"{path}: expected a codec, got an index")
    return loaded


def read_index(path: str, mmap: bool, store: str | None = None) -> Index | KeyedIndex:
    loaded = io.load(path, mmap=mmap) if store is None else io.load(path, mmap=mmap, store=store)
    if not isinstance(loaded, (Index, KeyedIndex)):
        raise ValueError(f"{path}: expected an index, got a codec; vecpress encode makes an index")
    return loaded


def read_store(path: str) -> Codec | str:
    """What an index is to rerank by: the codec in a .vpz file, or vectors, to be left in theirs."""
    return read_codec(path) if Path(path).suffix.lower() == ".vpz" else path


def check_output(path: str, suffixes: tuple[str, ...], *inputs: str | None) -> str:
    """The suffix of a file that is to be written, checked before any work.

    inputs : all that the command reads, as it was named (FILE or FILE::NAME); None for what was not named

    Raises ValueError if the suffix is none of `suffixes`, or if the file is one of the inputs by whatever name: it would be lost.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{path}: suffix expected {' or '.join(suffixes)}, got {suffix!r}")
    for source in (split(where)[0] for where in inputs if where is not None):
        if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
            raise ValueError(f"{path}: output expected another file than the input {source}, which it would overwrite")
    return suffix
