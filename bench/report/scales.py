"""Axes: from figures to pixels, with ticks that people read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

RECALLS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
FINER = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92, 0.94, 0.96, 0.97, 0.985, 0.993, 0.997)
TOP, BOTTOM = 0.9993, 0.005  # recalls beyond are drawn at these, which are labelled so


@dataclass(frozen=True)
class Axis:
    """`to_pixel` maps a figure; ticks are (figure, text) and keep their distance; `name` says what it is and its scale."""

    name: str
    to_pixel: Callable[[float], float]
    ticks: list[tuple[float, str]]


def logit(recall: float) -> float:
    """Equal steps for equal factors of the neighbours that are missed, near 1."""
    recall = min(max(recall, BOTTOM), TOP)
    return math.log10(recall / (1 - recall))


def axis(
    name: str,
    values: Iterable[float],
    pixels: tuple[float, float],
    warp: Callable[[float], float],
    candidates: list[list[tuple[float, str]]],
    gap: float,
    least: float = 0.0,
) -> Axis:
    """An axis over the values, `least` wide at least in warped units. `candidates`: lists of ticks, finest first; the first list
    is taken whose ticks keep `gap` pixels between each other, else the last, thinned."""
    warped = [warp(v) for v in values] or [0.0, 1.0]
    low, high = min(warped), max(warped)
    if (missing := least - (high - low)) > 0:
        low, high = low - missing / 2, high + missing / 2
    pad = 0.04 * (high - low)
    low, high = low - pad, high + pad
    start, end = pixels

    def to_pixel(value: float) -> float:
        return start + (warp(value) - low) / (high - low) * (end - start)

    for ticks in candidates:
        inside = [(v, text) for v, text in ticks if low - 1e-9 <= warp(v) <= high + 1e-9]
        places = [to_pixel(v) for v, _ in inside]
        if all(abs(b - a) >= gap for a, b in itertools.pairwise(places)):
            return Axis(name, to_pixel, inside)
    kept: list[tuple[float, str]] = []
    for tick in inside:
        if not kept or abs(to_pixel(tick[0]) - to_pixel(kept[-1][0])) >= gap:
            kept.append(tick)
    return Axis(name, to_pixel, kept)


def bytes_axis(values: Iterable[float], pixels: tuple[float, float], name: str = "bytes a vector, factors included") -> Axis:
    """Doublings are equally far apart."""
    powers = [2**k for k in range(0, 25)]
    halves = sorted([*powers, *(3 * 2**k for k in range(0, 24))])
    ticks = [[(float(v), f"{v:,}") for v in values] for values in (halves, powers, powers[::2])]
    return axis(f"{name} (log scale)", values, pixels, math.log2, ticks, gap=34, least=1.0)


def recall_axis(values: Iterable[float], pixels: tuple[float, float], name: str = "recall 10@10") -> Axis:
    """The logit of recall, so that 0.90, 0.95 and 0.99 stand apart; labelled in recall."""
    fine = sorted({*RECALLS, *FINER})
    lists = [fine, RECALLS, [v for v in RECALLS if v not in (0.4, 0.6, 0.98, 0.995)]]
    ticks = [[(BOTTOM, f"≤ {BOTTOM}"), *((v, f"{v:g}") for v in ends), (TOP, "≈ 1")] for ends in lists]
    return axis(f"{name} (logit scale)", values, pixels, logit, ticks, gap=15, least=0.3)


def log_axis(name: str, values: Iterable[float], pixels: tuple[float, float], gap: float = 40) -> Axis:
    """Tenfold steps are equally far apart."""
    exponents = range(-12, 16)
    lists = [
        [(float(m * 10.0**e), number(m * 10.0**e)) for e in exponents for m in steps]
        for steps in (range(1, 10), (1, 2, 5), (1, 3), (1,))
    ]
    return axis(f"{name} (log scale)", [v for v in values if v > 0], pixels, math.log10, lists, gap, least=0.3)


def number(value: float) -> str:
    """1,000 is 1k, a million 1M; 0.001 stays."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit * 0.999:
            return f"{value / unit:g}{name}"
    return f"{value:,.0f}" if value >= 1 else f"{value:.10f}".rstrip("0")
