"""Codes written to a .npy file while they are made: they may be larger than memory, and a stop at any moment costs little.

While it is written, `codes.npy` is two files beside it:

    codes.npy.partial        the .npy to be: a header of 128 bytes, which says 0 rows until the end, and codes
    codes.npy.partial.json   which codec and which vectors these codes are of, and how many of them are on disk

The second is replaced, whole, after the codes that it counts are on disk; what stands behind them is written again. When all
codes are there, the header gets its number of rows and the first file its name, in this order, each after the other is on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np

from . import vectorfiles
from .arrays import Rows
from .codec import Codec
from .container import PIECE, sync_folder
from .sources import Stream, split

CHECKPOINT_SECONDS = 5.0  # of work that a stop may cost
HEADER = 128  # bytes: what numpy.save writes too, for up to 10^21 rows
FORMAT = "vecpress partial codes 1"


def write_codes(
    codec: Codec,
    source: Rows | Stream,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    num_threads: int | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> np.ndarray:
    """Encodes `source` into the .npy file `out`; returns it mapped, uint8[n, code_size], read-only.

    Arguments and errors as in `Codec.encode`; advance : called with the number of rows done since it was last called.
    """
    out = os.fspath(out)
    target = os.path.realpath(out)
    if os.path.exists(target) and not (overwrite and os.path.isfile(target)):
        wanted = "a new file, or overwrite=True" if os.path.isfile(target) else "a regular file"
        raise ValueError(f"encode: out expected {wanted}, got {out}, which is there already")
    partial = _Partial(codec, target + ".partial")
    if overwrite and not resume:
        partial.remove()
    if not resume and partial.exists():
        raise ValueError(f"encode: {partial.path} is there already: resume=True goes on with it, overwrite=True starts anew")
    file = partial.open()
    try:
        with file:
            rows = _write(codec, source, partial, file, num_threads, advance)
            file.seek(0)
            file.write(header(rows, codec.code_size))
            _to_disk(file)
    except BaseException:
        if not partial.rows:
            partial.remove()  # nothing is lost by it
        raise
    os.replace(partial.path, target)
    sync_folder(os.path.dirname(target))
    partial.remove()
    return vectorfiles.read(target)


def check_output(out: Any, x: Any) -> None:
    """Raises TypeError or ValueError if codes of x cannot be written to `out`: no .npy file, or the one that x is read from."""
    if not isinstance(out, (str, os.PathLike)):
        raise TypeError(f"encode: out expected a path, got {type(out).__name__}")
    if os.path.splitext(os.fspath(out))[1].lower() != ".npy":
        raise ValueError(f"encode: out expected a .npy file, got {os.fspath(out)}")
    named = split(os.fspath(x))[0] if isinstance(x, (str, os.PathLike)) else getattr(x, "filename", None)
    if isinstance(named, (str, os.PathLike)) and os.path.exists(named) and os.path.exists(out) and os.path.samefile(named, out):
        raise ValueError(f"encode: out expected another file than x is read from, got {os.fspath(out)}")


def _write(
    codec: Codec,
    source: Rows | Stream,
    partial: _Partial,
    file: BinaryIO,
    num_threads: int | None,
    advance: Callable[[int], None],
) -> int:
    """Encodes the rows behind those that `partial` has, and checks that those are the same; returns how many there are."""
    done, wanted, crc, codes_crc = partial.rows, partial.crc, 0, partial.codes_crc
    written, total, last = done, 0, time.monotonic()
    if source.n is not None and source.n < done:
        raise ValueError(f"encode: {partial.path} holds codes of {done} rows, x has {source.n}: these are other vectors")
    file.seek(HEADER + done * codec.code_size)
    try:
        for start, block in source.blocks():
            total = start + len(block)
            old = min(max(done - start, 0), len(block))
            crc = zlib.crc32(block[:old].data, crc)
            if old and start + old == done:
                _check_same(partial, crc, wanted)
            if old < len(block):
                new = block[old:]
                codes = codec._encode(new, num_threads).data
                file.write(codes)
                crc, codes_crc, written = zlib.crc32(new.data, crc), zlib.crc32(codes, codes_crc), total
            advance(len(block))
            if written > partial.rows and time.monotonic() - last >= CHECKPOINT_SECONDS:
                partial.save(file, written, crc, codes_crc)
                last = time.monotonic()
    except BaseException:
        if written > partial.rows:
            with suppress(OSError):  # a disk that is full, say: the last one counts
                partial.save(file, written, crc, codes_crc)
        raise
    if total < done:
        raise ValueError(f"encode: {partial.path} holds codes of {done} rows, x has {total}: these are other vectors")
    return total


def _check_same(partial: _Partial, crc: int, wanted: int) -> None:
    if crc != wanted:
        raise ValueError(f"encode: {partial.path} holds codes of other vectors: the first {partial.rows} rows of x differ")


class _Partial:
    """The two files of codes that are being written.

    rows : how many are on disk, with the CRC-32 `codes_crc`, made of vectors (float32, as they are coded) with the CRC-32 `crc`
    """

    def __init__(self, codec: Codec, path: str):
        self.path, self.notes = path, path + ".json"
        self.codec, self.fingerprint = codec, fingerprint(codec)
        self.rows = self.crc = self.codes_crc = 0

    def exists(self) -> bool:
        return os.path.exists(self.path)  # notes alone are what a kill leaves behind the last step

    def remove(self) -> None:
        for path in (self.path, self.notes, self.notes + ".new"):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def open(self) -> BinaryIO:
        """The codes so far, cut behind the last that counts, to be written on. ValueError if they are of something else."""
        if self.exists():
            self._read()
        if not self.rows:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            try:
                self._note(0, 0, 0)
                file: BinaryIO = open(self.path, "xb+")
                file.write(header(0, self.codec.code_size))
            except BaseException:
                self.remove()
                raise
            return file
        file = open(self.path, "rb+")
        try:
            self._check_codes(file)
            file.truncate(HEADER + self.rows * self.codec.code_size)
        except BaseException:
            file.close()
            raise
        return file

    def save(self, file: BinaryIO, rows: int, crc: int, codes_crc: int) -> None:
        """Counts the codes of `rows` rows, all of which are in `file`."""
        _to_disk(file)
        self._note(rows, crc, codes_crc)
        self.rows, self.crc, self.codes_crc = rows, crc, codes_crc

    def _note(self, rows: int, crc: int, codes_crc: int) -> None:
        new = self.notes + ".new"  # not a name of its own each time: one that a kill leaves is written over
        with open(new, "wb") as file:
            notes = {**self._identity(), "rows": rows, "vectors_crc32": crc, "codes_crc32": codes_crc}
            file.write(json.dumps(notes, indent=1).encode())
            _to_disk(file)
        os.replace(new, self.notes)
        sync_folder(os.path.dirname(self.notes))

    def _identity(self) -> dict[str, Any]:
        return {"format": FORMAT, "codec": repr(self.codec), "codec_sha256": self.fingerprint, "code_size": self.codec.code_size}

    def _read(self) -> None:
        try:
            with open(self.notes, "rb") as file:
                notes = json.loads(file.read())
            numbers = rows, crc, codes_crc = notes["rows"], notes["vectors_crc32"], notes["codes_crc32"]
            if not all(type(v) is int and v >= 0 for v in numbers) or notes["format"] != FORMAT:
                raise ValueError("expected numbers of rows and a checksum")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"encode: {self.notes} cannot be read ({error}): overwrite=True starts anew") from None
        if any(notes.get(key) != value for key, value in self._identity().items()):
            got = notes.get("codec")
            raise ValueError(f"encode: {self.path} holds codes of another codec: expected {self.codec!r} as fitted, got {got}")
        size = os.path.getsize(self.path)
        if rows and size < HEADER + rows * self.codec.code_size:
            raise ValueError(f"encode: {self.path} expected codes of {rows} rows, got {size} bytes: overwrite=True starts anew")
        self.rows, self.crc, self.codes_crc = rows, crc, codes_crc

    def _check_codes(self, file: BinaryIO) -> None:
        file.seek(HEADER)
        left, crc = self.rows * self.codec.code_size, 0
        while left:
            piece = file.read(min(left, PIECE))
            crc, left = zlib.crc32(piece, crc), left - len(piece)
        if crc != self.codes_crc:
            raise ValueError(f"encode: {self.path} holds codes that are damaged: overwrite=True starts anew")


def fingerprint(codec: Codec) -> str:
    """SHA-256, in hex, of what makes a codec's codes: class, configuration, dim and learned arrays."""
    about = {"class": type(codec).__name__, "config": codec.config(), "dim": codec.dim}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, array in sorted(codec.arrays().items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def header(rows: int, code_size: int) -> bytes:
    """The 128 bytes of a .npy file in front of uint8[rows, code_size]."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {code_size}), }}"
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11).encode() + b"\n"


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
