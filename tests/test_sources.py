"""Vectors from files and iterators, and samples of them: the same rows however they come, in bounded memory."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import bits, clustered

import vecpress as vp
from vecpress import datasets, sources, vectorfiles
from vecpress.arrays import Rows
from vecpress.sources import Stream

pytestmark = pytest.mark.usefixtures("few_rounds")
EXAMPLES = [codec for cls in vp.codecs() for codec in cls.examples()]
# for what tries every kind of file: by default one codec a class
FIRST = [
    pytest.param(codec, id=repr(codec), marks=pytest.mark.slow if i else ())
    for cls in vp.codecs() for i, codec in enumerate(cls.examples())
]  # fmt: skip


def in_blocks(x: np.ndarray, *sizes: int):
    """x in blocks of these sizes, over and over."""
    start, i = 0, 0
    while start < len(x):
        yield x[start : start + sizes[i % len(sizes)]]
        start += sizes[i % len(sizes)]
        i += 1


def fresh(codec: vp.Codec) -> vp.Codec:
    return type(codec)(**codec.config())


def serving(codec: vp.Codec) -> int:
    """A number of columns that the codec serves."""
    for d in (24, 30, 13, 32):
        try:
            codec._check_dim(d)
            return d
        except ValueError:
            continue
    raise AssertionError(codec)


def write_parquet(path: Path, x: np.ndarray, fixed: bool = True, rows: int = 64) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    flat = pyarrow.array(x.ravel())
    if fixed:
        column = pyarrow.FixedSizeListArray.from_arrays(flat, x.shape[1])
    else:
        column = pyarrow.ListArray.from_arrays(np.arange(0, x.size + 1, x.shape[1], dtype=np.int32), flat)
    parquet.write_table(pyarrow.table({"id": list(range(len(x))), "v": column}), path, row_group_size=rows)
    return path


def write_hdf5(path: Path, x: np.ndarray, **options) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("train", data=x, **options)
        file.create_dataset("other", data=x[:3])
    return path


def write_fvecs(path: Path, x: np.ndarray) -> Path:
    np.hstack([np.full((len(x), 1), x.shape[1], "<i4").view("<f4"), x.astype("<f4")]).tofile(path)
    return path


def files(folder: Path, x: np.ndarray) -> list[object]:
    """x in a file of every kind that can be written here, as what names it."""
    np.save(folder / "x.npy", x)
    np.savez_compressed(folder / "x.npz", x=x)
    out: list[object] = [folder / "x.npy", str(folder / "x.npy"), folder / "x.npz", write_fvecs(folder / "x.fvecs", x)]
    try:
        out += [write_parquet(folder / "x.parquet", x), write_parquet(folder / "l.parquet", x, fixed=False)]
    except pytest.skip.Exception:
        pass
    try:
        write_hdf5(folder / "chunked.h5", x, chunks=(16, x.shape[1]), compression="gzip")
        write_hdf5(folder / "flat.h5", x)
        out += [f"{folder / 'chunked.h5'}::train", f"{folder / 'flat.h5'}::train"]
    except pytest.skip.Exception:
        pass
    return out


# ---- fit


@pytest.mark.parametrize("codec", EXAMPLES, ids=repr)
def test_a_codec_fitted_on_blocks_is_the_one_fitted_on_the_array(codec):
    x = clustered(3, 300, serving(codec))
    wanted = fresh(codec).fit(x)
    for sizes in ((1,), (7, 0, 100), (300,), (1000,)):
        assert fresh(codec).fit(in_blocks(x, *sizes) if 0 not in sizes else iter([x[:7], x[7:7], x[7:]])) == wanted


@pytest.mark.parametrize("codec", FIRST)
def test_a_bounded_sample_is_the_same_however_the_rows_come(codec, tmp_path):
    x = clustered(3, 700, serving(codec))
    bound = 4 * x.shape[1] * 200
    wanted = fresh(codec).fit(x, sample_nbytes=bound)
    sampled = sources.sample(Rows(x, "x"), 200, getattr(codec, "seed", 0)).all()
    assert len(sampled) == 200 and fresh(codec).fit(sampled) == wanted
    others = [in_blocks(x, 1), in_blocks(x, 333), in_blocks(x, 700), *files(tmp_path, x)]
    for other in (*others, np.load(tmp_path / "x.npy", mmap_mode="r")):
        assert fresh(codec).fit(other, sample_nbytes=bound) == wanted, other


def test_the_sample_is_algorithm_r_row_by_row():
    x = np.arange(500, dtype=np.float32)[:, None]
    for k, seed in ((1, 0), (20, 1), (499, 2), (500, 3), (501, 4)):
        draws = np.random.Generator(np.random.PCG64(seed)).random(500)
        wanted: list[float] = []
        for i, u in enumerate(draws):
            if i < k:
                wanted.append(float(i))
            elif int(u * (i + 1)) < k:
                wanted[int(u * (i + 1))] = float(i)
        for source in (Rows(x, "x"), Stream(in_blocks(x, 13), "x"), Stream(in_blocks(x, 500), "x", n=500)):
            np.testing.assert_array_equal(sources.sample(source, k, seed).all()[:, 0], wanted)


def test_every_row_is_drawn_with_the_same_chance():
    x = np.arange(60, dtype=np.float32)[:, None]
    trials, k = 4000, 6
    times = np.zeros(60)
    for seed in range(trials):
        times[sources.sample(Rows(x, "x"), k, seed).all()[:, 0].astype(int)] += 1
    p = k / 60
    z = (times - trials * p) / np.sqrt(trials * p * (1 - p))
    assert times.sum() == trials * k  # no row is drawn twice
    assert np.abs(z).max() < 4.5 and np.abs(z[:6].mean()) < 1.5 and np.abs(z[-6:].mean()) < 1.5


def test_a_sample_depends_on_the_seed():
    x = clustered(1, 400, 8)
    assert bits(sources.sample(Rows(x, "x"), 50, 0).all()) != bits(sources.sample(Rows(x, "x"), 50, 1).all())


@pytest.mark.parametrize("kind", ["iterator", "npy", "parquet", "hdf5"])
def test_fit_holds_no_more_than_the_sample_and_a_block(kind, tmp_path, monkeypatch):
    n, d, bound = 60_000, 64, 2 << 20  # 15 MB as float32
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 1 << 19)
    monkeypatch.setattr("vecpress.vectorfiles.BATCH_BYTES", 1 << 19)
    x = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    if kind == "iterator":
        source = (np.full((1000, d), i, np.float32) for i in range(60))
    elif kind == "npy":
        np.save(tmp_path / "x.npy", x)
        source = tmp_path / "x.npy"
    elif kind == "parquet":
        source = write_parquet(tmp_path / "x.parquet", x, rows=4000)
    else:
        source = f"{write_hdf5(tmp_path / 'x.h5', x, chunks=(100, d), compression='gzip')}::train"
    del x
    vp.Raw().fit(iter([np.ones((3, 3))]))  # imports
    seen = []

    class Looks(vp.Raw):
        def _fit(self, x, queries, num_threads):
            seen.append(x.n)

    tracemalloc.start()
    try:
        Looks().fit(source, sample_nbytes=bound)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        vp.codec._codecs.pop("Looks")
    assert seen == [bound // (4 * d)]
    assert bound <= peak < bound + 8 * (1 << 19)  # a block and its copies; the vectors are 30 blocks


def test_the_default_bound_holds_for_what_may_be_larger_than_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("vecpress.codec.SAMPLE_NBYTES", 4 * 8 * 100)
    x = clustered(1, 300, 8)
    np.save(tmp_path / "x.npy", x)
    whole, sampled = vp.Sign().fit(x), vp.Sign().fit(x, sample_nbytes=4 * 8 * 100)
    assert whole != sampled
    for source in (tmp_path / "x.npy", np.load(tmp_path / "x.npy", mmap_mode="r"), iter([x])):
        assert vp.Sign().fit(source) == sampled
    assert vp.Sign().fit(tmp_path / "x.npy", sample_nbytes=1 << 20) == whole


def test_a_sample_too_small_to_learn_from_warns_and_says_so():
    x = clustered(1, 700, 8)
    with pytest.warns(vp.SmallTrainingSetWarning, match="the sample of x has 100 rows, PQ.* at least 624"):
        vp.PQ(4, 4).fit(x, sample_nbytes=4 * 8 * 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vp.PQ(4, 4).fit(iter([x]))


def test_a_configuration_that_cannot_serve_is_found_before_the_stream_is_read():
    taken = []

    def blocks():
        for _ in range(5):
            taken.append(1)
            yield np.ones((10, 7), np.float32)

    with pytest.raises(ValueError, match="m expected a divisor of d=7"):
        vp.PQ(2).fit(blocks())
    assert len(taken) == 1


# ---- encode and add


@pytest.mark.parametrize("codec", EXAMPLES, ids=repr)
def test_codes_are_the_same_from_every_source(codec, tmp_path):
    x = clustered(3, 300, serving(codec))
    codec = fresh(codec).fit(x)
    wanted = codec.encode(x)
    for source in (in_blocks(x, 1), in_blocks(x, 7, 100), iter(x), iter(x.tolist()), *files(tmp_path, x)):
        np.testing.assert_array_equal(codec.encode(source), wanted, str(source))
    for source in (in_blocks(x, 77), *files(tmp_path, x)):
        index = vp.Index(codec)
        index.add(x[:5])
        index.add(source, ids=np.arange(1000, 1300))
        assert len(index) == 305
        np.testing.assert_array_equal(index.codes(np.arange(1000, 1300)), wanted)
        whole = vp.Index(codec)
        whole.add(x[:5])
        whole.add(x, ids=np.arange(1000, 1300))
        for got, expected in zip(index.search(x[:4], 7), whole.search(x[:4], 7), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_an_empty_iterator_encodes_to_nothing_and_adds_nothing():
    codec = vp.Sign().fit(clustered(1, 50, 8))
    assert codec.encode(iter([])).shape == (0, 1)
    assert codec.encode(iter([np.empty((0, 8))])).shape == (0, 1)
    index = vp.Index(codec)
    index.add(iter([]))
    assert len(index) == 0
    for nothing in (iter([]), iter([np.empty((0, 8))])):
        with pytest.raises(ValueError, match="fit: x expected at least one row, got none"):
            vp.Sign().fit(nothing)


@pytest.mark.parametrize("call", ["fit", "encode", "add"])
def test_bad_blocks_are_named_by_their_row_and_nothing_changes(call):
    x = clustered(1, 100, 8)
    codec = vp.PQ(4, 4).fit(x)
    index = vp.Index(codec)
    index.add(x)

    def feed(blocks):
        if call == "fit":
            codec.fit(blocks)
        elif call == "encode":
            codec.encode(blocks)
        else:
            index.add(blocks)

    nan, huge = x.copy(), x.copy()
    nan[3, 1], huge[4, 2] = np.nan, 2.0**60
    cases = [
        ([x, x, nan], ValueError, "expected finite values, row 203 has NaN"),
        ([x[:9], huge], ValueError, "expected absolute values up to .*, row 13 has"),
        ([x, np.full((2, 8), 2**24 + 1)], ValueError, "integers that float32 holds exactly, row 100 has 16777217"),
        ([x, x[:, :7]], ValueError, r"block from row 100, expected d=8 columns, got shape \(100, 7\)"),
        ([x, "text"], TypeError, "expected a matrix of numbers, got str"),
        ([x, 1.0], TypeError, "an iterator of float, not of blocks"),
        ([1.0], TypeError, "expected real numbers, got dtype object: an iterator of float, not of blocks"),
        ([x, x.astype(complex)], TypeError, "block from row 100, expected real numbers, got dtype complex128"),
        ([None], TypeError, "expected a matrix of numbers, got NoneType"),
    ]
    before, state = codec.encode(x), vp.PQ(4, 4).fit(x)
    for blocks, error, message in cases:
        with pytest.raises(error, match=f"^{call}: x.*{message}"):
            feed(iter(blocks))
        assert codec == state and len(index) == 100
    np.testing.assert_array_equal(codec.encode(x), before)

    def fails():
        yield x
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        feed(fails())
    assert codec == state and len(index) == 100


def test_paths_that_are_none_and_files_that_are_missing():
    codec = vp.Sign()
    with pytest.raises(TypeError, match="fit: x expected a matrix of numbers, got str"):
        codec.fit("text")
    with pytest.raises(FileNotFoundError):
        codec.fit("missing.npy")
    with pytest.raises(ValueError, match=r"x\.csv: suffix expected one of"):
        codec.fit(Path("x.csv"))
    with pytest.raises(ValueError, match="sample_nbytes expected"):
        codec.fit(np.ones((3, 3)), sample_nbytes=0)
    with pytest.raises(TypeError, match="sample_nbytes expected"):
        codec.fit(np.ones((3, 3)), sample_nbytes=1.5)


def test_lists_stay_matrices():
    x = clustered(1, 30, 8)
    assert vp.Sign().fit(x.tolist()) == vp.Sign().fit(list(x)) == vp.Sign().fit(x)
    with pytest.raises(ValueError, match="a matrix"):
        vp.Sign().fit([x, x])


# ---- files in batches


@pytest.mark.parametrize("fixed", [True, False])
def test_parquet_is_read_in_batches(fixed, tmp_path, monkeypatch):
    x = clustered(1, 500, 8)
    path = write_parquet(tmp_path / "x.parquet", x, fixed, rows=200)
    monkeypatch.setattr(vectorfiles, "BATCH_BYTES", 4 * 8 * 32)
    found = datasets.batches(path)
    assert isinstance(found, datasets.Batches) and found.n == 500
    sizes = [len(part) for part in found.read()]
    assert sum(sizes) == 500 and max(sizes) <= 32
    np.testing.assert_array_equal(np.concatenate(list(found.read())), x)  # starts again
    np.testing.assert_array_equal(datasets.read(path), x)


def test_hdf5_is_read_in_whole_chunks(tmp_path, monkeypatch):
    x = clustered(1, 500, 8)
    path = write_hdf5(tmp_path / "x.h5", x, chunks=(24, 4), compression="gzip")
    monkeypatch.setattr(vectorfiles, "BATCH_BYTES", 4 * 8 * 32)
    found = datasets.batches(path, "train")
    assert isinstance(found, datasets.Batches) and found.n == 500
    sizes = [len(part) for part in found.read()]
    assert set(sizes[:-1]) == {48} and sum(sizes) == 500
    np.testing.assert_array_equal(datasets.read(path, "train"), x)


def test_a_stream_shorter_than_its_file_says_is_an_error():
    x = clustered(1, 10, 8)
    with pytest.raises(ValueError, match="encode: x expected 11 rows, got 10"):
        list(Stream(iter([x]), "encode: x", n=11).blocks())
