"""What training says of itself while it runs: judgements, as a line each or beside a bar."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


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


@contextmanager
def shown(progress: bool | Progress | None) -> Iterator[Progress]:
    """What to call: the function given; for True a bar where rich is installed, else a line a judgement, on standard error."""
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda judgement: None
    elif importlib.util.find_spec("rich") is None:
        yield lambda judgement: print(judgement, file=sys.stderr, flush=True)
    else:
        with _bar() as told:
            yield told


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    count, said = TextColumn("{task.completed}/{task.total}"), TextColumn("{task.description}")
    with Progress(TextColumn("training"), BarColumn(), count, TimeRemainingColumn(), said, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def told(judgement: Judgement) -> None:
            found = f"recall {judgement.recall:.4f}, at best {judgement.best:.4f}"
            bar.update(task, completed=judgement.step, total=judgement.steps, description=found)

        yield told
