"""The set that ships, and data sets in files: every layout is found by its names, and what does not fit is said clearly."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import vecpress as vp
from vecpress import datasets, vectorfiles

DATA = Path(datasets.__file__).parent / "data"
RNG = np.random.default_rng(5)
BASE, QUERIES, TRAIN = (RNG.integers(0, 100, (n, 6)).astype(np.float32) for n in (30, 4, 9))
TRUE_IDS = np.array([[0, 29, 3], [1, 2, 3], [7, 8, 9], [5, 6, 4]], np.int32)


def is_mapped(x: np.ndarray) -> bool:
    return isinstance(x, np.memmap) and x._mmap is not None  # a copy of a memory map is a memmap too, without a map


# ---- the set that ships


def test_demo_is_what_its_licence_file_says() -> None:
    data = datasets.demo()
    parts = (data.base, data.queries, data.sample_queries)
    assert [part.shape for part in parts] == [(6000, 384), (400, 384), (100, 384)]
    assert {part.dtype for part in parts} == {np.dtype(np.float16)}
    assert data.metric == "ip" and data.licence == "CC BY 4.0"
    assert is_mapped(data.base) and is_mapped(data.queries)
    for part in parts:
        np.testing.assert_allclose(np.linalg.norm(part.astype(np.float32), axis=1), 1, atol=2e-3)
    licence = (DATA / "LICENSE-DATA.md").read_text()
    listed = dict(re.findall(r"\| `(\w+\.npy)` .*`([0-9a-f]{64})` \|", licence))
    assert listed == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in DATA.glob("*.npy")}
    assert len(listed) == 2


def test_demo_fits_its_size_limit() -> None:
    assert sum(p.stat().st_size for p in DATA.glob("*.npy")) <= 5.5e6


def test_no_question_is_both_a_sample_and_for_figures() -> None:
    data = datasets.demo()
    queries = {row.tobytes() for row in np.asarray(data.queries)}
    assert not queries & {row.tobytes() for row in np.asarray(data.sample_queries)}


# ---- data sets in files


def write_vecs(path: Path, x: np.ndarray) -> None:
    path.write_bytes(b"".join(len(row).to_bytes(4, "little") + row.tobytes() for row in x))


def write_bin(path: Path, x: np.ndarray, behind: bytes = b"") -> None:
    path.write_bytes(np.array(x.shape, "<u4").tobytes() + x.tobytes() + behind)


def write_parquet(path: Path, x: np.ndarray) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = {
        "id": pyarrow.array(range(len(x))),
        "emb": pyarrow.array(x.tolist(), pyarrow.list_(pyarrow.from_numpy_dtype(x.dtype))),
    }
    parquet.write_table(pyarrow.table(rows), path)


def npy_folder(folder: Path, **more: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, x in {"base": BASE, "queries": QUERIES, **more}.items():
        np.save(folder / f"{name}.npy", x)
    return folder


def write_hdf5(path: Path, distance: str | None = "euclidean", **more: np.ndarray) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, x in {"train": BASE, "test": QUERIES, "neighbors": TRUE_IDS, "distances": np.zeros((4, 3)), **more}.items():
            file[name] = x
        if distance is not None:
            file.attrs["distance"] = distance
    return path


def check(data: datasets.Dataset, metric: str, train: bool = True, truth: bool = True) -> None:
    np.testing.assert_array_equal(data.base, BASE)
    np.testing.assert_array_equal(data.queries, QUERIES)
    assert data.metric == metric and data.sample_queries.shape[1] == 6
    assert (data.train is not None) == train and (data.true_ids is not None) == truth
    if data.train is not None:
        np.testing.assert_array_equal(data.train, TRAIN)
    if data.true_ids is not None:
        np.testing.assert_array_equal(data.true_ids, TRUE_IDS)
        assert data.true_ids.dtype == np.int64


def test_a_folder_of_npy_files(tmp_path: Path) -> None:
    folder = npy_folder(tmp_path / "things", train=TRAIN, gt_ip=TRUE_IDS, base_doc=np.arange(30))
    (folder / "README.md").write_text("about the base and the queries")
    data = datasets.load(folder)
    check(data, "ip")
    assert data.name == "things" and is_mapped(data.base) and len(data.sample_queries) == 0 and data.relevant is None
    np.save(folder / "sample_queries.npy", TRAIN[:2])
    np.testing.assert_array_equal(datasets.load(str(folder)).sample_queries, TRAIN[:2])


def test_relevance_labels(tmp_path: Path) -> None:
    folder = npy_folder(tmp_path, gt_cos=TRUE_IDS)
    (folder / "qrels.json").write_text("[[3, 1], [], [29], [0]]")
    relevant = datasets.load(folder).relevant
    assert relevant is not None and [r.tolist() for r in relevant] == [[3, 1], [], [29], [0]]
    assert all(r.dtype == np.int64 for r in relevant)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1], [30], [], []]", r"qrels\.json of query 1 expected base ids of 0 to 29, got 30"),
        ("[[1], [2], [], [-1]]", r"qrels\.json of query 3 expected base ids of 0 to 29, got -1"),
        ("[[1], [2]]", r"qrels\.json expected ids for each of the 4 queries, got 2"),
        ("[[1], [2.0], [], []]", r"qrels\.json: query 1 expected a list of base ids, got \[2\.0\]"),
        (f"[[{2**70}], [], [], []]", r"query 0 expected a list of base ids"),
        ('{"1": 2}', r"qrels\.json: expected a list with a list of base ids for each query, got dict"),
        ("[[1]", r"qrels\.json: not JSON"),
    ],
)
def test_wrong_relevance_labels(text: str, message: str, tmp_path: Path) -> None:
    folder = npy_folder(tmp_path, gt_ip=TRUE_IDS)
    (folder / "qrels.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        datasets.load(folder)


@pytest.mark.parametrize("prefix", ["", "sift_", "sift.1M."])
@pytest.mark.parametrize("learn", ["learn", "train"])
def test_texmex(prefix: str, learn: str, tmp_path: Path) -> None:
    write_vecs(tmp_path / f"{prefix}base.fvecs", BASE)
    write_vecs(tmp_path / f"{prefix}query.fvecs", QUERIES)
    write_vecs(tmp_path / f"{prefix}{learn}.fvecs", TRAIN)
    write_vecs(tmp_path / f"{prefix}groundtruth.ivecs", TRUE_IDS)
    with pytest.raises(ValueError, match="the metric is unknown: no file `metric` and no ground truth names it; give"):
        datasets.load(tmp_path)
    check(datasets.load(tmp_path, "l2"), "l2")
    if prefix:
        (tmp_path / "sift10_base.fvecs").write_bytes(b"another set")
        data = datasets.load(tmp_path / prefix.rstrip("_."), "l2")
        check(data, "l2")
        assert data.name == prefix.rstrip("_.")
    else:
        (tmp_path / "metric").write_text("euclidean\n")
        check(datasets.load(tmp_path), "l2")
        check(datasets.load(tmp_path, "cos"), "cos", truth=False)  # the ground truth is of l2


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8", "float16"])
def test_big_ann(dtype: str, tmp_path: Path) -> None:
    suffix = {"float32": "fbin", "uint8": "u8bin", "int8": "i8bin", "float16": "f16bin"}[dtype]
    write_bin(tmp_path / f"base.1B.{suffix}", BASE.astype(dtype))
    write_bin(tmp_path / f"query.public.10K.{suffix}", QUERIES.astype(dtype))
    write_bin(tmp_path / f"learn.100M.{suffix}", TRAIN.astype(dtype))
    write_bin(tmp_path / "groundtruth.neighbors.ibin", TRUE_IDS)
    write_bin(tmp_path / "groundtruth.distances.fbin", np.zeros((4, 3), np.float32))
    data = datasets.load(tmp_path, "ip")
    check(data, "ip")
    assert data.base.dtype == dtype and is_mapped(data.base)
    write_bin(tmp_path / "groundtruth.neighbors.ibin", TRUE_IDS, bytes(4 * 4 * 3))  # with the distances behind
    check(datasets.load(tmp_path, "ip"), "ip")


def test_a_parquet_folder(tmp_path: Path) -> None:
    for piece in range(3):
        write_parquet(tmp_path / f"train-0000{piece}-of-00003.parquet", BASE[10 * piece : 10 * piece + 10])
    write_parquet(tmp_path / "test.parquet", QUERIES)
    write_parquet(tmp_path / "neighbors.parquet", TRUE_IDS.astype(np.int64))
    check(datasets.load(tmp_path, "cos"), "cos", train=False)  # train is the base where there is none
    (tmp_path / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(ValueError, match="expected one file of base, or all pieces NAME-00000-of-N of one, got train-0"):
        datasets.load(tmp_path, "cos")
    write_parquet(tmp_path / "train-00001-of-00003.parquet", BASE[:, :4])
    with pytest.raises(ValueError, match=r"pieces of one array expected one width, got \(6,\) in .*, \(4,\) in train-00001-of"):
        datasets.load(tmp_path, "cos")


def test_pieces_are_joined_by_their_numbers(tmp_path: Path) -> None:
    """Numbers that are not padded: as text, 10 comes before 2."""
    folder = npy_folder(tmp_path, gt_ip=TRUE_IDS)
    (folder / "base.npy").unlink()
    pieces = np.array_split(BASE, 11)
    for i, piece in enumerate(pieces):
        np.save(folder / f"base-{i}-of-11.npy", piece)
    check(datasets.load(folder), "ip", train=False)
    refused = "expected one file of base, or all pieces NAME-00000-of-N of one, got base-0-of"
    np.save(folder / "base-3-of-12.npy", pieces[3])
    with pytest.raises(ValueError, match=refused):
        datasets.load(folder)
    (folder / "base-3-of-12.npy").unlink()
    write_bin(folder / "base-3-of-11.fbin", pieces[3])  # one piece in both formats
    with pytest.raises(ValueError, match=refused):
        datasets.load(folder)
    (folder / "base-3-of-11.fbin").unlink()
    np.save(folder / "base-3-of-11.npy", pieces[3].astype(np.float64))
    with pytest.raises(ValueError, match=r"pieces of one array expected one dtype, got .*float64 in base-3-of-11\.npy"):
        datasets.load(folder)
    for i in range(1, 11):
        (folder / f"base-{i}-of-11.npy").unlink()
    with pytest.raises(ValueError, match=refused):  # one piece is not the whole
        datasets.load(folder)


@pytest.mark.parametrize(("distance", "metric"), [("euclidean", "l2"), ("angular", "cos"), ("dot", "ip"), ("IP", "ip")])
def test_ann_benchmarks(distance: str, metric: str, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "x-6-y.hdf5", distance)
    data = datasets.load(path)
    check(data, metric, train=False)
    assert data.name == "x-6-y"
    other = next(m for m in ("ip", "l2", "cos") if m != metric)
    check(datasets.load(path, other), other, train=False, truth=False)
    check(datasets.load(write_hdf5(path, distance, learn=TRAIN)), metric)


def test_ann_benchmarks_refuses(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    for distance, words in (("jaccard", "is 'jaccard'"), (None, "is missing")):
        write_hdf5(path, distance)
        with pytest.raises(ValueError, match=f"the metric is unknown: attribute distance {words}; give metric, one of ip"):
            datasets.load(path)
        check(datasets.load(path, "l2"), "l2", train=False)
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["vectors"] = BASE
    with pytest.raises(ValueError, match=r"expected data sets train \(the base\) and test .*; there are vectors"):
        datasets.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"x\.hdf5: not an HDF5 file"):
        datasets.load(path)


def test_hdf5_without_h5py(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "x.hdf5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"reading \.hdf5 needs h5py"):
        datasets.load(tmp_path / "x.hdf5")


def test_several_ground_truths(tmp_path: Path) -> None:
    folder = npy_folder(tmp_path, gt_ip=TRUE_IDS[::-1], gt_l2=TRUE_IDS)
    with pytest.raises(ValueError, match="the metric is unknown: its files name ip and l2; give metric"):
        datasets.load(folder)
    check(datasets.load(folder, "l2"), "l2", train=False)
    check(datasets.load(folder, "cos"), "cos", train=False, truth=False)
    (folder / "metric").write_text("l2")
    check(datasets.load(folder), "l2", train=False)
    np.save(folder / "gt_euclidean.npy", TRUE_IDS)
    with pytest.raises(ValueError, match=r"expected one file of true neighbours by l2, got gt_euclidean\.npy, gt_l2\.npy"):
        datasets.load(folder)
    (folder / "metric").write_text("jaccard")
    with pytest.raises(ValueError, match=r"metric: the metric expected one of ip, dot.*, got 'jaccard'"):
        datasets.load(folder)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"queries": QUERIES[:, :5]}, "queries expected d=6 columns as the base has, got 5"),
        ({"train": TRAIN[:, :5]}, "train expected d=6 columns as the base has, got 5"),
        ({"sample_queries": TRAIN[:, :5]}, "sample_queries expected d=6 columns"),
        ({"base": BASE[:0]}, "base expected at least one row, got none"),
        ({"queries": QUERIES[0]}, r"queries expected a matrix of numbers, got shape \(6,\) of float32"),
        ({"base": BASE > 1}, "base expected a matrix of numbers, got shape .* of bool"),
        ({"gt_ip": np.where(TRUE_IDS == 9, 30, TRUE_IDS)}, "true neighbours of query 2 expected base ids of -1 to 29, got 30"),
        ({"gt_ip": np.where(TRUE_IDS == 29, -2, TRUE_IDS)}, "true neighbours of query 0 expected base ids of -1 to 29, got -2"),
        ({"gt_ip": TRUE_IDS[:3]}, r"true neighbours expected ids for each of the 4 queries, got shape \(3, 3\)"),
        ({"gt_ip": TRUE_IDS.astype(np.float32)}, "true neighbours expected ids .* of float32"),
    ],
)
def test_what_does_not_fit(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.load(npy_folder(tmp_path, **{"gt_ip": TRUE_IDS, **arrays}))


def test_nothing_found_is_minus_1(tmp_path: Path) -> None:
    truth = np.where(TRUE_IDS == 29, -1, TRUE_IDS)
    np.testing.assert_array_equal(datasets.load(npy_folder(tmp_path, gt_ip=truth)).true_ids, truth)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such folder, no such \.hdf5 file, and no file whose name begins so"):
        datasets.load(tmp_path / "nothing" / "there")
    folder = npy_folder(tmp_path / "a")
    (folder / "queries.npy").rename(folder / "others.npy")
    (folder / "metric").write_text("ip")
    with pytest.raises(ValueError, match=r"there is no file of queries: expected queries, query, test in its name, got base.npy"):
        datasets.load(folder)
    write_vecs(folder / "query.fvecs", QUERIES)
    write_vecs(folder / "test.fvecs", QUERIES)
    with pytest.raises(ValueError, match=r"expected one file of queries, or .*, got query\.fvecs, test\.fvecs"):
        datasets.load(folder)
    with pytest.raises(ValueError, match=r"base\.npy: expected a folder, a prefix or an \.hdf5 file; one file holds"):
        datasets.load(folder / "base.npy")
    with pytest.raises(ValueError, match="load: metric expected one of 'ip', 'l2', 'cos', got 'dot'"):
        datasets.load(folder, "dot")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        datasets.load("/dev/null")  # there, but no file
    with pytest.raises(TypeError, match="load: path expected str"):
        datasets.load(7)


def test_a_multi_vector_set_is_named(tmp_path: Path) -> None:
    for name in ("tokens", "query_tokens"):
        np.save(tmp_path / f"{name}.npy", BASE)
    np.save(tmp_path / "offsets.npy", [0, 30])
    np.save(tmp_path / "gt_maxsim.npy", TRUE_IDS)
    with pytest.raises(ValueError, match="expected one vector a document, got a multi-vector set"):
        datasets.load(tmp_path)


def test_reading_is_still_here() -> None:
    for name in ("read", "batches", "Batches", "SUFFIXES"):
        assert getattr(datasets, name) is getattr(vectorfiles, name)


def test_what_is_loaded_can_be_searched(tmp_path: Path) -> None:
    ids = vp.exact(QUERIES, BASE, 3, "l2")[1]
    data = datasets.load(npy_folder(tmp_path, gt_l2=ids))
    assert data.true_ids is not None
    np.testing.assert_array_equal(vp.exact(data.queries, data.base, 3, data.metric)[1], data.true_ids)
    json.dumps(data.metric)
