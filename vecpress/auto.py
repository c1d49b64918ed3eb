"""The codec for a budget or for a recall, found by trying those that may win on a held-out part of the vectors themselves."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from .checks import Metric, check_choice, check_int
from .codec import METRICS, Codec, codecs
from .dispatch import check_threads
from .ops.scan import MAX_K
from .trials import ALLOWED, FEW_ASKED, Candidate, Measured, Report, Row, Split, Stage, split

__all__ = ["Report", "Row", "auto"]

MAX_SEED = 2**63 - 1
# with fewer in all, what a codec learns counts as bytes of its vectors: 256 centroids are then a quarter of these, and more
FEW_ROWS = 1000
KEPT = 3  # one of so many candidates is on the full sample in any case
LEARNING = 0.05  # recall that a codec may gain from the rows which the small sample lacks
TIED = 0.002  # a smaller difference in recall, within its interval, is none,
UNKNOWN = 0.015  # but where the interval reaches further few queries were asked, and nothing is shown
TRYING = 0.7  # of the time limit is for trials, the rest for the final fit
LEARNED_ROWS = 65536  # that codecs with codebooks learn from at most


def auto(
    x: Any,
    queries: Any = None,
    *,
    code_size: int | None = None,
    recall: float | None = None,
    metric: Metric = "ip",
    k: int = 10,
    seed: int = 0,
    time_limit: float | None = None,
    progress: Callable[[str], object] | None = None,
    num_threads: int | None = None,
) -> tuple[Codec, Report]:
    """The codec of most recall within a budget, or of fewest bytes for a recall, on your vectors, fitted; and a report.

    Parameters
    ----------
    x : [n, d], n at least 3, or 2 with queries: what `Codec.fit` takes, paths and iterators of blocks included
    queries : [nq, d] as users ask them, a few hundred if there are; half of them judge, the others are for `fit(queries=)`.
        Without them rows of x are asked for, which neither learn nor are searched
    code_size : bytes a vector, every factor included, at most
    recall : k@k that is to be reached, above 0, at most 1; exactly one of the two is given
    metric : "ip", "l2" or "cos"; k : neighbours
    seed : of what is drawn, and of the codecs; 0 .. 2^63 - 1
    time_limit : seconds; a fit that has begun is finished, and one codec is tried in any case
    progress : called with a line of text now and then
    num_threads : None for VECPRESS_NUM_THREADS, or else the processors this process may use

    Every codec class proposes its own (`Codec.offers`). Each is fitted on rows of x, searches other rows, and is judged by the
    recall of exact neighbours, ties counted: first all on 5,000 rows, then the best third, and whatever is within the interval
    of the best or may gain from more rows, on 20,000. Differences less than 0.2 points whose 95 % interval includes 0, and no
    more than 1.5 points, are none: then the codec wins that is faster to search. Last, the winner learns from all of x, and all
    queries. Some 500 queries make intervals that narrow; with a hundred, codecs two points apart may be taken for each other.

    What a codec learns is stored as well. Where x has fewer than 1,000 rows, a codec wins only if code_size + state_nbytes / n
    is at most 1.2 times the budget; where none is so small, the smallest wins. From there on codes are what counts: the report
    has both figures, and names the best that is so small where the winner is not.

    With `recall` the smallest budget is bisected for with which a codec's recall on the held-out queries is the target or more.
    That larger budgets do not lose what smaller ones reach is assumed.

    The same seed and x give the same codec, unless the time limit cuts the trials; the report then says so. Rates in it are
    measured and vary, and nothing depends on them.

    Raises TypeError or ValueError for bad input, also if no codec is so small or takes such values.
    Cost: seconds to a minute for a budget at some hundred dimensions, several times that for a recall; float32 copies of 41,000
    rows, 512 MiB at most, and the codes.
    """
    if (code_size is None) == (recall is None):
        got = "neither" if code_size is None else f"code_size={code_size!r} and recall={recall!r}"
        raise ValueError(f"auto: exactly one of code_size and recall expected, got {got}")
    if code_size is not None:
        code_size = check_int("auto", "code_size", code_size, 1)
    target = None if recall is None else _number("recall", recall, "above 0, at most 1", lambda r: 0 < r <= 1)
    metric = check_choice("auto", "metric", metric, METRICS)
    k = check_int("auto", "k", k, 1, MAX_K)
    seed = check_int("auto", "seed", seed, 0, MAX_SEED)
    if time_limit is not None:
        time_limit = _number("time_limit", time_limit, "above 0", lambda seconds: seconds > 0)
    if progress is not None and not callable(progress):
        raise TypeError(f"auto: progress expected a function of a line of text, got {type(progress).__name__}")
    num_threads = check_threads(num_threads)

    clock = _Clock(time_limit)
    parts = split(x, queries, metric, k, seed, num_threads)
    search = _Search(parts, metric, seed, clock, progress or (lambda line: None))
    if code_size is not None:
        winner, stage = search.best(code_size)
    else:
        winner, stage = search.smallest(target or 0.0)
    trial = winner.results[stage.name]
    expected = trial.fit_seconds * min(parts.n, LEARNED_ROWS) / len(stage.fitted_on)
    refitted = clock.allows(expected, 1.0)
    if refitted:
        search.say(f"fitting {winner.codec!r} on all {parts.n:,} vectors")
        codec = copy.copy(winner.codec).fit(parts.x, parts.queries, num_threads=num_threads)
    else:
        codec = trial.codec
    rows = search.rows(winner, stage)
    return codec, Report(
        rows[0], rows, metric, parts.n, parts.dim, parts.k, code_size, target, parts.held_out, seed, num_threads,
        clock.seconds, clock.cut, refitted,
    )  # fmt: skip


class _Clock:
    """Seconds since the start, and whether there is time for more. limit : seconds, None without one; cut : there once was not"""

    def __init__(self, limit: float | None):
        self.begin, self.limit, self.cut = time.perf_counter(), limit, False

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.begin

    def allows(self, seconds: float, share: float = TRYING) -> bool:
        """Whether what takes so long would end within that share of the limit."""
        if self.limit is None:
            return True
        within = self.seconds + seconds <= share * self.limit
        self.cut = self.cut or not within
        return within


class _Search:
    """Candidates and what is known of them; each is measured once a stage, whichever budgets it is offered for."""

    def __init__(self, parts: Split, metric: Metric, seed: int, clock: _Clock, say: Callable[[str], object]):
        self.parts, self.metric, self.seed, self.clock, self.say = parts, metric, seed, clock, say
        self.full, self.small = parts.stages[-1], parts.stages[0] if len(parts.stages) > 1 else None
        self.known: dict[str, Candidate] = {}
        self.last = 0.0  # seconds of the last trial: candidates that learn more come later
        self.target: float | None = None
        self.most = 0  # the largest size that wins

    # ---- what there is

    def offered(self, budget: int) -> list[Candidate]:
        """All that fit the budget, those first that learn little."""
        found: dict[str, Candidate] = {}
        for cls in codecs():
            for codec in cls.offers(self.parts.dim, budget, self.metric, self.seed):
                code_size, state_nbytes = codec.planned(self.parts.dim, self.parts.n)
                if code_size > budget:
                    raise ValueError(f"auto: {cls.__name__}.offers expected at most {budget} bytes, got {codec!r} of {code_size}")
                new = Candidate(codec, code_size, state_nbytes, code_size + state_nbytes / self.parts.n)
                found[repr(codec)] = self.known.setdefault(repr(codec), new)
        return sorted(found.values(), key=Candidate.order)

    def size(self, one: Candidate) -> int:
        """The least budget that it may win: its code_size, or more where there are few vectors to share what it learns."""
        return one.code_size if self.parts.n >= FEW_ROWS else max(one.code_size, math.ceil(one.nbytes / ALLOWED))

    def within(self, budget: int) -> list[Candidate]:
        return [one for one in self.offered(budget) if self.size(one) <= budget]

    # ---- trials

    def measure(self, one: Candidate, stage: Stage) -> Measured | None:
        """None where there is no time, or where the codec takes no such values."""
        if stage.name in one.results or one.why.startswith("refused"):
            return one.results.get(stage.name)
        expected = self.last
        if self.small is not None and stage is self.full and self.small.name in one.results:
            expected = one.results[self.small.name].seconds * len(stage.fitted_on) / len(self.small.fitted_on)
        nothing_yet = not any(other.results for other in self.known.values())
        if not self.clock.allows(expected) and not nothing_yet:
            one.why = "no time for the full sample" if one.results else "no time"
            return None
        try:
            result = stage.measure(one.codec)
        except ValueError as error:
            one.why = f"refused: {error}"
            return None
        self.last = result.seconds
        one.results[stage.name] = result
        where = " on the small sample" if stage is self.small else ""
        self.say(f"{one.codec!r}: {one.code_size} bytes, recall {result.recall:.3f}{where}, {result.seconds:.1f} s")
        return result

    def survivors(self, candidates: list[Candidate]) -> list[Candidate]:
        """Those for the full sample, the best first, after all were on the small one."""
        if self.small is None:
            return candidates
        stage = self.small
        measured = [(one, m) for one in candidates if (m := self.measure(one, stage)) is not None]
        measured.sort(key=lambda pair: -pair[1].recall)
        kept = []
        for rank, (one, result) in enumerate(measured):
            lead = measured[0][1].shares - result.shares
            learning = result.codec.enough_rows > len(stage.fitted_on) and lead.mean() <= LEARNING
            among = rank < math.ceil(len(measured) / KEPT) or len(lead) < FEW_ASKED  # nothing is known of so few
            if among or learning or stage.interval(lead)[0] <= 0:
                kept.append(one)
            else:
                one.why = "less recall on the small sample"
        return kept

    def choose(self, candidates: Iterable[Candidate], stage: Stage) -> Candidate:
        """The best by recall or, of those that tie with it, the one that is searched with least work, then the smallest."""
        ranked = sorted(candidates, key=lambda one: -one.results[stage.name].recall)
        best = ranked[0].results[stage.name].shares

        def ties(one: Candidate) -> bool:
            lead = best - one.results[stage.name].shares
            low, high = stage.interval(lead)
            return one is ranked[0] or (lead.mean() < TIED and low <= 0 <= high <= UNKNOWN)

        def cost(one: Candidate) -> tuple[Any, ...]:
            result = one.results[stage.name]
            return result.work, one.nbytes, -result.recall, repr(one.codec)

        return min((one for one in ranked if ties(one)), key=cost)

    def best(self, budget: int) -> tuple[Candidate, Stage]:
        """The winner within the budget, and the stage that it won."""
        candidates = self.offered(budget)
        if not candidates:
            raise ValueError(f"auto: no codec for d={self.parts.dim} has code_size={budget} or less")
        self.say(f"{len(candidates)} codecs of at most {budget} bytes a vector; {self.parts.held_out}")
        for one in self.survivors(candidates):
            self.measure(one, self.full)
        return self.pick(candidates, budget)

    def pick(self, candidates: list[Candidate], budget: int) -> tuple[Candidate, Stage]:
        """The winner of the last stage that any reached."""
        for stage in reversed(self.parts.stages):
            tried = [one for one in candidates if stage.name in one.results]
            if tried:
                self.most = max(budget, min(map(self.size, tried)))
                return self.choose((one for one in tried if self.size(one) <= self.most), stage), stage
        raise ValueError(f"auto: x expected values that a codec takes; {candidates[0].codec!r} {candidates[0].why}")

    # ---- the smallest size

    def smallest(self, target: float) -> tuple[Candidate, Stage]:
        """The winner among the smallest codes that reach the target."""
        self.target = target
        low, high = 0, 4 * self.parts.dim  # floats in float32 are exact
        self.say(f"the fewest bytes for a recall of {target:g}; {self.parts.held_out}")
        reached = self.reaching(high, target)
        while reached is not None and (high := self.size(reached)) - low > 1:
            middle = max(low + 1, min(high - 1, round(math.sqrt(max(low, 1) * high))))
            smaller = self.reaching(middle, target)
            if not self.clock.allows(0.0) and smaller is None:
                break  # that none was found says nothing then
            low, reached = (middle, reached) if smaller is None else (low, smaller)
        if reached is None:
            return self.pick(list(self.known.values()), high)
        self.most, name = high, self.full.name
        candidates = self.within(high)
        for one in self.survivors(candidates):
            self.measure(one, self.full)
        enough = [one for one in candidates if name in one.results and one.results[name].recall >= target]
        return self.choose(enough or [reached], self.full), self.full

    def reaching(self, budget: int, target: float) -> Candidate | None:
        """One within the budget whose recall is the target or more, or None."""
        candidates, name = self.within(budget), self.full.name
        done = [one for one in candidates if name in one.results and one.results[name].recall >= target]
        if done:
            return min(done, key=self.size)
        for one in candidates:
            result = None if self.small is None else self.measure(one, self.small)
            if result is not None and result.recall >= target and self.reaches(one, target):
                return one
        return next(
            (one for one in self.survivors(candidates) if self.may_reach(one, target) and self.reaches(one, target)), None
        )

    def may_reach(self, one: Candidate, target: float) -> bool:
        """Whether the small sample, where recalls are higher, leaves hope for the full one."""
        if self.small is None:
            return True
        result = one.results[self.small.name]
        learning = LEARNING if result.codec.enough_rows > len(self.small.fitted_on) else 0.0
        if self.small.interval(result.shares)[1] + learning >= target:
            return True
        one.why = "misses the recall on the small sample"
        return False

    def reaches(self, one: Candidate, target: float) -> bool:
        result = self.measure(one, self.full)
        return result is not None and result.recall >= target

    # ---- the report

    def rows(self, winner: Candidate, stage: Stage) -> tuple[Row, ...]:
        """Of all candidates: the winner, then those of the last stage, the others, those that were not tried."""
        stages = self.parts.stages

        def rank(one: Candidate) -> tuple[Any, ...]:
            reached = [s.name in one.results for s in reversed(stages)]
            last = next((one.results[s.name] for s in reversed(stages) if s.name in one.results), None)
            recall = 0.0 if last is None else last.recall
            return one is not winner, [not there for there in reached], -recall, one.nbytes, repr(one.codec)

        return tuple(self.row(one, winner, stage) for one in sorted(self.known.values(), key=rank))

    def row(self, one: Candidate, winner: Candidate, stage: Stage) -> Row:
        plain = repr(one.codec), one.code_size, one.state_nbytes, one.nbytes
        last = next((s for s in reversed(self.parts.stages) if s.name in one.results and s.name in winner.results), None)
        if last is None:
            return Row(*plain, dropped=one.why or "not tried")
        result = one.results[last.name]
        lead = winner.results[last.name].shares - result.shares
        return Row(
            *plain, result.recall, last.interval(result.shares), float(lead.mean()), last.interval(lead),
            result.encode_per_second, result.searches_per_second, result.fit_seconds, result.work, last.name,
            "" if one is winner else self.reason(one, winner, stage, result.recall),
        )  # fmt: skip

    def reason(self, one: Candidate, winner: Candidate, stage: Stage, recall: float) -> str:
        if stage.name not in one.results:
            return one.why
        if self.target is not None and recall < self.target:
            return "misses the recall"
        if self.size(one) > self.most:
            return "larger" if one.code_size > self.most else "too large with what it learned"
        if recall >= winner.results[stage.name].recall and one.results[stage.name].work >= winner.results[stage.name].work:
            return "no better, more work to search"
        return "less recall"


def _number(name: str, value: Any, expected: str, holds: Callable[[float], bool]) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"auto: {name} expected a number {expected}, got {type(value).__name__}")
    if not holds(float(value)):
        raise ValueError(f"auto: {name} expected a number {expected}, got {value}")
    return float(value)
