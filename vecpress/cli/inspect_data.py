"""vecpress inspect-data: what vectors are like, and what compression can reach with them, before any codec is fitted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from .. import datasets
from ..checks import check_choice
from ..diagnostics import diagnose
from ..sources import split
from .command import Arg, Opt, Result, command
from .console import Console
from .files import Threads


@command("Show what vectors are like, and what compression can reach.")
def inspect_data(
    data: Annotated[
        str,
        Arg(
            "DATA",
            "a folder, a prefix or an .hdf5 file of base and queries; or one file of vectors, FILE::NAME for one of several",
        ),
    ],
    *,
    queries: Annotated[str | None, Opt(("--queries",), "queries, where DATA is one file", "VECTORS")] = None,
    metric: Annotated[str | None, Opt(("--metric",), "ip, l2 or cos (default: what DATA states, else ip)", "NAME")] = None,
    seed: Annotated[int, Opt(("--seed",), "of the samples", "N")] = 0,
    threads: Threads = None,
    console: Console,
) -> Result:
    if metric is not None:
        check_choice("vecpress inspect-data", "--metric", metric, datasets.METRICS)
    if seed < 0:
        raise ValueError(f"--seed expected at least 0, got {seed}")
    base: Any
    asked: Any
    if _is_one_file(data):
        name, base, asked, chosen = data, data, queries, metric or "ip"
    else:
        if queries is not None:
            raise ValueError(f"--queries is for one file of vectors; {data} is a data set and has its own")
        found = datasets.load(data, metric)  # type: ignore[arg-type]  # checked above
        name, base, asked, chosen = found.name, found.base, found.queries, found.metric
    console.note(f"looking at {name}")
    diagnosis = diagnose(base, asked, metric=chosen, seed=seed, num_threads=threads)  # type: ignore[arg-type]
    return Result({"data": data, "name": name, **diagnosis.row()}, f"{name}\n{diagnosis.page(not _draws_bars())}")


def _is_one_file(data: str) -> bool:
    """Whether DATA names vectors alone: a file that holds one array, or one of several by name."""
    path, name = split(data)
    suffix = Path(path).suffix.lower()
    return name is not None or (Path(path).is_file() and suffix in datasets.SUFFIXES and suffix not in (".hdf5", ".h5"))


def _draws_bars() -> bool:
    try:
        "▁█".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
