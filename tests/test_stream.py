"""Codes written to a file as they are made: complete or to be resumed, whatever stops the work; never of two sources."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers import clustered
from test_sources import FIRST, files, fresh, in_blocks, serving

import vecpress as vp
from vecpress import stream

pytestmark = pytest.mark.usefixtures("few_rounds")
DIM = 24
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not hasattr(os, "fork"), reason="no SIGKILL or no fork")


@pytest.fixture
def x() -> np.ndarray:
    return clustered(3, 300, DIM)


@pytest.fixture
def codec(x) -> vp.Codec:
    return vp.Sign(metric="cos").fit(x)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(codes: np.ndarray) -> bytes:
    """The file that numpy.save writes."""
    np.save("numpy.npy", codes)
    data = Path("numpy.npy").read_bytes()
    os.unlink("numpy.npy")
    return data


def stopped(codec: vp.Codec, x: np.ndarray, rows: int, out: str = "codes.npy", **options) -> None:
    """Leaves a partial file of `rows` rows."""

    def blocks():
        yield x[:rows]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        codec.encode(blocks(), out=out, **options)
    assert json.loads(Path(out + ".partial.json").read_text())["rows"] == rows


# ---- a whole run


@pytest.mark.parametrize("codec", FIRST)
def test_the_file_is_the_one_that_numpy_saves(codec, folder):
    x = clustered(3, 300, serving(codec))
    codec = fresh(codec).fit(x)
    wanted = saved(codec.encode(x))
    (folder / "in").mkdir()
    for i, source in enumerate([x, in_blocks(x, 70), iter(x), *files(folder / "in", x)]):
        got = codec.encode(source, out=f"{i}.npy")
        assert isinstance(got, np.memmap) and not got.flags.writeable and got.dtype == np.uint8
        np.testing.assert_array_equal(got, codec.encode(x))
        assert Path(f"{i}.npy").read_bytes() == wanted
        np.testing.assert_array_equal(np.load(f"{i}.npy"), got)
    assert not list(folder.glob("*.partial*"))


@pytest.mark.parametrize("rows", [0, 1, 10**6, 10**20])
@pytest.mark.parametrize("code_size", [1, 48, 65536])
def test_the_header_is_numpys(rows, code_size, tmp_path):
    with open(tmp_path / "h", "wb") as file:
        shape = {"descr": "|u1", "fortran_order": False, "shape": (rows, code_size)}
        np.lib.format.write_array_header_1_0(file, shape)
    assert (tmp_path / "h").read_bytes() == stream.header(rows, code_size)


def test_no_rows_make_a_file_of_none(codec, folder):
    assert codec.encode(iter([]), out="codes.npy").shape == (0, 3)
    assert np.load("codes.npy").shape == (0, 3)


def test_the_path_may_be_of_any_kind_and_relative(codec, x, folder):
    codec.encode(x, out=folder / "codes.NPY")
    (folder / "sub").mkdir()
    os.symlink("sub/there.npy", "link.npy")
    codec.encode(x, out="link.npy")
    assert Path("link.npy").is_symlink() and Path("sub/there.npy").read_bytes() == saved(codec.encode(x))


def test_memory_is_that_of_a_block(codec, folder, monkeypatch):
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 1 << 18)
    codec = vp.Raw("float16").fit(np.zeros((1, 512)))
    rows = (np.full((512, 512), i, np.float16) for i in range(40))  # 20 MB of codes
    tracemalloc.start()
    try:
        codes = codec.encode(rows, out="codes.npy")
        index = vp.Index(codec)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        index.add_codes(codes)
        added = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.clear_traces()
        tracemalloc.reset_peak()
        codec.encode((np.full((512, 512), i, np.float16) for i in range(40)), out="codes.npy", overwrite=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
    assert added < 1.2 * codes.nbytes  # the blocks of the index, and no copy of the codes beside them
    np.testing.assert_array_equal(index.codes([0, 600, 20479]), codes[[0, 600, 20479]])


# ---- what is there already


def test_a_complete_file_is_replaced_with_leave_only(codec, x, folder):
    codec.encode(x[:50], out="codes.npy")
    before = Path("codes.npy").read_bytes()
    for options in ({}, {"resume": True}):
        with pytest.raises(ValueError, match=r"out expected a new file, or overwrite=True, got codes\.npy, which is there"):
            codec.encode(x, out="codes.npy", **options)
        assert Path("codes.npy").read_bytes() == before
    old = np.load("codes.npy", mmap_mode="r")
    codec.encode(x, out="codes.npy", overwrite=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))
    np.testing.assert_array_equal(old, codec.encode(x[:50]))  # who has mapped the old one keeps it


def test_an_old_file_stays_until_the_new_one_is_complete(codec, x, folder):
    codec.encode(x[:50], out="codes.npy")
    before = Path("codes.npy").read_bytes()
    stopped(codec, x, 100, overwrite=True)
    assert Path("codes.npy").read_bytes() == before
    codec.encode(x, out="codes.npy", overwrite=True, resume=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))


def test_a_partial_file_is_dropped_with_leave_only(codec, x, folder):
    stopped(codec, x, 100)
    with pytest.raises(ValueError, match=r"codes\.npy\.partial is there already: resume=True goes on with it, overwrite=True"):
        codec.encode(x, out="codes.npy")
    stopped(codec, x[::-1], 20, overwrite=True)
    codec.encode(x[::-1], out="codes.npy", resume=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x[::-1]))


def test_what_cannot_be_written_to_is_an_error_at_once(codec, x, folder):
    np.save("x.npy", x)
    (folder / "folder.npy").mkdir()
    mapped = np.load("x.npy", mmap_mode="r")
    cases = [
        (x, "codes.txt", {}, ValueError, r"out expected a \.npy file, got codes\.txt"),
        (x, 7, {}, TypeError, "out expected a path, got int"),
        (x, "folder.npy", {"overwrite": True}, ValueError, r"out expected a regular file, got folder\.npy"),
        ("x.npy", "x.npy", {"overwrite": True}, ValueError, "out expected another file than x is read from"),
        (folder / "x.npy", "x.npy", {"overwrite": True}, ValueError, "out expected another file than x is read from"),
        (mapped, "x.npy", {"overwrite": True}, ValueError, "out expected another file than x is read from"),
        (x, "no/codes.npy", {}, FileNotFoundError, "no/codes"),
        (x, None, {"resume": True}, ValueError, "resume=True expected a file"),
        (x, None, {"overwrite": True}, ValueError, "overwrite=True expected a file"),
        (x[:, :5], "codes.npy", {}, ValueError, "encode: x expected d=24 columns"),
        (iter([1.0]), "codes.npy", {}, TypeError, "encode: x expected real numbers"),
    ]
    before = sorted(os.listdir())
    for source, out, options, error, message in cases:
        with pytest.raises(error, match=message):
            codec.encode(source, out=out, **options)
        assert sorted(os.listdir()) == before
    with pytest.raises(vp.NotFittedError):
        vp.Sign().encode(x, out="codes.npy")


# ---- resuming


@pytest.mark.parametrize("codec", FIRST)
def test_a_resumed_run_makes_the_bytes_of_an_uninterrupted_one(codec, folder):
    x = clustered(3, 300, serving(codec))
    codec = fresh(codec).fit(x)
    wanted = saved(codec.encode(x))
    (folder / "in").mkdir()
    for i, source in enumerate([x, in_blocks(x, 90), in_blocks(x, 1), *files(folder / "in", x)]):
        stopped(codec, x, 123, f"{i}.npy")
        calls: list[int] = []
        original = type(codec)._encode
        try:
            type(codec)._encode = lambda self, block, n, calls=calls, f=original: (
                calls.append(len(block) if self is codec else 0) or f(self, block, n)  # an inner codec may be of the same class
            )
            codec.encode(source, out=f"{i}.npy", resume=True)
        finally:
            type(codec)._encode = original
        assert Path(f"{i}.npy").read_bytes() == wanted
        assert sum(calls) == 300 - 123  # what was done is not done again
    assert not list(folder.glob("*.partial*"))


def test_resuming_again_and_again(codec, x, folder):
    for rows in (10, 70, 299, 300):
        stopped(codec, x, rows, resume=True)
    codec.encode(in_blocks(x, 50), out="codes.npy", resume=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))


def test_codes_behind_those_that_count_are_cut_off(codec, x, folder):
    stopped(codec, x, 100)
    with open("codes.npy.partial", "ab") as file:
        file.write(bytes(3 * 400))  # as a kill between two checkpoints leaves them
    codec.encode(x, out="codes.npy", resume=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))


def test_resuming_without_a_partial_file_starts(codec, x, folder):
    codec.encode(x, out="codes.npy", resume=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))


def test_a_bad_row_keeps_what_is_done_and_nothing_where_nothing_is(codec, x, folder):
    bad = x.copy()
    bad[200, 1] = np.nan
    with pytest.raises(ValueError, match="row 200 has NaN"):
        codec.encode(in_blocks(bad, 100), out="codes.npy")
    codec.encode(x, out="codes.npy", resume=True)  # the row is mended
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))
    with pytest.raises(ValueError, match="row 200 has NaN"):
        codec.encode(bad, out="other.npy")
    assert sorted(os.listdir()) == ["codes.npy"]


def test_a_partial_file_of_something_else_is_refused_and_stays(codec, x, folder):
    stopped(codec, x, 100)
    kept = {name: Path(name).read_bytes() for name in os.listdir()}
    assert len(kept) == 2
    other = x.copy()
    other[57, 3] += 1
    elsewhere = clustered(4, 300, DIM)
    cases = [
        (vp.Sign().fit(x), x, r"of another codec: expected Sign\(metric='ip'\) as fitted, got Sign\(metric='cos'\)"),
        (vp.Sign(metric="cos").fit(x[:50]), x, "of another codec"),
        (vp.PQ(3, metric="cos").fit(x), x, "of another codec"),
        (codec, other, "of other vectors: the first 100 rows of x differ"),
        (codec, in_blocks(other, 33), "of other vectors: the first 100 rows of x differ"),
        (codec, elsewhere, "of other vectors: the first 100 rows of x differ"),
        (codec, x[1:], "of other vectors"),
        (codec, x[:99], "holds codes of 100 rows, x has 99"),
        (codec, in_blocks(x[:99], 20), "holds codes of 100 rows, x has 99"),
        (codec, iter([]), "holds codes of 100 rows, x has 0"),
    ]
    for other_codec, source, message in cases:
        with pytest.raises(ValueError, match=message):
            other_codec.encode(source, out="codes.npy", resume=True)
        assert {name: Path(name).read_bytes() for name in os.listdir()} == kept
    codec.encode(x, out="codes.npy", resume=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))


def test_partial_files_that_are_damaged_are_refused(codec, x, folder):
    def damaged(change, message):
        stopped(codec, x, 100, overwrite=True)
        change()
        with pytest.raises(ValueError, match=message):
            codec.encode(x, out="codes.npy", resume=True)
        codec.encode(x, out="codes.npy", overwrite=True)
        os.unlink("codes.npy")

    notes, codes = Path("codes.npy.partial.json"), Path("codes.npy.partial")
    damaged(lambda: notes.write_text("{"), "cannot be read")
    damaged(lambda: notes.write_text("[]"), "cannot be read")
    damaged(notes.unlink, "cannot be read")
    damaged(lambda: notes.write_text(json.dumps({**json.loads(notes.read_text()), "rows": -1})), "cannot be read")
    damaged(lambda: notes.write_text(json.dumps({**json.loads(notes.read_text()), "format": "2"})), "cannot be read")
    damaged(lambda: codes.write_bytes(codes.read_bytes()[:-1]), "expected codes of 100 rows, got 427 bytes")
    damaged(lambda: codes.write_bytes(b""), "expected codes of 100 rows, got 0 bytes")
    damaged(lambda: codes.write_bytes(codes.read_bytes()[:200] + b"!" + codes.read_bytes()[201:]), "are damaged")


# ---- killed

SCRIPT = """
import os, signal, sys
import numpy as np
import vecpress as vp
from vecpress import stream
stream.CHECKPOINT_SECONDS = 0
x = np.load("x.npy")
def blocks():
    for start in range(0, len(x), 40):
        if start == 200:
            os.kill(os.getpid(), signal.SIGKILL)
        yield x[start : start + 40]
