"""Maps between two models in closed form: planted maps are found, codes mix, strengths are chosen, bad input is refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import bits, clustered

import vecpress as vp
from vecpress import alignment
from vecpress.alignment import Pairs
from vecpress.codecs.aligned import same_codes

METRICS = ("ip", "l2", "cos")


def rotation(seed: int, d: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def searched(codec: vp.Codec, codes: np.ndarray, q: np.ndarray, k: int = 10) -> np.ndarray:
    index = vp.Index(codec)
    index.add_codes(codes)
    return index.search(q, k)[1]


def recall_of(codec: vp.Codec, codes: np.ndarray, x: np.ndarray, q: np.ndarray) -> float:
    return vp.recall(searched(codec, codes, q), vp.exact(q, x, 10, codec.metric)[1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("inner", [vp.Raw, vp.PQ])
def test_procrustes_undoes_a_rotation(metric, inner):
    """Under it new queries find what old ones found, and new documents get the old ones' codes."""
    z, asked = clustered(0, 700, 16), clustered(0, 40, 16, draw=1)
    if metric == "cos":
        z, asked = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (z, asked))
    turn = rotation(1, 16)
    x, q = (z @ turn).astype(np.float32), (asked @ turn).astype(np.float32)
    old = (vp.Raw(metric=metric) if inner is vp.Raw else vp.PQ(8, metric=metric)).fit(z)
    codec = vp.align(x, old, old_vectors=z, method="procrustes")
    codes = old.encode(z)
    if inner is vp.Raw:
        np.testing.assert_allclose(codec.decoder_, turn, atol=1e-5)
        np.testing.assert_allclose(codec.document_map_, turn.T, atol=1e-5)
        np.testing.assert_allclose(codec.origin_, 0, atol=1e-4)
        np.testing.assert_allclose(codec.decode(codes), x, atol=1e-4)
        np.testing.assert_allclose(old.decode(codec.encode(x)), z, atol=1e-4)
    same = searched(codec, codes, q) == searched(old, codes, asked)
    assert same.mean() > (0.99 if inner is vp.Raw else 0.8)  # of PQ the turn is that of what is left of the vectors
    assert (codec.encode(x) == codes).mean() > (0.5 if inner is vp.Raw else 0.9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("width", [10, 24], ids=["narrower", "wider"])
def test_ridge_undoes_any_linear_map(metric, width):
    rng = np.random.default_rng(2)
    x, q = clustered(0, 700, width), clustered(0, 40, width, draw=1)
    if metric == "cos":
        x, q = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, q))
    z = (x @ (rng.standard_normal((width, 30)) * rng.uniform(0.1, 3, 30)) + 2).astype(np.float32)
    old = vp.Raw(metric=metric if metric != "cos" else "ip").fit(z)
    codec = vp.align(x, old, old_vectors=z)
    codes = old.encode(z)
    np.testing.assert_allclose(codec.decode(codes), x, atol=(0.3 if metric == "l2" else 0.05) * np.abs(x).max())
    baseline = vp.align(x, old, old_vectors=z, method="procrustes")
    if metric != "l2":  # there the old vectors' lengths have a say
        np.testing.assert_allclose(codec.decode(codec.encode(x)), x, atol=0.05 * np.abs(x).max())
        assert recall_of(codec, codes, x, q) >= 0.93 > recall_of(baseline, codes, x, q) + 0.05
        mixed = codes.copy()
        mixed[::2] = codec.encode(x[::2])
        assert recall_of(codec, mixed, x, q) > 0.93


def test_ridge_beats_procrustes_and_the_old_queries():
    """The new model sees what the old one weighs little."""
    rng = np.random.default_rng(0)
    hidden, asked = clustered(0, 900, 12, clusters=60), clustered(0, 60, 12, clusters=60, draw=1)
    weights = np.linspace(3, 0.3, 12)
    old_map, new_map = rng.standard_normal((12, 32)) * weights[:, None], rng.standard_normal((12, 20)) * weights[::-1, None]
    z, x = ((hidden @ m).astype(np.float32) for m in (old_map, new_map))
    qz, q = ((asked @ m).astype(np.float32) for m in (old_map, new_map))
    old = vp.RecurrentBinary(32, 2, recipe="rotation").fit(z)
    codes = old.encode(z)
    true = vp.exact(q, x, 10)[1]
    ridge, turned = (vp.align(x, old, old_codes=codes, method=method) for method in ("ridge", "procrustes"))
    found = [vp.recall(searched(c, codes, a), true) for c, a in ((ridge, q), (turned, q), (old, qz))]
    assert found[0] > found[1] + 0.05 and found[0] > found[2] + 0.05
    mixed = codes.copy()
    mixed[::2] = ridge.encode(x[::2])
    assert vp.recall(searched(ridge, mixed, q), true) > found[0] - 0.05


