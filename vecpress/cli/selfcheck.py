"""Runs a kernel on a small input and compares with the NumPy reference, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import dispatch, ops
from ..ops.encode_trellis import RATES
from ..ops.pack_codes import packed_size
from ..ops.sdc import FORMS
from ..ops.trellis_levels import TABLES

Work = Callable[[], tuple[np.ndarray, ...]]
ROWS = 97  # a block and a half: a whole block, a part of one, and lanes left over in every vector width
THREADS = 2  # whatever VECPRESS_NUM_THREADS says: kernels are right or wrong with it and without


def self_check(op: str, backend: str) -> str:
    """Why kernel `backend` of operation `op` is wrong, "" if it is right."""
    if op not in SAMPLES:
        return f"there is no self-check for operation {op!r}"
    with dispatch.use("reference"):
        work = SAMPLES[op](np.random.Generator(np.random.PCG64(0)))
        expected = work()
    try:
        with dispatch.use(backend):
            got = work()
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    for right, value in zip(expected, got, strict=True):
        if right.tobytes() != value.tobytes():
            return f"differs from the reference in {np.count_nonzero(right != value)} of {right.size} values"
    return ""


def _floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def _bytes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, np.uint8)


def _project(rng: np.random.Generator) -> Work:
    x, matrix, offset = _floats(rng, 17, 9), _floats(rng, 9, 13), _floats(rng, 13)
    return lambda: (ops.project(x, matrix, offset, num_threads=THREADS),)


def _assign(rng: np.random.Generator) -> Work:
    x, centroids = _floats(rng, ROWS, 9), _floats(rng, 17, 9)
    return lambda: ops.assign(x, centroids, num_threads=THREADS)


def _beam_step(rng: np.random.Generator) -> Work:
    costs, pairs, scores = _floats(rng, ROWS, 19), _floats(rng, 2 * 19, 19), _floats(rng, ROWS, 3)
    paths = rng.integers(0, 19, (ROWS, 3, 2)).astype(np.uint8)
    return lambda: ops.beam_step(costs, pairs, paths, scores, 5, num_threads=THREADS)


def _search_labels(rng: np.random.Generator) -> Work:
    y, books, squares, scores = _floats(rng, ROWS, 9), _floats(rng, 2, 256, 9), _floats(rng, 1, 256), _floats(rng, ROWS, 3)
    entries, paths = _bytes(rng, 1, 3, 256, 4), _bytes(rng, ROWS, 3, 1)
    pairs, factors = rng.integers(-128, 128, (1, 256, 256)).astype(np.int8), _floats(rng, 1, 2)
    return lambda: ops.search_labels(
        y, books, entries, factors, squares, pairs, 4, last=4, paths=paths, scores=scores, num_threads=THREADS
    )


def _encode_grid(rng: np.random.Generator) -> Work:
    y, wide = _floats(rng, 9, 19), _floats(rng, 2, 77)

    def work() -> tuple[np.ndarray, ...]:
        calls = ((x, n_bits) for n_bits in (1, 2, 5, 8) for x in (y, wide))
        return tuple(out for x, n_bits in calls for out in ops.encode_grid(x, n_bits, x[0], num_threads=THREADS))

    return work


def _words() -> np.ndarray:
    return np.array([(size, rate) for rate in RATES for size in (8, 3)], np.uint8)


def _encode_trellis(rng: np.random.Generator) -> Work:
    y = _floats(rng, 17, 183) * np.float32(50)
    tables = TABLES.values()
    return lambda: tuple(out for table in tables for out in ops.encode_trellis(y, _words(), table.levels, num_threads=THREADS))


def _encode_pq(rng: np.random.Generator) -> Work:
    x, codebooks = _floats(rng, 17, 12), _floats(rng, 3, 16, 4)
    return lambda: (ops.encode_pq(x, codebooks, num_threads=THREADS),)


def _tables(rng: np.random.Generator) -> Work:
    q, codebooks = _floats(rng, 3, 12), _floats(rng, 3, 16, 4)
    return lambda: (ops.tables(q, codebooks, num_threads=THREADS), ops.tables(q, codebooks, l2=True, num_threads=THREADS))


def _label_sums(rng: np.random.Generator) -> Work:
    x, labels = _floats(rng, ROWS, 9), rng.integers(0, 5, ROWS).astype(np.int32)
    return lambda: (ops.label_sums(x, labels, 5, num_threads=THREADS),)


def _norms(rng: np.random.Generator) -> Work:
    x = _floats(rng, ROWS, 19)
    return lambda: (ops.norms(x, num_threads=THREADS),)


def _encode_sq(rng: np.random.Generator) -> Work:
    x, low, step = _floats(rng, ROWS, 79), _floats(rng, 79), np.abs(_floats(rng, 79)) / np.float32(9)
    return lambda: tuple(ops.encode_sq(x, low, step, n_bits, num_threads=THREADS)[0] for n_bits in (4, 8))


def _rotate(rng: np.random.Generator) -> Work:
    x, signs = _floats(rng, ROWS, 77), _bytes(rng, 4, 10)
    return lambda: (ops.rotate(x, signs, num_threads=THREADS), ops.rotate(x, signs, inverse=True, num_threads=THREADS))


def _pack_bits(rng: np.random.Generator) -> Work:
    x, thresholds = _floats(rng, ROWS, 19), _floats(rng, 19)
    return lambda: (ops.pack_bits(x, thresholds, num_threads=THREADS),)


def _pack_codes(rng: np.random.Generator) -> Work:
    labels = _bytes(rng, ROWS, 19)
    return lambda: tuple(ops.pack_codes(labels, n_bits, num_threads=THREADS) for n_bits in range(1, 9))


def _unpack_codes(rng: np.random.Generator) -> Work:
    codes = [_bytes(rng, ROWS, packed_size(19, n_bits)) for n_bits in range(1, 9)]
    return lambda: tuple(ops.unpack_codes(codes[n_bits - 1], 19, n_bits, num_threads=THREADS) for n_bits in range(1, 9))


def _quantize(rng: np.random.Generator) -> Work:
    x, thresholds = _floats(rng, ROWS, 19), np.sort(_floats(rng, 255))
    return lambda: tuple(ops.quantize(x, thresholds[:count], num_threads=THREADS) for count in (1, 15, 255))


def _put_rows(rng: np.random.Generator) -> Work:
    codes = _bytes(rng, ROWS, 13)
    return lambda: (ops.Blocks.pack(codes, head=1, group=4, num_threads=THREADS).data,)


def _get_rows(rng: np.random.Generator) -> Work:
    blocks, rows = ops.Blocks(_bytes(rng, 2, 13 * ops.BLOCK), ROWS, 13, 1, 4), rng.integers(0, ROWS, 31)
    return lambda: (blocks.rows(rows, num_threads=THREADS),)


def _dot(rng: np.random.Generator) -> Work:
    blocks, rows = ops.Blocks.pack(_bytes(rng, ROWS, 10), num_threads=THREADS), _floats(rng, 3, 20)
    return lambda: ops.dot(blocks, rows, 10, n_bits=4, levels=np.arange(16, dtype=np.float32) ** 2, num_threads=THREADS)


def _flat(rng: np.random.Generator) -> Work:
    blocks, rows = ops.Blocks.pack(_floats(rng, ROWS, 9).view(np.uint8), group=4, num_threads=THREADS), _floats(rng, 3, 9)
    return lambda: (*ops.flat(blocks, rows, 10, num_threads=THREADS), *ops.flat(blocks, rows, 10, l2=True, num_threads=THREADS))


def _hamming(rng: np.random.Generator) -> Work:
    blocks, bits = ops.Blocks.pack(_bytes(rng, ROWS, 9), num_threads=THREADS), _bytes(rng, 3, 9)
    return lambda: ops.hamming(blocks, bits, 10, num_threads=THREADS)


def _lut4(rng: np.random.Generator) -> Work:
    blocks, tables = ops.Blocks.pack(_bytes(rng, ROWS, 9), num_threads=THREADS), _floats(rng, 3, 18, 16)
    return lambda: ops.lut4(blocks, tables, 10, num_threads=THREADS)


def _lut8(rng: np.random.Generator) -> Work:
    blocks, tables = ops.Blocks.pack(_bytes(rng, ROWS, 9), num_threads=THREADS), _floats(rng, 3, 9, 256)
    return lambda: ops.lut8(blocks, tables, 10, num_threads=THREADS)


def _sdc(rng: np.random.Generator) -> Work:
    blocks, codes = ops.Blocks.pack(_bytes(rng, ROWS, 10), num_threads=THREADS), _bytes(rng, 3, 10)

    def work() -> tuple[np.ndarray, ...]:
        scans = (
            ops.sdc(blocks, codes, 10, dim=80 // n_bits - 1, n_bits=n_bits, form=form, num_threads=THREADS)
            for n_bits in (1, 2, 4)
            for form in (None, *FORMS)
        )
        return tuple(out for scan in scans for out in scan)

    return work


def _trellis(rng: np.random.Generator) -> Work:
    blocks = ops.Blocks.pack(_bytes(rng, ROWS, 46), num_threads=THREADS)
    rows, tables = _floats(rng, 3, 183), _floats(rng, 3, 2, 256) * np.float32(200)

    def work() -> tuple[np.ndarray, ...]:
        scans = (
            ops.trellis(blocks, rows, 10, words=_words(), levels=table.levels, tables=tables, num_threads=THREADS)
            for table in TABLES.values()
        )
        return tuple(out for scan in scans for out in scan)

    return work


# per operation: makes the inputs, and gives the call that is to come out the same with every kernel
SAMPLES: dict[str, Callable[[np.random.Generator], Work]] = {
    "assign": _assign,
    "beam_step": _beam_step,
    "search_labels": _search_labels,
    "dot": _dot,
    "encode_grid": _encode_grid,
    "encode_pq": _encode_pq,
    "encode_sq": _encode_sq,
    "encode_trellis": _encode_trellis,
    "flat": _flat,
    "get_rows": _get_rows,
    "hamming": _hamming,
    "lut4": _lut4,
    "lut8": _lut8,
    "label_sums": _label_sums,
    "norms": _norms,
    "pack_bits": _pack_bits,
    "pack_codes": _pack_codes,
    "project": _project,
    "put_rows": _put_rows,
    "quantize": _quantize,
    "rotate": _rotate,
    "sdc": _sdc,
    "tables": _tables,
    "trellis": _trellis,
    "unpack_codes": _unpack_codes,
}
