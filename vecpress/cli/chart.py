"""Draws recall against bytes per vector."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)  # Okabe and Ito: told apart by everyone
MARKERS = "osD^vP"
INK, SOFT, GRID, REACHED = "#222222", "#555555", "#dddddd", "#f1f5f9"
SUFFIXES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Point:
    """One codec: its family gives the colour, its label stands beside the point."""

    family: str
    label: str
    code_size: int
    recall: float


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(path: Path, points: Sequence[Point], dim: int, title: str, subtitle: str) -> None:
    """Writes the chart to `path`, in the format of its suffix."""
    import matplotlib
    from matplotlib.figure import Figure

    families = sorted({p.family for p in points})
    style = {f: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, f in enumerate(families)}
    fixed = {"svg.hashsalt": "vecpress", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    with matplotlib.rc_context(fixed):
        figure = Figure(figsize=(8, 4.8), dpi=150, layout="constrained")
        axes = figure.subplots()
        _frontier(axes, points)
        for family in families:
            colour, marker = style[family]
            mine = [p for p in points if p.family == family]
            axes.plot(
                [p.code_size for p in mine], [p.recall for p in mine],
                marker, color=colour, markersize=8, markeredgecolor="white", label=family, zorder=3,
            )  # fmt: skip
        _axes(axes, points, dim)
        for point, y in zip(points, _spread(points, axes.get_ylim()), strict=True):
            axes.annotate(
                point.label, (point.code_size, y), (9, 0), textcoords="offset points",
                va="center", fontsize=8.5, color=style[point.family][0], zorder=4,
            )  # fmt: skip
        axes.legend(loc="lower right", frameon=False)
        axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=22)
        axes.text(0, 1.02, subtitle, transform=axes.transAxes, fontsize=9, color=SOFT, va="bottom")
        metadata = {"Date": None} if path.suffix == ".svg" else None  # the same figures give the same file
        figure.savefig(path, metadata=metadata)


def _frontier(axes, points: Sequence[Point]) -> None:
    """Shades what is reached: below the codecs that no smaller code beats."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.code_size, -p.recall)):
        if not best or point.recall > best[-1].recall:
            best.append(point)
    sizes = [*(p.code_size for p in best), 4 * max(p.code_size for p in points)]
    recalls = [*(p.recall for p in best), best[-1].recall]
    axes.fill_between(sizes, recalls, step="post", color=REACHED, linewidth=0, zorder=0)


def _axes(axes, points: Sequence[Point], dim: int) -> None:
    sizes = sorted({p.code_size for p in points})
    low = min(p.recall for p in points)
    axes.set_xscale("log", base=2)
    axes.set_xlim(sizes[0] * 0.8, sizes[-1] * 2.2)  # room for the labels on the right
    axes.set_ylim(max(0.0, low - 0.08), 1.03)
    axes.set_xticks(sizes, [f"{s}\n{4 * dim / s:.3g}x" for s in sizes])
    axes.minorticks_off()
    axes.set_xlabel("bytes per vector, and how many times smaller than float32 that is", color=INK)
    axes.set_ylabel("recall 10@10", color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.8, zorder=1)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _spread(points: Sequence[Point], limits: tuple[float, float]) -> list[float]:
    """Heights for the labels, moved apart where codecs of about the same size have about the same recall."""
    gap = (limits[1] - limits[0]) * 0.042
    heights = [p.recall for p in points]
    order = sorted(range(len(points)), key=lambda i: heights[i])
    for _ in range(100):  # pushes overlapping pairs apart by halves until none is left
        moved = False
        for a, i in enumerate(order):
            for j in order[a + 1 :]:
                near = 0.5 < points[i].code_size / points[j].code_size < 2
                overlap = gap - (heights[j] - heights[i])
                if near and overlap > 1e-9:
                    heights[i] -= overlap / 2
                    heights[j] += overlap / 2
                    moved = True
        if not moved:
            break
    return heights
