"""Row operations on a device: encoders, products, k-means' steps. Arrays of the host or of a device in, `DeviceArray`s out.

Shapes, dtypes and meaning are those of the operation of the same name in `vecpress/ops`, and so are the bits of what comes out.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..checks import check_choice, check_int
from ..ops.beam_step import MOST_ENTRIES, MOST_LABELS, MOST_PATHS
from ..ops.encode_trellis import RATES, check_level_shape, check_word_sizes, steps_of, window_of
from ..ops.numerics import array
from ..ops.pack_codes import BITS, packed_size
from ..ops.rotate import ROUNDS
from ..ops.search_labels import ENTRIES, MOST_DIMENSIONS
from ..ops.search_labels import MOST_LABELS as MOST_SEARCHED
from ..ops.search_labels import MOST_PATHS as MOST_SEARCHED_PATHS
from . import library
from .library import call
from .memory import DeviceArray, Stream, as_device_array, ready_for, scratch
from .scans import workspace_limit

Array = Any  # a NumPy array, or one on a device, of whatever framework
ROWS: dict[str, Callable[..., Any]] = {}  # by the operation's name: called as its reference is, but for the outputs

F = TypeVar("F", bound=Callable[..., Any])


def _row(function: F) -> F:
    name = function.__name__
    function.__doc__ = function.__doc__ or f"As `vecpress.ops.{name}`, for arrays on a device: put into `stream`, not waited for."
    ROWS[function.__name__] = function
    return function


class Work:
    """One call on a device's stream: its operands are put there, its results made, and both kept until the work is done."""

    def __init__(self, op: str, device: int | None, stream: Stream, *operands: Array):
        on = [x.device for x in map(_viewed, operands) if isinstance(x, DeviceArray)]
        if len(set(on) | ({device} - {None})) > 1:
            raise ValueError(f"{op}: expected all arrays on one device, got devices {sorted(set(on))}")
        self.op, self.stream = op, stream
        self.device = int(on[0] if on else device or 0)
        self.kept: list[DeviceArray] = []
        self.made: list[DeviceArray] = []

    def put(self, name: str, value: Array, dtype: Any, *shape: int | None) -> DeviceArray:
        """Checked as `vecpress.ops` checks; None allows any length."""
        array = _viewed(value)
        if array.dtype != dtype:
            raise TypeError(f"{self.op}: {name} expected a {np.dtype(dtype).name} array, got {array.dtype}")
        fits = len(shape) == array.ndim and all(w is None or w == s for w, s in zip(shape, array.shape, strict=True))
        if not fits:
            listed = ", ".join("any" if w is None else str(w) for w in shape)
            raise ValueError(f"{self.op}: {name} expected shape ({listed}), got {array.shape}")
        if isinstance(array, DeviceArray):
            out = ready_for(array, self.device, self.stream, f"{self.op}: {name}")
        else:
            out = DeviceArray.of(array, self.device, self.stream)
        self.kept.append(out)
        return out

    def make(self, dtype: Any, *shape: int) -> DeviceArray:
        out = DeviceArray.empty(shape, dtype, self.device, self.stream)
        self.made.append(out)
        return out

    def run(self, *arguments: Any, workspace: tuple[int, ...] | None = None) -> None:
        """Calls the library's function; arrays become pointers. workspace: the sizes that say how much of one it wants."""
        pointers = [x.pointer or None if isinstance(x, DeviceArray) else x for x in arguments]
        memory = None
        with library.on(self.device):  # whose kind says how much is needed
            if workspace is not None:
                least, most = ctypes.c_size_t(), ctypes.c_size_t()
                call(f"{self.op}_workspace", *workspace, ctypes.byref(least), ctypes.byref(most))
                nbytes = max(least.value, min(most.value, workspace_limit()))
                memory = scratch.take(nbytes, self.device, self.stream)
                pointers += [memory.pointer, nbytes]
            call(self.op, *pointers, self.stream)
        if memory is not None:
            scratch.give(memory, self.stream)
        for out in self.made:  # until the results are taken, what makes them is there
            out.owner = out.owner, self.kept


def _viewed(x: Array) -> np.ndarray | DeviceArray:
    return x if isinstance(x, np.ndarray) else as_device_array(x, "an operand")


