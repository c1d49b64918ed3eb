"""One scale a vector, and for distances one squared length: what they make up for, and how they are stored in a byte or more."""

from __future__ import annotations

import math

import numpy as np

from . import ops
from .ops.factors import Factor, from_u2, to_u2

STRETCHES = (1, 0, 2)  # 2 a, the usual one first
RULES = {"auto": STRETCHES, "unbiased": (0,), "between": (1,), "least_squares": (2,)}  # those that a rule leaves to choose from
UNEVEN = 0.2  # spread of lengths from which rows are coded at one length
INSIDE, BELOW = 176, 16  # places of a table of squares within the range of those it is made of, and below it
SHORT = 2.0**-100  # vectors so near to the mean count as it


def evened(z: np.ndarray) -> np.ndarray:
    """Rows float32[n, d] at length sqrt(d); what is shorter than 2^-100 becomes 0."""
    norms, length = ops.norms(z, num_threads=1), np.float32(math.sqrt(z.shape[1]))
    return z * np.where(norms >= SHORT, length / np.maximum(norms, np.float32(SHORT)), np.float32(0))[:, None]


def scales_of(z: np.ndarray, t: np.ndarray, stretch: int, num_threads: int | None) -> np.ndarray:
    """float64[n]: s = (|z|^2 / <z, t>)^(1 - a) (<z, t> / |t|^2)^a for rows z and what they are coded as, t, with a = stretch / 2.

    a = 0 is the unbiased scale, 1 that of least squares. 0 where <z, t> is not positive. Products are taken from lengths, whose
    order of summing is fixed.
    """
    own, coded, apart = (np.square(ops.norms(a, num_threads=num_threads), dtype=np.float64) for a in (z, t, z - t))
    product = (own + coded - apart) / 2
    good = (product > 2.0**-20 * own) & (own > 0)
    product = np.where(good, product, 1.0)
    unbiased, least = np.where(good, own, 0.0) / product, product / np.where(good, coded, 1.0)
    found = unbiased if stretch == 0 else least if stretch == 2 else np.sqrt(unbiased * least)
    return np.where(good, found, 0.0)


def scale_table(scales: np.ndarray, nbytes: int, margin: float = 1.1, widest: float = 1e3) -> np.ndarray:
    """float32[256]: what scales like these are stored by. 1 byte: 0 and a geometric series; 2: the unit of `to_u2`.

    margin : so many times further than scales the series reaches; widest : and at most so many times below the largest
    """
    positive = scales[scales > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    if nbytes == 2:
        return np.full(256, power_of_two(high), np.float32)
    low = max(low / margin, high / widest)  # what lies outside counts as the nearest
    return np.concatenate(([0.0], np.geomspace(low, high * margin, 255))).astype(np.float32)


def square_table(squares: np.ndarray, nbytes: int) -> np.ndarray:
    """float32[256]: what squared lengths like these are stored by. 1 byte: even steps where these are; around them
    steps that grow, to 0 and to 16 times the largest. 2: the unit of `to_u2`."""
    if nbytes != 1:
        return np.full(256, power_of_two(float(np.sqrt(squares.max(initial=0.0)))), np.float32)
    low, high = float(squares.min(initial=np.inf)), max(float(squares.max(initial=0.0)), 1e-30)
    low = min(low, high / 2)
    inside = np.linspace(low, high, INSIDE)
    step, above = inside[1] - inside[0], 256 - INSIDE - BELOW
    growth = _growth(15 * high / step, above)
    up = high + step * np.cumsum(growth ** np.arange(1, above + 1))
    down = low - np.minimum(step * np.cumsum(_growth(low / step, BELOW) ** np.arange(1, BELOW + 1)), low)
    return np.concatenate((down[::-1], inside, up)).astype(np.float32)


def _growth(total: float, steps: int) -> float:
    """g of which g + g^2 + ... + g^steps is `total`, by bisection; between 0 and 16."""
    low, high = 0.0, 16.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float((middle ** np.arange(1, steps + 1)).sum()) < total else (low, middle)
    return high


def store_scales(scales: np.ndarray, table: np.ndarray, nbytes: int) -> np.ndarray:
    """uint8[n, nbytes]: the place of the nearest of the table, by ratio; or scale / table[0] as 2-byte float."""
    if nbytes == 1:
        levels = table.astype(np.float64)
        return np.searchsorted(np.sqrt(levels[1:] * levels[:-1]), scales).astype(np.uint8)[:, None]
    return to_u2((scales / table[0]).astype(np.float32))[:, None].view(np.uint8)


def stored_scales(stored: np.ndarray, table: np.ndarray) -> np.ndarray:
    """float32[n]: the scales that bytes uint8[n, 1 or 2] name."""
    if stored.shape[1] == 1:
        return table[stored[:, 0]]
    return from_u2(np.ascontiguousarray(stored).view("<u2")[:, 0]) * table[0]


def scale_factor(offset: int, table: np.ndarray, nbytes: int) -> Factor:
    """For scans: where these bytes stand."""
    return Factor(offset, "u1", table=table) if nbytes == 1 else Factor(offset, "u2", times=float(table[0]))


def store_squares(lengths: np.ndarray, table: np.ndarray, nbytes: int) -> np.ndarray:
    """uint8[n, nbytes] of lengths float32[n]: the nearest square of the table; length / table[0] as 2-byte float; the square."""
    if nbytes == 1:
        levels = table.astype(np.float64)
        between = (levels[1:] + levels[:-1]) / 2
        return np.searchsorted(between, np.square(lengths, dtype=np.float64)).astype(np.uint8)[:, None]
    if nbytes == 2:
        return to_u2(lengths / table[0])[:, None].view(np.uint8)
    return np.square(lengths).astype("<f4")[:, None].view(np.uint8)


def stored_squares(stored: np.ndarray, table: np.ndarray) -> np.ndarray:
    """float32[n]: the squared lengths that bytes uint8[n, 1, 2 or 4] name."""
    if stored.shape[1] == 1:
        return table[stored[:, 0]]
    stored = np.ascontiguousarray(stored)
    return (from_u2(stored.view("<u2")[:, 0]) * table[0]) ** 2 if stored.shape[1] == 2 else stored.view("<f4")[:, 0]


def square_factor(offset: int, table: np.ndarray, nbytes: int) -> Factor:
    """For scans: minus the squared length that stands there."""
    if nbytes == 1:
        return Factor(offset, "u1", table=-table)
    return Factor(offset, "u2^2", times=-(float(table[0]) ** 2)) if nbytes == 2 else Factor(offset, "f4", times=-1.0)


def power_of_two(x: float) -> float:
    """The least that is x or more, within what factors may be multiplied with; 1 for 0."""
    return 2.0 ** min(max(math.ceil(math.log2(x)), -60), 60) if x > 0 else 1.0
