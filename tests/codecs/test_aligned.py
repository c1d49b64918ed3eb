"""What only Aligned promises: the inner codec's codes for other spaces, scores of what codes stand for, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import bits, clustered, level_rounding, scan_all

import vecpress as vp
from vecpress.codecs.aligned import Aligned, Maps, same_codes

P, D = 24, 10


def maps(seed: int = 0, p: int = P, d: int = D) -> Maps:
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / 3).astype(np.float32)

    return Maps(drawn(p, d), drawn(d), drawn(d, p), drawn(p), drawn(d, p), drawn(p))


def old(metric: str = "ip", **options) -> vp.Codec:
    return vp.PQ(8, metric=metric, **options).fit(clustered(0, 400, P))


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_fit_alone_is_the_inner_codec(metric):
    x, fresh = clustered(0, 400, P), clustered(0, 65, P, draw=1)
    alone = old(metric)
    codec = vp.Aligned("PQ(m=8)", metric=metric).fit(x)
    assert same_codes(codec, alone) and codec.inner.metric == ("ip" if metric == "cos" else metric)
    assert bits(codec.encode(fresh)) == bits(alone.encode(fresh))
    assert bits(codec.decode(codec.encode(fresh))) == bits(alone.decode(alone.encode(fresh)))
    for symmetric in (False, True):
        mine, theirs = (scan_all(c, alone.encode(x), c.query(fresh, symmetric=symmetric)) for c in (codec, alone))
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_codes_and_scores_by_hand(metric):
    given, inner = maps(), old(metric)
    codec = Aligned.of(inner, given)
    assert (codec.dim, codec.dims, codec.code_size, codec.metric) == (D, P, inner.code_size, metric)
    x, q = clustered(1, 50, D), clustered(1, 7, D, draw=1)
    xu, qu = ((a / np.linalg.norm(a, axis=1, keepdims=True) if metric == "cos" else a).astype(np.float64) for a in (x, q))
    z = (xu @ given.document_map + given.document_shift).astype(np.float32)
    codes = codec.encode(x)
    assert (codes == inner._encode(z, None)).mean() > 0.99  # but for roundings of z
    kept = inner.encode(clustered(0, 90, P, draw=2))  # codes of the old model
    z_hat = inner.decode(kept).astype(np.float64)
    np.testing.assert_allclose(codec.decode(kept), given.origin + z_hat @ given.decoder, rtol=1e-4, atol=1e-5)
    r = qu @ given.query_map + given.query_shift
    if metric == "l2":
        expected = -((r[:, None] - z_hat) ** 2).sum(axis=2)
    else:
        expected = r @ z_hat.T + (qu @ given.origin)[:, None]
    np.testing.assert_allclose(scan_all(codec, kept, codec.query(q)), expected, rtol=1e-4, atol=1e-4)


def test_symmetric_scores_are_the_inner_codecs_of_the_mapped_query():
    inner = vp.RecurrentBinary(16, 1, recipe="rotation").fit(clustered(0, 400, P))
    codec = Aligned.of(inner, maps())
    q, kept = clustered(1, 7, D), inner.encode(clustered(0, 90, P, draw=2))
    query = codec.query(q, symmetric=True)
    assert query.scan == "sdc"
    mapped = inner.query(q @ codec.query_map_ + codec.query_shift_, symmetric=True)
    expected = scan_all(inner, kept, mapped) + (q @ codec.origin_)[:, None]
    np.testing.assert_allclose(scan_all(codec, kept, query), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("p", "d"), [(24, 10), (24, 24), (24, 31)])
@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_any_widths_are_saved_and_loaded(p, d, metric, tmp_path):
    codec = Aligned.of(old(metric), maps(1, p, d))
    codec.save(tmp_path / "c.vpz")
    again = vp.load(tmp_path / "c.vpz")
    assert again == codec and again.dims == (None if p == d else p)
    x = clustered(1, 30, d)
    assert bits(again.encode(x)) == bits(codec.encode(x))
    with pytest.raises(ValueError, match=r"decoder_: expected float32\(24, "):
        Aligned.restore(codec.config(), d, codec.arrays() | {"decoder_": np.zeros((p + 1, d), np.float32)})


def test_models_follow_each_other():
    """A third model around the second, and beside it: the codes stay those of the first."""
    first = old()
    second = Aligned.of(first, maps(0))
    third = Aligned.of(second, maps(1, D, 6))
    assert same_codes(third, first) and same_codes(third, second) and not same_codes(third, vp.PQ(8).fit(clustered(5, 400, P)))
    kept = first.encode(clustered(0, 9, P, draw=2))
    expected = third.origin_ + (second.origin_ + first.decode(kept) @ second.decoder_) @ third.decoder_
    np.testing.assert_allclose(third.decode(kept), expected, rtol=1e-4, atol=1e-5)
    assert same_codes(Aligned.of(first, maps(2)), second)


def test_other_codecs_have_other_codes():
    first = old()
    for other in (old(seed=1), old("l2"), vp.PQ(6).fit(clustered(0, 400, P)), vp.Sign().fit(clustered(0, 400, P))):
        assert not same_codes(Aligned.of(first, maps()), other)
    assert same_codes(first, old())


def test_a_progressive_code_is_cut():
    inner = vp.TransformCodec(24, progressive=[8]).fit(clustered(0, 600, P))
    codec = Aligned.of(inner, maps())
    assert codec.layers == inner.layers == (8, 24)
    shorter = codec.truncate(8)
    assert same_codes(shorter, inner.truncate(8)) and shorter.code_size == 8
    x = clustered(1, 20, D)
    assert bits(shorter.encode(x)) == bits(codec.encode(x)[:, :8])
    with pytest.raises(ValueError, match="truncate: code_size expected the end of a layer"):
        codec.truncate(9)


# ---- wider codes


def wide(u: int = 1, more: int = 16, metric: str = "ip") -> tuple[vp.Codec, vp.Aligned, np.ndarray]:
    """A codec of an old model's vectors, wider codes around it, and vectors of the new model."""
    x = clustered(1, 600, 20, clusters=80)
    z = (x @ np.random.default_rng(0).standard_normal((20, P)) / 4).astype(np.float32)
    old = vp.RecurrentBinary(16, u, recipe="rotation", metric=metric).fit(z)
    return old, vp.align(x, old, old_vectors=z, more=more), x


