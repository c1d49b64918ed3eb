"""LangChain's own suites over the vector store, held exactly and as codes, and what they do not ask."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading

import numpy as np
import pytest

pytest.importorskip("langchain_tests")
pytest.importorskip("pytest_asyncio")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

import vecpress as vp
from vecpress.integrations.langchain import VecpressRetriever, VecpressVectorStore

for suite in (VectorStoreIntegrationTests, RetrieversIntegrationTests):
    for one in vars(suite).values():
        if inspect.iscoroutinefunction(one):
            pytest.mark.asyncio(one)  # the suites expect a mode that would be set for all of this project's tests


def fitted(codec: vp.Codec) -> vp.Codec:
    return codec.fit(np.array(DeterministicFakeEmbedding(size=6).embed_documents([str(i) for i in range(300)])))


class Suite(VectorStoreIntegrationTests):
    """25 tests; a codec: None, unfitted, or what makes a fitted one."""

    codec: object = None

    @pytest.fixture
    def vectorstore(self):
        made = self.codec() if inspect.isfunction(self.codec) else self.codec
        return VecpressVectorStore(self.get_embeddings(), made)


class TestFloat16(Suite):
    pass


class TestWaiting(Suite):
    codec = vp.PQ(m=3, metric="cos")  # never pressed: held in float16


class TestRaw(Suite):
    codec = vp.Raw("float32", metric="l2")


class TestSQ(Suite):
    codec = staticmethod(lambda: fitted(vp.SQ(8, metric="cos")))


class TestPQ(Suite):
    codec = staticmethod(lambda: fitted(vp.PQ(m=3, metric="cos")))


class TestRaBitQ(Suite):
    codec = staticmethod(lambda: fitted(vp.RaBitQ(4, metric="cos")))


class TestLloydMax(Suite):
    codec = staticmethod(lambda: fitted(vp.LloydMax(4, metric="l2")))


class TestRetriever(RetrieversIntegrationTests):
    retriever_constructor = VecpressRetriever
    retriever_query_example = "text 3"

    @property
    def retriever_constructor_params(self):
        texts = [f"text {i}" for i in range(300)]
        return {"vectorstore": VecpressVectorStore.from_texts(texts, Words(), codec=vp.PQ(m=4, metric="cos")).press()}


class TestRetrieverOfRaw(TestRetriever):
    @property
    def retriever_constructor_params(self):
        return {"vectorstore": VecpressVectorStore.from_texts([f"text {i}" for i in range(5)], Words())}


# ---- what the suites do not ask


class Words(Embeddings):
    """The sum of a random vector a word: texts that share words are near."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        fake = DeterministicFakeEmbedding(size=16)
        return [np.sum(fake.embed_documents(text.split()), axis=0).tolist() for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


COLOURS, THINGS = ("red", "green", "blue"), ("car", "tree", "fish", "hat")
TEXTS = [f"{colour} {thing} {i}" for i in range(25) for colour in COLOURS for thing in THINGS]
METADATAS = [{"colour": text.split()[0], "i": int(text.split()[2])} for text in TEXTS]


def made(codec: vp.Codec | None = None) -> VecpressVectorStore:
    return VecpressVectorStore.from_texts(TEXTS, Words(), METADATAS, ids=[f"t{i}" for i in range(300)], codec=codec)


def test_an_unfitted_codec_waits_until_it_is_pressed():
    store = made(vp.PQ(m=8, metric="cos"))
    assert store.codec == vp.Raw("float16", metric="cos").fit(np.zeros((1, 16))) and "press() makes it PQ" in repr(store)
    exact = [d.id for d in store.similarity_search("red car 7", k=10)]
    assert exact[0] == "t84" and store.press() is store
    assert store.codec.code_size == 8 and store.documents.index.nbytes > 0 and "press()" not in repr(store)
    found = [d.id for d in store.similarity_search("red car 7", k=10)]
    assert found[0] == "t84" and len(set(exact) & set(found)) >= 6
    x = store.documents.index.vectors([f"t{i}" for i in range(300)])
    (score,) = [s for d, s in store.similarity_search_with_score("red car 7", k=300) if d.id == "t84"]
    q = np.array(Words().embed_query("red car 7"))
    assert score == pytest.approx(float(x[84] @ q / np.linalg.norm(q)), abs=1e-5)
    assert store.add_texts(["red car 7 again"], ids=["new"]) == ["new"]  # coded as it comes
    assert store.similarity_search("red car 7 again", k=1)[0].id == "new"
    with pytest.raises(ValueError, match=r"press: expected vectors that are held as they are, got codes of PQ"):
        store.press(vp.SQ(8, metric="cos"))


def test_press_takes_another_codec_and_queries():
    store = made().press(vp.Sign(metric="cos"), ["red car", "blue hat"])
    assert store.codec.code_size == 2
    assert made().press(vp.SQ(4, metric="cos").fit(np.random.default_rng(0).normal(size=(9, 16)))).codec.code_size == 8


def test_press_refused():
    with pytest.raises(ValueError, match="press: expected vectors to learn from, there are none"):
        VecpressVectorStore(Words(), vp.PQ(m=8, metric="cos")).press()
    with pytest.raises(ValueError, match="press: codec expected a codec, for none was handed in before"):
        made().press()
    with pytest.raises(ValueError, match="press: codec expected metric 'cos', as the vectors are held, got 'ip'"):
        made().press(vp.SQ(8, metric="ip"))
    with pytest.raises(TypeError, match="press: codec expected a Codec, got str"):
        made().press("PQ")


@pytest.mark.parametrize("codec", [None, vp.PQ(m=8, metric="cos")], ids=["raw", "pq"])
def test_filters_are_applied_before_the_search(codec):
    store = made(codec)
    if codec is not None:
        store.press()
    blue = store.similarity_search("red car 7", k=100, filter={"colour": "blue"})
    assert len(blue) == 100 and {d.metadata["colour"] for d in blue} == {"blue"}
    both = store.similarity_search("red car 7", k=9, filter={"colour": "blue", "i": 3})
    assert len(both) == 4 and {d.metadata["i"] for d in both} == {3}
    odd = store.similarity_search("red car 7", k=5, filter=lambda d: d.metadata["i"] % 2 == 1)
    assert len(odd) == 5 and all(d.metadata["i"] % 2 for d in odd)
    ranked = store.similarity_search("red car 7", k=300)
    assert [d.id for d in ranked if d.metadata["colour"] == "blue"] == [d.id for d in blue]
    assert store.similarity_search("red car 7", filter={"nothing": None}) == []
    with pytest.raises(TypeError, match="filter expected a dict or a function of a Document, got list"):
        store.similarity_search("red", filter=["blue"])


def test_mmr_takes_what_differs():
    store = made().press(vp.SQ(8, metric="cos"))
    near = store.similarity_search("red car 7", k=3)
    alike = store.max_marginal_relevance_search("red car 7", k=3, fetch_k=50, lambda_mult=1.0)
    apart = store.max_marginal_relevance_search("red car 7", k=3, fetch_k=50, lambda_mult=0.0)
    assert [d.id for d in alike] == [d.id for d in near] and near[0] == apart[0] and apart != near
    assert store.max_marginal_relevance_search("red", k=3, filter=lambda d: False) == []


def test_relevance_is_between_0_and_1():
    for codec in (None, vp.Raw("float16", metric="l2"), vp.Raw("float16", metric="ip")):
        scored = made(codec).similarity_search_with_relevance_scores("red car 7", k=300)
        assert all(0 <= s <= 1 for _, s in scored) and [s for _, s in scored] == sorted((s for _, s in scored), reverse=True)
    best = made().as_retriever(search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.99})
    assert [d.id for d in best.invoke("red car 7")] == ["t84"]


