"""What is run, as data: plans with named arguments, and the deterministic list of runs that follows from one.

A plan never looks at a clock: which runs fit its minutes is reckoned from costs measured once on an idle machine of two cores,
so the same command plans the same runs everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from . import inputs, plugins
from .contender import Contender, Profile
from .plugins import Plugin
from .rules import CENTROIDS, FIT_RATE, OURS, judged, pq_seconds
from .run_one import Run

# Bytes a vector; none is more than 1.25 times the one before, so that no configuration falls between two.
GRID = (16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
        1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144)  # fmt: skip
ROOM = 4  # bytes for factors beside whole bits a dimension: what our codecs have at most, and the leanest of peers
CORE_BITS = (1, 4)  # whose budgets get all seeds before the others do
SMALL_BITS = (4,)  # whose budget a set gets of which no claims are made, with one seed and one configuration of every codec
SMALL_SLOWEST = 1.5  # `Contender.slow` on such a set: rotations learned in 1,536 dimensions take minutes, and would say nothing
LONG = 20.0  # estimated seconds of a run that waits until shorter ones are planned
# What comes first when a plan's minutes are short: (level: 0 core, 1 main, 2 the rest; whether of the first seed; whether long).
TIERS = (
    (0, True, False), (1, True, False), (0, False, False), (0, True, True), (1, True, True), (1, False, False),
    (2, True, False), (0, False, True), (2, False, False), (1, False, True), (2, True, True), (2, False, True),
)  # fmt: skip
START = 0.9  # seconds of a process beside what it measures, on an idle machine
SLOW = (0.5, 1.5)  # `Contender.slow` above which a run comes after the others of its set and seed
TIMINGS = 2.5  # how many times `seconds` all timings of a run take


@dataclass(frozen=True)
class Plan:
    """data : paths, or "demo"; metric : of sets that do not state theirs
    bits : whole bits a dimension whose budgets come first; bytes : budgets that come first in any dimension
    rest : whether the other budgets of GRID follow; budgets : only these instead, where given
    seeds; libraries, codecs : only these, all where empty; folders : of further plug-ins; threads : None for all processors
    minutes : of runs by their estimated costs, None for all
    longest : estimated seconds of a run above which a codec must be asked for by name
    configurations : of one codec at one budget, at most
    seconds : for each timing; timeout : seconds a run may take; deadline : seconds after which no run is started
    """

    name: str
    data: tuple[str, ...] = (inputs.DEMO,)
    metric: str | None = None
    bits: tuple[int, ...] = (1, 2, 4, 8)
    bytes: tuple[int, ...] = (32,)
    rest: bool = True
    budgets: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    libraries: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    folders: tuple[Any, ...] = ()
    threads: int | None = None
    minutes: float | None = None
    longest: float = 30.0
    configurations: int = 1000
    seconds: float = 0.5
    timeout: float = 300.0
    deadline: float | None = None


QUICK = Plan(
    name="quick",
    configurations=2,
    bits=(1, 4),
    rest=False,
    seeds=(0,),
    minutes=1.2,
    longest=4.0,
    seconds=0.1,
    timeout=30.0,
    deadline=100.0,
)
DEFAULT = Plan(name="default", minutes=10.0, seconds=0.25)
FULL = Plan(name="full", configurations=2, minutes=47.0, longest=80.0, seconds=0.25, timeout=600.0)


@dataclass(frozen=True)
class Planned:
    """A run, the set it is on (its place in `Plan.data`), its estimated seconds, and when it comes: lower tiers first."""

    run: Run
    data: int
    seconds: float
    tier: int
    rank: int = 0


@dataclass
class Runs:
    """What follows from a plan: the runs in their order, how many did not fit its minutes, plug-ins without their library, and
    one contender of every codec that is too slow for the plan on all sets."""

    planned: list[Planned]
    left_out: int = 0
    missing: list[Plugin] = field(default_factory=list)
    excluded: list[Contender] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Estimated, on two idle cores."""
        return sum(p.seconds for p in self.planned)


