"""Trained maps: never worse than the closed form on what is held out, the same again, mixing, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp

torch = pytest.importorskip("torch")

from vecpress.codecs.aligned import same_codes  # noqa: E402
from vecpress.train import Judgement, Options, compatible  # noqa: E402

SHORT = Options(steps=60, anchors=64, near=8, far=128, rate=5e-3, temperature=0.5, judge_every=20)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def upgrade(seed: int = 0, n: int = 700, d: int = 20, p: int = 24) -> tuple[np.ndarray, ...]:
    """Texts and questions: new [n, d], old [n, p], new and old queries; the new model sees what the old one weighs little."""
    rng = np.random.default_rng(seed)
    hidden, asked = clustered(seed, n, 16, clusters=80), clustered(seed, 80, 16, clusters=80, draw=1)
    first = rng.standard_normal((16, p)) * np.linspace(2, 0.2, 16)[:, None]
    second = rng.standard_normal((16, d)) * np.linspace(0.2, 2, 16)[:, None]
    new, new_q = (np.tanh(a @ second / 8) for a in (hidden, asked))
    old, old_q = (np.tanh(a @ first / 8) for a in (hidden, asked))
    return tuple(a.astype(np.float32) for a in (new, old, new_q, old_q))


def recall_of(codec: vp.Codec, codes: np.ndarray, x: np.ndarray, q: np.ndarray) -> float:
    index = vp.Index(codec)
    index.add_codes(codes)
    return vp.recall(index.search(q, 10)[1], vp.exact(q, x, 10, codec.metric)[1])


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_trained_maps_find_more_than_those_of_the_closed_form(metric):
    new, old, new_q, old_q = upgrade()
    codec = vp.RecurrentBinary(20, 1, recipe="rotation", metric=metric).fit(old)
    codes, seen = codec.encode(old), []
    trained = compatible(new, codec, old_codes=codes, options=SHORT, progress=seen.append)
    assert same_codes(trained, codec)
    start = [one.recall for one in seen if one.step == 0]
    reached = [one.best for one in seen if one.last]  # on old codes, then on mixed ones
    assert len(start) == 2 and reached[0] > start[0] and reached[1] >= start[1]
    ridge, turned = (compatible(new, codec, old_codes=codes, method=method) for method in ("ridge", "procrustes"))
    assert ridge == vp.align(new, codec, old_codes=codes)
    assert turned == vp.align(new, codec, old_codes=codes, method="procrustes")
    found = [recall_of(one, codes, new, new_q) for one in (trained, ridge, turned)]
    assert found[0] > found[1] - 0.02 and found[0] > found[2] + 0.1
    index = vp.Index(codec)
    index.add_codes(codes)
    before = vp.recall(index.search(old_q, 10)[1], vp.exact(new_q, new, 10, metric)[1])
    if metric == "ip":
        assert found[0] > found[1] + 0.01 and found[0] > before + 0.1
    else:  # there both models agree about who is near
        assert found[0] > before - 0.1
    mixed = codes.copy()
    mixed[::2] = trained.encode(new[::2])
    assert recall_of(trained, mixed, new, new_q) > found[0] - 0.05


def test_the_same_seed_gives_the_same_maps():
    new, old, new_q, _ = upgrade(n=300)
    codec = vp.PQ(6, 4).fit(old)
    few = Options(steps=4, anchors=16, near=4, far=32, judge_every=2)
    options = {"old_codes": codec.encode(old), "queries": new_q, "options": few}
    one = compatible(new, codec, **options, seed=3)
    torch.manual_seed(99)
    np.random.seed(99)
    assert compatible(new, codec, **options, seed=3) == one
    assert compatible(new, codec, old_vectors=old, queries=new_q, options=few, seed=3) == one


def test_sample_queries_train_and_judge():
    """Anchors of one kind alone would leave the others' directions as they are."""
    new, old, new_q, _ = upgrade()
    codec = vp.RecurrentBinary(20, 1, recipe="rotation").fit(old)
    seen: list[Judgement] = []
    options = {"old_vectors": old, "options": SHORT, "progress": seen.append}
    with_queries, without = compatible(new, codec, queries=new_q[:60], **options), compatible(new, codec, **options)
    assert with_queries != without
    found = [recall_of(one, codec.encode(old), new, new_q[60:]) for one in (with_queries, without)]
    assert found[0] > found[1] - 0.1
    assert (60, 60) in [(one.step, one.steps) for one in seen]


@pytest.mark.parametrize("n", [2, 63, 64, 90])
def test_few_rows_are_enough_to_go_on(n):
    new, old, *_ = upgrade(n=n)
    codec = vp.Sign().fit(old)
    got = compatible(new, codec, old_vectors=old, options=Options(steps=2, anchors=4, near=30, far=8))
    assert np.isfinite(got.decode(codec.encode(old))).all()
    if n < 64:
        assert got == vp.align(new, codec, old_vectors=old)


def test_bad_input_is_refused():
    new, old, *_ = upgrade(n=100)
    codec = vp.PQ(6, 4).fit(old)
    for wrong, error, message in (
        (dict(old_codec=vp.PQ(6)), vp.NotFittedError, "PQ is not fitted"),
        (dict(old_vectors=None), ValueError, "^train.compatible: expected old_codes or old_vectors, one of them, got neither"),
        (dict(old_vectors=old[1:]), ValueError, "^train.compatible: old_vectors expected 100 rows"),
        (dict(method="magic"), ValueError, "^train.compatible: method expected one of 'trained', 'ridge', .*, got 'magic'"),
        (dict(options={}), TypeError, "^train.compatible: options expected Options, got dict"),
        (dict(seed=1.5), TypeError, "^train.compatible: seed expected an int, got float"),
        (dict(queries=old), ValueError, "^train.compatible: queries expected .*d=20 columns"),
    ):
        given = {"old_codec": codec, "old_vectors": old} | wrong
        with pytest.raises(error, match=message):
            compatible(new, given.pop("old_codec"), **given)