def test_returned_documents_are_copies():
    store = made()
    store.get_by_ids(["t1"])[0].metadata["colour"] = "none"
    store.similarity_search("red car 7", k=300)[0].metadata.clear()
    assert [d.metadata for d in store.get_by_ids(["t1", "t84"])] == [METADATAS[1], METADATAS[84]]
    mine = Document(page_content="x", metadata={"deep": [1]})
    store.add_documents([mine], ids=["mine"])
    mine.metadata["deep"].append(2)
    assert store.get_by_ids(["mine"])[0].metadata == {"deep": [1]}


@pytest.mark.parametrize("codec", [None, vp.PQ(m=8, metric="cos"), vp.PQ(m=4, metric="l2")], ids=["raw", "waiting", "pressed"])
def test_saved_and_loaded(codec, tmp_path):
    store = made(codec)
    if codec is not None and codec.metric == "l2":
        store.press()
    store.delete(["t0", "t9"])
    store.save(tmp_path / "store")
    again = VecpressVectorStore.load(tmp_path / "store", Words())
    assert repr(again) == repr(store) and len(again.documents) == 298
    assert again.similarity_search_with_score("red car 7", k=300) == store.similarity_search_with_score("red car 7", k=300)
    again.add_texts(["more"])
    mapped = VecpressVectorStore.load(tmp_path / "store", Words(), mmap=True)
    assert mapped.similarity_search("red car 7") == store.similarity_search("red car 7")
    with pytest.raises(ValueError, match="mapped"):
        mapped.add_texts(["more"])
    assert len(mapped.documents) == 298
    names = sorted(p.name for p in (tmp_path / "store").iterdir())
    again.save(tmp_path / "store")  # the files of the save before are gone
    assert len(names) == 3 == len(list((tmp_path / "store").iterdir()))
    assert len(VecpressVectorStore.load(tmp_path / "store", Words()).documents) == 299


def test_an_empty_store_saved_and_loaded(tmp_path):
    VecpressVectorStore(Words(), vp.PQ(m=8, metric="cos")).save(tmp_path / "s")
    again = VecpressVectorStore.load(tmp_path / "s", Words())
    assert len(again.documents) == 0 and "PQ" in repr(again) and again.similarity_search("x") == []
    again.add_texts(TEXTS)
    assert again.press().codec.code_size == 8


