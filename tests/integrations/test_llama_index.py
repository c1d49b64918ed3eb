"""LlamaIndex over the vector store: whole indexes of documents, every operator of its filters, files."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import ImageNode, IndexNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import vecpress as vp
from vecpress.integrations.llama_index import VecpressVectorStore

NEWER = hasattr(FilterCondition, "NOT")  # before, nothing differed from nothing, and there were fewer words
X = np.random.default_rng(0).normal(size=(300, 8))
OPERATORS = [
    ("i", "==", 3), ("i", "!=", 3), ("i", ">", 250), ("i", ">=", 250), ("i", "<", 4), ("i", "<=", 4), ("name", "==", "n5"),
    ("i", "in", [1, 2, 900]), ("i", "nin", [1, 2]), ("name", "in", ["n1", "n7"]), ("tags", "any", ["even", "none"]),
    ("tags", "all", ["even", "third"]), ("tags", "contains", "third"), ("name", "text_match", "n29"),
    ("name", "text_match_insensitive", "N29"), ("rare", "is_empty", None), ("rare", "==", "yes"), ("rare", "!=", "yes"),
    ("rare", "nin", ["yes"]), ("ref_doc_id", "==", "doc-1"),
]  # fmt: skip


def node(i: int, **more: object) -> TextNode:
    tags = [word for word, of in (("even", 2), ("third", 3)) if i % of == 0]
    metadata = {"i": i, "name": f"n{i}", "tags": tags} | ({"rare": "yes"} if i % 100 == 0 else {})
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{i % 3}")}
    return TextNode(id_=f"id-{i}", text=f"text {i}", metadata=metadata, relationships=source, embedding=X[i].tolist(), **more)


def filled(codec: vp.Codec | None = None) -> VecpressVectorStore:
    store = VecpressVectorStore(codec)
    assert store.add([node(i) for i in range(300)]) == [f"id-{i}" for i in range(300)]
    return store


def ask(i: int, k: int, filters: MetadataFilters | None = None, **more: object) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=X[i].tolist(), similarity_top_k=k, filters=filters, **more)


def one(key: str, operator: str, value: object) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=FilterOperator(operator), value=value)])


@pytest.mark.parametrize("codec", [None, vp.SQ(8, metric="cos"), vp.PQ(m=4, metric="cos")], ids=["raw", "sq", "pq"])
def test_an_index_of_documents(codec):
    store = VecpressVectorStore(codec)
    documents = [Document(text=f"document {i}", id_=f"d{i}", metadata={"i": i}) for i in range(300)]
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex.from_documents(documents, context, embed_model=MockEmbedding(8))
    if codec is not None:
        store.press()
    assert len(store.documents) == 300
    found = index.as_retriever(similarity_top_k=3).retrieve("anything")
    assert len(found) == 3 and all(n.score == pytest.approx(1, abs=0.02) for n in found)
    assert found[0].node.get_content().startswith("document ")
    only = index.as_retriever(similarity_top_k=3, filters=one("i", "==", 7)).retrieve("anything")
    assert [n.node.ref_doc_id for n in only] == ["d7"]
    index.delete_ref_doc("d7")
    assert len(store.documents) == 299 and index.as_retriever(filters=one("i", "==", 7)).retrieve("anything") == []
    index.insert(Document(text="new", id_="new"))
    assert len(store.documents) == 300
    again = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(8))
    assert len(again.as_retriever(similarity_top_k=1000).retrieve("anything")) == 300


class Letters(BaseEmbedding):
    """How often each letter is there."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


def test_an_index_is_persisted_and_loaded(tmp_path):
    context = StorageContext.from_defaults(vector_store=VecpressVectorStore())
    texts = ["a cat sat on the mat", "quick brown foxes jump", "lorem ipsum dolor"]
    index = VectorStoreIndex.from_documents([Document(text=t) for t in texts], context, embed_model=Letters())
    index.storage_context.persist(str(tmp_path))
    store = VecpressVectorStore.from_persist_dir(str(tmp_path))
    context = StorageContext.from_defaults(vector_store=store, persist_dir=str(tmp_path))
    again = load_index_from_storage(context, embed_model=Letters())
    assert again.as_retriever(similarity_top_k=1).retrieve("foxes jump quick")[0].text == texts[1]
    found = asyncio.run(again.as_retriever(similarity_top_k=1).aretrieve("the mat cat"))
    assert found[0].text == texts[0]


