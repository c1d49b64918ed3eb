"""How a transform code is learned: axes, bytes of factors, labels and words; its options by the recall of held-out rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from . import ops
from .allocation import allocate
from .axes import CENTROIDS, LABEL_ROWS, MATCHED_ROWS, AxesCode, few
from .checks import Metric
from .heldout import FAR_QUERIES, JUDGED_ROWS, LEARNED_ROWS, LEAST_ROWS, Judge, hold_out
from .ops.trellis_levels import Tables
from .scales import STRETCHES, UNEVEN, evened, scales_of, square_table
from .weighting import Transform, query_axes

ALL_LABELS = 24  # bytes up to which the usual code has as many labels as it may, and
SOME_LABELS = 8  # beyond
FEWEST_BYTES = 4  # of a code: so few have no second byte for a scale
LEAST_LABEL_ROWS = 8 * CENTROIDS  # without which there are no labels
# options, and by how much recall they must be better than the usual ones: so much is chance
EXPONENTS = {0.5: 0.0, 0.3: 0.002, 0.0: 0.005}
FEW_ROWS_EXPONENT = 0.3  # of rows that are too few to choose by and to tell which directions others hardly have
STRETCH_PRICES = dict(zip(STRETCHES, (0.0, 0.002, 0.003), strict=True))
UNUSUAL_LABELS = 0.02  # more of them gain more by more rows than they are tried with
NEIGHBOURS = 10, 40
BLOCK_ROWS = 8192  # mapped at a time
SMALLEST = 1e-27  # squared lengths below are not told apart by the even steps of a byte, which end at 1e-30
ROUNDED = 0.1  # of the variance of a score's error, which the rounding of squared lengths may add


class Options(NamedTuple):
    """How much queries weigh, how many labels there are, and 2 a of the scale."""

    exponent: float
    labels: int
    stretch: int


@dataclass(frozen=True)
class Plan:
    """What is asked for: sizes are the bytes of a code up to the end of each layer; stretches, 2 a that scales may have."""

    metric: Metric
    sizes: tuple[int, ...]
    labels: int
    tables: Tables
    seed: int
    stretches: tuple[int, ...] = STRETCHES

    def most_labels(self, factors: int) -> int:
        return max(min(self.labels, self.sizes[0] - factors if self.sizes[0] <= ALL_LABELS else SOME_LABELS), 0)


class Form(NamedTuple):
    """What form_ holds: bytes of a scale and of a squared length; labels, words, passes; 2 a; 1 for rows of one length."""

    scale_bytes: int
    square_bytes: int
    labels: int
    words: int
    passes: int
    stretch: int
    uneven: int

    @property
    def factors(self) -> int:
        return self.scale_bytes + self.square_bytes


@dataclass(frozen=True)
class TransformCode:
    """Rows in axes that suit them, and what they are coded as there. scale_bytes, square_bytes : of the factors of each layer"""

    transform: Transform
    code: AxesCode
    uneven: bool
    scale_bytes: int
    square_bytes: int

    def rows(self, x: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """x in these axes, float32[n, d], at one length where that is what is coded; what they were divided by, float64[n]."""
        z = ops.project(x - self.transform.mean, self.transform.forward, num_threads=num_threads)
        if not self.uneven:
            return z, np.ones(len(z))
        lengths = ops.norms(z, num_threads=num_threads).astype(np.float64) / math.sqrt(z.shape[1])
        return evened(z), np.where(lengths > 0, lengths, 1.0)  # the mean itself is at no length, and its scale will be 0

    def scales(self, z: np.ndarray, lengths: np.ndarray, t: np.ndarray, stretch: int, num_threads: int | None) -> np.ndarray:
        """float64[n]: of rows as of `rows` and what they are coded as."""
        return scales_of(z, t, stretch, num_threads) * lengths

    def sorted(self) -> TransformCode:
        """The same with axes in the order in which they are coded, in which nothing needs to be gathered."""
        order, code = self.code.sorted()
        forward, back = (np.ascontiguousarray(columns[:, order]) for columns in (self.transform.forward, self.transform.back))
        return replace(self, transform=self.transform._replace(forward=forward, back=back), code=code)

    def points(
        self, t: np.ndarray, scale: np.ndarray, num_threads: int | None, mean: np.ndarray | None = None
    ) -> np.ndarray:  # fmt: skip
        """float32[n, d]: x_hat less the mean, or x_hat if that is given."""
        return ops.project(t * scale[:, None], np.ascontiguousarray(self.transform.back.T), mean, num_threads=num_threads)

    def lengths(self, t: np.ndarray, scale: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[n]: |x_hat - mean|."""
        return ops.norms(self.points(t, scale, num_threads), num_threads=num_threads)


