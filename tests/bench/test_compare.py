"""Comparing commits: planted slow-downs are found and noise is not, errors say what is wrong, nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import vecpress
from vecpress.bench import builds, compare, instructions, worker
from vecpress.bench.builds import BuildError
from vecpress.bench.compare import Change, counted, paired

ROOT = Path(__file__).parents[2]


def timings(seed: int, slower: float, noise: float, rounds: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a machine that drifts by half within a run, noisy in every round, disturbed in some."""
    rng = np.random.default_rng(seed)
    drift = np.linspace(1, 1.5, rounds)
    base, head = (1e-3 * drift * np.exp(noise * rng.standard_normal(rounds)) for _ in range(2))
    head[rng.integers(rounds)] *= 5
    return base, head * slower


@pytest.mark.parametrize("seed", range(20))
def test_a_planted_slow_down_is_found_and_noise_is_not(seed):
    found = paired("x", *timings(seed, 1.35, 0.05))
    assert found.slower(1.25) and found.low > 1.15 and found.high < 1.6
    for noise in (0.02, 0.1, 0.3):
        assert not paired("x", *timings(seed, 1.0, noise)).slower(1.25)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    held = [(c := paired("x", *timings(seed, 1.1, 0.1))).low <= 1.1 <= c.high for seed in range(200)]
    assert 0.88 <= np.mean(held) <= 0.99


def test_a_large_ratio_within_the_noise_does_not_fail():
    change = paired("x", [1.0] * 7, [0.5, 0.6, 0.7, 1.3, 1.9, 2.0, 2.1])
    assert change.ratio == pytest.approx(1.3) and change.low < 1 and not change.slower(1.25)


def test_equal_times_give_an_interval_of_one_number():
    change = paired("x", [2.0] * 9, [1.0] * 9)
    assert (change.ratio, change.low, change.high) == pytest.approx((0.5, 0.5, 0.5))


def test_counts_that_grow_are_slower_and_what_one_side_lacks_is_listed():
    changes, missing = counted({"a": 1000, "b": 1000, "old": 1}, {"a": 1029, "b": 1031, "new": 1})
    assert [change.slower(compare.GROWTH) for change in changes] == [False, True]
    assert missing == {"old": "head: it does not run there", "new": "base: it does not run there"}


def test_a_second_run_that_is_not_slower_clears_a_case():
    first = [Change(name, 1.0, 1.4, 1.4, 1.3, 1.5, 15) for name in ("noisy", "fine", "slower", "lost")]
    again = {
        "noisy": Change("noisy", 1.0, 1.45, 1.45, 0.9, 2.0, 15),  # a larger ratio, but within its noise
        "fine": Change("fine", 1.0, 1.0, 1.0, 0.9, 1.1, 15),
        "slower": Change("slower", 1.0, 1.3, 1.3, 1.28, 1.32, 15),
    }
    assert [compare.confirmed(change, again, 1.25) for change in first] == [again["noisy"], again["fine"], first[2], first[3]]
    assert [compare.confirmed(change, again, 1.25).slower(1.25) for change in first] == [False, False, True, True]


def test_the_table_shows_the_worst_first_and_what_was_not_compared():
    changes = [Change("fine", 1e-3, 1e-3, 1.0, 0.9, 1.1, 15), Change("worse", 1e-6, 2e-6, 2.0, 1.9, 2.1, 15, same=False)]
    lines = compare.table(changes, {"new": "base: AttributeError: x"}, 1.25, False).splitlines()
    assert lines[1].startswith("worse") and "SLOWER, another result" in lines[1] and "2 us" in lines[1]
    assert lines[2].startswith("fine") and "SLOWER" not in lines[2]
    assert lines[3] == "not compared: new (base: AttributeError: x)"
    assert lines[4].startswith("2 cases, geometric mean 1.414; 1 slower")


def package(folder: Path, change: str = "") -> Path:
    """A folder with the vecpress that is tested, as a build would leave it, with some lines behind one of its modules."""
    source = Path(vecpress.__file__).parent
    shutil.copytree(source, folder / "vecpress", ignore=shutil.ignore_patterns("__pycache__", "bench", "kernels", "data"))
    (folder / "vecpress" / "data").symlink_to(source / "data")
    with open(folder / "vecpress" / "ops" / "__init__.py", "a") as file:
        file.write(change)
    return folder


