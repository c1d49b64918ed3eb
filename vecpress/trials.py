"""What `auto` measures by: vectors split into parts, a codec tried on them, differences with intervals, the report's rows."""

from __future__ import annotations

import copy
import math
import re
import time
import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .arrays import Rows
from .checks import Metric
from .codec import Codec
from .errors import SmallTrainingSetWarning
from .evaluate import exact, found_similarities, similarities, tied_hits
from .index import Index
from .sources import SAMPLE_NBYTES, Stream, open_source, sample

MOST_ROWS = 20_000  # fitted on, and as many searched: 8-bit codebooks ask for 9,984; a trial then takes seconds
MOST_ASKED = 1000  # queries that judge: the interval of a difference is then about a point wide
MOST_WEIGHING = 10_000  # queries for `fit(queries=)`
ASKED_SHARE = 5  # without queries, one of so many rows is one
SMALL_ROWS, SMALL_ASKED = 5000, 250  # of the first stage
ALLOWED = 1.2  # times the budget, for codes and what was learned together, as peers are allowed in vecpress.bench
FEW_ASKED = 30  # with fewer queries an interval means nothing
RESAMPLES = 1000
MOST_LINES = 25  # of a printed report
ENDS = (0.025, 0.975)
# what an element of a query's operand costs a code, relative to a look-up in a table of 16: searches of 20,000 codes of 384
# dimensions, one thread of an AMD EPYC (family 26, model 2), 300 queries at once
WORK = {"lut4": 1.0, "lut8": 2.4, "dot": 0.5, "trellis": 0.8, "flat": 1.2, "hamming": 0.5}
LABEL_WORK = 10.0  # of `trellis`


@dataclass(frozen=True)
class Row:
    """One codec that was offered, in a report.

    codec : as text, which `eval` with the names of vecpress makes a codec again; code_size : bytes a vector, factors included
    state_nbytes : of what it learns; nbytes : bytes a vector with that, code_size + state_nbytes / n
    recall, recall_interval : k@k on the held-out queries, ties counted; None where it was not tried
    behind, behind_interval : the winner's recall less this one's, at the last stage that both reached, queries paired
    encode_per_second, searches_per_second, fit_seconds : measured there, queries in one batch
    work : what a query costs a code, in look-ups in tables of 16 entries: what ties are settled by
    stage : "full", "small", or "" where it was not tried; dropped : why it is not the winner, "" for the winner

    Intervals are 95 % of a bootstrap over queries.
    """

    codec: str
    code_size: int
    state_nbytes: int
    nbytes: float
    recall: float | None = None
    recall_interval: tuple[float, float] | None = None
    behind: float | None = None
    behind_interval: tuple[float, float] | None = None
    encode_per_second: float | None = None
    searches_per_second: float | None = None
    fit_seconds: float | None = None
    work: float | None = None
    stage: str = ""
    dropped: str = ""


