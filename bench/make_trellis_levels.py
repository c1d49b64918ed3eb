"""Makes vecpress/ops/trellis_levels.py: the levels of trellis codes for normal numbers, and the errors that they leave.

    python -m bench.make_trellis_levels

For each rate: many tables are tried, quantiles of the normal distribution in an order that a linear map of the window's bits
gives (or a multiplication), each improved by a few rounds in which every level becomes the mean of the numbers that chose it; the
best few go on with more numbers, the best of them with most. Takes a minute; the result is the same for the same NumPy.

Source: Linde, Buzo and Gray, "An algorithm for vector quantizer design", 1980, with the trellis search as the quantizer.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from statistics import NormalDist

import numpy as np

from vecpress import ops
from vecpress.ops.encode_trellis import MAX_BYTES, RATES, WINDOW, windows_of

TARGET = Path(__file__).resolve().parent.parent / "vecpress" / "ops" / "trellis_levels.py"
COUNT = 2**WINDOW
QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / COUNT) for i in range(COUNT)])
LARGEST = 127


def linear_order(rng: np.random.Generator) -> np.ndarray:
    """Quantiles in the order of an invertible linear map of the window's bits."""
    bits = np.arange(COUNT)[:, None] >> np.arange(WINDOW) & 1
    while True:
        places = bits @ rng.integers(0, 2, (WINDOW, WINDOW)) % 2 @ (1 << np.arange(WINDOW))
        if len(set(places.tolist())) == COUNT:
            return QUANTILES[places]


def multiplied_order(rng: np.random.Generator) -> np.ndarray:
    return QUANTILES[((2 * rng.integers(0, COUNT // 2) + 1) * np.arange(COUNT) + rng.integers(0, COUNT)) % COUNT]


def coded(levels: np.ndarray) -> tuple[np.ndarray, float]:
    """As whole numbers, and how many of them are 1."""
    scale = LARGEST / np.abs(levels).max()
    return np.rint(levels * scale).astype(np.int8), scale


def chosen(numbers: np.ndarray, levels: np.ndarray, rate: int, size: int = MAX_BYTES) -> np.ndarray:
    """The window of each of `numbers`, float64[n, steps]."""
    table, scale = coded(levels)
    tables = np.zeros((len(RATES), COUNT), np.int8)
    tables[rate - 1] = table
    words = np.array([[size, rate]], np.uint8)
    codes, _ = ops.encode_trellis((numbers * scale).astype(np.float32), words, tables)
    return windows_of(codes, words)


def improve(levels: np.ndarray, rate: int, words: int, rounds: int, seed: int) -> tuple[float, np.ndarray]:
    numbers = np.random.default_rng(seed).standard_normal((words, 8 * MAX_BYTES // rate))
    for _ in range(rounds):
        windows = chosen(numbers, levels, rate).ravel()
        count = np.bincount(windows, minlength=COUNT)
        means = np.bincount(windows, numbers.ravel(), COUNT) / np.maximum(count, 1)
        levels = np.where(count > 0, means, levels)
    return float(np.square(numbers - levels[chosen(numbers, levels, rate)]).mean()), levels


def best_levels(rate: int) -> np.ndarray:
    starts = [linear_order(np.random.default_rng(seed)) for seed in range(2000)]
    starts += [multiplied_order(np.random.default_rng(seed)) for seed in range(500)]
    tried = sorted((improve(levels, rate, 200 * rate, 8, 1) for levels in starts), key=lambda found: found[0])
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


def main() -> None:
    found = [best_levels(rate) for rate in RATES]
    tables = [coded(levels) for levels in found]
    errors = [
        [float(f"{error(levels, rate, size):.4g}") for rate, levels in zip(RATES, found, strict=True)]
        for size in range(1, MAX_BYTES + 1)
    ]
    second, gains = second_layer(found)
    errors_text = "\n".join(f"        {row}," for row in errors)
    rows = "\n".join(textwrap.indent(textwrap.fill(f"{table.tolist()},", 110), 8 * " ") for table, _ in tables)
    text = f'''"""Levels of trellis codes for normal numbers. Made by bench/make_trellis_levels.py; change nothing here."""

import numpy as np

# int8[4, 64]: by rate and window
LEVELS = np.array(
    [
{rows}
    ],
    np.int8,
)  # fmt: skip
# float64[4]: how many of a table's units are the standard deviation
UNITS = np.array({[float(f"{scale:.8g}") for _, scale in tables]})
# float64[8, 4]: mean squared error of a number of variance 1 in a word of 1 to 8 bytes, by rate
ERRORS = np.array(
    [
{errors_text}
    ]
)
# float64[4], by rate: the same of what words of 8 bytes at rate 4 leave, and how much wider levels are for that
SECOND_ERRORS = np.array({second})
SECOND_GAINS = np.array({gains})
'''
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
