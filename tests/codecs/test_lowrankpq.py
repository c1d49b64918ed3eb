"""What only LowRankPQ promises: less error than principal components, OPQ's with all columns, planted directions, any m."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import bits, clustered, scan_all

import vecpress as vp
from vecpress.codecs.lowrankpq import blocks, principal_starts
from vecpress.pca import random_rotation


def error(codec: vp.Codec, x: np.ndarray) -> float:
    """The squared error a row."""
    return float(((codec.decode(codec.encode(x)).astype(np.float64) - x) ** 2).sum(axis=1).mean())


def falling(n: int, d: int, draw: int, base: float = 0.9) -> np.ndarray:
    """float32[n, d]: normal numbers off the origin, along mixed directions of falling variance."""
    turn = random_rotation(d, np.random.default_rng(0))
    return (3 + np.random.default_rng((1, draw)).standard_normal((n, d)) * base ** np.arange(d) @ turn).astype(np.float32)


def points_in_blocks(n: int, d: int, block: int, draw: int) -> np.ndarray:
    """float32[n, d]: runs of `block` columns that lie on 16 points in a plane each, with noise across it."""
    rng = np.random.default_rng(5)
    points = rng.standard_normal((d // block, 16, 2)) @ rng.standard_normal((d // block, 2, block))
    rng = np.random.default_rng((6, draw))
    rows = [points[j][rng.integers(16, size=n)] for j in range(d // block)]
    return (np.concatenate(rows, axis=1) + 0.05 * rng.standard_normal((n, d))).astype(np.float32)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("dims", [10, 20, None])
def test_directions_are_orthonormal(metric, dims):
    codec = vp.LowRankPQ(5, 4, dims, metric=metric).fit(clustered(0, 700, 21))
    w = codec.components_.astype(np.float64)
    assert w.shape[1] == codec.inner.dim and w.shape[1] in ((dims,) if dims else (5, 10, 20))
    np.testing.assert_allclose(w.T @ w, np.eye(w.shape[1]), atol=1e-5)


def test_codes_are_those_of_pq_for_what_is_projected():
    codec = vp.LowRankPQ(3, 4, 6, metric="l2").fit(clustered(0, 700, 20))
    x = clustered(0, 65, 20, draw=1)
    z = vp.ops.project(x - codec.mean_, codec.components_)
    assert bits(codec.encode(x)) == bits(codec.inner.encode(z))
    decoded = codec.inner.decode(codec.inner.encode(z)) @ codec.components_.T + codec.mean_
    np.testing.assert_allclose(codec.decode(codec.encode(x)), decoded, atol=1e-5)
    assert isinstance(codec.inner, vp.PQ) and codec.code_size == 2 and codec.head == 0


def test_labels_are_those_of_least_error():
    """Of all 16^2 codes none decodes nearer, though labels are found in fewer dimensions."""
    x, fresh = clustered(0, 700, 9), clustered(0, 40, 9, draw=1)
    codec = vp.LowRankPQ(2, 4, 4, metric="l2").fit(x)
    every = codec.decode(np.arange(256, dtype=np.uint8)[:, None]).astype(np.float64)
    nearest = np.square(fresh[:, None] - every).sum(axis=2).argmin(axis=1)
    assert (codec.encode(fresh)[:, 0] == nearest).all()


@pytest.mark.parametrize(("d", "m", "dims"), [(32, 4, 16), (32, 4, 24), (30, 6, 12), (24, 3, 6)])
def test_the_error_is_below_that_of_as_many_principal_components(d, m, dims):
    for make in (lambda n, draw: falling(n, d, draw), lambda n, draw: clustered(1, n, d, draw=draw)):
        x, fresh = make(4000, 0), make(1000, 1)
        kept = vp.Truncate(dims, f"PQ(m={m}, n_bits=4)", "pca").fit(x)
        assert error(vp.LowRankPQ(m, 4, dims).fit(x), fresh) < 1.01 * error(kept, fresh)
    assert error(vp.LowRankPQ(m, 4, dims).fit(falling(4000, d, 0)), falling(1000, d, 1)) < 0.99 * error(
        vp.Truncate(dims, f"PQ(m={m}, n_bits=4)", "pca").fit(falling(4000, d, 0)), falling(1000, d, 1)
    )


@pytest.mark.parametrize("make", [falling, lambda n, d, draw: clustered(2, n, d, draw=draw)], ids=["falling", "clustered"])
def test_with_all_columns_the_error_is_that_of_opq(make):
    x, fresh = make(4000, 24, 0), make(1000, 24, 1)
    assert error(vp.LowRankPQ(6, 4, 24).fit(x), fresh) < 1.03 * error(vp.OPQ(6, 4).fit(x), fresh)


def test_directions_within_runs_of_columns_are_found():
    """Every run has a plane of 16 points: no variance tells which directions belong together, the order of columns does."""
    x, fresh = points_in_blocks(4000, 24, 6, 0), points_in_blocks(1000, 24, 6, 1)
    codec = vp.LowRankPQ(4, 4, 8).fit(x)
    noise = 24 * 0.05**2
    assert error(codec, fresh) < 1.5 * noise < 0.2 * error(vp.Truncate(8, "PQ(m=4, n_bits=4)", "pca").fit(x), fresh)


def test_steps_lower_the_error_of_every_start():
    x = points_in_blocks(4000, 24, 6, 0) @ random_rotation(24, np.random.default_rng(3)).astype(np.float32)
    away = x - x.mean(axis=0)
    starts = []
    for axes in (*principal_starts(away, 4, 8), blocks(away, 4, 8)):
        plain = vp.PQ(4, 4).fit(away @ axes)
        starts.append(float(np.square(away - plain.decode(plain.encode(away @ axes)) @ axes.T).sum(axis=1).mean()))
    assert error(vp.LowRankPQ(4, 4, 8).fit(x), x) < 0.95 * min(starts)


def test_the_number_of_columns_is_chosen_by_held_out_error():
    rng = np.random.default_rng(0)
    turn = random_rotation(32, rng)[:8]
    plane = (rng.standard_normal((3000, 8)) @ turn + 0.01 * rng.standard_normal((3000, 32))).astype(np.float32)
    assert vp.LowRankPQ(4, 4).fit(plane).form_.tolist() == [8]
    full = rng.standard_normal((3000, 32)).astype(np.float32)
    assert vp.LowRankPQ(4, 4).fit(full).form_.tolist() == [32]  # half of them lose a tenth more


@pytest.mark.parametrize("m", [1, 3, 7, 13])
def test_any_number_of_sub_vectors_serves(m):
    x = clustered(0, 700, 13)
    codec = vp.LowRankPQ(m).fit(x)
    assert codec.code_size == m and codec.inner.dim % m == 0
    assert error(codec, x) < x.var(axis=0).sum()


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 17])
def test_a_handful_of_rows_is_learned_from(n):
    for metric in ("ip", "l2", "cos"):
        x = clustered(0, n, 12)
        codec = vp.LowRankPQ(3, metric=metric).fit(x)
        assert np.isfinite(scan_all(codec, codec.encode(x), codec.query(x))).all()


def test_constant_rows_are_learned_from():
    x = np.full((50, 8), 2, np.float32)
    codec = vp.LowRankPQ(2, 4).fit(x)
    np.testing.assert_allclose(codec.decode(codec.encode(x)), x)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match=r"^LowRankPQ: dims expected a multiple of m=4, got 10$"):
        vp.LowRankPQ(4, 8, 10)
    with pytest.raises(ValueError, match=r"^LowRankPQ: m expected at most d=8, got 9$"):
        vp.LowRankPQ(9).fit(np.zeros((5, 8), np.float32))
    with pytest.raises(ValueError, match=r"^LowRankPQ: dims expected at most d=8, got 12$"):
        vp.LowRankPQ(4, 8, 12).fit(np.zeros((5, 8), np.float32))
    codec = vp.LowRankPQ(4, 4, 8).fit(clustered(0, 700, 12))
    with pytest.raises(ValueError, match=r"form_ expected a number of columns|expected float32\(12, 12\)"):
        vp.LowRankPQ.restore(codec.config(), 12, {**codec.arrays(), "form_": np.array([12])})
    smaller = {
        "form_": np.array([4]),
        "components_": codec.components_[:, :4],
        "inner_codebooks_": codec.inner_codebooks_[:, :, :1],
    }
    with pytest.raises(ValueError, match=r"^LowRankPQ: form_ expected a number of columns that m, dims and d=12 allow, got 4$"):
        vp.LowRankPQ.restore(codec.config(), 12, {**codec.arrays(), **smaller})
