"""A small writer of SVG: marks, texts with known boxes, and labels that keep clear of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import numpy as np

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
COLOURS = 7  # Okabe and Ito's, but for yellow, which paper swallows; the style sheet has them for light and dark
SHAPES = ("circle", "square", "triangle", "diamond", "down", "plus", "cross", "star", "bar")
DASHES = ("", "6 3", "2 3", "9 3 2 3")
NARROW = set("fijlrtI.,:;|!'()[]-/ ")
WIDE = set("mwMWGOQ@%&≈→")


class Box(NamedTuple):
    """Left, top, right, bottom, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box, gap: float = 0.0) -> bool:
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.top < other.bottom + gap
            and other.top < self.bottom + gap
        )


def text_width(text: str, font_size: float, bold: bool = False) -> float:
    """Pixels, on the safe side: fonts differ."""
    em = sum(0.32 if c in NARROW else 0.88 if c in WIDE else 0.7 if c.isupper() else 0.565 for c in text)
    return em * font_size * (1.07 if bold else 1.0)


def text_box(x: float, y: float, text: str, font_size: float, anchor: str = "start", bold: bool = False) -> Box:
    """The box of a text whose base line starts, is centred, or ends at x, y."""
    width = text_width(text, font_size, bold)
    left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    return Box(left, y - 0.8 * font_size, left + width, y + 0.24 * font_size)


@dataclass
class Drawing:
    """Elements of one picture, in order; `boxes` are those of its texts."""

    width: float
    height: float
    title: str
    description: str
    parts: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)

    def line(self, xy: list[tuple[float, float]], css: str, dash: str = "", width: float = 1.0) -> None:
        if len(xy) < 2:
            return
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in xy)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<path class="line {css}" d="{path}" stroke-width="{width:g}"{dashed}/>')

    def marker(self, x: float, y: float, style: int, hollow: bool = False, tip: str = "", radius: float = 4.0) -> None:
        """Style number: its colour and its shape; a hollow one is a peer's. `tip` is shown under the pointer and read aloud."""
        css = f"c{style % COLOURS} {'hollow' if hollow else 'solid'}"
        about = f"<title>{escape(tip)}</title>" if tip else ""
        d = shape_path(SHAPES[style % len(SHAPES)], x, y, radius)
        self.parts.append(f'<path class="{css}" d="{d}">{about}</path>')

    def frame(self, box: Box) -> None:
        """The ground of a label."""
        size = f'width="{box.right - box.left:.1f}" height="{box.bottom - box.top:.1f}"'
        self.parts.append(f'<rect class="frame" x="{box.left:.1f}" y="{box.top:.1f}" {size} rx="3"/>')

    def text(self, x: float, y: float, text: str, font_size: float = 11, anchor: str = "start", css: str = "") -> Box:
        bold = "bold" in css.split()
        kind = f' class="{css}"' if css else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{font_size:g}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'
        )
        box = text_box(x, y, text, font_size, anchor, bold)
        self.boxes.append(box)
        return box

    def turned(self, x: float, y: float, text: str, font_size: float = 11) -> None:
        """Text that reads upwards, centred at x, y."""
        place = f"translate({x:.1f} {y:.1f}) rotate(-90)"
        self.parts.append(f'<text transform="{place}" font-size="{font_size:g}" text-anchor="middle">{escape(text)}</text>')
        half = text_width(text, font_size) / 2
        self.boxes.append(Box(x - 0.8 * font_size, y - half, x + 0.24 * font_size, y + half))

    def render(self, style: str = "") -> str:
        """The element; with a style sheet it stands alone as a file."""
        sheet = f"<style>{style}</style>" if style else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" '
            f'height="{self.height:g}" role="img" aria-label="{escape(self.title)}">'
            f"<title>{escape(self.title)}</title><desc>{escape(self.description)}</desc>{sheet}"
            + "\n".join(self.parts)
            + "</svg>"
        )


