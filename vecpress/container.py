"""The container of .vpz files: named arrays and text as a valid safetensors file, written whole or not.

    8 bytes     N, little-endian uint64, at most 1 MiB
    N bytes     JSON, padded with spaces so that the data begins at a multiple of 4096:
                {"__metadata__": {str: str},
                 name: {"dtype": "U8", "shape": [..], "data_offsets": [begin, end]}, ...}
    data        the arrays in C order, little-endian, without holes; offsets count from here

Beside what the caller stores, the metadata holds `format` "vecpress", `format_version`, `checksums` (JSON:
array name to "crc32:" and 8 hex digits over its bytes) and `header_checksum` (the same over the first 8 + N
bytes, with its own 8 digits taken as 0). Nothing that is read is trusted: every number is checked before it
is used, and whatever is wrong is a CorruptFileError that says where.
"""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn, Self

import numpy as np

from .errors import CorruptFileError

FORMAT = "vecpress"
FORMAT_VERSION = 2
ALIGN = 4096  # a page: memory-mapped arrays begin on one
HEADER_LIMIT = 1 << 20
PIECE = 1 << 20  # bytes that are written and summed at a time: they stay in the cache between the two
MARKER = b'"header_checksum":"crc32:'
OWN_KEYS = {"format", "format_version", "checksums", "header_checksum"}  # of the metadata
DTYPES = {
    "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32", "float64": "F64",
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """An array to write: dtype, shape, and the bytes as arrays that follow each other: none is copied, each is asked for once."""

    dtype: np.dtype
    shape: tuple[int, ...]
    pieces: Iterable[np.ndarray]

    @classmethod
    def of(cls, array: np.ndarray) -> Part:
        array = np.ascontiguousarray(array)
        return cls(array.dtype, array.shape, (array,))

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Entry:
    """An array in a file: begin and end count from the start of the file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int
    checksum: str


# ---- writing


def write(
    path: str | os.PathLike[str], metadata: Mapping[str, str], parts: Mapping[str, Part], version: int = FORMAT_VERSION
) -> None:
    """Writes a container in the order of `parts`, streaming: no second copy of the arrays is made.

    version : the format version that the content needs; older readers read what an older version can say

    Until the new file is complete and on disk, nothing is seen at `path`; a file that was there stays as it
    was if anything fails, and a memory map of it stays valid. Raises OSError.
    """
    # checksums have a fixed width, so the header's length is known before them
    metadata = {"format": FORMAT, "format_version": str(version), **metadata}
    size = len(_header(metadata, parts, dict.fromkeys(parts, 0)))
    with replacing(path) as file:
        file.seek(size)
        sums = {name: _write_part(file, part) for name, part in parts.items()}
        file.seek(0)
        file.write(_header(metadata, parts, sums))


def _write_part(file: BinaryIO, part: Part) -> int:
    crc = 0
    for array in part.pieces:
        for piece in _bytes_of(array):
            crc = zlib.crc32(piece, crc)
            file.write(piece)
    return crc


def _bytes_of(array: np.ndarray) -> Iterator[memoryview]:
    """The bytes of a C-contiguous array, a piece at a time."""
    if array.size:  # memoryview cannot cast what has no bytes
        data = array.data.cast("B")
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]


def _header(metadata: Mapping[str, str], parts: Mapping[str, Part], sums: Mapping[str, int]) -> bytes:
    """The first 8 + N bytes of the file."""
    checksums = json.dumps({name: f"crc32:{crc:08x}" for name, crc in sums.items()})
    header: dict[str, Any] = {
        "__metadata__": {
            **metadata, "checksums": checksums, "header_checksum": "crc32:00000000",
        }
    }  # fmt: skip
    at = 0
    for name, part in parts.items():
        header[name] = {
            "dtype": DTYPES[part.dtype.name], "shape": list(part.shape),
            "data_offsets": [at, at + part.nbytes],
        }  # fmt: skip
        at += part.nbytes
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(8 + len(text)) % ALIGN)
    if len(text) > HEADER_LIMIT:
        raise ValueError(f"save: the codec's configuration is too long for a file header of {HEADER_LIMIT} bytes")
    raw = len(text).to_bytes(8, "little") + text
    place = raw.index(MARKER) + len(MARKER)
    return raw[:place] + b"%08x" % zlib.crc32(raw) + raw[place + 8 :]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and is gone when it does not.

    Raises OSError that names `path`, whatever the new file is called meanwhile, if that cannot be written, or if there is
    something at `path` that is no regular file.
    """
    target = os.path.realpath(os.fsdecode(path))  # a link keeps pointing to what is replaced
    folder, name = os.path.split(target)
    # 50 characters are at most 200 of the 255 bytes that a name may have
    temporary = os.path.join(folder, f".{name[:50]}.{secrets.token_hex(8)}.tmp")
    if os.path.isdir(target):  # os.replace would find out too, when all the work is done
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))
    if os.path.exists(target) and not os.path.isfile(target):  # a device, say, which would be gone
        raise OSError(errno.EINVAL, "expected a regular file", os.fsdecode(path))
    try:
        with _created(temporary, target) as file:
            yield file
    except OSError as error:
        if error.errno is not None and error.filename in (None, temporary):
            raise OSError(error.errno, error.strerror, os.fsdecode(path)) from None  # the number decides on the subclass
        raise
    sync_folder(folder)


