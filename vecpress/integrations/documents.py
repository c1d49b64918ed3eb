"""Documents beside an index: what the document stores of other stacks share. Vectors, filters, press, and a folder on disk."""

from __future__ import annotations

import json
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..checks import check_choice, check_int, check_path
from ..codec import Codec, codec_class
from ..codecs.raw import Raw
from ..container import replacing
from ..errors import CorruptFileError
from ..io import load as load_file
from ..keys import KeyedIndex
from ..ops.scan import MAX_K
from ..rwlock import ReadWriteLock

FORMAT, VERSION = "vecpress documents", 1
MANIFEST = "store.json"
NAMES = {"index": re.compile(r"index-[0-9a-f]{16}\.vpz"), "documents": re.compile(r"documents-[0-9a-f]{16}\.jsonl")}

Where = Callable[[Any], Any]


class KnownKey(ValueError):
    """A key is there already: `key`."""

    def __init__(self, key: str):
        super().__init__(f"documents: expected new keys, {key!r} is there already")
        self.key = key


class DocumentIndex:
    """Documents by text keys, most with a vector: the vectors in a `KeyedIndex`, the documents, of any kind, in a dict.

    codec : how vectors are held. A fitted codec codes them from the first on. `Raw` learns nothing but the number of columns, so
        an unfitted one is fitted on the first vectors. Any other unfitted codec waits: vectors are held in float16, by the same
        metric, until `press` fits it on all of them. None: Raw("float16", metric="cos")

    Any number of threads may search while one changes the documents; they wait while new vectors are coded. A call that raises
    leaves everything as it was. Raises TypeError if `codec` is none.
    """

    def __init__(self, codec: Codec | None = None):
        if codec is not None and not isinstance(codec, Codec):
            raise TypeError(f"documents: codec expected a Codec, got {type(codec).__name__}")
        self.documents: dict[str, Any] = {}
        self._index: KeyedIndex | None = None
        self._waiting: Codec | None = None  # unfitted, of what `press` makes
        self._held: Codec = Raw("float16", metric="cos") if codec is None else codec
        if codec is not None and codec.is_fitted:
            self._index = KeyedIndex(codec)
        elif codec is not None and not isinstance(codec, Raw):
            self._waiting, self._held = codec, Raw("float16", metric=codec.metric)
        self._lock = ReadWriteLock()

    def __len__(self) -> int:
        return len(self.documents)

    def __repr__(self) -> str:
        waits = "" if self._waiting is None else f", press() makes it {self._waiting!r}"
        return f"{len(self)} documents, vectors in {self.codec!r}{waits}"

    @property
    def codec(self) -> Codec:
        """The codec of the vectors, a copy; unfitted while there are none."""
        return self._held if self._index is None else self._index.codec

    @property
    def wanted(self) -> Codec:
        """The codec that is handed in for a store that is to become like this one: the one that waits, or that of the vectors."""
        return self.codec if self._waiting is None else self._waiting

    @property
    def metric(self) -> str:
        return self._held.metric

    @property
    def index(self) -> KeyedIndex | None:
        """The index, to be read, not changed; None while no vector has come and the codec is not fitted."""
        return self._index

    # ---- read

    def get(self, keys: Iterable[str]) -> list[tuple[str, Any]]:
        """Keys and documents of those keys that are known, in the order asked for."""
        with self._lock.shared:
            return [(key, self.documents[key]) for key in keys if key in self.documents]

    def select(self, where: Where | None = None) -> list[tuple[str, Any]]:
        """Keys and documents that `where` holds for, in the order in which they came. Cost: a call a document."""
        with self._lock.shared:
            return [(key, doc) for key, doc in self.documents.items() if where is None or where(doc)]

    def vectors(self, keys: Sequence[str]) -> np.ndarray:
        """float32[r, d]: what the codes decode to, under "cos" of length about 1. ValueError names the first key without one."""
        with self._lock.shared:
            if self._index is None:
                raise ValueError(f"vectors: expected keys with a vector, {next(iter(keys), None)!r} has none")
            return self._index.vectors(list(keys))

    def vectors_of(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """The same for those of the keys that have a vector."""
        with self._lock.shared:
            there = [key for key in keys if self._index is not None and key in self._index]
            return dict(zip(there, self._index.vectors(there), strict=True)) if self._index is not None and there else {}

    def search(self, q: Any, k: int, where: Where | None = None, **options: Any) -> list[tuple[str, Any, float]]:
        """Key, document and score of the k best for one query [d], best first; fewer where fewer are allowed.

        k : 0 or more, as some stacks ask for none
        where : of a document, whether it may be found; becomes a mask of rows, so the k best are those among the allowed. It must
            not call this object. Cost: a call a document with a vector
        options : rerank, symmetric, num_threads, as `Index.search` has them

        Scores are inner products or cosines, larger is better, or squared distances, smaller is better. Raises as `Index.search`.
        """
        k = check_int("search", "k", k, 0, MAX_K)
        with self._lock.shared:
            if self._index is None or k == 0:
                return []
            q = np.asarray(q)
            if q.ndim != 1:
                raise ValueError(f"search: q expected one vector, got shape {q.shape}")
            mask = None
            if where is not None:
                names = self._index.keys
                mask = np.fromiter((bool(where(self.documents[name])) for name in names), np.bool_, len(names))
            scores, keys = self._index.search(q, k, allow=mask, **options)
            found = zip(keys[0].tolist(), scores[0].tolist(), strict=True)
            return [(key, self.documents[key], score) for key, score in found if key is not None]

    # ---- change

    def upsert(self, documents: Mapping[str, Any], vectors: Mapping[str, Any], *, existing: str = "replace") -> int:
        """Takes in documents, and returns how many.

        vectors : some of the keys' vectors, all of one width. A document without one is kept, and never found by `search`
        existing : of those whose keys are there already: "replace" puts documents and vectors in the place of what was there,
            "skip" leaves that, "fail" raises KnownKey for the first

        Raises TypeError or ValueError for bad keys or vectors, and then changes nothing.
        """
        check_choice("documents", "existing", existing, ("replace", "skip", "fail"))
        with self._lock.exclusive:
            before = {key: self.documents[key] for key in documents if key in self.documents}
            if before and existing == "fail":
                raise KnownKey(next(iter(before)))
            if existing == "skip":
                documents, before = {key: doc for key, doc in documents.items() if key not in before}, {}
            index, keys = self._index, [key for key in vectors if key in documents]
            stale = [] if index is None else [key for key in documents if key not in vectors and key in index]
            self.documents.update(documents)
            try:
                if keys:
                    x = _matrix([vectors[key] for key in keys], keys)
                    if index is None:
                        index = KeyedIndex(type(self._held)(**self._held.config()).fit(x))
                    index.upsert(x, keys)
                    self._index = index
                if stale and index is not None:
                    index.remove(stale)
            except BaseException:
                for key in documents:
                    if key in before:
                        self.documents[key] = before[key]
                    elif index is None or key not in index:
                        del self.documents[key]
                raise
            return len(documents)

    def remove(self, keys: Iterable[str]) -> int:
        """Removes those of the documents that are known, and returns how many. O(1) each, amortised."""
        with self._lock.exclusive:
            known = [key for key in dict.fromkeys(keys) if key in self.documents]
            if self._index is not None:
                coded = [key for key in known if key in self._index]
                if coded:
                    self._index.remove(coded)
            for key in known:
                del self.documents[key]
            return len(known)

    def change(self, where: Where | None, how: Callable[[Any], Any]) -> int:
        """Puts `how(document)` in the place of each document that `where` holds for, and returns how many; vectors stay."""
        with self._lock.exclusive:
            new = {key: how(doc) for key, doc in self.documents.items() if where is None or where(doc)}
            self.documents.update(new)
            return len(new)

    def clear(self) -> None:
        """Removes everything. A fitted codec stays; one that was fitted by `press` too."""
        with self._lock.exclusive:
            self.documents.clear()
            if self._index is not None:
                self._index = KeyedIndex(self._index.codec)

    def press(self, codec: Codec | None = None, queries: Any = None) -> None:
        """Codes the vectors that are held in float16 or float32, and those to come.

        codec : unfitted, then it is fitted on the vectors held, or fitted; of the metric of those held. None: the one that was
            handed in and waits
        queries : [nq, d], a sample of queries, for codecs that learn from them

        What was held before is let go. Raises ValueError where there is no codec or no vector, where vectors are codes of a codec
        already (build the store anew from the texts), and for another metric; TypeError; what `fit` raises. Searches wait.
        """
        codec = self._waiting if codec is None else codec
        if codec is None:
            raise ValueError("press: codec expected a codec, for none was handed in before")
        if not isinstance(codec, Codec):
            raise TypeError(f"press: codec expected a Codec, got {type(codec).__name__}")
        with self._lock.exclusive:
            if self._index is None or not len(self._index):
                raise ValueError("press: expected vectors to learn from, there are none")
            if not isinstance(self._index.codec, Raw):
                raise ValueError(f"press: expected vectors that are held as they are, got codes of {self._index.codec!r}")
            if codec.metric != self.metric:
                raise ValueError(f"press: codec expected metric {self.metric!r}, as the vectors are held, got {codec.metric!r}")
            keys = self._index.keys
            x = self._index.vectors(keys)
            fitted = codec if codec.is_fitted else type(codec)(**codec.config()).fit(x, queries)
            index = KeyedIndex(fitted)
            index.add(x, keys)
            self._index, self._waiting = index, None

    # ---- files

    def save(self, path: Any, dump: Callable[[Any], Any], **about: Any) -> None:
        """Writes the folder `path`: an index (.vpz), the documents (JSON lines), and store.json, which names the two.

        dump : a document as JSON values
        about : JSON values that `load` gives back

        store.json is replaced last and names files of this save alone: a folder holds the store as it was before or as it is now.
        Raises TypeError or ValueError that names the first document that is no JSON, OSError, TypeError if `path` is no path.
        """
        check_path("save", path)
        folder = Path(os.fsdecode(path))
        with self._lock.shared:
            folder.mkdir(parents=True, exist_ok=True)
            mark = secrets.token_hex(8)
            names: dict[str, Any] = {"index": None, "documents": f"documents-{mark}.jsonl"}
            crc = 0
            before = _manifest(folder, missing=True)
            try:
                with replacing(folder / names["documents"]) as file:
                    for key, document in self.documents.items():
                        line = _line(key, dump(document))
                        crc = zlib.crc32(line, crc)
                        file.write(line)
                if self._index is not None:
                    names["index"] = f"index-{mark}.vpz"
                    self._index.save(folder / names["index"])
                manifest = {
                    "format": FORMAT, "version": VERSION, **names, "documents_checksum": f"crc32:{crc:08x}",
                    "held": _described(self._held), "waiting": self._waiting and _described(self._waiting), "about": about,
                }  # fmt: skip
                text = json.dumps(manifest, allow_nan=False, indent=1)
                with replacing(folder / MANIFEST) as file:
                    file.write(text.encode())
            except BaseException:
                with suppress(CorruptFileError):
                    if (_manifest(folder, missing=True) or {}).get("documents") != names["documents"]:
                        _unlink(folder, names)
                raise
        _unlink(folder, before or {})

    @classmethod
    def load(cls, path: Any, parse: Callable[[str, Any], Any], *, mmap: bool = False) -> tuple[Self, dict[str, Any]]:
        """What `save` wrote, and its `about`.

        parse : a document from its key and its JSON values
        mmap : leave the codes in the file; then nothing can be changed

        Nothing in the folder is trusted or run. Raises FileNotFoundError or another OSError, CorruptFileError for anything that
        is not whole and consistent, TypeError if `path` is no path.
        """
        check_path("load", path)
        folder = Path(os.fsdecode(path))
        where = folder / MANIFEST
        manifest = _manifest(folder) or {}
        store = cls()
        try:
            store._held = _undescribed(manifest["held"])
            store._waiting = manifest["waiting"] and _undescribed(manifest["waiting"])
            about, checksum = manifest["about"], manifest["documents_checksum"]
            if not isinstance(about, dict):
                raise ValueError(f"about expected an object, got {type(about).__name__}")
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"{where}: {type(error).__name__}: {error}") from None
        name, crc = folder / manifest["documents"], 0
        with open(name, "rb") as file:
            for number, line in enumerate(file, 1):
                crc = zlib.crc32(line, crc)
                try:
                    record = json.loads(line)
                    key = record["key"]
                    if not isinstance(key, str) or key in store.documents:
                        raise ValueError(f"key expected a new str, got {key!r}")
                    store.documents[key] = parse(key, record["document"])
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                    raise CorruptFileError(f"{name}: line {number}: {type(error).__name__}: {error}") from None
        if checksum != f"crc32:{crc:08x}":
            raise CorruptFileError(f"{name}: checksum expected {checksum}, got crc32:{crc:08x}")
        if manifest["index"] is None and not isinstance(store._held, Raw):
            raise CorruptFileError(f"{where}: expected an index, as vectors are held by {store._held!r}")
        if manifest["index"] is not None:
            index = load_file(folder / manifest["index"], mmap=mmap)
            if not isinstance(index, KeyedIndex) or index.codec.metric != store._held.metric:
                raise CorruptFileError(f"{folder / manifest['index']}: expected an index with text keys of the store's metric")
            missing = next((key for key in index.keys if key not in store.documents), None)
            if missing is not None:
                raise CorruptFileError(f"{name}: there is no document of key {missing!r}, which the index holds")
            store._index = index
        return store, about


