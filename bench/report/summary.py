"""Records grouped into what a report speaks of: a configuration over its seeds, a data set with all of them, paired intervals."""

from __future__ import annotations

import functools
import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .. import load, measures
from ..records import DIGITS, Record
from ..rules import OURS, judged, label

LOADS = ("load_before", "load_beside")  # in a record's machine


class Interval(NamedTuple):
    """A difference of mean recalls and the ends of its 95 % interval, all as shares of 1."""

    difference: float
    low: float
    high: float


@dataclass(eq=False)
class Runs:
    """One contender on one data set: its records that are ok, one a seed, never none."""

    records: list[Record]

    @property
    def library(self) -> str:
        return self.records[0].library

    @property
    def codec(self) -> str:
        return self.records[0].codec

    @property
    def ours(self) -> bool:
        return self.library == OURS

    @property
    def family(self) -> tuple[str, str]:
        return self.library, self.codec

    @property
    def name(self) -> str:
        """The codec with its configuration; a peer's library in front."""
        return label(self.library, self.codec, self.records[0].config)

    @property
    def usable(self) -> bool:
        """Whether it can stand in a comparison: its bytes and its recall are known."""
        return self.known("code_size") != [] and self.known("recall") != []

    def known(self, name: str) -> list[float]:
        """The figure of every seed that has it."""
        values = [getattr(record, name, None) for record in self.records]
        return [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]

    def median(self, name: str) -> float | None:
        values = self.known(name)
        return statistics.median(values) if values else None

    def mean(self, name: str) -> float | None:
        values = self.known(name)
        return statistics.fmean(values) if values else None

    @functools.cached_property
    def code_size(self) -> float:
        return max(self.known("code_size"))

    @functools.cached_property
    def recall(self) -> float:
        return statistics.fmean(self.known("recall"))

    @property
    def worst(self) -> float:
        return min(self.known("recall"))

    @property
    def n_seeds(self) -> int:
        return len(self.known("recall"))

    @property
    def load(self) -> float | None:
        """The highest load by other work, before or beside any of its runs; None where one does not say."""
        loads = []
        for record in self.records:
            known = [v for name in LOADS if isinstance(v := (record.machine or {}).get(name), int | float)]
            if not known:
                return None
            loads.append(max(known))
        return max(loads)

    @property
    def quiet(self) -> bool:
        """Whether its speeds may be compared."""
        return all(load.is_quiet(record.machine or {}) for record in self.records)

    @functools.cached_property
    def shares(self) -> np.ndarray | None:
        """Recall of every query, the mean of the seeds, float64[n_query]; None where a seed does not say."""
        hits = [record.hits for record in self.records if record.recall is not None]
        if not hits or any(not h or len(h) != len(hits[0] or "") or not set(h) <= set(DIGITS) for h in hits):
            return None
        return np.mean([[DIGITS.index(c) for c in h or ""] for h in hits], axis=0) / 10


@dataclass(eq=False)
class DataSet:
    """A data set and all that was run on it."""

    about: dict[str, Any]
    runs: list[Runs] = field(default_factory=list)  # those that are ok
    failed: list[Record] = field(default_factory=list)
    name: str = "unnamed data"

    @property
    def n_figures(self) -> int | None:
        """How many queries the figures come from."""
        counts = [len(run.shares) for run in self.runs if run.shares is not None]
        return next((int(v) for v in (self.about.get("n_figures"), *counts[:1], self.about.get("n_query")) if v), None)

    @property
    def claims(self) -> bool:
        return judged(self.n_figures, self.about.get("n_base"))

    @functools.cached_property
    def ours(self) -> list[Runs]:
        return [run for run in self.runs if run.ours and run.usable]

    @functools.cached_property
    def peers(self) -> list[Runs]:
        return [run for run in self.runs if not run.ours and run.usable]


@dataclass
class Summary:
    """Everything that the files hold: data sets in the order they came, and libraries that were not installed."""

    sets: list[DataSet]
    missing: list[Record]

    @property
    def records(self) -> list[Record]:
        """All but the missing ones."""
        return [r for s in self.sets for r in (*(r for run in s.runs for r in run.records), *s.failed)]


def summarise(records: Iterable[Record]) -> Summary:
    """Groups records; of two runs of the same contender, data and seed the later one counts."""
    missing: dict[tuple[str, str], Record] = {}
    latest: dict[tuple, Record] = {}
    for record in records:
        if record.status == "missing":
            missing[record.library, record.codec] = record
            continue
        # a changed file under the same name is another data set; a changed checkout of the library is not another contender
        about = record.data or {}
        key = (
            (about.get("name"), about.get("checksum")),
            (record.library, record.codec, json.dumps(record.config, sort_keys=True), record.machine.get("threads")),
            record.seed,
        )
        if key not in latest or record.date >= latest[key].date:
            latest[key] = record
    sets: dict[tuple, DataSet] = {}
    runs: dict[tuple, Runs] = {}
    for (which, contender, _), record in latest.items():
        data = sets.setdefault(which, DataSet(record.data or {}))
        if record.status != "ok":
            data.failed.append(record)
        elif (which, contender) in runs:
            runs[which, contender].records.append(record)
        else:
            runs[which, contender] = Runs([record])
            data.runs.append(runs[which, contender])
    names = [which[0] for which in sets]
    for (name, checksum), data in sets.items():
        twice = names.count(name) > 1  # its vectors were changed between runs
        data.name = f"{name or 'unnamed data'} ({checksum})" if twice else str(name or "unnamed data")
    return Summary(list(sets.values()), list(missing.values()))


@functools.lru_cache(maxsize=4096)
def paired(ours: Runs, peer: Runs) -> Interval | None:
    """The difference of recalls, ours less the peer's, with its 95 % interval over the same queries. None where the counts of
    each query are not there for both, or are of other queries."""
    a, b = ours.shares, peer.shares
    if a is None or b is None or len(a) != len(b):
        return None
    return Interval(*measures.paired_interval(a, b))


def front(points: Iterable[Any], cost: Any, gain: Any) -> list[Any]:
    """Those that no other beats in both: cheapest first, each gaining more than all before it."""
    best, kept = -math.inf, []
    for point in sorted(points, key=lambda p: (cost(p), -gain(p))):
        if gain(point) > best:
            kept.append(point)
            best = gain(point)
    return kept
