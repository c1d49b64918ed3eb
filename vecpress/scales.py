"""One scale a vector, which makes up for what a code loses: its formula, and the 256 levels that a byte of it names."""

from __future__ import annotations

import numpy as np

from . import ops

STRETCHES = (0, 1, 2)  # 2 a
LEAST_COSINE = 2.0**-20  # a code whose vector is further from x counts as orthogonal to it
MARGIN = 2.0  # levels reach so much further than the scales that they are learned from


def stretched(x: np.ndarray, t: np.ndarray, stretch: int, num_threads: int | None) -> np.ndarray:
    """float64[n]: the scale s with which s t stands for x; 0 where <x, t> is not clearly positive.

    s = (|x|^2 / <x, t>)^(1 - a) (<x, t> / |t|^2)^a, a = stretch / 2

    x, t : float32[n, d]
    stretch : 0 for the scale that makes <x, s t> = |x|^2, which leaves no bias in what points the way of x; 2 for that of least
        squared error; 1 for their geometric mean

    Products are taken from norms, whose order of summing is fixed.
    Source: Gao and Long, "RaBitQ", 2024 (the first); the second is least squares.
    """
    own, coded, apart = (np.square(ops.norms(a, num_threads=num_threads), dtype=np.float64) for a in (x, t, x - t))
    product = (own + coded - apart) / 2
    good = (product > 0) & (product > LEAST_COSINE * own)
    product = np.where(good, product, 1.0)
    unbiased, least = np.where(good, own, 0.0) / product, product / np.where(good, coded, 1.0)
    found = unbiased if stretch == 0 else least if stretch == 2 else np.sqrt(unbiased * least)
    return np.where(good, found, 0.0)


def learn_levels(scales: np.ndarray) -> np.ndarray:
    """float32[256]: 0, and even ratios from half the least to twice the largest positive one of scales float64[n].

    Scales that differ by a factor of 3 are rounded by 0.5 % at most, of 1000 by 1.6 %: little beside what codes of a byte for
    several dimensions lose.
    """
    positive = scales[scales > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    least = max(low / MARGIN, high * 1e-6)  # what lies outside counts as the nearest
    return np.concatenate(([0.0], np.geomspace(least, high * MARGIN, 255))).astype(np.float32)


def nearest_level(levels: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """uint8[n]: the places in levels float32[256], ascending, of the nearest by ratio; of a scale of 0, the first."""
    levels = levels.astype(np.float64)
    return np.searchsorted(np.sqrt(levels[1:] * levels[:-1]), scales).astype(np.uint8)
