"""The thread pool: the same results from any number of threads, after fork(), for many callers, and an answer to Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import vecpress as vp
from vecpress import native, ops
from vecpress.ops import Blocks

ROOT = Path(vp.__file__).parent.parent
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")

DATA = """
import os, sys, time
import numpy as np
import vecpress as vp
from vecpress import ops
from vecpress.ops import Blocks
rng = np.random.default_rng(0)
"""


def start(code: str, **environment: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("VECPRESS_")} | environment
    command = [sys.executable, "-c", DATA + code]
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child: subprocess.Popen[str], timeout: float = 60) -> str:
    """What the child printed; it is killed, and the test fails, when it takes longer than `timeout` seconds."""
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        pytest.fail(f"no end after {timeout} s; printed {out!r} {err!r}")
    assert child.returncode == 0, err
    return out.strip()


@pytest.fixture(scope="module")
def problem():
    """A call of every kind that splits over threads, as functions of num_threads."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 48)).astype(np.float32)
    matrix = rng.standard_normal((48, 70)).astype(np.float32)
    books = rng.standard_normal((12, 16, 4)).astype(np.float32)
    codes = Blocks.pack(rng.integers(0, 256, (20000, 6), dtype=np.uint8))
    tables, bits = rng.standard_normal((40, 12, 16)).astype(np.float32), rng.integers(0, 256, (1, 6), dtype=np.uint8)
    return [
        lambda threads: ops.project(x, matrix, num_threads=threads),
        lambda threads: ops.encode_pq(x, books, num_threads=threads),
        lambda threads: np.concatenate(ops.assign(x, x[:40], num_threads=threads)),
        lambda threads: np.concatenate(ops.lut4(codes, tables, 20, num_threads=threads)),
        lambda threads: np.concatenate(ops.hamming(codes, bits, 300, num_threads=threads)),
    ]


def test_any_number_of_threads_gives_the_same(problem):
    for call in problem:
        alone = call(1)
        for threads in (2, 3, 8, 64, None):
            assert np.array_equal(call(threads), alone)


