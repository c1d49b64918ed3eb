"""How long `TransformCodec` takes to learn and to encode: parts of a vector's time, and faiss's RaBitQ in turns.

    python -m bench.transform_speed MEDQUAD -o RESULT.json [--size BYTES ...]        MEDQUAD: the folder of medquad_minilm

Encoding runs in turns of 2,048 vectors, on one thread, ours and theirs, in processor time, in which other work on the machine
counts for less than in the clock's; medians and tenth percentiles of many turns. Labels are compared with those of a search in
float32: the squared error that they leave, and the recall of the same codec with either, paired over the questions 300 to 999.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import vecpress as vp
from vecpress import axes, ops
from vecpress.axes import BEAM, AxesCode
from vecpress.residual import best_labels, search_steps, sums

from . import limits
from .load import Load
from .run_one import commit
from .transform import hits, one_set

LEARNED, SAMPLES = 20_000, 300
TURNS, ROWS = 60, 2048
SIZES = (12, 24, 48, 96)
PARTS = ("project", "search_labels", "encode_trellis", "norms")


def labelled_in_float32(self: AxesCode, z: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
    labels = best_labels(z, search_steps(self.centroids, num_threads), BEAM, num_threads)
    return labels, z - sums(self.centroids, labels)


@contextmanager
def timed(seconds: dict[str, float]) -> Iterator[None]:
    """What ops take is added to `seconds`."""

    def around(name: str) -> Callable[..., Any]:
        call = getattr(ops, name)

        def measured(*args: Any, **options: Any) -> Any:
            start = time.thread_time()
            out = call(*args, **options)
            seconds[name] += time.thread_time() - start
            return out

        return measured

    with mock.patch.multiple(ops, **{name: around(name) for name in PARTS}):
        yield


def parts(codec: vp.Codec, x: np.ndarray) -> dict[str, float]:
    """Microseconds a vector, of the fastest of the turns: in all, by operation, and beside these."""
    best = (np.inf, dict[str, float]())
    for _ in range(TURNS):
        seconds: dict[str, float] = defaultdict(float)
        with timed(seconds):
            start = time.thread_time()
            codec.encode(x, num_threads=1)
            best = min(best, (time.thread_time() - start, dict(seconds)), key=lambda one: one[0])
    named = {"all": best[0], **best[1], "beside": best[0] - sum(best[1].values())}
    return {name: 1e6 * value / len(x) for name, value in named.items()}


def beside_rabitq(codec: vp.Codec, x: np.ndarray) -> dict[str, Any]:
    """Microseconds a vector in turns, median and tenth percentile, and how many times faiss's RaBitQ of 2 bits takes as long."""
    import faiss

    faiss.omp_set_num_threads(1)
    theirs = faiss.IndexRaBitQ(x.shape[1], faiss.METRIC_INNER_PRODUCT, 2)
    theirs.train(x)
    calls = (lambda: codec.encode(x, num_threads=1), lambda: theirs.sa_encode(x))
    took = np.empty((len(calls), TURNS))
    for turn in range(TURNS):
        for i, call in enumerate(calls):
            start = time.thread_time()
            call()
            took[i, turn] = 1e6 * (time.thread_time() - start) / len(x)
    found: dict[str, Any] = {"faiss": faiss.__version__}
    for name, (ours, peer) in (("median", np.median(took, axis=1)), ("tenth", np.quantile(took, 0.1, axis=1))):
        found |= {f"us_{name}": ours, f"rabitq_us_{name}": peer, f"ratio_{name}": peer / ours}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--size", type=int, action="append")
    arguments = parser.parse_args()
    base, questions = (np.load(arguments.folder / f"{name}.npy").astype(np.float32) for name in ("base", "queries"))
    s = one_set("medquad_minilm", "ip", base, questions[SAMPLES:], base[:LEARNED])
    load, rng = Load(), np.random.default_rng(0)
    rows = []
    for size in arguments.size or SIZES:
        wall, cpu = time.perf_counter(), time.process_time()
        codec = vp.TransformCodec(size).fit(s.train, questions[:SAMPLES])
        row: dict[str, Any] = {"code_bytes": size, "labels": codec.n_labels, "words": codec.words_.tolist()}
        row |= {"fit_seconds": time.perf_counter() - wall, "fit_cpu_seconds": time.process_time() - cpu}
        x = np.ascontiguousarray(base[LEARNED : LEARNED + ROWS])
        row |= {"us": parts(codec, x)} | beside_rabitq(codec, x)
        z, _ = codec._coder.rows(base[LEARNED : LEARNED + 4000], 1)
        mine = hits(codec, s)
        errors = [float(np.square(code._labelled(z, 1)[1]).sum() / np.square(z).sum()) for code in [codec._coder.code]]
        with mock.patch.object(axes.AxesCode, "_labelled", labelled_in_float32):
            other = hits(codec, s)
            errors.append(float(np.square(codec._coder.code._labelled(z, 1)[1]).sum() / np.square(z).sum()))
        differences = mine - other
        again = [differences[rng.integers(0, len(differences), len(differences))].mean() for _ in range(2000)]
        row |= {"label_error": errors[0], "label_error_float32": errors[1]}
        row |= {"recall": mine.mean(), "recall_float32": other.mean()}
        row |= {"difference": np.quantile(again, (0.025, 0.5, 0.975)).tolist()}
        rows.append(row)
        print(json.dumps(row, default=float), flush=True)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"commit": commit(), "date": now, "others_load": load.others()}
    about |= {"limits": limits.measure()}
    result = {"about": about, "rows": rows}
    arguments.out.write_text(json.dumps(result, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
