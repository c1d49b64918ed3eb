"""What is promised of `TransformCodec` and `vp.auto`: recall by bytes on every set, rows of other kinds, white noise, layers.

    python -m bench.transform --data FOLDER -o RESULT.json [--part white|scans|curves|layers|others|auto ...] [--set NAME ...]
        [--plot FILE.svg]

FOLDER is one of data sets. Recall 10@10, exhaustive, ties counted, of queries that `fit` has not seen, one seed; differences are
paired over queries, with 95 % intervals. Parts that the result has already are replaced,
with --set their rows of these sets; the others stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress import ops
from vecpress.checks import Metric
from vecpress.ops import Blocks
from vecpress.ops.trellis_levels import TABLES

from . import limits
from .figures import Call, in_turns
from .inputs import figure_queries, learned_rows, read_all
from .kernels import BEYOND_CACHE, Shape, cache_rate
from .measures import paired_interval
from .recall import K, Sets, found_share
from .run_one import commit

JUDGED = 300  # queries; sets with fewer only say that everything runs
WHITE_DIM, WHITE_ROWS = 768, 4000
BASE_ROWS = 10_000  # of the sets that are split
SHARE = 0.6  # of RaBitQ's bytes, that reach its recall
LARGEST = 260  # bytes, of `auto`


def sets(folder: str) -> list[tuple[Sets, np.ndarray | None]]:
    """Every set, and its sample queries."""
    found = []
    for data in read_all(folder, None, print):
        queries, samples, _ = figure_queries(data)
        base, train = np.asarray(data.base, np.float32), learned_rows(data)
        learned = base if train is None else np.asarray(train, np.float32)
        s = one_set(data.name, data.metric, base, np.asarray(queries, np.float32), learned)
        found.append((s, np.asarray(samples, np.float32) if len(samples) else None))
    return found


def one_set(name: str, metric: Metric, base: np.ndarray, queries: np.ndarray, train: np.ndarray) -> Sets:
    bars = vp.exact(queries, base, min(K, len(base)), metric)[0][:, -1].astype(np.float64)
    return Sets(name, metric, train, base, queries, -bars if metric == "l2" else bars)


def hits(codec: vp.Codec, s: Sets) -> np.ndarray:
    index = vp.Index(codec)
    index.add(s.base)
    return found_share(index.search(s.queries, min(K, len(s.base)))[1], s)


def beside(mine: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    return {"recall": float(mine.mean()), "other": float(other.mean()), "difference": paired_interval(mine, other)}


def curves(found: list[tuple[Sets, np.ndarray | None]]) -> list[dict[str, Any]]:
    """TransformCodec, with both windows, at the bytes of RaBitQ of 1, 2, 3 and 4 bits, and at 0.6 of these."""
    rows = []
    for s, samples in found:
        for n_bits in (1, 2, 3, 4):
            rabitq = vp.RaBitQ(n_bits, metric=s.metric).fit(s.train)
            theirs = hits(rabitq, s)
            for size, window in ((rabitq.code_size, 6), (rabitq.code_size, 8), (int(SHARE * rabitq.code_size), 6)):
                codec = vp.TransformCodec(size, metric=s.metric, window=window)
                start = time.perf_counter()
                codec.fit(s.train, samples)
                row = {"set": s.name, "queries": len(s.queries), "n": len(s.base), "dim": s.base.shape[1], "rabitq_bits": n_bits}
                row |= {"rabitq_bytes": rabitq.code_size, "code_bytes": size, "window": window}
                row |= {"fit_seconds": time.perf_counter() - start, "state_nbytes": codec.state_nbytes}
                rows.append(row | beside(hits(codec, s), theirs))
                say(rows[-1])
    return rows


def others(found: list[tuple[Sets, np.ndarray | None]]) -> list[dict[str, Any]]:
    """Codes fitted on these rows, on 10,000 others of the same kind, and on another domain, beside RaBitQ of both."""
    by_name = {s.name: (s, samples) for s, samples in found}
    whole, samples = by_name["medquad_minilm"]
    base = whole.base[:BASE_ROWS]
    s = one_set(whole.name, whole.metric, base, whole.queries, base)
    kinds = {"same kind": whole.base[BASE_ROWS : 2 * BASE_ROWS], "another domain": by_name["xquad_minilm"][0].base}
    kinds["few of the same kind"] = kinds["same kind"][: len(kinds["another domain"])]
    rows = []
    for n_bits in (1, 2, 3, 4):
        rabitq = vp.RaBitQ(n_bits, metric=s.metric).fit(base)
        theirs = hits(rabitq, s)
        there = {kind: hits(vp.RaBitQ(n_bits, metric=s.metric).fit(learned), s) for kind, learned in kinds.items()}
        for size in dict.fromkeys((24, 48) * (n_bits == 1) + (rabitq.code_size,)):
            own = hits(vp.TransformCodec(size, metric=s.metric).fit(base, samples), s)
            for kind, learned in kinds.items():
                codec = vp.TransformCodec(size, metric=s.metric).fit(learned, None if kind == "another domain" else samples)
                row = {"fitted_on": kind, "rows": len(learned), "code_bytes": size, "drift": codec.drift(base).ratio}
                mine = hits(codec, s)
                row |= {"labels": codec.n_labels, "own": beside(mine, own)}
                if size >= rabitq.code_size:
                    row |= {"rabitq": beside(mine, theirs), "rabitq_fitted_there": beside(mine, there[kind])}
                rows.append(row)
                say(rows[-1])
    return rows


def white(found: list[tuple[Sets, np.ndarray | None]]) -> list[dict[str, Any]]:
    """Squared error of normal numbers above the rate-distortion bound, in dB, in words of 8 bytes."""
    rng, rows = np.random.default_rng(0), []
    for window, tables in TABLES.items():
        for rate in (1, 2, 3, 4):
            steps = 64 // rate
            y = rng.standard_normal((WHITE_ROWS * WHITE_DIM // steps, steps))
            unit = tables.units[rate - 1]
            words = np.array([[8, rate]], np.uint8)
            values = ops.encode_trellis((y * unit).astype(np.float32), words, tables.levels)[1]
            error = float(np.square(y - values / unit).mean())
            decibels = 10 * math.log10(error * 2 ** (2 * 64 / steps))
            rows.append({"window": window, "rate": rate, "error": error, "decibels": decibels})
            say(rows[-1])
    return rows


def layers(found: list[tuple[Sets, np.ndarray | None]]) -> list[dict[str, Any]]:
    """A progressive code beside codes of one layer, and searches that read its first layer alone."""
    s, samples = next((s, samples) for s, samples in found if s.name == "medquad_minilm")
    codec = vp.TransformCodec(96, metric=s.metric, progressive=True).fit(s.train, samples)
    rows = []
    for size in codec.layers:
        alone = vp.TransformCodec(size, metric=s.metric).fit(s.train, samples)
        rows.append({"code_bytes": size} | beside(hits(codec.truncate(size), s), hits(alone, s)))
        say(rows[-1])
    index = vp.Index(codec)
    index.add(s.base)
    whole = found_share(index.search(s.queries, K)[1], s)
    for candidates in (10, 20, 50, 100, 200):
        rows.append({"rerank": candidates} | beside(found_share(index.search(s.queries, K, rerank=candidates)[1], s), whole))
        say(rows[-1])
    return rows


def auto(found: list[tuple[Sets, np.ndarray | None]]) -> list[dict[str, Any]]:
    """`vp.auto` at the bytes of RaBitQ of 1, 2 and 4 bits, and for SIFT at 8, 16, 32 and 64, beside RaBitQ, PQ, OPQ and RQ."""
    rows = []
    for s, samples in found:
        dim = s.base.shape[1]
        if len(s.queries) < JUDGED or s.name == "limit_small_minilm":  # as many bytes of state as vectors
            continue
        sizes = (8, 16, 32, 64) if dim == 128 else [vp.RaBitQ(b, metric=s.metric).planned(dim)[0] for b in (1, 2, 4)]
        for size in (size for size in sizes if size <= LARGEST):
            start = time.perf_counter()
            codec, _ = vp.auto(s.train, samples, code_size=size, metric=s.metric)
            seconds = time.perf_counter() - start
            mine = hits(codec, s)
            single = [one for cls in (vp.RaBitQ, vp.PQ, vp.OPQ, vp.RQ) for one in cls.offers(dim, size, s.metric)]
            best = {repr(one): beside(mine, hits(one.fit(s.train, samples), s)) for one in single}
            rows.append({"set": s.name, "code_bytes": size, "chosen": repr(codec), "seconds": seconds, "beside": best})
            say(rows[-1])
    return rows


@dataclass(frozen=True)
class Words(Shape):
    """A scan of trellis codes of d = 384 at one rate, n_bits, in words of 8 bytes."""

    window: int = 6

    @property
    def options(self) -> dict[str, Any]:
        return {"words": np.array([[8, self.n_bits]] * (self.size // 8), np.uint8), "levels": TABLES[self.window].levels}

    def operand(self, rng: np.random.Generator, nq: int) -> np.ndarray:
        return rng.standard_normal((nq, 64 // self.n_bits * (self.size // 8)), dtype=np.float32)

    def best_code(self, operand: np.ndarray) -> np.ndarray:
        return ops.encode_trellis(np.sign(operand[:1]) * np.float32(100), **self.options)[0][0]

    def call(self, blocks: Blocks, operand: np.ndarray, k: int = 10, threads: int = 1, allow: Any = None) -> Call:
        return partial(ops.trellis, blocks, operand, k, allow=allow, num_threads=threads, **self.options)


def scans(found: list[tuple[Sets, np.ndarray | None]]) -> list[dict[str, Any]]:
    """One query over codes beyond the caches, to the slower of the read loop and its own rate from L2; 100 beside `dot`."""
    rng, rows = np.random.default_rng(0), []
    four_bits = Shape("dot", 192, 4)
    for n_bits, window in ((1, 6), (2, 6), (4, 6), (2, 8), (4, 8)):
        shape = Words("trellis", 48 * n_bits, n_bits, window=window)
        for isa in ("avx512", "avx2"):
            if vp.backends().get(isa) != "ok":
                continue
            with vp.use(isa):
                blocks, own = shape.blocks(rng, BEYOND_CACHE // shape.size), cache_rate(shape, rng)
                [seconds] = in_turns(shape.call(blocks, shape.operand(rng, 1)), rounds=7)
                rate, read = blocks.n * shape.size / seconds, limits.read_rate(limits.DRAM_BYTES, passes=1)
                del blocks
                mine, other = (one.call(one.blocks(rng, 100_000), one.operand(rng, 100)) for one in (shape, four_bits))
                batch, by_dot = in_turns(mine, other, rounds=7)
            row = {"bits": n_bits, "window": window, "isa": isa, "GB_per_s": rate / 1e9, "read_loop": read / 1e9}
            row |= {"own_from_L2": own / 1e9, "to_the_slower": rate / min(read, own), "batch_beside_dot": by_dot / batch}
            rows.append(row)
            say(row)
    return rows


def say(row: dict[str, Any]) -> None:
    print(json.dumps(row, default=float), flush=True)


PARTS: dict[str, Callable[[list[tuple[Sets, np.ndarray | None]]], list[dict[str, Any]]]] = {
    "white": white, "scans": scans, "curves": curves, "layers": layers, "others": others, "auto": auto,
}  # fmt: skip


OF_SETS = ("curves", "auto")


def plot(result: dict[str, Any], path: str) -> None:
    """Recall against bytes, a picture a set, from the part `curves`."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "vecpress"  # the same picture from the same figures
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["set"] for row in result["curves"]))
    columns = 3
    figure, axes = pyplot.subplots(-(-len(names) // columns), columns, figsize=(11, 3 * -(-len(names) // columns)), squeeze=False)
    for name, axis in zip(names, axes.flat, strict=False):
        rows = [row for row in result["curves"] if row["set"] == name]
        for window in (6, 8):
            line = sorted({row["code_bytes"]: row["recall"] for row in rows if row["window"] == window}.items())
            axis.plot(*zip(*line, strict=True), "o-", ms=3, label=f"TransformCodec, window {window}")
        line = sorted({row["rabitq_bytes"]: row["other"] for row in rows}.items())
        axis.plot(*zip(*line, strict=True), "s--", ms=3, color="gray", label="RaBitQ")
        axis.set_title(f"{name}: {rows[0]['n']:,} x {rows[0]['dim']}, {rows[0]['queries']} queries", fontsize=8)
        axis.set_xlabel("bytes a vector", fontsize=8)
        axis.set_ylabel("recall 10@10", fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    axes.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--part", action="append", choices=list(PARTS))
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--set", action="append", help="of the parts curves and auto, whose other sets stay as they are")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    out = Path(arguments.out)
    result = json.loads(out.read_text()) if out.exists() else {}
    found = sets(arguments.data)
    if unknown := set(arguments.set or ()) - {s.name for s, _ in found}:
        parser.error(f"--set: there is no {', '.join(sorted(unknown))}; there are {', '.join(s.name for s, _ in found)}")
    if arguments.set and not set(arguments.part or PARTS) <= set(OF_SETS):
        parser.error(f"--set expected --part {' or '.join(OF_SETS)} alone")
    for part in arguments.part or PARTS:
        about = {"commit": commit(), "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
        chosen = [one for one in found if part not in OF_SETS or one[0].name in (arguments.set or [one[0].name])]
        rows = PARTS[part](chosen)
        kept = result.get(part, []) if part in OF_SETS and arguments.set else []
        if part in OF_SETS:
            rows = [row | {"commit": about["commit"]} for row in rows]
        result[part] = [row for row in kept if row["set"] not in arguments.set] + rows
        result.setdefault("about", {})[part] = about | {"load": round(os.getloadavg()[0], 2)}
        out.write_text(json.dumps(result, indent=1, default=float) + "\n")
    if arguments.plot:
        plot(result, arguments.plot)


if __name__ == "__main__":
    main()
