"""The codes of an index on a device: the counterpart of `vecpress.contents.Column`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .codec import Codec
from .contents import Column, Contents
from .cuda import library
from .cuda.blocks import DeviceBlocks
from .cuda.library import call
from .cuda.memory import DeviceArray, Memory
from .errors import BackendError
from .ops.blocks import BLOCK

T = TypeVar("T")


MOVED = 1 << 16  # rows that are moved at a time
Staging = tuple[DeviceArray, DeviceArray]  # codes on their way, and the rows that they come from and go to


class DeviceColumn(Column):
    """Codes of one codec in a device's groups, and room for more behind the last row."""

    def __init__(self, codec: Codec, device: int):
        self.codec, self.number, self.device = codec, device, f"cuda:{device}"  # type: ignore[misc]
        self.memory, self._blocks = Memory(0, device), 0
        self._ids: DeviceArray | None = None
        self._lock = threading.Lock()

    @property
    def room(self) -> int:
        return self._blocks

    @property
    def nbytes(self) -> int:
        ids = self._ids
        return self.memory.nbytes + (0 if ids is None else ids.nbytes)

    def blocks(self, n: int, ids: np.ndarray | None = None) -> DeviceBlocks:
        """ids: those of the rows, of which the device keeps a copy."""
        codec = self.codec
        there = None if ids is None else self._ids_there(ids)
        return DeviceBlocks(
            np.zeros((0, 0), np.uint8), n, codec.code_size, codec.head, codec.group,
            memory=self.memory, device=self.number, ids=there,
        )  # fmt: skip

    def resize(self, blocks: int) -> None:
        kept, new = self.memory, Memory(library.load().vp_cuda_codes_bytes(blocks * BLOCK, self.codec.code_size), self.number)
        call("wait_all", self.number)  # searches may still read the old memory
        call("copy", self.number, new.pointer, kept.pointer, min(kept.nbytes, new.nbytes), None)
        call("wait", self.number, None)
        self.memory, self._blocks = new, blocks

    def staging(self, count: int) -> Staging:
        """What moving so many rows takes, `MOVED` at a time; MemoryError where it is not there."""
        count = min(count, MOVED)
        shape = (count, self.codec.code_size)
        return DeviceArray.empty(shape, np.uint8, self.number), DeviceArray.empty((2, count), np.int64, self.number)

    def move(self, moves: np.ndarray, staging: Staging) -> None:
        """The code of row moves[i, 0] over that of row moves[i, 1], one after the other; takes no memory of the device.

        No move reads where an earlier one has written, so many can be read before any is written.
        """
        codes, rows = staging
        for start in range(0, len(moves), MOVED):
            numbers = np.ascontiguousarray(moves[start : start + MOVED].T)
            count = numbers.shape[1]
            call("copy", self.number, rows.pointer, numbers.ctypes.data, numbers.nbytes, None)
            size, data = self.codec.code_size, self.memory.pointer or None
            with library.on(self.number):
                call("get_rows", codes.pointer or None, data, size, rows.pointer, count, None)
                call("set_rows", data, size, rows.pointer + 8 * count, count, codes.pointer or None, None)
            call("wait", self.number, None)

    def changed(self) -> None:
        with self._lock:
            self._ids = None

    def _ids_there(self, ids: np.ndarray) -> DeviceArray:
        with self._lock:  # searches that come together copy them once
            if self._ids is None:
                self._ids = DeviceArray.of(ids, self.number)
            return self._ids


class DeviceContents(Contents):
    """Contents some of whose columns are on a device: ids change in one step of the table, and their codes in another.

    A signal handler that raises (Ctrl-C) must not come between, so both run on a thread of their own, which signals do not reach.
    """

    def __init__(self, columns: Sequence[Column], ids: Any = None, source: str | None = None, limit: int | None = None):
        super().__init__(columns, ids, source, limit)
        self._there = [column for column in self.columns if isinstance(column, DeviceColumn)]

    def _append_rows(self, r: int, ids: np.ndarray | None) -> None:
        def change() -> None:
            self.ids.append(r, ids)
            for column in self._there:
                column.changed()

        uninterrupted(change)

    def _upsert_rows(self, ids: np.ndarray) -> None:
        moves, room = self._moves(len(ids))

        def change() -> None:
            self.ids.upsert(ids, self._layouts, moves)
            self._follow(moves, room)

        uninterrupted(change)

    def _remove_rows(self, ids: np.ndarray) -> bool:
        moves, room = self._moves(len(ids))

        def change() -> bool:
            removed = self.ids.remove(ids, self._layouts, moves)
            self._follow(moves, room)
            return removed

        return uninterrupted(change)

    def _moves(self, count: int) -> tuple[np.ndarray, list[Staging]]:
        """What a change of so many rows fills in and moves by: taken before anything changes, for then nothing may fail."""
        return np.full((count, 2), -1, np.int64), [column.staging(count) for column in self._there]

    def _follow(self, moves: np.ndarray, room: list[Staging]) -> None:
        made = moves[moves[:, 0] >= 0]
        for column in self._there:
            column.changed()
        for column, staging in zip(self._there, room, strict=True):
            call("wait_all", column.number)  # searches may still read what is moved
            column.move(made, staging)


def uninterrupted(function: Callable[[], T]) -> T:
    """What function() returns or raises, after all of it has run; what a signal handler raises meanwhile is raised then."""
    results: list[T] = []
    errors: list[BaseException] = []

    done = threading.Event()

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=run).start()
    except RuntimeError:  # there is no thread to be had: nothing has begun
        raise
    except BaseException as error:  # it has: starting waits for the thread
        errors.append(error)
    while not done.is_set():
        try:
            done.wait()
        except BaseException as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return results[0]


def device_number(device: str, call: str) -> int:
    """0 for "cuda", 1 for "cuda:1". Raises ValueError for another text, BackendError where the device cannot be used."""
    name, _, number = device.partition(":")
    if name != "cuda" or not (number.isdecimal() or number == "") or device.endswith(":"):
        raise ValueError(f"{call}: device expected 'cpu', 'cuda' or 'cuda:N', got {device!r}")
    if why := library.why_not():
        raise BackendError(f"{call}: device {device!r} cannot be used: {why}")
    count = len(library.devices())
    if int(number or 0) >= count:
        raise BackendError(f"{call}: device {device!r} is not there: {count} device{'s' if count != 1 else ''}")
    library.call("probe", int(number or 0))  # raises for a device that the library has no code for
    return int(number or 0)
