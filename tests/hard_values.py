"""The one place for sizes, dtypes and values that break vectorised code."""

from __future__ import annotations

import numpy as np

# they straddle the width of every register
SIZES = (0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 130)
SMALL_SIZES = tuple(size for size in SIZES if size <= 33)  # for what is slow, such as the NumPy references

# what every public method accepts beside float32, all rounded to float32
DTYPES = ("float16", "float32", "float64", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", ">f4", ">f8")
# what none accepts
WRONG_DTYPES = ("bool", "complex64", "complex128", "object", "U3", "S3", "datetime64[s]", "timedelta64[s]")

TINY = float(np.float32(1e-45))  # the smallest number above 0
HUGE = float(np.finfo(np.float32).max)

# finite float32 numbers: zeros, subnormal numbers, powers of two and their neighbours, the largest
FINITE = np.array(
    [
        0.0, -0.0, TINY, -TINY, 1.1754942e-38, 1.17549435e-38, 1e-30, -1e-20, 0.1, -0.1, 0.5, 1.0, -1.0, 1.0000001,
        0.99999994, 2.0, 3.0, 16777216.0, 16777215.0, -65504.0, 65519.0, 1e10, -1e18, 1e30, HUGE, -HUGE,
    ],
    np.float32,
)  # fmt: skip
# the same without those whose squares or sums leave float32 or swamp the rest
MODERATE = FINITE[np.abs(FINITE) <= 65504]
NOT_FINITE = (np.nan, np.inf, -np.inf)


def values(seed: int, *shape: int) -> np.ndarray:
    """float32 normal numbers with moderate hard ones strewn in (one in eight)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(np.float32)
    hard = rng.random(shape) < 0.125
    x[hard] = rng.choice(MODERATE, int(hard.sum()))
    return x
