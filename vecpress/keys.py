"""An index whose vectors have names: text keys beside the ids, in memory and in the index's file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Self

import numpy as np

from .arrays import is_torch
from .codec import Codec
from .index import Index
from .rwlock import ReadWriteLock


class KeyedIndex:
    """An `Index` that knows its vectors by text keys: `add(x, keys)`, and `search` gives keys in place of ids.

        index = vp.KeyedIndex(vp.PQ(m=48).fit(x))
        index.add(x, keys=["doc-1", "doc-2", ...])
        scores, keys = index.search(q, k=10)

    codec, store, device : as in `Index`. Vectors are numbered on from 0 in the order in which they are added, so where the store
        is the vectors themselves, the i-th key is that of row i

    A key is any str that UTF-8 can say, and stands once. It is looked up in O(1), by a dict: some 200 bytes a key beside its
    text, which `nbytes` counts. The rest, threads, failures, Ctrl-C and files included, is as in `Index`.
    """

    def __init__(self, codec: Codec, store: Any = None, *, device: str = "cpu"):
        self._hold(Index(codec, store, device=device))

    @classmethod
    def _restore(cls, index: Index, keys: Sequence[str]) -> Self:
        """Of an index and the different keys of its vectors in row order."""
        keyed = cls.__new__(cls)
        keyed._hold(index)
        keyed._learn(keys, index.ids.tolist())
        return keyed

    def _hold(self, index: Index) -> None:
        self._index = index
        index._contents.word = "key"
        # a key is known if its id leads back to it and the index holds that id: so one step of the index makes keys known, and
        # one makes them unknown, and what an interrupted call leaves here means nothing
        self._ids: dict[str, int] = {}
        self._keys: dict[int, str] = {}
        self._lock = ReadWriteLock()

    # ---- what it holds

    @property
    def codec(self) -> Codec:
        """As `Index.codec`."""
        return self._index.codec

    @property
    def store(self) -> Codec | np.ndarray | None:
        """As `Index.store`."""
        return self._index.store

    @property
    def device(self) -> str:
        """As `Index.device`."""
        return self._index.device

    @property
    def keys(self) -> list[str]:
        """The keys in row order. A removal moves the last rows into the free places."""
        with self._lock.shared:
            return self._names(self._index.ids)

    @property
    def nbytes(self) -> int:
        """Bytes held for the vectors, as `Index.nbytes`, and for their keys."""
        with self._lock.shared:
            objects = (self._ids, self._keys, *self._keys.keys(), *self._keys.values())
            return self._index.nbytes + sum(map(sys.getsizeof, objects))

    @property
    def store_nbytes(self) -> int:
        """As `Index.store_nbytes`."""
        return self._index.store_nbytes

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self._known([key])[0] >= 0)

    def __repr__(self) -> str:
        return repr(self._index).replace("<Index", "<KeyedIndex")

    def __reduce__(self) -> Any:
        raise TypeError("a KeyedIndex cannot be copied or pickled: use save(path) and vecpress.load(path)")

    def codes(self, keys: Any, *, store: bool = False, num_threads: int | None = None) -> np.ndarray:
        """As `Index.codes`, of one key or several."""
        with self._lock.shared:
            return self._index.codes(self._need("codes", keys), store=store, num_threads=num_threads)

    def vectors(self, keys: Any, *, store: bool = False, num_threads: int | None = None) -> np.ndarray:
        """As `Index.vectors`, of one key or several."""
        with self._lock.shared:
            return self._index.vectors(self._need("vectors", keys), store=store, num_threads=num_threads)

    # ---- search

    def search(self, q: Any, k: int = 10, *, allow: Any = None, **options: Any) -> tuple[Any, np.ndarray]:
        """As `Index.search`: scores float32[nq, k], and keys object[nq, k], None where nothing was found.

        allow : keys, or a list of keys for each query; masks, in the order of `keys`, as in `Index.search`
        options : rerank, symmetric, num_threads
        """
        with self._lock.shared:
            scores, ids = self._index.search(q, k, allow=self._allowed("search", allow), **options)
            return scores, self._table(ids)

    def search_radius(self, q: Any, radius: Any, *, allow: Any = None, **options: Any) -> tuple[Any, Any, np.ndarray]:
        """As `Index.search_radius`: offsets int64[nq + 1], scores float32[r], keys object[r]; the rest as in `search`."""
        with self._lock.shared:
            offsets, scores, ids = self._index.search_radius(q, radius, allow=self._allowed("search_radius", allow), **options)
            return offsets, scores, self._table(ids)

    # ---- change

    def add(self, x: Any = None, keys: Any = None, *, num_threads: int | None = None) -> None:
        """As `Index.add`, with a new key for each vector. A ValueError names the first key that is known or repeated."""
        with self._lock.changing:
            names = self._new("add", keys)
            with _Naming(self, names) as ids:
                self._index.add(x, ids, num_threads=num_threads)

    def add_codes(self, codes: Any, keys: Any = None, *, store_codes: Any = None, num_threads: int | None = None) -> None:
        """As `Index.add_codes`; keys as in `add`."""
        with self._lock.changing:
            names = self._new("add_codes", keys)
            with _Naming(self, names) as ids:
                self._index.add_codes(codes, ids, store_codes=store_codes, num_threads=num_threads)

    def upsert(self, x: Any = None, keys: Any = None, *, num_threads: int | None = None) -> None:
        """As `Index.upsert`, by keys."""
        with self._lock.changing:
            names = _different("upsert", _texts("upsert", keys))
            ids = self._known(names)
            new = np.flatnonzero(ids < 0)
            with _Naming(self, [names[i] for i in new.tolist()]) as more:
                ids[new] = more
                self._index.upsert(x, ids, num_threads=num_threads)

    def remove(self, keys: Any) -> None:
        """As `Index.remove`, by keys: one or several."""
        with self._lock.changing:
            names = _different("remove", _texts("remove", keys))
            ids = self._need("remove", names)
            self._index.remove(ids)
            with self._lock.exclusive:  # a search that found the ids still looks for their keys
                self._forget(names, ids.tolist())

    def merge(self, other: KeyedIndex, *, num_threads: int | None = None) -> None:
        """As `Index.merge`: the other's vectors come with their keys. A ValueError names the first key that is in both."""
        if not isinstance(other, KeyedIndex):
            raise TypeError(f"merge: other expected a KeyedIndex, got {type(other).__name__}")
        if other is self:
            raise ValueError("merge: other expected another index than this one")
        first, second = sorted((self._lock, other._lock), key=id)  # as in Contents.merge
        with first.changing, second.changing:
            names = self._new("merge", other._names(other._index.ids))
            with _Naming(self, names):
                self._index.merge(other._index, renumber=True, num_threads=num_threads)

    def truncate(self, code_size: int, *, num_threads: int | None = None) -> KeyedIndex:
        """As `Index.truncate`, under the same keys."""
        with self._lock.shared:
            index = self._index.truncate(code_size, num_threads=num_threads)
            return type(self)._restore(index, self._names(index.ids))

    def with_codec(self, codec: Codec, *, num_threads: int | None = None) -> KeyedIndex:
        """As `Index.with_codec`, under the same keys."""
        with self._lock.shared:
            index = self._index.with_codec(codec, num_threads=num_threads)
            return type(self)._restore(index, self._names(index.ids))

    def to(self, device: str, *, num_threads: int | None = None) -> KeyedIndex:
        """As `Index.to`, under the same keys."""
        with self._lock.shared:
            index = self._index.to(device, num_threads=num_threads)
            return type(self)._restore(index, self._names(index.ids))

    def save(self, path: Any) -> None:
        """Writes a .vpz file (vecpress/io.py): complete or not at all."""
        from . import io

        with self._lock.shared:
            io.save_index(self._index, path, self._names)

    # ---- keys and ids

    def _known(self, names: Sequence[str]) -> np.ndarray:
        """int64[r]: the ids of keys, -1 where one is unknown."""
        ids = np.fromiter((self._ids.get(name, -1) for name in names), np.int64, len(names))
        ids[[self._keys.get(i) != name for i, name in zip(ids.tolist(), names, strict=True)]] = -1
        contents = self._index._contents
        with contents.lock.shared:
            ids[contents.find(ids) < 0] = -1
        return ids

    def _need(self, call: str, keys: Any) -> np.ndarray:
        names = _texts(call, keys)
        ids = self._known(names)
        unknown = np.flatnonzero(ids < 0)
        if len(unknown):
            raise ValueError(f"{call}: keys expected keys that the index holds, {names[unknown[0]]!r} is unknown")
        return ids

    def _new(self, call: str, keys: Any) -> list[str]:
        names = _texts(call, keys)
        known = np.flatnonzero(self._known(names) >= 0)
        if len(known):
            raise ValueError(f"{call}: keys expected new and different keys, {names[known[0]]!r} is there already")
        return _different(call, names)

    def _allowed(self, call: str, allow: Any) -> Any:
        """Keys in a filter become ids."""
        if is_torch(allow) or isinstance(allow, np.ndarray):
            allow = allow.tolist() if allow.dtype.kind in "UO" else allow  # type: ignore[union-attr]
        if not isinstance(allow, (list, tuple)) or not len(allow):
            return allow
        if isinstance(allow[0], str):
            return self._need(f"{call}: allow", allow)
        return [self._allowed(call, one) for one in allow] if allow[0] is None or np.ndim(allow[0]) else allow

    def _names(self, ids: np.ndarray) -> list[str]:
        return [self._keys[i] for i in ids.tolist()]

    def _table(self, ids: Any) -> np.ndarray:
        """object, of the shape of `ids`: their keys, None for -1."""
        array = ids.cpu().numpy() if is_torch(ids) else ids
        out = np.empty(array.size, object)
        out[:] = [None if i < 0 else self._keys[i] for i in array.ravel().tolist()]
        return out.reshape(array.shape)

    def _learn(self, names: Iterable[str], ids: Iterable[int]) -> None:
        for name, i in zip(names, ids, strict=True):
            self._keys[i] = name
            self._ids[name] = i

    def _forget(self, names: Iterable[str], ids: Iterable[int]) -> None:
        for name, i in zip(names, ids, strict=True):
            if self._ids.get(name) == i:
                del self._ids[name]
            self._keys.pop(i, None)


