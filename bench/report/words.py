"""Figures as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .summary import Runs

NONE = "\N{EN DASH}"  # a figure that was not measured


def plain(value: float | None) -> str:
    """A count of bytes or the like: whole where it is whole."""
    return NONE if value is None else f"{value:,.0f}" if abs(value - round(value)) < 0.005 else f"{value:,.1f}"


def size(nbytes: float | None) -> str:
    """Bytes, in units of 1,000."""
    if nbytes is None:
        return NONE
    if nbytes < 10_000:
        return f"{plain(nbytes)} bytes"
    unit, name = next((u, n) for u, n in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if nbytes >= u)
    return f"{nbytes / unit:.3g} {name}"


def rate(value: float | None) -> str:
    """So many a second: two digits, as no more of them repeat."""
    return NONE if value is None else f"{float(f'{value:.2g}'):,.{0 if value >= 10 else 1}f}"


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    unit, name = next(((u, n) for u, n in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")) if value >= u), (1e-6, "µs"))
    return f"{float(f'{value / unit:.2g}'):,g} {name}"


def share(value: float | None) -> str:
    """Recall and what is like it."""
    return NONE if value is None else f"{value:.3f}"


def points(difference: float) -> str:
    """A difference of recalls in hundredths."""
    return f"{100 * difference:+.1f} points"


def recall_of(run: Runs) -> str:
    """Mean recall, and how sure it is over seeds."""
    if run.n_seeds < 2:
        return f"{run.recall:.3f} (one run)"
    return f"{run.recall:.3f} (worst of {run.n_seeds} seeds {run.worst:.3f})"


def mean_and_worst(run: Runs) -> str:
    """The same for a table."""
    mean, worst = f"{run.recall:.3f}", f"{run.worst:.3f}"
    return mean if mean == worst else f"{mean} ({worst})"
