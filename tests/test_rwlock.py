"""The readers-writer lock: who excludes whom, and that nobody starves. Interrupts: test_interrupts.py."""

import threading
import time

import pytest

from vecpress.rwlock import ReadWriteLock

LIMIT = 30  # seconds until a test that hangs counts as failed


def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def join(*threads):
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive(), "the lock hangs"


def test_readers_share():
    lock, meet = ReadWriteLock(), threading.Barrier(3, timeout=LIMIT)

    def read():
        with lock.shared:
            meet.wait()  # reached only if all three are in at once

    join(*(start(read) for _ in range(3)))
    assert not meet.broken


@pytest.mark.parametrize("first", ["shared", "exclusive"])
@pytest.mark.parametrize("second", ["shared", "exclusive"])
def test_a_writer_is_alone(first, second):
    lock, entered = ReadWriteLock(), threading.Event()

    def enter():
        with getattr(lock, second):
            entered.set()

    with getattr(lock, first):
        thread = start(enter)
        assert entered.wait(0.05) == (first == second == "shared")
    join(thread)
    assert entered.is_set()


def test_one_change_at_a_time_beside_readers():
    lock, entered = ReadWriteLock(), threading.Event()

    def change():
        with lock.changing:
            entered.set()

    with lock.changing:
        with lock.shared:
            thread = start(change)
            assert not entered.wait(0.05)
        with lock.exclusive:
            pass
    join(thread)


def test_writers_get_in_among_readers_without_pause():
    lock, stop = ReadWriteLock(), threading.Event()

    def read():
        while not stop.is_set():
            with lock.shared:
                time.sleep(0.001)

    def write():
        for _ in range(20):
            with lock.exclusive:
                pass

    readers = [start(read) for _ in range(4)]  # with four of them, there is always one in
    writer = start(write)
    join(writer)
    stop.set()
    join(*readers)


def test_readers_get_in_among_writers_without_pause():
    lock, stop = ReadWriteLock(), threading.Event()

    def write():
        while not stop.is_set():
            with lock.exclusive:
                time.sleep(0.001)

    def read():
        for _ in range(20):
            with lock.shared:
                pass

    writers = [start(write) for _ in range(3)]
    reader = start(read)
    join(reader)
    stop.set()
    join(*writers)


@pytest.mark.parametrize("side", ["shared", "exclusive", "changing"])
def test_an_exception_leaves_it_free(side):
    lock = ReadWriteLock()
    with pytest.raises(KeyError), getattr(lock, side):
        raise KeyError
    for again in ("shared", "exclusive", "changing"):
        join(start(lambda again=again: getattr(lock, again).__enter__() or getattr(lock, again).__exit__()))