class _Naming:
    """Gives new names the next ids, which mean nothing until the index holds them; takes back what it does not come to hold."""

    def __init__(self, index: KeyedIndex, names: list[str]):
        self.index, self.names = index, names

    def __enter__(self) -> np.ndarray:
        first = self.index._index._contents.ids.next_id
        self.ids = np.arange(first, first + len(self.names))
        self.index._learn(self.names, self.ids.tolist())
        return self.ids

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            contents = self.index._index._contents
            with suppress(ValueError), contents.lock.shared:
                lost = contents.find(self.ids) < 0  # Ctrl-C also comes when the change is complete
                self.index._forget([n for n, gone in zip(self.names, lost, strict=True) if gone], self.ids[lost].tolist())


def _texts(call: str, keys: Any) -> list[str]:
    """Keys as callers hand them in, one or a sequence. TypeError for what is no text, ValueError for what UTF-8 cannot say."""
    if isinstance(keys, np.ndarray):
        keys = keys.tolist()
    if isinstance(keys, str):
        keys = [keys]
    if not isinstance(keys, (list, tuple)):
        raise TypeError(f"{call}: keys expected a list of str, got {type(keys).__name__}")
    for place, key in enumerate(keys):
        if not isinstance(key, str):
            raise TypeError(f"{call}: keys expected str, got {type(key).__name__} at {place}")
    names = [str(key) for key in keys]
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{call}: keys expected text that UTF-8 can say, got {error.object[error.start]!r} in one") from None
    return names


def _different(call: str, names: list[str]) -> list[str]:
    seen: set[str] = set()
    if len(set(names)) < len(names):
        for name in names:
            if name in seen:
                raise ValueError(f"{call}: keys expected different keys, {name!r} is there twice")
            seen.add(name)
    return names
