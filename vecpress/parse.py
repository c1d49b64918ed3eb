"""What a .vpz file must be to become a codec or an index: every check between the container and those, and what passes them.

Nothing that is read is trusted; whatever is wrong is a CorruptFileError that says where. vecpress/io.py says what is in a file.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from . import native
from .codec import Codec, codec_class
from .container import DTYPES, OWN_KEYS, Reader
from .contents import Column, RowColumn
from .errors import CorruptFileError
from .ids import LARGEST, first_repeated
from .index import Index
from .keys import KeyedIndex
from .ops.blocks import BLOCK, LAYOUT_VERSION, Blocks, count
from .store import CodecStore, Store, VectorStore, open_vectors

CODEC_KEYS = {"kind", "codec", "dim", "metric", "created_by"}
INDEX_KEYS = CODEC_KEYS | {"n", "next_id", "layout"}
STORE_KEYS = {"codec": {"kind", "name", "config"}, "vectors": {"kind", "path", "shape", "dtype"}}
KEYS = {"keys.offsets", "keys.bytes"}
WITH_STORE = 2  # the format version of files with a store or keys
LARGEST_DIM = 2**31 - 1


def check_keys(file: Reader) -> str:
    """The file's kind, when its metadata has the keys, and its arrays the names, of that kind and version and no others."""
    kind = file.metadata.get("kind", "")
    if kind == "paragraphs":
        file.fail("metadata: kind", "expected 'codec' or 'index', got 'paragraphs', which ParagraphVectors.load reads")
    if kind not in ("codec", "index"):
        file.fail("metadata: kind", f"expected 'codec' or 'index', got {kind!r}")
    newer = kind == "index" and file.version >= WITH_STORE
    keys = CODEC_KEYS if kind == "codec" else INDEX_KEYS
    wrong = (set(file.metadata) - OWN_KEYS) ^ (keys | ({"store"} & set(file.metadata) if newer else set()))
    if wrong:
        file.fail("metadata", f"missing or unknown: {', '.join(sorted(wrong))}")
    described = store_description(file)
    finer = described is not None and described["kind"] == "codec"
    known = {"blocks", "ids"} if kind == "index" else set()
    known |= KEYS if newer and KEYS & set(file.entries) else set()
    known |= {"store.codes"} if finer else set()
    for name in file.entries:
        if name not in known and not name.startswith(("codec.", "store_codec.") if finer else "codec."):
            file.fail(f"array '{name}'", "is not known here")
    for name in sorted((known & KEYS) - set(file.entries)):
        file.fail(f"array '{name}'", "is missing")
    return kind


def store_description(file: Reader) -> dict[str, Any] | None:
    """What an index reranks by, checked; None where there is no store."""
    if "store" not in file.metadata:
        return None
    where, described = "metadata: store", file.json(file.metadata["store"], "metadata: store")
    kind = described.get("kind")
    if kind not in ("codec", "vectors") or set(described) != STORE_KEYS[kind]:
        file.fail(where, "expected the description of a codec or of vectors")
    if kind == "codec":
        _check_description(file, where, described)
        return described
    shape, path = described["shape"], described["path"]
    if not (path is None or isinstance(path, str)) or described["dtype"] not in list(DTYPES):
        file.fail(where, f"expected a path and one of the dtypes {', '.join(DTYPES)}")
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(v) is int and 0 <= v <= LARGEST for v in shape):
        file.fail(where, f"shape expected two lengths, got {shape!r}")
    if shape[1] != number(file, "dim", LARGEST_DIM):
        file.fail(where, f"shape expected {file.metadata['dim']} columns, got {shape[1]}")
    return described


def codec_description(file: Reader) -> dict[str, Any]:
    description = file.json(file.metadata["codec"], "metadata: codec")
    if set(description) != {"name", "config"}:
        file.fail("metadata: codec", "expected a name and a config")
    return _check_description(file, "metadata: codec", description)


