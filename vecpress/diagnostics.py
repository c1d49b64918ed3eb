"""What your vectors are like, and what compression can reach with them, before any codec is fitted.

Everything is measured on a sample of rows drawn with a seed, so that a base larger than memory stays on its disk, but for the
recall forecast, which searches the base itself (thinned where it is very large).
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import bounds
from .arrays import Rows, as_array, is_torch
from .checks import Metric, check_choice, check_int
from .codec import METRICS
from .evaluate import exact
from .forecast import QUERIES, Axes, forecast_recall, thinning, without
from .pca import check_columns
from .sources import SAMPLE_NBYTES, Stream, sample, split
from .vectorfiles import batches

__all__ = ["Budget", "Diagnosis", "diagnose"]

BUDGETS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
DISTORTIONS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
MOST_ROWS = 65536  # of a sample
QUERY_NBYTES = SAMPLE_NBYTES // 4  # of a sample of queries
ROWS_A_COLUMN = 16  # of a sample, but at least LEAST_ROWS: eigenvalues are then off by a tenth or two
LEAST_ROWS = 20_000
FEW_ROWS = 10  # a column: with fewer the spectrum's tail is too low, and the bound with it
OUTLIER = 5.0  # times the median deviation from zero over the columns
NEIGHBOURS, POINTS = 20, 500  # of the local dimension's estimate
AT_ONCE = 1024  # queries
LEADING = 0.9  # of the base's variance is in the leading axes
PALETTES = ("▁▂▃▄▅▆▇█", ".:-=+*#@")  # rising; the second for terminals of ASCII only


@dataclass(frozen=True)
class Budget:
    """At so many bytes a vector the least distortion of a Gaussian source of this spectrum, and the recall 10@10 forecast."""

    nbytes: int
    distortion: float
    recall: float | None


@dataclass(frozen=True)
class Diagnosis:
    """What was measured; `row()` gives it as JSON values, print() as a page.

    n, dim, metric : of the base; rows : how many of them were looked at, for all but the forecast
    norms : least, median, largest
    zero_share, duplicate_share : of the rows looked at: zeros; such as are equal to an earlier one
    constant_dims : columns of one value; outlier_dims : (column, how many times the median column's root mean square it has),
        from 5 times on, largest first
    mean_share : of the energy, the mean square, that is the mean's
    spectrum : float64[d], variances along the principal axes, falling, of unit vectors under "cos"
    participation_dim, entropy_dim : effective dimensions: (sum v)^2 / sum v^2, and exp of the entropy of the shares v / sum v
    local_dim : intrinsic dimension around points, the maximum likelihood estimate of Levina and Bickel (2004) by 20 neighbours,
        averaged as MacKay and Ghahramani (2005) do; too low where it is large and there are few rows; nan where there are too few
    budgets : what can be reached with how many bytes; needed : (distortion, bytes a vector that it needs at least)
    n_queries : 0 where none were given; the recalls are then those of rows of the base
    query_shift : distance of the means by the root mean square distance of base vectors from theirs
    query_outside : share of the queries' energy about the base's mean outside the axes that hold 90 % of the base's variance
        (which has 0.1 there, or a little less)
    forecast_rows : how many rows the forecast searched, 0 where there is none
    notes : what deserves attention, in words
    """

    n: int
    dim: int
    metric: Metric
    rows: int
    norms: tuple[float, float, float]
    zero_share: float
    duplicate_share: float
    constant_dims: tuple[int, ...]
    outlier_dims: tuple[tuple[int, float], ...]
    mean_share: float
    spectrum: np.ndarray
    participation_dim: float
    entropy_dim: float
    local_dim: float
    budgets: tuple[Budget, ...]
    needed: tuple[tuple[float, float], ...]
    n_queries: int
    query_shift: float | None
    query_outside: float | None
    forecast_rows: int
    notes: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """The figures as JSON values, but for nan and inf."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {
            "spectrum": self.spectrum.tolist(),
            "norms": dict(zip(("min", "median", "max"), self.norms, strict=True)),
            "outlier_dims": [{"dim": dim, "times": times} for dim, times in self.outlier_dims],
            "constant_dims": list(self.constant_dims),
            "budgets": [vars(budget) for budget in self.budgets],
            "needed": [{"distortion": distortion, "nbytes": nbytes} for distortion, nbytes in self.needed],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return self.page()

    def page(self, ascii: bool = False) -> str:
        """The figures for people; ascii: for terminals that know nothing else."""
        low, middle, high = self.norms
        lines = [
            f"vectors     {self.n:,} of {self.dim} dimensions, {self.metric}; {self.rows:,} looked at",
            f"norms       {low:.4g} to {high:.4g}, median {middle:.4g}; the mean has {self.mean_share:.1%} of the energy",
            f"rows        {self.zero_share:.2%} zero, {self.duplicate_share:.2%} repeat an earlier one",
            f"columns     {len(self.constant_dims)} constant, {len(self.outlier_dims)} outliers"
            + "".join(f"{',' if i else ':'} {dim} ({times:.0f} x)" for i, (dim, times) in enumerate(self.outlier_dims[:5])),
            f"spectrum    {_bars(self.spectrum, ascii)}  {_percentages(self.spectrum)}",
            f"dimension   {self.participation_dim:.1f} (participation), {self.entropy_dim:.1f} (entropy), "
            f"{self.local_dim:.1f} (local)",
        ]
        if self.query_shift is not None and self.query_outside is not None:
            lines.append(
                f"queries     {self.n_queries:,}; means {self.query_shift:.2f} deviations apart; "
                f"{self.query_outside:.0%} of their energy is where the base has 10%"
            )
        lines += ["", "bytes  least distortion" + ("  recall 10@10" if self.forecast_rows else "")]
        for budget in self.budgets:
            recall = "" if budget.recall is None else f"{budget.recall:14.2f}"
            lines.append(f"{budget.nbytes:5d}  {budget.distortion:16.3g}{recall}")
        lines += ["", "Distortion: of a Gaussian source of this spectrum. Clustered vectors need less, real codes need more."]
        if self.forecast_rows:
            whose = "the queries" if self.n_queries else "rows of the base as queries"
            lines.append(
                f"Recall: a forecast, right to some 5 points, for {whose} among {self.forecast_rows:,} rows, by a code of that\n"
                "distortion that spends its bits where the variance is, as OPQ does."
            )
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def diagnose(
    x: Any,
    queries: Any = None,
    *,
    metric: Metric = "ip",
    budgets: Sequence[int] | None = None,
    recall: bool = True,
    seed: int = 0,
    num_threads: int | None = None,
) -> Diagnosis:
    """Looks at vectors: their spectrum, their dimensions, what is odd about them, and what compression can reach.

    Parameters
    ----------
    x : [n, d], n at least 2: the kinds of values that `Codec.encode` takes, or the path of a file that `vecpress.datasets.read`
        reads
    queries : [nq, d], the same; None: rows of x take their place in the forecast
    metric : "ip", "l2" or "cos"; under "cos" vectors are scaled to length 1 first
    budgets : bytes a vector to tell of; None for 4, 8, 16, 24 ... up to one a dimension
    recall : whether to forecast recall; how far it is off: vecpress/forecast.py
    seed : of the samples

    Memory: a sample of at most 65,536 rows and 256 MB, twice that while it is read or scaled; of queries a quarter of that; as
    much again of files that cannot be mapped; and a few float64[d, d]. Cost: the sample's covariance and its decomposition, an
    exact search of 200 queries (bounded: vecpress/forecast.py); seconds.

    Raises TypeError or ValueError for bad input; what `vecpress.datasets.read` raises.
    """
    check_choice("diagnose", "metric", metric, METRICS)
    unit = metric == "cos"
    seed = check_int("diagnose", "seed", seed, 0)
    x, n = _open(x, "diagnose: x", seed, SAMPLE_NBYTES)
    base = Rows(x, "diagnose: x", num_threads=num_threads)
    n = base.n if n is None else n
    check_columns("diagnose", base.dim)
    if base.n < 2:
        raise ValueError(f"diagnose: x expected at least 2 rows, got {base.n}")
    chosen = (
        tuple(b for b in BUDGETS if b <= max(base.dim, 8))
        if budgets is None
        else tuple(check_int("diagnose", "budgets", b, 1) for b in budgets)
    )
    most = min(MOST_ROWS, max(LEAST_ROWS, ROWS_A_COLUMN * base.dim), max(2, SAMPLE_NBYTES // (4 * base.dim)))
    raw = base.sample(most, seed)
    found_here = _oddities(raw)
    rows = Rows(raw, "diagnose: x", unit=True, num_threads=num_threads).all() if unit else raw
    del raw  # under cos another array than `rows`
    axes = Axes.of(rows)
    asked, nq = None, None
    if queries is not None:
        queries, nq = _open(queries, "diagnose: queries", seed, QUERY_NBYTES)
        asked = Rows(queries, "diagnose: queries", base.dim, unit=unit, num_threads=num_threads)
        if not asked.n:
            raise ValueError("diagnose: queries expected at least one row, got none")
    distortions = [bounds.reachable(axes.variances, b) for b in chosen]
    recalls: list[float | None] = [None] * len(chosen)
    searched = 0
    if recall and axes.variances.any():
        own = None
        if asked is None:
            own = np.sort(np.random.default_rng(seed).choice(base.n, min(QUERIES, base.n), replace=False))
            q = base.take(own)
        else:
            q = asked.sample(QUERIES, seed)
        found = forecast_recall(x, q, distortions, metric=metric, seed=seed, axes=axes, own=own, num_threads=num_threads)
        recalls = [float(r) for r in found]
        step = thinning(base.n, len(q), base.dim)
        searched = -(-base.n // step)
    shift, outside, n_queries = None, None, 0
    if asked is not None:
        most = min(LEAST_ROWS, max(1, QUERY_NBYTES // (4 * base.dim)))
        shift, outside = _apart(asked.sample(most, seed), axes)
        n_queries = asked.n if nq is None else nq
    v = axes.variances
    share = v / v.sum() if v.any() else v
    figures: dict[str, Any] = {
        "n": n, "dim": base.dim, "metric": metric, "rows": len(rows), **found_here,
        "mean_share": _ratio(float(np.square(axes.mean).sum()), float(np.square(axes.mean).sum() + v.sum())),
        "spectrum": v,
        "participation_dim": _ratio(1.0, float(np.square(share).sum())) if v.any() else 0.0,
        "entropy_dim": float(np.exp(-(share[share > 0] * np.log(share[share > 0])).sum())) if v.any() else 0.0,
        "local_dim": _local_dim(rows, seed, num_threads),
        "n_queries": n_queries, "query_shift": shift, "query_outside": outside,
    }  # fmt: skip
    return Diagnosis(
        **figures,
        budgets=tuple(map(Budget, chosen, distortions, recalls)),
        needed=tuple((d, bounds.needed_bytes(v, d)) for d in DISTORTIONS),
        forecast_rows=searched,
        notes=tuple(_notes(figures, searched)),
    )


# ---- parts


def _open(x: Any, what: str, seed: int, nbytes: int) -> tuple[Any, int | None]:
    """Vectors as an array, and how many there are in all where that is more: a file that cannot be mapped gives a sample."""
    if isinstance(x, (str, os.PathLike)):
        found = batches(*split(os.fspath(x)))
        if isinstance(found, np.ndarray):
            return found, None
        stream = Stream(found.read(), what, n=found.n)
        most = min(4 * MOST_ROWS, nbytes // (4 * (stream.dim or 1)))
        return sample(stream, max(2, most), seed).all(), found.n
    return (x if is_torch(x) else as_array(x, what)), None


def _oddities(raw: np.ndarray) -> dict[str, Any]:
    """Norms, zeros, repeated rows, constant columns and such of far larger numbers than the others, in float32[n, d]."""
    norms = np.sqrt(np.einsum("ij,ij->i", raw, raw, dtype=np.float64))
    size = np.sqrt(np.einsum("ij,ij->j", raw, raw, dtype=np.float64) / len(raw))
    times = size / np.median(size) if np.median(size) > 0 else np.zeros(len(size))
    order = [int(j) for j in np.argsort(-times, kind="stable") if times[j] >= OUTLIER]
    return {
        "norms": (float(norms.min()), float(np.median(norms)), float(norms.max())),
        "zero_share": float((norms == 0).mean()),
        "duplicate_share": 1 - len(_distinct(raw)) / len(raw),
        "constant_dims": tuple(int(j) for j in np.flatnonzero((raw == raw[0]).all(axis=0))),
        "outlier_dims": tuple((j, float(times[j])) for j in order),
    }


def _distinct(x: np.ndarray) -> np.ndarray:
    """int64[m]: the rows of float32[n, d] that are equal to no earlier one, by digests, which are smaller than rows."""
    first: dict[bytes, int] = {}
    for i, row in enumerate(x):
        first.setdefault(hashlib.blake2b(row + np.float32(0), digest_size=16).digest(), i)  # + 0: minus zero is zero
    return np.fromiter(first.values(), np.int64, len(first))


def _apart(queries: np.ndarray, axes: Axes) -> tuple[float, float]:
    """How far the queries' distribution is from the base's: `Diagnosis.query_shift`, `query_outside`."""
    total = float(axes.variances.sum())
    shift = float(np.linalg.norm(queries.mean(axis=0, dtype=np.float64) - axes.mean))
    leading = int(np.searchsorted(np.cumsum(axes.variances), LEADING * total)) + 1
    inside = energy = 0.0
    for start in range(0, len(queries), AT_ONCE):  # float64 copies of a block
        centred = queries[start : start + AT_ONCE] - axes.mean
        inside += float(np.square(centred @ axes.directions[:, :leading]).sum())
        energy += float(np.square(centred).sum())
    return _ratio(shift, total**0.5), max(0.0, 1 - _ratio(inside, energy)) if energy else 0.0


def _local_dim(rows: np.ndarray, seed: int, num_threads: int | None) -> float:
    """The maximum likelihood estimate: 1 / mean of log(T_k / T_j), j < k, T_j a point's distance to its j-th neighbour.

    Source: Levina and Bickel, "Maximum likelihood estimation of intrinsic dimension", NIPS 2004; the mean is taken of the
    inverses, as MacKay and Ghahramani, "Comments on" it, 2005, show to be right.
    """
    distinct = _distinct(rows)
    rows = rows if len(distinct) == len(rows) else rows[distinct]
    if len(rows) < NEIGHBOURS + 2:
        return float("nan")
    points = np.sort(np.random.default_rng(seed).permutation(len(rows))[:POINTS])
    squares, ids = exact(rows[points], rows, NEIGHBOURS + 1, "l2", num_threads=num_threads)
    others, _ = without(squares, ids, points)
    there = others[others[:, 0] > 0]
    if not len(there):
        return float("nan")
    logs = 0.5 * np.log(there[:, -1:] / there[:, :-1], dtype=np.float64)
    return _ratio(1.0, float(logs.mean()))


def _ratio(a: float, b: float) -> float:
    return a / b if b else (0.0 if a == 0 else float("inf"))


def _notes(f: dict[str, Any], searched: int) -> list[str]:
    notes = []
    if f["rows"] < FEW_ROWS * f["dim"]:
        notes.append(f"{f['rows']:,} rows are few for {f['dim']} dimensions: the least distortions come out too low")
    if f["zero_share"]:
        notes.append("there are zero rows" + ("; under cos they score 0" if f["metric"] == "cos" else ""))
    if f["duplicate_share"] > 0.01:
        notes.append("many rows repeat others: ties decide which of them a search finds")
    if f["constant_dims"]:
        notes.append("constant columns cost a codec bytes where it codes columns one by one")
    if f["outlier_dims"]:
        notes.append("columns of far larger numbers: codecs of one step for all columns lose most")
    if f["metric"] != "l2" and f["mean_share"] > 0.5:
        notes.append("most of the energy is the mean, the same for all rows: take a codec that centres")
    if f["query_outside"] is not None and (f["query_outside"] > 0.3 or f["query_shift"] > 1):
        notes.append("queries come from elsewhere than the base: give codecs a sample of them (fit(x, queries))")
    if searched and searched < f["n"]:
        notes.append(f"recall was forecast among {searched:,} of {f['n']:,} rows, which are further apart: it is too high")
    return notes


# ---- the page


def _bars(spectrum: np.ndarray, ascii: bool, width: int = 40) -> str:
    """The variances from first to last, on a logarithmic scale over five powers of ten, as bars."""
    palette = PALETTES[ascii]
    if not spectrum.any():
        return palette[0] * min(width, len(spectrum))
    cuts = np.linspace(0, len(spectrum), min(width, len(spectrum)) + 1).astype(int)
    means = np.array([spectrum[a:b].mean() for a, b in itertools.pairwise(cuts)])
    height = 1 + np.log10(np.maximum(means / means.max(), 1e-5)) / 5
    return "".join(palette[min(len(palette) - 1, int(h * len(palette)))] for h in height)


def _percentages(spectrum: np.ndarray) -> str:
    """How many axes hold 50, 90 and 99 % of the variance."""
    if not spectrum.any():
        return "nothing varies"
    share = np.cumsum(spectrum) / spectrum.sum()
    return ", ".join(f"{level:.0%} in {int(np.searchsorted(share, level - 1e-12)) + 1}" for level in (0.5, 0.9, 0.99)) + " axes"
