"""vecpress beside faiss in one run: recall at equal bytes, scan speed at equal bytes, memory while searching.

    python -m bench.peers --data FOLDER [--only recall speed memory] [-o results.json]

FOLDER holds medquad_minilm and sift_photos_us, each with base.npy, queries.npy (and train.npy); without it, recall is skipped.
Rules: exhaustive scans, exact ground truth, ties counted as found, three seeds, paired bootstrap intervals over queries; speed by
alternating the two, medians, one thread, working sets in and out of the cache. faiss gets the same training vectors.
"""

from __future__ import annotations

import argparse
import datetime
import functools
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
from vecpress.cli.machine import cpu_name

SEEDS = (0, 1, 2)
ROUNDS = 15
MEDQUAD_FIGURES = slice(300, 1000)  # its questions 0..299 are free for development, figures come from the others


# ---- recall


def found_share(found: np.ndarray, q: np.ndarray, x: np.ndarray, metric: str, bars: np.ndarray) -> np.ndarray:
    """Per query, the share of the found that are as near as the k-th true neighbour: recall with ties counted, float64[nq]."""
    hits = np.empty(len(q))
    for i, ids in enumerate(found):
        near = x[ids].astype(np.float64) @ q[i].astype(np.float64)
        if metric == "l2":
            near = -((x[ids].astype(np.float64) - q[i]) ** 2).sum(axis=1)
        hits[i] = (near >= bars[i] - 1e-6 * max(1.0, abs(bars[i]))).mean()
    return hits


def faiss_search(d: int, m: int, n_bits: int, metric: str, fast: bool, seed: int, train, base, queries) -> np.ndarray:
    import faiss

    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexPQFastScan(d, m, n_bits, kind) if fast else faiss.IndexPQ(d, m, n_bits, kind)
    index.pq.cp.seed = 1234 + seed  # 1234 is faiss's own default
    index.train(train)
    index.add(base)
    return index.search(queries, 10)[1]


def compare_recall(data: Path) -> list[dict[str, Any]]:
    """Recall 10@10 of PQ and faiss's at equal bytes."""
    rng = np.random.default_rng(0)
    rows = []
    cases = [
        ("medquad_minilm", "ip", 48, 8, False),
        ("medquad_minilm", "ip", 96, 4, True),
        ("sift_photos_us", "l2", 16, 8, False),
    ]
    for name, metric, m, n_bits, fast in cases:
        base = np.load(data / name / "base.npy").astype(np.float32)
        queries = np.load(data / name / "queries.npy").astype(np.float32)
        queries = queries[MEDQUAD_FIGURES] if name == "medquad_minilm" else queries
        train_file = data / name / "train.npy"
        train = np.load(train_file).astype(np.float32) if train_file.exists() else base
        bars = vp.exact(queries, base, 10, metric)[0][:, -1].astype(np.float64)
        bars = -bars if metric == "l2" else bars
        ours, peers, seconds = [], [], []
        for seed in SEEDS:
            start = time.perf_counter()
            index = vp.Index(vp.PQ(m, n_bits, metric=metric, seed=seed).fit(train))
            seconds.append(time.perf_counter() - start)
            index.add(base)
            ours.append(found_share(index.search(queries, 10)[1], queries, base, metric, bars))
            peer = faiss_search(base.shape[1], m, n_bits, metric, fast, seed, train, base, queries)
            peers.append(found_share(peer, queries, base, metric, bars))
        gain = np.mean(ours, axis=0) - np.mean(peers, axis=0)  # per query
        samples = gain[rng.integers(0, len(gain), (2000, len(gain)))].mean(axis=1)
        rows.append(
            {
                "set": name, "codec": f"PQ(m={m}, n_bits={n_bits}, metric={metric!r})", "code_bytes": index.codec.code_size,
                "recall": [float(r.mean()) for r in ours], "fit_seconds": statistics.median(seconds),
                "peer": "IndexPQFastScan" if fast else "IndexPQ", "peer_recall": [float(r.mean()) for r in peers],
                "difference": float(gain.mean()),
                "difference_95": [float(v) for v in np.quantile(samples, (0.025, 0.975))],
            }
        )  # fmt: skip
    return rows


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
    parser.add_argument("--only", nargs="+", choices=("recall", "speed", "memory"), default=("recall", "speed", "memory"))
    parser.add_argument("-o", "--output", type=Path, help="write one JSON object here")
    arguments = parser.parse_args()
    import faiss

    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "commit": commit(),
        "load_before": os.getloadavg()[0], "cpu": cpu_name(), "cpus": os.cpu_count(), "backends": vp.backends(),
        "versions": {"vecpress": vp.__version__, "numpy": np.__version__, "faiss": faiss.__version__},
    }  # fmt: skip
    if "recall" in arguments.only and arguments.data:
        result["recall"] = compare_recall(arguments.data)
        for r in result["recall"]:
            ours, peer = statistics.mean(r["recall"]), statistics.mean(r["peer_recall"])
            low, high = r["difference_95"]
            print(f"{r['set']:15s} {r['codec']:34s} {ours:.4f} (worst {min(r['recall']):.4f})  {r['peer']:15s} {peer:.4f}  "
                  f"difference {r['difference']:+.4f} [{low:+.4f}, {high:+.4f}]")  # fmt: skip
    if "speed" in arguments.only:
        result["speed"] = compare_speed()
        for r in result["speed"]:
            print(
                f"{r['op']:8s} n={r['n']:<9,d} nq={r['queries']:<4d} k={r['k']:<4d} {r['milliseconds']:9.3f} ms"
                f"  {r['peer']:16s} {r['peer_milliseconds']:9.3f} ms  ratio {r['speed_ratio']:6.2f}"
                f"  {r['code_GB_per_s']:6.1f} GB/s, read loop {r['read_loop_GB_per_s']:.1f}"
            )
    if "memory" in arguments.only:
        result["memory"] = compare_memory()
        print(result["memory"])
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
