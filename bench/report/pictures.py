"""The pictures of a data set: recall against bytes, recall against speed, encode rates, distortion beside its bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .chart import Frame, Point, Row, Series, dot_chart, xy_chart
from .scales import bytes_axis, log_axis, recall_axis
from .style import PICTURE
from .summary import OURS, DataSet, Runs, front
from .svg import Drawing
from .verdicts import budgets_of, home
from .words import plain, rate, size

MOST_LABELS = 26  # points of one picture that are named; the others have their tip

Styles = dict[tuple[str, str], int]


def styles_of(sets: Iterable[DataSet]) -> Styles:
    """A number for every codec of every library, the same in all pictures; ours and the peers' are counted apart."""
    families = sorted({run.family for data in sets for run in data.runs})
    ours = [family for family in families if family[0] == OURS]
    peers = [family for family in families if family[0] != OURS]
    return {family: i for group in (ours, peers) for i, family in enumerate(group)}


def family_name(family: tuple[str, str]) -> str:
    return family[1] if family[0] == OURS else f"{family[0]} {family[1]}"


def _set(data: DataSet, longest: int = 40) -> str:
    """The name in a title."""
    return _cut(data.name, longest)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _families(runs: Sequence[Runs]) -> dict[tuple[str, str], list[Runs]]:
    found: dict[tuple[str, str], list[Runs]] = {}
    for run in runs:
        found.setdefault(run.family, []).append(run)
    return found


def _tip(run: Runs) -> str:
    return f"{run.name}: {size(run.code_size)}, recall {run.recall:.3f}, worst seed {run.worst:.3f}"


def _cost(run: Runs) -> float:
    return run.code_size


def _gain(run: Runs) -> float:
    return run.recall


def pareto(data: DataSet, styles: Styles, ours: bool, drawing: Drawing | None = None, top: float = 0) -> Drawing:
    """Recall against bytes: a line for every codec of one side through its configurations that none of its own beats, and the
    front of the other side in grey steps. Both sides have the same axes. `top`: where it begins in a drawing that is given."""
    runs, others = (data.ours, data.peers) if ours else (data.peers, data.ours)
    best = front(runs, _cost, _gain)
    leading = {run.family for run in best}
    name, dash = ("best of the peers", "2 3") if ours else ("best of ours", "7 4")
    series = [Series(name, -1, _points(front(others, _cost, _gain)), steps=True, plain=True, dash=dash)]
    for family, members in _families(runs).items():
        line = front(members, _cost, _gain)
        rest = [run for run in members if run not in line]
        strong = family in leading
        series.append(Series(_cut(family_name(family), 34), styles[family], _points(line), _points(rest), not ours, strong))
    title = f"{_set(data)}: recall for bytes, {'vecpress' if ours else 'peers'}"
    text = f"{title}: " + "; ".join(f"{run.name} {plain(run.code_size)} B {run.recall:.3f}" for run in best)
    sizes, recalls = [run.code_size for run in (*runs, *others)], [run.recall for run in (*runs, *others)]
    return xy_chart(
        Frame(title, text, width=drawing.width if drawing else 660, top=top),
        [s for s in series if s.points],
        lambda _, pixels: bytes_axis(sizes, pixels),
        lambda _, pixels: recall_axis(recalls, pixels),
        drawing,
    )


def both_sides(data: DataSet, styles: Styles) -> str:
    """A file that stands alone: recall against bytes of ours, and below of the peers, light or dark as the reader's screen is."""
    width, height = 820, 470
    title = f"{_set(data)}: recall 10@10 against bytes a vector"
    out = Drawing(width, 2 * height, title, f"{title}: vecpress above, its peers below, on the same axes")
    out.parts.append(f'<rect class="ground" width="{width}" height="{2 * height}"/>')
    for i, ours in enumerate((True, False)):
        pareto(data, styles, ours, out, i * height)
    return out.render(PICTURE) + "\n"


def _points(runs: Iterable[Runs]) -> list[Point]:
    return [Point(run.code_size, run.recall, _tip(run)) for run in sorted(runs, key=_cost)]


