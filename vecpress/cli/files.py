"""What commands read: vectors in blocks, codecs and indexes by kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .. import datasets, io
from ..arrays import Rows
from ..codec import Codec
from ..index import Index
from .command import Arg, Opt

Vectors = Annotated[
    str,
    Arg(
        "VECTORS",
        "vectors: .npy .npz .fvecs .bvecs .ivecs .hdf5 .parquet; FILE::NAME picks one of several arrays",
    ),
]
Threads = Annotated[int | None, Opt(("--threads",), "threads to use (default: all processors)", "N")]


def read_rows(where: str, dim: int | None = None) -> Rows:
    """The vectors in FILE or FILE::NAME, to be read in blocks; errors name the file and the row."""
    path, separator, name = where.rpartition("::")
    if separator and not Path(where).exists():
        return Rows(datasets.read(path, name), where, dim)
    return Rows(datasets.read(where), where, dim)


def read_codec(path: str) -> Codec:
    loaded = io.load(path)
    if not isinstance(loaded, Codec):
        raise ValueError(f"{path}: expected a codec, got an index")
    return loaded


def read_index(path: str, mmap: bool) -> Index:
    loaded = io.load(path, mmap=mmap)
    if not isinstance(loaded, Index):
        raise ValueError(f"{path}: expected an index, got a codec; vecpress encode makes an index")
    return loaded


def check_suffix(path: str, *suffixes: str) -> str:
    """The suffix of an output file. Raises ValueError if it is none of `suffixes`."""
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{path}: suffix expected {' or '.join(suffixes)}, got {suffix!r}")
    return suffix
