"""Counting instructions: callgrind's files are read rightly, counts repeat, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from vecpress.bench import instructions
from vecpress.bench.instructions import CountError, least, matches

ROOT = Path(__file__).parents[2]


def dump(name: str, total: int) -> str:
    return (
        f"version: 1\ndesc: Trigger: Client Request: {name}\nevents: Ir\nsummary: {total}\n\nfn=f\n1 {total}\n\ntotals: {total}\n"
    )


def test_the_least_count_less_an_empty_call():
    dumps = [
        dump("empty", 30),
        dump("a n=1 avx2", 1500),
        dump("a n=1 avx2", 1030),
        dump("empty", 20),
        "desc: Trigger: Program termination\n",
    ]
    assert least(dumps) == {"a n=1 avx2": 1010}


def test_words_all_have_to_be_in_the_name():
    assert matches("lut4 n=1 nq=1 avx2", "lut4 avx2") and not matches("lut4 n=1 nq=1 avx2", "lut4 scalar") and matches("x", "")
    assert matches("norms n=1", "lut4|norms n") and not matches("norms n=1", "lut4 n|norms d")


def test_without_valgrind_the_reason_is_said(monkeypatch, capsys):
    from vecpress.bench import compare

    monkeypatch.setenv("PATH", "")
    with pytest.raises(CountError, match="valgrind is not installed"):
        instructions.count(ROOT)
    monkeypatch.undo()
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    assert compare.main(["HEAD", "--instructions"]) == 2
    assert "--instructions: valgrind is not installed" in capsys.readouterr().err


def test_what_does_not_compile_is_an_error_of_the_count(tmp_path, monkeypatch):
    (tmp_path / "broken.c").write_text("int f(void) { return unknown_name; }\n")
    monkeypatch.setattr(instructions, "SOURCE", tmp_path / "broken.c")
    monkeypatch.setattr(instructions, "unavailable", lambda: "")
    if instructions.shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    with pytest.raises(CountError, match=r"(?s)compiling broken\.c failed.*unknown_name"):
        instructions.count(ROOT)


@pytest.mark.slow  # starts Python under valgrind twice
@pytest.mark.skipif(bool(instructions.unavailable()), reason=instructions.unavailable() or "valgrind is there")
def test_counts_repeat_and_grow_with_the_work():
    first, second = (instructions.count(ROOT, "norms n=256") for _ in range(2))
    assert first.keys() == second.keys() and any("scalar" in name for name in first)
    for name, number in first.items():
        assert second[name] == pytest.approx(number, rel=1e-3)
        assert 256 * 384 / 16 < number < 256 * 384 * 10, name  # a row of 384 floats in vectors of 16, or ten instructions a float
