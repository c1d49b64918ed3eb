"""vecpress demo: what every codec makes of the real data set that ships."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .. import datasets
from ..codec import Codec, codecs
from ..datasets import Dataset
from ..errors import SmallTrainingSetWarning
from ..evaluate import Evaluation, evaluate, exact
from . import chart, machine
from .command import Opt, Result, command
from .console import Console, table
from .files import Threads, check_output

K = 10
GOOD_RECALL = 0.9


@dataclass(frozen=True)
class Row:
    """One codec's figures; `few_rows`: it warned that it learned from few vectors."""

    figures: Evaluation
    few_rows: bool

    @property
    def codec(self) -> Codec:
        return self.figures.codec

    @property
    def label(self) -> str:
        """The codec as it is called."""
        return f"{type(self.codec).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config.items())})"

    @property
    def config(self) -> dict[str, Any]:
        """What sets the codec apart: without metric and seed, which are the same for all."""
        return {k: v for k, v in self.codec.config().items() if k not in ("metric", "seed")}


@command("Compare every codec on the small real data set that ships.")
def demo(
    *,
    plot: Annotated[str, Opt(("--plot",), "chart to draw: .svg, .png or .pdf", "FILE")] = "vecpress-demo.svg",
    no_plot: Annotated[bool, Opt(("--no-plot",), "draw no chart")] = False,
    seed: Annotated[int, Opt(("--seed",), "of the codecs that draw random numbers", "N")] = 0,
    threads: Threads = None,
    console: Console,
) -> Result:
    data = datasets.demo()
    check_output(plot, chart.SUFFIXES, *_files(data))
    dim = data.base.shape[1]
    candidates = [_seeded(codec, seed) for cls in codecs() for codec in cls.candidates(dim, data.metric)]
    truth = exact(data.queries, data.base, K, data.metric, num_threads=threads)
    rows = []
    with console.progress("demo", len(candidates)) as advance:
        for codec in candidates:
            rows.append(_measure(codec, data, truth, threads))
            advance(1)
    rows.sort(key=lambda row: (row.codec.code_size, row.figures.recall))
    best = _best(rows, dim)
    drawn = None if no_plot else _draw(plot, rows, data, console)
    return Result(_data(rows, best, data, seed, threads, drawn), _text(rows, best, data, drawn))


def _files(data: Dataset) -> list[str]:
    """What the vectors are mapped from."""
    arrays = (data.base, data.queries, data.sample_queries)
    return [str(array.filename) for array in arrays if isinstance(array, np.memmap) and array.filename]


def _seeded(codec: Codec, seed: int) -> Codec:
    config = codec.config()
    return type(codec)(**{**config, "seed": seed}) if "seed" in config else codec


def _measure(codec: Codec, data: Dataset, truth: tuple[Any, Any], threads: int | None) -> Row:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figures = evaluate(
            codec,
            data.base,
            data.queries,
            K,
            fit_queries=data.sample_queries,
            truth=truth,
            num_threads=threads,
        )
    return Row(figures, any(issubclass(warning.category, SmallTrainingSetWarning) for warning in caught))


def _best(rows: list[Row], dim: int) -> Row:
    """Among the codes smaller than float16: the fewest bytes with recall >= 0.9, else the highest recall."""
    small = [row for row in rows if row.codec.code_size < 2 * dim] or rows
    good = [row for row in small if row.figures.recall >= GOOD_RECALL]
    if good:
        return min(good, key=lambda row: (row.codec.code_size, -row.figures.recall))
    return max(small, key=lambda row: (row.figures.recall, -row.codec.code_size))


def _draw(plot: str, rows: list[Row], data: Dataset, console: Console) -> str | None:
    if not chart.available():
        console.note("no chart: matplotlib is not installed (pip install matplotlib)")
        return None
    points = [chart.Point(type(row.codec).__name__, _short(row), row.codec.code_size, row.figures.recall) for row in rows]
    n, dim = data.base.shape
    subtitle = f"{data.name}: {n:,} vectors of {dim} dimensions, {len(data.queries)} questions"
    try:
        chart.draw(Path(plot), points, dim, "Recall against bytes per vector", subtitle)
    except OSError as error:
        console.note(f"no chart: {error}")
        return None
    return plot


def _short(row: Row) -> str:
    """The configuration alone, for a chart whose legend names the class."""
    words = [v if isinstance(v, str) else f"{k}={v}" for k, v in row.config.items()]
    return ", ".join(words) or type(row.codec).__name__


def _python(row: Row) -> str:
    return "\n".join(
        [
            "import vecpress as vp",
            "",
            "data = vp.datasets.demo()",
            f"codec = vp.{row.codec!r}.fit(data.base)",
            "index = vp.Index(codec)",
            "index.add(data.base)",
            f"scores, ids = index.search(data.queries, k={K})",
        ]
    )


def _data(rows: list[Row], best: Row, data: Dataset, seed: int, threads: int | None, drawn: str | None) -> dict[str, Any]:
    n, dim = data.base.shape
    results = [
        {
            "label": row.label,
            "codec": type(row.codec).__name__,
            "config": row.codec.config(),
            "code_size": row.codec.code_size,
            "times_smaller": 4 * dim / row.codec.code_size,
            "recall": row.figures.recall,
            "searches_per_second": row.figures.search_per_second,
            "latency_seconds": row.figures.latency_seconds,
            "fit_seconds": row.figures.fit_seconds,
            "encode_per_second": row.figures.encode_per_second,
            "state_nbytes": row.codec.state_nbytes,
            "held_bytes_per_vector": row.figures.held_nbytes,
            "backend": row.figures.backend,
            "few_rows": row.few_rows,
        }
        for row in rows
    ]
    return {
        "data": {"name": data.name, "licence": data.licence, "vectors": n, "dim": dim, "metric": data.metric},
        "queries": len(data.queries),
        "k": K,
        "recall_measure": f"{K}@{K}",
        "seed": seed,
        "machine": machine.describe(threads),
        "results": results,
        "best": {"label": best.label, "config": best.codec.config(), "codec": type(best.codec).__name__},
        "python": _python(best),
        "plot": drawn,
    }


def _text(rows: list[Row], best: Row, data: Dataset, drawn: str | None) -> str:
    n, dim = data.base.shape
    cells = [
        [
            row.label + (" *" if row.few_rows else ""),
            str(row.codec.code_size),
            f"{4 * dim / row.codec.code_size:.3g}",
            f"{row.figures.recall:.3f}",
            f"{row.figures.search_per_second:,.0f}",
            f"{row.figures.fit_seconds:.2f}",
        ]
        for row in rows
    ]
    header = ["codec", "bytes/vector", "times smaller", "recall 10@10", "searches/s", "fit s"]
    lines = [
        f"{data.name}",
        f"{n:,} vectors of {dim} dimensions, {len(data.queries)} questions that no codec has seen",
        "",
        table(header, cells),
        "",
        "times smaller: than float32. recall 10@10: share of the true 10 nearest among the 10 found.",
        f"searches/s: in batches of {len(data.queries)}, every code scanned.",
    ]
    if any(row.few_rows for row in rows):
        lines.append("*: learned from fewer vectors than the codec asks for; a larger base gives more recall.")
    if drawn:
        lines.append(f"Chart: {drawn}")
    why = "the fewest bytes with recall of 0.9 or more" if best.figures.recall >= GOOD_RECALL else "the highest recall"
    lines += ["", f"Best here: {best.label}, {why} among codes smaller than float16. In Python:", ""]
    lines += ["    " + line if line else "" for line in _python(best).splitlines()]
    return "\n".join(lines)
