"""Query-weighted axes: inner products are kept, components vary independently, and full weight loses least."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import clustered

from vecpress.weighting import Transform, moments, query_axes, weighted_transform

EXPONENTS = (0.0, 0.3, 0.5, 0.75, 1.0)
every_exponent = pytest.mark.parametrize("exponent", EXPONENTS)


def rows(n: int = 8000, d: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """float32[n, d] rows, and queries that live in other directions, of falling strength."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.exp(-3 * np.arange(d) / d)
    return clustered(1, n, d), (rng.standard_normal((n, d)) @ axes.T + 0.2).astype(np.float32)


def transform(x: np.ndarray, q: np.ndarray, exponent: float) -> Transform:
    return weighted_transform(*moments(x, centred=True), moments(q, centred=False)[1], exponent)


def plain(x: np.ndarray) -> np.ndarray:
    return (x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)).T @ (x - x.mean(axis=0, dtype=np.float64)) / len(x)


@every_exponent
def test_inner_products_are_kept(exponent):
    x, q = rows()
    t = transform(x, q, exponent)
    away, q = x[:500].astype(np.float64) - t.mean, q[:500]
    z = away @ t.forward.astype(np.float64)
    lengths = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(away, axis=1)
    assert np.abs((q @ t.back.astype(np.float64)) @ z.T - q @ away.T).max() < 1e-4 * lengths.max()
    np.testing.assert_allclose(t.mean, x.mean(axis=0, dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(z @ t.back.T, away, atol=1e-4 * np.abs(away).max())


@every_exponent
def test_components_are_independent_and_of_falling_variance(exponent):
    x, q = rows()
    t = transform(x, q, exponent)
    z = (x - t.mean).astype(np.float64) @ t.forward
    apart = np.corrcoef(z.T) - np.eye(z.shape[1])
    assert np.abs(apart).max() < (1e-3 if exponent == 0 else 0.05)  # each direction's least variance is weighed too
    assert (np.diff(t.variances) <= 0).all()
    np.testing.assert_allclose(z.var(axis=0), t.variances, rtol=0.01, atol=0.002 * t.variances.mean())


def test_without_weight_it_is_principal_components():
    x, q = rows()
    t = transform(x, q, 0.0)
    np.testing.assert_allclose(t.forward.T @ t.forward, np.eye(24), atol=1e-5)
    np.testing.assert_allclose(t.forward, t.back, atol=1e-5)
    values, axes = np.linalg.eigh(plain(x))
    np.testing.assert_allclose(np.abs(np.einsum("ij,ij->j", axes[:, ::-1], t.forward)), 1, atol=1e-3)
    np.testing.assert_allclose(np.square((x - t.mean) @ t.forward).mean(axis=0), values[::-1], rtol=1e-3)


def test_queries_that_know_no_directions_change_nothing():
    x, _ = rows()
    mean, covariance = moments(x, centred=True)
    alike = weighted_transform(mean, covariance, 7 * np.eye(24), 1.0)
    np.testing.assert_allclose(alike.forward, weighted_transform(mean, covariance, np.eye(24), 0.0).forward, atol=1e-4)


@pytest.mark.parametrize("kept", [2, 5, 10, 16])
def test_full_weight_loses_least_of_inner_products(kept):
    """trace(S_q S_e) where only the first components are kept."""
    x, q = rows()
    of_queries = q.astype(np.float64).T @ q / len(q)
    lost = []
    for exponent in (*EXPONENTS, 1.4):
        t = transform(x, q, exponent)
        away = x.astype(np.float64) - t.mean
        error = away - (away @ t.forward[:, :kept]) @ t.back[:, :kept].T
        lost.append(float(np.trace(of_queries @ (error.T @ error)) / len(x)))
    assert lost[-2] == min(lost) and lost[-2] < 0.9 * lost[0]
    assert (np.diff(lost[:-1]) < 0).all()  # the more weight up to 1, the less is lost
    assert lost[-1] == pytest.approx(np.square(q[:1000] @ error.T).mean(), rel=0.15)


def test_moments_are_shrunk_towards_the_mean_variance():
    """Little with many rows, much with few; the trace is kept."""
    x = np.random.default_rng(2).standard_normal((5000, 12)).astype(np.float32) * np.linspace(1, 3, 12, dtype=np.float32)
    many, few, true = moments(x, centred=True)[1], moments(x[:8], centred=True)[1], plain(x)
    assert np.abs(many - true).max() < 0.02 * true.max()
    assert np.linalg.eigvalsh(few)[0] > 0.1 * np.trace(few) / 12 > 0
    for found, sample in ((many, x), (few, x[:8])):
        assert np.trace(found) == pytest.approx(np.trace(plain(sample)))
    level = np.diag(np.full(12, np.trace(plain(x[:8])) / 12))
    assert np.square(few - true).sum() < min(np.square(plain(x[:8]) - true).sum(), 1.5 * np.square(level - true).sum())


def test_moments_about_the_origin():
    x, _ = rows()
    mean, moment = moments(x, centred=False)
    assert (mean == 0).all()
    np.testing.assert_allclose(moment, x.astype(np.float64).T @ x / len(x), rtol=0.05, atol=0.05 * np.trace(moment) / 24)


@every_exponent
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fewer rows than columns", lambda x: x[:5]),
        ("one row", lambda x: x[:1]),
        ("two rows", lambda x: x[:2]),
        ("equal rows", lambda x: np.repeat(x[:1], 50, axis=0)),
        ("zeros", lambda x: 0 * x),
        ("constant dimensions", lambda x: np.where(np.arange(24) % 2, x, 3)),
        ("one dimension varies", lambda x: np.where(np.arange(24) == 4, x, 0)),
        ("one column", lambda x: x[:, :1]),
        ("huge", lambda x: x * 1e15),
        ("tiny", lambda x: x * 1e-15),
        ("one dimension far larger", lambda x: x * np.where(np.arange(24) == 3, 1e4, 1)),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_whatever_the_rows_axes_are_finite_and_inverse_to_each_other(name, change, exponent):
    x = change(rows()[0]).astype(np.float32)
    for q in (x, rows()[1][:, : x.shape[1]]):
        t = transform(x, q, exponent)
        assert all(np.isfinite(part).all() for part in t) and (t.variances >= 0).all()
        assert all(part.dtype == np.float32 and part.flags.c_contiguous for part in t[:3])
        np.testing.assert_allclose(t.forward.astype(np.float64) @ t.back.T, np.eye(x.shape[1]), atol=2e-4)


def test_signs_do_not_depend_on_the_solver():
    x, q = rows()
    t = transform(x, q, 0.5)
    again = transform(x.copy(), q.copy(), 0.5)
    np.testing.assert_array_equal(t.forward, again.forward)
    np.testing.assert_array_equal(t.back, again.back)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_a_few_queries_are_believed_as_half_as_many_rows_as_columns(metric):
    x, q = rows()
    mean, covariance = moments(x, centred=True)
    plain_rows = covariance + (0 if metric == "l2" else np.outer(mean, mean))
    for few in (q[:0], q[:12]):
        given = moments(few - mean if metric == "l2" else few, centred=False)[1] if len(few) else 0 * plain_rows
        share = len(few) / (len(few) + 12)
        level = np.trace(given) / np.trace(plain_rows) if len(few) else 1.0
        wanted = weighted_transform(mean, covariance, share * given + (1 - share) * level * plain_rows, 0.5)
        np.testing.assert_allclose(query_axes(x, few, metric, 0.5).forward, wanted.forward, atol=1e-6)
    none = query_axes(x, None, metric, 0.5)
    np.testing.assert_array_equal(none.forward, query_axes(x, q[:0], metric, 0.5).forward)
