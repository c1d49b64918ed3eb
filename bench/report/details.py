"""The end of the page: what is not there, machines and versions, every run with its configuration, how to repeat it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from html import escape

from ..records import Record
from .markup import paragraph, table
from .summary import LOADS, Runs, Summary
from .words import NONE, plain, rate, seconds, share, size

COLUMNS = (
    "contender", "seeds", "bytes", "held", "state", "file", "10@10", "1@10", "10@100", "nDCG", "success", "D", "fit",
    "encoded / s", "p50", "p99", "searches / s", "of 100", "peak memory", "load", "read", "date", "where",
)  # fmt: skip


def absent(summary: Summary) -> list[str]:
    """Failed and missing contenders, with what they said."""
    rows = []
    for data in summary.sets:
        for r in data.failed:
            name = f"{r.library} {r.codec} {json.dumps(r.config)}"
            rows.append(["failed", data.name, name, NONE if r.seed is None else str(r.seed), r.error or "no error recorded"])
    for r in summary.missing:
        rows.append(["not installed", "all", f"{r.library} {r.codec}".strip(), NONE, r.error or ""])
    parts = ['<h2 id="absent">Failed and missing</h2>']
    if not rows:
        return [*parts, paragraph("Nothing failed, and no library was missing.")]
    return [*parts, table(["", "data", "contender", "seed", "what it said"], rows)]


def repeat(summary: Summary, files: Sequence[str]) -> list[str]:
    """Machines, versions and every run."""
    places: dict[str, int] = {}
    setups: list[list[str]] = []
    tables = []
    for data in summary.sets:
        rows = [_row(run, ", ".join(dict.fromkeys(_place(r, places, setups) for r in run.records))) for run in data.runs]
        if rows:
            tables += [f"<h4>{escape(data.name)}</h4>", table(COLUMNS, rows, range(1, 22), "runs")]
    for data in summary.sets:
        for r in data.failed:
            _place(r, places, setups)
    parts = ['<h2 id="details">Details</h2>', "<h3>How to repeat it</h3>"]
    names = ", ".join(f"<code>{escape(name)}</code>" for name in files) or "no file"
    parts.append(
        f"<p>This page is made of {names} by <code>python -m bench.report</code>, and of nothing else. To repeat a run, check "
        "out its commit, install the versions below, and run <code>vecpress bench</code> (bench/README.md says how) on "
        "the data set of this name and checksum. Every line of the file holds the configuration and the seed. The same seed "
        "gives the same recall; speeds are the machine's.</p>"
    )
    if not setups:
        return [*parts, paragraph("There are no runs.")]
    parts.append("<h3>Data</h3>")
    about = []
    for data in summary.sets:
        counts = [plain(data.about.get(name)) for name in ("n_base", "n_train", "n_query", "dim")]
        words = [str(data.about.get(name) or NONE) for name in ("metric", "checksum")]
        about.append([data.name, *counts[:3], plain(data.n_figures), counts[3], *words])
    parts.append(
        table(
            ["data", "vectors", "to learn from", "queries", "for figures", "dimensions", "metric", "checksum"], about, range(1, 6)
        )
    )
    parts.append("<h3>Machines and versions</h3>")
    parts.append(table(["", "machine", "threads", "instruction set", "vecpress at", "versions"], setups))
    parts.append("<h3>Every run</h3>")
    parts.append(
        paragraph(
            "One row a configuration; recall 10@10 of every seed, all else the median. held: bytes a vector beside the code; "
            "state: bytes once; 1@10: the nearest among ten found; 10@100: of the ten nearest, among a hundred found; D: squared "
            "error over variance; p50, p99: one query at a time; of 100: searches a second that ask for 100 instead of 10; read: "
            "the plain read loop's rate; where: the row of machines and versions.",
            "note",
        )
    )
    return [*parts, *tables]


def _place(r: Record, places: dict[str, int], setups: list[list[str]]) -> str:
    """The number of a run's machine, versions and commit, which is added to `setups` if it is new."""
    machine = {k: v for k, v in (r.machine or {}).items() if k not in (*LOADS, "read_rate", "read_nbytes")}
    key = json.dumps([machine, r.versions, r.commit], sort_keys=True, default=str)
    if key not in places:
        places[key] = len(places) + 1
        others = {k: v for k, v in machine.items() if k not in ("cpu", "cpus", "threads", "isa")}
        extra = "".join(f", {k} {v}" for k, v in others.items())
        setups.append(
            [
                str(places[key]), f"{machine.get('cpu') or 'not recorded'}, {machine.get('cpus') or '?'} cores{extra}",
                str(machine.get("threads") or NONE), str(machine.get("isa") or NONE), r.commit or NONE,
                ", ".join(f"{k} {v}" for k, v in (r.versions or {}).items()) or NONE,
            ]
        )  # fmt: skip
    return str(places[key])


def _row(run: Runs, where: str) -> list[str]:
    first = run.records[0]
    config = json.dumps(first.config) if first.config else ""
    reads = [v for r in run.records if (v := (r.machine or {}).get("read_rate"))]
    dates = [r.date for r in run.records if r.date]
    distortion = run.median("distortion")
    return [
        f"{run.library} {run.codec} {config}".strip() + (f"; {first.notes}" if first.notes else ""),
        ", ".join(str(r.seed) for r in run.records if r.seed is not None) or NONE,
        *(plain(run.median(name)) for name in ("code_size", "held_nbytes")),
        *(size(run.median(name)) for name in ("state_nbytes", "file_nbytes")),
        ", ".join(share(v) for v in run.known("recall")) or NONE,
        *(share(run.median(name)) for name in ("recall_1", "recall_wide", "ndcg", "success")),
        NONE if distortion is None else f"{distortion:.3g}", seconds(run.median("fit_seconds")),
        rate(run.median("encode_per_second")), *(seconds(run.median(name)) for name in ("latency_p50", "latency_p99")),
        *(rate(run.median(name)) for name in ("search_per_second", "search_wide_per_second")), size(run.median("peak_memory")),
        NONE if run.load is None else f"{run.load:.2f}",
        f"{statistics.median(reads) / 1e9:.1f} GB/s" if reads else NONE,
        max(dates, default=NONE).replace("T", " ")[:16], where,
    ]  # fmt: skip
