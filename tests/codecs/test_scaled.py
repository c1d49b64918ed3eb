"""What only Scaled promises: scales that are found, less error, more recall, codecs that it refuses, even and uneven rows."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import clustered, level_rounding, scan_all

import vecpress as vp
from vecpress.codecs.scaled import MARGIN, WIDEST
from vecpress.ops.factors import from_u2
from vecpress.scales import scale_table, scales_of, store_scales

METRICS = ("ip", "l2", "cos")


def error(codec: vp.Codec, x: np.ndarray) -> float:
    return float(np.square(codec.decode(codec.encode(x)).astype(np.float64) - x).sum())


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def normal(n: int, d: int, draw: int = 0) -> np.ndarray:
    return np.random.default_rng(draw).standard_normal((n, d)).astype(np.float32)


# ---- the formula


def test_scales_by_hand():
    x, t = np.array([[3, 4]], np.float32), np.array([[2, 0]], np.float32)
    assert [float(scales_of(x, t, stretch, 1)[0]) for stretch in (0, 2)] == pytest.approx([25 / 6, 6 / 4])
    assert float(scales_of(x, t, 1, 1)[0]) == pytest.approx(np.sqrt(25 / 6 * 6 / 4))
    away = np.array([[-1, 0], [0, 1], [0, 0]], np.float32)
    for stretch in (0, 1, 2):
        assert (scales_of(np.array([[3, 4], [0, 0], [3, 4]], np.float32), away, stretch, 1) == 0).all()


def test_the_planted_scale_is_found_and_rounded_by_little():
    rng = np.random.default_rng(0)
    t, s = normal(500, 16), rng.uniform(0.5, 20, 500)
    x = (t * s[:, None]).astype(np.float32)
    levels = scale_table(s, 1, MARGIN, WIDEST)
    for stretch in (0, 1, 2):
        found = scales_of(x, t, stretch, 1)
        np.testing.assert_allclose(found, s, rtol=1e-5)
        rounded = levels[store_scales(found, levels, 1)[:, 0]]
        assert (np.abs(rounded / s - 1) < 0.02).all()
    assert store_scales(np.array([0.0, 1e-30, 1e30]), levels, 1)[:, 0].tolist() == [0, 1, 255]


def test_levels_round_to_the_nearest_by_ratio():
    levels = scale_table(np.array([1.0, 8.0]), 1, MARGIN, WIDEST)
    assert levels[0] == 0 and levels[1] == pytest.approx(0.5) and levels[255] == pytest.approx(16)
    between = np.sqrt(levels[1:-1].astype(np.float64) * levels[2:])
    assert store_scales(between * 0.9999, levels, 1)[:, 0].tolist() == list(range(1, 255))
    assert store_scales(between * 1.0001, levels, 1)[:, 0].tolist() == list(range(2, 256))


# ---- what it is for


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("inner", ["PQ(m=3)", "OPQ(m=6, n_bits=4)", "RQ(m=2, beam=2)", "Sign()"])
def test_the_scale_of_least_squares_lowers_the_error(inner, metric):
    x, fresh = clustered(0, 1500, 24), clustered(0, 500, 24, draw=1)
    if metric == "cos":
        x, fresh = unit(x), unit(fresh)
    if metric == "ip":  # so uneven that the inner codec sees the same vectors
        lengths = np.exp(np.random.default_rng(0).standard_normal(1500)).astype(np.float32)
        x = x * lengths[:, None]
        fresh = fresh * lengths[:500, None]
    codec = vp.Scaled(inner, 2, metric=metric).fit(x)
    assert codec.form_[1] == (metric != "ip")
    alone = codec.inner
    y = fresh - codec.mean_
    if codec.form_[1]:
        y = unit(y)
    times = np.linalg.norm(fresh - codec.mean_, axis=1, keepdims=True) if codec.form_[1] else 1
    plain = alone.decode(alone.encode(y)) * times + codec.mean_
    assert error(codec, fresh) < np.square(plain.astype(np.float64) - fresh).sum() * (1 if inner == "Sign()" else 0.999)


def test_of_fewer_than_512_rows_the_usual_stretch_is_taken():
    assert vp.Scaled("PQ(m=2, n_bits=4)").fit(clustered(0, 300, 8)).form_[0] == 1
    assert vp.Scaled("PQ(m=2, n_bits=4)", 0).fit(clustered(0, 300, 8)).form_[0] == 0


def test_more_is_found_with_the_scale():
    x, q = unit(clustered(0, 4000, 32, clusters=200)), unit(clustered(0, 150, 32, clusters=200, draw=1))
    for metric in ("ip", "cos"):
        alone = vp.evaluate(vp.PQ(4, metric=metric), x, q, repeats=1).recall
        assert vp.evaluate(vp.Scaled("PQ(m=4)", metric=metric), x, q, repeats=1).recall > alone + 0.02


def test_more_is_found_of_rows_of_uneven_distance():
    lengths = np.exp(np.random.default_rng(1).standard_normal(4100)).astype(np.float32)
    x, q = unit(clustered(5, 4000, 16, clusters=200)), unit(clustered(5, 100, 16, clusters=200, draw=1))
    x, q = x * lengths[:4000, None], q * lengths[4000:, None]
    alone = vp.evaluate(vp.PQ(4, metric="l2"), x, q, repeats=1).recall
    assert vp.evaluate(vp.Scaled("PQ(m=4)", metric="l2"), x, q, repeats=1).recall > alone + 0.08


def test_scales_are_about_the_mean_where_that_finds_more():
    """Far from the origin lengths say nothing of the code."""
    away = np.zeros(16, np.float32)
    away[3] = 300
    x, q = unit(normal(3000, 16)), normal(200, 16, 1)
    q[:, 3] = 0
    codec = vp.Scaled("PQ(m=2)").fit(x + away, q)
    assert codec.mean_[3] == pytest.approx(300, rel=1e-3)
    assert not vp.Scaled("PQ(m=2)").fit(x, q).mean_.any()
    assert vp.Scaled("PQ(m=2)", metric="l2").fit(x + away).mean_[3] == pytest.approx(300, rel=1e-3)


# ---- codes and scores


@pytest.mark.parametrize("metric", METRICS)
def test_codes_are_those_of_the_layout(metric):
    x = clustered(0, 700, 12)
    codec = vp.Scaled("PQ(m=4, n_bits=4)", metric=metric).fit(x)
    codes, decoded = codec.encode(x), codec.decode(codec.encode(x))
    front = 2 if metric == "l2" else 0
    assert codec.head == front + 1 and codec.code_size == front + 3
    s = codec.scales_[codes[:, front]]
    c = codec.inner.decode(np.ascontiguousarray(codes[:, front + 1 :]))
    np.testing.assert_allclose(decoded, codec.mean_ + s[:, None] * c, rtol=1e-6, atol=1e-6)
    if front:
        lengths = from_u2(codes[:, :2].copy().view("<u2")[:, 0]) * codec.unit_
        np.testing.assert_allclose(lengths, np.linalg.norm(decoded - codec.mean_, axis=1), rtol=2**-11)


@pytest.mark.parametrize(
    "inner", ["RQ(m=3, beam=2)", "Truncate(dims=8, codec='PQ(m=4)', basis='pca')", "Sign()", "Weighted('PQ(m=4)', 0.5)"]
)
@pytest.mark.parametrize("metric", METRICS)
def test_constants_of_the_inner_scores_are_scaled_too(inner, metric):
    x, q = clustered(0, 700, 12) + 3, clustered(0, 9, 12, draw=1) + 3
    codec = vp.Scaled(inner, metric=metric).fit(x)
    asked, decoded = (unit(q) if metric == "cos" else q).astype(np.float64), codec.decode(codec.encode(x)).astype(np.float64)
    wanted = -np.square(asked[:, None] - decoded).sum(axis=2) if metric == "l2" else asked @ decoded.T
    scores = scan_all(codec, codec.encode(x), codec.query(q))
    rounding = level_rounding(codec.query(q), codec.encode(x))
    assert (np.abs(scores - wanted) <= 1e-4 * np.abs(wanted).max() + rounding).all()


def test_a_zero_vector_decodes_to_the_mean():
    for metric in METRICS:
        codec = vp.Scaled("PQ(m=2, n_bits=4)", metric=metric).fit(clustered(0, 300, 8))
        at_mean = codec.mean_[None] if metric != "cos" else np.zeros((1, 8), np.float32)
        np.testing.assert_array_equal(codec.decode(codec.encode(at_mean)), codec.mean_[None] if metric != "cos" else at_mean)


# ---- refusals


@pytest.mark.parametrize(
    "inner", ["LloydMax(n_bits=2)", "RaBitQ(n_bits=2)", "TransformCodec(code_size=9)", "SQ()", "Scaled('PQ(m=4)')"]
)
@pytest.mark.parametrize("metric", METRICS)
def test_what_has_a_scale_already_is_refused(inner, metric):
    with pytest.raises(
        ValueError, match=r"^Scaled: codec expected one whose scores are sums of table entries, .*, got ['\"][A-Z]"
    ):
        vp.Scaled(inner, metric=metric).fit(clustered(0, 300, 12))


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match=r"^Scaled: codec expected one for d=9, got 'PQ\(m=4, .*: PQ: m expected a divisor"):
        vp.Scaled("PQ(m=4)").fit(clustered(0, 300, 9))
    with pytest.raises(ValueError, match=r"^Scaled: stretch expected one of 1, 0, 2, got 3"):
        vp.Scaled("PQ(m=4)", 3)
    codec = vp.Scaled("PQ(m=2, n_bits=4)").fit(clustered(0, 300, 8))
    for name, wrong in (("form_", np.array([3, 1])), ("form_", np.array([1, 2])), ("scales_", codec.scales_[::-1].copy())):
        with pytest.raises(ValueError, match="do not belong together"):
            vp.Scaled.restore(codec.config(), 8, {**codec.arrays(), name: wrong})


def test_an_inner_codec_may_have_the_metric_of_the_chain_and_works_with_ip():
    codec = vp.Scaled(vp.PQ(4, metric="l2"), metric="l2")
    assert codec.inner.metric == "ip" and codec.codec == "PQ(m=4, n_bits=8, seed=0)"
    with pytest.raises(ValueError, match="with 'cos', got metric='l2'"):
        vp.Scaled(vp.PQ(4, metric="l2"), metric="cos")