def test_the_same_as_the_simple_store():
    mine, simple = filled(vp.Raw("float32", metric="cos")), SimpleVectorStore()
    simple.add([node(i) for i in range(300)])
    for i in range(5):
        for filters in (None, one("i", "<", 100)):
            ours, theirs = mine.query(ask(i, 10, filters)), simple.query(ask(i, 10, filters))
            assert ours.ids == theirs.ids and ours.similarities == pytest.approx(theirs.similarities, abs=1e-5)
        ours = mine.query(ask(i, 10, mode=VectorStoreQueryMode.MMR), mmr_threshold=0.3, mmr_prefetch_factor=30)
        theirs = simple.query(ask(i, 10, mode=VectorStoreQueryMode.MMR), mmr_threshold=0.3)
        assert ours.ids == theirs.ids and ours.similarities == pytest.approx(theirs.similarities, abs=1e-5)
        assert [n.node_id for n in ours.nodes] == ours.ids


@pytest.mark.parametrize(("key", "operator", "value"), OPERATORS)
def test_operators_are_those_of_the_simple_store(key, operator, value):
    if not NEWER and (operator == "text_match_insensitive" or (key == "rare" and operator in ("!=", "nin"))):
        pytest.skip("this LlamaIndex does not know it so")
    mine, simple = filled(), SimpleVectorStore()
    simple.add([node(i) for i in range(300)])
    expected = set(simple.query(ask(0, 300, one(key, operator, value))).ids)
    assert 0 < len(expected) < 300
    assert {n.node_id for n in mine.get_nodes(filters=one(key, operator, value))} == expected
    found = mine.query(ask(0, 300, one(key, operator, value)))
    assert set(found.ids) == expected and found.similarities == sorted(found.similarities, reverse=True)


def test_conditions_nest():
    store = filled()
    even, third, small = one("tags", "contains", "even"), one("tags", "contains", "third"), one("i", "<", 12)

    def found(condition: FilterCondition, *filters: object) -> list[int]:
        return [n.metadata["i"] for n in store.get_nodes(filters=MetadataFilters(filters=list(filters), condition=condition))]

    assert found(FilterCondition.AND, even, third, small) == [0, 6]
    assert found(FilterCondition.OR, even, third)[:6] == [0, 2, 3, 4, 6, 8]
    either = MetadataFilters(filters=[even, third], condition=FilterCondition.OR)
    assert found(FilterCondition.AND, either, small) == [0, 2, 3, 4, 6, 8, 9, 10]
    if not NEWER:
        return
    neither = MetadataFilters(filters=[even, third], condition=FilterCondition.NOT)
    assert found(FilterCondition.AND, neither, small) == [1, 5, 7, 11]
    assert len(store.get_nodes(filters=MetadataFilters(filters=[]))) == 300


def test_filters_that_cannot_be_applied():
    store = filled()
    for key, operator, value, match in (
        ("name", ">", 3, "operator '>' of 'name' cannot compare str and int"),
        ("i", "contains", 3, "operator 'contains' of 'i' cannot compare int and int"),
        ("i", "text_match", "3", "operator 'text_match' of 'i' cannot compare int and str"),
        ("i", "in", 3, "value of 'i' expected a list for 'in', got int"),
    ):
        with pytest.raises(ValueError, match=match):
            store.query(ask(0, 3, one(key, operator, value)))
    wrong = one("i", "==", 3)
    wrong.filters[0].operator = "~"
    with pytest.raises(ValueError, match="operator of 'i' expected one of ==, "):
        store.get_nodes(filters=wrong)
    for mode in ("sparse", "hybrid", "svm"):
        with pytest.raises(ValueError, match=f"mode expected default or mmr, got {mode}"):
            store.query(ask(0, 3, mode=VectorStoreQueryMode(mode)))
    with pytest.raises(ValueError, match="query_embedding expected a vector, got None"):
        store.query(VectorStoreQuery(query_str="text"))
    with pytest.raises(ValueError, match="similarity_top_k expected at least 0, got -1"):
        store.query(ask(0, -1))
    assert store.query(ask(0, 0)).ids == [] == store.query(ask(0, 0, mode=VectorStoreQueryMode.MMR)).ids