SLOW = """
import functools, time
_norms = norms
@functools.wraps(_norms)
def norms(x, *, num_threads=None):
    start = time.perf_counter()
    out = _norms(x, num_threads=num_threads)
    while time.perf_counter() - start < 0.002:
        pass
    return out
del rotate
"""


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Two builds: the head's norms take 2 ms, and its rotate is gone. Gives a function that runs the comparison."""
    targets = package(tmp_path / "base"), package(tmp_path / "head", SLOW)

    @contextmanager
    def two_builds(base, head):
        yield targets

    monkeypatch.setattr(compare, "two_builds", two_builds)
    monkeypatch.setattr(compare, "commit_of", lambda revision: revision)
    return lambda *arguments: compare.main(["base", "--rounds", "7", *arguments])


def test_a_planted_slow_build_fails(planted, tmp_path, capsys):
    file = tmp_path / "out.json"
    assert planted("-k", "s n=256 d=384", "--json", str(file)) == 1
    text = capsys.readouterr().out
    assert "norms n=256 d=384" in text and "SLOWER" in text
    result = json.loads(file.read_text())
    slower = {change["case"]: change["slower"] for change in result["changes"]}
    assert slower["norms n=256 d=384"] and not slower["pack_bits n=256 d=384"]
    assert all(change["same"] for change in result["changes"])


def test_what_one_side_lacks_is_listed_and_not_compared(planted, capsys):
    assert planted("-k", "rotate n=1 ") == 2
    out, err = capsys.readouterr()
    assert "not compared: rotate n=1 d=384 (head: AttributeError: " in out and "no case was compared" in err


@pytest.mark.parametrize(
    "missing, code",
    [
        ({}, 0),
        ({"a": "base: AttributeError: x"}, 0),
        ({"a": "base: AttributeError: x; head: AttributeError: x"}, 0),
        ({"a": "head: RuntimeError: x"}, 2),
    ],
)
@pytest.mark.parametrize("slower", [False, True])
def test_a_case_that_head_lost_is_no_success(planted, monkeypatch, capsys, missing, code, slower):
    change = Change("b", 1.0, 1.0 + slower, 1.0 + slower, 1.0 + slower, 1.0 + slower, 15)
    monkeypatch.setattr(compare, "compare", lambda *_: ([change], missing))
    assert planted() == (code or int(slower))
    assert ("base runs and head does not: a" in capsys.readouterr().err) == (code == 2)