@dataclass(frozen=True)
class Report:
    """What `auto` tried and found. print() shows it as a table, `to_dict` gives JSON values.

    best : the winner's row; rows : of all that were offered, the winner first
    metric, n, dim : of x; k : that recall is of; code_size, target : what was asked for, the other None
    held_out : what the recalls are measured on, in words; seed; threads
    seconds : all together; cut : the time limit ended the trials, so another run may find another codec
    smaller : where the winner is large with what it learned, the best that is not
    refitted : the codec that came back learned from all of x; else, for want of time, from the trial's rows
    """

    best: Row
    rows: tuple[Row, ...]
    metric: Metric
    n: int
    dim: int
    k: int
    code_size: int | None
    target: float | None
    held_out: str
    seed: int
    threads: int
    seconds: float
    cut: bool
    refitted: bool

    @property
    def smaller(self) -> Row | None:
        """The best of at most 1.2 times the budget with what it learned, where the winner takes more; None if there is none."""
        most = ALLOWED * (self.code_size or self.best.code_size)
        if self.best.nbytes <= most:
            return None
        others = [row for row in self.rows if row.behind is not None and row.nbytes <= most]
        return min(others, key=lambda row: row.behind or 0.0, default=None)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        plain = asdict(self)
        plain["rows"] = list(plain["rows"])
        plain["smaller"] = None if self.smaller is None else self.smaller.codec
        for row in (plain["best"], *plain["rows"]):
            for name, value in row.items():
                row[name] = list(value) if isinstance(value, tuple) else value
        return plain

    def __str__(self) -> str:
        k = self.k
        if self.target is None:
            asked = f"at most {self.code_size} bytes a vector"
        else:
            missed = "" if (self.best.recall or 0.0) >= self.target else ", which nothing that was tried reaches"
            asked = f"recall {k}@{k} of {self.target:g}{missed}"
        lines = [
            f"{self.n:,} vectors of {self.dim} dimensions, {self.metric}; {asked}",
            f"held out: {self.held_out}; seed {self.seed}",
            "",
            table(
                ["codec", "bytes", "with state", f"recall {k}@{k}", "behind", "95 %", "searches/s", "encoded/s", "fit s", ""],
                [_cells(row, self) for row in self.rows[:MOST_LINES]],
            ),
            *([f"and {more} more, in rows"] if (more := len(self.rows) - MOST_LINES) > 0 else []),
            "",
            "with state: bytes a vector with what the codec learned, once, divided by the number of vectors.",
            "behind: the winner's recall less this one's, the same queries, with its interval.",
        ]
        if any(row.stage == "small" for row in self.rows):
            lines.append("*: on the small sample, where recalls are higher.")
        if self.smaller:
            lines.append(
                f"With what it learned the best takes {short(self.best.nbytes)} bytes a vector here. Of those that take at most "
                f"{ALLOWED:g} times the budget {self.smaller.codec} is the best, {self.smaller.behind:.3f} behind."
            )
        if self.cut:
            lines.append("The time limit ended the trials: another run may find another codec.")
        if not self.refitted:
            lines.append("There was no time to fit the winner on all vectors: it learned from those of its trial.")
        return "\n".join([*lines, f"Best: {self.best.codec}, {self.seconds:.1f} s in all, threads: {self.threads}"])


def _cells(row: Row, report: Report) -> list[str]:
    low, high = row.behind_interval or (0.0, 0.0)
    shared = re.compile(rf"(?:, )?\b(?:metric='{report.metric}'|seed={report.seed})")  # the same for all
    return [
        shared.sub("", row.codec), str(row.code_size), short(row.nbytes),
        "-" if row.recall is None else f"{row.recall:.3f}{'*' if row.stage == 'small' else ' '}",
        "" if row.behind is None or not row.dropped else f"{row.behind:.3f}",
        "" if row.behind is None or not row.dropped else f"{low:.3f} to {high:.3f}",
        short(row.searches_per_second), short(row.encode_per_second), short(row.fit_seconds), row.dropped or "best",
    ]  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A codec fitted and searched once. shares float64[nq]: of each query's true k, those found."""

    codec: Codec
    shares: np.ndarray
    fit_seconds: float
    seconds: float
    encode_per_second: float
    searches_per_second: float
    work: float

    @property
    def recall(self) -> float:
        return float(self.shares.mean())


@dataclass
class Candidate:
    """A codec on its way. codec : unfitted; results : by the stage's name; why : it was dropped, or is not tried."""

    codec: Codec
    code_size: int
    state_nbytes: int
    nbytes: float
    results: dict[str, Measured] = field(default_factory=dict)
    why: str = ""

    def order(self) -> tuple[Any, ...]:
        """What learns little comes first, so that where time is short something is known."""
        return self.state_nbytes, self.code_size, repr(self.codec)


