"""Files: a codec or an index in one .vpz file (vecpress/container.py), saved, loaded, inspected and verified.

| metadata | value |
|---|---|
| kind | "codec" or "index" |
| codec | JSON: {"name": class, "config": the constructor's arguments} |
| dim, metric | of the vectors |
| n, next_id | index: vectors, and the next id that is given without being asked for |
| layout | index, JSON: version 1, block 64, head, group, code_size (vecpress/ops/blocks.py) |
| store | index with a store, JSON: kind "codec" and the codec's name and config, or kind "vectors" and where they were |
| created_by | "vecpress" and its version |

| array, in this order | content |
|---|---|
| blocks | index: uint8[ceil(n / 64), 64 * code_size], codes in block layout, zero past the last row |
| ids | index, unless the id is the row: int64[n] in row order |
| keys.offsets | index with keys: int64[n + 1], where each vector's key begins in keys.bytes, and the end of the last |
| codec.NAME, store_codec.NAME | the learned arrays of the codecs, longest items first, so that all are aligned |
| keys.bytes | index with keys: uint8[...], UTF-8 |
| store.codes | index with a codec as its store: uint8[n, code_size], its codes row by row |

A file with a store or keys has format version 2, others version 1, so that older programs read what they can.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import parse
from .checks import check_path
from .codec import Codec
from .container import Part, Reader, write
from .ids import LARGEST
from .index import Index
from .ops.blocks import BLOCK, Blocks, count
from .store import CodecStore, Store

Path = str | os.PathLike[str]
PIECE = 4096  # blocks that come from a device at a time


# ---- save


def save_codec(codec: Codec, path: Path) -> None:
    """Writes a codec. Raises NotFittedError before `fit`, TypeError if `path` is no path, OSError that names it if that fails."""
    check_path("save", path)
    write(path, _codec_metadata(codec, "codec"), _codec_parts({"codec": codec}), version=1)


def save_index(index: Index, path: Path, names: Callable[[np.ndarray], list[str]] | None = None) -> None:
    """Writes an index with its codec. Searches go on meanwhile, changes wait. Errors as in `save_codec`.

    names : the keys of ids, where the vectors have such
    """
    check_path("save", path)
    contents = index._contents
    with contents.lock.shared:
        codecs, table, store = {"codec": index._codec}, contents.ids, index._store
        metadata = _codec_metadata(index._codec, "index")
        metadata.update(n=str(len(table)), next_id=str(table.next_id), layout=json.dumps(parse.layout_of(index._codec)))
        parts = {"blocks": _blocks_part(contents.blocks())}
        ids = table.ids
        if ids is not None:
            parts["ids"] = Part.of(ids)
        behind = {}
        if names is not None:
            keys = [name.encode() for name in names(contents.all_ids())]
            parts["keys.offsets"] = Part.of(np.cumsum([0, *map(len, keys)], dtype=np.int64))
            behind["keys.bytes"] = Part.of(np.frombuffer(b"".join(keys), np.uint8))
        if isinstance(store, CodecStore):
            codecs["store_codec"] = store.codec
            behind["store.codes"] = Part.of(store.column.data[: len(table)])
        if store is not None:
            metadata["store"] = json.dumps(_describe(store), allow_nan=False)
        version = 1 if store is None and names is None else parse.WITH_STORE
        write(path, metadata, parts | _codec_parts(codecs) | behind, version)


def _describe(store: Store) -> dict[str, Any]:
    if isinstance(store, CodecStore):
        return {"kind": "codec", **_described(store.codec)}
    path = None if store.path is None else os.fsencode(store.path).decode("utf-8", "replace")
    return {"kind": "vectors", "path": path, "shape": list(store.shape), "dtype": store.dtype}


def _described(codec: Codec) -> dict[str, Any]:
    return {"name": type(codec).__name__, "config": codec.config()}


def _codec_metadata(codec: Codec, kind: str) -> dict[str, str]:
    from . import __version__

    return {
        "kind": kind,
        "codec": json.dumps(_described(codec), allow_nan=False),
        "dim": str(codec.dim),
        "metric": codec.metric,
        "created_by": f"vecpress {__version__}",
    }


def _codec_parts(codecs: dict[str, Codec]) -> dict[str, Part]:
    arrays = [(f"{prefix}.{name}", array) for prefix, codec in codecs.items() for name, array in codec.arrays().items()]
    return {name: Part.of(array) for name, array in sorted(arrays, key=lambda item: (-item[1].dtype.itemsize, item[0]))}


def _blocks_part(blocks: Blocks) -> Part:
    """Exactly the blocks in use; rows past the end, where removals leave codes, become zero."""

    def pieces() -> Iterator[np.ndarray]:
        full, rest = divmod(blocks.n, BLOCK)
        step = PIECE if blocks.elsewhere else max(full, 1)
        for start in range(0, full, step):
            yield blocks.on_host(slice(start, min(start + step, full)))
        if rest:
            last = Blocks(blocks.on_host(slice(full, full + 1)).copy(), rest, blocks.code_size, blocks.head, blocks.group)
            last.put(rest, np.zeros((BLOCK - rest, blocks.code_size), np.uint8), num_threads=1)
            yield last.data

    return Part(np.dtype(np.uint8), (count(blocks.n), BLOCK * blocks.code_size), pieces())


# ---- load


def load(path: Path, *, mmap: bool = False, verify: bool | None = None, store: Any = None) -> Any:
    """The codec, `Index` or `KeyedIndex` of a .vpz file.

    mmap : leave an index's codes and ids in the file, to be read when a search needs them; the index is then
        read-only. The file may be replaced meanwhile (as `save` does), never shortened or written to
    verify : compare the checksums of codes and ids; None means unless mapped, for that reads the file whole.
        Those of the header, of the codecs' arrays and of keys always are
    store : the vectors that an index is to rerank by, an array or the path of a .npy file: an index's file holds none, and the
        place that it recorded is not opened unasked

    Nothing in the file is trusted or run. Raises TypeError if `path` is no path or a flag no bool, TypeError or ValueError if
    `store` does not fit the index, FileNotFoundError or another
    OSError if there is no file to read, and CorruptFileError, which says what and where, for anything that is not a whole,
    consistent file of a known version.
    """
    check_path("load", path)
    for name, value in (("mmap", mmap), ("verify", verify)):
        if not isinstance(value, bool) and not (name == "verify" and value is None):
            raise TypeError(f"load: {name} expected a bool, got {type(value).__name__}")
    with Reader(path) as file:
        kind = parse.check_keys(file)
        codec = parse.read_codec(file, parse.codec_description(file), "codec.")
        if kind == "index":
            return parse.read_index(file, codec, mmap, not mmap if verify is None else verify, store)
        if store is not None:
            raise ValueError(f"load: store expected None for a codec, which {file.path} holds")
        return codec


def verify(path: Path) -> None:
    """Checks a file whole: header, checksums, codec, rows past the last, ids. Errors as in `load`."""
    check_path("verify", path)
    load(path, mmap=True, verify=True)


def inspect(path: Path) -> dict[str, Any]:
    """What a file's header says, JSON values: the metadata, and name, dtype, shape, offset, nbytes, checksum
    of every array.

    The header is checked, arrays are not read. Errors as in `load`.
    """
    check_path("inspect", path)
    with Reader(path) as file:
        kind = parse.check_keys(file)
        about = file.metadata
        out: dict[str, Any] = {
            "path": file.path, "file_nbytes": file.size, "header_nbytes": file.data_begin,
            "format_version": int(about["format_version"]), "created_by": about["created_by"], "kind": kind,
            "codec": parse.codec_description(file), "dim": parse.number(file, "dim", parse.LARGEST_DIM),
            "metric": about["metric"],
        }  # fmt: skip
        if kind == "index":
            n = parse.number(file, "n", LARGEST)
            out |= {
                "n": n,
                "next_id": parse.number(file, "next_id", LARGEST + 1),
                "explicit_ids": "ids" in file.entries,
                "keys": "keys.offsets" in file.entries,
                "store": parse.store_description(file),
            }
            if out["store"]:
                out["store_nbytes"] = _store_nbytes(file, out["store"])
            out["layout"] = file.json(about["layout"], "metadata: layout")
        out["arrays"] = [
            {
                "name": name, "dtype": entry.dtype.name, "shape": list(entry.shape), "offset": entry.begin,
                "nbytes": entry.end - entry.begin, "checksum": entry.checksum,
            }
            for name, entry in file.entries.items()
        ]  # fmt: skip
        return out


def _store_nbytes(file: Reader, described: dict[str, Any]) -> int:
    if described["kind"] == "vectors":
        return math.prod(described["shape"]) * np.dtype(described["dtype"]).itemsize
    codes = file.entries.get("store.codes")
    return 0 if codes is None else codes.end - codes.begin
