"""Inverted lists and graphs of faiss over our codes: their answers beside those of the index that they were exported of."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress import cli
from vecpress.chain import Chain
from vecpress.integrations import faiss as exchange
from vecpress.integrations.faiss import HNSW, IVF

faiss = pytest.importorskip("faiss")
from test_faiss import TOLERANCE, all_scores, constants, examples, indexed, rows  # noqa: E402

LISTS = ("pq", "pqfs", "binary", "sq", "flat")
GRAPHS = ("pq", "binary", "sq", "flat", "rabitq", "eden")


def through_a_file(index: object, folder: Path) -> object:
    path, binary = str(folder / "index.faiss"), isinstance(index, faiss.IndexBinary)
    (faiss.write_index_binary if binary else faiss.write_index)(index, path)
    return (faiss.read_index_binary if binary else faiss.read_index)(path)


def inside(index: object) -> object:
    """Behind ids and transforms."""
    binary = isinstance(index, faiss.IndexBinary)
    down = faiss.downcast_IndexBinary if binary else faiss.downcast_index
    index = down(index)
    while isinstance(index, (faiss.IndexIDMap, faiss.IndexIDMap2, faiss.IndexBinaryIDMap2, faiss.IndexPreTransform)):
        index = down(index.index)
    return index


def asked_as(codec: vp.Codec, kind: str, q: np.ndarray) -> np.ndarray:
    return codec.encode(q) if kind == "binary" else q


def held(lists: object) -> dict[int, bytes]:
    """The code of each id in the lists of an IVF."""
    found, size = {}, lists.code_size
    for label in range(lists.nlist):
        n = lists.list_size(label)
        if n:
            ids = faiss.rev_swig_ptr(lists.get_ids(label), n)
            codes = faiss.rev_swig_ptr(lists.get_codes(label), n * size).reshape(n, size)
            found |= {int(i): code.tobytes() for i, code in zip(ids, codes, strict=True)}
    return found


# ---- inverted lists


@pytest.mark.parametrize(("cls", "i"), examples(), ids=lambda value: getattr(value, "__name__", value))
def test_all_lists_give_the_answers_of_the_index(cls, i, tmp_path):
    index = indexed(cls, i)
    codec, n = index.codec, len(index)
    q = rows(codec, 1, 5)
    for kind in exchange.kinds(codec):
        if kind not in LISTS:
            with pytest.raises(exchange.NoFaissForm, match=r"inverted lists|no IVF of kind"):
                exchange.to_faiss(index, kind, IVF(7))
            continue
        there = through_a_file(exchange.to_faiss(index, kind, IVF(7, 7)), tmp_path)
        lists = inside(there)
        assert lists.nlist == lists.nprobe == 7 and there.ntotal == n
        assert sum(lists.invlists.list_size(label) > 0 for label in range(7)) > 1
        if kind != "pqfs":  # which rearranges them
            assert held(lists.invlists) == {int(one): index.codes(one)[0].tobytes() for one in index.ids}
        scores, ids = all_scores(index.search(q, n, symmetric=kind == "binary"))
        theirs, same_ids = all_scores(there.search(asked_as(codec, kind, q), n))
        np.testing.assert_array_equal(same_ids, ids)
        if kind == "binary":
            own = np.bitwise_count(codec.encode(q)[:, None] ^ index.codes(ids[0])).sum(axis=2)
            np.testing.assert_array_equal(theirs, own)
            continue
        atol = TOLERANCE.get(kind, 2e-6) * np.abs(scores).max()
        np.testing.assert_allclose(theirs + constants(codec, q)[:, None], scores, rtol=0, atol=atol)


@cache
def pressed(codec: str, n: int = 6000) -> vp.Index:
    """The demo's vectors as `codec`, under ids of the caller's."""
    data = vp.datasets.demo()
    index = vp.Index(eval(codec, vars(vp)).fit(data.base))
    index.add(data.base[:n], ids=np.arange(n) * 5 + 7)
    return index


def asked() -> np.ndarray:
    return vp.datasets.demo().queries[:200].astype(np.float32)


@pytest.mark.parametrize("codec", ["PQ(48)", "OPQ(48, 4)", "SQ(4)", "Sign()", "Raw('float16', metric='l2')"])
def test_some_lists_give_most_of_the_answers_and_scores_that_are_ours(codec):
    index, q = pressed(codec), asked()
    kind = exchange.kinds(index.codec)[0]
    there = exchange.to_faiss(index, structure=IVF())
    lists = inside(there)
    assert lists.nlist == 6000 // 39 and lists.nprobe == 25
    theirs, ids = there.search(asked_as(index.codec, kind, q), 10)
    mine = index.search(q, 10, symmetric=kind == "binary")[1]
    assert 0.85 < vp.recall(ids, mine) < 1
    again, found = through_lists(lists, there, asked_as(index.codec, kind, q))
    all_of_them = exchange.to_faiss(index).search(asked_as(index.codec, kind, q), 10)[0]
    np.testing.assert_allclose(again, all_of_them, rtol=0, atol=2e-6 * np.abs(again).max())
    assert vp.recall(found, mine) > (0.97 if kind == "binary" else 0.999)  # many are equally far
    rank = {(row, one): score for row in range(len(q)) for one, score in zip(found[row], again[row], strict=True)}
    for row in range(len(q)):
        for one, score in zip(ids[row], theirs[row], strict=True):
            assert rank.get((row, one), score) == score


def through_lists(lists: object, there: object, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lists.nprobe = lists.nlist
    return there.search(q, 10)


def test_centroids_are_the_same_every_time_and_follow_seed_and_vectors():
    index, data = pressed("PQ(48)"), vp.datasets.demo()
    first = faiss.serialize_index(exchange.to_faiss(index, structure=IVF(20)))
    np.testing.assert_array_equal(faiss.serialize_index(exchange.to_faiss(index, structure=IVF(20))), first)
    for other in (IVF(20, seed=1), IVF(20, vectors=data.base[:3000])):
        there = exchange.to_faiss(index, structure=other)
        assert not np.array_equal(faiss.serialize_index(there), first)
        there.nprobe = 20
        assert vp.recall(there.search(asked(), 10)[1], index.search(asked(), 10)[1]) > 0.999
    np.testing.assert_allclose(np.linalg.norm(faiss.downcast_index(there.quantizer).reconstruct_n(0, 20), axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("codec", ["PQ(3)", "OPQ(3, metric='cos')", "Sign(metric='l2')"])
def test_an_empty_index_of_lists_is_one_that_faiss_can_fill(codec):
    x = clustered(3, 300, 12)
    made = eval(codec, vars(vp)).fit(x)
    there = exchange.to_faiss(made, structure=IVF(5, 5, vectors=x))
    assert there.ntotal == 0 and there.is_trained
    there.add(made.encode(x) if isinstance(made, vp.Sign) else x)
    back = exchange.from_faiss(there, made)
    assert (back.codes(np.arange(300)) == made.encode(x)).mean() > 0.995


# ---- graphs


@pytest.mark.parametrize("codec", ["PQ(48)", "OPQ(96, 4)", "SQ(4)", "Sign(metric='l2')", "RaBitQ(2)", "RaBitQ(4, metric='l2')",
                                   "LloydMax(2)", "Raw()", "Truncate(96, 'SQ(8)', metric='cos')"])  # fmt: skip
def test_a_graph_finds_most_of_what_the_scan_finds_with_its_scores(codec, tmp_path):
    index, q = pressed(codec), asked()
    kind = exchange.kinds(index.codec)[0]
    there = through_a_file(exchange.to_faiss(index, structure=HNSW()), tmp_path)
    assert there.ntotal == 6000 and np.array_equal(faiss.vector_to_array(there.id_map), np.sort(index.ids))
    theirs, ids = there.search(asked_as(index.codec, kind, q), 10)
    scores, mine = index.search(q, 10, symmetric=kind == "binary")
    if kind == "binary":  # many are equally far: a neighbour is one that is no farther than ours
        own = np.bitwise_count(index.codec.encode(q)[:, None] ^ index.codes(mine.ravel()).reshape(*mine.shape, -1)).sum(axis=2)
        assert (np.sort(theirs, axis=1) <= own).mean() > 0.95
        return
    assert vp.recall(ids, mine) > 0.95
    lost = constants(index.codec, q)[:, None] if isinstance(index.codec, Chain) else 0
    same = ids == mine
    assert same.mean() > 0.5
    np.testing.assert_allclose((theirs + lost)[same], scores[same], rtol=0, atol=4e-6 * np.abs(scores).max())
    inner = faiss.downcast_index(inside(there).storage)
    flat = exchange.to_faiss(index)  # owns what is inside
    np.testing.assert_array_equal(faiss.vector_to_array(inner.codes), faiss.vector_to_array(inside(flat).codes))


def test_lengths_that_differ_do_not_cost_a_graph_its_recall():
    rng = np.random.default_rng(0)
    data = vp.datasets.demo()
    base = data.base[:4000] * np.exp(0.4 * rng.standard_normal((4000, 1)))
    index = vp.Index(vp.SQ(8).fit(base))
    index.add(base)
    found = exchange.to_faiss(index, structure=HNSW()).search(asked(), 10)[1]
    assert vp.recall(found, index.search(asked(), 10)[1]) > 0.97


def test_options_of_a_graph():
    index = pressed("PQ(48)", 1000)
    there = exchange.to_faiss(index, structure=HNSW(8, 20, 33))
    graph = inside(there)
    assert graph.hnsw.nb_neighbors(1) == 8 and graph.hnsw.efConstruction == 20 and graph.hnsw.efSearch == 33


@pytest.mark.parametrize("kind", GRAPHS)
def test_graphs_and_lists_of_few_rows(kind):
    x = clustered(3, 200, 12)
    made = {"pq": vp.PQ(3, 4), "rabitq": vp.RaBitQ(3), "eden": vp.LloydMax(2), "sq": vp.SQ(4), "flat": vp.Raw()}
    codec = made.get(kind, vp.Sign()).fit(x)
    for n in (0, 1):
        index = vp.Index(codec)
        index.add(x[:n])
        for structure in (HNSW(), IVF(1, vectors=x)):
            if isinstance(structure, IVF) and kind not in LISTS:
                continue
            there = exchange.to_faiss(index, kind, structure)
            assert there.ntotal == n
            assert there.search(asked_as(codec, kind, x[:2]), 2)[1].tolist() == [[0, -1] if n else [-1, -1]] * 2
            assert len(exchange.from_faiss(there, codec)) == n


# ---- and back


@pytest.mark.parametrize("codec", ["PQ(48)", "OPQ(48, 4)", "SQ(4)", "ITQ(64)", "Raw()", "RaBitQ(2)", "LloydMax(1)"])
def test_codes_and_ids_come_back(codec, tmp_path):
    index = pressed(codec, 500)
    for structure in (IVF(9), HNSW(8)):
        for kind in exchange.kinds(index.codec):
            if kind not in (LISTS if isinstance(structure, IVF) else GRAPHS) or kind == "pqfs":
                continue
            exchange.write(index, tmp_path / "index.faiss", kind, structure)
            back = exchange.read(tmp_path / "index.faiss", index.codec)
            np.testing.assert_array_equal(back.ids, np.sort(index.ids))
            np.testing.assert_array_equal(back.codes(index.ids), index.codes(index.ids))
            assert isinstance(exchange.read(tmp_path / "index.faiss").codec, vp.Codec)


def test_lists_and_graphs_that_faiss_made():
    x = clustered(5, 600, 16)
    residual = faiss.index_factory(16, "IVF8,PQ4x4np")
    residual.train(x)
    residual.add(x)
    with pytest.raises(exchange.NoFaissForm, match="IndexIVFPQ expected codes of vectors, by_residual=False"):
        exchange.from_faiss(residual)
    residual.by_residual = False
    residual.train(x)
    residual.reset()
    residual.add_with_ids(x, np.arange(600) * 2 + 1)
    residual.nprobe = 8
    back = exchange.from_faiss(residual)
    np.testing.assert_array_equal(back.ids, np.arange(600) * 2 + 1)
    scores = residual.search(x[:20], 5)[0]
    np.testing.assert_allclose(back.search(x[:20], 5)[0], scores, rtol=0, atol=1e-5 * scores.max())
    mapped = faiss.IndexIDMap2(faiss.index_factory(16, "IVF8,Flat"))
    mapped.train(x)
    mapped.add_with_ids(x, np.arange(600)[::-1] * 3)
    np.testing.assert_array_equal(exchange.from_faiss(mapped).codes(3 * 599), x[:1].view(np.uint8))
    graph = faiss.index_factory(16, "HNSW8,SQ8")
    graph.train(x)
    graph.add(x)
    assert exchange.from_faiss(graph).codec.config()["n_bits"] == 8
    fast = exchange.to_faiss(vp.PQ(4, 4).fit(x), "pqfs", IVF(4, vectors=x))
    with pytest.raises(exchange.NoFaissForm, match=r"no codec for IndexIVFPQFastScan; supported are .*inverted lists without"):
        exchange.from_faiss(fast)


def test_lists_that_contradict_their_index_are_refused():
    index = pressed("PQ(48)", 500)
    there = exchange.to_faiss(index, structure=IVF(4))
    there.ntotal = 501
    with pytest.raises(ValueError, match="rows of all lists expected 501, got 500"):
        exchange.from_faiss(there)
    there.ntotal = 500
    there.invlists.reset()
    there.ntotal = 0
    assert len(exchange.from_faiss(there)) == 0
    x = clustered(5, 100, 16)
    mapped = faiss.IndexIDMap2(faiss.index_factory(16, "IVF4,Flat"))
    mapped.train(x)
    mapped.add_with_ids(x, np.arange(100))
    lists = faiss.downcast_index(mapped.index)
    label = next(one for one in range(4) if lists.invlists.list_size(one))
    faiss.rev_swig_ptr(lists.invlists.get_ids(label), 1)[0] = 100
    with pytest.raises(ValueError, match=r"ids in lists expected 0 to 99, got .* to 100"):
        exchange.from_faiss(mapped)


# ---- errors, and the command


def test_bad_structures_are_named(base):
    codec = vp.PQ(8).fit(base)
    index = vp.Index(codec)
    index.add(base[:100])
    for make, words in (
        (lambda: IVF(0), "IVF: nlist expected 1 to"),
        (lambda: IVF(4, 0), "IVF: nprobe expected 1 to"),
        (lambda: IVF(4, seed=-1), "IVF: seed expected at least 0"),
        (lambda: HNSW(1), "HNSW: m expected 2 to"),
        (lambda: HNSW(ef_search=0), "HNSW: ef_search expected 1 to"),
        (lambda: exchange.to_faiss(index, structure=IVF(101)), "nlist expected at most 100, a list a vector .*, got 101"),
        (lambda: exchange.to_faiss(codec, structure=IVF(4)), "IVF of an empty index expected `vectors`"),
        (lambda: exchange.to_faiss(index, structure=IVF(4, vectors=base[:, :5])), "IVF: vectors expected d="),
        (lambda: exchange.to_faiss(index, structure=IVF(4, vectors=base[:0])), "vectors expected at least one row"),
        (lambda: exchange.to_faiss(index, "binary", IVF(4)), "kind expected 'pq' for"),
        (lambda: exchange.to_faiss(vp.Sign().fit(base), "lsh", HNSW()), "no HNSW of kind 'lsh'; .* 'binary' or 'pq'"),
        (lambda: exchange.to_faiss(vp.RaBitQ(2).fit(base), structure=IVF(4)), "no inverted lists of RaBitQ.*residuals"),
        (lambda: exchange.to_faiss(vp.RQ(2, 4).fit(base), structure=IVF(4)), "no index for RQ"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(TypeError, match="structure expected an IVF, an HNSW or None, got str"):
        exchange.to_faiss(index, structure="ivf")
    with pytest.raises(TypeError, match="IVF: nlist expected an int, got float"):
        IVF(4.5)


def test_the_command_writes_lists_and_graphs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pressed("PQ(48)", 500).save("index.vpz")
    for options, kind, structure in ((["--ivf", "5"], faiss.IndexIVFPQ, "IVF"), (["--ivf", "0"], faiss.IndexIVFPQ, "IVF"),
                                     (["--hnsw", "8"], faiss.IndexHNSWPQ, "HNSW")):  # fmt: skip
        assert cli.main(["export", "index.vpz", "-o", "out.faiss", "--json", *options]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["kind"], said["structure"], said["vectors"]) == ("pq", structure, 500)
        assert isinstance(inside(faiss.read_index("out.faiss")), kind)
        assert cli.main(["import", "out.faiss", "-o", "again.vpz"]) == 0
        capsys.readouterr()
        assert vp.load("again.vpz").codec.code_size == 48
    assert cli.main(["export", "index.vpz", "-o", "out.faiss", "--ivf", "5", "--hnsw", "8"]) != 0
    assert "one of --ivf and --hnsw" in capsys.readouterr().err
