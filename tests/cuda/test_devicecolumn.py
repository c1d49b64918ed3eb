"""What keeps an index on a device whole, as far as it needs no device: uninterrupted changes, the pool of memory."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from vecpress.cuda.memory import POOLED, Pool
from vecpress.devicecolumn import uninterrupted


class Ring(BaseException):
    """What the tests' signal handler raises."""


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread")
def test_a_signal_waits_until_all_of_a_change_has_run():
    def ring(*_):
        raise Ring

    done = []

    def change() -> str:
        for step in range(5):
            time.sleep(0.03)
            done.append(step)
        return "changed"

    before = signal.signal(signal.SIGUSR1, ring)
    timer = threading.Timer(0.04, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(Ring):
            uninterrupted(change)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert done == [0, 1, 2, 3, 4]


def test_what_a_change_returns_and_raises_comes_through():
    def fail() -> None:
        raise MemoryError("none")

    assert uninterrupted(lambda: 7) == 7
    with pytest.raises(MemoryError, match="none"):
        uninterrupted(fail)


def test_the_pool_hands_on_pieces_of_a_size_and_a_device_up_to_a_limit():
    pool = Pool()
    assert pool.take(0, 512) == 0
    assert pool.give(0, 512, 1000) and pool.give(0, 1024, 2000) and pool.give(1, 512, 3000)
    assert (pool.take(0, 512), pool.take(0, 512), pool.take(1, 512), pool.take(0, 1024)) == (1000, 0, 3000, 2000)
    piece = POOLED // 4
    assert all(pool.give(0, piece, 1 + i) for i in range(4))
    assert not pool.give(0, 512, 9) and pool.give(1, 512, 9)
    assert pool.take(0, piece) and pool.give(0, 512, 9)
