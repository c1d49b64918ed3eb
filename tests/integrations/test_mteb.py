"""MTEB's tasks through the backend: its mock tasks, and a real one, of the shipped vectors or of a folder of data sets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mteb.mocks")

import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.mocks import mock_tasks as mocks
from mteb.models import SearchEncoderWrapper
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction

import vecpress as vp
from vecpress.integrations.mteb import Held, VecpressSearchIndex


class Model(AbsEncoder):
    """Vectors by the number that a text ends with; other texts get the counts of their letters."""

    def __init__(self, base: np.ndarray, queries: np.ndarray):
        self.sides = {"passage": np.asarray(base, np.float32), "question": np.asarray(queries, np.float32)}
        meta = {"name": "tests/shipped", "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
        self.mteb_model_meta = ModelMeta.create_empty(meta)

    def encode(self, inputs, **kwargs):
        return np.array([self.vector(text.strip()) for batch in inputs for text in batch["text"]])

    def vector(self, text: str) -> np.ndarray:
        side, _, number = text.partition(" ")
        if side in self.sides and number.isdigit():
            return self.sides[side][int(number)]
        return np.array([text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"], np.float32)


def task_of(n: int, relevant: dict[int, list[int]], ranked: dict[int, list[int]] | None = None) -> AbsTaskRetrieval:
    """A retrieval task of texts that name vectors: `relevant` base rows for queries."""

    class Made(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Made", type="Retrieval" if ranked is None else "Reranking", dataset={"path": "NA", "revision": "NA"},
            description="Made of vectors", reference=None, category="t2t", modalities=["text"], eval_splits=["test"],
            eval_langs=["eng-Latn"], main_score="ndcg_at_10", date=None, domains=None, task_subtypes=None, license=None,
            annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation=None,
        )  # fmt: skip

        def load_data(self, *args, **kwargs):
            split = {
                "corpus": Dataset.from_list([{"id": f"p{i}", "text": f"passage {i}", "title": ""} for i in range(n)]),
                "queries": Dataset.from_list([{"id": f"q{i}", "text": f"question {i}"} for i in relevant]),
                "relevant_docs": {f"q{i}": {f"p{j}": 1 for j in ids} for i, ids in relevant.items()},
                "top_ranked": None if ranked is None else {f"q{i}": [f"p{j}" for j in ids] for i, ids in ranked.items()},
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return Made()


def scores(model: AbsEncoder, task: AbsTaskRetrieval, backend: VecpressSearchIndex | None) -> dict:
    wrapped = SearchEncoderWrapper(model, index_backend=backend)
    result = mteb.evaluate(wrapped, task, cache=None, show_progress_bar=False, co2_tracker=False)
    return result.task_results[0].scores["test"][0]


@pytest.fixture(scope="module")
def shipped():
    """The shipped vectors; relevant are the exact 5 nearest."""
    data = vp.datasets.demo()
    base, queries = np.asarray(data.base[:1500], np.float32), np.asarray(data.queries[:60], np.float32)
    ids = vp.exact(queries, base, 5, "cos")[1]
    return Model(base, queries), 1500, {i: ids[i].tolist() for i in range(60)}


def test_the_mock_task():
    model = Model(np.zeros((1, 26)), np.zeros((1, 26)))
    for codec in (vp.Raw("float16", metric="cos"), vp.SQ(8, metric="cos"), vp.RaBitQ(4, metric="cos")):
        backend = VecpressSearchIndex(codec)
        ours, theirs = scores(model, mocks.MockRetrievalTask(), backend), scores(model, mocks.MockRetrievalTask(), None)
        assert ours["main_score"] == theirs["main_score"]
        held, again = backend.held  # of two splits
        assert held == again == Held(repr(codec), 2, held.code_size, held.state_nbytes) and held.code_size > 0


def test_raw_gives_what_mteb_gives(shipped):
    model, n, relevant = shipped
    task = task_of(n, relevant)
    ours, theirs = scores(model, task, VecpressSearchIndex(vp.Raw("float32", metric="cos"))), scores(model, task, None)
    same = {name for name in theirs if isinstance(theirs[name], float) and not np.isnan(theirs[name])} - {"hf_subset"}
    assert len(same) > 30 and theirs["ndcg_at_10"] > 0.9
    assert {name: ours[name] for name in same} == pytest.approx({name: theirs[name] for name in same}, abs=1e-6)


def test_a_budget_costs_quality(shipped):
    model, n, relevant = shipped
    figures = []
    for codec in (vp.Sign(metric="cos"), vp.RaBitQ(2, metric="cos"), vp.SQ(8, metric="cos")):
        backend = VecpressSearchIndex(codec)
        figures.append((scores(model, task_of(n, relevant), backend)["ndcg_at_10"], backend.held[0].code_size))
    assert figures == sorted(figures) and figures[0][1] == 48 and 0.5 < figures[0][0] < figures[-1][0] - 0.05


@pytest.mark.slow
def test_a_codec_is_chosen_for_a_budget(shipped):
    model, n, relevant = shipped
    backend = VecpressSearchIndex(code_size=48)
    assert scores(model, task_of(n, relevant), backend)["ndcg_at_10"] > 0.7
    assert backend.held[0].code_size <= 48 and backend.held[0].documents == n


def test_candidates_are_reranked(shipped):
    model, n, relevant = shipped
    drawn = np.random.default_rng(0)
    ranked = {i: drawn.permutation([*ids, *drawn.choice(n, 20, replace=False)]).tolist() for i, ids in relevant.items()}
    ranked = {i: list(dict.fromkeys(ids)) for i, ids in ranked.items()}
    task = task_of(n, relevant, ranked)
    ours, theirs = scores(model, task, VecpressSearchIndex(vp.Raw("float32", metric="cos"))), scores(model, task, None)
    assert ours["ndcg_at_10"] == pytest.approx(theirs["ndcg_at_10"], abs=1e-6) and ours["ndcg_at_10"] > 0.95
    assert scores(model, task, VecpressSearchIndex(vp.Sign(metric="cos")))["ndcg_at_10"] > 0.8


@pytest.mark.skipif("VECPRESS_DATA" not in os.environ, reason="VECPRESS_DATA names no folder of data sets")
def test_a_task_of_real_labels():
    folder = Path(os.environ["VECPRESS_DATA"]) / "xquad_minilm"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder.name} in VECPRESS_DATA")
    data = vp.datasets.load(folder)
    relevant = {i: ids for i, ids in enumerate(json.loads((folder / "qrels.json").read_text())) if ids}
    model = Model(data.base, data.queries)

    def ndcg(backend: VecpressSearchIndex | None) -> float:
        return scores(model, task_of(len(data.base), relevant), backend)["ndcg_at_10"]

    exact = ndcg(None)
    assert exact > 0.8 and ndcg(VecpressSearchIndex(vp.Raw("float16", metric="cos"))) == pytest.approx(exact, abs=0.002)
    assert exact - 0.02 < ndcg(VecpressSearchIndex(vp.SQ(8, metric="cos"))) < exact + 0.02
    assert 0.6 < ndcg(VecpressSearchIndex(vp.Sign(metric="cos"))) < exact


# ---- the protocol


def filled(codec: vp.Codec, **more: object) -> tuple[VecpressSearchIndex, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    backend = VecpressSearchIndex(codec, **more)
    backend.add_documents(x[:200], [f"d{i}" for i in range(200)])
    backend.add_documents(x[200:], [f"d{i}" for i in range(200, 300)])
    return backend, x


def test_documents_come_in_pieces():
    backend, x = filled(vp.Raw("float32", metric="l2"))
    found, places = backend.search(x[[7, 250]], 3)
    assert [p[0] for p in places] == [7, 250] and [len(p) for p in places] == [3, 3]
    expected = -np.sort(np.linalg.norm(x - x[7], axis=1))[:3]
    assert found[0] == pytest.approx(expected.tolist(), abs=1e-3)
    assert [held.documents for held in backend.held] == [300]
    backend.clear()
    backend.add_documents(x[:5], list("abcde"))
    assert [held.documents for held in backend.held] == [300, 5] and len(backend.search(x[:2], 10)[1][0]) == 5


def test_places_are_within_the_candidates():
    torch = pytest.importorskip("torch")
    backend, x = filled(vp.Raw("float32", metric="cos"))
    ranked = {"a": ["d9", "d3", "d250"], "b": [], "c": ["d4"]}
    found, places = backend.search(torch.tensor(x[[3, 4, 9]]), 2, None, ranked, {0: "a", 1: "b", 2: "c"})
    assert places[0][0] == 1 and len(places[0]) == 2 and places[1:] == [[], [0]] and [len(s) for s in found] == [2, 0, 1]


def test_fitted_codecs_and_options_are_used():
    x = np.random.default_rng(1).normal(size=(300, 8))
    codec = vp.PQ(m=4, metric="cos").fit(x)
    backend, x = filled(codec)
    assert backend._index.codec == codec
    expected = backend._index.search(x[:3], 5, symmetric=True)[1]
    symmetric, _ = filled(codec, symmetric=True)
    assert symmetric.search(x[:3], 5)[1] == expected.tolist()


def test_wrong_arguments():
    for given, kind, match in (
        ({}, ValueError, "exactly one of codec and code_size expected"),
        ({"codec": vp.Sign(), "code_size": 3}, ValueError, "exactly one of codec and code_size expected"),
        ({"codec": "PQ"}, TypeError, "codec expected a Codec, got str"),
        ({"code_size": 0}, ValueError, "code_size expected at least 1, got 0"),
        ({"code_size": 8, "metric": "dot"}, ValueError, "metric expected one of"),
    ):
        with pytest.raises(kind, match=match):
            VecpressSearchIndex(**given)
    backend = VecpressSearchIndex(vp.Sign(metric="cos"))
    with pytest.raises(ValueError, match="search: expected documents"):
        backend.search(np.zeros((1, 8)), 3)
    with pytest.raises(ValueError, match=r"idxs expected one for each row of embeddings \(2, 8\), got 1"):
        backend.add_documents(np.ones((2, 8)), ["a"])
    backend, x = filled(vp.Raw(metric="cos"))
    with pytest.raises(ValueError, match="top_ranked expected ids that were added, 'x' is unknown"):
        backend.search(x[:1], 3, None, {"q": ["d1", "x"]}, {0: "q"})
    with pytest.raises(ValueError, match="query_idx_to_id expected with top_ranked, got None"):
        backend.search(x[:1], 3, None, {"q": ["d1"]})
