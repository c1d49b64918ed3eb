"""The graph of usearch over codes: distances equal to those of our scans, recall beside them, files, ids."""

from __future__ import annotations

import copy
import gc

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress import native

pytest.importorskip("usearch")

from vecpress.integrations.usearch import GraphIndex, pair_table

D = 24
FITTING = ("PQ", "OPQ", "LowRankPQ", "Sign", "ITQ", "SQ", "Truncate", "Aligned")


@pytest.fixture(scope="module")
def x():
    return clustered(0, 600, D)


@pytest.fixture(scope="module")
def q():
    return clustered(0, 9, D, draw=1)


def fitted(codec: vp.Codec, x: np.ndarray) -> vp.Codec:
    return copy.deepcopy(codec).fit(x)


def examples() -> list[vp.Codec]:
    known = [cls for cls in vp.codecs() if cls.__module__.startswith("vecpress.")]
    return [codec for cls in known for codec in cls.examples()]


@pytest.mark.parametrize("codec", examples(), ids=repr)
def test_distances_are_those_of_coded_queries(codec, x, q):
    """Every codec serves or is refused; served ones score as `Index.search(symmetric=True)`, all ids in all rows."""
    codec = fitted(codec, x)
    try:
        graph = GraphIndex(codec)
    except ValueError as error:
        assert "GraphIndex: codec expected" in str(error)
        assert type(codec).__name__ not in FITTING or getattr(codec, "n_bits", 0) == 16 or "codec" in codec.config()
        return
    graph.add(x)
    index = vp.Index(codec)
    index.add(x)
    scores, ids = graph.search(q, 600, exact=True)
    wanted, wanted_ids = index.search(q, 600, symmetric=True)
    size = np.abs(wanted).max()
    np.testing.assert_allclose(by_id(scores, ids), by_id(wanted, wanted_ids), rtol=0, atol=2e-6 * size)
    reranked = graph.search(q, 600, exact=True, rerank=600)
    wanted = index.search(q, 600)
    if codec.metric != "l2" or type(codec).__name__ in ("PQ", "OPQ", "SQ"):
        np.testing.assert_allclose(by_id(*reranked), by_id(*wanted), rtol=0, atol=5e-6 * size)


