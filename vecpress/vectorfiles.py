"""Readers for the file formats that vectors come in: one array a file.

| suffix | what it is | read as |
|---|---|---|
| .npy | NumPy array | memory map |
| .npz | NumPy archive | memory map where the array is stored uncompressed (`numpy.savez`), else whole |
| .fvecs .bvecs .ivecs | texmex, per row: int32 dimension, then float32, uint8 or int32 values | memory map |
| .fbin .f16bin .u8bin .i8bin .ibin | big-ann: uint32 rows and columns, then float32, float16, uint8, int8, int32 | memory map |
| .hdf5 .h5 | HDF5, needs h5py | memory map where the data set is contiguous and unfiltered, else whole; in batches by `batches` |
| .parquet | Parquet, a column of lists, needs pyarrow | whole; in batches by `batches` |

An .ibin file may hold as many float32 values again behind the ids: the distances of big-ann's ground truth, which are not read.
"""

from __future__ import annotations

import math
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

__all__ = ["SUFFIXES", "Batches", "batches", "read"]

MAX_DIM = 1 << 20  # a larger dimension in a header means that the file is something else
HEADERS_AT_ONCE = 1 << 16
BATCH_BYTES = 8 << 20  # of the rows that `batches` reads at a time
MAX_BATCH = 1 << 16  # rows
MOST_NBYTES = 2**63 - 1  # of an array that NumPy can describe


@dataclass(frozen=True)
class Batches:
    """The rows of a file that can only be read front to back.

    n : rows in all, as the file's header says
    read : starts reading; gives [r, d] in order, about 8 MB each, of .hdf5 at least a chunk's rows however large chunks are
    """

    n: int
    read: Callable[[], Iterator[np.ndarray]]


