"""What only Truncate promises: prefixes and principal components by hand, its configuration, chains of chains, exact scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import bits, clustered, level_rounding, scan_all

import vecpress as vp


def scores_of(codec: vp.Codec, x: np.ndarray, q: np.ndarray, symmetric: bool = False) -> np.ndarray:
    return scan_all(codec, codec.encode(x), codec.query(q, symmetric=symmetric))


# ---- configuration


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("PQ(4)", "PQ(m=4, n_bits=8, seed=0)"),
        (" PQ( m = 4 , n_bits=4, seed=2 ) ", "PQ(m=4, n_bits=4, seed=2)"),
        ("PQ(m=4, metric='ip')", "PQ(m=4, n_bits=8, seed=0)"),
        ("PQ(m=4, metric='cos')", "PQ(m=4, n_bits=8, seed=0)"),
        (vp.PQ(4), "PQ(m=4, n_bits=8, seed=0)"),
        (vp.PQ(4, metric="cos"), "PQ(m=4, n_bits=8, seed=0)"),
        ("Sign()", "Sign()"),
        (vp.Raw("float16"), "Raw(dtype='float16')"),
        (vp.Truncate(4, "Sign()"), "Truncate(dims=4, codec='Sign()', basis='first')"),
    ],
    ids=repr,
)
def test_the_inner_codec_is_kept_as_text_without_its_metric(given, kept):
    codec = vp.Truncate(8, given, metric="cos")
    assert codec.config() == {"dims": 8, "codec": kept, "basis": "first", "metric": "cos"}
    assert vp.Truncate(**json.loads(json.dumps(codec.config()))) == codec
    assert codec.inner.metric == "ip"
    assert vp.Truncate(8, kept, metric="l2").inner.metric == "l2"


@pytest.mark.parametrize(
    "text",
    [
        "", "PQ", "PQ(", "PQ(4)(4)", "Nothing()", "vp.PQ(4)", "PQ(m=x)", "PQ(m=1+1j)", "PQ(**{'m': 4})", "PQ(*[4])",
        "PQ(m=4, k=1)", "PQ()", "PQ(m=0)", "PQ(m='4')", "__import__('os').getcwd()", "PQ(m=len('abcd'))", "[PQ(4)]",
        "PQ(4), PQ(4)", "PQ(4)\nPQ(4)", "(" * 5000, "-" * 100000 + "1", "PQ(m=" + "[" * 300 + "]" * 300 + ")", "PQ(m=4)\0",
        "Truncate(8, PQ(4))",
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_text_that_is_no_codec_is_refused_and_never_run(text):
    with pytest.raises(ValueError, match=r"^Truncate: codec expected text such as 'PQ\(m=8, n_bits=4\)', got "):
        vp.Truncate(8, text)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match=r"^Truncate: codec expected one without a metric or with 'ip', got metric='l2'$"):
        vp.Truncate(8, vp.PQ(4, metric="l2"))
    with pytest.raises(ValueError, match=r"with 'l2', got metric='cos'$"):
        vp.Truncate(8, "PQ(4, metric='cos')", metric="l2")
    with pytest.raises(ValueError, match=r"^Truncate: codec expected one for dims=9 columns, .*: PQ: m expected a divisor"):
        vp.Truncate(9, "PQ(4)")
    with pytest.raises(ValueError, match=r"one for dims=9 columns, .*: Truncate: dims expected at most d=9, got 10$"):
        vp.Truncate(9, "Truncate(dims=10, codec='Sign()')")
    with pytest.raises(ValueError, match=r"expected an unfitted codec, got a fitted Sign$"):
        vp.Truncate(8, vp.Sign().fit(clustered(0, 9, 8)))
    with pytest.raises(ValueError, match=r"^Truncate: dims expected at most d=8, got 9$"):
        vp.Truncate(9, "Sign()").fit(clustered(0, 9, 8))


def test_a_damaged_file_is_refused(tmp_path):
    codec = vp.Truncate(8, "PQ(m=4, n_bits=4)", "pca").fit(clustered(0, 99, 12))
    codec.save(tmp_path / "c.vpz")
    assert vp.load(tmp_path / "c.vpz") == codec
    arrays = codec.arrays()
    with pytest.raises(ValueError, match="inner_codebooks_: expected float32"):
        vp.Truncate.restore({**codec.config(), "codec": "PQ(m=2, n_bits=4)"}, 12, arrays)
    with pytest.raises(ValueError, match="arrays expected"):
        vp.Truncate.restore({**codec.config(), "codec": "Sign()"}, 12, arrays)
    with pytest.raises(ValueError, match="dims expected at most d=7"):
        vp.Truncate.restore(codec.config(), 7, arrays)


# ---- "first"


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_a_prefix_is_the_inner_codec_on_the_first_components(metric):
    x, fresh = clustered(0, 300, 20), clustered(0, 65, 20, draw=1)
    for inner in (vp.PQ(4, metric=metric), vp.Sign(metric=metric), vp.Raw(metric=metric), vp.PQ(3, 4, seed=1, metric=metric)):
        codec = vp.Truncate(12, inner, metric=metric).fit(x)
        alone = type(inner)(**inner.config()).fit(np.ascontiguousarray(x[:, :12]))
        assert codec.inner == alone
        assert (codec.code_size, codec.head, codec.group) == (alone.code_size, alone.head, alone.group)
        assert bits(codec.encode(fresh)) == bits(alone.encode(fresh[:, :12]))
        decoded = codec.decode(codec.encode(fresh))
        assert bits(decoded[:, :12]) == bits(alone.decode(alone.encode(fresh[:, :12])))
        assert (decoded[:, 12:] == codec.mean_[12:]).all()


def test_scores_of_a_prefix_by_hand():
    x = np.array([[1, 2, 3, 4], [3, 4, 5, 8]], np.float32)  # the mean of what is dropped: 4, 6
    q = np.array([[1, 1, 2, 1]], np.float32)
    product = vp.Truncate(2, "Raw()").fit(x)
    assert scores_of(product, x, q).tolist() == [[3 + 8 + 6, 7 + 8 + 6]]
    distance = vp.Truncate(2, "Raw()", metric="l2").fit(x)
    assert scores_of(distance, x, q).tolist() == [[-(0 + 1 + 4 + 25), -(4 + 9 + 4 + 25)]]
    assert distance.decode(distance.encode(x)).tolist() == [[1, 2, 4, 6], [3, 4, 4, 6]]


def test_vectors_are_scaled_once_under_cos():
    x = np.array([[3, 4, 0, 0], [0.6, 0, 0, 0.8]], np.float32)
    codec = vp.Truncate(2, "Raw()", metric="cos").fit(x)
    np.testing.assert_allclose(codec.decode(codec.encode(x))[:, :2], [[0.6, 0.8], [0.6, 0]], rtol=1e-6)
    q = np.array([[2, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(scores_of(codec, x, q), [[0.6, 0.6]], rtol=1e-6)


def test_all_columns_may_be_kept():
    x = clustered(0, 300, 12)
    for metric in ("ip", "l2", "cos"):
        codec, alone = vp.Truncate(12, "PQ(m=4, n_bits=4)", metric=metric).fit(x), vp.PQ(4, 4, metric=metric).fit(x)
        assert bits(codec.encode(x)) == bits(alone.encode(x))
        assert bits(scores_of(codec, x, x[:5])) == bits(scores_of(alone, x, x[:5]))


# ---- "pca"


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_a_plane_off_the_origin_loses_nothing(metric):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((10, 3)))[0].T
    x = (7 + rng.standard_normal((200, 3)) * [3, 2, 1] @ basis).astype(np.float32)
    codec = vp.Truncate(3, "Raw()", "pca", metric=metric).fit(x)
    np.testing.assert_allclose(codec.decode(codec.encode(x)), x, atol=1e-5)
    np.testing.assert_allclose(np.abs(codec.components_.T @ basis.T), np.eye(3), atol=0.2)
    q = (rng.standard_normal((5, 10)) * 4).astype(np.float32)  # off the plane
    exact = q.astype(np.float64) @ x.T if metric == "ip" else -((q[:, None].astype(np.float64) - x[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(scores_of(codec, x, q), exact, rtol=1e-5, atol=1e-4)


def test_components_are_those_of_largest_variance():
    x = clustered(0, 500, 12)
    codec = vp.Truncate(5, "Raw()", "pca").fit(x)
    variances, directions = np.linalg.eigh(np.cov(x.T.astype(np.float64)))
    np.testing.assert_allclose(np.abs(codec.components_.T @ directions[:, ::-1][:, :5]), np.eye(5), atol=1e-4)
    z = (x.astype(np.float64) - x.mean(axis=0)) @ codec.components_
    np.testing.assert_allclose(z.var(axis=0, ddof=1), variances[::-1][:5], rtol=1e-4)


def test_more_components_never_raise_the_error():
    x = clustered(0, 500, 16)
    errors = []
    for dims in (1, 2, 4, 8, 16):
        codec = vp.Truncate(dims, "Raw()", "pca").fit(x)
        errors.append(float(((codec.decode(codec.encode(x)) - x) ** 2).sum()))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-6 * errors[0]


def test_limits_follow_the_inner_codec_and_the_columns():
    x = clustered(0, 99, 16)
    assert vp.Truncate(8, "Raw('float16')").fit(x).largest == 65504
    codec = vp.Truncate(8, "Raw('float16')", "pca", metric="l2").fit(x)
    assert codec.largest == 65504 / 8
    worst = np.full((1, 16), codec.largest, np.float32) * np.where(codec.components_[:, 0] < 0, -1, 1)
    assert np.isfinite(codec.decode(codec.encode(worst.astype(np.float32)))).all()
    x[5, 2] = 9000
    for call in (codec.fit, codec.encode, vp.Truncate(8, "Raw('float16')", "pca").fit):
        with pytest.raises(ValueError, match="expected absolute values up to 8188, row 5 has 9000"):
            call(x)


# ---- with every codec


@pytest.mark.parametrize("basis", ["first", "pca"])
@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("cls", vp.codecs(), ids=lambda cls: cls.__name__)
def test_it_chains_with_every_codec(cls, metric, basis, tmp_path, few_rounds):
    x, q = clustered(0, 400, 30), clustered(0, 7, 30, draw=1)
    inner = cls.candidates(24, metric)[-1]
    codec = vp.Truncate(24, inner, basis, metric=metric).fit(x)
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


def test_a_warning_points_at_the_caller():
    with pytest.warns(vp.SmallTrainingSetWarning, match=r"Truncate\(.* wants at least 624") as caught:
        vp.Truncate(8, "Truncate(dims=4, codec='PQ(m=2, n_bits=4)')").fit(clustered(0, 99, 12))
    assert [w.filename for w in caught] == [__file__]


@pytest.mark.parametrize("codec", [vp.OPQ(1, 4), vp.ITQ(1), vp.Truncate(1, "Sign()", "pca")], ids=repr)
def test_what_decomposes_large_matrices_refuses_them(codec):
    with pytest.raises(ValueError, match=f"^{type(codec).__name__}: .* d expected at most 4096, got 4097$"):
        codec.fit(np.zeros((2, 4097), np.float32))
