"""What only Weighted promises: axes that queries stretch, a rotation without them, nested chains, an exponent that pays."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import clustered, level_rounding, scan_all

import vecpress as vp
from vecpress.ops.factors import from_u2

METRICS = ("ip", "l2", "cos")


def normal(n: int, d: int, draw: int = 0) -> np.ndarray:
    return np.random.default_rng(draw).standard_normal((n, d)).astype(np.float32)


# ---- axes


@pytest.mark.parametrize("metric", METRICS)
def test_with_exponent_0_it_is_a_rotation(metric):
    x = clustered(0, 700, 12)
    codec = vp.Weighted("Raw()", 0, metric=metric).fit(x)
    np.testing.assert_allclose(codec.forward_, codec.back_, atol=1e-6)
    np.testing.assert_allclose(codec.forward_.T @ codec.forward_, np.eye(12), atol=1e-5)
    if metric != "cos":
        z = (x.astype(np.float64) - x.mean(axis=0)) @ codec.forward_
        moment = z.T @ z / len(z)
        np.testing.assert_allclose(moment, np.diag(np.diag(moment)), atol=1e-3 * moment[0, 0])
        assert (np.diff(np.diag(moment)) < 0).all()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_both_maps_undo_each_other(exponent):
    x, q = clustered(0, 700, 12), normal(100, 12)
    codec = vp.Weighted("Raw()", exponent).fit(x, q)
    np.testing.assert_allclose(codec.forward_ @ codec.back_.T, np.eye(12), atol=1e-4)
    np.testing.assert_allclose(codec.decode(codec.encode(x)), x, atol=1e-4)


def test_errors_are_least_where_queries_are_long():
    x, q = normal(4000, 8), normal(400, 8, 1) * np.array([30, 30, 1, 1, 1, 1, 1, 1], np.float32)
    errors = []
    for exponent in (0.0, 1.0):
        codec = vp.Weighted("OPQ(m=2, n_bits=8)", exponent).fit(x, q)
        errors.append(np.square(codec.decode(codec.encode(x)) - x).mean(axis=0))
    assert (errors[1][:2] < 0.3 * errors[0][:2]).all() and errors[1].sum() > errors[0].sum()
    products = [np.square(error * 1.0) @ np.square(q).mean(axis=0) for error in errors]
    assert products[1] < products[0]


def test_the_exponent_is_chosen_by_what_is_found():
    """Where two of sixteen columns are nearly all that queries see, weights find more."""
    x, q = normal(4000, 16), normal(400, 16, 1)
    q[:, 2:] *= 0.02
    recalls = {
        e: vp.evaluate(vp.Weighted("OPQ(m=2)", e), x, q[:100], fit_queries=q[100:], repeats=1).recall for e in (0.0, 0.5, None)
    }
    assert recalls[0.5] > recalls[0.0] + 0.1
    assert recalls[None] >= recalls[0.5] - 0.02


def test_weights_are_left_out_where_they_find_less():
    """What all queries share, in a column where rows hardly differ, would take the bits of the others."""
    x, q = normal(4000, 16), normal(400, 16, 1)
    x[:, 0] *= 0.01
    q[:, 0] += 30
    recalls = {e: vp.evaluate(vp.Weighted("PQ(m=4)", e), x, q[:100], fit_queries=q[100:], repeats=1).recall for e in (0.5, None)}
    assert recalls[None] > recalls[0.5] + 0.1


def test_few_rows_or_queries_leave_the_usual_exponent():
    x = clustered(0, 400, 12)
    assert vp.Weighted("PQ(m=4, n_bits=4)").fit(x).arrays()["forward_"].tobytes() == (
        vp.Weighted("PQ(m=4, n_bits=4)", 0.5).fit(x).arrays()["forward_"].tobytes()
    )


# ---- codes and scores


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("cls", vp.codecs(), ids=lambda cls: cls.__name__)
def test_it_chains_with_every_codec(cls, metric, tmp_path, few_rounds):
    x, q = clustered(0, 400, 24), clustered(0, 7, 24, draw=1)
    inner = cls.candidates(24, metric)[-1]
    if cls is vp.RecurrentBinary:  # its codes have a bias each, which weights would have to know of
        with pytest.raises(ValueError, match=r"^Weighted: codec expected one whose scores are inner products alone"):
            vp.Weighted(inner, 0.5, metric=metric).fit(x)
        return
    codec = vp.Weighted(inner, 0.5, metric=metric).fit(x)
    codec.save(tmp_path / "c.vpz")
    assert vp.load(tmp_path / "c.vpz") == codec
    unit = q / np.linalg.norm(q, axis=1, keepdims=True) if metric == "cos" else q.astype(np.float64)
    codes = codec.encode(x[:65])
    decoded = codec.decode(codes).astype(np.float64)
    exact = -((unit[:, None] - decoded[None]) ** 2).sum(axis=2) if metric == "l2" else unit @ decoded.T
    off = 1e-4 * np.abs(exact) + 1e-4 * np.abs(exact).max() + level_rounding(codec.query(q), codes)
    assert (np.abs(scan_all(codec, codes, codec.query(q)) - exact) <= off).all()
    index = vp.Index(codec)
    index.add(x)
    assert index.search(q, 3)[1].shape == (7, 3) == index.search(q, 3, symmetric=True)[1].shape


def test_distances_have_the_length_in_front():
    x = clustered(0, 700, 12)
    codec = vp.Weighted("Scaled('PQ(m=4)')", metric="l2").fit(x)
    assert (codec.head, codec.code_size, codec.inner.head) == (3, 7, 1)
    codes = codec.encode(x)
    lengths = from_u2(codes[:, :2].copy().view("<u2")[:, 0]) * codec.unit_
    np.testing.assert_allclose(lengths, np.linalg.norm(codec.decode(codes) - codec.mean_, axis=1), rtol=2**-11)
    near = (codes[:, 2:] == codec.inner.encode((x - codec.mean_) @ codec.forward_)).all(axis=1)
    assert near.mean() > 0.98  # the rest is rounded otherwise


def test_a_query_is_not_scored_by_the_bits_of_a_stretched_space():
    """Signs of stretched axes are no measure of the product, so coded queries are decoded first."""
    x = clustered(0, 400, 12)
    codec = vp.Weighted("Sign()", 0.5).fit(x)
    assert codec.query(x[:3], symmetric=True).scan == "lut4"


def test_chains_nest_both_ways():
    x = clustered(0, 700, 24)
    for text in ("Scaled('OPQ(m=6, n_bits=4)')", "Truncate(12, 'Scaled(\"PQ(m=6)\")')", "Weighted('PQ(m=6)', 0.3)"):
        codec = vp.Weighted(text).fit(x)
        assert vp.Weighted(**codec.config()) == vp.Weighted(text)
        assert codec.inner.is_fitted


# ---- refusals


def test_what_does_not_belong_together_is_refused():
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"^Weighted: exponent expected 0 to 1, got "):
            vp.Weighted("PQ(m=4)", wrong)
    with pytest.raises(TypeError, match=r"^Weighted: exponent expected a number, got bool"):
        vp.Weighted("PQ(m=4)", True)
    with pytest.raises(ValueError, match=r"^Weighted: it decomposes d x d matrices, d expected at most 4096"):
        vp.Weighted("Sign()").fit(np.zeros((3, 5000), np.float32))


def test_an_inner_codec_with_a_bias_is_refused():
    class Biased(vp.PQ):
        @property
        def head(self):
            return 2

        @property
        def code_size(self):
            return super().code_size + 2

        def _encode(self, x, num_threads):
            return np.pad(super()._encode(x, num_threads), ((0, 0), (2, 0)))

        def _query(self, q, num_threads):
            return super()._query(q, num_threads)._replace(bias=vp.ops.Factor(0, "f2"))

    try:
        for cls in (vp.Weighted, vp.Scaled):
            with pytest.raises(ValueError, match=f"^{cls.__name__}: codec expected one whose scores are inner products alone"):
                cls("Biased(m=2, n_bits=4)").fit(clustered(0, 300, 8))
    finally:
        vp.codec._codecs.pop("Biased")
