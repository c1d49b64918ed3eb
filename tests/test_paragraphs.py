"""Binary paragraph vectors: what codes find on texts of known topics, inference against torch's gradients, files, bad input."""

import copy

import numpy as np
import pytest

import vecpress as vp
from vecpress import container, ops
from vecpress.paragraphs import _bags
from vecpress.synthetic import topic_texts

torch = pytest.importorskip("torch")

TEXTS, BITS, REAL = 240, 16, 48


@pytest.fixture(scope="module")
def texts():
    """Texts to learn from and their topics, and questions and theirs."""
    made, topics = topic_texts(TEXTS + 80, topics=12, words=500, seed=1, share=0.35)
    return made[:TEXTS], topics[:TEXTS], made[TEXTS:], topics[TEXTS:]


@pytest.fixture(scope="module")
def model(texts):
    return vp.ParagraphVectors(BITS, REAL, epochs=15, seed=3).fit(texts[0])


def same_topic(found, topics, asked):
    """Share of those found that have the question's topic."""
    return float((topics[found] == asked[:, None]).mean())


def signs_of_tf_idf(base, questions, bits):
    """The plain baseline: signs of random projections of tf-idf, about their means; float, [n, bits] of 1 and -1."""
    words = {word: i for i, word in enumerate(sorted({word for text in base for word in text.split()}))}

    def counts(some):
        out = np.zeros((len(some), len(words)))
        for row, text in zip(out, some, strict=True):
            for word in text.split():
                if word in words:
                    row[words[word]] += 1
        return np.log1p(out)

    b, q = counts(base), counts(questions)
    inverse = np.log(len(base) / (b > 0).sum(axis=0))
    b, q = (x * inverse / np.linalg.norm(x * inverse, axis=1, keepdims=True) for x in (b, q))
    projection = np.random.default_rng(0).standard_normal((len(words), bits))
    mean = (b @ projection).mean(axis=0)
    return np.where(b @ projection > mean, 1, -1), np.where(q @ projection > mean, 1, -1)


def test_codes_find_topics_where_projections_of_words_do_not(model, texts):
    base, topics, questions, asked = texts
    index = model.index(base)
    q = model.encode(questions).vectors
    code = same_topic(index.search(q, 10, symmetric=True)[1], topics, asked)
    b, signs = signs_of_tf_idf(base, questions, BITS)
    plain = same_topic(np.argsort(-(signs @ b.T), axis=1, kind="stable")[:, :10], topics, asked)
    assert code > plain + 0.25
    # the real vectors rank the shortlist better than the code does
    both = same_topic(index.search(q, 10, symmetric=True, rerank=60)[1], topics, asked)
    assert both > code + 0.02


def test_codes_alone(texts):
    base, topics, questions, asked = texts
    model = vp.ParagraphVectors(BITS, epochs=15, seed=3).fit(base)
    codes, vectors = model.encode(questions)
    assert vectors.shape == (len(questions), BITS) and isinstance(model.codec, vp.Sign)
    np.testing.assert_array_equal(codes, np.packbits(vectors > 0, axis=1))
    found = model.index(base).search(vectors, 10, symmetric=True)[1]
    assert same_topic(found, topics, asked) > 0.4  # chance: 1 / 12


