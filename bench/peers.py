"""vecpress beside its peers in one run: recall at equal bytes (bench/recall.py), reranking, memory while searching.

    python -m bench.peers --data FOLDER [--only recall rerank memory] [-o results.json]

FOLDER holds medquad_minilm and sift_photos_us, each with base.npy, queries.npy (and train.npy); without it, recall is skipped.
Parts that are not run stay as they are in the results file. Speed beside peers: `python -m bench.kernels`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from bench.readme_table import commit
from bench.recall import compare_recall, compare_rerank
from vecpress.cli.machine import cpu_name

PARTS = ("recall", "rerank", "memory")


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
        "memory": compare_memory,
    }  # fmt: skip
    for part in PARTS:
        if part not in arguments.only or (part in ("recall", "rerank") and not arguments.data):
            continue
        result["load_before"][part], result["commit"][part] = round(os.getloadavg()[0], 2), commit()
        result[part] = measurements[part]()
        if part == "memory":
            print(result[part])
        if arguments.output:
            arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
