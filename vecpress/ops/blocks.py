"""The layout that every scan reads: codes transposed in blocks of 64 rows, the same on every machine and in every file.

A block holds 64 codes of `code_size` bytes. The first `head` bytes of the codes (per-vector factors) are stored byte by byte:
byte 0 of all 64 rows, then byte 1 of all 64 rows, ... The rest is stored in groups of `group` bytes: group 0 of all 64 rows,
then group 1, ... A scan therefore loads the same part of 64 vectors at once and never adds across lanes.

    head = 1, group = 2, code_size = 5        offset in the block
    row 0:  f0 a0 b0 c0 d0                    0    f0 f1 ... f63
    row 1:  f1 a1 b1 c1 d1                    64   a0 b0 a1 b1 ... a63 b63
    ...                                       192  c0 d0 c1 d1 ... c63 d63

Rows past the last one are zero. This is layout version 1 of index files (`vecpress/io.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array

BLOCK = 64
LAYOUT_VERSION = 1


@dataclass
class Blocks:
    """n codes in block layout.

    data : uint8[ceil(n / 64), stride * 64], C-contiguous; may be a read-only memory map
    n : rows in use
    code_size, head, group : as in the module's picture; group divides code_size - head
    stride : bytes of the codes that data holds: code_size, or more for the first bytes of these alone, `prefix`
    """

    data: np.ndarray
    n: int
    code_size: int
    head: int = 0
    group: int = 1
    stride: int = -1
    elsewhere: ClassVar[bool] = False  # a device's codes scan themselves, `scan` (vecpress/cuda/blocks.py)

    def __post_init__(self) -> None:
        if self.stride < 0:
            self.stride = self.code_size

    @classmethod
    def pack(cls, codes: np.ndarray, head: int = 0, group: int = 1, *, num_threads: int | None = None) -> Blocks:
        """Canonical codes uint8[n, code_size] to blocks. Cost: one pass over the codes."""
        codes = array("blocks", "codes", codes, np.uint8, (None, None))
        n, code_size = codes.shape
        blocks = cls(np.zeros((count(n), code_size * BLOCK), np.uint8), n, code_size, head, group)
        blocks.put(0, codes, num_threads=num_threads)
        return blocks

    def put(self, start: int, codes: np.ndarray, *, num_threads: int | None = None) -> None:
        """Writes codes uint8[r, code_size] over rows start .. start + r - 1, which must lie inside `data`."""
        codes = array("blocks", "codes", codes, np.uint8, (None, self.code_size))
        self._check_whole()
        if not 0 <= start <= start + len(codes) <= len(self.data) * BLOCK:
            raise ValueError(
                f"blocks: start expected rows inside 0..{len(self.data) * BLOCK}, got {start}..{start + len(codes)}"
            )
        run("put_rows", self.data, codes, start, self.head, self.group, num_threads=num_threads)

    def rows(self, rows: np.ndarray, *, num_threads: int | None = None) -> np.ndarray:
        """The canonical codes uint8[r, code_size] of rows int64[r] (any order, repeats allowed)."""
        rows = array("blocks", "rows", rows, np.int64, (None,))
        self._check_whole()
        if rows.size and (rows.min() < 0 or rows.max() >= self.n):
            raise ValueError(f"blocks: rows expected values in 0..{self.n - 1}, got {rows.min()}..{rows.max()}")
        out = empty((len(rows), self.code_size), np.uint8)
        run("get_rows", out, self.data, rows, self.head, self.group, num_threads=num_threads)
        return out

    def prefix(self, code_size: int, head: int) -> Blocks:
        """The first bytes of these codes as codes of their own, for scans, in place. ValueError for groups other than 1."""
        if self.group != 1 and (code_size, head) != (self.code_size, self.head):
            raise ValueError(f"blocks: prefix expected codes of group 1, got {self.group}")
        if not 0 <= head <= code_size <= self.code_size:
            raise ValueError(f"blocks: prefix expected at most {self.code_size} bytes, {head} of them factors, got {code_size}")
        return Blocks(self.data, self.n, code_size, head, self.group, self.stride)

    def check(self) -> None:
        """Raises TypeError or ValueError if data is not what the other fields say."""
        check_layout(self)

    def on_host(self, blocks: slice) -> np.ndarray:
        """uint8[blocks, 64 * code_size]: some whole blocks of the rows in use, as files have them."""
        return self.data[blocks]

    def scan(self, op: str, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of codes that are elsewhere: the k best. Arguments: vecpress/ops/scan.py."""
        raise NotImplementedError

    def _check_whole(self) -> None:
        self.check()
        if self.stride != self.code_size:
            raise ValueError(f"blocks: expected whole codes of {self.stride} bytes, got their first {self.code_size}")


def count(n: int) -> int:
    """Blocks that hold n rows."""
    return -(-n // BLOCK)


def check_layout(blocks: Blocks) -> None:
    data = blocks.data
    if data.dtype != np.uint8 or data.ndim != 2 or not data.flags.c_contiguous:
        raise TypeError(f"blocks: data expected a C-contiguous uint8 matrix, got {data.dtype}{data.shape}")
    if not (0 <= blocks.head <= blocks.code_size and blocks.group >= 1):
        raise ValueError(f"blocks: head expected 0..{blocks.code_size} and group at least 1, got {blocks.head}, {blocks.group}")
    if (blocks.code_size - blocks.head) % blocks.group:
        raise ValueError(f"blocks: group expected a divisor of {blocks.code_size - blocks.head}, got {blocks.group}")
    if blocks.stride < blocks.code_size:
        raise ValueError(f"blocks: stride expected code_size={blocks.code_size} or more, got {blocks.stride}")
    if data.shape[1] != blocks.stride * BLOCK or not 0 <= blocks.n <= len(data) * BLOCK:
        raise ValueError(f"blocks: data expected ({count(blocks.n)} or more, {blocks.stride * BLOCK}), got {data.shape}")


def byte_offsets(code_size: int, head: int, group: int) -> np.ndarray:
    """Offset in its block of each byte of row 0, int64[code_size], and (added) the stride from row to row: the layout itself."""
    byte = np.arange(code_size)
    payload = byte - head
    return np.where(byte < head, byte * BLOCK, (head + payload // group * group) * BLOCK + payload % group)


def row_strides(code_size: int, head: int, group: int) -> np.ndarray:
    """Distance in its block from a row's byte to the next row's, int64[code_size]."""
    return np.where(np.arange(code_size) < head, 1, group)


@reference("put_rows")
def _put_rows(data: np.ndarray, codes: np.ndarray, start: int, head: int, group: int) -> None:
    row = start + np.arange(len(codes))[:, None]
    size = codes.shape[1]
    data[row // BLOCK, byte_offsets(size, head, group) + row % BLOCK * row_strides(size, head, group)] = codes


@reference("get_rows")
def _get_rows(out: np.ndarray, data: np.ndarray, rows: np.ndarray, head: int, group: int) -> None:
    row = rows[:, None]
    size = out.shape[1]
    out[...] = data[row // BLOCK, byte_offsets(size, head, group) + row % BLOCK * row_strides(size, head, group)]
