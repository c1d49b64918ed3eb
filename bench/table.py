"""The suite's results and its plan as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from vecpress.cli.console import count, table

from . import load, measures, rules
from .plan import Runs
from .records import Record

if TYPE_CHECKING:
    from .suite import Outcome


def label(record: Record) -> str:
    return rules.label(record.library, record.codec, record.config)


def is_busy(record: Record) -> bool:
    """Whether others used the machine while the run lasted, so that its speeds are not to be compared."""
    return not load.is_quiet(record.machine)


def results(done: Sequence[Record]) -> str:
    """One table a data set, by bytes and recall, the seeds of a contender in one line; then what failed."""
    parts = []
    ok = [record for record in done if record.status == "ok"]
    for name in dict.fromkeys(record.data["name"] for record in ok):
        here = [record for record in ok if record.data["name"] == name]
        data = here[0].data
        about = f"{name}: {data['n_base']:,} vectors of {data['dim']} dimensions, {data['metric']}, {data['n_figures']} queries"
        few = "" if rules.judged(data["n_figures"], data["n_base"]) else "; too few to compare by, this only says that things run"
        parts.append(f"{about}{few}\n\n{_one(here)}")
    failed = [record for record in done if record.status == "failed"]
    if failed:
        lines = [f"  {label(record)}, seed {record.seed}: {record.error}" for record in failed]
        parts.append("Failed:\n" + "\n".join(lines))
    if any(is_busy(record) for record in ok):
        parts.append("~: others used the machine during the run; compare no speeds, which say little then.")
    return "\n\n".join(parts)


def _one(here: list[Record]) -> str:
    groups: dict[str, list[Record]] = {}
    for record in here:
        groups.setdefault(label(record), []).append(record)
    rows = []
    for name, group in groups.items():
        recall = measures.summary([record.recall for record in group])
        assert recall is not None
        size = sum(record.code_size or 0 for record in group) / len(group)
        speed = sorted(record.search_per_second or 0 for record in group)[len(group) // 2]
        latency = sorted(record.latency_p50 or 0 for record in group)[len(group) // 2]
        fit = sorted(record.fit_seconds or 0 for record in group)[len(group) // 2]
        worst = f" ({recall.worst:.3f})" if recall.seeds > 1 else ""
        busy = "~" if any(is_busy(record) for record in group) else ""
        cells = [
            name,
            f"{size:g}",
            f"{recall.mean:.3f}{worst}",
            f"{busy}{speed:,.0f}",
            f"{busy}{1e3 * latency:.3f}",
            f"{fit:.2f}",
        ]
        rows.append((size, -recall.mean, cells))
    header = ["contender", "bytes/vector", "recall 10@10 (worst seed)", "searches/s", "latency ms", "fit s"]
    return table(header, [cells for _, _, cells in sorted(rows)])


def listing(todo: Runs, names: Sequence[str]) -> str:
    """The plan: a line a contender."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for planned in todo.planned:
        run = planned.run
        key = (names[planned.data], f"{run.budget}", run.label, f"{run.contender.code_size}")
        rows.setdefault(key, []).append("-" if run.seed is None else str(run.seed))
    cells = [[data, contender, budget, size, " ".join(seeds)] for (data, budget, contender, size), seeds in rows.items()]
    lines = [table(["data", "contender", "budget", "bytes/vector", "seeds"], cells, left=2), "", totals(todo)]
    return "\n".join(lines)


def totals(todo: Runs) -> str:
    """How many runs there are, how long they take, what is not among them."""
    text = f"{count(len(todo.planned), 'run')}, about {todo.seconds / 60:.1f} minutes on two idle cores"
    if todo.left_out:
        text += f"; {count(todo.left_out, 'run')} left out to stay within the plan's time"
    if todo.excluded:
        text += f". Too slow for this plan, unless asked for by --codec: {', '.join(sorted({c.codec for c in todo.excluded}))}"
    if todo.missing:
        text += f". Not installed: {', '.join(plugin.NAME for plugin in todo.missing)}"
    return text + "."


def plan_data(todo: Runs) -> dict[str, Any]:
    """The plan as JSON values."""
    planned = [
        {
            "data": p.data, "library": p.run.contender.library, "codec": p.run.contender.codec, "config": p.run.contender.config,
            "code_size": p.run.contender.code_size, "budget": p.run.budget, "seed": p.run.seed, "seconds": round(p.seconds, 2),
        }
        for p in todo.planned
    ]  # fmt: skip
    missing = [plugin.NAME for plugin in todo.missing]
    return {"runs": planned, "seconds": round(todo.seconds, 1), "left_out": todo.left_out, "missing": missing}


def ending(outcome: Outcome, out: str) -> str:
    """What was done, and where it is."""
    lines = [f"{count(len(outcome.done), 'run')}, {outcome.measured} of them new: {out}"]
    late = outcome.not_run - sum(outcome.bad_sets.values())
    if late:
        lines.append(f"{count(late, 'run')} not made for lack of time: the same command goes on with them")
    lines += [f"{count(runs, 'run')} not made: {why}" for why, runs in outcome.bad_sets.items()]
    lines.append(f"Report: {outcome.report}" if outcome.report else f"No report: {outcome.why_no_report}")
    return "\n".join(lines)


def failures(done: Iterable[Record]) -> int:
    return sum(record.status == "failed" for record in done)
