"""Per-vector factors: where in a code they stand, how they are stored, and 2-byte floats of a range that suits them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .numerics import array

KINDS = ("none", "f2", "f4", "u1", "u2", "f2^2", "f4^2", "u2^2")
WIDTHS = {"f2": 2, "f4": 4, "u1": 1, "u2": 2, "f2^2": 2, "f4^2": 4, "u2^2": 2}
# a factor as kernels take it: kind as its place in KINDS, offset, `times` (or the value, where the kind is none), table
KernelFactor = tuple[int, int, float, np.ndarray | None]

NO_FACTOR: KernelFactor = (0, 0, 1.0, None)  # a scale of 1
NO_BIAS: KernelFactor = (0, 0, 0.0, None)

U2_LARGEST = float(np.uint32(0x1FFFEFFF).view(np.float32)) * 2.0**96  # what still rounds to the largest u2
_DROPPED = 13  # bits of a float32 that a u2 lacks
_SHIFT = np.float32(2.0**96)  # between a float32's exponents and those of a u2


@dataclass(frozen=True)
class Factor:
    """Where in a code a per-vector number stands, in its first `head` bytes or, where `group` is 1, anywhere.

    offset : first byte
    kind : "f2" float16, "f4" float32, "u2" what `to_u2` makes (all little-endian), "f2^2", "f4^2", "u2^2" their squares in
        float32, "u1" one byte that indexes `table`
    table : float32[256], for "u1" only
    times : what the stored number is multiplied with, in float32; not for "u1"
    """

    offset: int
    kind: str
    table: np.ndarray | None = None
    times: float = 1.0


def to_u2(x: np.ndarray) -> np.ndarray:
    """float32 of 0 or more to 2-byte floats "<u2": 6 bits of exponent, 10 of fraction, no sign.

    bits e (high 6), f (low 10):   2^(e - 31) (1 + f / 1024)   where e > 0, else   2^-30 f / 1024

    Rounded to the nearest, ties to even: relative error 2^-11 at most from 2^-30 up to the largest, 2^33 - 2^22. That is the
    precision of float16 over twice its exponents, and every pattern of bits is a finite number. What lies beyond the largest
    becomes the largest: callers that must not lose it look first (U2_LARGEST).
    """
    x = array("to_u2", "x", x, np.float32, (None,))
    bits = (np.minimum(x, np.float32(U2_LARGEST)) / _SHIFT).view(np.uint32)  # exact but for numbers below 2^-30
    half = np.uint32((1 << _DROPPED - 1) - 1) + (bits >> np.uint32(_DROPPED) & np.uint32(1))
    return (bits + half >> np.uint32(_DROPPED)).astype("<u2")


def from_u2(stored: np.ndarray) -> np.ndarray:
    """The float32 numbers that "<u2" patterns of `to_u2` stand for."""
    return (stored.astype(np.uint32) << np.uint32(_DROPPED)).view(np.float32) * _SHIFT


def kernel_factor(op: str, name: str, factor: float | Factor | None, inside: int) -> KernelFactor:
    """Checks a factor and returns it as kernels take it. Raises TypeError or ValueError."""
    if factor is None:
        return NO_BIAS
    if not isinstance(factor, Factor):
        return NO_FACTOR if factor == 1.0 else (0, 0, float(np.float32(factor)), None)
    if factor.kind not in WIDTHS:
        raise ValueError(f"{op}: {name} expected kind {', '.join(WIDTHS)}, got {factor.kind!r}")
    if factor.offset < 0 or factor.offset + WIDTHS[factor.kind] > inside:
        raise ValueError(f"{op}: {name} expected bytes inside the code's first {inside}, got offset {factor.offset}")
    table = array(op, f"{name}.table", factor.table, np.float32, (256,)) if factor.kind == "u1" else None
    return KINDS.index(factor.kind), factor.offset, float(np.float32(factor.times)), table


def factor_values(factor: KernelFactor, raw: np.ndarray) -> np.ndarray:
    """float32[n]: the numbers that bytes uint8[n, width] in the code stand for."""
    kind, _, times, table = factor
    if table is not None:
        return table[raw[:, 0]]
    stored = np.ascontiguousarray(raw)
    width, _, square = KINDS[kind].partition("^")
    numbers = stored.view("<" + width)[:, 0]
    values = from_u2(numbers) if width == "u2" else numbers.astype(np.float32)
    return (values * values if square else values) * np.float32(times)
