"""Rows to the points of a grid that point most nearly in their direction."""

from __future__ import annotations

import math

import numpy as np

from ..checks import check_choice
from ..dispatch import empty, reference, run
from .norms import LANES
from .numerics import array
from .pack_codes import BITS

SHORT = np.float32(2.0**-100)
STEPS = 32767  # what a row's largest magnitude is rounded to
MOST = 65535
SMALL = 32  # rows of fewer columns are searched over every scale
FINE = 32  # candidates between the neighbours of the best
# by n_bits: the best scale of many normal numbers of variance 1, and how many candidates are tried around it
NORMAL = {2: 1.0, 3: 1.7, 4: 2.95, 5: 5.45, 6: 10.1, 7: 19.5, 8: 39.0}
COARSE = {2: 32, 3: 32, 4: 48, 5: 96, 6: 128, 7: 256, 8: 512}
COARSE_SMALL = 1024


def encode_grid(
    y: np.ndarray, n_bits: int, along: np.ndarray | None = None, *, num_threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For each row the grid point g of the largest cosine with it, but for a loss below; g[t] is one of c - (2^n_bits - 1) / 2.

    The best point of all is, for some scale, the row's components rounded to the grid. The search is over scales, in whole
    numbers; `//` rounds down. With K = 2^(n_bits - 1), and ">>" a shift to the right:

        a[t]    = |y[t]| * f + 0.5, each step rounded to float32, then down to a whole number; f = 32767 / max |y|, in float32
        m[t](T) = min((a[t] T >> 29 - n_bits) | 1, 2 K - 1): twice the magnitude of g at scale T, an odd number
        gain(T) = (P * P) / Q in float64, P = sum of a[t] m[t], Q = sum of m[t]^2, both exact

    Candidates are `count` whole numbers from `low` to `high`, number j being low + j (high - low) // (count - 1). T is the one
    of the largest gain, the first where several are equal, of COARSE[n_bits] candidates; then again of these and FINE more,
    which come after them, between T - w and T + w, w = (high - low) // (count - 1), neither below 1 nor above 65535. At first

        d < 32:  low = 1, high = 65535, count = 1024
        else     low  = 0.75 * min(b, 16384) rounded down      b = NORMAL[n_bits] * 2^(30 - n_bits) / sqrt(sum of a[t]^2 / d)
                 high = min(max(b, 16384) * 4 / 3, 65535) rounded down             in float64, operation by operation

    With one bit, and where max |y| is below 2^-100, m = 1. g[t] is m[t] / 2 where y[t] > 0, else -m[t] / 2; the label is
    c = g[t] + K - 1/2.

    On rows of normal numbers 1 - cosine comes out about 1e-4 of itself, or less, above the least there is (a few times that
    where d is below 10: such rows may be nearer to the grid than a[t] resolves).

    Parameters
    ----------
    y : float32[n, d], finite, d at least 1
    n_bits : 1 to 8
    along : float32[d], a vector w that rows and points are multiplied with, zeros if None

    Returns
    -------
    labels uint8[n, d]
    sums float64[n, 5] : <y, y>, <y, g>, <y, w>, <g, w> and <g, g>. The first four are summed in float64 as `norms` does, by lanes
        of every eighth column; their terms are exact, and so is the last.

    Cost: COARSE[n_bits] + 32 passes of about 8 instructions over 2-byte numbers in the L1 cache; one pass with one bit.
    Source: Gao et al., "Practical and asymptotically optimal quantization of high-dimensional vectors ...", SIGMOD 2025, for the
    aim; there all d 2^(n_bits - 1) scales at which a label changes are visited in order, with a heap.
    """
    y = array("encode_grid", "y", y, np.float32, (None, None))
    n_bits = check_choice("encode_grid", "n_bits", n_bits, BITS)
    if y.shape[1] == 0:
        raise ValueError(f"encode_grid: y expected at least 1 column, got shape {y.shape}")
    if along is None:
        along = np.zeros(y.shape[1], np.float32)
    along = array("encode_grid", "along", along, np.float32, (y.shape[1],))
    labels, sums = empty(y.shape, np.uint8), empty((len(y), 5), np.float64)
    run("encode_grid", labels, sums, y, along, n_bits, num_threads=num_threads)
    return labels, sums


@reference("encode_grid")
def _encode_grid(labels: np.ndarray, sums: np.ndarray, y: np.ndarray, along: np.ndarray, n_bits: int) -> None:
    w = along.astype(np.float64)
    d = y.shape[1]
    most = 2**n_bits - 1
    for i, row in enumerate(y):
        m = np.ones(d, np.int64)
        largest = np.abs(row).max()
        if n_bits > 1 and largest >= SHORT:
            a = (np.abs(row) * (np.float32(STEPS) / largest) + np.float32(0.5)).astype(np.int64)
            m = _magnitudes(a, _best_scale(a, n_bits), n_bits)
        doubled = np.where(row > 0, m, -m)
        labels[i] = (doubled + most) >> 1
        values, point = row.astype(np.float64), 0.5 * doubled
        sums[i, :4] = [_by_lanes(terms) for terms in (values * values, values * point, values * w, point * w)]
        sums[i, 4] = 0.25 * (m * m).sum()


def _best_scale(a: np.ndarray, n_bits: int) -> int:
    low, high, count = 1, MOST, COARSE_SMALL
    if len(a) >= SMALL:
        best = NORMAL[n_bits] * 2.0 ** (30 - n_bits) / math.sqrt(float((a * a).sum()) / len(a))
        low, high, count = int(0.75 * min(best, 16384.0)), int(min(max(best, 16384.0) * 4 / 3, MOST)), COARSE[n_bits]
    tried = low + np.arange(count) * (high - low) // (count - 1)
    first = int(tried[_gains(a, tried, n_bits).argmax()])
    step = (high - low) // (count - 1)
    low, high = max(first - step, 1), min(first + step, MOST)
    tried = np.append(first, low + np.arange(FINE) * (high - low) // (FINE - 1))
    return int(tried[_gains(a, tried, n_bits).argmax()])


def _gains(a: np.ndarray, scales: np.ndarray, n_bits: int) -> np.ndarray:
    """float64[len(scales)]: the squared cosines, but for a factor that is the row's."""
    gains = np.empty(len(scales))
    for j, scale in enumerate(scales):
        m = _magnitudes(a, scale, n_bits)
        product = float((a * m).sum())
        gains[j] = product * product / float((m * m).sum())
    return gains


def _magnitudes(a: np.ndarray, scale: int, n_bits: int) -> np.ndarray:
    return np.minimum(a * scale >> (29 - n_bits) | 1, 2**n_bits - 1)


def _by_lanes(terms: np.ndarray) -> float:
    lanes = np.zeros(LANES)
    for t in range(0, len(terms), LANES):
        part = terms[t : t + LANES]
        lanes[: len(part)] += part
    four = lanes[:4] + lanes[4:]
    two = four[:2] + four[2:]
    return float(two[0] + two[1])