class Stage:
    """Vectors to fit on, to search and to ask with; exact neighbours are found when first needed.

    fitted_on float32[r, d]; weights float32[nw, d] for `fit(queries=)`, or None; base float32[n, d]; asked float32[nq, d]
    """

    def __init__(
        self, name: str, fitted_on: np.ndarray, weights: np.ndarray | None, base: np.ndarray, asked: np.ndarray,
        metric: Metric, k: int, seed: int, num_threads: int | None,
    ):  # fmt: skip
        self.name, self.fitted_on, self.weights, self.base, self.asked = name, fitted_on, weights, base, asked
        self.metric, self.k, self.num_threads = metric, min(k, len(base)), num_threads
        nq = len(asked)
        rng = np.random.Generator(np.random.PCG64(seed))
        self.resampled = rng.multinomial(nq, np.full(nq, 1 / nq), RESAMPLES) / nq  # float64[resamples, nq], each query's weight
        self._bars: np.ndarray | None = None

    @property
    def bars(self) -> np.ndarray:
        """float32[nq, k]: the true neighbours' similarities."""
        if self._bars is None:
            truth = exact(self.asked, self.base, self.k, self.metric, num_threads=self.num_threads)
            self._bars = similarities(truth, len(self.asked), self.k, self.metric)
        return self._bars

    def measure(self, codec: Codec) -> Measured:
        """A copy of the codec, fitted, and what it finds. Raises what fit and encode raise: ValueError for values it refuses."""
        bars, threads = self.bars, self.num_threads
        begin = time.perf_counter()
        codec = copy.copy(codec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallTrainingSetWarning)  # of a trial; the final fit warns
            codec.fit(self.fitted_on, self.weights, num_threads=threads)
        fitted = time.perf_counter()
        codes = codec.encode(self.base, num_threads=threads)
        encoded = time.perf_counter()
        index = Index(codec)
        index.add_codes(codes, num_threads=threads)
        before = time.perf_counter()
        found = index.search(self.asked, self.k, num_threads=threads)[1]
        searched = time.perf_counter()
        nearness = found_similarities(self.asked, codec._rows(self.base, "auto: x", None), found, self.metric, threads)
        hits, there = tied_hits(nearness, bars, self.k, self.k)
        return Measured(
            codec, hits / there, fitted - begin, time.perf_counter() - begin, len(self.base) / (encoded - fitted),
            len(self.asked) / (searched - before), _work(codec, self.asked[:1], threads),
        )  # fmt: skip

    def interval(self, shares: np.ndarray) -> tuple[float, float]:
        """The 95 % interval of the mean of a number a query, float64[nq], of a difference of two where it is one."""
        low, high = np.quantile(self.resampled @ shares, ENDS)
        return float(low), float(high)


def _work(codec: Codec, query: np.ndarray, num_threads: int | None) -> float:
    """Look-ups a code, a figure of the codec alone: measured rates differ from run to run, and the choice is not to."""
    made = codec.query(query, num_threads=num_threads)
    rows, tables = (0 if operand is None else operand.shape[1] for operand in (made.rows, made.tables))
    if made.scan == "trellis":
        return WORK["trellis"] * rows + LABEL_WORK * tables
    return WORK.get(made.scan, 1.0) * (tables or rows)


@dataclass(frozen=True)
class Split:
    """x and queries in parts.

    x, queries : what the winner is fitted on; n, dim : of all of x; k : that is judged by; held_out : what judges, in words
    stages : the small one first where there are two
    """

    x: Any
    queries: Any
    n: int
    dim: int
    k: int
    held_out: str
    stages: tuple[Stage, ...]


