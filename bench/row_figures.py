"""Sections of `bench.kernels` that are no scans: encoders, k-means, matrix products, and short calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import vecpress as vp
from vecpress import ops

from . import limits
from .figures import Figure, in_turns, peer_library


def rows() -> Iterator[Figure]:
    """Encoders, k-means and matrix products."""
    fa = peer_library()
    rng = np.random.default_rng(0)
    sgemm = limits.sgemm_rate()
    x = rng.standard_normal((10_000, 384), dtype=np.float32)
    for m, n_bits in ((48, 8), (96, 8), (96, 4)):
        codec = vp.PQ(m=m, n_bits=n_bits).fit(x)
        pq = fa.ProductQuantizer(384, m, n_bits)
        fa.copy_array_to_vector(codec.codebooks_.ravel(), pq.centroids)
        ours, theirs = in_turns(partial(codec.encode, x[:2000], num_threads=1), partial(pq.compute_codes, x[:2000]))
        yield Figure(
            "rows", "PQ encode", f"m={m}, {n_bits} bits", "faiss ProductQuantizer", theirs / ours, 2.0, {"us": 1e6 * ours / 2000}
        )
    for d, k in ((384, 1024), (128, 4096), (8, 256)):
        points, centroids = rng.standard_normal((20_000, d), dtype=np.float32), rng.standard_normal((k, d), dtype=np.float32)
        [seconds] = in_turns(partial(ops.assign, points, centroids, num_threads=1), rounds=5)
        yield Figure("rows", "k-means assign", f"d={d}, k={k}", "sgemm", 20_000 * d * k / seconds / sgemm, 0.85)
    from vecpress.kmeans import kmeans

    for d, k, n in ((8, 256, 60_000), (128, 1024, 60_000)):
        points = rng.standard_normal((n, d), dtype=np.float32)
        trained: dict[str, Any] = {}

        def ours_trains(points=points, k=k, trained=trained):
            trained["ours"] = kmeans(points, k, seed=0, num_threads=1)[0]

        def faiss_trains(points=points, k=k, d=d, trained=trained):
            km = fa.Kmeans(d, k, niter=25, seed=1, max_points_per_centroid=10**6)
            km.train(points)
            trained["faiss"] = km.centroids

        ours, theirs = in_turns(ours_trains, faiss_trains, rounds=3)
        objective = []
        for centroids in (np.asarray(trained["ours"]).reshape(k, d), trained["faiss"].reshape(k, d)):
            objective.append(float(np.mean(ops.assign(points, np.ascontiguousarray(centroids))[1])))
        more = {"objective_over_faiss": objective[0] / objective[1], "s": ours}
        yield Figure("rows", "k-means train", f"d={d}, k={k}, n={n}", "faiss Kmeans, 25 rounds", theirs / ours, 1.0, more)
    for d in (384, 768):
        rows_, matrix = rng.standard_normal((4096, d), dtype=np.float32), rng.standard_normal((d, d), dtype=np.float32)
        [seconds] = in_turns(partial(ops.project, rows_, matrix, num_threads=1), rounds=5)
        yield Figure("rows", "project", f"d={d}", "sgemm", 4096 * d * d / seconds / sgemm, 0.8)
    large = rng.standard_normal((100_000, 384), dtype=np.float32)
    read = limits.read_rate(limits.DRAM_BYTES, passes=1)
    for codec in (vp.Sign(), vp.SQ(8), vp.SQ(4)):
        codec.fit(large[:5000])
        [seconds] = in_turns(partial(codec.encode, large, num_threads=1), rounds=7)
        yield Figure(
            "rows",
            f"{type(codec).__name__} encode",
            f"{codec!r}, 100,000 x 384 floats",
            "reading the floats",
            large.nbytes / seconds / read,
            0.7,
        )
    for n_bits in range(2, 9):
        peer = fa.IndexRaBitQ(384, fa.METRIC_L2, n_bits)
        peer.train(x[:1000])
        for codec in (vp.RaBitQ(n_bits, metric="l2"), vp.LloydMax(n_bits, metric="l2")):
            codec.fit(x)
            ours, theirs = in_turns(partial(codec.encode, x[:500], num_threads=1), partial(peer.sa_encode, x[:500]), rounds=5)
            what = f"{type(codec).__name__} encode"
            yield Figure("rows", what, f"{n_bits} bits", "faiss IndexRaBitQ", theirs / ours, 5.0)


def overhead() -> Iterator[Figure]:
    """Short calls, Python included: seconds aimed at by seconds taken."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12_000, 384), dtype=np.float32)
    q = x[:1].copy()
    for codec in (vp.PQ(m=48), vp.Sign()):
        index = vp.Index(codec.fit(x))
        index.add(x[:1000])
        for threads in (1, None):
            [seconds] = in_turns(partial(index.search, q, 10, num_threads=threads), rounds=25)
            what = f"one query, 1,000 rows, {threads or 'all'} threads"
            yield Figure("overhead", type(codec).__name__, what, "30 us", 30e-6 / seconds, 1.0, {"us": 1e6 * seconds})
        index.add(x)
        adds, removes = [], []
        for i in range(2000):
            row = x[i : i + 1]
            start = time.perf_counter()
            index.add(row)
            adds.append(time.perf_counter() - start)
        for i in range(2000):
            start = time.perf_counter()
            index.remove(13_000 + i)
            removes.append(time.perf_counter() - start)
        add, remove = statistics.median(adds), statistics.median(removes)
        yield Figure("overhead", type(codec).__name__, "add one vector", "20 us", 20e-6 / add, 1.0, {"us": 1e6 * add})
        yield Figure("overhead", type(codec).__name__, "remove one vector", "3 us", 3e-6 / remove, 1.0, {"us": 1e6 * remove})
