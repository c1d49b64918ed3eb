"""The page: what the runs say, data set by data set, and everything needed to repeat them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..load import BUSY
from ..rules import JUDGED_BASE, JUDGED_QUERIES, MOST
from . import details, pictures
from .markup import Markup, bold, figure, paragraph, table
from .style import PAGE
from .summary import DataSet, Runs, Summary
from .verdicts import (
    TARGETS,
    Choice,
    Win,
    best,
    budgets_of,
    choices,
    cost_sentence,
    fewest,
    home,
    interval_text,
    recall_wins,
    sentence,
    speed_wins,
)  # fmt: skip
from .words import NONE, mean_and_worst, plain, points, rate, seconds, share, size

CACHE = 32_000_000  # bytes: a usual last-level cache, where the machine's own was not recorded
HOW_TO_READ = (
    "Recall 10@10 is the share of the true 10 nearest neighbours among the 10 found, by an exhaustive scan, without reranking "
    "unless a codec's notes say so, ties counted: the mean of the seeds, and the worst.",
    "Intervals are of the difference of two recalls on the same queries, 95 %, by a bootstrap over queries. What another seed or "
    "other data would change is not in them. On both sides the best of several is taken, so a difference near the edge of its "
    "interval proves little.",
    f"A peer may store up to {MOST} times a budget and still counts as equal; ours keep the budget. That ours finds more "
    f"is said only where a peer has as many bytes, or ours has no more than it.",
    f"Sets with fewer than {JUDGED_QUERIES} queries or {JUDGED_BASE:,} vectors say that a codec runs and is sane, and no more.",
)
SIDES = ("ours", "neither", "peer", "unequal")
PANELS = 3  # pictures of speed a data set


def page(summary: Summary, files: Sequence[str]) -> str:
    """The whole document."""
    styles = pictures.styles_of(summary.sets)
    title = "vecpress: memory, recall and speed, beside its peers"
    parts = [f"<h1>{title}</h1>", *_overview(summary), *_wins(summary)]
    for i, data in enumerate(summary.sets):
        parts += _data_set(data, styles, f"set{i}")
    parts += [*details.absent(summary), *details.repeat(summary, files)]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{PAGE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


# ---- all data sets


def _overview(summary: Summary) -> list[str]:
    n_runs = sum(len(run.records) for data in summary.sets for run in data.runs)
    n_failed = sum(len(data.failed) for data in summary.sets)
    if not summary.records:
        there = f"{len(summary.missing)} libraries were not installed" if summary.missing else "the files are empty"
        return [paragraph(f"There is nothing to report: no run was recorded, and {there}.")]
    dates = sorted(r.date[:10] for r in summary.records if r.date)
    when = "" if not dates else f" of {dates[0]}" if dates[0] == dates[-1] else f" from {dates[0]} to {dates[-1]}"
    parts = [
        paragraph(
            f"{n_runs} runs{when} on {len(summary.sets)} data sets; failed: {n_failed}; contenders whose library was not "
            f"installed: {len(summary.missing)}. Ours are the codecs of vecpress, everything else is a peer. {_standing(summary)}"
        ),
        "<ul>",
        *(f"<li>{escape(text)}</li>" for text in HOW_TO_READ),
        "</ul>",
    ]
    rows = []
    for i, data in enumerate(summary.sets):
        found = [c.ahead for c in choices(data)]
        counts = [str(found.count(side)) if data.claims else NONE for side in SIDES]
        about = data.about
        rows.append(
            [
                Markup(f'<a href="#set{i}">{escape(data.name)}</a>'), plain(about.get("n_base")), plain(about.get("dim")),
                str(about.get("metric") or NONE), plain(data.n_figures) + ("" if data.claims else ", no claim"),
                str(len(data.ours)), str(len(data.peers)), *counts,
            ]
        )  # fmt: skip
    head = [
        "data", "vectors", "dimensions", "metric", "queries", "configurations of ours", "of peers",
        "budgets where ours finds more", "no difference shown", "a peer finds more", "sizes differ",
    ]  # fmt: skip
    return [*parts, table(head, rows, range(1, 11))]


def _standing(summary: Summary) -> str:
    """Who finds more, over all sets that claims are made of."""
    sides = [c.ahead for data in summary.sets if data.claims for c in choices(data) if c.ahead]
    if not sides:
        return "No comparison of ours with a peer can be judged."
    ours, neither, peer, unequal = (sides.count(side) for side in SIDES)
    alone = f", and at {unequal} both sides differ in size" if unequal else ""
    return (
        f"Of {len(sides)} pairs of data set and budget, ours finds more at {ours}, a peer at {peer}; "
        f"at {neither} the queries show no difference{alone}."
    )


def _wins(summary: Summary) -> list[str]:
    """Where a peer is better: computed, never written by hand."""
    if not summary.records:
        return []
    rows: list[list[str]] = []
    left_out, judged, few = 0, 0, []
    for data in summary.sets:
        if not data.claims:
            few.append(data.name)
            continue
        judged += sum(1 for c in choices(data) if c.ahead)
        speeds, left = speed_wins(data)
        left_out += left
        rows += [_win_row(data, win) for win in (*recall_wins(data), *speeds)]
    parts = ['<h2 id="wins">Where a peer is better</h2>']
    parts.append(
        paragraph(
            "In recall: every peer whose recall is above that of our best codec for the budget, by an interval that excludes "
            "zero. In speed: every peer that is more than 10 % faster than all codecs of ours that keep the budget and find as "
            f"much (within 0.5 points, or no difference shown), both at a load below {BUSY}, on as many threads of the same "
            "processor; of several such peers those that no other beats in both recall and speed. Every run had a process of its "
            "own, one after the other, so that ratios near 1.1 are hardly more than noise."
        )
    )
    if rows:
        parts.append(table(["data", "budget", "in", "peer", "bytes", "ours", "bytes", "by how much", "load"], rows, (1, 4, 6, 8)))
    elif judged:
        parts.append(paragraph(f"Nowhere among the {judged} pairs of data set and budget that could be judged."))
    else:
        parts.append(paragraph("Nothing could be judged: no data set has enough queries with ours and a peer beside each other."))
    if left_out:
        parts.append(
            paragraph(
                f"{left_out} comparisons of speed were left out, as the load was {BUSY} or more or is not recorded, or as "
                "the machines or their threads differ: there a peer may be faster."
            )
        )
    if few:
        parts.append(paragraph(f"Not judged, for too few queries: {', '.join(few)}."))
    return parts


def _win_row(data: DataSet, win: Win) -> list[str]:
    return [
        data.name, str(win.budget), win.what, win.peer.name, plain(win.peer.code_size), win.ours.name, plain(win.ours.code_size),
        win.figures, win.load or NONE,
    ]  # fmt: skip


# ---- one data set


def _data_set(data: DataSet, styles: pictures.Styles, anchor: str) -> list[str]:
    parts = [f'<h2 class="data" id="{anchor}">{escape(data.name)}</h2>', paragraph(_what_it_is(data))]
    if not data.claims:
        parts.append(
            paragraph(f"Runs, sane: no claim from fewer than {JUDGED_QUERIES} queries or {JUDGED_BASE:,} vectors.")
        )  # fmt: skip
    if not (data.ours or data.peers):
        parts.append(paragraph("No run on this set gave bytes and recall, so there is nothing to compare."))
        return parts
    found = choices(data)
    parts.append("<h3>Which codec for so many bytes</h3>")
    parts.append("<ul>")
    for choice in found:
        cost = f" {cost_sentence(choice.ours)}" if choice.ours and choice.same_as is None else ""
        parts.append(f"<li>{escape(sentence(data, choice) + cost)}</li>")
    parts.append("</ul>")
    parts.append(_budget_table(data, found))
    parts.append(_fewest_table(data))
    parts.append("<h3>Pictures</h3>")
    parts += _pictures(data, styles)
    parts += _relevance(data, found)
    return parts


def _what_it_is(data: DataSet) -> str:
    about = data.about
    said = [
        f"{plain(about.get('n_base'))} vectors of {plain(about.get('dim'))} dimensions",
        f"metric {about.get('metric') or 'not recorded'}",
        f"learned from {plain(about.get('n_train'))} vectors",
        f"figures from {plain(data.n_figures)} queries",
    ]
    raw = f"; as float32 {size(4 * about['dim'])} a vector" if isinstance(about.get("dim"), int) else ""
    return ", ".join(said) + raw + "." + f" {cache_words(data)}"


def cache_words(data: DataSet) -> str:
    """Whether the codes that were scanned fit in the last-level cache, so that speeds are of the cache or of memory."""
    sizes = [run.code_size for run in (*data.ours, *data.peers) if run.median("search_per_second")]
    n = data.about.get("n_base")
    if not sizes or not isinstance(n, int):
        return "Speeds: not measured."
    known = [v for run in data.runs for r in run.records for k, v in r.machine.items() if k in ("cache", "llc", "l3") and v]
    cache = min((int(v) for v in known if isinstance(v, int | float)), default=0)
    low, high = min(sizes) * n, max(sizes) * n
    whose = (
        f"the last-level cache of {size(cache)}"
        if cache
        else f"a last-level cache of {size(CACHE)} (the machine's is not recorded)"
    )
    limit = cache or CACHE
    fit = (
        "all fit in"
        if high <= limit
        else "none fits in"
        if low > limit
        else f"those of up to {plain(limit // n)} bytes a vector fit in"
    )
    loads = [run.load for run in (*data.ours, *data.peers)]
    known_loads = [load for load in loads if load is not None]
    if not known_loads:
        busy = " The load beside the runs is not recorded: take no speed from here."
    else:
        over = " Above 0.5 the machine was busy, and speeds say little." if max(known_loads) >= BUSY else ""
        busy = f" Load by other work: {min(known_loads):.2f} to {max(known_loads):.2f}.{over}"
    return f"Working sets of the speeds: the codes, {size(low)} to {size(high)}; {fit} {whose}.{busy}"


def _budget_table(data: DataSet, found: list[Choice]) -> str:
    rows = []
    for choice in found:
        if choice.same_as is not None:
            continue
        sides = [(choice.ours, bold(str(choice.budget))), (choice.peer, ""), (choice.within, "")]
        for run, budget in sides:
            if run is None:
                continue
            keeps = " (best peer that keeps the budget)" if run is choice.within else ""
            difference, interval = "", ""
            if run is choice.peer and choice.ours:
                difference, interval = _compared(data, choice)
            rows.append([budget or str(choice.budget), run.name + keeps, *figures_of(run), difference, interval])
    head = [
        "budget", "codec", "bytes", "held beside", "state", "recall", "worst seed", "seeds", "fit", "encoded / s", "searches / s",
        "one query", "ours less peer", "95 % interval",
    ]  # fmt: skip
    noted = {run.name: run.records[0].notes for choice in found for run in (choice.ours, choice.peer, choice.within) if run}
    notes = "; ".join(f"{name}: {text}" for name, text in noted.items() if text)
    return table(head, rows, (0, *range(2, 14))) + (paragraph(f"Notes. {notes}.", "note") if notes else "")


def _compared(data: DataSet, choice: Choice) -> tuple[str, str]:
    """The difference of recalls and its interval, or why there is none."""
    assert choice.ours and choice.peer
    difference = points(choice.ours.recall - choice.peer.recall)
    if not data.claims:
        return difference, "no claim"
    if choice.ahead == "unequal":
        return NONE, "fewer bytes"
    return difference, interval_text(choice.interval) if choice.interval else NONE


def figures_of(run: Runs) -> list[str]:
    """What a run costs and gives, for a table."""
    return [
        plain(run.code_size), plain(run.median("held_nbytes")), size(run.median("state_nbytes")), share(run.recall),
        share(run.worst), str(run.n_seeds), seconds(run.median("fit_seconds")), rate(run.median("encode_per_second")),
        rate(run.median("search_per_second")), seconds(run.median("latency_p50")),
    ]  # fmt: skip


def _fewest_table(data: DataSet) -> str:
    rows = []
    for target in TARGETS:
        for who, runs in ((bold("ours"), data.ours), ("peers", data.peers)):
            run, top = fewest(runs, target), best(runs)
            if run:
                cells = [plain(run.code_size), run.name, mean_and_worst(run)]
            elif top:
                cells = ["not reached", f"best: {top.name}, {size(top.code_size)}", mean_and_worst(top)]
            else:
                cells = ["not measured", NONE, NONE]
            rows.append([who, f"{target:.2f}", *cells])
    note = "Configurations that were measured, nothing between them; recall is the mean, the worst seed in brackets."
    return (
        "<h3>Fewest bytes for a recall</h3>"
        + paragraph(note, "note")
        + table(["", "recall", "bytes", "codec", "recall it has"], rows, (1, 2, 4))
    )


def _pictures(data: DataSet, styles: pictures.Styles) -> list[str]:
    caption = (
        "Each line joins the configurations of one codec that no other of its own beats; small marks are the others. Bold: "
        "codecs on the front of all. Grey steps: the front of the other side."
    )
    sides = [
        figure(pictures.pareto(data, styles, ours), caption) for ours in (True, False) if (data.ours if ours else data.peers)
    ]
    speeds = []
    shown = _picture_budgets(data)
    for budget in sorted(shown):
        note = "Full marks are ours, hollow ones peers. To the upper right is better."
        speeds.append(figure(pictures.speed(data, styles, budget), f"{note} {_load_words(data, budget)}"))
    for budget in shown[:1]:
        note = "Every codec's configuration of highest recall for this budget. Full marks are ours, hollow ones peers."
        speeds.append(figure(pictures.encoding(data, styles, budget), f"{note} {_load_words(data, budget)}"))
    drawing = pictures.distortion(data, styles)
    if drawing:
        note = "Mean squared error of decoded vectors over the vectors' variance, where a library can decode."
        if data.about.get("bound"):
            note += " Dashed: the least possible for a Gaussian source with this spectrum; other sources may be below it."
        speeds.append(figure(drawing, note))
    return ['<div class="pair">', *sides, *speeds, "</div>"]


def _picture_budgets(data: DataSet) -> list[int]:
    """The budgets for which most codecs have a speed, most first; none with less than two to compare."""
    budgets = budgets_of(data)
    rated = [run for run in (*data.ours, *data.peers) if run.known("search_per_second") or run.known("encode_per_second")]
    counts = {budget: len({run.family for run in rated if home(run, budgets) == budget}) for budget in budgets}
    return sorted((b for b in budgets if counts[b] > 1), key=lambda b: (-counts[b], b))[:PANELS]


def _load_words(data: DataSet, budget: int) -> str:
    budgets = budgets_of(data)
    runs = [run for run in (*data.ours, *data.peers) if home(run, budgets) == budget]
    loads = [run.load for run in runs if run.load is not None]
    threads = sorted({str(r.machine["threads"]) for run in runs for r in run.records if r.machine.get("threads")})
    said = f"Threads: {', '.join(threads) or 'not recorded'}; load by other work: "
    if not loads:
        return said + "not recorded."
    return said + f"{min(loads):.2f} to {max(loads):.2f}" + (", too busy for claims." if max(loads) >= BUSY else ".")


def _relevance(data: DataSet, found: list[Choice]) -> list[str]:
    """nDCG and success of the chosen codecs, and of the one with most recall, where there are labels."""
    judged = [run for run in (*data.ours, *data.peers) if run.known("ndcg") or run.known("success")]
    if not judged:
        return []
    chosen = {id(run): run for c in found for run in (c.ours, c.peer) if run in judged}
    top = best(judged)
    shown = sorted([*chosen.values(), *([top] if top and id(top) not in chosen else [])], key=lambda r: (r.code_size, r.name))
    rows = [
        [
            bold(r.name) if r.ours else r.name,
            plain(r.code_size),
            share(r.recall),
            share(r.mean("ndcg")),
            share(r.mean("success")),
        ]
        for r in shown
    ]
    note = "By relevance labels, not by the float vectors' neighbours: what compression costs a reader of the results."
    return [
        "<h3>Relevance</h3>",
        paragraph(note, "note"),
        table(["codec", "bytes", "recall 10@10", "nDCG@10", "success@10"], rows, range(1, 5)),
    ]