@contextmanager
def _created(temporary: str, target: str) -> Iterator[BinaryIO]:
    """A new file `temporary` that becomes `target` when the block ends well, and is gone when it does not."""
    try:
        with open(temporary, "xb") as file:
            if os.path.exists(target) and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), os.stat(target).st_mode & 0o777)  # a private file stays private
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:  # Ctrl-C comes right behind the replacement too: then there is nothing to remove, and all is well
        with suppress(OSError):
            os.unlink(temporary)
        raise


def sync_folder(folder: str) -> None:
    """Puts the new name on disk, where the system can and may do that for folders: the file is complete in any case."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- reading


class Reader:
    """An open container whose header has been checked. A context manager; arrays that were mapped outlive it.

    Raises FileNotFoundError or another OSError if there is no such file to read, CorruptFileError if it is no
    container of this kind or version.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = os.fsdecode(path)
        self._file = open(path, "rb")
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            raw = self._read_header()
            self.data_begin = len(raw)
            header = self.json(raw[8:], "header")
            self.metadata = self._strings(header.pop("__metadata__", None), "metadata")
            self.version = self._version()  # before the checksum, whose rules may change with the version
            self._check_header(raw)
            self.entries = self._entries(header)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fail(self, where: str, what: str) -> NoReturn:
        raise CorruptFileError(f"{self.path}: {where}: {what}")

    def json(self, text: str | bytes, where: str) -> dict[str, Any]:
        """A JSON object in which no key is repeated and every number is finite."""
        try:
            text = text.decode("utf-8") if isinstance(text, bytes) else text
            value = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            self.fail(where, f"not valid JSON: {error}")
        if not isinstance(value, dict):
            self.fail(where, f"expected a JSON object, got {type(value).__name__}")
        return value

    def read(self, name: str) -> np.ndarray:
        """The array, read into memory of its own."""
        entry = self.entries[name]
        array = np.empty(entry.shape, entry.dtype)
        if array.size:
            self._file.seek(entry.begin)
            view = array.data.cast("B")
            if self._file.readinto(view) != len(view):  # type: ignore[attr-defined]
                self.fail(f"array '{name}'", "the file became shorter while it was read")
        return array

    def map(self, names: Iterable[str]) -> list[np.ndarray]:
        """The arrays, mapped read-only: nothing is read until it is used."""
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        out = []
        for name in names:
            entry = self.entries[name]
            if entry.begin % entry.dtype.itemsize:
                self.fail(f"array '{name}'", f"begins at byte {entry.begin}, which is not aligned")
            flat = np.frombuffer(mapped, entry.dtype, math.prod(entry.shape), entry.begin) if entry.end > entry.begin else None
            out.append(np.empty(entry.shape, entry.dtype) if flat is None else flat.reshape(entry.shape))
        return out

    def check(self, name: str, array: np.ndarray) -> None:
        """Compares the array's bytes with its checksum."""
        crc = 0
        for piece in _bytes_of(array):
            crc = zlib.crc32(piece, crc)
        if self.entries[name].checksum != f"crc32:{crc:08x}":
            self.fail(f"array '{name}'", f"checksum expected {self.entries[name].checksum}, got crc32:{crc:08x}")

    def _read_header(self) -> bytes:
        start = self._file.read(8)
        if len(start) < 8:
            self.fail("start", f"not a vecpress file: {self.size} bytes are too short for one")
        length = int.from_bytes(start, "little")
        if length > HEADER_LIMIT:
            self.fail("start", "not a vecpress file: it does not begin with a header's length")
        if 8 + length > self.size:
            self.fail("start", f"a header of {length} bytes was announced, the file has {self.size}")
        text = self._file.read(length)
        if len(text) != length or not text.startswith(b"{"):
            self.fail("header", "not a vecpress file: there is no JSON header")
        return start + text

    def _version(self) -> int:
        if self.metadata.get("format") != FORMAT:
            self.fail(
                "metadata: format",
                f"not a vecpress file: expected {FORMAT!r}, got {self.metadata.get('format')!r}",
            )
        version = self.metadata.get("format_version", "")
        if not (version.isascii() and version.isdigit()) or len(version) > 9 or int(version) < 1:
            self.fail("metadata: format_version", f"expected a number from 1, got {version!r}")
        if int(version) > FORMAT_VERSION:
            self.fail(
                "metadata: format_version",
                f"{version} is newer than {FORMAT_VERSION}, the newest that this vecpress reads",
            )
        return int(version)

    def _check_header(self, raw: bytes) -> None:
        if raw.count(MARKER) != 1:
            self.fail("metadata", "header_checksum expected once, as crc32 and 8 hex digits")
        place = raw.index(MARKER) + len(MARKER)
        crc = b"%08x" % zlib.crc32(raw[:place] + b"00000000" + raw[place + 8 :])
        if raw[place : place + 8] != crc:
            self.fail("header", f"checksum expected {raw[place : place + 8]!r}, got {crc!r}")
        if len(raw) % ALIGN:
            self.fail("header", f"data expected at a multiple of {ALIGN}, got {len(raw)}")

    def _strings(self, value: Any, where: str) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            self.fail(where, "expected a JSON object of strings; without one this is not a vecpress file")
        return value

    def _entries(self, header: dict[str, Any]) -> dict[str, Entry]:
        """The arrays by name, in the order of their bytes, which fill the file."""
        sums = self._strings(self.json(self.metadata.get("checksums", ""), "metadata: checksums"), "metadata: checksums")
        if set(sums) != set(header):
            self.fail("metadata: checksums", f"expected one for each of {sorted(header)}, got {sorted(sums)}")
        known = {code: np.dtype(name) for name, code in DTYPES.items()}
        entries = {}
        for name, entry in header.items():
            where = f"array '{name}'"
            if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
                self.fail(where, "expected dtype, shape and data_offsets")
            dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
            if not isinstance(dtype, str) or dtype not in known:
                self.fail(where, f"dtype {dtype!r} is not one of {', '.join(known)}")
            if not _lengths(shape) or len(shape) > 8 or math.prod(max(v, 1) for v in shape) >= 2**60:
                self.fail(
                    where,
                    f"shape expected at most 8 lengths, together fewer than 2^60, got {shape!r}",
                )
            if not _lengths(offsets) or len(offsets) != 2:
                self.fail(where, f"data_offsets expected begin and end, got {offsets!r}")
            if offsets[1] - offsets[0] != math.prod(shape) * known[dtype].itemsize:
                self.fail(where, f"data_offsets {offsets} do not hold {dtype}{shape}")
            begin, end = (self.data_begin + offset for offset in offsets)
            entries[name] = Entry(known[dtype], tuple(shape), begin, end, sums[name])
        entries = dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
        at = self.data_begin
        for name, placed in entries.items():
            if placed.begin != at:
                self.fail(f"array '{name}'", f"expected to begin at byte {at}, got {placed.begin}")
            at = placed.end
        if at != self.size:
            self.fail("data", f"expected a file of {at} bytes, got {self.size}")
        return entries


def _lengths(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**63 for v in value)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key is repeated")
    return out


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