def read(path: str | os.PathLike[str], name: str | None = None) -> np.ndarray:
    """The array in a file, read as its suffix says: the table in the module's docstring.

    A memory map is read-only. Cost: of one nothing is read but the header, of texmex files every page; what cannot be mapped is
    read whole, into twice its size in memory where it comes in batches (.parquet, .hdf5).

    path : the file
    name : which array (.npz), data set (.hdf5) or column (.parquet); needed only where the file holds several

    Raises ValueError that names the file and the place if the suffix is unknown, the file is truncated,
    ragged or otherwise not what its suffix says, or `name` is missing or wrong; OSError if it cannot be
    opened; ImportError if the optional package that reads the format is missing.
    """
    found = batches(path, name)
    if isinstance(found, np.ndarray):
        return found
    parts = list(found.read())
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def batches(path: str | os.PathLike[str], name: str | None = None) -> np.ndarray | Batches:
    """As `read`, but what could not be mapped and would be read whole (.parquet, .hdf5) is left to be read in batches.

    Errors as in `read`; those of later rows are raised when these are reached.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ValueError(f"{path}: suffix expected one of {', '.join(_READERS)}, got {suffix!r}")
    reader, has_names = _READERS[suffix]
    if name is not None and not has_names:
        raise ValueError(f"{path}: a {suffix} file holds one array without a name, got name {name!r}")
    return reader(path, name) if has_names else reader(path)


def _npy(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        return _map_npy(path, file, path.stat().st_size)


def _map_npy(path: Path, file: BinaryIO, end: int) -> np.ndarray:
    """The array whose .npy image starts where `file` stands and ends at byte `end`."""
    shape, order, dtype = _npy_header(path, file, end)
    if 0 in shape:
        return np.empty(shape, dtype)  # nothing to map
    return np.memmap(path, dtype, "r", file.tell(), shape, order)


def _npy_header(path: Path, file: Any, end: int) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[Any]]:
    """Shape, order and dtype of a .npy image that ends at byte `end`, all checked; `file` then stands where the values begin."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0}
    try:
        version = np.lib.format.read_magic(file)
        if version[0] not in (1, 2, 3) or version[1]:
            raise ValueError(f"version expected 1.0 to 3.0, got {version[0]}.{version[1]}")
        with warnings.catch_warnings(action="ignore"):  # of headers by Python 2, and dtypes that are no more
            shape, fortran, dtype = readers.get(version, np.lib.format.read_array_header_2_0)(file)
    except (OSError, zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # a header is Python text: what reading damaged ones raises is of many types
        raise ValueError(f"{path}: not a .npy array: {error}") from None
    if dtype.hasobject:
        raise ValueError(f"{path}: expected numbers, got Python objects, which are never loaded")
    if len(shape) not in (1, 2):
        raise ValueError(f"{path}: expected a matrix [n, d], got shape {shape}")
    whole = math.prod(max(length, 1) for length in shape) * dtype.itemsize  # NumPy's own limit does not know of zeros
    if min(shape) < 0 or not 0 < whole <= MOST_NBYTES:
        raise ValueError(f"{path}: not a .npy array: shape {shape} of {dtype}")
    start, size = file.tell(), math.prod(shape) * dtype.itemsize
    if start + size != end:
        what = f"{size} bytes at byte {start} for shape {shape} of {dtype}"
        raise ValueError(f"{path}: expected {what}, got {end - start}")
    return shape, "F" if fortran else "C", dtype


def _npz(path: Path, name: str | None) -> np.ndarray:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a .npz archive: {error}") from None
    with archive:
        names = [member[:-4] for member in archive.namelist() if member.endswith(".npy")]
        name = _pick(path, "array", names, name)
        info = archive.getinfo(name + ".npy")
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
            with open(path, "rb") as file:
                file.seek(info.header_offset + 26)  # lengths of the local header's name and extra field
                lengths = (int.from_bytes(file.read(2), "little"), int.from_bytes(file.read(2), "little"))
                start = info.header_offset + 30 + sum(lengths)
                file.seek(start)
                return _map_npy(path, file, min(start + info.file_size, path.stat().st_size))
        try:
            with archive.open(info) as member:
                shape, order, dtype = _npy_header(path, member, info.file_size)
                out = np.empty(math.prod(shape), dtype)  # pages that the archive turns out not to have are never touched
                values = out.view(np.uint8)
                for start in range(0, len(values), BATCH_BYTES):
                    part = np.frombuffer(member.read(BATCH_BYTES), np.uint8)
                    if len(part) != len(values[start : start + BATCH_BYTES]):
                        raise EOFError(f"expected {len(values)} bytes of values, got {start + len(part)}")
                    values[start : start + BATCH_BYTES] = part
                return out.reshape(shape, order=order)
        except (ValueError, EOFError, MemoryError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            if str(error).startswith(f"{path}: "):  # it is the header
                raise
            raise ValueError(f"{path}: array {name!r} cannot be read: {error}") from None


def _vecs(dtype: str) -> Callable[[Path], np.ndarray]:
    def reader(path: Path) -> np.ndarray:
        size = path.stat().st_size
        if size < 4:
            raise ValueError(f"{path}: expected an int32 dimension at byte 0, got a file of {size} bytes")
        dim = int(np.fromfile(path, "<i4", 1)[0])
        if not 1 <= dim <= MAX_DIM:
            raise ValueError(f"{path}: expected a dimension of 1 to {MAX_DIM} at byte 0, got {dim}")
        row_size = 4 + dim * np.dtype(dtype).itemsize
        n, rest = divmod(size, row_size)
        rows = np.memmap(path, np.uint8, "r", 0, (n, row_size)) if n else np.empty((0, row_size), np.uint8)
        for start in range(0, n, HEADERS_AT_ONCE):
            dims = np.ascontiguousarray(rows[start : start + HEADERS_AT_ONCE, :4]).view("<i4")[:, 0]
            if (dims != dim).any():
                i = int(np.flatnonzero(dims != dim)[0])
                place = f"row {start + i} at byte {(start + i) * row_size}"
                wanted = f"dimension {dim} as in row 0"
                raise ValueError(f"{path}: ragged: {place} expected {wanted}, got {dims[i]}")
        if rest:
            place = f"row {n} at byte {n * row_size}"
            raise ValueError(f"{path}: truncated: {place} expected {row_size} bytes, got {rest}")
        return rows[:, 4:].view(dtype)

    return reader


def _bin(dtype: str) -> Callable[[Path], np.ndarray]:
    def reader(path: Path) -> np.ndarray:
        size = path.stat().st_size
        if size < 8:
            raise ValueError(f"{path}: expected two uint32, rows and columns, at byte 0, got a file of {size} bytes")
        n, dim = map(int, np.fromfile(path, "<u4", 2))
        if not 1 <= dim <= MAX_DIM:
            raise ValueError(f"{path}: expected a dimension of 1 to {MAX_DIM} at byte 4, got {dim}")
        expected = n * dim * np.dtype(dtype).itemsize
        with_distances = dtype == "<i4" and size - 8 == 2 * expected
        if size - 8 != expected and not with_distances:
            trouble = "truncated" if size - 8 < expected else "trailing bytes"
            raise ValueError(f"{path}: {trouble}: expected {expected} bytes at byte 8 for {n} x {dim} of {dtype}, got {size - 8}")
        return np.memmap(path, dtype, "r", 8, (n, dim)) if n else np.empty((0, dim), dtype)

    return reader


def _hdf5(path: Path, name: str | None) -> np.ndarray | Batches:
    h5py = optional("h5py", path)
    if not path.exists():
        raise FileNotFoundError(2, os.strerror(2), str(path))
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file: {error}") from None
    with file:
        names: list[str] = []
        file.visititems(lambda key, item: names.append(key) if isinstance(item, h5py.Dataset) else None)
        name = _pick(path, "data set", names, name)
        data = file[name]
        if data.shape is None or len(data.shape) not in (1, 2) or data.dtype.kind not in "fiu":
            got = f"shape {data.shape} of {data.dtype}"
            raise ValueError(f"{path}: data set {name!r} expected a matrix [n, d] of numbers, got {got}")
        offset = data.id.get_offset()  # None unless the values lie in one piece, unfiltered
        if offset is not None and data.size and file.userblock_size == 0:
            if offset + data.nbytes > path.stat().st_size:
                place = f"data set {data.name!r} at byte {offset}"
                raise ValueError(f"{path}: truncated: {place} expected {data.nbytes} bytes")
            return np.memmap(path, data.dtype, "r", offset, data.shape)
        if data.ndim != 2 or not data.size:
            return data[()]
        n, step = len(data), max(1, BATCH_BYTES // (data.dtype.itemsize * data.shape[1]))
        if data.chunks:
            step = -(-step // data.chunks[0]) * data.chunks[0]  # no chunk is unpacked twice

    def read() -> Iterator[np.ndarray]:
        with h5py.File(path, "r") as again:
            for start in range(0, n, step):
                yield again[name][start : start + step]

    return Batches(n, read)


def _parquet(path: Path, name: str | None) -> Batches:
    pyarrow = optional("pyarrow", path)
    from pyarrow import parquet, types

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path}: not a Parquet file: {error}") from None
    with file:
        lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        columns = {field.name: field.type for field in file.schema_arrow if any(is_one(field.type) for is_one in lists)}
        name = _pick(path, "column of lists", columns, name)
        n = file.metadata.num_rows
        groups = [file.metadata.row_group(g) for g in range(file.metadata.num_row_groups)]
        # names may have dots, as paths have: of all leaves that may be meant the one with most values
        leaves = [i for i, leaf in enumerate(file.schema) if leaf.path.startswith(name + ".")]
        values = max(sum(group.column(i).num_values for group in groups) for i in leaves)
    try:
        width = columns[name].value_type.bit_width // 8
    except ValueError:  # lists of something without a width, which whoever reads them refuses
        width = 8
    rows = min(MAX_BATCH, max(1, BATCH_BYTES * n // max(values * width, 1)))
    return Batches(n, lambda: _parquet_batches(path, name, rows))


def _parquet_batches(path: Path, name: str, rows: int) -> Iterator[np.ndarray]:
    """[r, d] of so many rows of a column of lists, all of one length."""
    import pyarrow.compute as compute
    from pyarrow import parquet

    row, width = 0, -1
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(rows, columns=[name], use_threads=False):
            lists = batch.column(name)  # of all whose paths begin so
            lengths = compute.fill_null(compute.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
            width = int(lengths[0]) if width < 0 and len(lengths) else width
            if (lengths != width).any() or width < 0:
                bad = int(np.flatnonzero((lengths != width) | (lengths < 0))[0])
                got = "nothing" if lengths[bad] < 0 else f"{lengths[bad]} values"
                wanted = f"{width} values as in row 0" if row + bad else "values"
                place = f"row {row + bad} of column {name!r}"
                raise ValueError(f"{path}: ragged: {place} expected {wanted}, got {got}")
            values = lists.flatten()
            if values.null_count:
                bad = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0]) // width
                raise ValueError(f"{path}: row {row + bad} of column {name!r} has a missing value")
            yield values.to_numpy(zero_copy_only=False).reshape(len(lists), width)
            row += len(lists)


def optional(package: str, path: Path) -> Any:
    try:
        return __import__(package)
    except ImportError:
        hint = f"{path}: reading {path.suffix} needs {package}: pip install {package}"
        raise ImportError(hint, name=package) from None


def _pick(path: Path, kind: str, names: Iterable[str], name: str | None) -> str:
    names = sorted(names)
    if name is None and len(names) == 1:
        return names[0]
    there = f"there are {', '.join(names)}" if names else "there is none"
    if name is None:
        raise ValueError(f"{path}: expected the name of one {kind}; {there}")
    if name not in names:
        raise ValueError(f"{path}: there is no {kind} {name!r}; {there}")
    return name


_READERS: dict[str, tuple[Callable[..., np.ndarray | Batches], bool]] = {
    ".npy": (_npy, False),
    ".npz": (_npz, True),
    ".fvecs": (_vecs("<f4"), False),
    ".bvecs": (_vecs("u1"), False),
    ".ivecs": (_vecs("<i4"), False),
    ".fbin": (_bin("<f4"), False),
    ".f16bin": (_bin("<f2"), False),
    ".u8bin": (_bin("u1"), False),
    ".i8bin": (_bin("i1"), False),
    ".ibin": (_bin("<i4"), False),
    ".hdf5": (_hdf5, True),
    ".h5": (_hdf5, True),
    ".parquet": (_parquet, True),
}
SUFFIXES = frozenset(_READERS)
