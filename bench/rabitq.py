"""RaBitQ beside faiss's: how fast vectors are encoded, and how often the error stays below its bound.

    python -m bench.rabitq DATA         DATA: the folder of medquad_minilm and sift_photos_us

Encoding: one thread each, runs in turn, medians; ours with centring and rotation, faiss with neither, and with a rotation.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import vecpress as vp

from .recall import METRICS, load

WIDTHS = range(1, 9)
ROUNDS, ROWS = 7, 1000
SEEDS, PAIRS = 20, 10**6  # of the bound


def encode_speed(d: int, n_bits: int) -> dict[str, float]:
    """Microseconds a vector: ours, faiss without and with a rotation."""
    import faiss

    faiss.omp_set_num_threads(1)
    x = np.random.default_rng(0).standard_normal((ROWS, d), dtype=np.float32)
    codec = vp.RaBitQ(n_bits, metric="l2").fit(x)
    plain = faiss.IndexRaBitQ(d, faiss.METRIC_L2, n_bits)
    turned = faiss.IndexPreTransform(faiss.RandomRotationMatrix(d, d), faiss.IndexRaBitQ(d, faiss.METRIC_L2, n_bits))
    for index in (plain, turned):
        index.train(x)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: codec.encode(x, num_threads=1),
        "faiss": lambda: plain.sa_encode(x),
        "faiss, rotated": lambda: turned.sa_encode(x),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e6 * (time.perf_counter() - start) / ROWS)
    return {name: statistics.median(values) for name, values in times.items()}


def bound(data: Path, name: str, n_bits: int, factors: str) -> tuple[int, float, float, float]:
    """Of pairs of a query and a vector, drawn anew for each rotation: how many there are, the share within the bound, and the
    mean error in units of the bound's standard error, with its own standard error over rotations."""
    s = load(data / name, METRICS[name])
    nq = min(len(s.queries), 100)
    shares, means = [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        q = s.queries[rng.choice(len(s.queries), nq, replace=False)].astype(np.float64)
        x = s.base[rng.choice(len(s.base), PAIRS // SEEDS // nq, replace=False)].astype(np.float64)
        codec = vp.RaBitQ(n_bits, metric=s.metric, factors=factors, seed=seed).fit(s.train)
        estimates, bounds = codec.estimate(codec.encode(x), q, epsilon=1.9)
        exact = q @ x.T if s.metric == "ip" else ((q[:, None] - x) ** 2).sum(axis=2)
        error = estimates - exact
        shares.append(float((np.abs(error) <= bounds).mean()))
        means.append(float((error / (bounds / 1.9)).mean()))
    return SEEDS * nq * len(x), statistics.mean(shares), statistics.mean(means), statistics.stdev(means) / SEEDS**0.5


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    for d in (384, 768):
        for n_bits in WIDTHS:
            took = encode_speed(d, n_bits)
            ratio = took["faiss"] / took["ours"]
            print(f"encode d={d} n_bits={n_bits}", *(f"{k} {v:.2f} us" for k, v in took.items()), f"ratio {ratio:.1f}", sep="  ")
    for name in METRICS:
        for n_bits in (1, 4, 8):
            for factors in ("u2", "f4"):
                pairs, share, mean, error = bound(data, name, n_bits, factors)
                print(f"bound {name} n_bits={n_bits} {factors}: {share:.4f} of {pairs} pairs, mean {mean:+.4f} +- {error:.4f}")


if __name__ == "__main__":
    main()