def by_id(scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
    assert (np.sort(ids, axis=1) == np.arange(ids.shape[1])).all()
    return np.take_along_axis(scores, np.argsort(ids, axis=1), axis=1)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_the_function_sums_the_table(metric, x):
    codec = fitted(vp.PQ(6, 8, metric=metric), x)
    table = pair_table(codec)
    assert table.shape == (6, 256, 256) and np.array_equal(table, table.transpose(0, 2, 1))
    metric_in_c = native.code_metric(table)
    rng = np.random.default_rng(0)
    for a, b in rng.integers(0, 256, (50, 2, 6), np.uint8):
        wanted = np.float32(0)
        for j in range(6):
            wanted += table[j, a[j], b[j]]
        assert metric_in_c(a, b) == wanted
    with pytest.raises(ValueError, match=r"codes expected \[bytes\]"):
        metric_in_c(a[:5], b)
    with pytest.raises(ValueError, match=r"table expected \[bytes, 256, 256\]"):
        native.code_metric(np.zeros((6, 9, 256), np.float32))


def test_tables_are_given_back():
    table = np.zeros((1, 256, 256), np.float32)
    held: list = []
    gc.collect()
    with pytest.raises(RuntimeError, match="all 64 functions are in use"):
        while len(held) < 65:
            held.append(native.code_metric(table + len(held)))
    assert len({m.pointer for m in held}) == len(held) >= 50  # some may be kept by tests before this
    codes = np.zeros(1, np.uint8)
    assert [m(codes, codes) for m in held] == list(range(len(held)))  # each reads its own
    freed = held.pop(7).pointer
    gc.collect()
    assert native.code_metric(table).pointer == freed


@pytest.mark.parametrize("unfitted", [vp.PQ(48, metric="ip"), vp.OPQ(48, 4), vp.Sign()], ids=repr)
def test_recall_beside_the_exhaustive_scan(unfitted):
    data = vp.datasets.demo()
    base, q = data.base[:3000], data.queries[:100]
    codec = fitted(unfitted, base)
    index = vp.Index(codec)
    index.add(base)
    graph = GraphIndex(codec, expansion_search=128)
    graph.add(base)
    coded = index.search(q, 10, symmetric=True)[1]
    assert vp.recall(graph.search(q, 10)[1], coded) > 0.9
    # the graph's candidates, scored by float queries, beside all codes scored so
    truth = vp.exact(q, base, 10)[1]
    assert vp.recall(graph.search(q, 10, rerank=100)[1], truth) > 0.95 * vp.recall(index.search(q, 10)[1], truth)


@pytest.mark.parametrize("unfitted", [vp.PQ(6), vp.ITQ(24)], ids=repr)
@pytest.mark.parametrize("view", [False, True])
def test_files(unfitted, view, x, q, tmp_path):
    codec = fitted(unfitted, x)
    graph = GraphIndex(codec)
    graph.add(x, ids=np.arange(600) * 3 + 5)
    wanted = graph.search(q, 10)
    graph.save(tmp_path / "graph.usearch")
    del graph
    again = GraphIndex.load(tmp_path / "graph.usearch", view=view)
    assert again.codec == codec and len(again) == 600
    for got, expected in zip(again.search(q, 10), wanted, strict=True):
        np.testing.assert_array_equal(got, expected)
    if not view:
        again.add(x[:1])
        assert {5, 3 * 599 + 6} <= {*again.search(x[:1], 601, exact=True)[1][0].tolist()}


def test_files_that_cannot_be(x, tmp_path):
    with pytest.raises(FileNotFoundError):
        GraphIndex.load(tmp_path / "none")
    graph = GraphIndex(fitted(vp.PQ(6), x))
    graph.add(x)
    graph.save(tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        GraphIndex.load(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"no graph" * 100)
    with pytest.raises(vp.CorruptFileError, match="usearch cannot read it"):
        GraphIndex.load(tmp_path / "a")
    (tmp_path / "a").write_bytes(whole)
    fitted(vp.PQ(4), x).save(tmp_path / "a.vpz")
    with pytest.raises(vp.CorruptFileError, match="expected a graph of 4 values"):
        GraphIndex.load(tmp_path / "a")


def test_ids(x, q):
    graph = GraphIndex(fitted(vp.PQ(6), x))
    assert graph.search(q, 2)[1].tolist() == [[-1, -1]] * 9 and np.isnan(graph.search(q, 2)[0]).all()
    graph.add(x[:100])
    graph.add(x[100:200], ids=np.arange(1000, 1100))
    graph.add(x[200:201])
    assert len(graph) == 201 and 1100 in graph.graph
    scores, ids = graph.search(q[0], 500)
    assert ids.shape == (1, 500) and (ids[0, 201:] == -1).all() and np.isnan(scores[0, 201:]).all() and (ids[0, :150] >= 0).all()
    assert (np.diff(scores[0, :150]) <= 0).all()
    best = int(ids[0, 0])
    graph.remove([best])
    assert best not in graph.search(q[0], 100)[1] and len(graph) == 200
    for bad, message in [([5], "is there"), ([7000, 7000], "twice"), ([-1], "ids of 0 to"), ([7, 8, 9], "expected 2 of them")]:
        with pytest.raises(ValueError, match=message):
            graph.add(x[: min(2, len(bad))], ids=bad)
    assert len(graph) == 200
    with pytest.raises(ValueError, match="ids expected known ones, got 7000"):
        graph.remove([0, 7000])
    assert len(graph) == 200


def test_bad_arguments(x, q):
    with pytest.raises(TypeError, match="codec expected a Codec, got str"):
        GraphIndex("pq")
    with pytest.raises(ValueError, match="not fitted"):
        GraphIndex(vp.PQ(6))
    with pytest.raises(ValueError, match=r"codec expected Sign, ITQ, PQ.*, got RaBitQ"):
        GraphIndex(fitted(vp.RaBitQ(), x))
    with pytest.raises(ValueError, match="connectivity expected at least 2, got 1"):
        GraphIndex(fitted(vp.PQ(6), x), connectivity=1)
    graph = GraphIndex(fitted(vp.PQ(6), x))
    graph.add(x)
    for arguments, message in [
        ({"k": 0}, "k expected at least 1"),
        ({"k": 5, "rerank": 4}, "rerank expected at least 5, got 4"),
        ({"q": q[:, :3]}, "search: q expected d=24 columns"),
        ({"q": np.full((1, D), np.nan)}, "row 0 has NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            graph.search(**{"q": q, **arguments})