def test_ids_narrow_a_query():
    store = filled()
    assert store.query(ask(4, 9, node_ids=["id-4", "id-9", "nowhere"])).ids[0] == "id-4"
    assert len(store.query(ask(4, 9, node_ids=["id-4", "id-9", "nowhere"])).ids) == 2
    assert {n.ref_doc_id for n in store.query(ask(4, 99, doc_ids=["doc-2"])).nodes} == {"doc-2"}
    assert len(store.query(ask(4, 9, node_ids=[], doc_ids=[])).ids) == 9  # LlamaIndex says so where it knows no nodes


def test_nodes_come_back_as_they_were():
    store = VecpressVectorStore()
    nodes = [node(0), IndexNode(id_="a", text="t", index_id="x", embedding=X[1].tolist()),
             ImageNode(id_="b", text="image", image_path="a.png", embedding=X[2].tolist())]  # fmt: skip
    nodes[0].excluded_embed_metadata_keys = ["name"]
    store.add(nodes)
    for was, is_ in zip(nodes, store.get_nodes(["id-0", "a", "b"]), strict=True):
        assert type(was) is type(is_) and is_.embedding is None
        was.embedding = None
        assert is_ == was
    assert store.query(ask(0, 1)).nodes[0].relationships == nodes[0].relationships


def test_nodes_are_replaced_and_removed():
    store = filled().press(vp.SQ(8, metric="cos"))
    store.add([TextNode(id_="id-3", text="other", embedding=X[4].tolist())])
    assert len(store.documents) == 300 and store.get_nodes(["id-3"])[0].text == "other"
    assert set(store.query(ask(4, 2)).ids) == {"id-3", "id-4"}
    store.delete("doc-1")
    store.delete("nothing")
    assert len(store.documents) == 200 == len(store.client)
    store.delete_nodes(["id-2", "nowhere"])
    store.delete_nodes(["id-5", "id-6"], one("i", "==", 6))
    assert [n.node_id for n in store.get_nodes(["id-2", "id-5", "id-6"])] == ["id-5"]
    store.delete_nodes(filters=one("i", ">=", 100))
    assert max(n.metadata.get("i", 0) for n in store.get_nodes()) == 99
    with pytest.raises(ValueError, match=r"delete_nodes: expected node_ids or filters; clear\(\) removes all"):
        store.delete_nodes()
    store.clear()
    assert len(store.documents) == 0 and store.query(ask(0, 1)).ids == [] and store.codec.code_size == 8
    store.add([node(0)])
    assert store.query(ask(0, 1)).ids == ["id-0"]


def test_squared_distances_are_negated():
    found = filled(vp.LloydMax(4, metric="l2")).press().query(ask(0, 300))
    assert found.similarities == sorted(found.similarities, reverse=True) and found.similarities[-1] < -4


def test_bad_nodes_add_nothing():
    store = filled(vp.SQ(8, metric="cos").fit(X))
    for bad, match in (
        (TextNode(id_="x", text="x"), "embedding not set"),
        (TextNode(id_="x", text="x", embedding=[1.0]), r"vector of 'x' expected shape \(8,\), got \(1,\)"),
        (TextNode(id_="x", text="x", embedding=[float("nan")] * 8), "NaN|finite|nan"),
    ):
        with pytest.raises(ValueError, match=match):
            store.add([node(3).model_copy(update={"text": "changed"}), bad])
        assert len(store.documents) == 300 and store.get_nodes(["id-3"])[0].text == "text 3" and not store.get_nodes(["x"])


def test_persisted(tmp_path):
    store = filled().press(vp.PQ(m=4, metric="cos"))
    store.persist(str(tmp_path / "s"))
    again = VecpressVectorStore.from_persist_path(str(tmp_path / "s"))
    assert again.query(ask(0, 300)) == store.query(ask(0, 300)) and again.get_nodes() == store.get_nodes()
    assert repr(again) == repr(store)

    class Remote:
        protocol = ("s3", "s3a")

    for call in (lambda: store.persist(str(tmp_path / "t"), fs=Remote()), lambda: store.from_persist_path("t", fs=Remote())):
        with pytest.raises(ValueError, match="fs expected None or the local file system, got Remote"):
            call()
    (documents,) = (tmp_path / "s").glob("documents-*.jsonl")
    line = documents.read_text().splitlines()[0]
    record = json.loads(line)
    record["document"]["id"] = "id-77"
    documents.write_text(documents.read_text().replace(line, json.dumps(record)))
    with pytest.raises(vp.CorruptFileError, match="line 1: ValueError: node expected id 'id-0'"):
        VecpressVectorStore.from_persist_path(str(tmp_path / "s"))
