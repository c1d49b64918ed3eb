"""vecpress auto: the codec for a budget or for a recall, found on a held-out part of the vectors."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from ..auto import auto as choose
from ..checks import check_choice
from ..codec import METRICS
from .command import Opt, Result, command
from .console import Console
from .files import Threads, Vectors, check_output, read_rows

SECONDS_BETWEEN_NOTES = 2.0  # a recall takes a hundred trials


@command("Find the codec for a size or a recall.")
def auto(
    vectors: Vectors,
    *,
    code_size: Annotated[int | None, Opt(("--code-size",), "bytes a vector at most, for the most recall", "BYTES")] = None,
    recall: Annotated[
        float | None, Opt(("--recall",), "recall to reach, for example 0.95, with the fewest bytes", "SHARE")
    ] = None,
    queries: Annotated[str | None, Opt(("--queries",), "queries as users ask them (default: rows held out)", "VECTORS")] = None,
    metric: Annotated[str, Opt(("--metric",), "ip, l2 or cos", "NAME")] = "ip",
    k: Annotated[int, Opt(("-k",), "neighbours that recall is of", "N")] = 10,
    seed: Annotated[int, Opt(("--seed",), "of the parts and of the codecs", "N")] = 0,
    time_limit: Annotated[float | None, Opt(("--time-limit",), "stop trying after about so long", "SECONDS")] = None,
    output: Annotated[str | None, Opt(("-o", "--output"), "codec file to write, .vpz", "FILE")] = None,
    threads: Threads = None,
    console: Console,
) -> Result:
    if (code_size is None) == (recall is None):
        raise ValueError(f"expected exactly one of --code-size and --recall, got {'neither' if recall is None else 'both'}")
    check_choice("vecpress auto", "--metric", metric, METRICS)
    if output is not None:
        check_output(output, (".vpz",), vectors, queries)
    asked = None if queries is None else read_rows(queries).all()
    codec, report = choose(
        Path(vectors), asked, code_size=code_size, recall=recall, metric=metric, k=k, seed=seed,  # type: ignore[arg-type]  # checked
        time_limit=time_limit, progress=_now_and_then(console), num_threads=threads,
    )  # fmt: skip
    if output is not None:
        codec.save(output)
    data = {
        "vectors": vectors,
        "output": output,
        "codec": type(codec).__name__,
        "config": codec.config(),
        "state_nbytes": codec.state_nbytes,
        "report": report.to_dict(),
    }
    how = f"In Python: vp.{codec!r}.fit(x)" if output is None else f"{output}: {codec!r}, fitted"
    return Result(data, f"{report}\n{how}")


def _now_and_then(console: Console) -> Callable[[str], None]:
    last = float("-inf")

    def note(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_NOTES:
            last = time.monotonic()
            console.note(line)

    return note