@pytest.mark.parametrize("metric", METRICS)
def test_queries_go_where_documents_do_where_the_models_agree(metric):
    """Neighbours that differ by little are found by nearness in the old space, not by the decoder's scores."""
    rng = np.random.default_rng(0)
    hidden, asked = clustered(0, 700, 16, clusters=80), clustered(0, 80, 16, clusters=80, draw=1)
    widths = (24, np.linspace(2, 0.2, 16)), (20, np.ones(16))
    maps = (rng.standard_normal((16, p)) * weights[:, None] / 8 for p, weights in widths)
    (z, qz), (x, q) = (tuple(np.tanh(a @ m).astype(np.float32) for a in (hidden, asked)) for m in maps)
    old = vp.RecurrentBinary(20, 1, recipe="rotation", metric=metric).fit(z)
    codes, true = old.encode(z), vp.exact(q, x, 10, metric)[1]
    before = vp.recall(searched(old, codes, qz), true)
    found = vp.recall(searched(vp.align(x, old, old_codes=codes), codes, q), true)
    assert found > before + (0.05 if metric == "ip" else -0.1)


def test_codes_and_vectors_say_the_same_and_the_codec_stays():
    z, x = clustered(0, 300, 24), clustered(1, 300, 10)
    old = vp.PQ(8).fit(z)
    before = old.arrays()
    a, b = vp.align(x, old, old_codes=old.encode(z)), vp.align(x, old, old_vectors=z)
    assert a == b == vp.align(x, old, old_vectors=z, num_threads=1)
    assert same_codes(a, old) and all(bits(old.arrays()[name]) == bits(array) for name, array in before.items())
    asked = vp.align(x, old, old_vectors=z, queries=clustered(1, 40, 10, draw=1))
    assert same_codes(asked, old)


def test_strengths_are_those_of_most_recall(monkeypatch):
    """A ridge that is far too strong is not taken where a weaker one is there."""
    z = clustered(0, 600, 16, clusters=100)
    x = (z @ np.diag(np.linspace(0.2, 4, 16))).astype(np.float32)
    old = vp.Raw().fit(z)
    pairs = Pairs(x, z, None, "ip")
    for ridges in ((1e-4, 1e4), (1e4, 1e-4)):
        monkeypatch.setattr(alignment, "RIDGES", ridges)
        maps = alignment.closed_form(pairs, old, "ridge", 0, None)
        np.testing.assert_allclose(z @ maps.decoder + maps.origin, x, atol=0.1)


def test_of_many_rows_a_sample_is_learned_from(monkeypatch):
    monkeypatch.setattr(alignment, "SAMPLE_ROWS", 100)
    z = clustered(0, 500, 8)
    x = (z @ rotation(0, 8)).astype(np.float32)
    old = vp.Raw().fit(z)
    codec = vp.align(x, old, old_vectors=z, method="procrustes")
    np.testing.assert_allclose(codec.decode(old.encode(z)), x, atol=1e-3)
    assert codec == vp.align(x, old, old_codes=old.encode(z), method="procrustes")


@pytest.mark.parametrize("n", [2, 3, 20, 63])
def test_few_rows_are_enough_to_go_on(n):
    z, x = clustered(0, n, 12), clustered(1, n, 6)
    for metric in METRICS:
        old = vp.Sign(metric=metric).fit(z)
        for method in alignment.METHODS:
            assert np.isfinite(vp.align(x, old, old_vectors=z, method=method).decode(old.encode(z))).all()


def test_vectors_that_are_all_the_same_are_fine():
    z, x = np.ones((70, 8), np.float32), np.ones((70, 5), np.float32)
    for metric in METRICS:
        old = vp.Sign(metric=metric).fit(z)
        for method in alignment.METHODS:
            codec = vp.align(x, old, old_vectors=z, method=method)
            assert np.isfinite(codec.decode(codec.encode(x))).all() and searched(codec, codec.encode(x), x[:2]).shape == (2, 10)


def test_bad_input_is_refused():
    z, x = clustered(0, 300, 24), clustered(1, 300, 10)
    old = vp.PQ(8).fit(z)
    codes = old.encode(z)
    for wrong, error, message in (
        (dict(old_codec="PQ"), TypeError, "align: old_codec expected a Codec, got str"),
        (dict(old_codec=vp.PQ(8)), vp.NotFittedError, "PQ is not fitted"),
        (dict(old_codes=None), ValueError, "align: expected old_codes or old_vectors, one of them, got neither"),
        (dict(old_vectors=z), ValueError, "align: expected old_codes or old_vectors, one of them, got both"),
        (dict(old_codes=codes[:-1]), ValueError, "align: old_codes expected 300 rows, those of x in the same order, got 299"),
        (dict(old_codes=None, old_vectors=z[1:]), ValueError, "align: old_vectors expected 300 rows, .*, got 299"),
        (dict(old_codes=None, old_vectors=x), ValueError, "align: old_vectors expected .*d=24 columns"),
        (dict(old_codes=codes[:, :3]), ValueError, "align: old_codes expected code_size=8 columns"),
        (dict(queries=z), ValueError, "align: queries expected .*d=10 columns"),
        (dict(method="magic"), ValueError, "align: method expected one of 'ridge', 'procrustes', got 'magic'"),
        (dict(seed=-1), ValueError, "align: seed expected 0"),
        (dict(x=x[:1], old_codes=codes[:1]), ValueError, "align: x expected at least two rows, got 1"),
        (dict(x=np.full((300, 10), np.nan)), ValueError, "align: x .*row 0"),
    ):
        given = {"x": x, "old_codec": old, "old_codes": codes} | wrong
        with pytest.raises(error, match=message):
            vp.align(given.pop("x"), given.pop("old_codec"), **given)
