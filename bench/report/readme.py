"""The README's tables of the suite, and docs/recall.svg, from the newest bench/results/suite-*.jsonl: never typed by hand.

python -m bench.report.readme           write them
python -m bench.report.readme --check   exit 1 if other ones are there
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import records
from .pictures import both_sides, styles_of
from .summary import DataSet, Summary, summarise
from .verdicts import TARGETS, choices, fewest, interval_text, recall_wins, speed_wins
from .words import NONE, mean_and_worst, plain, points

ROOT = Path(__file__).resolve().parents[2]
END = "<!-- end of the table -->"
PICTURE = Path("docs") / "recall.svg"


def newest(root: Path) -> Path | None:
    """The file of results whose last run is the latest; None where there is none."""
    found = sorted((root / "bench" / "results").glob("suite-*.jsonl"))
    return max(found, key=lambda path: max((r.date for r in records.read(path)), default=""), default=None)


def markdown(head: Sequence[str], kinds: str, rows: Sequence[Sequence[str]]) -> str:
    """A table; `kinds`: a letter a column, n for numbers. No cell breaks it."""
    rule = "|".join("--:" if kind == "n" else "---" for kind in kinds)
    lines = [f"| {' | '.join(head)} |", f"|{rule}|"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def budgets_table(summary: Summary) -> str:
    """The best of both sides for every budget, of the sets that claims are made of."""
    rows = []
    for data in _judged(summary):
        for c in choices(data):
            if c.same_as is not None or not c.ours or c.budget not in _core(data):
                continue
            row = [data.name, str(c.budget), f"`{c.ours.name}`", plain(c.ours.code_size), mean_and_worst(c.ours)]
            if c.peer and c.ahead != "unequal":
                interval = interval_text(c.interval) if c.interval else "no interval"
                gain = f"{points(c.ours.recall - c.peer.recall)}, {interval}"
                row += [c.peer.name, plain(c.peer.code_size), mean_and_worst(c.peer), gain]
            else:
                row += ["none of this size", NONE, NONE, NONE]
            rows.append(row)
    head = ["data", "budget", "codec", "bytes", "recall 10@10", "best peer", "bytes", "recall", "difference, 95 % interval"]
    return f"{markdown(head, 'tntnntnnn', rows)}\n\n{about(summary)}"


def fewest_table(summary: Summary) -> str:
    """The fewest bytes that reach a recall, as measured."""
    rows = []
    for data in _judged(summary):
        for target in TARGETS:
            row = [data.name, f"{target:.2f}"]
            for runs in (data.ours, data.peers):
                run = fewest(runs, target)
                row += [run.name, plain(run.code_size), mean_and_worst(run)] if run else ["not reached", NONE, NONE]
            rows.append(row)
    return markdown(["data", "recall", "codec", "bytes", "recall 10@10", "peer", "bytes", "recall 10@10"], "tntnntnn", rows)


def wins_table(summary: Summary) -> str:
    """Where a peer is better: in recall all, in speed the largest win of each kind; the report has the others."""
    rows, left_out = [], 0
    for data in _judged(summary):
        speeds, left = speed_wins(data)
        left_out += left
        shown = [(win, "") for win in recall_wins(data) if win.budget in _core(data)]
        for what in dict.fromkeys(win.what for win in speeds):
            of_kind = [win for win in speeds if win.what == what]
            shown.append((max(of_kind, key=lambda win: win.factor), f", the largest of {len(of_kind)}" if of_kind[1:] else ""))
        for win, others in shown:
            peer, ours = (f"{run.name}, {plain(run.code_size)} bytes" for run in (win.peer, win.ours))
            rows.append([data.name, str(win.budget), win.what + others, peer, ours, win.figures, win.load or NONE])
    text = (
        "In these runs, nowhere."
        if not rows
        else markdown(["data", "budget", "in", "peer", "ours", "by how much", "load"], "tnttttn", rows)
    )
    if rows:
        text += (
            "\n\nEvery run had a process of its own, one after the other: ratios of speed near 1.1 are hardly more than noise."
        )
    busy = f" {left_out} comparisons of speed could not be made: the machine was busy, or not the same." if left_out else ""
    return text + busy


def about(summary: Summary) -> str:
    """The conditions, in a paragraph."""
    found = [r for r in summary.records if r.status == "ok"]
    cpus, threads, commits = (
        ", ".join(sorted({str(v) for v in values if v})) or "not recorded"
        for values in (
            (r.machine.get("cpu") for r in found),
            (r.machine.get("threads") for r in found),
            (r.commit for r in found),
        )
    )
    versions = sorted({f"{name} {v}" for r in found for name, v in r.versions.items()})
    queries = ", ".join(f"{data.name} {plain(data.n_figures)}" for data in _judged(summary))
    return (
        "Exhaustive scan, no reranking, ties counted. Recall is the mean of the seeds, the worst in brackets; the interval is a "
        "paired bootstrap over queries. Ours keep the budget, a peer may store 1.2 times as much. Queries: "
        f"{queries or NONE}. On {cpus}, threads: {threads}; vecpress at {commits}; {', '.join(versions)}."
    )


def _core(data: DataSet) -> set[int]:
    """The budgets of 1, 2, 4 and 8 bits a dimension; the report has the others."""
    return {int(data.about["dim"]) * bits // 8 for bits in (1, 2, 4, 8)}


def _judged(summary: Summary) -> list[DataSet]:
    return [data for data in summary.sets if data.claims and (data.ours or data.peers)]


TABLES = {"budgets": budgets_table, "fewest": fewest_table, "wins": wins_table}


def marker(name: str) -> str:
    return f"<!-- suite: {name} -->"


def fill(text: str, summary: Summary) -> str:
    """`text` with the tables between the markers that it has. ValueError where a block has no end."""
    for name, make in TABLES.items():
        before, begin, rest = text.partition(marker(name))
        if not begin:
            continue
        inside, end, after = rest.partition(END)
        if not end or "<!-- suite:" in inside:
            raise ValueError(f"expected {END} behind {begin}")
        text = f"{before}{begin}\n{make(summary)}\n{end}{after}"
    return text


def picture(summary: Summary) -> str | None:
    """Of the set that most codecs were measured on; None where there is nothing to draw."""
    sets = _judged(summary) or [data for data in summary.sets if data.ours or data.peers]
    top = max(sets, key=lambda s: len({run.family for run in (*s.ours, *s.peers)}), default=None)
    return both_sides(top, styles_of(summary.sets)) if top else None


def fresh(root: Path) -> dict[Path, str]:
    """What the files should hold. FileNotFoundError where there are no results, ValueError where a file is not well formed."""
    results = newest(root)
    if results is None:
        raise FileNotFoundError("bench/results has no suite-*.jsonl: see bench/README.md")
    summary = summarise(records.read(results))
    readme = root / "README.md"
    files = {readme: fill(readme.read_text(encoding="utf-8"), summary)}
    drawn = picture(summary)
    return files | ({root / PICTURE: drawn} if drawn else {})


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report.readme", description="The README's tables of the suite.")
    parser.add_argument("--check", action="store_true", help="exit 1 if a table or the picture is stale")
    check = parser.parse_args(arguments).check
    try:
        files = fresh(root)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    for path, text in files.items():
        old = path.read_text(encoding="utf-8") if path.exists() else None
        if old == text:
            continue
        if check:
            sys.exit(f"{path.name} is stale: run python -m bench.report.readme")
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
        print(path.relative_to(root))


if __name__ == "__main__":
    main()
