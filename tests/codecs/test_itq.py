"""What only ITQ promises: a rotation learned for the signs, Sign's codes in those directions, exact scores, faiss as oracle."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import bits, clustered, scan_all

import vecpress as vp
from vecpress.pca import random_rotation


def corners(n: int, d: int, p: int, draw: int = 0, noise: float = 0.05) -> np.ndarray:
    """float32[n, d]: near the corners of a cube of p dimensions, turned, scaled and moved in d dimensions."""
    turn = random_rotation(d, np.random.default_rng(1))[:p]
    rng = np.random.default_rng((2, draw))
    signs = rng.integers(2, size=(n, p)) * 2 - 1
    return (5 + 3 * (signs + noise * rng.standard_normal((n, p))) @ turn).astype(np.float32)


def z_of(codec: vp.ITQ, x: np.ndarray) -> np.ndarray:
    return (x.astype(np.float64) - codec.mean_) @ codec.components_


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_directions_are_orthonormal_and_span_the_principal_ones(metric):
    x = clustered(0, 500, 20)
    codec = vp.ITQ(7, metric=metric).fit(x)
    w = codec.components_.astype(np.float64)
    np.testing.assert_allclose(w.T @ w, np.eye(7), atol=1e-5)
    if metric != "cos":
        directions = np.linalg.eigh(np.cov(x.T.astype(np.float64)))[1][:, ::-1][:, :7]
        np.testing.assert_allclose(w @ w.T, directions @ directions.T, atol=1e-5)
        np.testing.assert_allclose(codec.mean_, x.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("p", [2, 5, 8])
def test_the_corners_of_a_turned_cube_are_found(p):
    """Then the bits say which corner, and decoding misses by the noise alone: chance would find it for no p."""
    codec = vp.ITQ(p, metric="l2").fit(corners(3000, 12, p))
    fresh = corners(500, 12, p, 1)
    spread = float(fresh.var(axis=0).sum())
    decoded = codec.decode(codec.encode(fresh)).astype(np.float64)
    assert ((decoded - fresh) ** 2).sum(axis=1).mean() < 0.01 * spread
    np.testing.assert_allclose(codec.inner_level_, 3, rtol=0.02)


@pytest.mark.parametrize("n_bits", [1, 7, 8, 9, 20])
def test_bits_are_the_signs_in_the_directions(n_bits):
    x = clustered(0, 500, 20)
    codec = vp.ITQ(n_bits).fit(x)
    assert codec.code_size == -(-n_bits // 8)
    z = z_of(codec, x)
    clear = np.abs(z) > 1e-4
    coded = np.unpackbits(codec.encode(x), axis=1)
    assert (coded[:, :n_bits] == (z > 0))[clear].all() and not coded[:, n_bits:].any()
    np.testing.assert_allclose(codec.inner_level_, np.abs(z).mean(), rtol=1e-4)
    expected = codec.mean_ + np.where(z > 0, 1.0, -1.0) * codec.inner_level_ @ codec.components_.T
    whole = clear.all(axis=1)
    np.testing.assert_allclose(codec.decode(codec.encode(x))[whole], expected[whole], atol=1e-4)


def test_the_rotation_lowers_the_error_of_signs():
    x = clustered(0, 2000, 24)
    turned = vp.ITQ(16, metric="l2").fit(x)
    plain = vp.Truncate(16, "Sign()", "pca", metric="l2").fit(x)
    errors = [((c.decode(c.encode(x)).astype(np.float64) - x) ** 2).sum() for c in (turned, plain)]
    assert errors[0] < 0.9 * errors[1]


def test_the_mean_is_not_dropped_from_scores():
    x = corners(300, 12, 8) + 100
    codec = vp.ITQ(8).fit(x)
    scores = scan_all(codec, codec.encode(x), codec.query(x[:5]))
    np.testing.assert_allclose(scores, x[:5].astype(np.float64) @ x.T.astype(np.float64), rtol=0.02)


def test_symmetric_scores_are_an_affine_map_of_the_hamming_distance():
    x = clustered(0, 65, 20)
    for metric in ("l2", "ip"):
        codec = vp.ITQ(13, metric=metric).fit(x)
        codes = codec.encode(x)
        distance = np.unpackbits(codes[:5, None] ^ codes[None], axis=2).sum(axis=2)
        square = float(codec.inner_level_[0]) ** 2
        if metric == "l2":
            expected = -4 * square * distance
            decoded = codec.decode(codes).astype(np.float64)
            np.testing.assert_allclose(expected, -((decoded[:5, None] - decoded[None]) ** 2).sum(axis=2), rtol=1e-4, atol=1e-4)
        else:
            expected = float((codec.mean_.astype(np.float64) ** 2).sum()) + 13 * square - 2 * square * distance
        np.testing.assert_allclose(scan_all(codec, codes, codec.query(x[:5], symmetric=True)), expected, rtol=1e-5, atol=1e-4)


def test_each_seed_starts_from_its_own_rotation():
    x = clustered(0, 300, 12)
    one, again, other = (vp.ITQ(12, seed=seed).fit(x) for seed in (0, 0, 1))
    assert bits(one.components_) == bits(again.components_) != bits(other.components_)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_rows_than_bits_are_learned_from(metric, n):
    x = clustered(0, n, 9)
    codec = vp.ITQ(9, metric=metric).fit(x)
    for symmetric in (False, True):
        assert np.isfinite(scan_all(codec, codec.encode(x), codec.query(x, symmetric=symmetric))).all()
    if n == 1 and metric != "cos":
        np.testing.assert_allclose(codec.decode(codec.encode(x)), x, atol=1e-5)


def test_more_bits_than_columns_are_refused():
    with pytest.raises(ValueError, match=r"^ITQ: bits expected at most d=8, got 9$"):
        vp.ITQ(9).fit(np.zeros((5, 8), np.float32))
    with pytest.raises(ValueError, match=r"^ITQ: bits expected at least 1, got 0$"):
        vp.ITQ(0)


def test_recall_is_that_of_faiss_or_better():
    faiss = pytest.importorskip("faiss")
    x, q = clustered(0, 5000, 32, clusters=200), clustered(0, 300, 32, clusters=200, draw=1)
    _, truth = vp.exact(q, x, 10, "l2")
    for n_bits in (16, 32):
        index = vp.Index(vp.ITQ(n_bits, metric="l2").fit(x))
        index.add(x)
        ours = vp.recall(index.search(q, 10, symmetric=True)[1], truth)
        peer = faiss.index_factory(32, f"ITQ{n_bits},LSH")
        peer.train(x)
        peer.add(x)
        assert ours > vp.recall(peer.search(q, 10)[1], truth) - 0.02
        assert vp.recall(index.search(q, 10)[1], truth) > ours + 0.01