@_row
def project(
    x: Array, matrix: Array, offset: Array | None = None, *, device: int | None = None, stream: Stream = 0
) -> DeviceArray:
    work = Work("project", device, stream, x, matrix)
    x = work.put("x", x, np.float32, None, None)
    matrix = work.put("matrix", matrix, np.float32, x.shape[1], None)
    p = matrix.shape[1]
    offset = None if offset is None else work.put("offset", offset, np.float32, p)
    out = work.make(np.float32, len(x), p)
    work.run(out, x, matrix, offset, *x.shape, p)
    return out


@_row
def tables(
    q: Array, codebooks: Array, l2: bool, by_column: bool, *, device: int | None = None, stream: Stream = 0
) -> DeviceArray:
    work = Work("tables", device, stream, q, codebooks)
    codebooks = work.put("codebooks", codebooks, np.float32, None, None, None)
    m, ks, dsub = _book(codebooks.shape, by_column)
    q = work.put("q", q, np.float32, None, m * dsub)
    out = work.make(np.float32, len(q), m, ks)
    work.run(out, q, codebooks, len(q), m, ks, dsub, l2, by_column)
    return out


def _book(shape: tuple[int, ...], by_column: bool) -> tuple[int, int, int]:
    m, ks, dsub = shape
    return (m, dsub, ks) if by_column else (m, ks, dsub)


@_row
def assign(x: Array, centroids: Array, *, device: int | None = None, stream: Stream = 0) -> tuple[DeviceArray, DeviceArray]:
    work = Work("assign", device, stream, x, centroids)
    x = work.put("x", x, np.float32, None, None)
    centroids = work.put("centroids", centroids, np.float32, None, x.shape[1])
    if not len(centroids):
        raise ValueError("assign: centroids expected at least 1 row, got 0")
    labels, distances = work.make(np.int32, len(x)), work.make(np.float32, len(x))
    sizes = *x.shape, len(centroids)
    work.run(labels, distances, x, centroids, *sizes, workspace=sizes)
    return labels, distances


