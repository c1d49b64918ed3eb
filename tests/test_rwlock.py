"""The readers-writer lock: who excludes whom, and that nobody starves."""

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


@pytest.mark.parametrize("waits", ["shared", "exclusive"])
@pytest.mark.parametrize("let_in", [False, True])
def test_who_gives_up_waiting_does_not_block_the_others(waits, let_in, monkeypatch):
    """Ctrl-C while waiting, before and after the writer has left."""
    lock = ReadWriteLock()
    lock.exclusive.__enter__()

    def interrupted(timeout=None):
        if let_in:  # the writer leaves, but the signal comes before the waiting thread goes on
            lock._writing, lock._readers = False, lock._readers + lock._waiting_readers
            lock._waiting_readers, lock._round = 0, lock._round + 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lock._changed, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            getattr(lock, waits).__enter__()
    if not let_in:
        lock.exclusive.__exit__()

    def both():
        with lock.shared:
            pass
        with lock.exclusive:
            pass

    join(start(both))


def test_readers_go_on_when_the_writer_they_let_go_first_gives_up(monkeypatch):
    lock, give_up, writer = ReadWriteLock(), threading.Event(), []
    wait = lock._changed.wait

    def interruptible(timeout=None):
        if threading.current_thread() not in writer:
            return wait(timeout)
        while not give_up.is_set():
            wait(0.01)
        raise KeyboardInterrupt

    def write():
        with pytest.raises(KeyboardInterrupt):
            lock.exclusive.__enter__()

    def read():
        with lock.shared:
            pass

    monkeypatch.setattr(lock._changed, "wait", interruptible)
    with lock.shared:
        writer.append(threading.Thread(target=write, daemon=True))
        writer[0].start()
        while not lock._waiting_writers:
            time.sleep(0.001)
        reader = start(read)
        while not lock._waiting_readers:
            time.sleep(0.001)
        give_up.set()
        join(*writer, reader)
