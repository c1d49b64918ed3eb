"""vecpress fit: learns a codec from vectors and writes it to a file."""

from __future__ import annotations

import inspect
import json
import time
from typing import Annotated, Any

from ..codec import Codec, codec_class
from ..sources import sample as draw
from .command import Opt, Result, command
from .console import Console, count, size
from .files import Threads, Vectors, check_output, read_rows, read_source


@command("Learn a codec from vectors.")
def fit(
    vectors: Vectors,
    *,
    codec: Annotated[str, Opt(("--codec",), "class of the codec, for example PQ", "NAME")],
    output: Annotated[str, Opt(("-o", "--output"), "codec file to write, .vpz", "FILE")],
    settings: Annotated[
        list[str] | None, Opt(("--set",), "option of the codec, for example m=48; repeatable", "KEY=VALUE")
    ] = None,
    metric: Annotated[str | None, Opt(("--metric",), "ip, l2 or cos (default: the codec's)", "NAME")] = None,
    queries: Annotated[str | None, Opt(("--queries",), "sample of queries, for codecs that weigh by them", "VECTORS")] = None,
    sample: Annotated[int, Opt(("--sample",), "rows to learn from, drawn at random", "N")] = 100_000,
    seed: Annotated[int, Opt(("--seed",), "of the sample and of the codec", "N")] = 0,
    threads: Threads = None,
    console: Console,
) -> Result:
    check_output(output, (".vpz",), vectors, queries)
    if sample < 1:
        raise ValueError(f"--sample expected at least 1, got {sample}")
    if seed < 0:
        raise ValueError(f"--seed expected at least 0, got {seed}")
    unfitted = _configure(codec, settings or [], metric, seed)
    source = read_source(vectors)
    sample_queries = None if queries is None else read_rows(queries, source.dim).all()
    if source.dim is not None:
        unfitted._check_dim(source.dim)  # before a large file is read
    learned_from = draw(source, sample, seed).all()
    console.note(f"fitting {unfitted} on {count(len(learned_from), 'vector')} of {source.dim} dimensions")
    start = time.perf_counter()
    fitted = unfitted.fit(learned_from, sample_queries, num_threads=threads)
    seconds = time.perf_counter() - start
    fitted.save(output)
    data = {
        "output": output,
        "codec": codec,
        "config": fitted.config(),
        "dim": fitted.dim,
        "code_size": fitted.code_size,
        "bits_per_dim": fitted.bits_per_dim,
        "state_nbytes": fitted.state_nbytes,
        "rows": len(learned_from),
        "seconds": seconds,
    }
    text = (
        f"{output}: {fitted}, {fitted.code_size} bytes a vector, {fitted.bits_per_dim:.3g} bits a dimension, "
        f"{size(fitted.state_nbytes)} learned from {count(len(learned_from), 'vector')} in {seconds:.1f} s"
    )
    return Result(data, text)


def _configure(name: str, settings: list[str], metric: str | None, seed: int) -> Codec:
    cls = codec_class(name)
    config: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--set expected KEY=VALUE, got {setting!r}")
        if key in config:
            raise ValueError(f"--set {key} is given twice")
        config[key] = _value(value)
    if metric is not None:
        if config.get("metric", metric) != metric:
            raise ValueError(f"--set metric={config['metric']} contradicts --metric {metric}")
        config["metric"] = metric
    options = inspect.signature(cls).parameters
    if "seed" in options:
        config.setdefault("seed", seed)
    unknown = [key for key in config if key not in options]
    if unknown:
        raise ValueError(f"{name} has no option {unknown[0]!r}; it has {', '.join(options)}")
    missing = [key for key, option in options.items() if option.default is option.empty and key not in config]
    if missing:
        raise ValueError(f"{name} needs --set {missing[0]}=VALUE; it has {', '.join(options)}")
    return cls(**config)


def _value(text: str) -> Any:
    """A JSON value (48, 0.5, true, null, "x"); what is none is a string."""
    try:
        return json.loads(text)
    except ValueError:
        return text
