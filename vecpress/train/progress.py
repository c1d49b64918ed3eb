"""What training says of itself while it runs: judgements, as a line each or beside a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple


class Judgement(NamedTuple):
    """How training stands after `step` of at most `steps` steps: the loss of the last one, nan before the first, and the recall
    10@10 of held-out anchors; `best` is the highest so far, and `last` says whether training ends here."""

    step: int
    steps: int
    loss: float
    recall: float
    best: float
    last: bool

    def __str__(self) -> str:
        found = f"recall of held-out rows {self.recall:.4f}, at best {self.best:.4f}"
        return f"step {self.step} of {self.steps}: loss {self.loss:.4f}, {found}{', done' if self.last else ''}"


Progress = Callable[[Judgement], object]


def shown(progress: bool | Progress | None) -> Progress:
    """What to call: the function given; for True a bar where rich is installed, else a line a judgement, on standard error."""
    if callable(progress):
        return progress
    if not progress:
        return lambda judgement: None
    try:
        return _Bar()
    except ImportError:
        return lambda judgement: print(judgement, file=sys.stderr, flush=True)


class _Bar:
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns: tuple[Any, ...] = (
            TextColumn("training"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )  # fmt: skip
        self.bar = Progress(*columns, console=Console(stderr=True))
        self.task = self.bar.add_task("", total=None)
        self.bar.start()

    def __call__(self, judgement: Judgement) -> None:
        said = f"recall {judgement.recall:.4f}, at best {judgement.best:.4f}"
        self.bar.update(self.task, completed=judgement.step, total=judgement.steps, description=said)
        if judgement.last:
            self.bar.stop()
