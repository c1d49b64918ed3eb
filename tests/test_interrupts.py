"""A signal handler that raises (Ctrl-C) at any moment leaves an index as it was before the call or as it is after, and usable."""

import functools
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import vecpress as vp
from vecpress.rwlock import ReadWriteLock

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")

PACKAGE = str(Path(vp.__file__).parent)
DIM = 8
LIMIT = 30  # seconds until a test that hangs counts as failed


class Interrupted(BaseException):  # like KeyboardInterrupt
    pass


@pytest.fixture
def alarm():
    """Sets a timer whose signal raises Interrupted."""

    def handler(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def codec():
    return vp.Sign().fit(np.random.default_rng(0).standard_normal((50, DIM)).astype(np.float32))


@pytest.fixture(scope="module")
def finer(codec):
    return vp.Raw().fit(np.ones((1, DIM), np.float32))


@pytest.fixture(scope="module")
def codes(codec):
    return np.random.default_rng(1).integers(0, 256, (4000, codec.code_size), np.uint8)


def stored(codes):
    """Codes by `finer` that go with codes by `codec`, so that a row whose columns do not belong together is found.

    A vector of 255s has both.
    """
    return np.repeat(codes.astype(np.float32), DIM, axis=1).view(np.uint8)


def held(index):
    """The id and code of every vector, and that the store's code is the one that belongs to it."""
    ids = index.ids
    codes = index.codes(ids)
    if index.store is not None:
        np.testing.assert_array_equal(index.codes(ids, store=True), stored(codes))
    return dict(zip(ids.tolist(), map(bytes, codes), strict=True))


def works(index, codes):
    """Everything that takes the lock, in another thread, so that a lock that stayed taken is found."""

    def use():
        new = int(index.ids.max(initial=0)) + 1_000_000
        index.add_codes(codes[:1], ids=[new], store_codes=None if index.store is None else stored(codes[:1]))
        assert index.codes([new]).tobytes() == codes[:1].tobytes()
        index.search(np.ones(DIM, np.float32), 1)
        index.remove(new)
        done.append(True)

    done = []
    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(LIMIT)
    return bool(done)


@functools.cache
def lines_of(path):
    return [line.strip() for line in Path(path).read_text().splitlines()]


def run_until(place, call, *arguments):
    """Calls, and raises Interrupted at the package's line that is run as number `place`; whether the call ended before it."""
    seen = 0

    def trace(frame, event, argument):
        nonlocal seen
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE):
            return None
        # not where no signal is handled: at `try`, and at `with`, where leaving a block shows up as well
        if event == "line" and not lines_of(path)[frame.f_lineno - 1].startswith(("with ", "try:")):
            if seen == place:
                sys.settrace(None)
                raise Interrupted
            seen += 1
        return trace

    sys.settrace(trace)
    try:
        call(*arguments)
        return True
    except Interrupted:
        return False
    finally:
        sys.settrace(None)


CHANGES = {
    "add": lambda i, codes: i.add(np.ones((70, DIM), np.float32)),
    "add, explicit": lambda i, codes: i.add(np.ones((70, DIM), np.float32), ids=np.arange(700, 770)),
    "add_codes": lambda i, codes: i.add_codes(codes[200:300]),
    "add_codes, explicit": lambda i, codes: i.add_codes(codes[200:300], ids=np.arange(900, 800, -1)),
    "remove": lambda i, codes: i.remove(np.arange(1, 90, 2)),
    "remove, nearly all": lambda i, codes: i.remove(np.arange(99)),
    "upsert, known": lambda i, codes: i.upsert(np.ones((70, DIM), np.float32), np.arange(20, 90)),
    "upsert, new": lambda i, codes: i.upsert(np.ones((70, DIM), np.float32), np.arange(7000, 7070)),
    "upsert, both": lambda i, codes: i.upsert(np.ones((200, DIM), np.float32), np.arange(7199, 7599, 2) % 7250),
    "merge": lambda i, codes: i.merge(another(i, codes)),
    "merge, numbered on": lambda i, codes: i.merge(another(i, codes), renumber=True),
}
STORED = {
    "add_codes": lambda i, codes: i.add_codes(codes[200:300], store_codes=stored(codes[200:300])),
    "remove": CHANGES["remove"],
    "remove, nearly all": CHANGES["remove, nearly all"],
    "add": lambda i, codes: i.add(np.full((70, DIM), 255, np.float32), np.arange(700, 770)),
    "upsert": lambda i, codes: i.upsert(np.full((200, DIM), 255, np.float32), np.arange(7199, 7599, 2) % 7250),
    "merge": CHANGES["merge"],
}


def another(index, codes):
    """What can be merged into the index."""
    new = vp.Index(index.codec, store=index.store)
    new.add_codes(codes[500:600], np.arange(500, 600), store_codes=None if index.store is None else stored(codes[500:600]))
    return new


@pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
@pytest.mark.parametrize(("change", "store"), [*((c, False) for c in CHANGES), *((c, True) for c in STORED)])
def test_at_every_line(change, store, explicit, codec, finer, codes):
    """Raises at the first line of the package that the call runs, then at the second, ... until it runs through."""
    call = (STORED if store else CHANGES)[change]

    def fresh():
        index = vp.Index(codec, store=finer if store else None)
        ids = np.arange(100) if explicit else None
        index.add_codes(codes[:100], ids=None, store_codes=stored(codes[:100]) if store else None)
        if explicit:  # ids in memory, where removals left them
            index.add_codes(codes[:1], ids=[900], store_codes=stored(codes[:1]) if store else None)
            index.remove([900])
            assert index._contents.ids.ids is not None and index.ids.tolist() == ids.tolist()
        return index

    index = fresh()
    before = held(index)
    call(index, codes)
    after = held(index)
    assert before != after
    for place in itertools.count():
        index = fresh()
        finished = run_until(place, call, index, codes)
        state = held(index)
        assert state in (before, after), f"interrupted at line {place}"
        assert works(index, codes), f"the lock stayed taken after an interrupt at line {place}"
        assert held(index) == state
        if finished:
            break
    assert place > 10


def test_at_any_time(alarm, codec, codes):
    """Real signals at random times, against a dictionary, until a hundred have cut a call short."""
    rng, end, cut = np.random.default_rng(0), time.monotonic() + LIMIT, 0
    index = vp.Index(codec)
    index.add_codes(codes[:3000])
    model, ones = held(index), np.full((400, DIM), 255, np.float32)
    while cut < 100 and time.monotonic() < end:
        old = rng.permutation(list(model))[:400]
        new = np.setdiff1d(np.arange(4000), list(model))[:400]
        both = rng.permutation(4000)[:400]
        steps = [
            (index.add_codes, (codes[new], new), model | {int(i): codes[i].tobytes() for i in new}),
            (index.remove, (old,), {i: code for i, code in model.items() if i not in set(old.tolist())}),
            (index.upsert, (ones[: len(both)], both), model | dict.fromkeys(both.tolist(), b"\xff")),
        ]
        call, arguments, after = steps[rng.integers(3)]
        try:
            alarm(float(rng.uniform(1e-6, 5e-4)))
            call(*arguments)
            alarm(0)
        except Interrupted:
            cut += 1
        state = held(index)
        assert state in (model, after)
        model = state
    assert cut >= 10 and works(index, codes)


@pytest.mark.parametrize("side", ["shared", "exclusive", "changing"])
def test_who_waits_for_the_lock_answers_at_once_and_is_forgotten(side, alarm):
    lock, entered, leave = ReadWriteLock(), threading.Event(), threading.Event()

    def hold():
        with lock.changing, lock.exclusive:
            entered.set()
            leave.wait(LIMIT)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    entered.wait(LIMIT)
    waited = []
    for _ in range(3):  # the best counts: another process may hold up one of them
        start = time.monotonic()
        with pytest.raises(Interrupted):
            alarm(0.05)
            with getattr(lock, side):
                pytest.fail("two are in")
        waited.append(time.monotonic() - start - 0.05)
    assert min(waited) < 0.2
    leave.set()
    holder.join(LIMIT)

    def enter():
        for again in ("shared", "exclusive", "changing"):
            with getattr(lock, again):
                pass
        done.append(True)

    done = []
    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_child_forked_by_a_signal_handler_while_waiting_finds_the_lock_free():
    lock, entered, leave, children = ReadWriteLock(), threading.Event(), threading.Event(), []

    def hold():
        with lock.exclusive:
            entered.set()
            leave.wait(LIMIT)

    def handler(*_):
        children.append(os.fork())
        if children[0]:
            leave.set()

    before = signal.signal(signal.SIGALRM, handler)
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    entered.wait(LIMIT)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with lock.shared:
            if not children[0]:
                os._exit(7)
    finally:
        signal.signal(signal.SIGALRM, before)
    end = time.monotonic() + LIMIT
    while (ended := os.waitpid(children[0], os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(children[0], signal.SIGKILL)
    assert os.waitstatus_to_exitcode(ended[1]) == 7 and ended[0]


def test_a_save_is_whole_or_nothing_at_every_line(codec, codes, tmp_path):
    index, path = vp.Index(codec), tmp_path / "i.vpz"
    index.add_codes(codes[:100])
    old = index.codes(index.ids)
    index.save(path)
    index.add_codes(codes[:50])
    for place in itertools.count():
        finished = run_until(place, index.save, path)
        found = vp.load(path)
        assert len(found) in (100, 150) and found.codes(np.arange(100)).tobytes() == old.tobytes()
        assert [p.name for p in tmp_path.iterdir()] == ["i.vpz"]
        if finished:
            break
    assert place > 20 and len(found) == 150


def test_readers_go_on_when_the_writer_they_let_go_first_gives_up(alarm):
    lock, reading, leave = ReadWriteLock(), threading.Event(), threading.Event()
    entered = threading.Event()

    def read():
        with lock.shared:
            reading.set()
            leave.wait(LIMIT)

    def read_later():
        time.sleep(0.1)  # the main thread waits to write by now
        with lock.shared:
            entered.set()

    threads = [threading.Thread(target=function, daemon=True) for function in (read, read_later)]
    threads[0].start()
    reading.wait(LIMIT)
    threads[1].start()
    with pytest.raises(Interrupted):
        alarm(0.3)
        with lock.exclusive:
            pytest.fail("written while another reads")
    assert entered.wait(1)
    leave.set()
    for thread in threads:
        thread.join(LIMIT)