def test_figures_that_cannot_be_written_are_no_slow_down(planted, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(compare, "compare", lambda *_: ([Change("b", 1.0, 1.0, 1.0, 1.0, 1.0, 15)], {}))
    assert planted("--json", str(tmp_path / "nowhere" / "x.json")) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_worker_notices_another_vecpress(tmp_path):
    with worker.Side("head", tmp_path) as side, pytest.raises(worker.WorkerError, match="head: its process ended"):
        side.ask(prepare="norms n=256 d=384", backend=None)


def test_digests_tell_results_apart():
    a = np.arange(4, dtype=np.float32)
    assert worker.digest((a, a)) == worker.digest([a.copy(), a.copy()])
    assert len({worker.digest(x) for x in (a, a[:3], a.astype(np.float64), a[::-1], (a, a), a.reshape(2, 2))}) == 6


def test_an_unknown_revision_is_an_error(capsys):
    assert compare.main(["no-such-branch"]) == 2
    assert "unknown revision 'no-such-branch'" in capsys.readouterr().err
    with pytest.raises(BuildError, match="unknown revision"):
        builds.commit_of("--all")


@pytest.mark.parametrize("arguments", [["--rounds", "3"], ["--threshold", "0.9"], ["--threshold", "nan"]])
def test_bad_options_are_errors(arguments, capsys):
    with pytest.raises(SystemExit):
        compare.parse(["HEAD", *arguments])
    assert f"argument {arguments[0]}: expected" in capsys.readouterr().err


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A small repository in the place of this one: a module that does not compile."""
    root = tmp_path / "clone"
    (root / "csrc").mkdir(parents=True)
    (root / "csrc" / "broken.c").write_text("int f(void) { return unknown_name; }\n")
    (root / "setup.py").write_text(
        "from setuptools import setup, Extension\n"
        "setup(name='x', packages=['vecpress'], ext_modules=[Extension('vecpress._native', ['csrc/broken.c'])])\n"
    )
    (root / "vecpress").mkdir()
    (root / "vecpress" / "__init__.py").write_text("")
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(builds, "ROOT", root)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(builds.tempfile, "tempdir", None)
    return root


def test_a_build_failure_shows_the_compilers_words_and_leaves_nothing(clone, capsys):
    assert compare.main(["HEAD"]) == 2
    assert "unknown_name" in capsys.readouterr().err
    assert not list(clone.parent.glob("vecpress-compare-*"))


def test_the_work_tree_is_taken_as_it_is(clone, tmp_path):
    (clone / "csrc" / "broken.c").unlink()
    (clone / "csrc" / "new.c").write_text("")
    (clone / ".gitignore").write_text("*.so\n")
    (clone / "vecpress" / "old.so").write_text("")
    builds.copy_source(builds.WORKTREE, tmp_path / "now")
    builds.copy_source("HEAD", tmp_path / "then")
    files = [{p.relative_to(t).as_posix() for p in t.rglob("*") if p.is_file()} for t in (tmp_path / "now", tmp_path / "then")]
    assert files[0] == {".gitignore", "csrc/new.c", "setup.py", "vecpress/__init__.py"}
    assert files[1] == {"csrc/broken.c", "setup.py", "vecpress/__init__.py"}
    assert builds.native_digest(tmp_path / "now") != builds.native_digest(tmp_path / "then")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(clone, number):
    (clone / "setup.py").write_text("import time; time.sleep(60)\n")
    code = (
        "import sys; from pathlib import Path; from bench import builds, compare; "
        f"builds.ROOT = Path({str(clone)!r}); sys.exit(compare.main(['WORKTREE']))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(clone.parent)}
    process = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(clone.parent.glob("vecpress-compare-*/base-source")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.killpg(process.pid, number)
    assert process.wait(timeout=30) == 130 if number == signal.SIGINT else process.wait(timeout=30) == 143
    assert not list(clone.parent.glob("vecpress-compare-*"))


ONCE = "    for (int64_t t = 0; t < whole; t += 8) sums.add(x + t);\n"
TWICE = f"""    for (int again = 0; again < 2; ++again) {{
      sums = Squares::zero();
  {ONCE}      __asm__ volatile("" : : "m"(sums) : "memory");
    }}
"""


@pytest.fixture
def slowed(tmp_path) -> Path:
    """A clone whose kernels of norms read every row twice, with the same results; without most other kernels, to build faster."""
    root = tmp_path / "clone"
    builds.copy_source(builds.WORKTREE, root)
    for folder in (root / "csrc").iterdir():
        if folder.is_dir() and folder.name not in ("core", "blocks", "norms"):
            shutil.rmtree(folder)
    module = root / "csrc" / "module.cpp"
    kept = "#define VECPRESS_BINDINGS(bind) bind(blocks) bind(norms) bind(id_table) bind(rwlock)\n"
    module.write_text(re.sub(r"#define VECPRESS_BINDINGS\(bind\)(.*\\\n)+.*\n", kept, module.read_text()))
    assert kept in module.read_text()
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    kernel = root / "csrc" / "norms" / "norms.inl"
    text = kernel.read_text()
    assert ONCE in text
    kernel.write_text(text.replace(ONCE, TWICE))
    return root


WORDS = "norms n=256|put_rows n=4000 head=0|put_rows n=256 head=0"  # timed and counted ones


@pytest.mark.slow  # builds twice
def test_a_slowed_kernel_is_caught_by_time_and_by_count(slowed):
    """The whole way, on the clone's own commit and its changed files."""
    for options in [[]] + [["--instructions"]] * (not instructions.unavailable()):
        command = [
            sys.executable,
            "-m",
            "bench.compare",
            "HEAD",
            "-k",
            "norms n=256|put_rows n=4000 head=0|put_rows n=256 head=0",
            *options,
        ]
        done = subprocess.run(command, cwd=slowed, capture_output=True, text=True)
        print(done.stdout)
        assert done.returncode == 1, done.stdout + done.stderr
        marked = [line for line in done.stdout.splitlines() if "SLOWER" in line]
        assert marked and all(line.startswith("norms ") and "another result" not in line for line in marked)