def test_a_save_that_fails_leaves_the_store_before(tmp_path):
    store = made()
    store.save(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for value, kind in (({1, 2}, TypeError), (float("nan"), ValueError), ((1, 2), ValueError), ("\ud800", ValueError)):
        store.add_documents([Document(page_content="x", metadata={"odd": value})], ids=["odd"])
        with pytest.raises(kind, match="save: document 'odd' expected JSON values"):
            store.save(tmp_path)
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_damaged_folders_are_refused(tmp_path):
    made(vp.PQ(m=8, metric="cos")).save(tmp_path)
    manifest = json.loads((tmp_path / "store.json").read_text())
    whole = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def refused(name: str, data: bytes, match: str) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(vp.CorruptFileError, match=match):
            VecpressVectorStore.load(tmp_path, Words())
        (tmp_path / name).write_bytes(whole[name])

    documents, index = manifest["documents"], manifest["index"]
    refused(documents, whole[documents].replace(b"red", b"rod", 1), "checksum expected crc32:")
    refused(documents, whole[documents][:-30], "line 300: JSONDecodeError")
    twice = whole[documents] + whole[documents].split(b"\n")[0] + b"\n"
    refused(documents, twice, "line 301: ValueError: key expected a new str")
    refused(documents, whole[documents].replace(b'"page_content"', b'"page"', 1), "line 1: KeyError: 'page_content'")
    refused(index, whole[index][:-1], "expected a file of")
    refused("store.json", b"{", "store.json: not valid JSON")
    refused("store.json", b"[]", "store.json: not a store of vecpress")
    for change, match in (
        ({"version": 2}, "version expected 1, got 2"),
        ({"documents": "../" + documents}, "documents expected a name of the folder's own"),
        ({"index": "/etc/passwd"}, "index expected a name of the folder's own"),
        ({"held": {"name": "Nope", "config": {}}}, "there is no codec 'Nope'"),
        ({"waiting": {"name": "PQ", "config": {"x": 1}}}, "TypeError"),
        ({"index": None, "held": {"name": "Sign", "config": {}}}, "expected an index, as vectors are held by Sign"),
    ):
        refused("store.json", json.dumps(manifest | change).encode(), match)
    store = made()
    store.documents.documents.pop("t5")
    store.save(tmp_path)
    with pytest.raises(vp.CorruptFileError, match="there is no document of key 't5', which the index holds"):
        VecpressVectorStore.load(tmp_path, Words())
    with pytest.raises(FileNotFoundError):
        VecpressVectorStore.load(tmp_path / "nowhere", Words())


def test_bad_input_changes_nothing():
    store = made()
    for call, kind, match in (
        (lambda: VecpressVectorStore("model"), TypeError, "embedding expected Embeddings, got str"),
        (lambda: VecpressVectorStore(Words(), "PQ"), TypeError, "codec expected a Codec, got str"),
        (lambda: store.add_texts(["a", "b"], ids=["1"]), ValueError, "ids expected one for each of 2 texts, got 1"),
        (lambda: store.add_texts(["a"], [{}, {}]), ValueError, "metadatas expected one for each of 1 texts, got 2"),
        (lambda: store.add_documents([Document("a")], ids=[]), ValueError, "ids expected one for each of 1 documents, got 0"),
        (lambda: store.add_texts(["a"], colour=1), TypeError, "unexpected argument 'colour'"),
        (lambda: store.similarity_search("a", k=-1), ValueError, "k expected 0 to"),
        (lambda: store.similarity_search("a", k=1.5), TypeError, "k expected an int"),
        (lambda: store.similarity_search("a", nprobe=3), TypeError, "nprobe"),
        (lambda: store.similarity_search_by_vector([1.0, 2.0]), ValueError, "16"),
        (lambda: store.similarity_search_by_vector([[1.0] * 16]), ValueError, "q expected one vector, got shape"),
    ):
        with pytest.raises(kind, match=match):
            call()
    store._embedding = DeterministicFakeEmbedding(size=5)  # another model
    with pytest.raises(ValueError, match="16"):
        store.add_texts(["a"], ids=["t3"])
    assert len(store.documents) == 300 and store.get_by_ids(["t3"])[0].page_content == TEXTS[3]
    assert store.similarity_search_by_vector(Words().embed_query("red"), k=0) == []


def test_searches_while_another_thread_changes():
    store, stop, wrong = made(), threading.Event(), []

    def search():
        while not stop.is_set():
            found = store.similarity_search("red car 7", k=20, filter={"colour": "red"})
            if len(found) < 20 or any(d.metadata["colour"] != "red" for d in found):
                wrong.append(found)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(30):
        ids = store.add_texts([f"green car {i}", "blue hat"], [{"colour": "green"}, {"colour": "blue"}])
        store.delete(ids)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(store.documents) == 300


def test_async_methods_give_the_same():
    store = made()
    sync = store.similarity_search("red car 7", k=3, filter={"i": 7})
    assert asyncio.run(store.asimilarity_search("red car 7", k=3, filter={"i": 7})) == sync
    assert asyncio.run(VecpressRetriever(vectorstore=store, k=3, filter={"i": 7}).ainvoke("red car 7")) == sync
