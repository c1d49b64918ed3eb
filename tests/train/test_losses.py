"""Losses by hand: scores as the codec gives them, rankings that agree cost least, masks, hardest negatives."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import clustered, scan_all

import vecpress as vp

torch = pytest.importorskip("torch")

from vecpress.recurrentfit import split  # noqa: E402
from vecpress.train import losses  # noqa: E402


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("metric", ["ip", "cos", "l2"])
@pytest.mark.parametrize("u", [1, 3])
def test_scores_in_training_are_those_of_the_codec(u, metric):
    """Up to what is the same for all documents, and the rounding of what codes store a byte for."""
    x, q = clustered(0, 400, 16), clustered(0, 20, 16, draw=1)
    codec = vp.RecurrentBinary(14, u, recipe="rotation", metric=metric).fit(x)
    codes = codec.encode(x)
    if metric == "cos":
        x, q = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, q))
    parts = []
    decoder, axis, mean, gram = (torch.from_numpy(a.copy()) for a in (codec.decoder_, codec.axis_, codec.mean_, codec.gram_))
    space = losses.Space(mean, axis, decoder, gram, metric, False)
    for a in (x, q):
        t, y, f = split(np.ascontiguousarray(a), codec, None)
        v = torch.from_numpy(codec.levels_of(codec.labels(f)))
        parts.append(losses.coded(v, torch.from_numpy(y), torch.from_numpy(t), space))
    mine = losses.asymmetric_scores(torch.from_numpy(q), parts[0], space).numpy()
    theirs = scan_all(codec, codes, codec.query(q))
    error = (mine - mine.mean(axis=1, keepdims=True)) - (theirs - theirs.mean(axis=1, keepdims=True))
    assert np.abs(error).max() < 0.05 * theirs.std()
    mine = losses.symmetric_scores(parts[1], parts[0], space).numpy()
    theirs = scan_all(codec, codes, codec.query(q, symmetric=True))
    error = (mine - mine.mean(axis=1, keepdims=True)) - (theirs - theirs.mean(axis=1, keepdims=True))
    assert np.abs(error).max() < 0.1 * theirs.std()


def test_distillation_is_the_divergence_of_softmaxes_and_least_where_scores_agree():
    rng = np.random.default_rng(0)
    scores, true = rng.standard_normal((2, 5, 7)).astype(np.float32)
    masked = rng.random((5, 7)) < 0.3
    p, s = (softmax(np.where(masked, -1e4, a) / 0.5) for a in (true, scores))
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(masked, 0, p * (np.log(p) - np.log(s))).sum() / 5
    tensors = torch.from_numpy(scores).requires_grad_(), torch.from_numpy(true), torch.from_numpy(masked)
    loss = losses.distillation(*tensors, 0.5)
    np.testing.assert_allclose(loss.item(), wanted, rtol=1e-4)
    loss.backward()
    assert (tensors[0].grad.numpy()[masked] == 0).all()
    agreeing = losses.distillation(tensors[1] + 3, tensors[1], tensors[2], 0.5)  # a constant does not matter
    assert abs(agreeing.item()) < 1e-5 < loss.item()


def test_contrast_is_against_the_hardest_that_count():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((6, 9)).astype(np.float32)
    positive = rng.integers(0, 9, 6)
    masked = rng.random((6, 9)) < 0.3
    wanted = []
    for row, own, hidden in zip(scores.astype(np.float64), positive, masked, strict=True):
        others = sorted((s for i, s in enumerate(row) if i != own and not hidden[i]), reverse=True)[:3]
        logits = np.array([row[own], *others]) / 0.1
        wanted.append(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[0])
    got = losses.contrastive(torch.from_numpy(scores), torch.from_numpy(positive), torch.from_numpy(masked), 0.1, 3)
    np.testing.assert_allclose(got.item(), np.mean(wanted), rtol=1e-5)
    everything = losses.contrastive(torch.from_numpy(scores), torch.from_numpy(positive), torch.from_numpy(masked), 0.1, 99)
    assert everything.item() > got.item()


def test_codes_of_published_method_have_length_one():
    v = torch.randn(5, 8)
    space = losses.Space(torch.zeros(8), torch.zeros(8), torch.zeros(8, 8), torch.ones(()), "ip", True)
    coded = losses.coded(v, torch.zeros(5, 8), torch.zeros(5), space)
    cosines = losses.symmetric_scores(coded, coded, space)
    np.testing.assert_allclose(cosines.diagonal().numpy(), 1, rtol=1e-5)
    wanted = torch.nn.functional.cosine_similarity(v[:, None], v[None], dim=2)
    np.testing.assert_allclose(cosines.numpy(), wanted.numpy(), atol=1e-6)
