"""What an index is to take in: how many vectors, their ids, and their codes by every codec of the index, made when asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import dispatch
from .codec import Codec
from .contents import Contents, Part
from .ids import as_ids
from .sources import open_source
from .store import CodecStore, Store, VectorStore

WORTH_THE_WAY = 256  # rows


def encoded(
    call: str, x: Any, ids: Any, codec: Codec, store: Store | None, contents: Contents, num_threads: int | None
) -> tuple[int, Any, Iterable[Part]]:
    """Vectors for `Index.add` and `upsert`, which say what x and ids are. Raises TypeError or ValueError for what is none."""
    what = f"{call}: x"
    # as Codec.encode; the rows are checked under another name
    where = contents.columns[0].device
    encode = [codec._encode if where == "cpu" else functools.partial(_encode_there, codec, int(where.partition(":")[2]))]
    if x is None:
        if not isinstance(store, VectorStore):
            raise TypeError(f"{what} expected vectors, got None, and the index has no store to take them from")
        numbers = np.arange(contents.ids.next_id, store.limit) if ids is None else as_ids(ids, f"{call}: ids")
        return len(numbers), numbers, parts_of(store.blocks(numbers, codec, call), encode, num_threads)
    largest = codec.largest
    if isinstance(store, CodecStore):
        encode.append(store.codec._encode)
        largest = min(largest, store.codec.largest)
    source = open_source(x, what, codec.dim, unit=codec.metric == "cos", largest=largest, num_threads=num_threads)
    parts = parts_of(source.blocks(), encode, num_threads)
    if source.n is not None:
        return source.n, ids, parts
    made = list(parts)  # an iterator tells at its end
    return sum(len(codes[0]) for _, codes in made), ids, made


def _encode_there(codec: Codec, device: int, block: np.ndarray, num_threads: int | None) -> np.ndarray:
    """The same codes, made by the device where it has kernels for the codec's operations and the rows are worth the way."""
    if len(block) < WORTH_THE_WAY:
        return codec._encode(block, num_threads)
    from .cuda import backend

    token = backend.device.set(device)
    try:
        with dispatch.prefer("cuda"):
            return codec._encode(block, num_threads)
    finally:
        backend.device.reset(token)


def parts_of(
    blocks: Iterable[tuple[int, np.ndarray]], encode: list[Callable[..., np.ndarray]], num_threads: int | None
) -> Iterable[Part]:
    """Blocks of vectors as the codes of every column."""
    return ((start, [one(block, num_threads) for one in encode]) for start, block in blocks)