@pytest.mark.parametrize("u", [0, 1, 3])
@pytest.mark.parametrize("metric", ["ip", "cos"])
def test_wider_codes_begin_with_codes_of_the_old_index(u, metric):
    old, codec, x = wide(u, metric=metric)
    short = codec.truncate(old.code_size)
    assert codec.layers == (old.code_size, codec.code_size) and codec.code_size == old.code_size + 2 * (u + 1)
    assert same_codes(short, old) and not same_codes(codec, old) and codec.truncate(codec.code_size) == codec
    codes = codec.encode(x)
    assert bits(codes[:, : old.code_size]) == bits(short.encode(x))
    index = vp.Index(codec)
    index.add(x)
    joined = vp.Index(old).with_codec(short)
    joined.merge(index.truncate(old.code_size))
    np.testing.assert_array_equal(joined.search(x[:5], 9)[1], index.truncate(old.code_size).search(x[:5], 9)[1])
    assert index.search(x[:5], 9, rerank=100)[1].shape == (5, 9)


def test_wider_codes_lose_less():
    old, codec, x = wide()
    errors = [np.square(codec.decode(codec.encode(x)) - x).sum()]
    short = codec.truncate(old.code_size)
    errors.append(np.square(short.decode(short.encode(x)) - x).sum())
    assert errors[0] < 0.5 * errors[1]
    _, wider, _ = wide(more=48)  # more numbers than columns
    assert np.square(wider.decode(wider.encode(x)) - x).sum() < 0.7 * errors[0]