def speed(data: DataSet, styles: Styles, budget: int) -> Drawing:
    """Recall against searches a second, of what stands for one budget; ours full, peers hollow, a step line over each side."""
    budgets = budgets_of(data)
    rated = [run for run in (*data.ours, *data.peers) if home(run, budgets) == budget and run.median("search_per_second")]
    sides = [[run for run in rated if run.ours == ours] for ours in (True, False)]
    fronts = [front(side, lambda r: -(r.median("search_per_second") or 0), _gain) for side in sides]
    named = {id(run) for run in [*fronts[0], *fronts[1]]}
    for run in sorted(rated, key=lambda r: -r.recall):
        if len(named) < MOST_LABELS:
            named.add(id(run))
    series = []
    for run in rated:
        on_front = any(run is r for f in fronts for r in f)
        text = _short(run) if id(run) in named else ""
        point = Point(run.median("search_per_second") or 1.0, run.recall, f"{_tip(run)}, {_rate(run)} searches a second", text)
        series.append(Series("", styles[run.family], [], [point], not run.ours, on_front and run.ours))
    for name, dash, side in zip(("best of ours", "best of the peers"), ("7 4", "2 3"), fronts, strict=True):
        line = [Point(run.median("search_per_second") or 1.0, run.recall) for run in side]
        if len(line) > 1:
            series.append(Series(name, -1, line[::-1], steps=True, plain=True, dash=dash))
    title = f"{_set(data)}: recall for speed, budget {budget} bytes"
    text = f"{title}: " + "; ".join(f"{_short(run)} {run.recall:.3f} at {_rate(run)} a second" for run in rated)
    frame = Frame(title, text)
    return xy_chart(frame, series, lambda v, p: log_axis("searches a second, in one batch", v, p), recall_axis)


def _rate(run: Runs) -> str:
    return rate(run.median("search_per_second"))


def _short(run: Runs, longest: int = 34) -> str:
    """A name for a picture: settings without the words, cut where it is long."""
    config = {k: v for k, v in run.records[0].config.items() if k not in ("metric", "seed")}
    settings = " ".join(f"{k}={v}" if isinstance(v, str | int | float) else k for k, v in config.items())
    text = f"{family_name(run.family)} {settings}".strip()
    return _cut(text, longest)


def encoding(data: DataSet, styles: Styles, budget: int) -> Drawing:
    """The encode rate of every codec that stands for one budget, at its highest recall there, fastest first."""
    budgets = budgets_of(data)
    rated = [run for run in (*data.ours, *data.peers) if home(run, budgets) == budget and run.median("encode_per_second")]
    tops = [max(members, key=_gain) for members in _families(rated).values()]
    rows = [
        Row(
            f"{_short(run)}, {plain(run.code_size)} B", run.median("encode_per_second") or 1.0,
            f"{rate(run.median('encode_per_second'))}, recall {run.recall:.2f}", styles[run.family], not run.ours, run.ours,
        )
        for run in sorted(tops, key=lambda r: -(r.median("encode_per_second") or 0))
    ]  # fmt: skip
    title = f"{_set(data)}: encode rate, budget {budget} bytes"
    text = f"{title}: " + "; ".join(f"{row.name} {row.text}" for row in rows)
    return dot_chart(title, text, "vectors encoded a second", rows)


def distortion(data: DataSet, styles: Styles) -> Drawing | None:
    """Distortion against bytes with the bound, where the spectrum is known; None where no run can decode."""
    lossy = [run for run in (*data.ours, *data.peers) if (run.median("distortion") or 0) > 0]
    if not lossy:
        return None
    gain = lambda r: -(r.median("distortion") or 1.0)  # noqa: E731
    series = []
    for family, members in _families(lossy).items():
        line = front(members, _cost, gain)
        rest = [run for run in members if run not in line]
        best = any(run.family == family for run in front(lossy, _cost, gain))
        series.append(
            Series(_cut(family_name(family), 34), styles[family], _distorted(line), _distorted(rest), family[0] != OURS, best)
        )
    bound = bound_of(data, lossy)
    if bound:
        series.append(bound)
    title = f"{_set(data)}: distortion for bytes"
    text = f"{title}: " + "; ".join(
        f"{r.name} {plain(r.code_size)} B {r.mean('distortion'):.3g}" for r in front(lossy, _cost, gain)
    )
    make_y = lambda v, p: log_axis("squared error / variance", v, p, gap=16)  # noqa: E731
    return xy_chart(Frame(title, text), series, bytes_axis, make_y)


def _distorted(runs: Iterable[Runs]) -> list[Point]:
    found = [(run, run.mean("distortion") or 0.0) for run in sorted(runs, key=_cost)]
    return [Point(run.code_size, d, f"{run.name}: {size(run.code_size)}, distortion {d:.3g}") for run, d in found]


def bound_of(data: DataSet, runs: Sequence[Runs]) -> Series | None:
    """The least distortion of a Gaussian source with the set's spectrum, as its records have it, over the sizes of the runs."""
    known = [(float(size), float(value)) for size, value in data.about.get("bound") or []]
    if not known or not runs:
        return None
    least = min(run.mean("distortion") or 1.0 for run in runs) / 3  # a bound far below all that is drawn would squeeze it
    low, high = min(map(_cost, runs)), max(map(_cost, runs))
    kept = [Point(size, value) for size, value in known if value >= least and 0.7 * low <= size <= 1.4 * high]
    return Series("Gaussian bound, reverse water-filling", -1, kept, plain=True) if kept else None
