"""What recall a distortion leaves: the exact scores of the nearest rows, with the noise that such a code adds, simulated.

Two kinds of noise are modelled, both Gaussian and independent from row to row.

"ideal" : that of an ideal code that knows the spectrum (vecpress/bounds.py). Along a principal axis of variance v its mean
    squared error is D = min(water level, v), and what is decoded is (1 - D / v) times the component plus noise of variance
    D (1 - D / v): the forward test channel of a Gaussian source (Cover and Thomas, chapter 10; Berger, "Rate Distortion Theory").
"even" : one variance along all axes, uncorrelated with the vector, as of codes that turn the axes at random and estimate without
    bias: LloydMax, RaBitQ.

So a score <q, x^> given x is normal: its variance is the sum of q_t^2 D_t (1 - D_t / v_t), or |q|^2 times that of the noise. A
squared distance is drawn by its first three cumulants.

How far it is off: the forecast at a codec's distortion less its recall 10@10, in points, for 300 queries that nothing was fitted
on, of medquad_minilm (30,000 rows, 384 dimensions, inner product), sift_photos_us (100,000 rows, 128 dimensions, l2) and
sift_multiview (9,236 rows of another source of the same kind).

| noise | data | codec of so many bytes, or bits a dimension: error |
|---|---|---|
| ideal | medquad_minilm | OPQ 24 bytes: +1, 48: +1 |
| ideal | sift_photos_us | OPQ 8 bytes: +4, 16: +2, 32: +2, 64: 0; PQ 8: +4, 16: +3, 32: +2 |
| ideal | sift_multiview | OPQ 16 bytes: +5, 32: +2 |
| even | medquad_minilm | LloydMax 1 bit: -5, 2: -3, 4: -1; RaBitQ 2 bits: -4 |
| even | sift_photos_us | LloydMax 1 bit: -4, 2: -4, 4: -1; RaBitQ 2 bits: -3 |
| even | sift_multiview | LloydMax 1 bit: 0, 2: -2 |

So for a code whose noise is of the kind it is within 5 points: a little high for codes that know the spectrum, as near rows get
near codes, and errors are not independent; a little low for the others. For a code of the other kind it says nothing: "ideal" is
5 to 58 points too low for LloydMax of 1 and 2 bits, and 13 for PQ of 48 bytes in medquad's own axes; "even" is 18 too high for
OPQ of 24 bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import bounds
from .arrays import Rows, as_array, is_torch
from .checks import Metric, check_choice, check_int
from .codec import METRICS
from .evaluate import exact
from .pca import check_columns, principal

__all__ = ["Axes", "forecast_recall"]

CANDIDATES = 2000  # nearest rows of each query that noise may bring among the k best
QUERIES = 200  # the standard error of a recall is then about 0.01
WORK = 1e11  # multiply-adds of the exact search at most: of a larger base every s-th row is taken
NOISES = ("ideal", "even")


@dataclass(frozen=True)
class Axes:
    """Principal axes. mean float64[d]; variances float64[d], falling; directions float64[d, d], one a column."""

    mean: np.ndarray
    variances: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, sample: np.ndarray) -> Axes:
        """Those of float32[n, d]. Cost: n d^2 + 9 d^3."""
        return cls(sample.mean(axis=0, dtype=np.float64), *principal(sample))


def forecast_recall(
    x: Any,
    queries: Any,
    distortions: Sequence[float],
    *,
    metric: Metric = "ip",
    noise: str = "ideal",
    k: int = 10,
    seed: int = 0,
    axes: Axes | None = None,
    own: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """The expected recall k@k, ties counted, of codes of these distortions: float64[len(distortions)].

    x : [n, d], read in blocks; queries : [nq, d], of which at most 200 are drawn
    distortions : mean squared error by the variance (of unit vectors under "cos"), 0 to 1, as `evaluate` gives it
    noise : "ideal" or "even": the module's docstring, which also says how far the forecast is off
    axes : of x; None: of at most 20,000 rows
    own : where the queries are rows of x, their row numbers int64[nq], nq at most 200: no row then counts as its own neighbour

    A base larger than 5e8 / d rows is thinned to every s-th row, and as its rows are further apart the forecast is then too high.
    Memory: one query's 2,000 candidates and d x d; time: one exact search, 2,000 d^2 multiply-adds a query for l2.
    Raises TypeError or ValueError for bad input.
    """
    check_choice("forecast_recall", "metric", metric, METRICS)
    check_choice("forecast_recall", "noise", noise, NOISES)
    k = check_int("forecast_recall", "k", k, 1, CANDIDATES)
    unit = metric == "cos"
    x = x if is_torch(x) else as_array(x, "forecast_recall: x")
    whole = Rows(x, "forecast_recall: x", unit=unit, num_threads=num_threads)
    check_columns("forecast_recall", whole.dim)
    asked = Rows(queries, "forecast_recall: queries", whole.dim, unit=unit, num_threads=num_threads)
    wrong = [d for d in distortions if not 0 <= d <= 1]  # nan is not
    if wrong:
        raise ValueError(f"forecast_recall: distortions expected 0 to 1, got {wrong[0]}")
    if own is not None:
        own = np.asarray(own)
        if own.shape != (asked.n,) or own.dtype.kind not in "iu" or asked.n > QUERIES or ((own < 0) | (own >= whole.n)).any():
            wanted = f"a row number below {whole.n} for each of {asked.n} queries, {QUERIES} at most"
            raise ValueError(f"forecast_recall: own expected {wanted}, got shape {own.shape} of {own.dtype}")
    q = asked.sample(QUERIES, seed)
    if not (whole.n and len(q)):
        raise ValueError(f"forecast_recall: x and queries expected at least one row, got {whole.n} and {len(q)}")
    axes = Axes.of(whole.sample(20_000, seed)) if axes is None else axes
    step = thinning(whole.n, len(q), whole.dim)
    rows = whole if step == 1 else Rows(x[::step], "forecast_recall: x", unit=unit, num_threads=num_threads)
    scores, ids = exact(q, x[::step] if step > 1 else x, min(CANDIDATES, rows.n), metric, num_threads=num_threads)
    if own is not None:
        scores, ids = without(scores, ids, own, step)
    similar = -scores if metric == "l2" else scores
    model = _Model(axes, [float(d) for d in distortions], noise, l2=metric == "l2")
    k = min(k, ids.shape[1])
    rng = np.random.Generator(np.random.PCG64(seed))
    hits = np.zeros(len(model.power))
    for row, query in enumerate(q):
        normal = rng.standard_normal(ids.shape[1])  # one draw for all distortions, so that curves are smooth
        noisy = model.draw(query.astype(np.float64), rows.take(ids[row]), similar[row], normal)
        found = np.argpartition(-noisy, k - 1, axis=0)[:k]
        hits += (similar[row][found] >= similar[row, k - 1]).sum(axis=0)
    return hits / (k * len(q))


def without(scores: np.ndarray, ids: np.ndarray, own: np.ndarray, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Results [nq, k - 1] without each query's own row, or the last where that is not among them."""
    mine = ids * step == own[:, None]
    mine[~mine.any(axis=1), -1] = True
    return scores[~mine].reshape(len(ids), -1), ids[~mine].reshape(len(ids), -1)


