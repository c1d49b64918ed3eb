"""Charts of points and lines over two axes, and of dots in rows: drawn with bench/report/svg.py, labelled directly."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .scales import Axis, log_axis
from .svg import COLOURS, DASHES, LEADER, Box, Drawing, Label, Placed, nearest, place, text_width

SMALL, LABEL = 10.5, 10.5
LANE = 80  # pixels right of the largest figure, for the names of lines that end there


class Point(NamedTuple):
    """A figure in both axes; `tip` is shown under the pointer; `text` labels it, where it is not empty."""

    x: float
    y: float
    tip: str = ""
    text: str = ""


@dataclass
class Series:
    """Points that belong together. `joined` are drawn with a line, `single` as faint marks of the same shape."""

    name: str  # its label, at the line's end; empty for none
    style: int
    joined: list[Point] = field(default_factory=list)
    single: list[Point] = field(default_factory=list)
    hollow: bool = False
    strong: bool = False
    steps: bool = False  # from point to point in steps, which claim nothing between them
    plain: bool = False  # a reference: a grey dashed line without marks
    dash: str = "7 4"  # of a reference

    @property
    def points(self) -> list[Point]:
        return [*self.joined, *self.single]


@dataclass(frozen=True)
class Frame:
    """A picture's size, its words and the place of its plot."""

    title: str
    description: str
    width: float = 660
    height: float = 470
    top: float = 0  # where it begins in a drawing of several

    def plot(self, left: float = 54) -> Box:
        """Where the figures are; `left` leaves room for the ticks of y."""
        return Box(left, self.top + 30, self.width - 14, self.top + self.height - 46)


MakeAxis = Callable[[list[float], tuple[float, float]], Axis]


