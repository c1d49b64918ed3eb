"""Scalar quantisation: every component rounded to an even level of its own trained range, or to float16."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_choice
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query

TRAIN_ROWS = 1 << 14  # rows learned from: they hold a range's ends to well below a step
COLUMNS = 32  # searched together: what they take stays in the cache
# shares of the rows that a range may leave out at either end; for normal numbers the best are .006 at 4 bits and 2e-5 at 8
TAILS = (0.0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 0.015, 0.03, 0.06)
ROUNDS = 2  # of the search of one end, then the other
REFITS = 4  # of low and step to labels, by least squares


class SQ(Codec):
    """x_hat[t] = low_[t] + step_[t] * c[t], c[t] a whole number of n_bits; or float16 components where n_bits is 16.

    Code layout:

    | n_bits | code_size | content |
    |---|---|---|
    | 8 | d | byte t is c[t] |
    | 4 | ceil(d / 2) | byte b: c[2 b] in the low half, c[2 b + 1] in the high half, 0 where d is odd and ends |
    | 16 | 2 d | bytes 2 t, 2 t + 1: component t, IEEE 754 binary16, little-endian, rounded to nearest even: `Raw("float16")` |

    c[t] = rint((x[t] - low_[t]) / step_[t]), ties to even, clipped to 0 .. 2^n_bits - 1, each step in float32; 0 where step_[t]
    is 0. Scores are those of the query with x_hat, up to float32 rounding.

    Parameters
    ----------
    n_bits : 8, 4 or 16
    metric : "ip", "l2" or "cos"

    Learned: low_ and step_ float32[d], of up to 16384 rows evenly spread over x. Every dimension's range is the one of least
    squared error among those that leave out up to .06 of the rows at either end, then fitted to its labels by least squares:
    what a few outliers would stretch is clipped instead. A step is at least 4 units in the last place of the range's ends, so
    that every code encodes to itself. A dimension that is constant has step 0, label 0, and decodes exactly. n_bits=16
    learns nothing: both are zeros.

    Values beyond 2^50, at 16 bits beyond float16's range (65504), are a ValueError.
    Cost: fit about 50 passes over the sample; encode a pass over x; a query d multiplications a code, d look-ups for l2.
    """

    state = {"low_": Array("float32", ("dim",)), "step_": Array("float32", ("dim",))}  # noqa: RUF012  ClassVar in Codec
    low_: np.ndarray
    step_: np.ndarray

    def __init__(self, n_bits: int = 8, *, metric: Metric = "ip"):
        self.n_bits = check_choice("SQ", "n_bits", n_bits, (4, 8, 16))
        self.metric = check_choice("SQ", "metric", metric, METRICS)
        self.largest = float(np.finfo(np.float16).max) if self.n_bits == 16 else SQUARES_FIT
        self.group = 2 if self.n_bits == 16 else 1

    @property
    def code_size(self) -> int:
        return -(-self.dim * self.n_bits // 8)

    @property
    def enough_rows(self) -> int:
        return {4: 100, 8: 1000, 16: 1}[self.n_bits]  # fewer do not show the ends of a range

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        self.low_, self.step_ = np.zeros(x.dim, np.float32), np.zeros(x.dim, np.float32)
        if self.n_bits == 16:
            x.check()
            return
        sample = x.take(np.arange(TRAIN_ROWS) * x.n // TRAIN_ROWS) if x.n > TRAIN_ROWS else x.all()
        for start in range(0, x.dim, COLUMNS):
            columns = slice(start, start + COLUMNS)
            self.low_[columns], self.step_[columns] = _best_range(np.ascontiguousarray(sample[:, columns]), self._most)

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        if self.n_bits == 16:
            return x.astype("<f2").view(np.uint8)
        return self._encode_grid(x, num_threads)[0]

    def _encode_unchecked(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, int] | None:
        return None if self.n_bits == 16 else self._encode_grid(x, num_threads)

    def _encode_grid(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, int]:
        step = np.where(self.step_ > 0, self.step_, np.float32(np.inf))
        return ops.encode_sq(x, self.low_, step, self.n_bits, largest=self.largest, num_threads=num_threads)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        if self.n_bits == 16:
            return codes.view("<f2").astype(np.float32)
        out = ops.unpack_codes(codes, self.dim, self.n_bits, num_threads=1).astype(np.float32)
        out *= self.step_
        out += self.low_
        return out

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        if self.n_bits == 16:
            return Query("flat", rows=q, options={"l2": self.metric == "l2"})
        if self.metric != "l2":  # x_hat = middle + step (c - most / 2)
            middle = self.low_ + self.step_ * np.float32(self._most / 2)
            with np.errstate(over="ignore"):  # a query too far away for float32 scores -inf
                constant = ops.project(q, middle[:, None], num_threads=num_threads)[:, 0]
                return Query("dot", rows=q * self.step_, constant=constant, options={"n_bits": self.n_bits})
        levels = self.low_[:, None] + np.arange(self._most + 1, dtype=np.float32) * self.step_[:, None]
        with np.errstate(over="ignore"):
            tables = q[:, :, None] - levels
            tables *= tables
            np.negative(tables, out=tables)
        return Query("lut8" if self.n_bits == 8 else "lut4", tables=tables)

    @property
    def _most(self) -> int:
        """The largest label."""
        return 2**self.n_bits - 1

    @classmethod
    def examples(cls) -> list[Codec]:
        return [cls(n_bits, metric=metric) for metric in METRICS for n_bits in (8, 4, 16)]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """8 bits or 4 a dimension, the larger that fits; 16 bits are Raw's."""
        fitting: list[Codec] = [cls(n_bits, metric=metric) for n_bits in (8, 4) if -(-dim * n_bits // 8) <= code_size]
        return fitting[:1]


def _labels(x: np.ndarray, low: np.ndarray, step: np.ndarray, most: int) -> np.ndarray:
    """float32[n, d]: the whole numbers that the components of x are rounded to."""
    out = x - low
    out /= np.where(step > 0, step, np.float32(np.inf))
    np.rint(out, out=out)
    return np.clip(out, 0, most, out=out)


def _best_range(x: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """low and step float32[d] of about the least squared error on x float32[n, d], for labels up to `most`."""
    ordered = np.sort(x, axis=0)
    left_out = [int(share * (len(x) - 1)) for share in TAILS]
    lows, highs = ordered[left_out], ordered[[len(x) - 1 - i for i in left_out]]
    low, high = lows[0], highs[0]
    best = _error(x, low, _step(low, high, most), most)

    def keep(new_low: np.ndarray, new_high: np.ndarray) -> None:
        nonlocal low, high, best
        error = _error(x, new_low, _step(new_low, new_high, most), most)
        better = error < best
        low, high, best = np.where(better, new_low, low), np.where(better, new_high, high), np.where(better, error, best)

    for _ in range(ROUNDS):
        for candidate in lows[1:]:
            keep(candidate, high)
        for candidate in highs[1:]:
            keep(low, candidate)
    for _ in range(REFITS):
        keep(*_refit(x, low, _step(low, high, most), most))
    return low, np.where(ordered[0] < ordered[-1], _step(low, high, most), np.float32(0))


def _refit(x: np.ndarray, low: np.ndarray, step: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the range of least squared error for the labels that x has: a regression of x on its labels."""
    labels = _labels(x, low, step, most).astype(np.float64)
    mean, middle = x.mean(axis=0, dtype=np.float64), labels.mean(axis=0)
    spread = np.square(labels - middle).sum(axis=0)
    slope = ((labels - middle) * (x - mean)).sum(axis=0) / np.where(spread > 0, spread, 1)
    first = mean - slope * middle
    return first.astype(np.float32), (first + slope * most).astype(np.float32)


def _step(low: np.ndarray, high: np.ndarray, most: int) -> np.ndarray:
    """float32[d]: between levels, never so small that two of them, or the rounding of one, could be confused."""
    least = 4 * np.spacing(np.maximum(np.abs(low), np.abs(high)))
    return np.maximum((high - low) / np.float32(most), least)


def _error(x: np.ndarray, low: np.ndarray, step: np.ndarray, most: int) -> np.ndarray:
    """float64[d]: the squared error of x, summed over rows."""
    out = _labels(x, low, step, most)
    out *= step
    out += low
    out -= x
    return np.square(out, dtype=np.float64).sum(axis=0)
