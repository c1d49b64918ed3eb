"""vecpress bench: every codec and every installed peer on data sets, at the same bytes, in the same run."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

from .command import Opt, Result, UsageError, command
from .console import Console
from .files import Threads

OUTPUT = "vecpress-bench.jsonl"


@command("Compare every codec, and its peers, by memory, recall and speed.")
def bench(
    *,
    quick: Annotated[bool, Opt(("--quick",), "within two minutes, a few budgets")] = False,
    full: Annotated[bool, Opt(("--full",), "within an hour, everything that fits it")] = False,
    show: Annotated[bool, Opt(("--list",), "show the runs, make none")] = False,
    data: Annotated[
        list[str] | None,
        Opt(
            ("--data",),
            "folder, prefix or .hdf5 of a set, a folder of sets, synthetic:gaussian, demo (default); repeatable",
            "PATH",
        ),
    ] = None,
    metric: Annotated[str | None, Opt(("--metric",), "ip, l2 or cos, of sets that do not state theirs", "NAME")] = None,
    library: Annotated[list[str] | None, Opt(("--library",), "only this one; repeatable", "NAME")] = None,
    codec: Annotated[list[str] | None, Opt(("--codec",), "only this one, as its library calls it; repeatable", "NAME")] = None,
    budget: Annotated[list[str] | None, Opt(("--budget",), "only so many bytes a vector; repeatable", "BYTES")] = None,
    seeds: Annotated[int | None, Opt(("--seeds",), "how many seeds: 0, 1, ...", "N")] = None,
    minutes: Annotated[float | None, Opt(("--minutes",), "runs of so many, as estimated (0: all)", "N")] = None,
    timeout: Annotated[float | None, Opt(("--timeout",), "seconds that a run may take", "N")] = None,
    plugins: Annotated[list[str] | None, Opt(("--plugins",), "folder of further plug-ins; repeatable", "FOLDER")] = None,
    retry_failed: Annotated[bool, Opt(("--retry-failed",), "run again what failed")] = False,
    out: Annotated[str, Opt(("-o", "--out"), "results, .jsonl; what it has is not run again", "FILE")] = OUTPUT,
    html: Annotated[str | None, Opt(("--html",), "the report (default: beside the results)", "FILE")] = None,
    threads: Threads = None,
    console: Console,
) -> Result:
    if quick and full:
        raise UsageError("vecpress bench: --quick and --full expected one of them")
    if Path(out).suffix.lower() != ".jsonl":
        raise ValueError(f"{out}: suffix expected .jsonl, got {Path(out).suffix!r}")
    for name, value in (("--seeds", seeds), ("--threads", threads), ("--timeout", timeout)):
        if value is not None and value < 1:
            raise ValueError(f"{name} expected at least 1, got {value:g}")
    plan_module, suite, table = _suite()
    named = plan_module.QUICK if quick else plan_module.FULL if full else plan_module.DEFAULT
    plan = plan_module.filtered(
        named, data=tuple(data or ()), metric=metric, libraries=tuple(library or ()), codecs=tuple(codec or ()),
        budgets=_budgets(budget or []), seeds=None if seeds is None else tuple(range(seeds)), timeout=timeout, threads=threads,
        folders=tuple(_folder(name) for name in plugins or ()), minutes=minutes,
    )  # fmt: skip
    if minutes is not None and minutes <= 0:
        plan = plan_module.unlimited(plan)
    if show:
        datasets, todo = suite.prepare(plan, console.note)
        return Result(table.plan_data(todo), table.listing(todo, [dataset.name for dataset in datasets]))
    report = Path(html) if html else Path(out).with_suffix(".html")
    outcome = suite.bench(plan, Path(out), report, console, retry_failed=retry_failed)
    failed = table.failures(outcome.done)
    found: dict[str, Any] = {
        "plan": plan.name, "runs": len(outcome.done), "measured": outcome.measured, "failed": failed, "not_run": outcome.not_run,
        "out": out, "html": None if outcome.report is None else str(outcome.report),
    }  # fmt: skip
    return Result(found, table.results(outcome.done) + "\n\n" + table.ending(outcome, out))


def _suite() -> tuple[Any, Any, Any]:
    """The suite's modules, imported when they are asked for."""
    try:
        return tuple(importlib.import_module(f"vecpress.bench.{name}") for name in ("plan", "suite", "table"))  # type: ignore[return-value]
    except ImportError as error:
        raise ImportError(f"vecpress bench needs the package vecpress.bench: {error}") from None


def _budgets(given: list[str]) -> tuple[int, ...]:
    for text in given:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"--budget expected bytes a vector, a whole number of 1 or more, got {text!r}")
    return tuple(sorted({int(text) for text in given}))


def _folder(name: str) -> Path:
    if not Path(name).is_dir():
        raise ValueError(f"--plugins expected a folder, got {name!r}")
    return Path(name)
