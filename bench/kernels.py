"""The kernels beside their limits and their peers: one figure for everything that is to be fast, in one run.

    python -m bench.kernels [--only batches topk] [--data FOLDER] [-o bench/results/kernels-MACHINE.json]

Each figure is a ratio of two times or rates that were measured in turns, medians, on one thread unless it says otherwise: to a
peer on the same codes, or to a limit of the machine (bench/limits.py) of the same run. `need` is what is aimed at. Sections that
are not run stay as they are in the file. Compare nothing that was measured beside other work: `load` says what that was.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress import ops
from vecpress.cli.machine import cpu_name
from vecpress.ops import Blocks

from . import limits, load
from .figures import Call, Figure, in_turns, matched
from .plugins._common import padded
from .readme_table import commit
from .row_figures import overhead, rows

BEYOND_CACHE = max(256 << 20, 2 * limits.last_level_cache())  # bytes of code; most last-level caches are far smaller

# ---- scans: (operation, code bytes, how its operand is made)


@dataclass(frozen=True)
class Shape:
    """A scan at d = 384 over random codes.

    budget, avx2_budget : cycles for 64 bytes of code and a query, by the kernel's README: of one with AVX-512, of a batch with
        AVX2; None where it does not
    """

    op: str
    size: int
    n_bits: int = 0
    budget: float | None = None
    avx2_budget: float | None = None

    @property
    def name(self) -> str:
        return f"{self.op} {self.n_bits} bits" if self.n_bits else self.op

    def operand(self, rng: np.random.Generator, nq: int) -> np.ndarray:
        if self.op == "hamming":
            return rng.integers(0, 256, (nq, self.size), dtype=np.uint8)
        if self.op == "dot":
            return rng.standard_normal((nq, 8 * self.size // self.n_bits), dtype=np.float32)
        m, entries = (2 * self.size, 16) if self.op == "lut4" else (self.size, 256)
        return rng.standard_normal((nq, m, entries), dtype=np.float32)

    def best_code(self, operand: np.ndarray) -> np.ndarray:
        """uint8[size]: the code that scores highest for the first query of `operand`."""
        if self.op == "hamming":
            return operand[0]
        if self.op == "dot":
            return ops.pack_codes(((operand[:1] > 0) * (2**self.n_bits - 1)).astype(np.uint8), self.n_bits)[0]
        labels = operand[0].argmax(axis=1).astype(np.uint8)
        return labels if self.op == "lut8" else labels[::2] | labels[1::2] << 4

    def call(self, blocks: Blocks, operand: np.ndarray, k: int = 10, threads: int = 1, allow: Any = None) -> Call:
        options = {"n_bits": self.n_bits} if self.n_bits else {}
        return partial(getattr(ops, self.op), blocks, operand, k, allow=allow, num_threads=threads, **options)

    def blocks(self, rng: np.random.Generator, n: int) -> Blocks:
        made = Blocks.pack(rng.integers(0, 256, (min(n, 1 << 18), self.size), dtype=np.uint8))
        if n > 1 << 18:
            made.data = np.concatenate([made.data] * -(-n >> 18))[: n // 64]
            made.n = len(made.data) * 64
        return made


SCANS = (
    Shape("hamming", 48, budget=1.6, avx2_budget=5.3),
    Shape("lut4", 48, budget=4.0, avx2_budget=4.3),
    Shape("dot", 48, 1, budget=4.0),
    Shape("dot", 96, 2, budget=4.0),
    Shape("dot", 192, 4, budget=4.0, avx2_budget=4.0),
    Shape("lut8", 48, budget=3.0, avx2_budget=23.0),
)


def cache_rate(shape: Shape, rng: np.random.Generator) -> float:
    """Bytes per second of one query over codes in the L2 cache, the cost of the call taken off.

    The first block holds the best codes there can be, so that no other row passes: among so few rows survivors would cost more
    than the scan, which they do not where codes fill the memory.
    """
    operand = shape.operand(rng, 1)
    best = np.tile(shape.best_code(operand), (64, 1))
    few, many = (
        np.concatenate([best, rng.integers(0, 256, (nbytes // shape.size, shape.size), dtype=np.uint8)])
        for nbytes in (64 << 10, 448 << 10)
    )
    short, long = in_turns(*(shape.call(Blocks.pack(codes), operand) for codes in (few, many)), rounds=25)
    return (len(many) - len(few)) * shape.size / max(long - short, 1e-9)


def stream() -> Iterator[Figure]:
    """One query over codes beyond the caches: to the slower of the read loop and the kernel's own rate from L2; with AVX2 to the
    read loop. And that own rate to the slower of the instruction budget and a read loop from L2."""
    rng = np.random.default_rng(0)
    size = limits.DRAM_BYTES
    permute = limits.instruction_rate("permute_avx512", 64)  # 64 bytes a cycle where a look-up takes one
    cached = limits.read_rate(limits.L2_BYTES)
    for shape in SCANS:
        for isa in ("avx512", "avx2"):
            if vp.backends().get(isa) != "ok":
                continue
            with vp.use(isa):
                blocks = shape.blocks(rng, BEYOND_CACHE // shape.size)
                own = cache_rate(shape, rng)
                call = shape.call(blocks, shape.operand(rng, 1))
                [seconds] = in_turns(call, rounds=7)
                rate, read = blocks.n * shape.size / seconds, limits.read_rate(size, passes=1)
                more = {"GB_per_s": rate / 1e9, "read_loop": read / 1e9, "own_from_L2": own / 1e9}
                beside, of, need = "min(read loop, own L2 rate)", min(read, own), 0.9
                if isa == "avx2":
                    beside, of, need = "read loop", read, 0.85
                yield Figure(
                    "stream", shape.name, f"one query, {isa}", beside, rate / of, None if shape.op == "lut8" else need, more
                )
                if isa == "avx512" and shape.budget and permute:
                    budget = permute / shape.budget
                    more = {"GB_per_s": own / 1e9, "budget": budget / 1e9, "read_loop_from_L2": cached / 1e9}
                    beside = "min(instruction budget, read loop from L2)"
                    yield Figure("stream", shape.name, "one query, from L2", beside, own / min(budget, cached), 0.8, more)
                del blocks


def stream_peers() -> Iterator[Figure]:
    """The same beside peers on the same codes."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (max(144_000_000, 2 * limits.last_level_cache()) // 48, 48), dtype=np.uint8)
    shape = f"one query, {codes.nbytes // 10**6} MB"
    for op in ("hamming", "lut4", "lut8"):
        index, peer, queries = matched(op, codes, rng)
        ours_q, peer_q = queries(1)
        for k in (10, 100):
            search = partial(index.search, ours_q, k, symmetric=op == "hamming", num_threads=1)
            ours, theirs = in_turns(search, partial(peer.search, peer_q, k))
            need = 8.0 if op == "lut8" else 1.0
            yield Figure("stream", op, f"{shape}, k={k}", type(peer).__name__, theirs / ours, need, {"ms": 1e3 * ours})
            if op == "hamming":
                [theirs, ours] = in_turns(usearch_hamming(index.codes(index.ids), peer_q, k), search)
                yield Figure("stream", op, f"{shape}, k={k}", "usearch, exact", theirs / ours, 1.0)
    yield from stream_turbovec()


