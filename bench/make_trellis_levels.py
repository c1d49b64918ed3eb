"""Makes vecpress/ops/trellis_levels.py: the levels of trellis codes for normal numbers, and the errors that they leave.

    python -m bench.make_trellis_levels [--errors]

--errors: those of windows of 8 bits measured again, with the levels that are there, which were found before the search had a
fourth pass; nothing else changes.

For each length of windows and each rate: many tables are tried, quantiles of the normal distribution in an order that a linear
map of the window's bits gives (or a multiplication), each improved by a few rounds in which every level becomes the mean of the
numbers that chose it; the best few go on with more numbers, the best of them with most. Takes a few minutes; the result is the
same for the same NumPy.

Source: Linde, Buzo and Gray, "An algorithm for vector quantizer design", 1980, with the trellis search as the quantizer.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from vecpress import ops
from vecpress.ops.encode_trellis import MAX_BYTES, RATES, TURNED, WINDOWS, windows_of
from vecpress.ops.trellis_levels import TABLES

TARGET = Path(__file__).resolve().parent.parent / "vecpress" / "ops" / "trellis_levels.py"
LARGEST = 127
STARTS = {6: (2000, 500), 8: (400, 200)}  # linear orders, multiplied ones; more find nothing better


class Made(NamedTuple):
    """What is written of a length of windows, as text."""

    levels: str
    units: str
    errors: str
    second_errors: str
    second_gains: str


def quantiles(window: int) -> np.ndarray:
    count = 2**window
    return np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])


def linear_order(window: int, rng: np.random.Generator) -> np.ndarray:
    """Quantiles in the order of an invertible linear map of the window's bits."""
    bits = np.arange(2**window)[:, None] >> np.arange(window) & 1
    while True:
        places = bits @ rng.integers(0, 2, (window, window)) % 2 @ (1 << np.arange(window))
        if len(set(places.tolist())) == len(places):
            return quantiles(window)[places]


