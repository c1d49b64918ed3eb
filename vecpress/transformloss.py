"""What a transform code loses: measured when it is learned, from there bounds of scores, and how other rows compare."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .arrays import FLOAT32_MAX
from .axes import LABEL_ROWS
from .checks import Metric
from .heldout import JUDGES
from .scales import scale_table, square_table
from .transformfit import TransformCode

PAIRED_ROWS, BOUNDED = 2048, 0.993  # with JUDGES queries; more than the 99 % that are promised, for these are a sample


class Drift(NamedTuple):
    """Squared error by squared length in the axes, of rows that were learned from and of others."""

    expected: float
    found: float

    @property
    def ratio(self) -> float:
        """1 where rows are like those; as much more as they lose more."""
        return self.found / max(self.expected, 1e-30)


class Loss(NamedTuple):
    """By layer. scales, squares : float32[l, 256], `vecpress.scales`; errors : float32[l, d], root mean squares of z / s - t

    figures : float32[l, 3], squared error by squared length, and the width and of_square of `bounds`
    """

    scales: np.ndarray
    squares: np.ndarray
    errors: np.ndarray
    figures: np.ndarray


def measure(
    made: TransformCode, x: np.ndarray, queries: np.ndarray | None, metric: Metric, stretch: int, num_threads: int | None
) -> Loss:  # fmt: skip
    """On rows x and queries; rows stand for these where there are none."""
    x = x[:LABEL_ROWS]
    asked = (x if queries is None else queries)[:JUDGES].astype(np.float64)
    turned = (2 * (asked - made.transform.mean) if metric == "l2" else asked) @ made.transform.back
    z, lengths = made.rows(x, num_threads)
    own = np.square(x - made.transform.mean, dtype=np.float64).sum(axis=1)
    layers = []
    for _, t in made.code.encode(z, num_threads):
        scales = made.scales(z, lengths, t, stretch, num_threads)
        squares = np.square(made.lengths(t, scales.astype(np.float32), num_threads), dtype=np.float64)
        relative = scales / lengths
        good = np.flatnonzero(scales > 0)
        apart = z[good] / relative[good, None] - t[good]
        errors = np.sqrt(np.square(apart, dtype=np.float64).sum(axis=0) / max(len(good), 1))
        away = (own - squares)[good] / np.square(scales[good]) * (metric == "l2")
        of_square = math.sqrt(float(np.square(away).sum()) / max(len(good), 1))
        some = good[:PAIRED_ROWS]
        off = turned @ apart[: len(some)].T - scales[some] * away[: len(some)]
        ratios = np.abs(off) / np.maximum(bounds(turned, scales[some], errors, 1.0, of_square), 1e-300)
        width = float(np.quantile(ratios, BOUNDED)) if ratios.size else 0.0
        lost = share_lost(z, relative, t)
        figures = np.minimum([lost[0] / max(lost[1], 1e-300), width, of_square], FLOAT32_MAX)
        table = square_table(squares, made.square_bytes) if made.square_bytes else np.zeros(256, np.float32)
        layers.append(Loss(scale_table(scales, made.scale_bytes), table, errors, figures))
    return Loss(*(np.array(column).astype(np.float32) for column in zip(*layers, strict=True)))


def bounds(turned: np.ndarray, scales: np.ndarray, errors: np.ndarray, width: float, of_square: float) -> np.ndarray:
    """float64[nq, n]: width sqrt(sum of (turned_i errors_i)^2 + (s of_square)^2), by which scores / s are off at most, as a rule.

    turned : [nq, d], queries in the axes, for l2 twice these; scales : s, [n]
    """
    spread = np.square(turned, dtype=np.float64) @ np.square(errors, dtype=np.float64)
    return width * np.sqrt(spread[:, None] + np.square(scales * of_square, dtype=np.float64))


def share_lost(z: np.ndarray, relative: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """The squared error of rows z that are coded as relative * t, and their squared length."""
    error = np.square(z - relative[:, None] * t, dtype=np.float64).sum()
    return float(error), float(np.square(z, dtype=np.float64).sum())
