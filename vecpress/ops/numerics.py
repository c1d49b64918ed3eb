"""Arithmetic that the references need and NumPy lacks, and the checks that every operation makes of its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np


def fma32(a: Any, b: Any, c: Any) -> np.ndarray:
    """float32 fused multiply-add, a * b + c with one rounding, elementwise.

    The product of two float32 is exact in float64. The sum is rounded to odd there (its last bit records that something was
    lost), so that the second rounding, to float32, is the correct one: 53 >= 2 * 24 + 2 bits.
    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008.
    """
    product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    c = np.asarray(c, np.float64)
    total = product + c
    with np.errstate(invalid="ignore"):
        part = total - product  # Knuth's two-sum: the exact rounding error of `total`
        error = (product - (total - part)) + (c - part)
        even = (total.view(np.int64) & 1) == 0
        nudge = np.isfinite(error) & (error != 0) & even
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    with np.errstate(over="ignore"):
        return np.where(nudge, odd, total).astype(np.float32)


def first_beyond(x: np.ndarray, largest: float) -> int:
    """The first row of float32[n, d] with a NaN or a magnitude beyond float32(largest), n where there is none."""
    beyond = ~(np.abs(x) <= np.float32(largest)).all(axis=1)
    return int(beyond.argmax()) if beyond.any() else len(x)


def array(op: str, name: str, value: Any, dtype: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Checks an operation's argument and returns it C-contiguous; None in `shape` allows any length on that axis.

    Operations never convert: a wrong dtype is a TypeError, a wrong shape a ValueError.
    """
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        got = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"{op}: {name} expected a {np.dtype(dtype).name} array, got {got}")
    got = value.shape
    fits = len(got) == len(shape)
    if fits:
        for wanted, size in zip(shape, got):  # noqa: B905  a loop, for this is done many times a query
            if wanted is not None and wanted != size:
                fits = False
    if not fits:
        listed = ", ".join("any" if w is None else str(w) for w in shape)
        raise ValueError(f"{op}: {name} expected shape ({listed}), got {got}")
    return value if type(value) is np.ndarray and value.flags.c_contiguous else np.ascontiguousarray(value)
