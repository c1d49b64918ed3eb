"""faiss's indexes read as ours: those that vecpress exported, those that faiss trained, and those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress import cli
from vecpress.integrations import faiss as exchange

faiss = pytest.importorskip("faiss")


X, Q = clustered(5, 400, 16), clustered(5, 6, 16, draw=1)
IP, L2 = faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2


def indexed(codec: vp.Codec) -> vp.Index:
    index = vp.Index(codec.fit(X))
    index.add(X)
    return index


def there_and_back(index: vp.Index, kind: str | None = None, **options: object) -> vp.Index:
    return exchange.from_faiss(exchange.to_faiss(index, kind), **options)


# ---- exported, and read without the codec


@pytest.mark.parametrize(
    "codec",
    [
        vp.PQ(4),
        vp.PQ(4, 4, metric="l2"),
        vp.OPQ(4, 4, metric="cos"),
        vp.OPQ(8, metric="l2"),
        vp.Raw(metric="cos"),
        vp.Raw("float16"),
    ],
    ids=str,
)
def test_a_codec_that_faiss_can_say_whole_comes_back_equal(codec):
    index = indexed(codec)
    for kind in exchange.kinds(codec):
        back = there_and_back(index, kind)
        assert back.codec == index.codec
        np.testing.assert_array_equal(back.codes(np.arange(400)), index.codes(np.arange(400)))


def test_itq_and_sign_as_lsh_come_back_but_for_the_level():
    for codec in (vp.Sign(metric="l2"), vp.Sign(metric="cos"), vp.ITQ(11), vp.ITQ(11, metric="l2"), vp.ITQ(16, metric="cos")):
        index = indexed(codec)
        back = there_and_back(index, "lsh", metric=codec.metric)
        assert back.codec.config() == index.codec.config()
        for name, array in index.codec.arrays().items():
            np.testing.assert_array_equal(back.codec.arrays()[name], [0.5] if "level" in name else array)
        np.testing.assert_array_equal(back.search(Q, 400, symmetric=True)[1], index.search(Q, 400, symmetric=True)[1])
        np.testing.assert_array_equal(back.codes(np.arange(400)), index.codes(np.arange(400)))


def test_the_bits_of_a_binary_index_come_back_as_sign_around_zero():
    index = indexed(vp.ITQ(11))
    back = there_and_back(index)
    assert back.codec.config() == {"metric": "l2"} and back.codec.dim == 16 and not back.codec.mean_.any()
    np.testing.assert_array_equal(back.codes(np.arange(400)), index.codes(np.arange(400)))
    q = np.unpackbits(index.codec.encode(Q), axis=1) - 0.5
    scores, ids = back.search(q, 400, symmetric=True)
    hamming = np.bitwise_count(index.codec.encode(Q)[:, None] ^ index.codes(np.arange(400))).sum(axis=2)
    np.testing.assert_array_equal(scores, np.take_along_axis(hamming, ids, 1))


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_sq_comes_back_within_a_unit_in_the_last_place(metric):
    for n_bits in (8, 4):
        index = indexed(vp.SQ(n_bits, metric=metric))
        back = there_and_back(index)
        assert back.codec.config() == index.codec.config()
        np.testing.assert_array_max_ulp(back.codec.step_, index.codec.step_, 1)
        np.testing.assert_allclose(back.codec.low_, index.codec.low_, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(back.codes(np.arange(400)), index.codes(np.arange(400)))


@pytest.mark.parametrize(
    "codec",
    [vp.RaBitQ(1, seed=17), vp.RaBitQ(1, metric="l2"), vp.RaBitQ(4, metric="cos", factors="f4"), vp.RaBitQ(7, seed=4095),
     vp.RaBitQ(3, metric="l2"), vp.LloydMax(2, metric="l2", seed=3), vp.LloydMax(1, metric="cos")],
    ids=str,
)  # fmt: skip
def test_a_rotation_is_recognized_by_its_seed(codec):
    index = indexed(codec)
    back = there_and_back(index)
    assert back.codec.config() == index.codec.config()
    np.testing.assert_array_equal(back.codec.signs_, index.codec.signs_)
    np.testing.assert_allclose(back.codec.mean_, index.codec.mean_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(back.vectors(np.arange(400)), index.vectors(np.arange(400)), rtol=0, atol=2e-6)
    if isinstance(codec, vp.RaBitQ):
        mine, theirs = (i.codec.estimate(i.codes(np.arange(400)), Q) for i in (index, back))
        np.testing.assert_allclose(theirs, mine, rtol=2e-5, atol=2e-5)


def test_another_rotation_needs_the_codec():
    index = indexed(vp.RaBitQ(2, seed=99999))
    with pytest.raises(exchange.NoFaissForm, match="rotation of a codec of seed 0 to 4095, or the codec"):
        there_and_back(index)
    assert there_and_back(index, codec=index.codec).codec == index.codec
    own = faiss.IndexRaBitQ(16, L2, 1)
    own.train(X)
    own.add(X)
    with pytest.raises(exchange.NoFaissForm, match="IndexRaBitQ expected the transforms that vecpress exports"):
        exchange.from_faiss(own)


# ---- trained by faiss


def trained(index):
    index.train(X)
    index.add(X)
    return index


def linear(seed: int, to: int, bias: bool = False):
    """Orthonormal rows."""
    transform = faiss.RandomRotationMatrix(16, to)
    transform.init(seed)
    if bias:
        moved = faiss.LinearTransform(16, to, True)
        faiss.copy_array_to_vector(faiss.vector_to_array(transform.A), moved.A)
        faiss.copy_array_to_vector(np.linspace(-1, 1, to, dtype=np.float32), moved.b)
        moved.is_trained = True
        return moved
    return transform


def opq(to: int):
    transform = faiss.OPQMatrix(16, 4, to)
    transform.niter = 3
    return transform


FOREIGN = {
    "flat": lambda: faiss.IndexFlatL2(16),
    "flat, ip": lambda: faiss.IndexFlatIP(16),
    "PQ": lambda: faiss.IndexPQ(16, 4, 4, L2),
    "PQ, odd": lambda: faiss.IndexPQ(15 + 1, 1, 4, IP),
    "PQ, 8 bits": lambda: faiss.IndexPQ(16, 2, 8, IP),
    "PQ fast scan": lambda: faiss.IndexPQFastScan(16, 8, 4, L2),
    "OPQ": lambda: faiss.IndexPreTransform(opq(16), faiss.IndexPQ(16, 4, 4, IP)),
    "OPQ to fewer": lambda: faiss.IndexPreTransform(opq(8), faiss.IndexPQ(8, 4, 4, IP)),
    "PCA": lambda: faiss.IndexPreTransform(faiss.PCAMatrix(16, 6), faiss.IndexFlatL2(6)),
    "rotated, moved": lambda: faiss.IndexPreTransform(linear(0, 8, bias=True), faiss.IndexPQ(8, 4, 4, L2)),
    "normalised": lambda: faiss.IndexPreTransform(faiss.NormalizationTransform(16, 2.0), faiss.IndexPQ(16, 4, 4, IP)),
    "first columns": lambda: faiss.IndexPreTransform(faiss.RemapDimensionsTransform(16, 9, False), faiss.IndexFlatIP(9)),
    "SQ 8": lambda: faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_8bit, L2),
    "SQ 8 uniform": lambda: faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_8bit_uniform, L2),
    "SQ 4 uniform": lambda: faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_4bit_uniform, IP),
    "SQ 4": lambda: faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_4bit, IP),
    "SQ fp16": lambda: faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_fp16, IP),
    "LSH": lambda: faiss.IndexLSH(16, 16, False, True),
    "LSH, zero": lambda: faiss.IndexLSH(16, 16, False, False),
    "LSH, rotated": lambda: faiss.IndexPreTransform(linear(1, 11), faiss.IndexLSH(11, 11, False, True)),
    "IDMap": lambda: faiss.IndexIDMap2(faiss.IndexPQ(16, 4, 4, L2)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FOREIGN)
def test_what_faiss_trained_scores_as_in_faiss(name, tmp_path):
    theirs = FOREIGN[name]()
    theirs.train(X)
    if name == "IDMap":
        theirs.add_with_ids(X, np.arange(400)[::-1] * 5)
    else:
        theirs.add(X)
    faiss.write_index(theirs, str(tmp_path / "index.faiss"))
    mine = exchange.read(tmp_path / "index.faiss")
    bits = "LSH" in name
    scores, ids = mine.search(Q, 400, symmetric=bits)
    wanted, same = (a[np.arange(6)[:, None], np.argsort(theirs.search(Q, 400)[1], axis=1)] for a in theirs.search(Q, 400))
    order = np.argsort(ids, axis=1)
    np.testing.assert_array_equal(np.take_along_axis(ids, order, 1), same)
    scores = np.take_along_axis(scores, order, 1)
    # constants of a query, where columns are left out
    off = (scores - wanted)[:, :1] if name in ("PCA", "OPQ to fewer", "rotated, moved", "first columns") else 0
    atol = 0.03 if "fast" in name else 2e-5
    np.testing.assert_allclose(scores - off, wanted, rtol=0, atol=atol * np.abs(wanted).max())
    if name != "PCA":  # what it decodes to, it encodes as it was
        np.testing.assert_array_equal(mine.codec.encode(mine.vectors(mine.ids)), mine.codes(mine.ids))


def test_bytes_as_they_are():
    theirs = faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_8bit_direct, L2)
    x = np.random.default_rng(0).integers(0, 256, (50, 16)).astype(np.float32)
    theirs.add(x)
    mine = exchange.from_faiss(theirs)
    np.testing.assert_array_equal(mine.vectors(np.arange(50)), x)
    np.testing.assert_array_equal(mine.codec.encode(x), x.astype(np.uint8))


def test_binary_indexes_with_ids():
    theirs = faiss.IndexBinaryIDMap2(faiss.IndexBinaryFlat(24))
    codes = np.random.default_rng(0).integers(0, 256, (50, 3), np.uint8)
    theirs.add_with_ids(codes, np.arange(50) * 7)
    mine = exchange.from_faiss(theirs)
    np.testing.assert_array_equal(mine.codes(np.arange(50) * 7), codes)
    assert mine.search(np.unpackbits(codes[3]) - 0.5, 1, symmetric=True)[0] == 0


# ---- not to be read


def behind(transform, body: str, metric: int = L2):
    """An index of that kind behind a transform."""
    d = transform.d_out
    return faiss.IndexPreTransform(transform, faiss.IndexLSH(d, d) if body == "lsh" else faiss.IndexFlat(d, metric))


UNREADABLE = [
    (lambda: faiss.IndexNSGFlat(16, 4), "no codec for IndexNSGFlat; supported are IndexPQ, IndexPQFastScan"),
    (lambda: faiss.IndexResidualQuantizer(16, 2, 4), "no codec for IndexResidualQuantizer"),
    (lambda: faiss.IndexBinaryHash(16, 4), "no codec for IndexBinaryHash"),
    (lambda: faiss.IndexPQ(16, 4, 6), "IndexPQ expected 8 or 4 bits, got 6"),
    (lambda: faiss.IndexLSH(16, 8), "IndexLSH expected a bit a column and no rotation, got 8 bits of 16"),
    (lambda: faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_6bit), "expected 8 or 4 bits or fp16"),
    (lambda: faiss.IndexFlat(16, faiss.METRIC_L1), "metric expected inner product or L2"),
    (lambda: behind(linear(0, 8, bias=True), "flat", IP), "expected no bias before inner products"),
    (lambda: behind(faiss.ITQTransform(16, 8, True), "lsh"), "no codec for a ITQTransform"),
    (lambda: behind(faiss.RandomRotationMatrix(16, 20), "flat"), "expected orthonormal rows"),
    (lambda: behind(faiss.PCAMatrix(16, 8, -0.5), "flat"), "expected orthonormal rows"),
    (lambda: behind(faiss.CenteringTransform(16), "flat", IP), "CenteringTransform expected squared distances"),
    (lambda: behind(faiss.CenteringTransform(16), "flat"), "expected a LinearTransform behind it"),
    (lambda: behind(faiss.NormalizationTransform(16), "flat"), "expected the norm 2 before inner products"),
    (lambda: behind(faiss.RemapDimensionsTransform(16, 20, False), "flat"), "fewer columns, got 16 to 20"),
    (lambda: behind(faiss.RemapDimensionsTransform(16, 8, True), "flat"), "kept columns expected the first of 16, in order$"),
]


@pytest.mark.parametrize(("make", "words"), UNREADABLE)
def test_what_no_codec_can_be_made_of_is_named(make, words):
    index = make()
    index.train(np.packbits(X > 0, axis=1) if isinstance(index, faiss.IndexBinary) else X)
    with pytest.raises(ValueError, match=words):
        exchange.from_faiss(index)


def test_indexes_that_contradict_themselves():
    with pytest.raises(ValueError, match="IndexPQ expected to be trained"):
        exchange.from_faiss(faiss.IndexPQ(16, 4, 4, L2))
    index = trained(faiss.IndexPQ(16, 4, 4, L2))
    index.ntotal = 401
    with pytest.raises(ValueError, match="bytes of codes expected 802, got 800"):
        exchange.from_faiss(index)
    index.ntotal = 400
    faiss.copy_array_to_vector(np.full(4 * 16 * 4, np.nan, np.float32), index.pq.centroids)
    with pytest.raises(ValueError, match="codebooks_: expected finite values"):
        exchange.from_faiss(index)
    index.pq.centroids.resize(10)
    with pytest.raises(ValueError, match="length of the codebooks expected 256, got 10"):
        exchange.from_faiss(index)
    for ids, words in (
        ([0, 1, 1], "1 is there already|different"),
        ([0, 1, -3], "-3"),
        ([0, 1], "number of ids expected 3, got 2"),
    ):
        outer = faiss.IndexIDMap2(faiss.IndexFlatL2(16))
        outer.add_with_ids(X[:3], np.arange(3))
        faiss.copy_array_to_vector(np.array(ids, np.int64), outer.id_map)
        with pytest.raises(ValueError, match=words):
            exchange.from_faiss(outer)
    for codec in (vp.RaBitQ(1), vp.LloydMax(1)):
        index = exchange.to_faiss(indexed(codec))
        body = faiss.downcast_index(index.index)
        codes = faiss.vector_to_array(body.codes).reshape(400, -1)
        codes[7, -4:] = np.array([-1], np.float32).view(np.uint8)
        faiss.copy_array_to_vector(codes.ravel(), body.codes)
        with pytest.raises(ValueError, match="scales expected 0 to"):
            exchange.from_faiss(index, codec)


def test_a_codec_that_is_not_the_one_of_the_index():
    index = exchange.to_faiss(indexed(vp.PQ(4)))
    with pytest.raises(ValueError, match=r"codec expected one of an index of kind 'pq', got SQ\("):
        exchange.from_faiss(index, vp.SQ().fit(X))
    with pytest.raises(ValueError, match=r"index expected those of PQ\(m=4.*, got other arrays in 'pq'"):
        exchange.from_faiss(index, vp.PQ(4, seed=1).fit(X))
    with pytest.raises(ValueError, match=r"transforms expected those of OPQ.*, linear, got none"):
        exchange.from_faiss(index, vp.OPQ(4).fit(X))
    with pytest.raises(ValueError, match="metric expected 'l2' as PQ"):
        exchange.from_faiss(index, vp.PQ(4, metric="l2").fit(X))
    with pytest.raises(ValueError, match="metric expected 'ip' as in the index, got 'cos'"):
        exchange.from_faiss(index, metric="cos")
    with pytest.raises(TypeError, match="index expected a faiss index, got ndarray"):
        exchange.from_faiss(X)
    with pytest.raises(TypeError, match="codec expected a Codec, got str"):
        exchange.from_faiss(index, "PQ")
    with pytest.raises(vp.NotFittedError):
        exchange.from_faiss(index, vp.PQ(4))


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "index.faiss"
    exchange.write(indexed(vp.OPQ(4, 4)), path)
    raw = path.read_bytes()
    for damaged in (b"", b"IB", b"nothing of faiss", raw[: len(raw) // 2], raw[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(vp.CorruptFileError, match=r"index\.faiss: faiss cannot read it"):
            exchange.read(path)
    with pytest.raises(FileNotFoundError):
        exchange.read(tmp_path / "nowhere.faiss")
    with pytest.raises(TypeError, match="path"):
        exchange.read(None)


# ---- from the command line


def test_commands_export_and_import(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index = indexed(vp.ITQ(11, seed=5))
    index.remove([3])
    index.save("index.vpz")
    index.codec.save("codec.vpz")
    assert cli.main(["export", "index.vpz", "-o", "out.faiss", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["vectors"], said["file_nbytes"]) == ("binary", 399, (tmp_path / "out.faiss").stat().st_size)
    assert faiss.read_index_binary("out.faiss").ntotal == 399
    assert cli.main(["import", "out.faiss", "--codec", "codec.vpz", "-o", "back.vpz"]) == 0
    assert "399 vectors of ITQ" in capsys.readouterr().out
    back = vp.load("back.vpz")
    assert back.codec == index.codec
    np.testing.assert_array_equal(back.codes(index.ids), index.codes(index.ids))
    assert cli.main(["export", "codec.vpz", "-o", "empty.faiss", "--kind", "lsh"]) == 0
    assert cli.main(["import", "empty.faiss", "-o", "empty.vpz", "--metric", "ip"]) == 0
    assert vp.load("empty.vpz").codec.config() == {**index.codec.config(), "seed": 0}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["export", "index.vpz", "-o", "out.index"], "suffix expected .faiss"),
        (
            ["export", "index.vpz", "-o", "out.faiss", "--kind", "ivf"],
            "index.vpz: faiss: kind expected 'binary' or 'lsh' or 'pq'",
        ),
        (["export", "keyed.vpz", "-o", "out.faiss"], "keyed.vpz: expected an index without keys"),
        (["import", "none.faiss", "-o", "out.vpz"], "none.faiss: No such file"),
        (["import", "index.vpz", "-o", "out.vpz"], "index.vpz: faiss cannot read it"),
        (["import", "good.faiss", "-o", "out.vpz", "--metric", "l3"], "metric expected one of 'ip', 'l2', 'cos'"),
    ],
)
def test_commands_say_what_is_wrong(argv, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index = indexed(vp.Sign())
    index.save("index.vpz")
    exchange.write(index, "good.faiss")
    vp.KeyedIndex(vp.Sign().fit(X)).save("keyed.vpz")
    assert cli.main(argv) in (1, 2)
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not Path(argv[3]).exists()


def test_a_store_stays_behind_and_that_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index = vp.Index(vp.Sign().fit(X), store=vp.Raw().fit(X))
    index.add(X)
    index.save("index.vpz")
    assert cli.main(["export", "index.vpz", "-o", "out.faiss"]) == 0
    assert "codes only, without what index.vpz reranks by" in capsys.readouterr().err
