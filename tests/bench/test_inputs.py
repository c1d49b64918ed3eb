"""What the suite takes for data: folders of sets of which some are bad, and sets that are made."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress.bench import inputs


def save(folder, seed: int = 1) -> None:
    folder.mkdir()
    np.save(folder / "base.npy", clustered(seed, 50, 8))
    np.save(folder / "queries.npy", clustered(seed, 5, 8, draw=1))


def test_of_a_folder_of_sets_those_that_can_be_read(tmp_path, monkeypatch):
    for name in ("b", "a", "d"):
        save(tmp_path / name)
    (tmp_path / "c").mkdir()  # empty
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "notes.txt").write_text("no data set")
    save(tmp_path / "f")
    (tmp_path / "f" / "base.npy").rename(tmp_path / "f" / "base.parquet")  # its library is not there
    importing = builtins.__import__

    def without(name, *rest, **named):
        if name.startswith("pyarrow"):
            raise ImportError(f"No module named {name!r}")
        return importing(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    notes: list[str] = []
    assert [dataset.name for dataset in inputs.read_all(str(tmp_path), "ip", notes.append)] == ["a", "b", "d"]
    assert len(notes) == 3 and all(note.startswith("left out: ") for note in notes)
    assert str(tmp_path / "c") in notes[0] and str(tmp_path / "e") in notes[1] and "pyarrow" in notes[2]


def test_a_folder_of_bad_sets_only_is_an_error_that_says_why(tmp_path):
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match=r"expected a data set, or a folder of data sets; .*no such folder"):
        inputs.read_all(str(tmp_path), "ip", lambda _: None)


def test_one_set_is_itself_and_its_error_is_raised(tmp_path):
    save(tmp_path / "a")
    (tmp_path / "a" / "more").mkdir()
    (found,) = inputs.read_all(str(tmp_path / "a"), "l2", pytest.fail)
    assert (found.name, found.metric) == ("a", "l2")
    with pytest.raises(FileNotFoundError):
        inputs.read_all(str(tmp_path / "nowhere"), "ip", pytest.fail)


def test_a_made_set_is_its_generators():
    found = inputs.read("synthetic:clustered,n=60,d=8,nq=5,seed=3,within=0.5,metric=cos")
    expected = vp.synthetic.clustered(60, 8, 5, 3, within=0.5, metric="cos")
    assert (found.name, found.metric) == (expected.name, "cos")
    np.testing.assert_array_equal(found.base, expected.base)
    np.testing.assert_array_equal(found.queries, expected.queries)
    assert inputs.read("synthetic:power_law,n=60,d=8,nq=5,alpha=1e-1").name == "power_law n=60 d=8 alpha=0.1 seed=0"
    (all_,) = inputs.read_all("synthetic:gaussian,n=60,d=8,nq=5", None, pytest.fail)
    assert all_.base.shape == (60, 8)


@pytest.mark.parametrize(
    "name, words",
    [
        ("synthetic:none,n=60", "synthetic:none,n=60: expected one of synthetic:clustered, synthetic:gaussian"),
        ("synthetic:", "expected one of"),
        ("synthetic:power_law_variances,d=8", "expected one of"),
        ("synthetic:gaussian,width=8", "gaussian has no argument width"),
        ("synthetic:gaussian,n=many", "'n=many' expected name=number"),
        ("synthetic:gaussian,n", "'n' expected name=number"),
        ("synthetic:gaussian,", "'' expected name=number"),
        ("synthetic:gaussian,n=1.5e", "'n=1.5e' expected name=number"),
        ("synthetic:gaussian,metric=far", "gaussian: metric"),
        ("synthetic:gaussian,n=0", "gaussian: n"),
    ],
)
def test_a_made_set_that_there_is_none_of(name, words):
    with pytest.raises(ValueError, match=words):
        inputs.read(name)
