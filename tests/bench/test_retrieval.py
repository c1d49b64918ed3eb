"""The table of retrieval quality: the whole command on made sets, its figures against their definitions."""

from __future__ import annotations

import json

import numpy as np
import pytest

import vecpress as vp
from vecpress.bench import retrieval

pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")


@pytest.fixture
def data(tmp_path):
    """Three sets as the command wants them: questions are passages with noise, labels the passages they came from."""
    rng = np.random.default_rng(0)
    for name, n, nq in (("medquad_minilm", 400, 640), ("xquad_minilm", 60, 30), ("limit_small_minilm", 20, 30)):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        base = rng.standard_normal((n, 16)).astype(np.float32)
        base /= np.linalg.norm(base, axis=1, keepdims=True)
        rows = rng.integers(0, n, nq)
        np.save(folder / "base.npy", base)
        np.save(folder / "queries.npy", (base[rows] + 0.1 * rng.standard_normal((nq, 16))).astype(np.float32))
        np.save(folder / "gt_ip.npy", np.zeros((nq, 10), np.int32))
        labels = [[int(row)] if i % 4 else [] for i, row in enumerate(rows)]
        (folder / "qrels.json").write_text(json.dumps(labels))
    return tmp_path / "data"


def test_the_command(data, tmp_path, monkeypatch, capsys):
    chosen = [
        retrieval.Row("float", vp.Raw()),
        retrieval.Row("Sign, Hamming", vp.Sign(), "vectors", retrieval.SYMMETRIC),
        retrieval.Row("Sign, Hamming, then float queries", vp.Sign(), "vectors", retrieval.RESCORED),
    ]
    monkeypatch.setattr(retrieval, "rows", lambda dim: chosen)
    out, keep = tmp_path / "out.json", tmp_path / "kept"
    command = ["retrieval", "--data", str(data), "-o", str(out), "--keep", str(keep), "--markdown"]
    monkeypatch.setattr("sys.argv", command)
    retrieval.main()
    exact, signs, both = json.loads(out.read_text())["rows"]
    assert len(list(keep.iterdir())) == 2 and "| Sign, Hamming | 2 |" in capsys.readouterr().out
    # questions 0..299 give no figures, and a quarter has no label
    for name, queries in (("medquad_minilm", 255), ("xquad_minilm", 22)):
        assert exact[name]["ndcg_kept"] == 1 and exact[name]["recall_10"] == 1 and exact[name]["queries"] == queries
        assert signs[name]["ndcg_10"] < 1
        assert signs[name]["recall_10"] < both[name]["recall_10"] < 1
        low, high = signs[name]["ndcg_kept_95"]
        assert low <= signs[name]["ndcg_kept"] <= high
        assert signs[name]["ndcg_kept"] == pytest.approx(signs[name]["ndcg_10"] / exact[name]["ndcg_10"])
    stress = "limit_small_minilm"
    assert exact[stress]["first_two_kept"] == 1 and signs[stress]["first_two_kept"] < 1
    monkeypatch.setattr("sys.argv", [*command, "--row", "then"])
    retrieval.main()
    assert [row["name"] for row in json.loads(out.read_text())["rows"]] == [row.name for row in chosen]


def test_the_first_two_are_compared_as_a_set():
    base = np.eye(4, dtype=np.float32)
    queries = np.array([[0.9, 1, 0, 0], [0, 0, 1, 0.9]], np.float32)
    judged = retrieval.Judged("limit_small_minilm", base, queries, [], np.array([[0, 1, 2, 3], [2, 1, 3, 0]]))
    row = retrieval.Row("float", vp.Raw())
    found = retrieval.figures(row, vp.Raw().fit(base), judged)
    assert found["first_two_kept"] == 0.5 and found["recall_2"] == 0.75


def test_every_row_of_the_table_can_be_made():
    names = [row.name for row in retrieval.rows(384)]
    assert len(set(names)) == len(names) and all(row.recipe in retrieval.RECIPES for row in retrieval.rows(384))
    assert all(row.codec.planned(384)[0] > 0 for row in retrieval.rows(384))
