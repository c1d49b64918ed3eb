"""The lock of an index: searches share it, a change has it alone, and neither side can starve the other."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

_all: weakref.WeakSet[ReadWriteLock] = weakref.WeakSet()


class _Side:
    """One way to hold the lock, as a context manager; stateless, so that many threads may use it."""

    __slots__ = ("_acquire", "_release")

    def __init__(self, acquire: Callable[[], None], release: Callable[[], None]):
        self._acquire, self._release = acquire, release

    def __enter__(self) -> None:
        self._acquire()

    def __exit__(self, *_: object) -> None:
        self._release()


class ReadWriteLock:
    """Three ways to hold it, each a context manager; none may be entered twice by one thread.

    shared : any number of threads at once
    exclusive : one thread, and nobody in `shared`
    changing : one thread, beside those in `shared`: prepares a change and takes `exclusive` inside for the
        steps that need it

    Who comes while a writer waits lets that writer go first; who waited while a writer was in goes before the
    next writer. A forked child begins with the lock free: the threads that may have held it do not exist
    there. What one of them was changing at that moment stays half changed in the child.
    """

    def __init__(self) -> None:
        self.shared = _Side(self._acquire_shared, self._release_shared)
        self.exclusive = _Side(self._acquire_exclusive, self._release_exclusive)
        self.changing = _Side(self._acquire_changing, self._release_changing)
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        self._one_change = threading.Lock()
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._writing = False
        self._waiting_readers = 0
        self._waiting_writers = 0
        self._round = 0  # counts the writers that have left

    def _acquire_shared(self) -> None:
        with self._changed:
            if self._writing or self._waiting_writers:
                came_in = self._round
                self._waiting_readers += 1
                try:
                    while came_in == self._round and (self._writing or self._waiting_writers):
                        self._changed.wait()
                except BaseException:  # Ctrl-C: out of the queue, or out of the readers where a writer had let us in
                    if came_in == self._round:
                        self._waiting_readers -= 1
                    else:
                        self._leave_shared()
                    raise
                if came_in != self._round:
                    return  # the writer that left has counted us among the readers
                self._waiting_readers -= 1
            self._readers += 1

    def _release_shared(self) -> None:
        with self._changed:
            self._leave_shared()

    def _leave_shared(self) -> None:
        self._readers -= 1
        if not self._readers:
            self._changed.notify_all()

    def _acquire_exclusive(self) -> None:
        with self._changed:
            self._waiting_writers += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
                self._writing = True
            finally:
                self._waiting_writers -= 1
                if not self._writing:
                    self._changed.notify_all()  # gave up: those who let us go first need not wait any longer

    def _release_exclusive(self) -> None:
        with self._changed:
            self._writing = False
            self._readers += self._waiting_readers
            self._waiting_readers = 0
            self._round += 1
            self._changed.notify_all()

    def _acquire_changing(self) -> None:
        self._one_change.acquire()

    def _release_changing(self) -> None:
        self._one_change.release()


def _reset_all() -> None:
    for lock in list(_all):
        lock._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