def test_codes_are_bits_of_the_projected_vectors(model, texts):
    codes, vectors = model.encode(texts[2])
    assert codes.dtype == np.uint8 and codes.shape == (80, BITS // 8) and vectors.dtype == np.float32
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    z = unit @ model.projection_
    clear = np.abs(z) > 1e-5 * np.abs(z).max()
    assert (np.unpackbits(codes, axis=1).astype(bool) == (z > 0))[clear].all()
    np.testing.assert_array_equal(model.index(texts[2]).codes(np.arange(80)), codes)
    distances = np.unpackbits(codes[:1] ^ codes, axis=1).sum(axis=1)
    found = model.index(texts[2]).search(vectors[:1], 80, symmetric=True)[1][0]
    np.testing.assert_array_equal(distances[found], np.sort(distances))
    assert 0.2 < np.unpackbits(codes).mean() < 0.8


def test_a_text_is_coded_alike_alone_and_among_others(model, texts):
    codes, vectors = model.encode(texts[2][:70])
    for i in (0, 5, 69):
        alone = model.encode([texts[2][i]])
        np.testing.assert_array_equal(alone.vectors[0], vectors[i])
        np.testing.assert_array_equal(alone.codes[0], codes[i])


def test_the_same_seed_gives_the_same_model(model, texts):
    again = vp.ParagraphVectors(BITS, REAL, epochs=15, seed=3).fit(iter(texts[0]))
    other = vp.ParagraphVectors(BITS, REAL, epochs=1, seed=4).fit(texts[0])
    np.testing.assert_array_equal(again.code_words_, model.code_words_)
    assert (other.projection_ != model.projection_).any() and again.words_ == model.words_


def test_the_slope_is_that_of_the_loss_of_training(model):
    from vecpress.train import paragraphs

    rng = np.random.default_rng(0)
    h = rng.standard_normal((5, REAL)).astype(np.float32)
    wanted = rng.random((5, len(model.words_))).astype(np.float32)
    wanted /= wanted.sum(axis=1, keepdims=True)
    for one in (model, vp.ParagraphVectors(REAL, epochs=1).fit(["ab cd ab", "cd ef ef"])):
        target = torch.from_numpy(wanted[:, : len(one.words_)] / wanted[:, : len(one.words_)].sum(axis=1, keepdims=True))
        x = torch.from_numpy(h).requires_grad_(True)
        arrays = {name: torch.from_numpy(np.array(getattr(one, name))) for name in one._state()}
        code = paragraphs._Rounded.apply(x @ arrays["projection_"] if one.real else x)
        loss = paragraphs._surprise(code, arrays["code_words_"], arrays["bias_"], target)
        if one.real:
            loss = loss + paragraphs._surprise(x, arrays["real_words_"], arrays["bias_"], target)
            loss = loss + one.decay / 2 * x.pow(2).sum(dim=1).mean()
        loss.backward()
        np.testing.assert_allclose(one._slope(h, target.numpy()) / 5, x.grad.numpy(), rtol=1e-3, atol=1e-6)


def test_words_and_what_they_count():
    text = "The Thé it's a 42 x_y the " * 50 + "rare once"
    model = vp.ParagraphVectors(8, epochs=1, min_count=2).fit([text])
    assert model.words_ == ("the", "it", "thé")  # letters alone, two or more; "rare" and "once" are there once
    share = np.array([100, 50, 50]) / 200
    np.testing.assert_allclose(model.weights_, np.sqrt(1e-3 / share), rtol=1e-6)
    offsets, numbers, weights = _bags([["the", "the", "it", "other"], []], model._numbers, model.weights_)
    assert offsets.tolist() == [0, 2, 2] and numbers.tolist() == [0, 1]
    own = np.array([2 * model.weights_[0], model.weights_[1]])
    np.testing.assert_allclose(weights, own / own.sum(), rtol=1e-6)
    assert vp.ParagraphVectors(8, epochs=1, most_words=1).fit([text]).words_ == ("the",)


def test_a_fit_that_fails_changes_nothing(model, texts):
    def stop(line):
        raise KeyboardInterrupt

    fresh, again = vp.ParagraphVectors(8, epochs=2), vp.ParagraphVectors(8, epochs=1).fit(["ab ab cd cd"])
    for one in (fresh, again):
        with pytest.raises(KeyboardInterrupt):
            one.fit(texts[0][:20], progress=stop)
    assert again.words_ == ("ab", "cd") and again.code_words_.shape == (2, 8)
    with pytest.raises(vp.NotFittedError):
        fresh.words_  # noqa: B018


def test_texts_without_known_words(model):
    codes, vectors = model.encode(["", "q 1 2", "zzzzzzzz"])
    assert not codes.any() and not vectors.any() and model.encode([]).codes.shape == (0, BITS // 8)
    assert len(model.index(["", "zzzzzzzz"])) == 2


def test_saved_and_loaded(model, texts, tmp_path):
    path = tmp_path / "model.vpz"
    model.save(path)
    loaded = vp.ParagraphVectors.load(path)
    assert loaded.config() == model.config() and loaded.words_ == model.words_
    for name in model._state():
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    np.testing.assert_array_equal(loaded.encode(texts[2][:3]).codes, model.encode(texts[2][:3]).codes)
    with pytest.raises(vp.CorruptFileError, match="kind"):
        vp.load(path)
    data = bytearray(path.read_bytes())
    for at in (9, 4100, len(data) - 3):
        bad = copy.copy(data)
        bad[at] ^= 1
        (tmp_path / "bad.vpz").write_bytes(bad)
        with pytest.raises(vp.CorruptFileError):
            vp.ParagraphVectors.load(tmp_path / "bad.vpz")
    vp.Sign().fit(np.random.default_rng(0).standard_normal((200, 8))).save(tmp_path / "codec.vpz")
    with pytest.raises(vp.CorruptFileError, match="metadata: kind: expected 'paragraphs'"):
        vp.ParagraphVectors.load(tmp_path / "codec.vpz")


def test_files_whose_parts_do_not_belong_together(model, tmp_path):
    path = tmp_path / "model.vpz"

    def changed(metadata=None, **arrays):
        model.save(path)
        with container.Reader(path) as file:
            parts = {name: file.read(name).copy() for name in file.entries} | arrays
            about = {"kind": "paragraphs", "config": file.metadata["config"]} | (metadata or {})
        container.write(path, about, {name: container.Part.of(array) for name, array in parts.items()})
        with pytest.raises(vp.CorruptFileError) as error:
            vp.ParagraphVectors.load(path)
        return str(error.value)

    words = np.frombuffer("\n".join(["aa", "aa", *model.words_[2:]]).encode(), np.uint8)
    assert "different words" in changed(words=words) and "UTF-8" in changed(words=np.full(3, 255, np.uint8))
    assert "array 'bias_'" in changed(bias_=model.bias_[:-1]) and "finite" in changed(bias_=model.bias_ * np.nan)
    assert "above 0" in changed(weights_=-model.weights_) and "arrays" in changed(more=model.bias_)
    assert "config" in changed({"config": '{"bits": 0}'}) and "config" in changed({"config": '{"bit": 8}'})


def test_what_is_refused(model):
    for arguments, error, match in (
        ((0,), ValueError, "ParagraphVectors: bits expected 1 to 4096, got 0"),
        ((16, 15), ValueError, "ParagraphVectors: real expected 16 to 4096, got 15"),
        ((1.5,), TypeError, "ParagraphVectors: bits expected an int"),
    ):
        with pytest.raises(error, match=match):
            vp.ParagraphVectors(*arguments)
    for name, value in (("min_count", 0), ("most_words", 0), ("epochs", 0), ("batch", 0), ("decay", -1), ("seed", -1)):
        with pytest.raises(ValueError, match=f"ParagraphVectors: {name} expected"):
            vp.ParagraphVectors(8, **{name: value})
    for call in (vp.ParagraphVectors(8).fit, model.encode, model.index):
        with pytest.raises(TypeError, match="texts expected texts, a list of str, got str"):
            call("one text")
        with pytest.raises(TypeError, match="texts expected str, got bytes for text 1"):
            call(["one", b"two"])
    with pytest.raises(ValueError, match="fit: texts expected a word that is there min_count=2 times"):
        vp.ParagraphVectors(8).fit(["one two three"])
    for call in (lambda m: m.encode(["one"]), lambda m: m.codec, lambda m: m.save("nowhere.vpz"), lambda m: m.words_):
        with pytest.raises(vp.NotFittedError, match="ParagraphVectors is not fitted"):
            call(vp.ParagraphVectors(8))
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        model.other  # noqa: B018


def test_bits_are_packed_as_everywhere(model, texts):
    codes, vectors = model.encode(texts[2][:9])
    z = ops.project(vectors / ops.norms(vectors)[:, None], np.ascontiguousarray(model.projection_))
    np.testing.assert_array_equal(codes, ops.pack_bits(z, np.zeros(BITS, np.float32)))
