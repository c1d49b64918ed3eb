"""Two commits, timed in turns on one core or counted by valgrind: what became slower, by how much, and how sure that is.

    python -m bench.compare BASE                      BASE and the files as they are, best backend, a few minutes
    python -m bench.compare BASE --head REV -k lut4   two commits, only cases whose names hold "lut4"
    python -m bench.compare BASE --instructions       instructions instead of times: no noise (bench/instructions.py)
    make bench-compare BASE=main

Both are built in a temporary folder and measured by this clone's cases in two processes pinned to one core, A B A B. The ratio of
a case is the median of head's by base's time over the pairs of rounds; its 95 % interval is bootstrapped from these pairs.
A case is slower if its ratio is above 1.25, its interval excludes 1, and both hold again in two new processes. The exit code is 1
if a case is slower or has more than 3 % more instructions, 2 for what could not be compared at all, or if head cannot run a case
that base runs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from . import instructions
from .builds import WORKTREE, BuildError, commit_of, two_builds
from .instructions import CountError, matches
from .worker import Side, WorkerError

THRESHOLD = 1.25
GROWTH = 1.03
ROUNDS = 15
LEAST_ROUNDS = 7
SAMPLE_SECONDS = 0.002  # short calls repeat within a sample until it lasts this long
SAMPLES = 5  # in a round, the fastest counts
LOST = "head: "  # begins the reason of a case that base runs and head does not
CASE_SECONDS = 8.0  # of one case's rounds on each side; longer calls get fewer rounds


@dataclass(frozen=True)
class Change:
    """One case on both sides.

    base, head : seconds of a call, medians over the rounds; or instructions
    ratio : head by base; low, high : its 95 % interval, the same number three times where it is counted
    same : whether both gave the same result
    """

    case: str
    base: float
    head: float
    ratio: float
    low: float
    high: float
    rounds: int
    same: bool = True

    def slower(self, threshold: float) -> bool:
        return self.ratio > threshold and self.low > 1


def paired(case: str, base: Sequence[float], head: Sequence[float], same: bool = True) -> Change:
    """What pairs of times say: base[i] and head[i] were taken one after the other. At least one pair.

    The interval is the percentile bootstrap of the median of the pairs' ratios, seeded: the same pairs give the same interval.
    """
    logs = np.log(np.asarray(head, float) / np.asarray(base, float))
    draws = np.random.default_rng(0).integers(0, len(logs), (2000, len(logs)))
    low, high = np.exp(np.percentile(np.median(logs[draws], axis=1), (2.5, 97.5)))
    middle = math.exp(float(np.median(logs)))
    each = float(statistics.median(base)), float(statistics.median(head))
    return Change(case, *each, middle, float(low), float(high), len(logs), same)


def counted(base: dict[str, int], head: dict[str, int]) -> tuple[list[Change], dict[str, str]]:
    """Two sides' instructions to changes, and what one side lacks with the reason."""
    changes = [
        Change(name, base[name], head[name], ratio := head[name] / base[name], ratio, ratio, 1) for name in base if name in head
    ]
    missing = {name: LOST + "it does not run there" for name in base if name not in head}
    return changes, missing | {name: "base: it does not run there" for name in head if name not in base}


def confirmed(change: Change, again: dict[str, Change], threshold: float) -> Change:
    """A case that is slower only if its second run, where there is one, says so, too."""
    second = again.get(change.case, change)
    return change if second.slower(threshold) else second


def alternate(sides: Sequence[Side], case: str, backend: str | None, rounds: int) -> Change | str:
    """One case timed in turns; the reason where a side cannot run it."""
    ready = [side.ask(prepare=case, backend=backend) for side in sides]
    failed = [f"{side.name}: {answer['error']}" for side, answer in zip(sides, ready, strict=True) if "error" in answer]
    if failed:
        return "; ".join(failed)
    seconds = max(max(answer["seconds"] for answer in ready), 1e-7)
    calls = max(1, round(SAMPLE_SECONDS / seconds))
    samples = SAMPLES if seconds < 0.1 else 1
    rounds = max(LEAST_ROUNDS, min(rounds, int(CASE_SECONDS / (seconds * calls * samples))))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, found in zip(sides, times, strict=True):
            found.append(side.ask(calls=calls, samples=samples)["seconds"])
    return paired(case, *times, same=ready[0]["digest"] == ready[1]["digest"])


def compare(
    targets: tuple[Path, Path], words: str, backend: str | None, rounds: int, threshold: float
) -> tuple[list[Change], dict[str, str]]:
    """Every case that `words` pick; changes, and what could not be compared with the reason. Raises WorkerError."""
    from .micro.library import all_cases

    names = [case.name for case in all_cases() if matches(case.name, words)]
    changes, missing = _run(targets, names, backend, rounds)
    # once more in new processes, which get other pages of memory: a layout's bad luck is not the commit's fault
    suspects = [change.case for change in changes if change.slower(threshold)]
    if suspects:
        again = {change.case: change for change in _run(targets, suspects, backend, rounds)[0]}
        changes = [confirmed(change, again, threshold) for change in changes]
    return changes, missing


