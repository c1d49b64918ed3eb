"""What an upgrade keeps: figures by hand, an index that takes a new model's codec, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress.compatibility import Compatibility


def upgrade(metric: str = "ip") -> dict:
    """Texts and questions by two models, of which the new one sees what the old one does not, and codecs of them."""
    rng = np.random.default_rng(0)
    hidden, asked = clustered(0, 400, 12, clusters=60), clustered(0, 50, 12, clusters=60, draw=1)
    first, second = rng.standard_normal((12, 24)) * np.linspace(3, 0.3, 12)[:, None], rng.standard_normal((12, 16))
    old, old_q = ((a @ first).astype(np.float32) for a in (hidden, asked))
    new, new_q = ((a @ second).astype(np.float32) for a in (hidden, asked))
    codec = vp.RaBitQ(2, metric=metric).fit(old)
    return {
        "new_codec": vp.align(new, codec, old_vectors=old), "old_codec": codec, "new": new, "old": old, "new_queries": new_q,
        "old_queries": old_q,
    }  # fmt: skip


def recall_of(codec: vp.Codec, codes: np.ndarray, q: np.ndarray, true: np.ndarray) -> float:
    index = vp.Index(codec)
    index.add_codes(codes)
    return vp.recall(index.search(q, true.shape[1])[1], true, true.shape[1])


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_the_figures_by_hand(metric):
    u = upgrade(metric)
    for share, k in ((0.5, 10), (0.25, 3)):
        figures = vp.evaluate_compatibility(**u, k=k, share=share)
        true = vp.exact(u["new_queries"], u["new"], k, metric)[1]
        codes, again = u["old_codec"].encode(u["old"]), u["new_codec"].encode(u["new"])
        mixed = codes.copy()
        which = np.random.Generator(np.random.PCG64(0)).permutation(400)[: round(share * 400)]
        mixed[which] = again[which]
        expected = {
            "old_old": recall_of(u["old_codec"], codes, u["old_queries"], true),
            "new_old": recall_of(u["new_codec"], codes, u["new_queries"], true),
            "new_mixed": recall_of(u["new_codec"], mixed, u["new_queries"], true),
            "new_new": recall_of(u["new_codec"], again, u["new_queries"], true),
            "old_float": vp.recall(vp.exact(u["old_queries"], u["old"], k, metric)[1], true, k), "new_float": 1.0,
        }  # fmt: skip
        for name, value in expected.items():
            assert getattr(figures, name) == pytest.approx(value, abs=1e-9), name
        assert (figures.n, figures.n_queries, figures.k, figures.share) == (400, 50, k, share)
        assert figures.code_nbytes == figures.fresh_nbytes == u["old_codec"].code_size
        assert figures.hits["new_old"].sum() / figures.there.sum() == pytest.approx(figures.new_old)


def test_a_fresh_codec_and_codes_that_are_there():
    u = upgrade()
    codes = u["old_codec"].encode(u["old"])
    figures = vp.evaluate_compatibility(**u, old_codes=codes, fresh=vp.Raw())
    assert figures.new_new == 1.0 and figures.fresh_nbytes == 64
    spoilt = vp.evaluate_compatibility(**u, old_codes=np.roll(codes, 1, axis=0), fresh=vp.Raw().fit(u["new"]))
    assert spoilt.new_old < figures.new_old - 0.2 and spoilt.new_new == 1.0
    nothing, all_of_it = (vp.evaluate_compatibility(**u, share=share) for share in (0, 1))
    assert nothing.new_mixed == nothing.new_old and all_of_it.new_mixed == all_of_it.new_new


def test_ties_count_as_found():
    x = np.repeat(np.eye(4, dtype=np.float32), 30, axis=0)
    codec = vp.Raw().fit(x)
    figures = vp.evaluate_compatibility(vp.align(x, codec, old_vectors=x), codec, x, x, x[:3], x[:3])
    assert figures.old_old == figures.old_float == figures.new_float == 1.0


def test_it_is_printed_as_a_table():
    figures = vp.evaluate_compatibility(**upgrade())
    assert isinstance(figures, Compatibility)
    lines = str(figures).splitlines()
    assert any(line.split("  ")[-2:] == ["old queries, old codes", f"{figures.old_old:.4f}"] for line in lines)
    assert any("new queries, 50 % new codes" in line for line in lines)


def test_bad_input_is_refused():
    u = upgrade()
    where = "evaluate_compatibility"
    other = vp.RaBitQ(2).fit(u["old"][:300])
    for wrong, error, message in (
        (dict(new_codec="PQ"), TypeError, "new_codec expected a Codec, got str"),
        (dict(old_codec=None), TypeError, "old_codec expected a Codec, got NoneType"),
        (dict(fresh=3), TypeError, "fresh expected a Codec, got int"),
        (dict(old_codec=other), ValueError, "new_codec expected Aligned around RaBitQ"),
        (dict(old=u["old"][1:]), ValueError, "old expected 400 rows, those of new in the same order, got 399"),
        (dict(old_queries=u["old_queries"][1:]), ValueError, "old_queries expected 50 rows, .*, got 49"),
        (dict(new=u["old"]), ValueError, "new expected .*d=16 columns"),
        (dict(old_codes=np.zeros((3, u["old_codec"].code_size), np.uint8)), ValueError, "old_codes expected 400 rows, got 3"),
        (dict(fresh=vp.Raw(metric="l2")), ValueError, "fresh expected a codec of d=16 .* 'ip', got d=16 and 'l2'"),
        (dict(share=1.5), ValueError, "share expected 0 to 1, got 1.5"),
        (dict(k=0), ValueError, "k expected 1"),
        (dict(new_queries=u["new_queries"][:0], old_queries=u["old_queries"][:0]), ValueError, "at least one row, got 400 and 0"),
    ):
        with pytest.raises(error, match=f"^{where}: .*{message}"):
            vp.evaluate_compatibility(**(u | wrong))


# ---- indexes


def test_an_index_takes_the_new_codec_without_encoding():
    u = upgrade()
    index = vp.Index(u["old_codec"])
    index.add(u["old"], ids=np.arange(400) * 2 + 7)
    index.remove([9, 11])
    upgraded = index.with_codec(u["new_codec"])
    np.testing.assert_array_equal(upgraded.ids, index.ids)
    np.testing.assert_array_equal(upgraded.codes(upgraded.ids), index.codes(index.ids))
    assert upgraded.codec == u["new_codec"] and index.codec == u["old_codec"]
    rows = np.setdiff1d(np.arange(400), [1, 2])
    true = vp.exact(u["new_queries"], u["new"][rows], 10)[1]
    found = upgraded.search(u["new_queries"], 10)[1]
    assert vp.recall((found - 7) // 2, rows[true]) > vp.recall((index.search(u["old_queries"], 10)[1] - 7) // 2, rows[true])
    before = len(upgraded)
    upgraded.upsert(u["new"][:40], ids=np.arange(40) * 2 + 7)  # new documents beside old ones
    assert len(upgraded) == before + 2 and len(index) == 398
    np.testing.assert_array_equal(upgraded.codes([7]), u["new_codec"].encode(u["new"][:1]))
    scores, ids = upgraded.search(u["new"][:40], 1)
    assert scores.shape == (40, 1) and (ids >= 7).all()


def test_an_index_goes_back_and_to_the_next_model():
    u = upgrade()
    index = vp.Index(u["old_codec"])
    index.add(u["old"])
    upgraded = index.with_codec(u["new_codec"])
    back = upgraded.with_codec(u["old_codec"])
    np.testing.assert_array_equal(back.search(u["old_queries"], 5)[1], index.search(u["old_queries"], 5)[1])
    third = vp.align(u["new"][:, :9], upgraded.codec, old_codes=upgraded.codes(upgraded.ids))
    assert upgraded.with_codec(third).search(u["new"][:4, :9], 5)[1].shape == (4, 5)


def test_keys_stay_with_their_vectors():
    u = upgrade()
    index = vp.KeyedIndex(u["old_codec"])
    index.add(u["old"], [f"text {i}" for i in range(400)])
    upgraded = index.with_codec(u["new_codec"])
    assert upgraded.keys == index.keys
    ids = vp.Index(u["new_codec"])
    ids.add_codes(u["old_codec"].encode(u["old"]))
    found = ids.search(u["new_queries"], 3)[1]
    assert upgraded.search(u["new_queries"], 3)[1].tolist() == [[f"text {i}" for i in row] for row in found]


def test_a_codec_of_other_codes_is_refused():
    u = upgrade()
    index = vp.Index(u["old_codec"])
    with pytest.raises(ValueError, match=r"^with_codec: codec expected Aligned around RaBitQ\(.*got Raw"):
        index.with_codec(vp.Raw().fit(u["old"]))
    with pytest.raises(ValueError, match=r"^with_codec: codec expected Aligned around"):
        index.with_codec(vp.align(u["new"], vp.RaBitQ(2).fit(u["old"] + 1), old_vectors=u["old"]))
    with pytest.raises(TypeError, match="expected a Codec"):
        index.with_codec("Raw()")
    with pytest.raises(vp.NotFittedError):
        index.with_codec(vp.RaBitQ(2))