def thinning(n: int, nq: int, d: int) -> int:
    """Every how many-th row of a base is searched, so that the work is bounded."""
    return max(1, math.ceil(n * min(nq, QUERIES) * d / WORK))


class _Model:
    """What is known of a query's scores of its candidates, at several distortions at once."""

    def __init__(self, axes: Axes, distortions: list[float], noise: str, l2: bool):
        self.axes, self.noise, self.l2 = axes, noise, l2
        v = axes.variances
        if noise == "ideal":
            error = np.minimum(v, np.array([bounds.water_level(v, d) for d in distortions])[:, None])
            self.gain = 1.0 - np.divide(error, v, out=np.ones_like(error), where=v > 0)  # [distortions, d]
            self.power = error * self.gain  # variance of the noise
        else:
            self.power = np.outer(distortions, np.full(len(v), v.mean()))
            self.gain = np.ones_like(self.power)

    def draw(self, query: np.ndarray, candidates: np.ndarray, similar: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Noisy similarities [candidates, distortions]. query float64[d]; similar: the true ones; normal: a draw a candidate."""
        if not self.l2:
            at = query @ self.axes.directions
            if self.noise == "even":
                means = similar[:, None].astype(np.float64)
            else:
                means = candidates @ (self.gain * at @ self.axes.directions.T).T
            return means + normal[:, None] * np.sqrt(np.square(at) @ self.power.T)
        # |u - e|^2 for u = q - gain x and the noise e: its first three cumulants, sums over the axes
        s = self.power.T
        if self.noise == "even":
            away = -similar[:, None].astype(np.float64)
            sums = [away * s[0] ** j for j in range(3)]  # of u^2 times the noise's variance to the power j
        else:
            at, z = ((y - self.axes.mean) @ self.axes.directions for y in (query, candidates))
            z2 = np.square(z)
            sums = []
            for j in range(3):
                weight = self.power**j
                once, twice = (weight * self.gain * at).T, (weight * self.gain**2).T
                sums.append(np.maximum(np.square(at) @ weight.T - 2 * z @ once + z2 @ twice, 0))
        mean = sums[0] + s.sum(axis=0)
        variance = 4 * sums[1] + 2 * np.square(s).sum(axis=0)
        third = 24 * sums[2] + 8 * (s**3).sum(axis=0)
        skew = np.divide(third, variance**1.5, out=np.zeros_like(third), where=variance > 0)
        return -mean - np.sqrt(variance) * _skewed(normal[:, None], np.maximum(skew, 1e-6))


def _skewed(normal: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Normal numbers made into ones of mean 0, variance 1 and this skewness (about a gamma distribution's).

    Source: Wilson and Hilferty, "The distribution of chi-square", 1931.
    """
    return (2 / skew) * ((1 + skew * normal / 6 - np.square(skew) / 36) ** 3 - 1)