def split(x: Any, queries: Any, metric: Metric, k: int, seed: int, num_threads: int | None) -> Split:
    """Draws the parts with the seed. x : what `fit` takes; queries : what `fit` takes, or None.

    Rows that are searched and rows that ask are never among those fitted on. Of an iterator, and of a file that cannot be mapped,
    256 MiB are drawn first, which is also what the winner learns from. Raises TypeError or ValueError for bad input.
    """
    source = open_source(x, "auto: x", num_threads=num_threads)
    given = None
    if queries is not None:
        given = Rows(queries, "auto: queries", source.dim, num_threads=num_threads)
        given.check()
        if not given.n:
            raise ValueError("auto: queries expected at least one row, got none")
    if isinstance(source, Stream):
        rows = sample(source, max(3, SAMPLE_NBYTES // (4 * (source.dim or 1))), seed)
        n, again = source.seen, rows.all()
    else:
        rows, n, again = source, source.n, x
        if not rows.is_mapped:
            rows.check()  # a bad row is an error now, not after minutes
    parts = 2 if given else 3
    if rows.n < parts:
        what = "one to fit on, one to search" + ("" if given else ", one to ask with")
        raise ValueError(f"auto: x expected at least {parts} rows, {what}, got {rows.n}")
    rng = np.random.Generator(np.random.PCG64(seed))
    most = max(1, min(MOST_ROWS, SAMPLE_NBYTES // (4 * rows.dim)))
    drawn = rng.choice(rows.n, min(rows.n, 2 * most + (0 if given else MOST_ASKED)), replace=False)
    n_asked = 0 if given else min(MOST_ASKED, max(1, len(drawn) // ASKED_SHARE))
    n_fit = min(most, (len(drawn) - n_asked) // 2)
    n_base = min(most, len(drawn) - n_asked - n_fit)
    parted = np.split(drawn[: n_fit + n_base + n_asked], [n_fit, n_fit + n_base])
    fitted_on, base, asked = (_taken(rows, part) for part in parted)
    weights = None
    if given:
        order = rng.permutation(given.n)
        n_judging = min(MOST_ASKED, -(-given.n // 2))
        asked = given.take(order[:n_judging])
        if given.n > 1:
            weights = given.take(order[n_judging:][:MOST_WEIGHING])
    # where k were all of a small base, every codec would find all
    judged_by = min(k, max(1, n_base // 2))
    stages = [Stage("full", fitted_on, weights, base, asked, metric, judged_by, seed, num_threads)]
    if n_fit > SMALL_ROWS:
        small = fitted_on[:SMALL_ROWS], weights, base[:SMALL_ROWS], asked[:SMALL_ASKED]
        stages.insert(0, Stage("small", *small, metric, judged_by, seed, num_threads))
    whose = f"{len(asked):,} of {given.n:,} queries" if given else f"{len(asked):,} rows of x as queries"
    held_out = f"{whose}, {n_base:,} rows searched; fitted on {n_fit:,} others"
    if weights is not None:
        held_out += f" and {len(weights):,} other queries"
    if len(asked) < FEW_ASKED:
        held_out += "; so few queries tell little"
    if judged_by < k:
        held_out += f"; k is {judged_by}, not {k}, as there are few rows"
    return Split(again, queries, n, rows.dim, judged_by, held_out, tuple(stages))


def _taken(rows: Rows, which: np.ndarray) -> np.ndarray:
    """float32[r, d], read front to back and in the order asked for: the first of them are then a sample, too."""
    order = np.argsort(which)
    out = np.empty((len(which), rows.dim), np.float32)
    out[order] = rows.take(which[order])
    return out


def table(header: list[str], rows: list[list[str]]) -> str:
    """Aligned columns: the first and the last to the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    last = len(header) - 1
    lines = []
    for row in (header, ["-" * width for width in widths], *rows):
        cells = [c.ljust(w) if i in (0, last) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def short(number: float | None) -> str:
    """Three digits: 12,300, 0.0457; a dash for what is not known."""
    if number is None:
        return "-"
    if not math.isfinite(number) or number == 0:
        return f"{number:.3g}"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{round(number, 2 - math.floor(math.log10(abs(number)))):,.{digits}f}"