def learn(
    x: np.ndarray, queries: np.ndarray | None, plan: Plan, exponent: float, labels: int, num_threads: int | None,
    known: np.ndarray | None = None, *, trial: bool = False, few_rows: bool | None = None,
) -> tuple[TransformCode, np.ndarray]:  # fmt: skip
    """For rows x, queries None means rows as queries; and the labels' centroids before axes were mixed, float32[labels, 256, d].

    known, trial : as of `AxesCode.learn`
    few_rows : whether x is taken from few rows, by `few`; None asks x itself
    """
    transform = query_axes(x, queries, plan.metric, exponent)
    few_rows = few(x) if few_rows is None else few_rows
    z = np.concatenate([
        ops.project(x[start : start + BLOCK_ROWS] - transform.mean, transform.forward, num_threads=num_threads)
        for start in range(0, min(len(x), LABEL_ROWS), BLOCK_ROWS)
    ])[:LABEL_ROWS]  # fmt: skip
    norms = ops.norms(z, num_threads=num_threads).astype(np.float64)
    uneven = float(norms.std()) > UNEVEN * float(norms.mean())
    variances = transform.variances
    if uneven:
        z = evened(z)
        variances = np.square(z, dtype=np.float64).mean(axis=0)
    scale_bytes = 2 if uneven and plan.sizes[0] > FEWEST_BYTES else 1
    square_bytes = 0
    if plan.metric == "l2":
        squares = np.square(ops.norms(x[:LABEL_ROWS] - transform.mean, num_threads=num_threads), dtype=np.float64)
        square_bytes = _square_bytes(squares, variances, plan, uneven, scale_bytes)
    factors = scale_bytes + square_bytes
    layers = [size - before - factors for size, before in zip(plan.sizes, (0, *plan.sizes), strict=False)]
    labels = min(labels, layers[0])
    lengths = norms / max(float(norms.mean()), 1e-300) if uneven else np.ones(len(z))
    code = AxesCode.learn(
        z, lengths, variances, layers, labels, plan.tables, plan.seed, num_threads, known, trial=trial, few_rows=few_rows
    )
    rotation, mixed = code.mixed(plan.seed, num_threads)
    turned = ops.project(z[: 2 * MATCHED_ROWS], rotation, num_threads=num_threads)
    mixed = mixed.widened() if few_rows else mixed.matched(turned, lengths[: 2 * MATCHED_ROWS], num_threads)
    forward, back = (ops.project(columns, rotation, num_threads=num_threads) for columns in (transform.forward, transform.back))
    transform = Transform(transform.mean, forward, back, np.empty(0))  # no longer in the order of variances, nor used
    return TransformCode(transform, mixed, uneven, scale_bytes, square_bytes), code.centroids


def _square_bytes(squares: np.ndarray, variances: np.ndarray, plan: Plan, uneven: bool, scale_bytes: int) -> int:
    """The fewest of 1, 2 and 4, with which rounded squared lengths change scores by less than what is lost in any case.

    With the share r of squared lengths that coding loses, 2 <q, x_hat> errs by 2 |x|^2 sqrt(r / d), where queries are as long as
    rows. One byte has even steps, so rows must be of about one length; two round by 2^-10 of a square.
    """
    payload = max(plan.sizes[-1] - 1 - scale_bytes, 1)
    lost = allocate(np.sort(variances)[::-1], payload, plan.tables.errors).error / max(float(variances.sum()), 1e-300)
    variance = ROUNDED * 4 * lost / len(variances)
    step = float(np.median(np.diff(square_table(squares, 1)))) / max(float(squares.mean()), 1e-30)
    even = not uneven and float(squares.mean()) > SMALLEST
    wanted = 1 if step**2 / 12 <= variance and even else 2 if 2.0**-20 / 3 <= variance else 4
    return wanted if scale_bytes + wanted < plan.sizes[0] else 2


@FAR_QUERIES
def choose(x: np.ndarray, queries: np.ndarray | None, plan: Plan, num_threads: int | None) -> Options:
    """Options by the recall of rows and for queries that were not learned from, on average over layers."""
    parts = hold_out(x, queries, plan.seed)
    if parts is None:
        exponent = FEW_ROWS_EXPONENT if len(x) < LEAST_ROWS and few(x) else next(iter(EXPONENTS))
        return Options(exponent, 0, plan.stretches[0])
    half = min(len(parts.rows) // 2, LEARNED_ROWS)
    learned, base = parts.rows[:half], parts.rows[half : half + JUDGED_ROWS]
    judge, tried = Judge(base, parts.judges, plan.metric, NEIGHBOURS), dict[Options, float]()
    usual_labels = most = plan.most_labels(1 + (plan.metric == "l2")) if len(learned) >= LEAST_LABEL_ROWS else 0

    def attempt(exponent: float, labels: int, known: np.ndarray | None = None) -> np.ndarray:
        made, centroids = learn(learned, parts.known, plan, exponent, labels, num_threads, known, trial=True, few_rows=few(x))
        transform = made.transform
        z, lengths = made.rows(base, num_threads)
        turned = (parts.judges - transform.mean if plan.metric == "l2" else parts.judges) @ transform.back
        recalls: dict[int, list[float]] = {stretch: [] for stretch in plan.stretches}
        for _, t in made.code.encode(z, num_threads):
            products = turned @ t.T
            own = np.square(t @ transform.back.T).sum(axis=1) if plan.metric == "l2" else np.zeros(len(t), np.float32)
            for stretch, so_far in recalls.items():
                scale = made.scales(z, lengths, t, stretch, num_threads).astype(np.float32)
                so_far.append(judge.recall(products * scale, own * scale**2))
        for stretch, so_far in recalls.items():
            price = STRETCH_PRICES[stretch] + EXPONENTS[exponent] + UNUSUAL_LABELS * (labels != usual_labels)
            tried[Options(exponent, labels, stretch)] = float(np.mean(so_far)) - price
        return centroids

    for exponent in EXPONENTS:
        attempt(exponent, 0)
    exponent, centroids = max(tried, key=lambda option: tried[option]).exponent, None
    for labels in sorted({most, min(most, SOME_LABELS), most // 2} - {0}, reverse=True):
        made = attempt(exponent, labels, centroids)
        centroids = made if centroids is None else centroids  # the others' are the first of these
    return max(tried, key=lambda option: tried[option])
