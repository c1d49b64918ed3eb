"""The benchmark suite: `vecpress bench`, or `python -m bench.suite` in a clone. Runs a plan, resumes, and shows what came out.

Every run is a line of the output file as soon as it is done, so that what is stopped, by whatever, goes on where it was.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vecpress.cli.console import Console
from vecpress.datasets import Dataset

from . import inputs, limits, load, records, run_one
from .plan import Plan, Planned, Runs, runs
from .records import Record
from .run_one import Run

LEAST_SECONDS = 5.0  # that must be left before the deadline for a run to be started


@dataclass
class Outcome:
    """What came of a plan.

    done : records of its runs, old and new; measured : how many are new; not_run : for lack of time, or for a bad data set
    bad_sets : how many of not_run by what is wrong with their set
    """

    done: list[Record]
    measured: int
    not_run: int
    report: Path | None
    why_no_report: str = ""
    bad_sets: dict[str, int] = field(default_factory=dict)


def prepare(plan: Plan, note: Callable[[str], None]) -> tuple[list[Dataset], Runs]:
    """The data sets of a plan and its runs; `note` is told what is left out. Errors as of `inputs.read` and `plan.runs`."""
    datasets = [dataset for where in plan.data for dataset in inputs.read_all(where, plan.metric, note)]
    return datasets, runs(plan, [inputs.describe(dataset) for dataset in datasets])


def bench(plan: Plan, out: Path, html: Path | None, console: Console, *, retry_failed: bool = False) -> Outcome:
    """Makes the runs that `out` does not have yet, appends them to it, and writes the report.

    ValueError for an `out` that is no file of the suite's, an `html` that is a folder, or where no data set can be measured on;
    KeyboardInterrupt, also for SIGTERM, leaves `out` whole.
    """
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        if html.is_dir():
            raise ValueError(f"{html}: expected a file for the report, got a folder")
    begun = time.monotonic()
    if (others := load.before()) > load.BUSY:
        console.note(f"others use {others:g} processors of this machine: its speeds will be flagged, and are not to be compared")
    datasets, todo = prepare(plan, console.note)
    threads = plan.threads or load.cpus()
    settings = run_one.Settings(threads, plan.seconds, plan.timeout, run_one.default_memory())
    known = _known(out, retry_failed, todo)
    records.append(out, [record for record in _missing(todo) if record.key not in known])
    with contextlib.suppress(Exception):
        limits.library()  # compiled before anything is measured
    done: list[Record] = []
    bad_sets: dict[str, int] = {}
    measured = not_run = 0
    with _terminable(console, out), inputs.workspace() as folder, _progress(console, len(todo.planned)) as report:
        current = -1
        for planned in todo.planned:  # set by set
            if planned.data != current:
                shutil.rmtree(folder / str(current), ignore_errors=True)
                current = planned.data
                ready = _ready(datasets[current], folder / str(current), threads)
                if isinstance(ready, str):
                    console.note(f"left out: {ready}")
            if isinstance(ready, str):
                bad_sets[ready] = bad_sets.get(ready, 0) + 1
                not_run += 1
                report(planned, None)
                continue
            record = known.get(run_one.new_record(planned.run, ready.data, threads).key)
            if record is None:
                left = math.inf if plan.deadline is None else plan.deadline - (time.monotonic() - begun)
                if left >= LEAST_SECONDS:
                    record = run_one.run(planned.run, ready, replace(settings, timeout=min(settings.timeout, left)))
                if record is None or (record.status == "failed" and _cut_off(plan, begun)):
                    not_run += 1
                    report(planned, None)
                    continue
                records.append(out, [record])
                measured += 1
            done.append(record)
            report(planned, record)
    if bad_sets and sum(bad_sets.values()) == len(todo.planned):
        raise ValueError("; ".join(bad_sets))
    written, why = (None, "") if html is None else _report(out, html)
    return Outcome(done, measured, not_run, written, why, bad_sets)


def _ready(dataset: Dataset, folder: Path, threads: int) -> inputs.Inputs | str:
    """A set to measure on; what is wrong where there is none, as one bad set must not end the others."""
    try:
        return inputs.prepare(dataset, folder, threads)
    except (ValueError, OSError, MemoryError) as error:
        return f"{dataset.name}: {error}"


def _known(out: Path, retry_failed: bool, todo: Runs) -> dict[str, Record]:
    """The records of the file by key, without those that are to be replaced, which leave the file."""
    there = records.read(out)
    gone = {record.key for record in _missing(todo)}
    kept = [
        record
        for record in there
        if not (record.status == "failed" and retry_failed) and (record.status != "missing" or record.key in gone)
    ]
    if len(kept) < len(there):
        records.replace(out, kept)
    return {record.key: record for record in kept}


def _missing(todo: Runs) -> list[Record]:
    """One record for each library that is not installed, and for each codec that is too slow for the plan."""
    absent = [(plugin.NAME, "", f"{plugin.NAME} is not installed") for plugin in todo.missing]
    absent += [(c.library, c.codec, f"too slow for this plan: --codec {c.codec!r} asks for it") for c in todo.excluded]
    return [
        Record(records.key_of({}, library, codec, {}, None, 0, {}), library, codec, {}, None, {}, "missing", why)
        for library, codec, why in absent
    ]


def _cut_off(plan: Plan, begun: float) -> bool:
    """Whether the plan's time is over, and not the contender's."""
    return plan.deadline is not None and time.monotonic() - begun >= plan.deadline - 1


def _report(out: Path, html: Path) -> tuple[Path | None, str]:
    """The HTML report on the file, and why there is none."""
    try:
        importlib.import_module(f"{__package__}.report").write([out], html)
    except (ImportError, OSError) as error:
        return None, str(error)
    return html, ""


@contextlib.contextmanager
def _terminable(console: Console, out: Path) -> Iterator[None]:
    """SIGTERM ends the suite as Ctrl-C does: with its processes and its temporary files gone."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if is_main else None
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"{out} has every run that was done; the same command goes on with the others")
        raise
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[Planned, Record | None], None]]:
    """A bar on a terminal, elsewhere a line for every run."""
    if sys.stderr.isatty():
        with console.progress("bench", total) as advance:
            yield lambda planned, record: advance(1)
        return
    count = 0

    def line(planned: Planned, record: Record | None) -> None:
        nonlocal count
        count += 1
        console.note(f"{count}/{total} {describe(planned.run, record)}")

    yield line


def describe(run: Run, record: Record | None) -> str:
    """A run and its result in one line."""
    seed = "" if run.seed is None else f", seed {run.seed}"
    what = f"{run.label}{seed}, {run.contender.code_size} bytes: "
    if record is None:
        return what + "not run"
    if record.status != "ok":
        return what + f"{record.status}, {record.error}"
    return what + f"recall {record.recall:.3f}, {record.search_per_second:,.0f} searches/s"


if __name__ == "__main__":
    from vecpress.cli import main

    sys.exit(main(["bench", *sys.argv[1:]]))
