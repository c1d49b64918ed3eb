"""vecpress beside its peers in one run: recall (bench/recall.py) and scan speed at equal bytes, memory while searching.

    python -m bench.peers --data FOLDER [--only recall rerank speed memory] [-o results.json]

FOLDER holds medquad_minilm and sift_photos_us, each with base.npy, queries.npy (and train.npy); without it, recall is skipped.
Speed by alternating the two, medians, one thread, working sets in and out of the cache. Parts that are not run stay
as they are in the results file: recall may be measured on a busy machine, speed may not.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads of the peer must not spin beside our measurements

import numpy as np

import vecpress as vp
from bench import limits
from bench.readme_table import commit
from bench.recall import compare_recall, compare_rerank
from vecpress.cli.machine import cpu_name

ROUNDS = 15
PARTS = ("recall", "rerank", "speed", "memory")


# ---- speed


def alternate(ours, peer) -> tuple[float, float]:
    """Median seconds of both, called in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for call in (ours, peer):
        call()
    for _ in range(ROUNDS):
        for call, into in ((ours, times[0]), (peer, times[1])):
            start = time.perf_counter()
            call()
            into.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def matched(op: str, codes: np.ndarray, rng: np.random.Generator) -> tuple[vp.Index, Any, Any]:
    """An index of ours and one of faiss over the same codes and codebooks, and a function that makes queries for both."""
    import faiss

    n, size = codes.shape
    d = 8 * size
    if op == "hamming":
        codec = vp.Sign.restore({"metric": "l2"}, d, {"mean_": np.zeros(d, np.float32), "level_": np.ones(1, np.float32)})
        peer = faiss.IndexBinaryFlat(d)
        peer.add(codes)

        def queries(nq):
            bits = rng.integers(0, 256, (nq, size), dtype=np.uint8)
            return np.unpackbits(bits, axis=1) * np.float32(2) - 1, bits
    else:
        m, bits = (2 * size, 4) if op == "lut4" else (size, 8)
        codebooks = rng.standard_normal((m, 1 << bits, d // m)).astype(np.float32)
        codec = vp.PQ.restore({"m": m, "n_bits": bits}, d, {"codebooks_": codebooks})
        peer = faiss.IndexPQ(d, m, bits, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(codebooks.ravel(), peer.pq.centroids)
        faiss.copy_array_to_vector(codes.ravel(), peer.codes)
        peer.is_trained, peer.ntotal = True, n
        peer = faiss.IndexPQFastScan(peer) if op == "lut4" else peer

        def queries(nq):
            both = rng.standard_normal((nq, d)).astype(np.float32)
            return both, both

    index = vp.Index(codec)
    index.add_codes(codes)
    return index, peer, queries


def compare_speed() -> list[dict[str, Any]]:
    """Whole search calls on both sides, from float queries (IndexBinaryFlat: packed bits) to ids, at equal bytes, one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    read = {100_000: limits.read_rate(4 << 20), 1_000_000: limits.read_rate(limits.DRAM_BYTES, passes=2)}
    rows = []
    for op, size in (("hamming", 64), ("lut4", 48), ("lut8", 48)):
        for n in (100_000, 1_000_000):
            index, peer, make_queries = matched(op, rng.integers(0, 256, (n, size), dtype=np.uint8), rng)
            for nq in (1, 100 if n == 100_000 else 20):
                q, peer_q = make_queries(nq)
                for k in (10, 100):
                    ours, theirs = alternate(
                        functools.partial(index.search, q, k, symmetric=op == "hamming", num_threads=1),
                        functools.partial(peer.search, peer_q, k),
                    )
                    rows.append(
                        {
                            "op": op, "n": n, "code_bytes": size, "queries": nq, "k": k, "working_set_MB": n * size / 1e6,
                            "milliseconds": ours * 1e3, "peer": type(peer).__name__, "peer_milliseconds": theirs * 1e3,
                            "speed_ratio": theirs / ours, "code_GB_per_s": n * size * nq / ours / 1e9,
                            "read_loop_GB_per_s": read[n] / 1e9,
                        }
                    )  # fmt: skip
    return rows


# ---- memory

MEMORY = """
import os, resource, sys, time
import numpy as np, vecpress as vp
n, size = 1_000_000, 64
rng = np.random.default_rng(0)
codec = vp.PQ(size).fit(rng.standard_normal((10_000, size), dtype=np.float32))
codec.encode(rng.standard_normal((100, size), dtype=np.float32))
index = vp.Index(codec)
codec_only = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
for start in range(0, n, 100_000):
    index.add_codes(rng.integers(0, 256, (100_000, size), dtype=np.uint8))
path = sys.argv[1]
queries = rng.standard_normal((100, size), dtype=np.float32)
with open("/proc/self/clear_refs", "w") as reset:
    reset.write("5")  # the peak counts from here
index.search(queries, k=10)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
index.save(path)
times = []
for _ in range(9):
    start = time.perf_counter(); mapped = vp.load(path, mmap=True); times.append(time.perf_counter() - start)
wanted = index.search(queries, k=10)
got = mapped.search(queries, k=10)
print((peak - before) / (n * size), index.nbytes / (n * size), sorted(times)[4] * 1e3,
      all((a == b).all() for a, b in zip(got, wanted)))
"""


def compare_memory() -> dict[str, Any]:
    """Peak memory of searching 1,000,000 random codes of 64 bytes, over the codes, and a mapped load, in a fresh process."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEMORY, str(Path(folder) / "index.vpz")]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {
        "peak_over_codes": float(out[0]), "held_over_codes": float(out[1]), "mmap_load_milliseconds": float(out[2]),
        "mapped_search_equal": out[3] == "True",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the sets")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("-o", "--output", type=Path, help="write one JSON object here")
    arguments = parser.parse_args()
    import faiss

    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "commit": {}, "load_before": {},
        "cpu": cpu_name(), "cpus": os.cpu_count(), "backends": vp.backends(),
        "versions": {
            "vecpress": vp.__version__, "numpy": np.__version__, "faiss": faiss.__version__,
            "turbovec": importlib.metadata.version("turbovec"),
        },
    }  # fmt: skip
    if arguments.output and arguments.output.exists():
        before = json.loads(arguments.output.read_text())
        result |= {name: before[name] for name in (*PARTS, "commit", "load_before") if name in before}
    measurements = {
        "recall": lambda: compare_recall(arguments.data), "rerank": lambda: compare_rerank(arguments.data),
        "speed": compare_speed, "memory": compare_memory,
    }  # fmt: skip
    for part in PARTS:
        if part not in arguments.only or (part in ("recall", "rerank") and not arguments.data):
            continue
        result["load_before"][part], result["commit"][part] = round(os.getloadavg()[0], 2), commit()
        result[part] = measurements[part]()
        if part == "speed":
            print_speed(result[part])
        elif part == "memory":
            print(result[part])
        if arguments.output:
            arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def print_speed(rows: list[dict[str, Any]]) -> None:
    """One line a row."""
    for r in rows:
        print(
            f"{r['op']:8s} n={r['n']:<9,d} nq={r['queries']:<4d} k={r['k']:<4d} {r['milliseconds']:9.3f} ms"
            f"  {r['peer']:16s} {r['peer_milliseconds']:9.3f} ms  ratio {r['speed_ratio']:6.2f}"
            f"  {r['code_GB_per_s']:6.1f} GB/s, read loop {r['read_loop_GB_per_s']:.1f}"
        )


if __name__ == "__main__":
    main()
