"""The machine's limits: compiled once, into a folder of the user's; one error where that cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecpress.bench import child, limits


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """Nothing is compiled yet, and the cache and temporary folders are the test's."""
    limits.library.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(limits.tempfile, "tempdir", str(tmp_path))
    yield
    limits.library.cache_clear()


def compiled() -> None:
    try:
        limits.library()
    except limits.LimitsError as error:
        pytest.skip(str(error))


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_it_is_compiled_once_into_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)  # a compiler's cache may be in the same folder
    beside = set(limits.SOURCE.parent.iterdir())
    compiled()
    (name,) = files(tmp_path)
    assert name.startswith("limits-") and list((tmp_path / "cache" / "vecpress").iterdir()) == [
        tmp_path / "cache/vecpress" / name
    ]
    assert set(limits.SOURCE.parent.iterdir()) == beside
    limits.library.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")  # none is needed any more
    assert limits.isa() in ("avx512", "avx2", "neon")
    assert 1e8 < limits.read_rate((1 << 20) + 12345, passes=1) < 1e13


def test_without_a_folder_to_write_to_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert limits.cache_folder() is None
    compiled()
    assert files(tmp_path) == ["file"] and limits.isa()


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_the_reason_is_said_and_a_run_goes_on(tmp_path, monkeypatch, compiler):
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(limits.LimitsError, match=compiler):
        limits.read_rate(1 << 20)
    found = child.speed_limits(1 << 20)
    assert found["read_rate"] is None and found["read_nbytes"] == 1 << 20 and found["isa"]
    assert files(tmp_path) == [] and not list((tmp_path / "cache" / "vecpress").iterdir())


def test_memory_that_there_is_none_of_is_the_same_error():
    compiled()
    with pytest.raises(limits.LimitsError, match="no memory"):
        limits.read_rate(1 << 60)


def test_the_command_says_it_in_one_line(tmp_path):
    env = os.environ | {"CXX": "no-such-compiler"}
    done = subprocess.run([sys.executable, "-m", "vecpress.bench.limits", "--json"], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("bench.limits: there is no C++ compiler 'no-such-compiler'")
    assert not done.stdout
