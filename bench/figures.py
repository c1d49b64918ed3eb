"""A ratio of two times measured in turns: what `bench.kernels` is made of."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import vecpress as vp

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before a peer is imported
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROUNDS = 9
LEAST_SECONDS = 4e-3  # of what is timed at once: shorter calls are repeated
Call = Callable[[], Any]


@dataclass(frozen=True)
class Figure:
    """One ratio.

    work, shape : what was done; beside : with what it is compared; need : what is aimed at, None where nothing is
    """

    section: str
    work: str
    shape: str
    beside: str
    ratio: float
    need: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        return None if self.need is None else self.ratio >= self.need

    def line(self) -> str:
        need = "" if self.need is None else f"{'  ' if self.met else '!!'} of {self.need:g}"
        more = "  ".join(f"{name} {value:.4g}" for name, value in self.more.items())
        return f"{self.section:9s} {self.work:18s} {self.shape:34s} {self.ratio:8.2f} {need:9s} {self.beside:34s} {more}"


def in_turns(*calls: Call, rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each, called A B A B ...; calls below LEAST_SECONDS are repeated within a turn."""
    repeats = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        repeats.append(max(1, round(LEAST_SECONDS / max(time.perf_counter() - start, 1e-7))))
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, repeat, into in zip(calls, repeats, times, strict=True):
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            into.append((time.perf_counter() - start) / repeat)
    return [statistics.median(values) for values in times]


def peer_library() -> Any:
    """faiss, on one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss


def matched(op: str, codes: np.ndarray, rng: np.random.Generator) -> tuple[vp.Index, Any, Any]:
    """An index of ours and one of faiss over the same codes and codebooks, and a function that makes queries for both."""
    faiss = peer_library()
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
