"""The published setting on a made set: pairs and parts by hand, measures of a perfect search, the whole command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import vecpress as vp
from vecpress.bench import pairs, recurrent_tables

pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")
ANSWER = np.array([7, 3, 7, 5, 3, 7])


def test_pairs_by_hand():
    asks, partners = pairs.labelled_pairs(ANSWER)
    assert list(zip(asks.tolist(), partners.tolist(), strict=True)) == [(1, 4), (0, 2), (0, 5)]
    asks, partners = pairs.labelled_pairs(ANSWER, "all")
    expected = {(a, b) for a in range(6) for b in range(6) if a != b and ANSWER[a] == ANSWER[b]}
    assert len(asks) == len(expected) and set(zip(asks.tolist(), partners.tolist(), strict=True)) == expected


def test_no_answer_is_on_both_sides():
    answer = np.random.default_rng(0).integers(0, 50, 200)
    rows = np.arange(20, 200)
    train, judge = pairs.parted(answer, rows, 0.7, 0)
    np.testing.assert_array_equal(np.sort(np.concatenate((train, judge))), rows)
    assert not set(answer[train]) & set(answer[judge])
    assert len(np.unique(answer[train])) == round(0.7 * len(np.unique(answer[rows])))


def test_measures_by_hand():
    """Answers of 2, 2 and 1 rows on a line; the second answer's rows are further apart than from the others."""
    x = np.array([[0.0], [0.1], [1.0], [9.0], [2.0]], np.float32)
    data = pairs.Labelled(x, np.array([4, 4, 6, 6, 8]), np.array([[0.0], [2.0]], np.float32), [np.array([1]), np.array([4])])

    def search(queries, base, k):
        away = np.abs(queries - base.T)
        ids = np.argsort(away, axis=1, kind="stable")[:, :k]
        return np.pad(ids, ((0, 0), (0, k - ids.shape[1])), constant_values=-1)

    found = pairs.judged(search, data, np.arange(5))
    assert found["pairs"][:, 0].tolist() == [True, False] and found["pairs"][:, :2].any(axis=1).all()
    # row 2 has 0, 1 and 4 before 3; row 3 has 4 before 2; row 4 has no partner, and does not ask
    assert found["answers"][:, 0].tolist() == [True, True, False, False]
    assert pairs.shares(found["answers"]) == {"r1": 0.5, "r5": 1, "r10": 1, "queries": 4}
    assert found["questions"][:, :2].tolist() == [[False, True], [True, False]]
    seen = pairs.judged(search, data, np.arange(4))
    assert len(seen["questions"]) == 1  # the other question's answer trains


@pytest.fixture
def data(tmp_path):
    """60 answers of 5 passages; questions are near a passage."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "medquad_minilm"
    folder.mkdir(parents=True)
    answer = np.repeat(np.arange(60), 5)
    base = (rng.standard_normal((60, 16))[answer] + 0.7 * rng.standard_normal((300, 16))).astype(np.float32)
    rows = rng.integers(0, 300, 400)
    np.save(folder / "base.npy", base)
    np.save(folder / "base_doc.npy", answer.astype(np.int32))
    np.save(folder / "queries.npy", (base[rows] + 0.1 * rng.standard_normal((400, 16))).astype(np.float32))
    np.save(folder / "gt_ip.npy", np.zeros((400, 10), np.int32))
    (folder / "qrels.json").write_text(json.dumps([np.flatnonzero(answer == answer[row]).tolist() for row in rows]))
    return tmp_path / "data"


def test_the_command(data, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")

    def improved(codec, data, rows):
        return vp.RecurrentBinary(codec.m, codec.u, recipe="rotation").fit(data.x[rows])

    monkeypatch.setattr(pairs, "improved", improved)
    out = tmp_path / "out.json"
    command = ["pairs", "--data", str(data), "-o", str(out), "--keep", str(tmp_path / "kept"), "--bits", "0", "1", "--seeds", "0"]
    monkeypatch.setattr("sys.argv", command)
    pairs.main()
    first = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    codes = ["signs", "signs of random projections", "hash, trained", "bebr", "bebr, first signs"]
    codes += ["hash, large steps", "bebr, large steps", "rotation", "improved"]
    assert [*first] == ["float", "float, trained", *codes]
    for row in first.values():
        assert row["learned_from"] == 210 and row["learned_pairs"] == 168
        assert row["pairs"]["queries"] == 18 and row["answers"]["queries"] == 90
        assert 0 < row["answers"]["r1"] <= row["answers"]["r5"] <= row["answers"]["r10"] <= 1
        assert row["questions"]["queries"] < 100
    assert first["float"]["answers"]["r1"] > first["signs"]["answers"]["r1"]
    assert len(first["bebr"]["above hash, trained"]["answers"]) == 3
    capsys.readouterr()
    pairs.main()  # what is trained is read again
    again = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert again == first and "  step" not in capsys.readouterr().out
    result = json.loads(out.read_text())
    result["choices"] = [{"pairs_kind": "first", "anchors": 64, "rate": 0.02, "epochs": 10.0, "answers": {"r1": 0.25}}]
    result["choices"][0]["signs of random projections"] = {"answers": {"r1": 0.26}}
    table = recurrent_tables.pairs_table(result)
    row = next(line for line in table.splitlines() if '| 1 | `recipe="bebr"` |' in line)
    assert f"| {again['bebr']['pairs']['r1']:.3f} |" in row and ": 64 a step at 0.02, 10 epochs: 0.250" in table
    low, high = (f"{100 * value:+.1f}" for value in again["bebr"]["above hash, trained"]["answers"][1:])
    assert f"({low} to {high})" in table


def test_choices_are_made_without_the_rows_that_judge(data, monkeypatch):
    pytest.importorskip("torch")
    own = pairs.Labelled.of(data, "medquad_minilm")
    seen = []

    def trained(codec, data, rows, kind, **options):
        seen.append(rows)
        return vp.RecurrentBinary(8, 1, recipe="rotation").fit(data.x[rows])

    monkeypatch.setattr(pairs, "trained", trained)
    rows = list(pairs.chosen(own))
    assert rows[0]["signs of random projections"] == rows[1]["signs of random projections"]
    assert len(rows) == len(pairs.CHOICES) and all("questions" not in row and row["answers"]["r10"] > 0 for row in rows)
    _, judge = pairs.parted(own.answer, np.arange(len(own.x)), pairs.SHARE, 0)
    assert not set(seen[0]) & set(judge)
