"""The lock of an index: searches share it, a change has it alone, and neither side can starve the other."""

from __future__ import annotations

from . import native


class ReadWriteLock:
    """Three ways to hold it, each a context manager; none may be entered twice by one thread.

    shared : any number of threads at once
    exclusive : one thread, and nobody in `shared`
    changing : one thread, beside those in `shared`: prepares a change and takes `exclusive` inside for the
        steps that need it

    Who comes while a writer waits lets that writer go first; who waited while a writer was in goes before the
    next writer. Who waits lets other Python threads run and answers to Ctrl-C; whenever a signal handler raises,
    the lock is free again behind the `with` block, for entering and leaving are single steps of compiled code
    (csrc/core/rwlock.cpp). A forked child begins with the lock free: the threads that may have held it do not
    exist there.
    """

    __slots__ = ("changing", "exclusive", "shared")

    def __init__(self) -> None:
        self.shared, self.exclusive, self.changing = native.read_write_lock()