@_row
def encode_pq(x: Array, codebooks: Array, by_column: bool, *, device: int | None = None, stream: Stream = 0) -> DeviceArray:
    work = Work("encode_pq", device, stream, x, codebooks)
    codebooks = work.put("codebooks", codebooks, np.float32, None, None, None)
    m, ks, dsub = _book(codebooks.shape, by_column)
    if ks not in (16, 256):
        raise ValueError(f"encode_pq: codebooks expected 16 or 256 on axis {1 + by_column}, got shape {codebooks.shape}")
    x = work.put("x", x, np.float32, None, m * dsub)
    out = work.make(np.uint8, len(x), m if ks == 256 else (m + 1) // 2)
    work.run(out, x, codebooks, len(x), m, ks, dsub, by_column, workspace=(m, ks, dsub))
    return out


@_row
def norms(x: Array, *, device: int | None = None, stream: Stream = 0) -> DeviceArray:
    work = Work("norms", device, stream, x)
    x = work.put("x", x, np.float32, None, None)
    out = work.make(np.float32, len(x))
    work.run(out, x, *x.shape)
    return out


@_row
def pack_bits(
    x: Array, thresholds: Array, largest: float = math.inf, *, device: int | None = None, stream: Stream = 0
) -> tuple[DeviceArray, DeviceArray]:
    """As `vecpress.ops.pack_bits_within`; the first row beyond is int64[1] on the device."""
    work = Work("pack_bits", device, stream, x, thresholds)
    x = work.put("x", x, np.float32, None, None)
    thresholds = work.put("thresholds", thresholds, np.float32, x.shape[1])
    out, first = work.make(np.uint8, len(x), (x.shape[1] + 7) // 8), work.make(np.int64, 1)
    work.run(out, first, x, thresholds, largest, *x.shape)
    return out, first


@_row
def encode_sq(
    x: Array, low: Array, step: Array, n_bits: int, largest: float = math.inf, *, device: int | None = None, stream: Stream = 0
) -> tuple[DeviceArray, DeviceArray]:
    """As `vecpress.ops.encode_sq`; the first row beyond is int64[1] on the device."""
    work = Work("encode_sq", device, stream, x, low, step)
    x = work.put("x", x, np.float32, None, None)
    low, step = work.put("low", low, np.float32, x.shape[1]), work.put("step", step, np.float32, x.shape[1])
    n_bits = check_choice("encode_sq", "n_bits", n_bits, (4, 8))
    out, first = work.make(np.uint8, len(x), packed_size(x.shape[1], n_bits)), work.make(np.int64, 1)
    work.run(out, first, x, low, step, n_bits, largest, *x.shape)
    return out, first


@_row
def quantize(x: Array, thresholds: Array, *, device: int | None = None, stream: Stream = 0) -> DeviceArray:
    work = Work("quantize", device, stream, x, thresholds)
    x = work.put("x", x, np.float32, None, None)
    thresholds = work.put("thresholds", thresholds, np.float32, None)
    if not 1 <= len(thresholds) <= 255:
        raise ValueError(f"quantize: thresholds expected 1 to 255 numbers, got {len(thresholds)}")
    out = work.make(np.uint8, *x.shape)
    work.run(out, x, thresholds, len(thresholds), math.prod(x.shape))
    return out


@_row
def pack_codes(labels: Array, n_bits: int, *, device: int | None = None, stream: Stream = 0) -> DeviceArray:
    work = Work("pack_codes", device, stream, labels)
    labels = work.put("labels", labels, np.uint8, None, None)
    n_bits = check_choice("pack_codes", "n_bits", n_bits, BITS)
    out = work.make(np.uint8, len(labels), packed_size(labels.shape[1], n_bits))
    work.run(out, labels, n_bits, *labels.shape)
    return out


@_row
def unpack_codes(codes: Array, n_bits: int, d: int, *, device: int | None = None, stream: Stream = 0) -> DeviceArray:
    work = Work("unpack_codes", device, stream, codes)
    n_bits = check_choice("unpack_codes", "n_bits", n_bits, BITS)
    codes = work.put("codes", codes, np.uint8, None, packed_size(d, n_bits))
    out = work.make(np.uint8, len(codes), d)
    work.run(out, codes, n_bits, len(codes), d)
    return out


@_row
def rotate(x: Array, signs: Array, inverse: bool, *, device: int | None = None, stream: Stream = 0) -> DeviceArray:
    work = Work("rotate", device, stream, x, signs)
    x = work.put("x", x, np.float32, None, None)
    d = x.shape[1]
    if d == 0:
        raise ValueError(f"rotate: x expected at least 1 column, got shape {x.shape}")
    signs = work.put("signs", signs, np.uint8, ROUNDS, -(-d // 8))
    out = work.make(np.float32, *x.shape)
    work.run(out, x, signs, *x.shape, inverse)
    return out


@_row
def encode_grid(
    y: Array, along: Array, n_bits: int, *, device: int | None = None, stream: Stream = 0
) -> tuple[DeviceArray, DeviceArray]:
    work = Work("encode_grid", device, stream, y, along)
    y = work.put("y", y, np.float32, None, None)
    n_bits = check_choice("encode_grid", "n_bits", n_bits, BITS)
    if y.shape[1] == 0:
        raise ValueError(f"encode_grid: y expected at least 1 column, got shape {y.shape}")
    along = work.put("along", along, np.float32, y.shape[1])
    labels, sums = work.make(np.uint8, *y.shape), work.make(np.float64, len(y), 5)
    work.run(labels, sums, y, along, n_bits, *y.shape)
    return labels, sums


@_row
def encode_trellis(
    y: Array, words: np.ndarray, levels: Array, *, device: int | None = None, stream: Stream = 0
) -> tuple[DeviceArray, DeviceArray]:
    """As `vecpress.ops.encode_trellis`; words are on the host, and levels of -128 are not looked for on a device."""
    work = Work("encode_trellis", device, stream, y, levels)
    words = array("encode_trellis", "words", words, np.uint8, (None, 2))
    check_word_sizes("encode_trellis", words)
    levels = work.put("levels", levels, np.int8, len(RATES), None)
    check_level_shape("encode_trellis", levels.shape)
    y = work.put("y", y, np.float32, None, int(steps_of(words).sum()))
    codes, values = work.make(np.uint8, len(y), int(words[:, 0].sum())), work.make(np.int8, *y.shape)
    work.run(codes, values, y, words.ctypes.data, len(words), levels, window_of(levels), len(y))
    return codes, values


@_row
def beam_step(
    costs: Array, pairs: Array, paths: Array, scores: Array, keep: int, *, device: int | None = None, stream: Stream = 0
) -> tuple[DeviceArray, DeviceArray]:
    """As `vecpress.ops.beam_step`; labels of paths must be below ks, which nobody checks on a device."""
    work = Work("beam_step", device, stream, costs, pairs, paths, scores)
    costs = work.put("costs", costs, np.float32, None, None)
    n, ks = costs.shape
    paths = work.put("paths", paths, np.uint8, n, None, None)
    b, labels = paths.shape[1:]
    if not (1 <= ks <= MOST_ENTRIES and 1 <= b <= MOST_PATHS and labels <= MOST_LABELS):
        raise ValueError(
            f"beam_step: expected 1 to {MOST_ENTRIES} costs and 1 to {MOST_PATHS} paths of at most {MOST_LABELS} labels a row, "
            f"got shapes {costs.shape} and {paths.shape}"
        )
    pairs, scores = work.put("pairs", pairs, np.float32, labels * ks, ks), work.put("scores", scores, np.float32, n, b)
    keep = min(check_int("beam_step", "keep", keep, 1, MOST_PATHS), b * ks)
    grown, best = work.make(np.uint8, n, keep, labels + 1), work.make(np.float32, n, keep)
    work.run(grown, best, costs, pairs, paths, scores, n, ks, b, labels, keep)
    return grown, best


@_row
def search_labels(
    y: Array, books: Array, entries: Array, factors: Array, squares: Array, pairs: Array, paths: Array | None,
    scores: Array | None, beam: int, last: int = 1, *, device: int | None = None, stream: Stream = 0,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:  # fmt: skip
    """As `vecpress.ops.search_labels`; entries, squares and pairs begin at multiples of 16 bytes, as frameworks allocate."""
    work = Work("search_labels", device, stream, y, books, entries, factors, squares, pairs)
    y = work.put("y", y, np.float32, None, None)
    n, d = y.shape
    books = work.put("books", books, np.float32, None, ENTRIES, d)
    squares = work.put("squares", squares, np.float32, None, ENTRIES)
    depth, steps = len(books), len(squares)
    if not (1 <= steps <= depth <= MOST_SEARCHED and d <= MOST_DIMENSIONS):
        raise ValueError(
            f"search_labels: expected 1 to {MOST_SEARCHED} books of at most {MOST_DIMENSIONS} dimensions and squares of 1 or "
            f"more of them, got shapes {books.shape} and {squares.shape}"
        )
    before = depth - steps
    entries = work.put("entries", entries, np.uint8, steps, -(-d // 4), ENTRIES, 4)
    factors = work.put("factors", factors, np.float32, steps, 2)
    pairs = work.put("pairs", pairs, np.int8, sum(range(before, depth)), ENTRIES, ENTRIES)
    for name, table in (("entries", entries), ("squares", squares), ("pairs", pairs)):
        if table.pointer % 16:
            raise ValueError(f"search_labels: {name} expected memory at a multiple of 16 bytes, got {table.pointer:#x}")
    paths = work.put("paths", np.empty((n, 1, 0), np.uint8) if paths is None else paths, np.uint8, n, None, before)
    b = paths.shape[1]
    if not 1 <= b <= MOST_SEARCHED_PATHS:
        raise ValueError(f"search_labels: paths expected 1 to {MOST_SEARCHED_PATHS} a row, got shape {paths.shape}")
    scores = work.put("scores", np.zeros((n, b), np.float32) if scores is None else scores, np.float32, n, b)
    beam, last = (check_int("search_labels", *value, 1, MOST_SEARCHED_PATHS) for value in (("beam", beam), ("last", last)))
    found, reached, rest = work.make(np.uint8, n, last, depth), work.make(np.float32, n, last), work.make(np.float32, n, d)
    work.run(found, reached, rest, y, books, entries, factors, squares, pairs, paths, scores, n, d, depth, steps, b, beam, last)
    return found, reached, rest


@_row
def label_sums(x: Array, labels: Array, k: int, *, device: int | None = None, stream: Stream = 0) -> DeviceArray:
    """As `vecpress.ops.label_sums`; labels must be 0 to k - 1, which nobody checks on a device."""
    work = Work("label_sums", device, stream, x, labels)
    x = work.put("x", x, np.float32, None, None)
    labels = work.put("labels", labels, np.int32, len(x))
    out = work.make(np.float64, k, x.shape[1])
    work.run(out, x, labels, *x.shape, k, workspace=(len(x), k))
    return out
