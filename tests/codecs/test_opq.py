"""What only OPQ promises: a rotation that pays, a planted one found, PQ where it is better, and faiss as the oracle."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers import bits, clustered, scan_all

import vecpress as vp
from vecpress.codecs.opq import balanced_directions
from vecpress.pca import nearest_rotation, random_rotation


def error(codec: vp.Codec, x: np.ndarray) -> float:
    """The squared error a row."""
    return float(((codec.decode(codec.encode(x)).astype(np.float64) - x) ** 2).sum(axis=1).mean())


def blocks_of_two(n: int, d: int, draw: int) -> np.ndarray:
    """float32[n, d]: pairs of columns that lie on 16 points of the plane each, and nowhere between."""
    points = np.random.default_rng(5).standard_normal((d // 2, 16, 2))
    labels = np.random.default_rng((6, draw)).integers(16, size=(n, d // 2))
    return np.concatenate([points[j, labels[:, j]] for j in range(d // 2)], axis=1).astype(np.float32)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("n_bits", [4, 8])
def test_the_rotation_is_orthonormal(metric, n_bits):
    codec = vp.OPQ(4, n_bits, metric=metric).fit(clustered(0, 700, 20))
    assert codec.rotation_.dtype == np.float32
    np.testing.assert_allclose(codec.rotation_.T.astype(np.float64) @ codec.rotation_, np.eye(20), atol=1e-5)


def test_codes_are_those_of_pq_for_the_rotated_vectors():
    codec = vp.OPQ(5, 4, metric="l2").fit(clustered(0, 700, 20))
    plain = vp.PQ.restore(vp.PQ(5, 4, metric="l2").config(), 20, {"codebooks_": codec.codebooks_})
    x, q = clustered(0, 65, 20, draw=1), clustered(0, 5, 20, draw=2)
    z = vp.ops.project(x, codec.rotation_)
    assert bits(codec.encode(x)) == bits(plain.encode(z))
    np.testing.assert_allclose(codec.decode(codec.encode(x)), plain.decode(plain.encode(z)) @ codec.rotation_.T, atol=1e-5)
    codes = codec.encode(x)
    assert bits(scan_all(codec, codes, codec.query(q))) == bits(
        scan_all(plain, codes, plain.query(vp.ops.project(q, codec.rotation_)))
    )


def test_columns_in_good_order_are_left_alone():
    """Every pair of columns has 16 values, so PQ loses nothing, and any rotation would."""
    x = blocks_of_two(4000, 16, 0)
    codec = vp.OPQ(8, 4, metric="l2").fit(x)
    assert error(codec, x) <= 1.01 * error(vp.PQ(8, 4, metric="l2").fit(x), x) + 1e-6
    assert error(codec, blocks_of_two(500, 16, 1)) < 0.05 * x.var(axis=0).sum()


@pytest.mark.parametrize("m", [2, 4, 8])
def test_a_rotation_that_mixes_unlike_variances_is_undone(m):
    """Normal columns of very different variance, mixed: in the axes found the error is far below that of PQ."""
    rng = np.random.default_rng(0)
    turn = random_rotation(16, rng)
    spread = 2.0 ** -np.arange(16)
    x, fresh = ((rng.standard_normal((n, 16)) * spread @ turn).astype(np.float32) for n in (5000, 2000))
    assert error(vp.OPQ(m, 4).fit(x), fresh) < 0.8 * error(vp.PQ(m, 4).fit(x), fresh)


@pytest.mark.parametrize("d", [6, 8, 16])
def test_steps_lower_the_error_where_variances_say_nothing(d):
    """Points that were mixed by a rotation: neither start knows the axes in which they are few."""
    turn = random_rotation(d, np.random.default_rng(3))
    x, fresh = ((blocks_of_two(n, d, draw) @ turn).astype(np.float32) for draw, n in enumerate((4000, 1000)))
    dealt = balanced_directions(x, d // 2)
    starts = error(vp.PQ(d // 2, 4).fit(x), fresh), error(vp.PQ(d // 2, 4).fit(x @ dealt), fresh @ dealt)
    assert error(vp.OPQ(d // 2, 4).fit(x), fresh) < 0.85 * min(starts)


def test_a_rotation_is_not_fitted_to_noise():
    """100 rows of white noise teach nothing; what is learned must not be worse for others than a start."""
    rng = np.random.default_rng(0)
    x, fresh = rng.standard_normal((100, 64)).astype(np.float32), rng.standard_normal((2000, 64)).astype(np.float32)
    assert error(vp.OPQ(16, 4).fit(x), fresh) < 1.01 * error(vp.PQ(16, 4).fit(x), fresh)


def test_it_starts_from_principal_directions_where_these_are_better():
    """Steps from no rotation end far above what dealing them out reaches at once."""
    rng = np.random.default_rng(0)
    spread = 0.9 ** np.arange(64)
    x, fresh = ((rng.standard_normal((n, 64)) * spread).astype(np.float32) for n in (3000, 1000))
    dealt = balanced_directions(x, 16)
    assert error(vp.OPQ(16, 4).fit(x), fresh) < 1.01 * error(vp.PQ(16, 4).fit(x @ dealt), fresh @ dealt)


@pytest.mark.parametrize(("m", "n_bits"), [(4, 4), (12, 4), (6, 8)])
def test_the_error_is_never_above_that_of_pq(m, n_bits):
    for seed in range(2):
        x, fresh = clustered(seed, 4000, 24), clustered(seed, 1000, 24, draw=1)
        assert error(vp.OPQ(m, n_bits, seed=seed).fit(x), fresh) < 1.01 * error(vp.PQ(m, n_bits, seed=seed).fit(x), fresh)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 17])
def test_a_handful_of_rows_is_learned_from(n):
    x = clustered(0, n, 12)
    codec = vp.OPQ(3, 8).fit(x)
    np.testing.assert_allclose(codec.decode(codec.encode(x)), x, atol=1e-5)


def test_constant_and_repeated_rows_are_learned_from():
    x = np.tile(clustered(0, 3, 8), (100, 1))
    codec = vp.OPQ(2, 4).fit(x)
    np.testing.assert_allclose(codec.decode(codec.encode(x)), x, atol=1e-5)
    codec = vp.OPQ(2, 4).fit(np.zeros((50, 8), np.float32))
    assert (codec.decode(codec.encode(np.zeros((3, 8)))) == 0).all()


def test_too_few_rows_warn_by_the_codecs_name_at_the_caller():
    with pytest.warns(vp.SmallTrainingSetWarning, match=r"x has 623 rows, OPQ\(.* wants at least 624$") as caught:
        vp.OPQ(2, 4).fit(clustered(0, 623, 4))
    assert [w.filename for w in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vp.OPQ(2, 4).fit(clustered(0, 624, 4))


def test_errors_name_the_codec():
    with pytest.raises(ValueError, match=r"^OPQ: m expected a divisor of d=24, got 7$"):
        vp.OPQ(7).fit(np.zeros((5, 24), np.float32))


def test_directions_are_dealt_out_by_hand():
    """Variances 8, 4, 2, 1 relative to the smallest: 8 to the first, 4 to the second, 2 to the second (8 = 8, it has less), 1."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 4)) @ np.linalg.inv(np.linalg.cholesky(np.cov(rng.standard_normal((4, 9999))))).T
    x -= x.mean(axis=0)
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    x = (u @ vt * np.sqrt([8.0, 4.0, 2.0, 1.0]) * 10).astype(np.float32)  # covariance: diagonal, exactly these ratios
    dealt = np.abs(balanced_directions(x, 2)).round(3).argmax(axis=0).tolist()
    assert sorted(dealt[:2]) == [0, 3] and sorted(dealt[2:]) == [1, 2]


def test_the_nearest_rotation_is_the_planted_one():
    rng = np.random.default_rng(0)
    turn = random_rotation(9, rng)
    x = rng.standard_normal((50, 9))
    np.testing.assert_allclose(nearest_rotation(x.T @ (x @ turn)), turn, atol=1e-10)
    np.testing.assert_allclose(turn.T @ turn, np.eye(9), atol=1e-12)


@pytest.mark.slow  # faiss takes its time
def test_recall_is_that_of_faiss_or_better():
    faiss = pytest.importorskip("faiss")
    x, q = clustered(0, 3000, 16, clusters=200), clustered(0, 300, 16, clusters=200, draw=1)
    _, truth = vp.exact(q, x, 10, "l2")
    index = vp.Index(vp.OPQ(4, 4, metric="l2").fit(x))
    index.add(x)
    peer = faiss.index_factory(16, "OPQ4,PQ4x4")
    peer.train(x)
    peer.add(x)
    assert vp.recall(index.search(q, 10)[1], truth) > vp.recall(peer.search(q, 10)[1], truth) - 0.02
