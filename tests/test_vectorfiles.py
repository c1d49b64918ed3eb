"""The file readers: the right arrays from good files, a named place from bad ones."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vecpress import datasets, vectorfiles

VECS = {".fvecs": np.dtype("<f4"), ".bvecs": np.dtype("u1"), ".ivecs": np.dtype("<i4")}
BINS = {".fbin": "<f4", ".f16bin": "<f2", ".u8bin": "u1", ".i8bin": "i1", ".ibin": "<i4"}
BINS = {suffix: np.dtype(name) for suffix, name in BINS.items()}


def matrix(dtype: np.dtype, shape: tuple[int, int] = (7, 5)) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


def write_vecs(path: Path, x: np.ndarray) -> Path:
    path.write_bytes(b"".join(len(row).to_bytes(4, "little") + row.tobytes() for row in x))
    return path


def write_bin(path: Path, x: np.ndarray) -> Path:
    path.write_bytes(np.array(x.shape, "<u4").tobytes() + x.tobytes())
    return path


def is_mapped(x: np.ndarray) -> bool:
    return isinstance(x, np.memmap) and x._mmap is not None  # a copy of a memory map is a memmap too, without a map


# ---- good files


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", "u1", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_as_it_is(tmp_path: Path, dtype: str, order: str) -> None:
    x = np.asarray(matrix(np.dtype(dtype)), order=order)
    np.save(tmp_path / "x.npy", x)
    got = datasets.read(tmp_path / "x.npy")
    assert got.dtype == x.dtype and is_mapped(got) and not got.flags.writeable
    np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_of_every_version(tmp_path: Path, version: tuple[int, int]) -> None:
    x = matrix(np.dtype("<f4"))
    with open(tmp_path / "x.npy", "wb") as file:
        np.lib.format.write_array(file, x, version)
    np.testing.assert_array_equal(datasets.read(str(tmp_path / "x.npy")), x)


def test_npy_without_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.empty((0, 5), np.float32))
    assert datasets.read(tmp_path / "x.npy").shape == (0, 5)


@pytest.mark.parametrize("suffix", BINS)
@pytest.mark.parametrize(("n", "dim"), [(1, 1), (7, 3), (2, 128), (0, 4)])
def test_bin_is_mapped(tmp_path: Path, suffix: str, n: int, dim: int) -> None:
    x = matrix(BINS[suffix], (n, dim))
    got = datasets.read(write_bin(tmp_path / f"x{suffix}", x))
    assert got.dtype == BINS[suffix] and (is_mapped(got) or not n) and got.shape == (n, dim)
    np.testing.assert_array_equal(got, x)


def test_signs_of_i8bin(tmp_path: Path) -> None:
    x = np.array([[-128, 127, -1]], np.int8)
    np.testing.assert_array_equal(datasets.read(write_bin(tmp_path / "x.i8bin", x)), x)


def test_ibin_with_distances_behind(tmp_path: Path) -> None:
    ids = matrix(np.dtype("<i4"))
    path = write_bin(tmp_path / "x.ibin", ids)
    path.write_bytes(path.read_bytes() + bytes(ids.nbytes))
    np.testing.assert_array_equal(datasets.read(path), ids)
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(ValueError, match=r"x\.ibin: trailing bytes: expected 140 bytes at byte 8 for 7 x 5 of <i4, got 281"):
        datasets.read(path)


@pytest.mark.parametrize("suffix", VECS)
@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("dim", [1, 3, 128])
def test_vecs_are_mapped_views(tmp_path: Path, suffix: str, n: int, dim: int) -> None:
    x = matrix(VECS[suffix], (n, dim))
    got = datasets.read(write_vecs(tmp_path / f"x{suffix}", x))
    assert got.dtype == VECS[suffix] and is_mapped(got)
    np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(got[n // 2 :], x[n // 2 :])


def test_npz(tmp_path: Path) -> None:
    base, queries = matrix(np.dtype("<f4")), matrix(np.dtype("<f2"), (3, 5))
    np.savez(tmp_path / "stored.npz", base=base, queries=queries)
    np.savez_compressed(tmp_path / "deflated.npz", base=base, queries=queries)
    np.savez(tmp_path / "single.npz", base=base)
    for name in ("stored.npz", "deflated.npz"):
        np.testing.assert_array_equal(datasets.read(tmp_path / name, "base"), base)
        np.testing.assert_array_equal(datasets.read(tmp_path / name, "queries"), queries)
    assert is_mapped(datasets.read(tmp_path / "stored.npz", "queries"))
    np.testing.assert_array_equal(datasets.read(tmp_path / "single.npz"), base)


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    base, queries = matrix(np.dtype("<f4"), (70, 5)), matrix(np.dtype("<f2"), (3, 5))
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["train"] = base
        file.create_dataset("group/test", data=queries, compression="gzip")
        file["big"] = base.astype(">f4")
    got = datasets.read(tmp_path / "x.hdf5", "train")
    assert is_mapped(got)
    np.testing.assert_array_equal(got, base)
    np.testing.assert_array_equal(datasets.read(tmp_path / "x.hdf5", "group/test"), queries)
    np.testing.assert_array_equal(datasets.read(tmp_path / "x.hdf5", "big"), base)
    with pytest.raises(ValueError, match=r"the name of one data set; there are big, group/test, train"):
        datasets.read(tmp_path / "x.hdf5")
    (tmp_path / "bad.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"bad\.h5: not an HDF5 file"):
        datasets.read(tmp_path / "bad.h5")


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    x = matrix(np.dtype("<f4"), (70, 5))
    rows = {
        "list": pyarrow.array(x.tolist(), pyarrow.list_(pyarrow.float32())),
        "fixed": pyarrow.array(x.tolist(), pyarrow.list_(pyarrow.float32(), 5)),
        "id": pyarrow.array(range(70)),
    }
    parquet.write_table(pyarrow.table(rows), tmp_path / "x.parquet", row_group_size=16)
    for name in ("list", "fixed"):
        got = datasets.read(tmp_path / "x.parquet", name)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, x)
    with pytest.raises(ValueError, match=r"expected the name of one column of lists; there are fixed, list"):
        datasets.read(tmp_path / "x.parquet")

    def reject(values: list, message: str) -> None:
        column = pyarrow.array(values, pyarrow.list_(pyarrow.float32()))
        parquet.write_table(pyarrow.table({"v": column}), tmp_path / "bad.parquet")
        with pytest.raises(ValueError, match=r"bad\.parquet: " + message):
            datasets.read(tmp_path / "bad.parquet")

    reject([[1, 2], [3]], r"ragged: row 1 of column 'v' expected 2 values as in row 0, got 1 values")
    reject([[1, 2], None], r"ragged: row 1 of column 'v' expected 2 values as in row 0, got nothing")
    reject([None, [1, 2]], r"ragged: row 0 of column 'v' expected values, got nothing")
    reject([[1, 2], [3, None]], r"row 1 of column 'v' has a missing value")
    (tmp_path / "bad.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"bad\.parquet: not a Parquet file"):
        datasets.read(tmp_path / "bad.parquet")


def test_parquet_columns_with_dots_and_of_other_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    x = matrix(np.dtype("<f4"), (20, 5))

    def lists(x: np.ndarray):
        return pyarrow.array(x.tolist(), pyarrow.list_(pyarrow.float32()))

    table = {
        "word": pyarrow.array(["a", "b"] * 10).dictionary_encode(),  # has a value type, and is no list
        "a.b.c": lists(x + 2),
        "a.b": lists(x + 1),
        "a": lists(x),
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "x.parquet")
    for name, plus in (("a", 0), ("a.b", 1), ("a.b.c", 2)):
        np.testing.assert_array_equal(datasets.read(tmp_path / "x.parquet", name), x + plus)
    with pytest.raises(ValueError, match=r"there is no column of lists 'word'; there are a, a\.b, a\.b\.c"):
        datasets.read(tmp_path / "x.parquet", "word")


# ---- bad files


@pytest.mark.parametrize("suffix", VECS)
def test_every_truncation_of_a_vecs_file_is_found(tmp_path: Path, suffix: str) -> None:
    x = matrix(VECS[suffix], (3, 5))
    path = write_vecs(tmp_path / f"x{suffix}", x)
    whole = path.read_bytes()
    row = len(whole) // 3
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if length and length % row == 0:
            assert datasets.read(path).shape == (length // row, 5)  # a whole number of rows is a good file
        else:
            trouble = rf"x\{suffix}: (truncated: row {length // row} at byte|expected an int32)"
            with pytest.raises(ValueError, match=trouble):
                datasets.read(path)


@pytest.mark.parametrize("suffix", VECS)
@pytest.mark.parametrize("bad", [1, 4, 6])
def test_a_ragged_vecs_file_names_the_row(tmp_path: Path, monkeypatch, suffix: str, bad: int) -> None:
    monkeypatch.setattr(vectorfiles, "HEADERS_AT_ONCE", 2)
    path = write_vecs(tmp_path / f"x{suffix}", matrix(VECS[suffix]))
    raw = bytearray(path.read_bytes())
    row = len(raw) // 7
    raw[bad * row] = 9
    path.write_bytes(raw)
    place = f"row {bad} at byte {bad * row}"
    with pytest.raises(ValueError, match=f"ragged: {place} expected dimension 5 as in row 0, got 9"):
        datasets.read(path)


@pytest.mark.parametrize("suffix", BINS)
def test_every_other_length_of_a_bin_file_is_found(tmp_path: Path, suffix: str) -> None:
    path = write_bin(tmp_path / f"x{suffix}", matrix(BINS[suffix]))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        what = "truncated: expected" if length >= 8 else "expected two uint32, rows and columns, at byte 0, got a file of"
        with pytest.raises(ValueError, match=rf"x\{suffix}: {what}"):
            datasets.read(path)
    for extra in (1, 4, len(whole) - 9):
        path.write_bytes(whole + bytes(extra))
        with pytest.raises(ValueError, match=rf"x\{suffix}: trailing bytes: expected"):
            datasets.read(path)


@pytest.mark.parametrize(("n", "dim"), [(1, 0), (2**32 - 1, 2**32 - 1), (3, 1 << 21)])
def test_a_bin_file_with_an_absurd_dimension(tmp_path: Path, n: int, dim: int) -> None:
    path = tmp_path / "x.fbin"
    path.write_bytes(np.array([n, dim], "<u4").tobytes() + bytes(16))
    with pytest.raises(ValueError, match=rf"expected a dimension of 1 to 1048576 at byte 4, got {dim}"):
        datasets.read(path)


@pytest.mark.parametrize("dim", [0, -1, 1 << 30])
def test_a_vecs_file_with_an_absurd_dimension(tmp_path: Path, dim: int) -> None:
    path = tmp_path / "x.fvecs"
    path.write_bytes(dim.to_bytes(4, "little", signed=True) + bytes(16))
    with pytest.raises(ValueError, match=rf"expected a dimension of 1 to 1048576 at byte 0, got {dim}"):
        datasets.read(path)


def test_every_truncation_of_a_npy_file_is_found(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", matrix(np.dtype("<f4")))
    whole = (tmp_path / "x.npy").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "x.npy").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"x\.npy: (not a \.npy array|expected 140 bytes at byte 128)"):
            datasets.read(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match=r"expected 140 bytes at byte 128 for shape \(7, 5\) of float32, got 141"):
        datasets.read(tmp_path / "x.npy")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_npy_header_with_another_byte(tmp_path: Path, suffix: str) -> None:
    """Every byte of the header, in turn: whatever it says then, it is read as such, or an error names the file."""
    image = io.BytesIO()
    np.save(image, matrix(np.dtype("<f4")))
    path = tmp_path / f"x{suffix}"
    for at in range(80):
        for byte in b"\x00([{'-9#\n\xff":
            raw = bytearray(image.getvalue())
            raw[at] = byte
            if suffix == ".npy":
                path.write_bytes(raw)
            else:
                with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                    archive.writestr("x.npy", raw)
            try:
                assert datasets.read(path).size
            except ValueError as error:
                assert str(error).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "shape", ["(-7, -5)", "(-1, 0)", "(0, 10**30)", f"(0, {10**30})", f"({2**62}, 0)", f"({2**40}, {2**40})", f"(7, {2**40})"]
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_npy_header_with_an_absurd_shape(tmp_path: Path, suffix: str, shape: str) -> None:
    path = tmp_path / f"x{suffix}"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    raw = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(140)
    if suffix == ".npy":
        path.write_bytes(raw)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", raw)
    with pytest.raises(ValueError, match=rf"x\{suffix}: (not a \.npy array|expected \d+ bytes)"):
        datasets.read(path)


def test_a_hdf5_data_set_that_is_no_matrix_of_numbers(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("cube", (1 << 14, 1 << 14, 1 << 14), "f4", chunks=(16, 16, 16))  # declared, not there
        file["text"] = [b"a", b"b"]
        file["scalar"] = 1.0
        file["empty"] = h5py.Empty("f4")
        file["bools"] = np.ones((3, 2), bool)
    for name in ("cube", "text", "scalar", "empty", "bools"):
        with pytest.raises(ValueError, match=rf"x\.h5: data set '{name}' expected a matrix \[n, d\] of numbers, got shape"):
            datasets.read(tmp_path / "x.h5", name)


def test_python_objects_are_never_loaded(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "x.npy", objects)
    np.savez(tmp_path / "stored.npz", x=objects)
    np.savez_compressed(tmp_path / "deflated.npz", x=objects)
    for name in ("x.npy", "stored.npz", "deflated.npz"):
        with pytest.raises(ValueError, match=rf"{name}: .*(Python objects|Object arrays)"):
            datasets.read(tmp_path / name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_truncation_of_a_npz_file_is_found(tmp_path: Path, save) -> None:
    save(tmp_path / "x.npz", x=matrix(np.dtype("<f4")))
    whole = (tmp_path / "x.npz").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "x.npz").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"x\.npz: "):
            datasets.read(tmp_path / "x.npz")


def test_a_damaged_compressed_array_is_found(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.random.default_rng(0).random((50, 5)))
    raw = bytearray((tmp_path / "x.npz").read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "x.npz").write_bytes(raw)
    with pytest.raises(ValueError, match=r"x\.npz: array 'x' cannot be read"):
        datasets.read(tmp_path / "x.npz")


def test_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.eye(2), b=np.eye(2))
    np.save(tmp_path / "x.npy", np.eye(2))
    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    for path, name, message in [
        ("x.npz", None, r"x\.npz: expected the name of one array; there are a, b"),
        ("x.npz", "c", r"x\.npz: there is no array 'c'; there are a, b"),
        ("none.npz", None, r"none\.npz: expected the name of one array; there is none"),
        ("x.npy", "a", r"x\.npy: a \.npy file holds one array without a name, got name 'a'"),
    ]:
        with pytest.raises(ValueError, match=message):
            datasets.read(tmp_path / path, name)


def test_not_a_matrix(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match=r"x\.npy: expected a matrix \[n, d\], got shape \(2, 2, 2\)"):
        datasets.read(tmp_path / "x.npy")


def test_unknown_suffix_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.csv: suffix expected one of \.npy, .*, got '\.csv'"):
        datasets.read(tmp_path / "x.csv")
    for suffix in (".npy", ".npz", ".fvecs", ".fbin"):
        with pytest.raises(FileNotFoundError):
            datasets.read(tmp_path / f"missing{suffix}")


@pytest.mark.parametrize(("suffix", "package"), [(".hdf5", "h5py"), (".parquet", "pyarrow")])
def test_a_missing_optional_package_is_named(tmp_path: Path, monkeypatch, suffix: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # makes `import package` fail
    with pytest.raises(ImportError, match=rf"reading {suffix} needs {package}: pip install {package}"):
        datasets.read(tmp_path / f"x{suffix}")