def multiplied_order(window: int, rng: np.random.Generator) -> np.ndarray:
    count = 2**window
    return quantiles(window)[((2 * rng.integers(0, count // 2) + 1) * np.arange(count) + rng.integers(0, count)) % count]


def coded(levels: np.ndarray) -> tuple[np.ndarray, float]:
    """As whole numbers, and how many of them are 1."""
    scale = LARGEST / np.abs(levels).max()
    return np.rint(levels * scale).astype(np.int8), scale


def chosen(numbers: np.ndarray, levels: np.ndarray, rate: int, size: int = MAX_BYTES) -> np.ndarray:
    """The window of each of `numbers`, float64[n, steps]."""
    table, scale = coded(levels)
    tables = np.zeros((len(RATES), len(table)), np.int8)
    tables[rate - 1] = table
    words = np.array([[size, rate]], np.uint8)
    codes, _ = ops.encode_trellis((numbers * scale).astype(np.float32), words, tables)
    return windows_of(codes, words, len(table).bit_length() - 1)


def improve(levels: np.ndarray, rate: int, words: int, rounds: int, seed: int) -> tuple[float, np.ndarray]:
    numbers = np.random.default_rng(seed).standard_normal((words, 8 * MAX_BYTES // rate))
    for _ in range(rounds):
        windows = chosen(numbers, levels, rate).ravel()
        count = np.bincount(windows, minlength=len(levels))
        means = np.bincount(windows, numbers.ravel(), len(levels)) / np.maximum(count, 1)
        levels = np.where(count > 0, means, levels)
    return float(np.square(numbers - levels[chosen(numbers, levels, rate)]).mean()), levels


def best_levels(window: int, rate: int) -> np.ndarray:
    linear, multiplied = STARTS[window]
    starts = [linear_order(window, np.random.default_rng(seed)) for seed in range(linear)]
    starts += [multiplied_order(window, np.random.default_rng(seed)) for seed in range(multiplied)]
    words = 200 * rate * 2**window // 64
    tried = sorted((improve(levels, rate, words, 8, 1) for levels in starts), key=lambda found: found[0])
    tried = sorted((improve(levels, rate, 4000, 15, seed=2) for _, levels in tried[:24]), key=lambda found: found[0])
    return improve(tried[0][1], rate, 20000, 40, seed=3)[1]


def error(levels: np.ndarray, rate: int, size: int) -> float:
    numbers = np.random.default_rng(4).standard_normal((400_000 * rate // (8 * size), 8 * size // rate))
    table, scale = coded(levels)
    return float(np.square(numbers - table[chosen(numbers, levels, rate, size)] / scale).mean())


def second_layer(found: list[np.ndarray]) -> tuple[list[float], list[float]]:
    """What words at each rate leave of what words at the highest rate left; how much wider their levels are to be for that.

    It has long tails: numbers beyond the outermost level leave what they are beyond it.
    """
    steps = 8 * MAX_BYTES // RATES[-1]
    numbers = np.random.default_rng(5).standard_normal((30_000, steps))
    table, scale = coded(found[-1])
    left = (numbers - table[chosen(numbers, found[-1], RATES[-1])] / scale).ravel()
    left /= np.sqrt(np.square(left).mean())
    errors, gains = [], []
    for rate, levels in zip(RATES, found, strict=True):
        count = 8 * MAX_BYTES // rate
        rows = left[: len(left) // count * count].reshape(-1, count)
        table, scale = coded(levels)
        tried = []
        for gain in (1.0, 1.25, 1.5, 1.75, 2.0):
            seen = table[chosen(rows / gain, levels, rate)] / scale * gain
            tried.append((float(f"{np.square(rows - seen).mean():.4g}"), gain))
        error, gain = min(tried)
        errors.append(error)
        gains.append(gain)
    return errors, gains


def made(window: int, again: bool) -> Made:
    kept = TABLES[window]
    found = list(kept.levels / kept.units[:, None]) if again else [best_levels(window, rate) for rate in RATES]
    tables = [coded(levels) for levels in found]
    errors = [
        [float(f"{error(levels, rate, size):.4g}") for rate, levels in zip(RATES, found, strict=True)]
        for size in range(1, MAX_BYTES + 1)
    ]
    second, gains = second_layer(found)
    if again and window not in TURNED:
        errors, second, gains = kept.errors.tolist(), kept.second_errors.tolist(), kept.second_gains.tolist()
    return Made(
        "\n".join(textwrap.indent(textwrap.fill(f"{table.tolist()},", 110), 8 * " ") for table, _ in tables),
        str([float(f"{scale:.8g}") for _, scale in tables]),
        "\n".join(f"        {row}," for row in errors),
        str(second),
        str(gains),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errors", action="store_true")
    again = parser.parse_args().errors
    short, long = (made(window, again) for window in WINDOWS)
    text = f'''"""Levels of trellis codes for normal numbers. Made by bench/make_trellis_levels.py; change nothing here."""

from typing import NamedTuple

import numpy as np

# int8[4, 64]: by rate and window
LEVELS = np.array(
    [
{short.levels}
    ],
    np.int8,
)  # fmt: skip
# float64[4]: how many of a table's units are the standard deviation
UNITS = np.array({short.units})
# float64[8, 4]: mean squared error of a number of variance 1 in a word of 1 to 8 bytes, by rate
ERRORS = np.array(
    [
{short.errors}
    ]
)
# float64[4], by rate: the same of what words of 8 bytes at rate 4 leave, and how much wider levels are for that
SECOND_ERRORS = np.array({short.second_errors})
SECOND_GAINS = np.array({short.second_gains})


class Tables(NamedTuple):
    """The same for windows of another length: levels int8[4, 2**window]."""

    levels: np.ndarray
    units: np.ndarray
    errors: np.ndarray
    second_errors: np.ndarray
    second_gains: np.ndarray


LONG = Tables(
    np.array([
{long.levels}
    ], np.int8),
    np.array({long.units}),
    np.array([
{long.errors}
    ]),
    np.array({long.second_errors}),
    np.array({long.second_gains}),
)  # fmt: skip
# by bits of a window
TABLES = {{6: Tables(LEVELS, UNITS, ERRORS, SECOND_ERRORS, SECOND_GAINS), 8: LONG}}
'''
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
