"""Documents beside an index: what fails leaves all as it was, in memory and on disk; nothing of it is imported unasked."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import vecpress as vp
from vecpress.integrations.documents import DocumentIndex, KnownKey

X = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)


def filled(codec: vp.Codec | None = None, n: int = 300) -> DocumentIndex:
    store = DocumentIndex(codec)
    assert store.upsert({f"k{i}": {"i": i} for i in range(n)}, {f"k{i}": X[i] for i in range(n)}) == n
    return store


def state(store: DocumentIndex) -> tuple:
    return store.select(), store.search(X[0], 400), [] if store.index is None else store.index.keys


def test_import_vecpress_loads_no_integration():
    code = "import sys, vecpress; print([m for m in sys.modules if 'integrations' in m or m.split('.')[0] in {names}])"
    names = {"langchain_core", "llama_index", "haystack", "mteb"}
    done = subprocess.run([sys.executable, "-c", code.replace("{names}", str(names))], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("raised", [KeyboardInterrupt, MemoryError, ValueError])
@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_a_change_that_fails_is_none(raised, before, monkeypatch):
    store = filled()
    was, upsert = state(store), vp.KeyedIndex.upsert

    def failing(self, *args, **kwargs):
        if not before:
            upsert(self, *args, **kwargs)
        raise raised

    monkeypatch.setattr(vp.KeyedIndex, "upsert", failing)
    with pytest.raises(raised):
        store.upsert({"k3": {"i": -3}, "new": {"i": -1}}, {"k3": X[3], "new": X[200]})
    monkeypatch.undo()
    if before:
        assert state(store) == was
    else:  # Ctrl-C when the index had it all: what it holds has a document
        assert {key for key, _ in store.select()} == {key for key, _ in was[0]} | {"new"}
    assert store.upsert({"new": {"i": 1}}, {"new": X[1]}) == 1 and store.search(X[1], 2)[0][0] in ("k1", "new")


def test_existing_keys():
    store = filled(n=10)
    with pytest.raises(KnownKey, match="expected new keys, 'k2' is there already") as caught:
        store.upsert({"a": 0, "k2": 0}, {"a": X[0]}, existing="fail")
    assert caught.value.key == "k2" and len(store) == 10
    assert store.upsert({"a": 0, "k2": 0}, {"a": X[0], "k2": X[0]}, existing="skip") == 1
    assert store.get(["a", "k2", "nowhere"]) == [("a", 0), ("k2", {"i": 2})] and store.search(X[2], 1)[0][0] == "k2"
    with pytest.raises(ValueError, match="existing expected one of"):
        store.upsert({}, {}, existing="maybe")


def test_documents_without_vectors():
    store = DocumentIndex()
    store.upsert({"bare": 1}, {})
    assert store.search(X[0], 3) == [] and len(store) == 1 and store.codec == vp.Raw("float16", metric="cos")
    with pytest.raises(ValueError, match="expected keys with a vector, 'bare' has none"):
        store.vectors(["bare"])
    store.upsert({"bare": 2, "full": 3}, {"full": X[0]})
    assert store.vectors_of(["bare", "full"]).keys() == {"full"} and [key for key, _, _ in store.search(X[0], 9)] == ["full"]
    store.upsert({"full": 4}, {})  # its vector is gone
    assert store.search(X[0], 3) == [] and store.remove(["full", "full", "nowhere"]) == 1
    store.clear()
    assert len(store) == 0 and store.search(X[0], 3) == []


def test_an_empty_index_of_a_fitted_codec_is_kept():
    codec = vp.PQ(m=2).fit(X)
    store = DocumentIndex(codec)
    store.upsert({"a": 1}, {"a": X[0]})
    assert store.codec == codec
    store.clear()
    store.upsert({"a": 1}, {"a": X[0]})
    assert store.codec == codec and len(store.index) == 1


def test_press_keeps_what_does_not_learn(monkeypatch):
    store = filled(vp.PQ(m=4, metric="cos"))
    was = state(store)
    with pytest.raises(ValueError):
        store.press(vp.PQ(m=5, metric="cos"))  # does not divide 8
    assert state(store) == was and store.wanted == vp.PQ(m=4, metric="cos")
    store.press()
    assert store.codec.code_size == 4 == store.wanted.code_size and [key for key, _ in store.select()] == [k for k, _ in was[0]]


@pytest.mark.parametrize("step", ["index", "manifest", "unlink"])
def test_a_save_that_fails_leaves_one_store(step, tmp_path, monkeypatch):
    from vecpress.integrations import documents as module

    store = filled()
    store.save(tmp_path, lambda value: value, word="first")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    store.remove(["k0"])
    replacing = module.replacing

    def failing(path, *args):
        if str(path).endswith("store.json"):
            raise OSError("disk full")
        return replacing(path, *args)

    if step == "index":
        monkeypatch.setattr(vp.KeyedIndex, "save", lambda self, path: (_ for _ in ()).throw(OSError("disk full")))
    elif step == "manifest":
        monkeypatch.setattr(module, "replacing", failing)
    else:
        monkeypatch.setattr(module.os, "unlink", lambda path: (_ for _ in ()).throw(OSError("busy")))
        store.save(tmp_path, lambda value: value, word="second")  # what is left over is no matter
        monkeypatch.undo()
        again, about = DocumentIndex.load(tmp_path, lambda key, value: value)
        assert len(again) == 299 and about == {"word": "second"} and len(list(tmp_path.iterdir())) == 5
        return
    with pytest.raises(OSError, match="disk full"):
        store.save(tmp_path, lambda value: value)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    again, about = DocumentIndex.load(tmp_path, lambda key, value: value)
    assert len(again) == 300 and about == {"word": "first"}


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "index-mine.vpz").write_text("mine")
    filled().save(tmp_path, lambda value: value)
    filled().save(tmp_path, lambda value: value)
    assert (tmp_path / "index-mine.vpz").read_text() == "mine" and len(list(tmp_path.iterdir())) == 4
    (tmp_path / "store.json").write_text('{"name": "another program"}')
    with pytest.raises(vp.CorruptFileError, match=r"store\.json: not a store of vecpress"):
        filled().save(tmp_path, lambda value: value)
    assert (tmp_path / "store.json").read_text() == '{"name": "another program"}' and len(list(tmp_path.iterdir())) == 4
    with pytest.raises(TypeError, match="path expected str, bytes"):
        filled().save(3, lambda value: value)


def test_wrong_vectors():
    store = filled(n=3)
    for vectors, kind, match in (
        ({"a": X[0], "b": X[0, :3]}, ValueError, r"vector of 'b' expected shape \(8,\), got \(3,\)"),
        ({"a": X[:2], "b": X[:2]}, ValueError, "vector of 'a' expected"),
        ({"a": X[0] * np.nan}, ValueError, "row 0"),
        ({"a": ["x"] * 8}, TypeError, "numbers"),
    ):
        with pytest.raises(kind, match=match):
            store.upsert({"a": 1, "b": 2}, vectors)
        assert len(store) == 3 == len(store.index)
    with pytest.raises(TypeError, match="keys expected str, got int"):
        store.upsert({1: 1}, {1: X[0]})
    assert len(store) == 3
