"""What commands write: notes and progress to standard error, tables as text, JSON that any reader accepts."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

SECONDS_BETWEEN_LINES = 10.0  # plain progress in a log file
SECONDS_BETWEEN_UPDATES = 0.2  # plain progress on a terminal


def fancy() -> bool:
    """Whether typer and rich are to be used: both are installed and VECPRESS_PLAIN is not set."""
    if os.environ.get("VECPRESS_PLAIN", "") not in ("", "0"):
        return False
    return all(importlib.util.find_spec(name) is not None for name in ("typer", "rich"))


class Console:
    """Where a command reports while it works; its results are printed by the program, at the end."""

    def note(self, text: str) -> None:
        """One line on standard error."""
        print(f"vecpress: {' '.join(text.split())}", file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Gives a function that says how many of `total` steps were done since its last call."""
        if fancy() and sys.stderr.isatty():
            with _rich_progress(what, total) as advance:
                yield advance
        else:
            with _plain_progress(what, total) as advance:
                yield advance


@contextmanager
def _rich_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=RichConsole(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.advance(task, n)


@contextmanager
def _plain_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    terminal = sys.stderr.isatty()
    wait = SECONDS_BETWEEN_UPDATES if terminal else SECONDS_BETWEEN_LINES
    done, last = 0, time.monotonic()

    def advance(n: int) -> None:
        nonlocal done, last
        done += n
        if time.monotonic() - last >= wait:
            last = time.monotonic()
            line = f"{what}: {100 * done // max(total, 1)} %"
            print(f"\r{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)

    try:
        yield advance
    finally:
        if terminal:
            print(f"\r{' ' * (len(what) + 8)}\r", end="", file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Aligned columns, the first `left` to the left and the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), line(["-" * w for w in widths]), *map(line, rows)])


def to_json(value: Any) -> str:
    """One line of strict JSON: NumPy values as plain ones, numbers that JSON lacks (nan, inf) as null."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def size(nbytes: float) -> str:
    """A number of bytes for people: 1536 -> "1.54 kB"."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while nbytes >= 1000 and len(units) > 1:
        nbytes /= 1000
        units.pop(0)
    return f"{nbytes:.0f} B" if units[0] == "B" else f"{nbytes:.3g} {units[0]}"


def count(n: int, one: str, many: str = "") -> str:
    """count(1, "vector") -> "1 vector"; count(6000, "vector") -> "6,000 vectors"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