def main_budgets(plan: Plan, dim: int) -> tuple[int, ...]:
    """The budgets that come first: so many whole bits a dimension and ROOM for factors."""
    if plan.budgets:
        return plan.budgets
    return tuple(sorted({*plan.bytes, *(-(-dim * bits // 8) + ROOM for bits in plan.bits)}))


def _of_bits(plan: Plan, bits: Sequence[int]) -> Plan:
    return replace(plan, bits=tuple(b for b in plan.bits if b in bits))


def all_budgets(plan: Plan, dim: int) -> tuple[int, ...]:
    """From GRID[0] to float32's bytes."""
    if plan.budgets or not plan.rest:
        return main_budgets(plan, dim)
    exact = {2 * dim, 4 * dim, 4 * dim + 4}  # float16, float32, and float32 with a norm: what all others are compared with
    return tuple(sorted({*main_budgets(plan, dim), *exact, *(b for b in GRID if b <= 2.5 * dim)}))


def estimate(contender: Contender, profile: Profile, plan: Plan) -> float:
    """Seconds that the run takes, about, on two idle cores."""
    fit, encode = pq_seconds(profile.n_train, profile.dim), profile.n_base * profile.dim * CENTROIDS / FIT_RATE
    return START + TIMINGS * plan.seconds + contender.slow * fit + min(contender.slow, 1) * encode


def runs(plan: Plan, sets: Sequence[tuple[Profile, int]]) -> Runs:
    """The runs of a plan on data sets, each given as its profile and its number of queries for figures.

    ValueError names a library or a codec that there is none of.
    """
    installed = plugins.found(plan.folders)
    names = [plugin.NAME for plugin in installed]
    for name in plan.libraries:
        if name not in names:
            raise ValueError(f"--library: there is no {name!r}; there are {', '.join(names)}")
    chosen = [plugin for plugin in installed if not plan.libraries or plugin.NAME in plan.libraries]
    missing = [plugin for plugin in chosen if plugin.version() is None]
    every: list[Planned] = []
    slow: dict[tuple[str, str], Contender] = {}
    seen: set[str] = set()
    for at, (profile, n_figures) in enumerate(sets):
        for plugin in chosen:
            offered = plugin.contenders(profile, all_budgets(plan, profile.dim))
            seen |= {contender.codec for contender in offered}
            if plugin not in missing:
                every += _planned(plan, at, plugin, offered, profile, n_figures, slow)
    for codec in plan.codecs:
        if sets and codec not in seen:
            raise ValueError(f"--codec: there is no {codec!r} in these budgets; there are {', '.join(sorted(seen))}")
    kept, left_out = _within(every, plan.minutes)
    for p in kept:
        slow.pop((p.run.contender.library, p.run.contender.codec), None)
    return Runs(list(_in_order(kept)), left_out, missing, list(slow.values()))


def _planned(
    plan: Plan,
    at: int,
    plugin: Plugin,
    offered: Sequence[Contender],
    profile: Profile,
    n_figures: int,
    slow: dict[tuple[str, str], Contender],
) -> Iterator[Planned]:
    """The contenders' runs on one set; `slow` collects codecs that are left out for their time."""
    small = not plan.budgets and not judged(n_figures, profile.n_base)
    core, main = main_budgets(_of_bits(plan, CORE_BITS), profile.dim), main_budgets(plan, profile.dim)
    if small:
        core = main = main_budgets(replace(_of_bits(plan, SMALL_BITS), bytes=()), profile.dim)
    grid = all_budgets(plan, profile.dim)
    nearest = {
        (codec, budgets): _nearest([c.code_size for c in offered if c.codec == codec], budgets)
        for codec in {c.codec for c in offered}
        for budgets in (core, main)
    }
    count: dict[tuple[str, int], int] = {}
    for contender in offered:
        budget = plugins.budget_of(contender.code_size, grid)
        levels = (contender.code_size in nearest[contender.codec, budgets] for budgets in (core, main))
        level = next((at for at, is_one in enumerate(levels) if is_one), 2)
        if budget is None or (small and level):
            continue
        seconds = estimate(contender, profile, plan)
        if plan.codecs and contender.codec not in plan.codecs:
            continue
        if not plan.codecs and (seconds > plan.longest or (small and contender.slow > SMALL_SLOWEST)):
            slow[contender.library, contender.codec] = contender
            continue
        rank = count[contender.codec, budget] = count.get((contender.codec, budget), -1) + 1
        if not plan.codecs and rank >= (1 if small else plan.configurations):
            continue
        seeds: tuple[int | None, ...] = (None,) if not contender.seeded else plan.seeds[:1] if small else plan.seeds
        for order, seed in enumerate(seeds):
            tier = TIERS.index((level, not order, seconds > LONG))
            yield Planned(Run(plugin, contender, budget, seed, grid), at, seconds, tier, rank)


def _nearest(sizes: Sequence[int], budgets: Sequence[int]) -> set[int]:
    """Of one codec's sizes those that stand for the budgets: for each the nearest that fits it, the larger of two as near."""
    fitting = {b: [size for size in sizes if plugins.budget_of(size, [b]) is not None] for b in budgets}
    return {min(some, key=lambda size: (abs(size - b), -size)) for b, some in fitting.items() if some}


def _within(every: list[Planned], minutes: float | None) -> tuple[list[Planned], int]:
    """Those that fit the minutes: by tier, and within one a first of every codec at every budget before a second of any."""
    if minutes is None:
        return every, 0
    kept, spent = [], 0.0
    turn: dict[tuple[int, int, int, str], int] = {}
    order = []
    for planned in every:
        library = planned.run.contender.library
        place = (planned.tier, planned.rank, planned.data, library)
        turn[place] = turn.get(place, -1) + 1
        order.append(
            (*place[:2], turn[place], planned.data, library != OURS)
        )  # libraries and sets in turn: none is cut off first
    for _, planned in sorted(zip(order, every, strict=True), key=lambda pair: pair[0]):
        if spent + planned.seconds <= 60 * minutes:
            kept.append(planned)
            spent += planned.seconds
    return kept, len(every) - len(kept)


def _in_order(planned: list[Planned]) -> Iterator[Planned]:
    """By set, seed, how slow fitting is, and budget; within these ours and peers in turn, so that both share the machine's drift.
    The slow ones come late, as a deadline may cut off what is last."""
    groups: dict[tuple[int, int, int, int], list[Planned]] = {}
    for p in planned:
        slow = sum(p.run.contender.slow > limit for limit in SLOW)
        groups.setdefault((p.data, p.run.seed or 0, slow, p.run.budget), []).append(p)
    for _, group in sorted(groups.items()):
        ours = [p for p in group if p.run.contender.library == OURS]
        peers = [p for p in group if p.run.contender.library != OURS]
        for pair in zip_longest(ours, peers):
            yield from (p for p in pair if p is not None)


def filtered(plan: Plan, **changes: Any) -> Plan:
    """The plan with what the command line says otherwise; None and empty mean that it says nothing."""
    return replace(plan, **{name: value for name, value in changes.items() if value is not None and value != ()})


def unlimited(plan: Plan) -> Plan:
    """The plan with all of its runs."""
    return replace(plan, minutes=None)
