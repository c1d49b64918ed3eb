"""What transform codes quantise independent components by: levels by rate, and the errors that they leave."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .normal_levels import normal_levels
from .ops.encode_trellis import MAX_BYTES, RATES, WINDOW
from .ops.trellis_levels import ERRORS, LEVELS, SECOND_ERRORS, SECOND_GAINS, UNITS

LARGEST = 127
GAINS = (1.0, 1.25, 1.5, 1.75, 2.0)


class Tables(NamedTuple):
    """Levels of normal numbers, and how good they are.

    levels : int8[4, 2^window], by rate and window; units : float64[4], how many of them are the standard deviation
    errors : float64[8, 4], squared error of a component of variance 1 in a word of 1 to 8 bytes, by rate
    second_errors : float64[4], the same of what words of 8 bytes at rate 4 leave
    second_gains : float64[4], how much wider levels are for that
    """

    levels: np.ndarray
    units: np.ndarray
    errors: np.ndarray
    second_errors: np.ndarray
    second_gains: np.ndarray


def trellis_tables() -> Tables:
    """Levels that neighbouring components share bits for."""
    return Tables(LEVELS, UNITS, ERRORS, np.array(SECOND_ERRORS), np.array(SECOND_GAINS))


@lru_cache(maxsize=1)
def scalar_tables() -> Tables:
    """Every component by itself: a window's level depends on its lowest bits alone, those that it shares with no window before.

    The search for words then finds the nearest level of each component. Levels are `normal_levels`, as whole numbers.
    """
    levels, units, errors = [], [], []
    numbers = np.random.Generator(np.random.PCG64(0)).standard_normal(1 << 16)
    for rate in RATES:
        exact = normal_levels(rate)
        units.append(LARGEST / exact[-1])
        whole = np.rint(exact * units[-1])
        levels.append(whole[np.arange(2**WINDOW) % 2**rate])
        errors.append(float(np.square(_left(numbers, whole / units[-1])).mean()))
    left = _left(numbers, levels[-1][: 2 ** RATES[-1]] / units[-1])
    left = left / np.sqrt(np.square(left).mean())
    second = []
    for rate, own, unit in zip(RATES, levels, units, strict=True):
        tried = [(float(np.square(_left(left, gain * own[: 2**rate] / unit)).mean()), gain) for gain in GAINS]
        second.append(min(tried))
    second_errors, second_gains = np.array(second).T
    return Tables(
        np.array(levels, np.int8), np.array(units), np.tile(errors, (MAX_BYTES, 1)), second_errors, second_gains
    )  # fmt: skip


def _left(numbers: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Numbers less the nearest of ascending levels."""
    return numbers - levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, numbers)]


TABLES: dict[str, Callable[[], Tables]] = {"trellis": trellis_tables, "scalar": scalar_tables}
