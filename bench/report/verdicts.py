"""What the figures say: the best codec for a budget, the fewest bytes for a recall, and where a peer is better."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

from ..rules import JUDGED_BASE, JUDGED_QUERIES, MOST
from .summary import DataSet, Interval, Runs, front, paired
from .words import plain, points, rate, recall_of, seconds, size

BUDGETS = (16, 32, 48, 64, 96, 192, 384)  # bytes a vector, where the runs name none
TARGETS = (0.90, 0.95, 0.99)
EQUAL_RECALL = 0.005
FASTER = 1.1


@dataclass(frozen=True)
class Choice:
    """The best of each side for a budget; `within` is the best peer that keeps the budget, where `peer` is over it; `same_as` is
    the smaller budget that the same two are best for: nothing larger that was measured finds more; `fair`: that ours finds more
    can be said at equal bytes, which are at least ours and at most MOST times as many."""

    budget: int
    ours: Runs | None
    peer: Runs | None
    within: Runs | None
    interval: Interval | None
    same_as: int | None = None
    fair: bool = True

    @property
    def ahead(self) -> str | None:
        """Which side finds more: "ours", "peer", "neither", "unequal" (one does, but has so many more bytes that nothing
        follows), or None where nothing can be said, or has been for a smaller budget."""
        if self.interval is None or self.same_as is not None or self.ours is None or self.peer is None:
            return None
        if self.interval.low > 0:
            return "ours" if self.fair else "unequal"
        if self.interval.high < 0:
            return "peer" if is_equal(self.ours, self.peer) else "unequal"
        return "neither"


class Win(NamedTuple):
    """A peer that is better than ours in one respect; `figures` says by how much, `load` what else ran on the machine;
    `factor`: how many times as fast."""

    budget: int
    what: str
    peer: Runs
    ours: Runs
    figures: str
    load: str
    factor: float = 1.0


def best(runs: list[Runs]) -> Runs | None:
    """The highest recall; of equal ones the smaller, then the faster."""
    key = lambda r: (-r.recall, r.code_size, -(r.median("search_per_second") or 0), r.name)  # noqa: E731
    return min(runs, key=key, default=None)


_RECALLS = {"recall": "recall", "recall_wide": "recall 10@100"}


def is_equal(ours: Runs, peer: Runs) -> bool:
    """Whether a peer that finds more than ours has no more bytes than still count as equal."""
    return peer.code_size <= MOST * ours.code_size


def fits(run: Runs, budget: float) -> bool:
    """Whether a run may stand for a budget: ours must keep it, a peer may take 1.2 times as much."""
    return run.code_size <= budget * (1 if run.ours else MOST)


def home(run: Runs, budgets: list[int]) -> int | None:
    """The smallest budget that a run may stand for."""
    return next((budget for budget in budgets if fits(run, budget)), None)


def budgets_of(data: DataSet) -> list[int]:
    """The budgets that the runs were asked for, else the usual ones, else their own sizes; none that nothing is new for."""
    runs = [*data.ours, *data.peers]
    asked = sorted({int(r.budget) for run in runs for r in run.records if r.budget})
    for budgets in (asked, list(BUDGETS), sorted({int(-(-run.code_size // 1)) for run in runs})):
        used = {home(run, budgets) for run in runs}
        if kept := [budget for budget in budgets if budget in used]:
            return kept
    return []


@functools.lru_cache(maxsize=64)
def choices(data: DataSet) -> list[Choice]:
    """The best of both sides for every budget."""
    found: list[Choice] = []
    for budget in budgets_of(data):
        ours = best([run for run in data.ours if fits(run, budget)])
        peer = best([run for run in data.peers if fits(run, budget)])
        within = None
        if peer and peer.code_size > budget:
            within = best([run for run in data.peers if run.code_size <= budget])
        before = next((c.budget for c in found if c.ours is ours and c.peer is peer), None)
        both = ours is not None and peer is not None
        interval, fair = (paired(ours, peer), _is_fair(data, ours, peer)) if both else (None, True)
        found.append(Choice(budget, ours, peer, within, interval, before, fair))
    return found


def _is_fair(data: DataSet, ours: Runs, peer: Runs) -> bool:
    """Whether ours finds more at equal bytes: than this peer, if it has as many; else with no more bytes than it, or than the
    best peer of equal bytes, which finds less than this one."""
    if peer.code_size >= ours.code_size:
        return True
    smaller = best([run for run in data.ours if run.code_size <= peer.code_size])
    equal = best([run for run in data.peers if ours.code_size <= run.code_size <= MOST * ours.code_size])
    pairs = [(smaller, peer), (ours, equal)]
    return any(a and b and (found := paired(a, b)) and found.low > 0 for a, b in pairs)


def sentence(data: DataSet, choice: Choice) -> str:
    """What a choice says, for people; nothing is claimed from few queries."""
    ours, peer = choice.ours, choice.peer
    if choice.same_as is not None:
        return f"At {choice.budget} bytes: as at {choice.same_as} bytes; nothing larger that was measured finds more."
    parts = []
    if ours:
        parts.append(f"{ours.name} of ours, {size(ours.code_size)}, recall {recall_of(ours)}")
    else:
        parts.append("nothing of ours keeps this budget")
    if peer:
        more = peer.code_size / choice.budget
        over = f", {more:.2f} times the budget" if more > 1 else ""
        parts.append(f"best peer {peer.name}, {size(peer.code_size)}{over}, recall {recall_of(peer)}")
    else:
        parts.append("no peer was measured")
    text = f"At {choice.budget} bytes: {'; '.join(parts)}"
    if not (ours and peer):
        return f"{text}."
    if not data.claims:
        return f"{text}. Runs, sane: no claim from fewer than {JUDGED_QUERIES} queries or {JUDGED_BASE:,} vectors."
    if choice.interval is None:
        return f"{text}; difference {points(ours.recall - peer.recall)}, no interval, as the counts of each query are not there."
    if choice.ahead == "unequal":
        return f"{text}; the two differ in bytes, so this is no comparison at equal bytes."
    verdict = {"ours": "ours finds more", "peer": "the peer finds more"}.get(
        choice.ahead or "", "these queries show no difference"
    )
    return f"{text}; difference {points(choice.interval.difference)}, 95 % interval {interval_text(choice.interval)}: {verdict}."


def interval_text(interval: Interval) -> str:
    """The ends of an interval in points of recall."""
    return f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def cost_sentence(run: Runs) -> str:
    """What a choice costs, as far as it was measured."""
    held, state, fit = run.median("held_nbytes"), run.median("state_nbytes"), run.median("fit_seconds")
    encode, search, late = run.median("encode_per_second"), run.median("search_per_second"), run.median("latency_p50")
    parts = [
        held is not None and f"{plain(held)} bytes a vector held beside the code",
        state is not None and f"{size(state)} once",
        fit is not None and f"{seconds(fit)} to fit",
        encode is not None and f"{rate(encode)} vectors encoded a second",
        search is not None and f"{rate(search)} searches a second in a batch",
        late is not None and f"{seconds(late)} for one query",
    ]
    said = [part for part in parts if part]
    return f"It costs {', '.join(said)}." if said else "What it costs was not measured."


def fewest(runs: list[Runs], target: float) -> Runs | None:
    """The measured configuration of fewest bytes whose mean recall reaches the target; nothing is interpolated."""
    reached = [run for run in runs if run.recall >= target]
    return min(reached, key=lambda r: (r.code_size, -r.recall, r.name), default=None)


def recall_wins(data: DataSet) -> list[Win]:
    """Peers of equal bytes whose recall is above that of our best codec for a budget, with an interval that excludes zero."""
    if not data.claims:
        return []
    found = []
    listed: set[tuple[int, int]] = set()  # a pair is listed once, at its smallest budget
    for choice in choices(data):
        if not choice.ours:
            continue
        families = set()
        candidates = [
            p
            for p in data.peers
            if fits(p, choice.budget) and is_equal(choice.ours, p) and p.recall > choice.ours.recall
        ]
        for peer in sorted(candidates, key=lambda p: (-p.recall, p.code_size, p.name)):
            interval = paired(choice.ours, peer)
            if interval is None or interval.high >= 0 or peer.family in families:
                continue
            families.add(peer.family)  # one configuration of a codec is enough: its best
            if (id(peer), id(choice.ours)) in listed:
                continue
            listed.add((id(peer), id(choice.ours)))
            figures = (
                f"recall {peer.recall:.3f} against {choice.ours.recall:.3f}; difference {points(interval.difference)}, "
                f"95 % interval {interval_text(interval)}"
            )
            found.append(Win(choice.budget, "recall", peer, choice.ours, figures, ""))
    return found


SPEEDS = {  # what: (field, whether more is better, the recall that it was bought with)
    "search in a batch": ("search_per_second", True, "recall"),
    "search of 100 in a batch": ("search_wide_per_second", True, "recall_wide"),
    "search of one query": ("latency_p50", False, "recall"),
    "encoding": ("encode_per_second", True, "recall"),
}


def speed_wins(data: DataSet) -> tuple[list[Win], int]:
    """Peers that are over 10 % faster than all of ours that find as much for the same budget, and how many comparisons were left
    out because the machine was busy, or another one. As much: at most 0.5 points less, or no difference that the queries show.
    """
    found: list[Win] = []
    left_out = 0
    if not data.claims:
        return found, left_out
    budgets = budgets_of(data)
    for choice in choices(data):
        if not choice.ours:
            continue
        peers = [p for p in data.peers if home(p, budgets) == choice.budget]
        for what, (name, more, recall) in SPEEDS.items():
            faster = []
            for peer in (p for p in peers if p.median(name)):
                equal = [
                    o
                    for o in data.ours
                    if fits(o, choice.budget) and o.median(name) and _finds_as_much(o, peer, choice.ours, recall)
                ]
                fair = [o for o in equal if _same_machine(o, peer)]
                if equal and not fair:
                    left_out += 1
                if not fair:
                    continue
                ours = max(fair, key=lambda o: _speed(o, name, more))
                if _speed(peer, name, more) > FASTER * _speed(ours, name, more):
                    faster.append((peer, ours))
            # of many peers, only those that no other winner beats in both recall and speed
            for peer, ours in _not_beaten(faster, name, more):
                found.append(_speed_win(choice.budget, what, peer, ours))
    return found, left_out


def _not_beaten(pairs: list[tuple[Runs, Runs]], name: str, more: bool) -> list[tuple[Runs, Runs]]:
    return front(pairs, lambda pair: -pair[0].recall, lambda pair: _speed(pair[0], name, more))


def _speed(run: Runs, name: str, more: bool) -> float:
    value = run.median(name) or 0.0
    return value if more else 1 / value if value else 0.0


def _finds_as_much(ours: Runs, peer: Runs, top: Runs, recall: str) -> bool:
    if (ours.mean(recall) or 0) >= (peer.mean(recall) or 0) - EQUAL_RECALL:
        return True
    interval = paired(ours, peer) if ours is top and recall == "recall" else None
    return interval is not None and interval.high >= 0


def _same_machine(a: Runs, b: Runs) -> bool:
    """Speeds may be compared: a quiet machine on both sides, the same processor, as many threads."""
    machines = {(r.machine.get("cpu"), r.machine.get("threads")) for run in (a, b) for r in run.records}
    return a.quiet and b.quiet and len(machines) == 1


def _speed_win(budget: int, what: str, peer: Runs, ours: Runs) -> Win:
    name, more, recall = SPEEDS[what]
    a, b = peer.median(name) or 0.0, ours.median(name) or 0.0
    shown = (f"{rate(a)} a second against {rate(b)}", a / b) if more else (f"{seconds(a)} against {seconds(b)}", b / a)
    figures = (
        f"{shown[1]:.2f} times as fast: {shown[0]}; {_RECALLS[recall]} {peer.mean(recall) or 0:.3f} against "
        f"{ours.mean(recall) or 0:.3f}"
    )
    return Win(budget, what, peer, ours, figures, f"{max(peer.load or 0, ours.load or 0):.2f}", shown[1])