vp.load("codec.vpz").encode(blocks(), out="codes.npy")
"""


@needs_kill
def test_a_killed_process_leaves_what_another_goes_on_with(codec, x, folder):
    np.save("x.npy", x)
    codec.save("codec.vpz")
    root = str(Path(vp.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": root}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert json.loads(Path("codes.npy.partial.json").read_text())["rows"] == 200 and not Path("codes.npy").exists()
    vp.load("codec.vpz").encode("x.npy", out="codes.npy", resume=True)
    assert Path("codes.npy").read_bytes() == saved(codec.encode(x))


@needs_kill
@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_line_leaves_no_file_or_a_whole_one_or_one_to_resume(step, codec, folder, monkeypatch):
    monkeypatch.setattr(stream, "CHECKPOINT_SECONDS", 0)
    x = clustered(3, 12, DIM)
    wanted = saved(codec.encode(x))
    watched = {stream.__file__, sys.modules["vecpress.container"].__file__}
    seen: set[tuple[bool, int]] = set()
    for at in range(0, 2000, step):
        for name in os.listdir():
            os.unlink(name)
        child = os.fork()
        if not child:
            left = at

            def trace(frame, event, _):
                nonlocal left
                if frame.f_code.co_filename not in watched:
                    return None
                if event == "line":
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                return trace

            try:
                sys.settrace(trace)
                codec.encode(in_blocks(x, 5), out="codes.npy", num_threads=1)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        complete = Path("codes.npy").exists()
        if complete:
            assert Path("codes.npy").read_bytes() == wanted
        notes = Path("codes.npy.partial.json")
        seen.add((complete, json.loads(notes.read_bytes())["rows"] if notes.exists() else -1))
        codec.encode(x, out="codes.npy", resume=True, overwrite=True, num_threads=1)
        assert Path("codes.npy").read_bytes() == wanted
        assert not list(folder.glob("*.partial*"))
        if not status:
            break
    assert not status and at > 100
    assert {rows for complete, rows in seen if not complete} == {-1, 0, 5, 10, 12}
