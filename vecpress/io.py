"""Files: a codec or an index in one .vpz file (vecpress/container.py), saved, loaded, inspected and verified.

| metadata | value |
|---|---|
| kind | "codec" or "index" |
| codec | JSON: {"name": class, "config": the constructor's arguments} |
| dim, metric | of the vectors |
| n, next_id | index: vectors, and the next id that is given without being asked for |
| layout | index, JSON: version 1, block 64, head, group, code_size (vecpress/ops/blocks.py) |
| created_by | "vecpress" and its version |

| array, in this order | content |
|---|---|
| blocks | index: uint8[ceil(n / 64), 64 * code_size], codes in block layout, zero past the last row |
| ids | index, unless the id is the row: int64[n] in row order |
| codec.NAME | the codec's learned arrays, longest items first, so that all are aligned |
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from .checks import check_path
from .codec import Codec, codec_class
from .container import OWN_KEYS, Part, Reader, write
from .errors import CorruptFileError
from .ids import LARGEST, first_repeated
from .index import Index
from .ops.blocks import BLOCK, LAYOUT_VERSION, Blocks, count

Path = str | os.PathLike[str]
CODEC_KEYS = {"kind", "codec", "dim", "metric", "created_by"}
INDEX_KEYS = CODEC_KEYS | {"n", "next_id", "layout"}
LARGEST_DIM = 2**31 - 1


# ---- save


def save_codec(codec: Codec, path: Path) -> None:
    """Writes a codec. Raises NotFittedError before `fit`, TypeError if `path` is no path, OSError that names it if that fails."""
    check_path("save", path)
    write(path, _codec_metadata(codec, "codec"), _codec_parts(codec))


def save_index(index: Index, path: Path) -> None:
    """Writes an index with its codec. Searches go on meanwhile, changes wait. Errors as in `save_codec`."""
    check_path("save", path)
    with index._lock.shared:
        codec, table = index.codec, index._ids
        metadata = _codec_metadata(codec, "index")
        metadata.update(n=str(len(table)), next_id=str(table.next_id), layout=json.dumps(_layout(codec)))
        parts = {"blocks": _blocks_part(index._blocks())}
        ids = table.ids
        if ids is not None:
            parts["ids"] = Part.of(ids)
        write(path, metadata, parts | _codec_parts(codec))


def _codec_metadata(codec: Codec, kind: str) -> dict[str, str]:
    from . import __version__

    description = {"name": type(codec).__name__, "config": codec.config()}
    return {
        "kind": kind,
        "codec": json.dumps(description, allow_nan=False),
        "dim": str(codec.dim),
        "metric": codec.metric,
        "created_by": f"vecpress {__version__}",
    }


def _layout(codec: Codec) -> dict[str, int]:
    return {
        "version": LAYOUT_VERSION, "block": BLOCK, "head": codec.head, "group": codec.group,
        "code_size": codec.code_size,
    }  # fmt: skip


def _codec_parts(codec: Codec) -> dict[str, Part]:
    arrays = sorted(codec.arrays().items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    return {f"codec.{name}": Part.of(array) for name, array in arrays}


def _blocks_part(blocks: Blocks) -> Part:
    """Exactly the blocks in use; rows past the end, where removals leave codes, become zero."""
    full, rest = divmod(blocks.n, BLOCK)
    pieces = [blocks.data[:full]]
    if rest:
        last = Blocks(blocks.data[full : full + 1].copy(), rest, blocks.code_size, blocks.head, blocks.group)
        last.put(rest, np.zeros((BLOCK - rest, blocks.code_size), np.uint8), num_threads=1)
        pieces.append(last.data)
    return Part(np.dtype(np.uint8), (count(blocks.n), blocks.data.shape[1]), tuple(pieces))


# ---- load


def load(path: Path, *, mmap: bool = False, verify: bool | None = None) -> Any:
    """The codec or index of a .vpz file.

    mmap : leave an index's codes and ids in the file, to be read when a search needs them; the index is then
        read-only. The file may be replaced meanwhile (as `save` does), never shortened or written to
    verify : compare the checksums of codes and ids; None means unless mapped, for that reads the file whole.
        Those of the header and of the codec's arrays always are

    Nothing in the file is trusted or run. Raises TypeError if `path` is no path or a flag no bool, FileNotFoundError or another
    OSError if there is no file to read, and CorruptFileError, which says what and where, for anything that is not a whole,
    consistent file of a known version.
    """
    check_path("load", path)
    for name, value in (("mmap", mmap), ("verify", verify)):
        if not isinstance(value, bool) and not (name == "verify" and value is None):
            raise TypeError(f"load: {name} expected a bool, got {type(value).__name__}")
    with Reader(path) as file:
        codec = _read_codec(file)
        if file.metadata["kind"] == "codec":
            return codec
        return _read_index(file, codec, mmap, verify=not mmap if verify is None else verify)


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
        kind = _check_keys(file)
        about = file.metadata
        out: dict[str, Any] = {
            "path": file.path, "file_nbytes": file.size, "header_nbytes": file.data_begin,
            "format_version": int(about["format_version"]), "created_by": about["created_by"], "kind": kind,
            "codec": _codec_description(file), "dim": _number(file, "dim", LARGEST_DIM),
            "metric": about["metric"],
        }  # fmt: skip
        if kind == "index":
            n = _number(file, "n", LARGEST)
            out |= {
                "n": n,
                "next_id": _number(file, "next_id", LARGEST + 1),
                "explicit_ids": "ids" in file.entries,
            }
            out["layout"] = file.json(about["layout"], "metadata: layout")
        out["arrays"] = [
            {
                "name": name, "dtype": entry.dtype.name, "shape": list(entry.shape), "offset": entry.begin,
                "nbytes": entry.end - entry.begin, "checksum": entry.checksum,
            }
            for name, entry in file.entries.items()
        ]  # fmt: skip
        return out


def _read_codec(file: Reader) -> Codec:
    _check_keys(file)
    description = _codec_description(file)
    arrays = {}
    for name in file.entries:
        if name.startswith("codec."):
            array = file.read(name)
            file.check(name, array)
            arrays[name.removeprefix("codec.")] = array
        elif file.metadata["kind"] == "codec" or name not in ("blocks", "ids"):
            file.fail(f"array '{name}'", "is not known here")
    try:
        codec = codec_class(description["name"]).restore(description["config"], _number(file, "dim", LARGEST_DIM), arrays)
        sizes = (codec.code_size, codec.head, codec.group)
    except CorruptFileError:
        raise
    except (TypeError, ValueError, ArithmeticError, MemoryError) as error:
        file.fail("codec", str(error))
    if codec.metric != file.metadata["metric"]:
        file.fail("metadata: metric", f"expected {codec.metric!r} as in the codec, got {file.metadata['metric']!r}")
    if sizes[0] > LARGEST_DIM:
        file.fail("codec", f"code_size expected at most {LARGEST_DIM}, got {sizes[0]}")
    return codec


def _read_index(file: Reader, codec: Codec, mmap: bool, verify: bool) -> Index:
    n, next_id = _number(file, "n", LARGEST), _number(file, "next_id", LARGEST + 1)
    layout = file.json(file.metadata["layout"], "metadata: layout")
    _expect(file, "metadata: layout", layout, _layout(codec))
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {"blocks": ("uint8", (count(n), BLOCK * codec.code_size))}
    if "ids" in file.entries:
        shapes["ids"] = ("int64", (n,))
    elif next_id != n:
        file.fail("metadata: next_id", f"expected {n} where there are no ids, got {next_id}")
    for name, shape in shapes.items():
        if name not in file.entries:
            file.fail(f"array '{name}'", "is missing")
        _expect(file, f"array '{name}'", (file.entries[name].dtype.name, file.entries[name].shape), shape)
    arrays = dict(zip(shapes, file.map(shapes) if mmap else map(file.read, shapes), strict=True))
    if verify:
        for name, array in arrays.items():
            file.check(name, array)
    if verify or not mmap:
        _check_rows(file, Blocks(arrays["blocks"], n, codec.code_size, codec.head, codec.group))
        _check_ids(file, arrays.get("ids"), next_id)
    return Index._restore(codec, arrays["blocks"], n, arrays.get("ids"), next_id, file.path if mmap else None)


def _check_rows(file: Reader, blocks: Blocks) -> None:
    rest = blocks.n % BLOCK
    if rest:
        last = Blocks(blocks.data[-1:], BLOCK, blocks.code_size, blocks.head, blocks.group)
        if last.rows(np.arange(rest, BLOCK), num_threads=1).any():
            file.fail("array 'blocks'", f"expected zeros past row {blocks.n - 1}")


def _check_ids(file: Reader, ids: np.ndarray | None, next_id: int) -> None:
    if ids is None or not len(ids):
        return
    if ids.min() < 0 or int(ids.max()) >= next_id:
        file.fail("array 'ids'", f"expected ids in 0..{next_id - 1}, got {ids.min()}..{ids.max()}")
    repeated = first_repeated(ids)
    if repeated is not None:
        file.fail("array 'ids'", f"expected different ids, {repeated} is there twice")


def _check_keys(file: Reader) -> str:
    """The file's kind, when its metadata has the keys of that kind and no others."""
    kind = file.metadata.get("kind", "")
    if kind not in ("codec", "index"):
        file.fail("metadata: kind", f"expected 'codec' or 'index', got {kind!r}")
    wrong = (set(file.metadata) - OWN_KEYS) ^ (CODEC_KEYS if kind == "codec" else INDEX_KEYS)
    if wrong:
        file.fail("metadata", f"missing or unknown: {', '.join(sorted(wrong))}")
    return kind


def _codec_description(file: Reader) -> dict[str, Any]:
    description = file.json(file.metadata["codec"], "metadata: codec")
    if set(description) != {"name", "config"} or not isinstance(description["name"], str):
        file.fail("metadata: codec", "expected a name and a config")
    if not isinstance(description["config"], dict):
        file.fail("metadata: codec", "expected the config to be a JSON object")
    return description


def _number(file: Reader, key: str, largest: int) -> int:
    text = file.metadata[key]
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or (text[0] == "0" and text != "0") or int(text) > largest:
        file.fail(f"metadata: {key}", f"expected a number in 0..{largest}, got {text!r}")
    return int(text)


def _expect(file: Reader, where: str, got: Any, expected: Any) -> None:
    if got != expected:
        file.fail(where, f"expected {expected}, got {got}")