def xy_chart(frame: Frame, series: list[Series], make_x: MakeAxis, make_y: MakeAxis, drawing: Drawing | None = None) -> Drawing:
    """Lines and points with their names beside them."""
    out = drawing or Drawing(frame.width, frame.height, frame.title, frame.description)
    plot = frame.plot()
    points = [p for s in series for p in s.points]
    y = make_y([p.y for p in points], (plot.bottom, plot.top))
    plot = frame.plot(34 + max((text_width(text, SMALL) for _, text in y.ticks), default=20))
    lane = LANE if any(s.name and not s.plain for s in series) else 0
    x = make_x([p.x for p in points], (plot.left, plot.right - lane))
    _draw_axes(out, frame, plot, x, y)
    if not points:
        out.text(
            (plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2, "nothing was measured for this picture", 12, "middle"
        )
        return out
    samples: list[tuple[float, float]] = []
    labels: list[Label] = []
    for s in sorted(series, key=lambda s: (not s.plain, s.strong)):  # the strongest on top
        path = _path(s, x, y)
        samples += _along(path)
        if s.plain:
            if len(path) == 1:  # a single figure is a short stroke
                path = [(path[0][0] - 9, path[0][1]), (path[0][0] + 9, path[0][1])]
            out.line(path, "reference", s.dash, 1.6)
        else:
            dash = DASHES[(s.style // COLOURS) % len(DASHES)]
            out.line(path, f"c{s.style % COLOURS}" + ("" if s.strong else " thin"), dash, 2.4 if s.strong else 1.2)
        for p in s.single:
            out.marker(x.to_pixel(p.x), y.to_pixel(p.y), s.style, s.hollow, p.tip, 2.6 if s.joined else 4.2)
        for p in () if s.plain else s.joined:
            out.marker(x.to_pixel(p.x), y.to_pixel(p.y), s.style, s.hollow, p.tip, 4.6 if s.strong else 3.6)
        samples += 3 * [(x.to_pixel(p.x), y.to_pixel(p.y)) for p in s.points if not s.plain]
        labels += _labels(s, x, y)
    for placed in place(labels, np.array(samples), Box(plot.left + 2, plot.top + 2, plot.right - 2, plot.bottom - 2), LABEL):
        _draw_label(out, placed)
    return out


def _path(s: Series, x: Axis, y: Axis) -> list[tuple[float, float]]:
    corners = [(x.to_pixel(p.x), y.to_pixel(p.y)) for p in s.joined]
    if not s.steps:
        return corners
    path = corners[:1]
    for (left, before), (right, level) in itertools.pairwise(corners):
        # what is reached in between is what the lower of both reaches
        path += [(right, before) if level < before else (left, level), (right, level)]
    return path


def _along(path: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points on a line, 4 pixels apart, that labels keep off."""
    found: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in itertools.pairwise(path):
        t = np.linspace(0, 1, max(2, int(np.hypot(x1 - x0, y1 - y0) / 4)))
        found += [(x0 + a * (x1 - x0), y0 + a * (y1 - y0)) for a in t]
    return found


def _labels(s: Series, x: Axis, y: Axis) -> list[Label]:
    rank = 0.0 if s.strong else 2.0 if s.plain else 1.0
    found = [Label(x.to_pixel(p.x), y.to_pixel(p.y), p.text, None, s.hollow, s.strong, rank) for p in s.points if p.text]
    if s.name and s.points:
        end = (s.joined or s.single)[-1]
        key = -1 if s.plain else s.style
        found.append(Label(x.to_pixel(end.x), y.to_pixel(end.y), s.name, key, s.hollow, s.strong, rank, s.dash))
    return found


def _draw_label(out: Drawing, placed: Placed) -> None:
    """A line's name stands in a frame with the line's mark, so that the mark is not taken for a figure; a point's, alone."""
    label, box = placed.label, placed.box
    to = nearest(label, box)
    if np.hypot(to[0] - label.x, to[1] - label.y) >= LEADER:
        out.line([(label.x, label.y), to], "leader", "", 0.8)
    middle = (box.top + box.bottom) / 2
    if label.style is not None:
        out.frame(box)
        if label.style >= 0:
            out.marker(box.left + 8, middle, label.style, label.hollow, radius=3.2)
        else:
            out.line([(box.left + 3, middle), (box.left + 13, middle)], "reference", label.dash, 1.6)
    out.text(placed.x, placed.y, label.text, LABEL, css="label bold" if label.bold else "label")


def _draw_axes(out: Drawing, frame: Frame, plot: Box, x: Axis, y: Axis) -> None:
    for value, text in x.ticks:
        at = x.to_pixel(value)
        out.line([(at, plot.top), (at, plot.bottom)], "grid", "", 1)
        out.text(at, plot.bottom + 15, text, SMALL, "middle")
    for value, text in y.ticks:
        at = y.to_pixel(value)
        out.line([(plot.left, at), (plot.right, at)], "grid", "", 1)
        out.text(plot.left - 6, at + 0.35 * SMALL, text, SMALL, "end")
    out.line([(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)], "axis", "", 1.2)
    out.text((plot.left + plot.right) / 2, plot.bottom + 34, x.name, 11, "middle")
    out.turned(13, (plot.top + plot.bottom) / 2, y.name, 11)
    out.text(plot.left, frame.top + 17, frame.title, 13, css="bold")


class Row(NamedTuple):
    """One dot: its name, its figure, what is written behind it."""

    name: str
    value: float
    text: str
    style: int
    hollow: bool
    strong: bool


def dot_chart(title: str, description: str, axis_name: str, rows: list[Row], width: float = 660) -> Drawing:
    """A row a dot, on a log axis."""
    step, top = 18.0, 34.0
    height = top + step * max(1, len(rows)) + 46
    out = Drawing(width, height, title, description)
    left = 24 + max((text_width(row.name, LABEL, row.strong) for row in rows), default=60)
    left = min(left, 0.6 * width)
    right = width - 20 - max((text_width(row.text, SMALL) for row in rows), default=40)
    x = log_axis(axis_name, [row.value for row in rows], (left, right))
    bottom = top + step * max(1, len(rows))
    for value, text in x.ticks:
        at = x.to_pixel(value)
        out.line([(at, top), (at, bottom)], "grid", "", 1)
        out.text(at, bottom + 15, text, SMALL, "middle")
    out.line([(left, bottom), (right, bottom)], "axis", "", 1.2)
    out.text((left + right) / 2, bottom + 34, x.name, 11, "middle")
    out.text(6, 17, title, 13, css="bold")
    if not rows:
        out.text((left + right) / 2, top + 12, "nothing was measured for this picture", 12, "middle")
    for i, row in enumerate(rows):
        at = top + step * (i + 0.5)
        out.line([(left, at), (right, at)], "grid", "1 3", 1)
        out.text(left - 8, at + 0.35 * LABEL, row.name, LABEL, "end", "bold" if row.strong else "")
        out.marker(x.to_pixel(row.value), at, row.style, row.hollow, f"{row.name}: {row.text}", 4.6)
        out.text(right + 10, at + 0.35 * SMALL, row.text, SMALL)
    return out
