"""Runs a kernel on a small input and compares with the NumPy reference, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import dispatch, ops

ROWS = 97  # a block and a half: a whole block, a part of one, and lanes left over in every vector width


def self_check(op: str, backend: str) -> str:
    """Why kernel `backend` of operation `op` is wrong, "" if it is right."""
    if op not in SAMPLES:
        return f"there is no self-check for operation {op!r}"
    results = []
    for name in ("reference", backend):
        before = dispatch.use(name)
        with before:
            try:
                results.append(SAMPLES[op](np.random.Generator(np.random.PCG64(0))))
            except Exception as error:
                return f"{name} raised {type(error).__name__}: {error}"
    for expected, got in zip(*results, strict=True):
        if expected.tobytes() != got.tobytes():
            return (
                f"differs from the reference in {np.count_nonzero(expected != got)} of {expected.size} values"
            )
    return ""


def _floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def _bytes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, np.uint8)


def _put_rows(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return (ops.Blocks.pack(_bytes(rng, ROWS, 13), head=1, group=4).data,)


def _get_rows(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    blocks = ops.Blocks(_bytes(rng, 2, 13 * ops.BLOCK), ROWS, 13, head=1, group=4)
    return (blocks.rows(rng.integers(0, ROWS, 31)),)


def _flat(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    blocks = ops.Blocks.pack(_floats(rng, ROWS, 9).view(np.uint8), group=4)
    return ops.flat(blocks, _floats(rng, 3, 9), 10, l2=True)


def _hamming(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return ops.hamming(ops.Blocks.pack(_bytes(rng, ROWS, 9)), _bytes(rng, 3, 9), 10)


def _lut4(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return ops.lut4(ops.Blocks.pack(_bytes(rng, ROWS, 9)), _floats(rng, 3, 18, 16), 10)


def _lut8(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return ops.lut8(ops.Blocks.pack(_bytes(rng, ROWS, 9)), _floats(rng, 3, 9, 256), 10)


SAMPLES: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, ...]]] = {
    "assign": lambda rng: ops.assign(_floats(rng, ROWS, 9), _floats(rng, 17, 9)),
    "encode_pq": lambda rng: (ops.encode_pq(_floats(rng, 17, 12), _floats(rng, 3, 16, 4)),),
    "flat": _flat,
    "get_rows": _get_rows,
    "hamming": _hamming,
    "lut4": _lut4,
    "lut8": _lut8,
    "norms": lambda rng: (ops.norms(_floats(rng, ROWS, 19)),),
    "pack_bits": lambda rng: (ops.pack_bits(_floats(rng, ROWS, 19), _floats(rng, 19)),),
    "project": lambda rng: (ops.project(_floats(rng, 17, 9), _floats(rng, 9, 13), _floats(rng, 13)),),
    "put_rows": _put_rows,
    "tables": lambda rng: (ops.tables(_floats(rng, 3, 12), _floats(rng, 3, 16, 4), l2=True),),
}