def test_many_callers_at_once(problem):
    wanted = [call(1) for call in problem]
    wrong: list[str] = []

    def caller(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(0, len(problem), 12):
            if not np.array_equal(problem[i](1 + seed % 4), wanted[i]):
                wrong.append(f"caller {seed}, call {i}")

    callers = [threading.Thread(target=caller, args=(seed,), daemon=True) for seed in range(8)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in callers), "a caller hangs"
    assert not wrong


@posix
def test_a_child_after_fork_searches():
    """fork() takes none of the pool's threads along, and may come while another thread holds the pool's lock."""
    code = """
import threading
codes = Blocks.pack(rng.integers(0, 256, (100000, 8), dtype=np.uint8))
bits = rng.integers(0, 256, (20, 8), dtype=np.uint8)
search = lambda: ops.hamming(codes, bits, 5, num_threads=4)
wanted = search()
busy = True
def work():
    while busy:
        search()
other = threading.Thread(target=work)
other.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        scores, ids = search()
        grandchild = os.fork()  # the child's own pool forks, too
        if grandchild == 0:
            os._exit(0 if np.array_equal(search()[1], wanted[1]) else 3)
        same = np.array_equal(scores, wanted[0]) and np.array_equal(ids, wanted[1])
        os._exit(0 if same and os.waitpid(grandchild, 0)[1] == 0 else 3)
    assert os.waitpid(child, 0)[1] == 0
busy = False
other.join()
assert np.array_equal(search()[1], wanted[1])
print("same")
"""
    assert finish(start(code), timeout=90) == "same"


LONG = {  # calls of many seconds; some only on the baseline machine, since on others they would need too much memory for that
    ("hamming", "scalar best"): """
codes = Blocks.pack(rng.integers(0, 256, (200000, 64), dtype=np.uint8))
bits = rng.integers(0, 256, (20000, 64), dtype=np.uint8)
call = lambda: ops.hamming(codes, bits, 10, num_threads=threads)
""",
    ("flat", "scalar best"): """
codes = Blocks.pack(rng.standard_normal((50000, 64)).astype("<f4").view(np.uint8), 0, 4)
rows = rng.standard_normal((20000, 64)).astype(np.float32)
call = lambda: ops.flat(codes, rows, 10, num_threads=threads)
""",
    ("lut8", "scalar best"): """
codes = Blocks.pack(rng.integers(0, 256, (1_000_000, 32), dtype=np.uint8))
tables = rng.standard_normal((2000, 32, 256), np.float32)
call = lambda: ops.lut8(codes, tables, 1000, num_threads=threads)
""",
    ("assign", "scalar best"): """
x, centroids = rng.standard_normal((20000, 512), np.float32), rng.standard_normal((32768, 512), np.float32)
call = lambda: ops.assign(x, centroids, num_threads=threads)
""",
    ("project", "scalar"): """
x, matrix = rng.standard_normal((4000, 1024), np.float32), rng.standard_normal((1024, 1024), np.float32)
call = lambda: ops.project(x, matrix, num_threads=threads)
""",
    ("encode_pq", "scalar"): """
x, books = rng.standard_normal((30000, 384), np.float32), rng.standard_normal((48, 256, 8), np.float32)
call = lambda: ops.encode_pq(x, books, num_threads=threads)
""",
}


@posix
@pytest.mark.parametrize(
    "backend, threads, problem",
    [
        pytest.param(backend, threads, code, id=f"{op}[{backend}]-{threads}")
        for (op, backends), code in LONG.items()
        for backend, threads in (("scalar", 1), ("best", 2))
        if backend in backends
    ],
)
def test_ctrl_c_ends_a_long_call(backend, threads, problem):
    code = f"""
threads = {threads}
{problem}
import signal
print("ready", flush=True)
try:
    call()
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    a = np.arange(3, dtype=np.float32)[None]
    assert ops.norms(a, num_threads=2)[0] == np.float32(5**0.5)  # the pool works on
else:
    print("too short", flush=True)
"""
    child = start(code, **({"VECPRESS_ISA": "scalar"} if backend == "scalar" else {}))
    assert child.stdout is not None and child.stdout.readline() == "ready\n", child.communicate()
    time.sleep(0.4)
    sent = time.monotonic()
    child.send_signal(signal.SIGINT)
    word, at = finish(child, timeout=30).split()
    assert word == "interrupted"
    assert float(at) - sent < 0.5


@posix
def test_what_a_signal_handler_raises_the_call_raises():
    code = f"""
threads = 2
{LONG["hamming", "scalar best"]}
import signal
def handler(number, frame):
    raise RuntimeError("alarm")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    call()
except RuntimeError as error:
    print(error)
"""
    assert finish(start(code)) == "alarm"


@posix
def test_a_handler_that_returns_does_not_end_the_call():
    code = """
import signal
codes = Blocks.pack(rng.integers(0, 256, (100000, 64), dtype=np.uint8))
bits = rng.integers(0, 256, (400, 64), dtype=np.uint8)
wanted = ops.hamming(codes, bits, 3, num_threads=2)
count = []
signal.signal(signal.SIGALRM, lambda *_: count.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
for _ in range(20):
    scores, ids = ops.hamming(codes, bits, 3, num_threads=2)
    assert np.array_equal(scores, wanted[0]) and np.array_equal(ids, wanted[1])
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(count) > 0)
"""
    assert finish(start(code)) == "True"


def test_default_thread_count(monkeypatch):
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    monkeypatch.delenv("VECPRESS_NUM_THREADS", raising=False)
    assert native.default_threads() == processors
    for text, threads in (("", processors), (" ", processors), ("3", 3), (" 1024 ", 1024)):
        monkeypatch.setenv("VECPRESS_NUM_THREADS", text)
        assert native.default_threads() == threads


@pytest.mark.parametrize("text", ["0", "-2", "many", "2x", "1.5", "1025", "99999999999999999999"])
def test_a_bad_default_is_an_error_that_names_it(text, monkeypatch, tmp_path):
    monkeypatch.setenv("VECPRESS_NUM_THREADS", text)
    x = np.ones((3, 4), np.float32)
    index = vp.Index(vp.Raw().fit(x, num_threads=1))
    index.add(x, num_threads=1)
    index.add_codes(index.codes([0, 1], num_threads=1), num_threads=1)
    vp.evaluate(vp.Raw(), x, x, 1, num_threads=1)
    index.save(tmp_path / "i.vpz")
    assert len(vp.load(tmp_path / "i.vpz")) == 5
    index.search(x, 1, num_threads=1)
    calls = [
        lambda: index.search(x, 1), lambda: index.add(x), lambda: index.codes([0]), lambda: vp.exact(x, x, 1),
        lambda: index.add_codes(np.zeros((1, 16), np.uint8)), lambda: vp.Raw().fit(x), lambda: index.codec.encode(x),
        lambda: index.codec.query(x), lambda: ops.norms(x), native.default_threads,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match=f"VECPRESS_NUM_THREADS expected 1 to 1024, got '{text}'"):
            call()
    assert len(index) == 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot restrict a process to some processors")
def test_default_thread_count_respects_the_processors_allowed():
    code = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from vecpress import native; print(native.default_threads())"
    assert finish(start(code)) == "1"


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_threads_are_as_many_as_asked_for_and_sleep_when_idle():
    code = """
codes = Blocks.pack(rng.integers(0, 256, (50000, 64), dtype=np.uint8))
bits = rng.integers(0, 256, (200, 64), dtype=np.uint8)
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
ops.hamming(codes, bits, 3, num_threads=1)
print(count() - before)
ops.hamming(codes, bits, 3, num_threads=4)
print(count() - before)
ops.hamming(codes, bits, 3, num_threads=2)
print(count() - before)
spent = time.process_time()
time.sleep(0.3)
print(time.process_time() - spent < 0.03)
"""
    assert finish(start(code)).split() == ["0", "3", "3", "True"]


def test_other_python_threads_run_during_a_call():
    """The GIL is released."""
    code = """
import threading
codes = Blocks.pack(rng.integers(0, 256, (200000, 64), dtype=np.uint8))
bits = rng.integers(0, 256, (300, 64), dtype=np.uint8)
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
begin = time.monotonic()
while time.monotonic() - begin < 0.3:
    start = time.monotonic()
    ops.hamming(codes, bits, 3, num_threads=1)
    end = time.monotonic()
    inside = [t for t in ticks if start < t < end]
    if len(inside) > 3:
        print("ran")
        break
"""
    assert finish(start(code, VECPRESS_ISA="scalar")) == "ran"


def test_daemon_threads_end_with_the_process():
    """Searching, adding and waiting for the lock while the interpreter ends: no abort."""
    code = """
import threading
codec = vp.PQ.restore({"m": 16}, 64, {"codebooks_": rng.standard_normal((16, 256, 4)).astype("f4")})
index = vp.Index(codec)
index.add_codes(rng.integers(0, 256, (100_000, 16), np.uint8))
q = rng.standard_normal((64, 64)).astype("f4")
def search(threads):
    while True: index.search(q, 10, num_threads=threads)
def add():
    while True: index.add_codes(np.zeros((10, 16), np.uint8))
for target, *args in (search, 1), (search, 2), (add,), (add,):
    threading.Thread(target=target, args=args, daemon=True).start()
time.sleep(0.2)
"""
    for _ in range(3):
        finish(start(code))
