"""Haystack's own suites over the document store, and what they do not ask."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("haystack")

from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy
from haystack.errors import FilterError
from haystack.testing import document_store as suites

import vecpress as vp
from vecpress.integrations.haystack import VecpressDocumentStore, VecpressEmbeddingRetriever

X = np.random.default_rng(0).normal(size=(300, 8))
PARTS = ("DeleteAllTest", "DeleteByFilterTest", "UpdateByFilterTest", "CountDocumentsByFilterTest")  # not in older ones
BASES = tuple(getattr(suites, part) for part in PARTS if hasattr(suites, part))


class Suite(suites.DocumentStoreBaseTests, *BASES):
    """Documents come without embedding: what a code decodes to is not what was written."""

    codec: vp.Codec | None = None

    @pytest.fixture
    def document_store(self):
        return VecpressDocumentStore(self.codec)

    @staticmethod
    def assert_documents_are_equal(received, expected):
        assert received == [replace(document, embedding=None) for document in expected]

    def test_write_documents(self, document_store):
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])
        self.assert_documents_are_equal(document_store.filter_documents(), [document])


class TestFloat16(Suite):
    pass


class TestSQ(Suite):
    codec = vp.SQ(8, metric="cos").fit(np.random.default_rng(0).random((300, 768)))


class TestRaBitQ(Suite):
    codec = vp.RaBitQ(2, metric="cos").fit(np.random.default_rng(0).random((300, 768)))


class TestWithEmbeddings(Suite):
    """Documents come with embeddings, held in float32."""

    @pytest.fixture
    def document_store(self):
        return VecpressDocumentStore(vp.Raw("float32", metric="ip"), return_embedding=True)

    @staticmethod
    def assert_documents_are_equal(received, expected):
        Suite.assert_documents_are_equal([replace(document, embedding=None) for document in received], expected)
        for was, is_ in zip(expected, received, strict=True):
            assert (was.embedding is None) == (is_.embedding is None)
            if was.embedding is not None:
                np.testing.assert_array_equal(np.float32(is_.embedding), np.float32(was.embedding))


try:
    pytest.importorskip("pytest_asyncio")
    from haystack.testing import document_store_async as later
except (ImportError, pytest.skip.Exception):
    later = None

if later is not None:
    NAMES = ("CountDocuments", "CountDocumentsByFilter", "DeleteAll", "DeleteByFilter", "DeleteDocuments", "FilterDocuments",
             "UpdateByFilter", "WriteDocuments")  # fmt: skip

    class TestAsync(*(getattr(later, f"{name}AsyncTest") for name in NAMES)):
        document_store = Suite.document_store
        codec = None
        assert_documents_are_equal = staticmethod(Suite.assert_documents_are_equal)

        @pytest.fixture
        def filterable_docs(self):
            return suites.create_filterable_docs()

        @pytest.mark.asyncio
        async def test_write_documents_async(self, document_store):
            document = Document(content="test doc")
            assert await document_store.write_documents_async([document]) == 1
            with pytest.raises(DuplicateDocumentError):
                await document_store.write_documents_async([document])


# ---- what the suites do not ask


def documents(n: int = 300) -> list[Document]:
    return [
        Document(id=f"d{i}", content=f"text {i}", meta={"i": i, "even": i % 2 == 0}, embedding=X[i].tolist()) for i in range(n)
    ]


def filled(codec: vp.Codec | None = None, **more: object) -> VecpressDocumentStore:
    store = VecpressDocumentStore(codec, **more)
    assert store.write_documents(documents()) == 300
    return store


EVEN = {"field": "meta.even", "operator": "==", "value": True}


@pytest.mark.parametrize("codec", [None, vp.SQ(8, metric="cos"), vp.PQ(m=4, metric="cos")], ids=["raw", "sq", "pq"])
def test_the_retriever_finds(codec):
    store = filled(codec)
    store.write_documents([Document(id="bare", content="without embedding")])
    if codec is not None:
        assert store.press() is store and store.codec.code_size == {"SQ": 8, "PQ": 4}[type(codec).__name__]
    retriever = VecpressEmbeddingRetriever(store, top_k=5)
    found = retriever.run(X[7].tolist())["documents"]
    assert found[0].id == "d7" and len(found) == 5 and found[0].score == pytest.approx(1, abs=0.05)
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True) and found[0].embedding is None
    even = retriever.run(X[7].tolist(), filters=EVEN, top_k=300)["documents"]
    assert len(even) == 150 and all(d.meta["even"] for d in even)
    ranked = retriever.run(X[7].tolist(), top_k=1000)["documents"]
    assert [d.id for d in ranked if d.meta["even"]] == [d.id for d in even] and len(ranked) == 300
    assert asyncio.run(retriever.run_async(X[7].tolist()))["documents"] == found
    assert retriever.run(X[7].tolist(), top_k=0)["documents"] == []


def test_filter_policies():
    store, small = filled(), {"field": "meta.i", "operator": "<", "value": 10}
    merged = VecpressEmbeddingRetriever(store, filters=EVEN, top_k=300, filter_policy=FilterPolicy.MERGE)
    assert {d.id for d in merged.run(X[0].tolist(), filters=small)["documents"]} == {"d0", "d2", "d4", "d6", "d8"}
    replaced = VecpressEmbeddingRetriever(store, filters=EVEN, top_k=300)
    assert len(replaced.run(X[0].tolist(), filters=small)["documents"]) == 10
    for bad in ({"field": "meta.i"}, {"operator": "AND"}, {"field": "meta.i", "operator": "~", "value": 1}, {"i": 3}):
        with pytest.raises(FilterError):
            replaced.run(X[0].tolist(), filters=bad)


def test_scores_of_other_metrics():
    for metric in ("ip", "l2"):
        store = filled(vp.LloydMax(4, metric=metric)).press()
        scores = [d.score for d in store.embedding_retrieval(X[7].tolist(), top_k=300)]
        assert scores == sorted(scores, reverse=True) and scores[-1] < -1


def test_policies_are_whole_or_nothing():
    store = filled()
    other = [replace(d, content="other") for d in documents(3)]
    new = Document(id="new", content="new", embedding=X[0].tolist())
    for policy in (DuplicatePolicy.FAIL, DuplicatePolicy.NONE):
        with pytest.raises(DuplicateDocumentError, match="id 'd0' is there already"):
            store.write_documents([new, *other], policy)
        with pytest.raises(DuplicateDocumentError, match="id 'new' is there twice"):
            store.write_documents([new, new], policy)
    assert store.count_documents() == 300
    assert store.write_documents([new, new, *other], DuplicatePolicy.SKIP) == 1
    assert {d.content for d in store.filter_documents()} == {*(f"text {i}" for i in range(300)), "new"}
    assert store.write_documents([replace(new, content="a"), replace(new, content="b"), *other], DuplicatePolicy.OVERWRITE) == 5
    assert store.count_documents() == 301 and [d.content for d in store.filter_documents()][-1] == "b"
    with pytest.raises(ValueError, match=r"vector of 'x' expected shape|8"):
        store.write_documents([Document(id="y"), Document(id="x", embedding=[1.0])])
    assert store.count_documents() == 301
    store.write_documents([Document(id="d5", content="bare")], DuplicatePolicy.OVERWRITE)  # its vector goes too
    assert len(store.documents.index) == 300 and "d5" not in {d.id for d in store.embedding_retrieval(X[5].tolist(), top_k=400)}


def test_returned_documents_are_copies():
    store = filled()
    store.filter_documents()[0].meta["i"] = 77
    store.embedding_retrieval(X[0].tolist())[0].meta.clear()
    assert store.filter_documents()[0].meta == {"i": 0, "even": True}


def test_embeddings_come_back_decoded():
    store = filled(vp.SQ(8, metric="l2"), return_embedding=True).press()
    np.testing.assert_allclose([d.embedding for d in store.filter_documents()], X, atol=0.03)
    assert store.embedding_retrieval(X[0].tolist(), return_embedding=False)[0].embedding is None


def test_saved_and_loaded(tmp_path):
    store = filled(vp.PQ(m=4, metric="cos"))
    store.write_documents([Document(id="blob", blob=ByteStream(b"\0\1", mime_type="x/y"), meta={"content": "a", "n": None})])
    with pytest.raises(ValueError, match="save: path expected a folder, for the store has none"):
        store.save()
    store.press().save(tmp_path / "s")
    again = VecpressDocumentStore(path=tmp_path / "s")
    assert repr(again) == repr(store) and again.filter_documents() == store.filter_documents()
    assert again.embedding_retrieval(X[3].tolist()) == store.embedding_retrieval(X[3].tolist())
    again.delete_documents(["d1"])
    again.save()
    assert VecpressDocumentStore(path=tmp_path / "s").count_documents() == 300
    (written,) = (tmp_path / "s").glob("documents-*.jsonl")
    for change, match in (
        (('"id": "d7"', '"id": "d8"'), "document expected id 'd7', got 'd8'"),
        (('"document": {', '"document": [], "x": {'), "line 1: AttributeError"),
    ):
        whole = written.read_text()
        written.write_text(whole.replace(*change, 1))
        with pytest.raises(vp.CorruptFileError, match=match):
            VecpressDocumentStore(path=tmp_path / "s")
        written.write_text(whole)


def test_pipelines_are_written_and_read(tmp_path):
    store = filled(vp.PQ(m=4, metric="cos")).press()
    store.save(tmp_path / "s")
    pipeline = Pipeline()
    pipeline.add_component("retriever", VecpressEmbeddingRetriever(store, filters=EVEN, top_k=3))
    trusted = (
        "allowed_modules" in inspect.signature(Pipeline.loads).parameters
    )  # newer ones refuse modules that are not Haystack's
    again = Pipeline.loads(pipeline.dumps(), **({"allowed_modules": ["vecpress.integrations.haystack"]} if trusted else {}))
    expected = pipeline.run({"retriever": {"query_embedding": X[8].tolist()}})
    assert again.run({"retriever": {"query_embedding": X[8].tolist()}}) == expected
    assert expected["retriever"]["documents"][0].id == "d8"
    empty = VecpressDocumentStore.from_dict(filled(vp.PQ(m=4, metric="cos")).to_dict())
    assert empty.count_documents() == 0 and "PQ(m=4" in repr(empty)
    assert VecpressDocumentStore.from_dict(VecpressDocumentStore().to_dict()).codec == vp.Raw("float16", metric="cos")
    with pytest.raises(ValueError, match="to_dict: a store of a fitted codec expected a path"):
        VecpressDocumentStore(vp.SQ(8, metric="cos").fit(X)).to_dict()


def test_wrong_arguments():
    with pytest.raises(TypeError, match="codec expected a Codec, got str"):
        VecpressDocumentStore("PQ")
    with pytest.raises(TypeError, match="document_store expected a VecpressDocumentStore, got str"):
        VecpressEmbeddingRetriever("store")
    with pytest.raises(ValueError, match="top_k expected at least 1, got 0"):
        VecpressEmbeddingRetriever(filled(), top_k=0)