def shape_path(shape: str, x: float, y: float, r: float) -> str:
    """The outline of a marker; all shapes cover about the same area."""
    if shape == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r:.1f} {r:.1f} 0 1 0 {2 * r:.1f} 0a{r:.1f} {r:.1f} 0 1 0 {-2 * r:.1f} 0Z"
    t = r / 3
    corners: list[tuple[float, float]]
    if shape == "square":
        corners = [(-0.88 * r, -0.88 * r), (0.88 * r, -0.88 * r), (0.88 * r, 0.88 * r), (-0.88 * r, 0.88 * r)]
    elif shape in ("triangle", "down"):
        corners = [(0, -1.2 * r), (1.1 * r, 0.8 * r), (-1.1 * r, 0.8 * r)]
    elif shape == "diamond":
        corners = [(0, -1.3 * r), (1.3 * r, 0), (0, 1.3 * r), (-1.3 * r, 0)]
    elif shape == "bar":
        corners = [(-1.3 * r, -0.5 * r), (1.3 * r, -0.5 * r), (1.3 * r, 0.5 * r), (-1.3 * r, 0.5 * r)]
    elif shape == "star":
        corners = [
            (
                math.sin(k * math.pi / 5) * r * (1.4 if k % 2 == 0 else 0.6),
                -math.cos(k * math.pi / 5) * r * (1.4 if k % 2 == 0 else 0.6),
            )
            for k in range(10)
        ]
    else:  # plus, cross
        p = 1.2 * r
        corners = [(-t, -p), (t, -p), (t, -t), (p, -t), (p, t), (t, t), (t, p), (-t, p), (-t, t), (-p, t), (-p, -t), (-t, -t)]
        if shape == "cross":
            c = math.sqrt(0.5)
            corners = [(c * (a - b), c * (a + b)) for a, b in corners]
    if shape == "down":
        corners = [(a, -b) for a, b in corners]
    return "M" + "L".join(f"{x + a:.1f} {y + b:.1f}" for a, b in corners) + "Z"


# ---- labels beside what they name


class Label(NamedTuple):
    """Text for the point x, y; the lower the rank, the earlier it is placed. `style`: of the line that it names, with its mark in
    front; None: it names the point, and needs none."""

    x: float
    y: float
    text: str
    style: int | None
    hollow: bool
    bold: bool
    rank: float
    dash: str = ""


class Placed(NamedTuple):
    """Where a label's text starts, and its box, its marker included."""

    label: Label
    x: float
    y: float
    box: Box


KEY = 16  # the room of the mark in front of a line's name
LEADER = 10  # pixels: a label that is farther from its point has a line to it
DISTANCES = (7, 12, 18, 26, 36, 48, 62, 78, 96, 116, 140)
ANGLES = np.arange(24) * (2 * np.pi / 24)


def place(labels: list[Label], marks: np.ndarray, area: Box, font_size: float = 10.5) -> list[Placed]:
    """Places every label near its point, inside `area`, clear of all other labels, off `marks` float64[n, 2] and off lines to
    other labels as far as there is room. Where there is none near by, it goes to the nearest free place in the area; where the
    area is full, it is left out (its marker still has its tip)."""
    marks = np.asarray(marks, np.float64).reshape(-1, 2)
    done: list[Placed] = []
    leaders = np.empty((0, 2))
    for label in sorted(labels, key=lambda v: (v.rank, v.y, v.x)):
        key, edge = (KEY, 3.0) if label.style is not None else (0.0, 0.0)
        width, height = key + edge + text_width(label.text, font_size, label.bold), font_size * 1.16 + edge
        for corners, costs in (_around(label, width, height), _anywhere(label, width, height, area)):
            box = _cheapest(label, corners, costs, (width, height), area, [d.box for d in done], marks, leaders)
            if box is not None:
                done.append(Placed(label, box.left + key, box.top + edge / 2 + 0.86 * font_size, box))
                leaders = np.concatenate([leaders, _leader(label, box)])
                break
    return done