def test_wider_codes_and_scores_by_hand():
    old, codec, x = wide()
    codes, q = codec.encode(x[:40]), clustered(1, 7, 20, draw=1)
    first = codec.origin_ + old.decode(codes[:, : old.code_size]).astype(np.float64) @ codec.decoder_
    s = old._parts(codes[:, : old.code_size])[1].astype(np.float64)[:, None]
    fields = codes[:, old.code_size :, None] >> np.array([6, 4, 2, 0]) & 3
    v = (2 * fields.reshape(40, 16).astype(np.float64) - 3) / 2
    z = (x[:40] - first) @ codec.more_map_ / s
    assert (np.abs(np.clip(np.round(z + 0.5) - 0.5, -1.5, 1.5) - v) < 1e-9).mean() > 0.99  # but for roundings
    decoded = first + s * (v @ codec.more_back_)
    np.testing.assert_allclose(codec.decode(codes), decoded, rtol=1e-4, atol=1e-4)
    exact = q @ decoded.T
    off = np.abs(scan_all(codec, codes, codec.query(q)) - exact)
    assert (off <= 1e-4 * np.abs(exact).max() + level_rounding(codec.query(q), codes) * np.abs(q).sum(axis=1)[:, None]).all()


def test_what_cannot_be_wider_is_refused():
    for inner in ("PQ(m=8)", "RecurrentBinary(m=16, u=2, recipe='rotation')", "RecurrentBinary(m=18, u=1, recipe='rotation')"):
        with pytest.raises(ValueError, match=r"^Aligned: more expected 0 or a RecurrentBinary whose numbers .*, got 8 and "):
            vp.Aligned(inner, more=8)
    with pytest.raises(ValueError, match=r"^Aligned: more expected 0 with metric='l2', .*, got 8$"):
        vp.Aligned("RecurrentBinary(m=16, u=1, recipe='rotation')", more=8, metric="l2")
    z = clustered(0, 300, P)
    with pytest.raises(ValueError, match=r"^Aligned: more expected 0 or a RecurrentBinary"):
        vp.align(z, vp.PQ(8).fit(z), old_vectors=z, more=8)
    with pytest.raises(ValueError, match=r"^Aligned: more expected 0 to 8192, got -1"):
        vp.align(z, vp.PQ(8).fit(z), old_vectors=z, more=-1)
    old, codec, _ = wide()
    index = vp.Index(old)
    with pytest.raises(ValueError, match=r"^with_codec: codec expected Aligned around RecurrentBinary"):
        index.with_codec(codec)


def test_limits_are_those_of_what_is_mapped():
    inner = vp.Raw("float16").fit(clustered(0, 9, P))
    given = maps()
    codec = Aligned.of(inner, given)
    worst = np.abs(given.document_map.astype(np.float64)).sum(axis=0).max()
    assert codec.largest == pytest.approx((65504 - np.abs(given.document_shift).max()) / worst, rel=1e-6)
    column = int(np.abs(given.document_map).sum(axis=0).argmax())
    x = (np.sign(given.document_map[:, column]) * 0.999999 * codec.largest).astype(np.float32)
    assert np.isfinite(inner.decode(codec.encode(x))).all()
    with pytest.raises(ValueError, match="encode: x expected absolute values up to"):
        codec.encode(1.001 * x)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match=r"^Aligned: dims expected None or d=10 in fit, got 24: vecpress.align learns maps$"):
        vp.Aligned("PQ(m=8)", 24).fit(clustered(1, 400, D))
    with pytest.raises(ValueError, match=r"^Aligned: codec expected one for 10 columns, got .*PQ: m expected a divisor"):
        vp.Aligned("PQ(m=8)").fit(clustered(1, 400, D))
    with pytest.raises(ValueError, match=r"^Aligned: dims expected at least 1, got 0$"):
        vp.Aligned("PQ(m=8)", 0)
    with pytest.raises(ValueError, match=r"decoder_: expected float32\(9, 10\)|codec expected one for 9 columns"):
        Aligned.of(old(), maps(0, 9, D))
    with pytest.raises(vp.NotFittedError):
        Aligned.of(vp.PQ(8), maps())