def _check_description(file: Reader, where: str, description: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(description["name"], str):
        file.fail(where, "expected a name and a config")
    if not isinstance(description["config"], dict):
        file.fail(where, "expected the config to be a JSON object")
    return description


def number(file: Reader, key: str, largest: int) -> int:
    text = file.metadata[key]
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or (text[0] == "0" and text != "0") or int(text) > largest:
        file.fail(f"metadata: {key}", f"expected a number in 0..{largest}, got {text!r}")
    return int(text)


def _expect(file: Reader, where: str, got: Any, expected: Any) -> None:
    if got != expected:
        file.fail(where, f"expected {expected}, got {got}")


def layout_of(codec: Codec) -> dict[str, int]:
    return {
        "version": LAYOUT_VERSION, "block": BLOCK, "head": codec.head, "group": codec.group,
        "code_size": codec.code_size,
    }  # fmt: skip


def read_codec(file: Reader, description: dict[str, Any], prefix: str) -> Codec:
    arrays = {}
    for name in file.entries:
        if name.startswith(prefix):
            arrays[name.removeprefix(prefix)] = _read_checked(file, name)
    try:
        codec = codec_class(description["name"]).restore(description["config"], number(file, "dim", LARGEST_DIM), arrays)
        sizes = (codec.code_size, codec.head, codec.group)
    except CorruptFileError:
        raise
    except (TypeError, ValueError, ArithmeticError, MemoryError) as error:
        file.fail(prefix[:-1], str(error))
    if codec.metric != file.metadata["metric"]:
        file.fail("metadata: metric", f"expected {codec.metric!r} as in the codec, got {file.metadata['metric']!r}")
    if sizes[0] > LARGEST_DIM:
        file.fail(prefix[:-1], f"code_size expected at most {LARGEST_DIM}, got {sizes[0]}")
    return codec


def read_index(file: Reader, codec: Codec, mmap: bool, verify: bool, given: Any) -> Index | KeyedIndex:
    n, next_id = number(file, "n", LARGEST), number(file, "next_id", LARGEST + 1)
    layout = file.json(file.metadata["layout"], "metadata: layout")
    _expect(file, "metadata: layout", layout, layout_of(codec))
    described = store_description(file)
    finer = None
    if described and described["kind"] == "codec":
        finer = read_codec(file, described, "store_codec.")
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {"blocks": ("uint8", (count(n), BLOCK * codec.code_size))}
    if "ids" in file.entries:
        shapes["ids"] = ("int64", (n,))
    elif next_id != n:
        file.fail("metadata: next_id", f"expected {n} where there are no ids, got {next_id}")
    if finer is not None:
        shapes["store.codes"] = ("uint8", (n, finer.code_size))
    for name, shape in shapes.items():
        if name not in file.entries:
            file.fail(f"array '{name}'", "is missing")
        _expect(file, f"array '{name}'", (file.entries[name].dtype.name, file.entries[name].shape), shape)
    arrays = dict(zip(shapes, file.map(shapes) if mmap else map(file.read, shapes), strict=True))
    if verify:
        for name, array in arrays.items():
            file.check(name, array)
    codes, ids = Column(codec, arrays["blocks"]), arrays.get("ids")
    if verify or not mmap:
        _check_rows(file, codes.blocks(n))
        _check_ids(file, ids, next_id)
    if finer is not None:
        if given is not None:
            raise ValueError(f"load: store expected None: {file.path} holds the codes of {finer!r}")
        store: Store | None = CodecStore(RowColumn(finer, _whole_blocks(arrays["store.codes"], mmap)))
    else:
        largest = n - 1 if ids is None else int(ids.max(initial=-1)) if verify or not mmap else -1
        store = _vector_store(file, codec, described, given, largest)
    index = Index._restore(codes, store, native.id_table(n, ids, next_id), file.path if mmap else None)
    return KeyedIndex._restore(index, _read_keys(file, n)) if "keys.offsets" in file.entries else index


def _whole_blocks(codes: np.ndarray, mmap: bool) -> np.ndarray:
    """With room as for whole blocks, which a column has, where the array is ours to change."""
    if not mmap:
        codes.resize((count(len(codes)) * BLOCK, codes.shape[1]), refcheck=False)
    return codes


def _vector_store(file: Reader, codec: Codec, described: dict[str, Any] | None, given: Any, largest: int) -> VectorStore | None:
    """The store whose vectors are given or were recorded; `largest` : of the ids, as far as they were read."""
    if described:
        recorded = VectorStore(codec, None, described["path"], tuple(described["shape"]), described["dtype"])
        if largest >= recorded.limit:
            file.fail("metadata: store", f"expected rows for ids up to {largest}, got {recorded.limit}")
    if given is None:
        return recorded if described else None
    if isinstance(given, Codec):
        raise TypeError(f"load: store expected an array or the path of a .npy file, got the codec {given!r}")
    store = open_vectors(given, codec, "load")
    if largest >= store.limit:
        raise ValueError(f"load: store expected rows for ids up to {largest}, got {store.limit}")
    return store


def _read_keys(file: Reader, n: int) -> list[str]:
    for name, wanted in (("keys.offsets", ("int64", (n + 1,))), ("keys.bytes", ("uint8", file.entries["keys.bytes"].shape[:1]))):
        _expect(file, f"array '{name}'", (file.entries[name].dtype.name, file.entries[name].shape), wanted)
    offsets, raw = _read_checked(file, "keys.offsets"), _read_checked(file, "keys.bytes").tobytes()
    if offsets[0] != 0 or offsets[-1] != len(raw) or (np.diff(offsets) < 0).any():
        file.fail("array 'keys.offsets'", f"expected ascending places from 0 to {len(raw)}")
    try:
        keys = [raw[begin:end].decode() for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    except UnicodeDecodeError as error:
        file.fail("array 'keys.bytes'", f"expected UTF-8: {error}")
    if len(set(keys)) < n:
        file.fail("array 'keys.bytes'", f"expected different keys, {Counter(keys).most_common(1)[0][0]!r} is there twice")
    return keys


def _read_checked(file: Reader, name: str) -> np.ndarray:
    array = file.read(name)
    file.check(name, array)
    return array


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