def _run(targets: tuple[Path, Path], names: list[str], backend: str | None, rounds: int) -> tuple[list[Change], dict[str, str]]:
    cpu = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    changes: list[Change] = []
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(*side, cpu)) for side in zip(("base", "head"), targets, strict=True)]
        for number, name in enumerate(names, 1):
            if sys.stderr.isatty():
                print(f"\r\033[K{number}/{len(names)} {name}", end="", file=sys.stderr, flush=True)
            found = alternate(sides, name, backend, rounds)
            if isinstance(found, Change):
                changes.append(found)
            else:
                missing[name] = found
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return changes, missing


def amount(value: float, counts: bool) -> str:
    if counts:
        return f"{value:,.0f}"
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} us"


def table(changes: list[Change], missing: dict[str, str], threshold: float, counts: bool) -> str:
    """For reading: the largest ratio first."""
    width = max([len(change.case) for change in changes] + [4])
    lines = [f"{'case':{width}s} {'base':>14s} {'head':>14s}  ratio" + ("" if counts else "  95 % interval")]
    for change in sorted(changes, key=lambda c: -c.ratio):
        notes = ["SLOWER"] if change.slower(threshold) else []
        notes += [] if change.same else ["another result"]
        interval = "" if counts else f"  {change.low:.3f}..{change.high:.3f}"
        base, head = amount(change.base, counts), amount(change.head, counts)
        lines.append(f"{change.case:{width}s} {base:>14s} {head:>14s}  {change.ratio:.3f}{interval}  {', '.join(notes)}".rstrip())
    lines += [f"not compared: {name} ({why})" for name, why in missing.items()]
    slower = sum(change.slower(threshold) for change in changes)
    whole = math.exp(statistics.fmean(math.log(change.ratio) for change in changes)) if changes else math.nan
    lines.append(f"{len(changes)} cases, geometric mean {whole:.3f}; {slower} slower by more than {threshold - 1:.0%}")
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.compare", description=__doc__.splitlines()[0])
    parser.add_argument("base", metavar="BASE", help="the commit to compare with")
    parser.add_argument("--head", metavar="REV", default=WORKTREE, help="another commit (default: the files as they are)")
    parser.add_argument("-k", metavar="WORDS", default="", help="only cases whose names hold every word, e.g. 'lut4 nq=1|norms'")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"pairs of each case, at least {LEAST_ROUNDS} (%(default)s)")
    parser.add_argument("--backend", help="the backend to force on both sides (default: what each chooses)")
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind instead of timing")
    parser.add_argument("--threshold", type=float, help=f"the ratio that fails ({THRESHOLD}; of instructions {GROWTH})")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to FILE, too")
    options = parser.parse_args(arguments)
    if options.rounds < LEAST_ROUNDS:
        parser.error(f"argument --rounds: expected at least {LEAST_ROUNDS}, got {options.rounds}")
    if options.threshold is None:
        options.threshold = GROWTH if options.instructions else THRESHOLD
    if not options.threshold > 1:
        parser.error(f"argument --threshold: expected a ratio above 1, got {options.threshold:g}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        commits = [commit_of(options.base), commit_of(options.head)]
        if options.instructions and (why := instructions.unavailable()):
            raise CountError(f"--instructions: {why}")
        load = os.getloadavg()[0]
        print(f"base {commits[0]}, head {commits[1]}; building both", file=sys.stderr)
        with two_builds(options.base, options.head) as targets:
            if options.instructions:
                words = "|".join(f"{each} {options.backend or ''}" for each in options.k.split("|"))
                changes, missing = counted(*(instructions.count(target, words) for target in targets))
            else:
                changes, missing = compare(targets, options.k, options.backend, options.rounds, options.threshold)
    except (BuildError, CountError, WorkerError) as error:
        print(f"bench.compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbench.compare: interrupted, nothing is left behind", file=sys.stderr)
        return 130
    print(table(changes, missing, options.threshold, options.instructions))
    if options.json:
        result = {
            "base": commits[0], "head": commits[1], "unit": "instructions" if options.instructions else "seconds",
            "threshold": options.threshold, "load_before": round(load, 2), "missing": missing,
            "changes": [asdict(change) | {"slower": change.slower(options.threshold)} for change in changes],
        }  # fmt: skip
        try:
            options.json.write_text(json.dumps(result, indent=1) + "\n")
        except OSError as error:
            print(f"bench.compare: {error}", file=sys.stderr)
            return 2
    lost = [name for name, why in missing.items() if why.startswith(LOST)]
    if lost:
        print(f"bench.compare: base runs and head does not: {', '.join(lost)}", file=sys.stderr)
    if not changes:
        print(f"bench.compare: no case was compared (-k {options.k!r})", file=sys.stderr)
    if lost or not changes:
        return 2
    return int(any(change.slower(options.threshold) for change in changes))


if __name__ == "__main__":
    sys.exit(main())
