"""Exported indexes, written to disk and searched there by faiss, against the index that they were exported of."""

from __future__ import annotations

import errno
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress.chain import Chain
from vecpress.codecs.lloydmax import LloydMax
from vecpress.container import replacing
from vecpress.integrations import faiss as exchange
from vecpress.integrations.faiss_codes import pack_numbers, reverse_bits, unpack_numbers

faiss = pytest.importorskip("faiss")

DIMS = {"Sign": 27, "RaBitQ": 27, "LloydMax": 27, "SQ": 27, "Raw": 27}  # no multiple of 8, and odd; other examples divide 24
BITS = ("binary", "lsh")  # scored by Hamming distance
ROWS = 300
# of float32 sums in another order, relative to the largest score; faiss's tables of 8 bits
TOLERANCE = {"pqfs": 0.02}


def examples() -> list[tuple[type[vp.Codec], int]]:
    return [(cls, i) for cls in there() for i in range(len(cls.examples()))]


def there() -> list[type[vp.Codec]]:
    """The library's codecs that have a form in faiss."""
    without = (vp.Aligned, vp.RQ, vp.RecurrentBinary, vp.Scaled, vp.TransformCodec, vp.Weighted)
    return [cls for cls in vp.codecs() if cls.__module__.startswith("vecpress.") and cls not in without]


@cache
def indexed(cls: type[vp.Codec], i: int) -> vp.Index:
    """Of 300 rows, some removed; ids from 1 to 898 in steps of 3."""
    codec = cls.examples()[i]
    x = rows(codec, 0)
    index = vp.Index(codec.fit(x))
    index.add(x, ids=np.arange(ROWS)[::-1] * 3 + 1)
    index.remove([1, 31, 3 * ROWS - 2])
    return index


def rows(codec: vp.Codec, draw: int, n: int = ROWS) -> np.ndarray:
    return clustered(3, n, DIMS.get(type(codec).__name__, 24), draw=draw)


def exported(index: vp.Index | vp.Codec, folder: Path, kind: str | None) -> object:
    """The index in the file, as faiss reads it."""
    path = str(folder / "index.faiss")
    exchange.write(index, path, kind)
    with open(path, "rb") as file:
        binary = file.read(2) == b"IB"
    return faiss.read_index_binary(path) if binary else faiss.read_index(path)