def _around(label: Label, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Upper left corners of boxes whose near side touches rings around a label's point, float64[n, 2], and what they cost."""
    distance, angle = (a.ravel() for a in np.meshgrid(np.array(DISTANCES), ANGLES, indexing="ij"))
    dx, dy = np.cos(angle), np.sin(angle)
    corners = np.stack([label.x + distance * dx + (dx - 1) / 2 * width, label.y + distance * dy + (dy - 1) / 2 * height], 1)
    return corners, 0.35 * distance + np.where(dx > 0.7, 0.0, 3.0)  # to the right of a line's end is where people look


def _anywhere(label: Label, width: float, height: float, area: Box) -> tuple[np.ndarray, np.ndarray]:
    """The same for places all over the area."""
    xs, ys = np.arange(area.right - width, area.left, -24.0), np.arange(area.top, area.bottom - height, height / 2)
    corners = np.stack([a.ravel() for a in np.meshgrid(xs, ys, indexing="ij")], 1)
    return corners, np.hypot(corners[:, 0] - label.x, corners[:, 1] - label.y)


def _cheapest(
    label: Label, corners: np.ndarray, costs: np.ndarray, size: tuple[float, float], area: Box, taken: list[Box],
    marks: np.ndarray, leaders: np.ndarray,
) -> Box | None:  # fmt: skip
    """The box with the least cost of those that are in the area and meet no other label; what it covers costs too."""
    width, height = size
    x, y = corners[:, 0], corners[:, 1]
    free = (x >= area.left) & (y >= area.top) & (x + width <= area.right) & (y + height <= area.bottom)
    gap = 1.5
    for b in taken:
        free &= (x >= b.right + gap) | (x + width <= b.left - gap) | (y >= b.bottom + gap) | (y + height <= b.top - gap)
    corners, costs = corners[free], costs[free]
    boxes = np.array(taken).reshape(-1, 4)
    best: tuple[float, Box] | None = None
    for i in np.argsort(costs, kind="stable"):
        if best is not None and costs[i] >= best[0]:
            break  # they come cheapest first
        left, top = float(corners[i, 0]), float(corners[i, 1])
        box = Box(left, top, left + width, top + height)
        cost = float(costs[i]) + 2.0 * _inside(marks, box, 1.0) + 6.0 * _inside(leaders, box, 2.0)
        if best is not None and cost >= best[0]:
            continue
        cost += 40.0 * _crossed(_leader(label, box), boxes)
        if best is None or cost < best[0]:
            best = cost, box
    return best[1] if best else None


def _leader(label: Label, box: Box) -> np.ndarray:
    """Points along the line from a label's point to its box, float64[n, 2]; none where the two are close."""
    x, y = nearest(label, box)
    length = math.hypot(x - label.x, y - label.y)
    if length < LEADER:
        return np.empty((0, 2))
    steps = np.linspace(0.1, 1, max(2, int(length / 4)))[:, None]
    return np.array([label.x, label.y]) + steps * np.array([x - label.x, y - label.y])


def _crossed(leader: np.ndarray, boxes: np.ndarray) -> int:
    """How many of the boxes float64[n, 4] a line passes through."""
    if not len(leader) or not len(boxes):
        return 0
    x, y = leader[:, :1], leader[:, 1:]
    left, top, right, bottom = boxes.T
    return int(((x > left) & (x < right) & (y > top) & (y < bottom)).any(axis=0).sum())


def nearest(label: Label, box: Box) -> tuple[float, float]:
    """The point of a box that is nearest to a label's point."""
    return min(max(label.x, box.left), box.right), min(max(label.y, box.top), box.bottom)


def _inside(points: np.ndarray, box: Box, gap: float) -> int:
    x, y = points[:, 0], points[:, 1]
    return int(np.count_nonzero((x > box.left - gap) & (x < box.right + gap) & (y > box.top - gap) & (y < box.bottom + gap)))