def _line(key: str, document: Any) -> bytes:
    """A document as a line. Raises TypeError or ValueError that names it where JSON cannot say it, or says something else."""
    try:
        line = json.dumps({"key": key, "document": document}, allow_nan=False, ensure_ascii=False).encode() + b"\n"
        same = json.loads(line)["document"] == document  # tuples become lists, keys text
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"save: document {key!r} expected JSON values: {error}") from None
    if not same:
        raise ValueError(f"save: document {key!r} expected JSON values, got some that JSON turns into others (tuples, keys)")
    return line


def _matrix(rows: list[Any], keys: list[str]) -> np.ndarray:
    """Vectors as a matrix. Raises ValueError that names the key of the first of another width."""
    arrays = [np.asarray(row) for row in rows]
    for key, array in zip(keys, arrays, strict=True):
        if array.shape != arrays[0].shape or array.ndim != 1:
            raise ValueError(f"documents: vector of {key!r} expected shape {arrays[0].shape[:1]}, got {array.shape}")
    return np.stack(arrays)


def _described(codec: Codec) -> dict[str, Any]:
    return {"name": type(codec).__name__, "config": codec.config()}


def _undescribed(value: Any) -> Codec:
    return codec_class(value["name"])(**value["config"])


def _manifest(folder: Path, missing: bool = False) -> dict[str, Any] | None:
    """The checked store.json; None if there is none and that may be."""
    path = folder / MANIFEST
    if missing and not path.exists():
        return None
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise CorruptFileError(f"{path}: not a store of vecpress")
    if value.get("version") != VERSION:
        raise CorruptFileError(f"{path}: version expected {VERSION}, got {value.get('version')!r}")
    for what, pattern in NAMES.items():
        name = value.get(what)
        if not (isinstance(name, str) and pattern.fullmatch(name)) and not (what == "index" and name is None):
            raise CorruptFileError(f"{path}: {what} expected a name of the folder's own, got {name!r}")
    return value


def _unlink(folder: Path, names: Mapping[str, Any]) -> None:
    for what in NAMES:
        if names.get(what) is not None:
            with suppress(OSError):
                os.unlink(folder / names[what])