def usearch_hamming(codes: np.ndarray, bits: np.ndarray, k: int) -> Call:
    from usearch.index import MetricKind, ScalarKind, search

    return partial(search, codes, bits, k, MetricKind.Hamming, exact=True, threads=1, dtype=ScalarKind.B1)


def stream_turbovec() -> Iterator[Figure]:
    """`dot` beside turbovec, one query over 600,000 white vectors of 384 dimensions: 58 and 115 MB."""
    from turbovec import TurboQuantIndex

    rng = np.random.default_rng(0)
    base = rng.standard_normal((600_000, 384), dtype=np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    q = rng.standard_normal((1, 384), dtype=np.float32)
    for n_bits in (2, 4):
        index = vp.Index(vp.LloydMax(n_bits, metric="ip").fit(base[:5000]))
        index.add(base)
        peer = TurboQuantIndex(384, n_bits)
        peer.calibrate(base[:1024])
        peer.add(base)
        for k in (10, 100):
            ours, theirs = in_turns(partial(index.search, q, k, num_threads=1), partial(peer.search, q, k), rounds=7)
            yield Figure("stream", f"dot {n_bits} bits", f"one query, k={k}", "turbovec", theirs / ours, 1.0, {"ms": 1e3 * ours})


def batches() -> Iterator[Figure]:
    """Batches beside faiss on the same codes."""
    rng = np.random.default_rng(0)
    for op, sizes, nqs, need in (
        ("hamming", (32, 64, 128), (100, 1000), 2.0), ("lut4", (48,), (1, 100, 1000), 1.5), ("lut8", (48,), (1, 100), 8.0),
    ):  # fmt: skip
        for size in sizes:
            index, peer, queries = matched(op, rng.integers(0, 256, (100_000, size), dtype=np.uint8), rng)
            for nq in nqs:
                ours_q, peer_q = queries(nq)
                for k in (10, 100):
                    search = partial(index.search, ours_q, k, symmetric=op == "hamming", num_threads=1)
                    ours, theirs = in_turns(search, partial(peer.search, peer_q, k), rounds=7)
                    more = {"ms": 1e3 * ours, "GB_per_s": 100_000 * size * nq / ours / 1e9}
                    shape = f"{size} bytes, {nq} queries, k={k}"
                    yield Figure(
                        "batches", op, shape, type(peer).__name__, theirs / ours, need if nq > 1 or op == "lut8" else 1.0, more
                    )
            if op == "lut8":
                with vp.use("avx2"):
                    for nq in (1, 20):
                        ours_q, peer_q = queries(nq)
                        ours, theirs = in_turns(
                            partial(index.search, ours_q, 10, num_threads=1), partial(peer.search, peer_q, 10)
                        )
                        yield Figure(
                            "batches", "lut8 avx2", f"{size} bytes, {nq} queries, k=10", type(peer).__name__, theirs / ours, 2.0
                        )
    yield from avx2_batches()


def avx2_batches() -> Iterator[Figure]:
    """With AVX2, to the instruction budget."""
    rng = np.random.default_rng(0)
    cycle = limits.instruction_rate("permute_avx512", 64)
    if not cycle or vp.backends().get("avx2") != "ok":
        return
    for shape in SCANS:
        if shape.avx2_budget:
            blocks = shape.blocks(rng, 100_000)
            with vp.use("avx2"):
                [seconds] = in_turns(shape.call(blocks, shape.operand(rng, 64)), rounds=5)
            rate, budget = 64 * blocks.n * shape.size / seconds, cycle / shape.avx2_budget
            more = {"GB_per_s": rate / 1e9, "budget": budget / 1e9}
            yield Figure("batches", f"{shape.name} avx2", "64 queries, k=10", "instruction budget", rate / budget, 0.8, more)


def products(data: Path | None) -> Iterator[Figure]:
    """`dot` in batches: to the peak of byte multiply-accumulates, and to turbovec at its recall."""
    from turbovec import TurboQuantIndex

    rng = np.random.default_rng(0)
    peak = limits.measure()["int8_mac"]
    sets: list[tuple[str, np.ndarray, np.ndarray]] = []
    if data:
        from .recall import METRICS
        from .recall import load as load_set

        real = load_set(data / "medquad_minilm", METRICS["medquad_minilm"])
        base = np.concatenate([real.base] * -(-100_000 // len(real.base)))[:100_000].astype(np.float32)
        base += 1e-3 * rng.standard_normal(base.shape, dtype=np.float32)  # no two alike
        sets.append(("medquad, repeated with noise, d=384", base, np.ascontiguousarray(real.queries[:100], np.float32)))
    for d in (384, 768, 1536):
        x = rng.standard_normal((100_000 + 100, d), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        sets.append((f"gaussian d={d}", x[100:], x[:100]))
    for name, base, q in sets:
        d = base.shape[1]
        true = np.argpartition(-(q @ base.T), 10, axis=1)[:, :10]
        for n_bits, need in ((4, 1.0), (2, 1.2)):
            index = vp.Index(vp.LloydMax(n_bits, metric="ip").fit(base[:5000]))
            index.add(base)
            peer = TurboQuantIndex(d, n_bits)
            peer.calibrate(base[:1024])
            peer.add(base)
            for k in (10, 100):
                ours, theirs = in_turns(partial(index.search, q, k, num_threads=1), partial(peer.search, q, k), rounds=7)
                more = {
                    "G_dims_per_s": len(q) * base.size / ours / 1e9,
                    "peer_G_dims_per_s": len(q) * base.size / theirs / 1e9,
                    "recall": vp.recall(index.search(q, k)[1][:, :10], true, 10),
                    "peer_recall": vp.recall(padded(peer.search(q, k)[1], k)[:, :10], true, 10),
                }
                shape = f"{name}, {n_bits} bits, k={k}"
                yield Figure("products", "dot", shape, "turbovec", theirs / ours, need, more)
                if n_bits == 4 and k == 10 and isinstance(peak, float):
                    rate = len(q) * base.size / ours / peak
                    yield Figure("products", "dot", shape, "byte multiply-accumulates", rate, 0.8)


def topk() -> Iterator[Figure]:
    """What a larger k costs."""
    rng = np.random.default_rng(0)
    for shape in SCANS:
        blocks = shape.blocks(rng, 200_000)
        for nq in (1, 64):
            operand = shape.operand(rng, nq)
            ten, hundred, thousand = in_turns(*(shape.call(blocks, operand, k) for k in (10, 100, 1000)), rounds=7)
            more = {"k=10_ms": 1e3 * ten, "k=1000": thousand / ten}
            yield Figure(
                "topk", shape.name, f"200,000 codes, {nq} queries", "k=100, share of 1.3 x k=10", 1.3 * ten / hundred, 1.0, more
            )


def filters() -> Iterator[Figure]:
    """Allow-lists, as words of 64 bits: how much faster than without one."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    runs = np.zeros(n, bool)
    half = np.zeros(n, bool)
    runs[300_000:310_000] = True
    half[300_000:800_000] = True
    scattered = {share: rng.random(n) < share for share in (0.01, 0.5)}
    for shape in SCANS:
        blocks = shape.blocks(rng, n)
        masks = [
            np.packbits(m[: blocks.n], bitorder="little").view(np.uint64) for m in (runs, half, scattered[0.01], scattered[0.5])
        ]
        for nq in (1, 64):
            operand = shape.operand(rng, nq)
            calls = [shape.call(blocks, operand, allow=m) for m in masks]
            all_rows, *some = in_turns(shape.call(blocks, operand), *calls, rounds=7)
            queries, of_runs = ("", (30, 1.8)) if nq == 1 else (f", {nq} queries", (None, None))
            names = ("1 % in a run", "50 % in a run", "1 % scattered", "50 % scattered")
            for name, seconds, need in zip(names, some, (*of_runs, 3, 1 / 1.1), strict=True):
                what = f"1,000,000 codes, {name}{queries}"
                yield Figure("filters", shape.name, what, "no allow-list", all_rows / seconds, need)


def threads() -> Iterator[Figure]:
    """What the second thread gains, by what it gains a loop that reads, or one that multiplies."""
    rng = np.random.default_rng(0)
    isa = limits.isa()
    read, spin = getattr(limits.library(), f"read_{isa}"), getattr(limits.library(), f"int8_{isa}")
    size = 128 << 20
    buffers = [limits.library().make_buffer(size) for _ in range(2)]
    pool = ThreadPoolExecutor(2)

    def both(work: Callable[[int], Any], count: int) -> Call:
        return lambda: list(pool.map(work, range(count)))

    def reads(i: int) -> None:
        read(buffers[i], size, 4, 512, 1)

    def spins(_: int) -> None:
        spin(4_000_000)

    for shape in SCANS:
        for nq, gain_of, count in ((1, reads, BEYOND_CACHE // shape.size), (200, spins, 100_000)):
            blocks, operand = shape.blocks(rng, count), shape.operand(rng, nq)
            one, two, loop_one, loop_two = in_turns(
                shape.call(blocks, operand), shape.call(blocks, operand, threads=2), both(gain_of, 1), both(gain_of, 2), rounds=7
            )
            gain = 2 * loop_one / loop_two
            what = "a read loop's gain" if nq == 1 else "a spin's gain"
            yield Figure("threads", shape.name, f"{nq} queries", what, one / two / gain, 0.93, {"gain": one / two, "loop": gain})
    for buffer in buffers:
        limits.library().free_buffer(buffer)


SECTIONS: dict[str, Callable[..., Iterator[Figure]]] = {
    "stream": stream, "peers": stream_peers, "batches": batches, "products": products, "topk": topk, "filters": filters,
    "threads": threads, "rows": rows, "overhead": overhead,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--data", type=Path, help="folder with medquad_minilm, for the products of real embeddings")
    parser.add_argument("-o", "--output", type=Path, help="write one JSON object here, or into it the sections that were run")
    arguments = parser.parse_args()
    gc.freeze()  # as timeit does without it: what is loaded so far is not to be looked through while calls are timed
    gc.disable()
    result: dict[str, Any] = {"sections": {}}
    if arguments.output and arguments.output.exists():
        result = json.loads(arguments.output.read_text())
    result |= {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "cpu": cpu_name(), "cpus": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in ("vecpress", "numpy", "faiss-cpu", "turbovec")},
    }  # fmt: skip
    for name in arguments.only:
        before = load.Load()
        figures = []
        for figure in SECTIONS[name](arguments.data) if name == "products" else SECTIONS[name]():
            print(figure.line(), flush=True)
            figures.append(asdict(figure))
        result["sections"][name] = {"load": before.others(), "commit": commit(), "figures": figures}
        if arguments.output:
            arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