def all_scores(found: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of a search for all rows: the scores and the ids, by id."""
    scores, ids = found
    order = np.argsort(ids, axis=1)
    return np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)


def constants(codec: vp.Codec, q: np.ndarray) -> np.ndarray:
    """float64[nq]: what docs/faiss.md says that faiss's scores lack, the same for all vectors of a query."""
    q = q.astype(np.float64)
    if codec.metric == "cos":
        q /= np.linalg.norm(q, axis=1, keepdims=True)
    lost, shift = np.zeros(len(q)), np.zeros(q.shape[1])  # shift: what inner codecs' means have from the outer ones
    while isinstance(codec, Chain):
        mean = codec.mean_.astype(np.float64)
        span = getattr(codec, "components_", np.eye(codec.dim)[:, : codec.inner_dim]).astype(np.float64)
        if codec.metric == "l2":
            off = (q - mean) - (q - mean) @ span @ span.T
            lost += np.square(off).sum(axis=1)
            q = (q - mean) @ span if hasattr(codec, "components_") else q @ span
        else:
            shift = shift + (mean if hasattr(codec, "components_") else mean - span @ (span.T @ mean))
            lost += q @ (shift - span @ (span.T @ shift))
            q, shift = q @ span, span.T @ shift
        codec = codec.inner
    return lost


@pytest.mark.parametrize(("cls", "i"), examples(), ids=lambda value: getattr(value, "__name__", value))
def test_faiss_scores_what_the_index_scores(cls, i, tmp_path):
    index = indexed(cls, i)
    codec, n = index.codec, len(index)
    q = rows(codec, 1, 5)
    for kind in exchange.kinds(codec):
        if cls is LloydMax and codec.n_bits > 2:
            with pytest.raises(exchange.NoFaissForm, match="its own levels"):
                exchange.write(index, tmp_path / "index.faiss", kind)
            continue
        there = exported(index, tmp_path, kind)
        assert there.ntotal == n and there.is_trained
        symmetric = kind in BITS
        scores, ids = all_scores(index.search(q, n, symmetric=symmetric))
        asked = codec.encode(q) if kind == "binary" else q
        theirs, same_ids = all_scores(there.search(asked, n))
        np.testing.assert_array_equal(same_ids, ids)
        best, best_ids = there.search(asked, 9)
        np.testing.assert_array_equal(np.take_along_axis(theirs, np.searchsorted(ids[0], best_ids), 1), best)
        if symmetric:  # scores are an affine map of the distances that faiss returns
            own = np.bitwise_count(codec.encode(q)[:, None] ^ index.codes(ids[0])).sum(axis=2)
            np.testing.assert_array_equal(theirs, own)
            slope = 4 if codec.metric == "l2" else -2
            level = chain_end(codec).level_[0]
            np.testing.assert_allclose(scores - scores[:, :1], slope * level**2 * (own - own[:, :1].astype(float)), atol=2e-5)
            continue
        lost = constants(codec, q)[:, None]
        if not (isinstance(codec, Chain) and codec.inner_dim < codec.dim):
            assert np.abs(lost).max() < 1e-5
        atol = TOLERANCE.get(kind, 2e-6) * np.abs(scores).max()
        np.testing.assert_allclose(theirs.astype(np.float64) + lost, scores, rtol=0, atol=atol)


def chain_end(codec: vp.Codec) -> vp.Codec:
    while isinstance(codec, Chain):
        codec = codec.inner
    return codec


@pytest.mark.parametrize(("cls", "i"), examples(), ids=lambda value: getattr(value, "__name__", value))
def test_with_its_codec_an_index_comes_back_as_it_was(cls, i, tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "BLOCK_NBYTES", 3000)  # several blocks
    index = indexed(cls, i)
    for kind in exchange.kinds(index.codec):
        if cls is LloydMax and index.codec.n_bits > 2:
            continue
        exchange.write(index, tmp_path / "index.faiss", kind)
        back = exchange.read(tmp_path / "index.faiss", index.codec)
        assert back.codec == index.codec
        np.testing.assert_array_equal(back.ids, np.sort(index.ids))
        np.testing.assert_array_equal(back.codes(index.ids), index.codes(index.ids))


def test_a_codec_that_faiss_has_nothing_for_says_so():
    class _Other(vp.Sign):  # the underscore keeps it out of vp.codecs()
        pass

    codec = _Other().fit(np.eye(8))
    assert exchange.kinds(codec) == ()
    with pytest.raises(exchange.NoFaissForm, match=r"no index for _Other; .* for ITQ, LloydMax, .*Truncate"):
        exchange.to_faiss(codec)
    pca = vp.Truncate(4, "Raw()", "pca").fit(clustered(3, 200, 8))
    with pytest.raises(exchange.NoFaissForm, match="keep a mean"):
        exchange.to_faiss(pca)


def test_every_codec_has_kinds():
    for cls in there():
        for codec in cls.examples():
            assert exchange.kinds(codec), f"{cls.__name__}: say in faiss_export.py and docs/faiss.md what it is in faiss"
    with pytest.raises(exchange.NoFaissForm, match="no index for TransformCodec"):
        exchange.to_faiss(vp.TransformCodec(8).fit(clustered(3, 700, 8)))
    for codec in (vp.Scaled("PQ(2, 4)"), vp.Weighted("PQ(2, 4)"), vp.RecurrentBinary(8, recipe="rotation")):
        with pytest.raises(exchange.NoFaissForm, match=f"no index for {type(codec).__name__}"):
            exchange.to_faiss(codec.fit(clustered(3, 700, 8)))
    with pytest.raises(exchange.NoFaissForm, match="no index for RQ"):
        exchange.to_faiss(vp.RQ(2, 4).fit(clustered(3, 700, 8)))


TOP = [
    vp.PQ(m=48, n_bits=4), vp.Sign(metric="cos"), vp.RaBitQ(1), vp.RaBitQ(2, metric="l2"), vp.RaBitQ(4), vp.LloydMax(1),
    vp.LloydMax(2), vp.SQ(4), vp.Truncate(96, "SQ(4)"),
]  # fmt: skip


@pytest.mark.parametrize("codec", TOP, ids=str)
def test_recall_on_the_demo_set_is_ours(codec, tmp_path):
    data = vp.datasets.demo()
    base, queries = data.base[:2500], data.queries[:100]
    codec = codec if codec.is_fitted else codec.fit(base)
    index = vp.Index(codec)
    index.add(base)
    there = exported(index, tmp_path, "pq" if isinstance(codec, vp.Sign) else None)
    truth = vp.exact(queries, base, 10, codec.metric)[1]
    ids = there.search(queries.astype(np.float32), 10)[1]
    mine = index.search(queries, 10)[1]
    # the 10th may differ by rounding, or by which of equals it is
    assert abs(vp.recall(ids, truth) - vp.recall(mine, truth)) <= 1 / ids.size
    assert (np.sort(ids, axis=1) == np.sort(mine, axis=1)).mean() > 0.999


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("kind", ["pq", "pqfs", "binary", "lsh", "rabitq", "eden", "sq", "flat"])
def test_few_rows(kind, n, tmp_path):
    x = clustered(3, 100, 12)
    codec = {
        "pq": vp.PQ(3, 4), "pqfs": vp.PQ(3, 4), "rabitq": vp.RaBitQ(3), "eden": vp.LloydMax(2), "sq": vp.SQ(4), "flat": vp.Raw(),
    }.get(kind, vp.Sign()).fit(x)  # fmt: skip
    index = vp.Index(codec)
    index.add(x[:n])
    there = exported(index, tmp_path, kind)
    assert there.ntotal == n
    q = codec.encode(x[:2]) if kind == "binary" else x[:2]
    assert there.search(q, 2)[1].tolist() == [[0, -1] if n else [-1, -1]] * 2
    back = exchange.read(tmp_path / "index.faiss", codec)
    assert len(back) == n and back.codec == codec
    if n:
        np.testing.assert_array_equal(back.codes(0), index.codes(0))
        index.remove(0)
        assert exchange.to_faiss(index, kind).ntotal == 0
        index.add(x[:1])
        assert exchange.to_faiss(index, kind).id_map.at(0) == 1


def test_a_codec_alone_is_an_empty_index_that_faiss_can_fill():
    x = clustered(3, 300, 16)
    codecs = [vp.PQ(4, 4), vp.OPQ(4, 4), vp.SQ(8), vp.SQ(4, metric="cos"), vp.Raw("float16"), vp.Sign(), vp.ITQ(8), vp.ITQ(8),
              vp.Truncate(8, "PQ(m=4, n_bits=4)", "pca", metric="l2")]  # fmt: skip
    for codec, kind in zip(codecs, [None] * 5 + ["lsh", "lsh", "pq", None], strict=True):
        there = exchange.to_faiss(codec.fit(x), kind)
        there.add(x)
        back = exchange.from_faiss(there, codec)
        assert (back.codes(np.arange(300)) == codec.encode(x)).mean() > 0.995  # but for components at an edge


def test_vectors_at_the_mean_have_the_score_of_the_mean():
    x = clustered(3, 100, 12)
    for codec in (vp.RaBitQ(1), vp.RaBitQ(4), vp.RaBitQ(2, metric="l2"), vp.LloydMax(2), vp.LloydMax(1, metric="l2")):
        codec.fit(x)
        index = vp.Index(codec)
        index.add(np.concatenate([codec.mean_[None], x]))
        q = np.concatenate([codec.mean_[None], x[:3]])
        scores, ids = all_scores(index.search(q, 101))
        theirs, same_ids = all_scores(exchange.to_faiss(index).search(q, 101))
        np.testing.assert_array_equal(ids, same_ids)
        np.testing.assert_allclose(theirs, scores, rtol=0, atol=1e-5 * np.abs(scores).max())


def test_what_faiss_skips_by_the_top_bits_is_not_among_the_best():
    """Three rows of hundreds, so that faiss has a threshold; heavy tails, so that top bits say little."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((2000, 40)) * np.exp(1.5 * rng.standard_normal((2000, 40)))).astype(np.float32)
    q = np.concatenate([x[:50] * 2, x[100:150] - x[200:250]])
    for metric in ("ip", "l2", "cos"):
        for n_bits in (2, 4, 8):
            index = vp.Index(vp.RaBitQ(n_bits, metric=metric).fit(x))
            index.add(x)
            scores = index.search(q, 3)[0]
            theirs = exchange.to_faiss(index).search(q, 3)[0]
            largest = np.square(q).sum(axis=1).max() if metric == "l2" else np.abs(scores).max()
            np.testing.assert_allclose(theirs, scores, rtol=0, atol=2e-6 * largest)


def test_numbers_are_packed_from_the_lowest_bit():
    np.testing.assert_array_equal(pack_numbers(np.array([[1, 0, 2, 3, 1]], np.uint8), 2), [[0b11100001, 1]])
    np.testing.assert_array_equal(reverse_bits(np.array([[0b10000000, 0b01100001]], np.uint8)), [[1, 0b10000110]])
    rng = np.random.default_rng(0)
    for n_bits in range(1, 9):
        labels = rng.integers(0, 2**n_bits, (5, 13), np.uint8)
        np.testing.assert_array_equal(unpack_numbers(pack_numbers(labels, n_bits), 13, n_bits), labels)


def test_bad_arguments_are_named(tmp_path, base):
    codec = vp.PQ(8).fit(base)
    with pytest.raises(ValueError, match=r"kind expected 'pq' for PQ\(m=8.*got 'pqfs'"):
        exchange.to_faiss(codec, "pqfs")
    with pytest.raises(TypeError, match="source expected an Index or a Codec, got ndarray"):
        exchange.to_faiss(base)
    with pytest.raises(vp.NotFittedError):
        exchange.to_faiss(vp.PQ(8))
    with pytest.raises(TypeError, match="source expected an Index or a Codec, got KeyedIndex"):
        exchange.to_faiss(vp.KeyedIndex(codec))
    with pytest.raises(TypeError, match="path"):
        exchange.write(codec, 3)


@pytest.mark.parametrize("room", [0, 100, 5000])
def test_a_file_is_written_whole_or_not_at_all(room, tmp_path, base, monkeypatch):
    """On a disk with room for that many bytes more."""
    path = tmp_path / "index.faiss"
    exchange.write(vp.Sign().fit(base), path)
    before = path.read_bytes()
    index = vp.Index(vp.Raw().fit(base))
    index.add(base)

    @contextmanager
    def on_a_full_disk(path):
        def write(part):
            file.write(part)
            if file.tell() > room:
                raise OSError(errno.ENOSPC, "full", str(path))

        with replacing(path) as file:
            yield SimpleNamespace(write=write)

    monkeypatch.setattr(exchange, "replacing", on_a_full_disk)
    with pytest.raises(OSError, match="full"):
        exchange.write(index, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["index.faiss"]


def test_without_faiss_an_error_says_what_to_install(base, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    for call, argument in ((exchange.to_faiss, vp.Raw().fit(base)), (exchange.read, "x.faiss"), (exchange.from_faiss, None)):
        with pytest.raises(ImportError, match="pip install faiss-cpu"):
            call(argument)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize(
    "inner", ["RaBitQ(2)", "LloydMax(1)", "SQ(4)", "Sign()", "OPQ(m=4, n_bits=4)", "ITQ(8)", "Truncate(8, 'SQ()', 'pca')"]
)
def test_chains_of_chains(inner, metric, tmp_path):
    """A shift of the mean goes through rotations, centres and further maps."""
    for basis in ("pca", "first"):
        codec = vp.Truncate(16, inner, basis, metric=metric)
        x = rows(codec, 0)
        index = vp.Index(codec.fit(x))
        index.add(x)
        q = rows(codec, 1, 5)
        kind = "pq" if inner in ("Sign()", "ITQ(8)") else None
        scores, ids = all_scores(index.search(q, ROWS))
        theirs, same = all_scores(exported(index, tmp_path, kind).search(q, ROWS))
        np.testing.assert_array_equal(same, ids)
        lost = constants(codec, q)[:, None]
        np.testing.assert_allclose(theirs + lost, scores, rtol=0, atol=5e-6 * np.abs(scores).max())
        back = exchange.read(tmp_path / "index.faiss", codec)
        np.testing.assert_array_equal(back.codes(ids[0]), index.codes(ids[0]))
