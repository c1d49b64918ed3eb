"""Recall 10@10 of vecpress's codecs beside peers, at equal bytes: which codec meets which peer, and how they are compared.

Rules: exhaustive scans, exact ground truth, ties counted as found, three seeds, paired bootstrap intervals over queries. A peer
gets the same training vectors, and what its authors recommend: rotation, centring, calibration.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp

SEEDS = (0, 1, 2)
MEDQUAD_FIGURES = slice(300, 1000)  # its questions 0..299 are free for development, figures come from the others
K, RERANK = 10, 100


@dataclass(frozen=True)
class Sets:
    """One data set: float32 vectors, learned from `train`; `bars` float64[nq], the score of each query's K-th true neighbour."""

    name: str
    metric: str
    train: np.ndarray
    base: np.ndarray
    queries: np.ndarray
    bars: np.ndarray


@dataclass(frozen=True)
class Peer:
    """A peer: its name, the bytes a vector that it holds, and a search of the whole set with a seed, ids int64[nq, K]."""

    name: str
    code_bytes: int
    search: Callable[[Sets, int], np.ndarray]
    seeds: tuple[int, ...] = SEEDS  # fewer where it takes none


@dataclass(frozen=True)
class Case:
    """A codec of ours, by class and configuration without metric and seed, and a peer; symmetric: coded queries on both sides."""

    data: str
    codec: str
    config: dict[str, Any]
    peer: Peer
    symmetric: bool = False


def pq(m: int, n_bits: int, fast: bool = False) -> Peer:
    def search(s: Sets, seed: int) -> np.ndarray:
        import faiss

        index = (faiss.IndexPQFastScan if fast else faiss.IndexPQ)(s.base.shape[1], m, n_bits, _kind(s))
        index.pq.cp.seed = 1234 + seed  # 1234 is faiss's own default
        return _run(index, s, s.queries)

    return Peer("IndexPQFastScan" if fast else "IndexPQ", m * n_bits // 8, search)


def opq(m: int, n_bits: int) -> Peer:
    def search(s: Sets, seed: int) -> np.ndarray:
        import faiss

        return _run(faiss.index_factory(s.base.shape[1], f"OPQ{m},PQ{m}x{n_bits}", _kind(s)), s, s.queries)

    return Peer("OPQ, IndexPQ", m * n_bits // 8, search, seeds=(0,))  # minutes a run, and it takes no seed


def itq(bits: int) -> Peer:
    def search(s: Sets, seed: int) -> np.ndarray:
        import faiss

        return _run(faiss.index_factory(s.base.shape[1], f"ITQ{bits},LSH"), s, s.queries)

    return Peer("ITQ, IndexLSH", bits // 8, search, seeds=(0,))


def scalar(d: int, n_bits: int) -> Peer:
    def search(s: Sets, seed: int) -> np.ndarray:
        import faiss

        kind = {8: faiss.ScalarQuantizer.QT_8bit, 4: faiss.ScalarQuantizer.QT_4bit}[n_bits]
        return _run(faiss.IndexScalarQuantizer(s.base.shape[1], kind, _kind(s)), s, s.queries)

    return Peer("IndexScalarQuantizer", d * n_bits // 8, search, seeds=(0,))


def eden(d: int, n_bits: int) -> Peer:
    """EDEN with its unbiased scale, behind a random rotation, which it leaves to its users; 8 bytes of factors."""

    def search(s: Sets, seed: int) -> np.ndarray:
        import faiss

        rotation = faiss.RandomRotationMatrix(d, d)
        rotation.init(1234 + seed)
        return _run(faiss.IndexPreTransform(rotation, faiss.IndexEDEN(d, _kind(s), n_bits)), s, s.queries)

    return Peer("IndexEDEN", d * n_bits // 8 + 8, search)


def rabitq(d: int, n_bits: int) -> Peer:
    """faiss's RaBitQ, which centres, with float queries, behind a random rotation, which it leaves to its users; 8 bytes of
    factors, 20 from 2 bits on."""

    def search(s: Sets, seed: int) -> np.ndarray:
        import faiss

        rotation = faiss.RandomRotationMatrix(d, d)
        rotation.init(1234 + seed)
        index = faiss.IndexRaBitQ(d, _kind(s), n_bits)
        index.qb = 0
        return _run(faiss.IndexPreTransform(rotation, index), s, s.queries)

    return Peer("IndexRaBitQ", -(-d // 8) + 8 if n_bits == 1 else -(-d // 8) + 12 + -(-d * (n_bits - 1) // 8) + 8, search)


def turbovec(d: int, n_bits: int) -> Peer:
    """turbovec, calibrated on 1,024 random rows as its documentation says; 4 bytes of scale. It takes no seed but its sample."""

    def search(s: Sets, seed: int) -> np.ndarray:
        from turbovec import TurboQuantIndex

        index = TurboQuantIndex(d, n_bits)
        index.calibrate(s.train[np.random.default_rng(seed).choice(len(s.train), 1024, replace=False)])
        index.add(s.base)
        return np.asarray(index.search(s.queries, K)[1]).astype(np.int64)

    return Peer("turbovec", d * n_bits // 8 + 4, search)


MED, SIFT = "medquad_minilm", "sift_photos_us"
METRICS = {MED: "ip", SIFT: "l2"}
CASES = [
    Case(MED, "PQ", {"m": 48, "n_bits": 8}, pq(48, 8)),
    Case(MED, "PQ", {"m": 96, "n_bits": 4}, pq(96, 4, fast=True)),
    Case(SIFT, "PQ", {"m": 16, "n_bits": 8}, pq(16, 8)),
    Case(MED, "OPQ", {"m": 48, "n_bits": 8}, opq(48, 8)),
    Case(SIFT, "OPQ", {"m": 16, "n_bits": 8}, opq(16, 8)),
    Case(MED, "ITQ", {"bits": 384}, itq(384), symmetric=True),
    Case(SIFT, "ITQ", {"bits": 128}, itq(128), symmetric=True),
    *(Case(MED, "SQ", {"n_bits": b}, scalar(384, b)) for b in (8, 4)),
    *(Case(SIFT, "SQ", {"n_bits": b}, scalar(128, b)) for b in (8, 4)),
    *(Case(MED, "RaBitQ", {"n_bits": b}, rabitq(384, b)) for b in range(1, 9)),
    *(Case(SIFT, "RaBitQ", {"n_bits": b}, rabitq(128, b)) for b in range(1, 9)),
    *(Case(MED, "LloydMax", {"n_bits": b}, eden(384, b)) for b in range(1, 9)),
    *(Case(MED, "LloydMax", {"n_bits": b}, turbovec(384, b)) for b in (2, 3, 4)),
    *(Case(SIFT, "LloydMax", {"n_bits": b}, eden(128, b)) for b in range(1, 9)),
]


def compare_recall(data: Path) -> list[dict[str, Any]]:
    """Every case's recall, ours and the peer's."""
    rng = np.random.default_rng(0)
    sets = {name: load(data / name, metric) for name, metric in METRICS.items()}
    ours: dict[str, tuple[list[np.ndarray], float, int]] = {}  # one codec may meet several peers
    rows = []
    for case in CASES:
        s = sets[case.data]
        key = json.dumps([case.data, case.codec, case.config])
        if key not in ours:
            ours[key] = measure(case, s)
        shares, seconds, code_bytes = ours[key]
        peers = [found_share(case.peer.search(s, seed), s) for seed in case.peer.seeds]
        gain = np.mean(shares, axis=0) - np.mean(peers, axis=0)  # per query
        samples = gain[rng.integers(0, len(gain), (2000, len(gain)))].mean(axis=1)
        settings = ", ".join(f"{name}={value!r}" for name, value in {**case.config, "metric": s.metric}.items())
        rows.append(
            {
                "set": case.data, "codec": f"{case.codec}({settings})", "symmetric": case.symmetric, "code_bytes": code_bytes,
                "recall": [float(r.mean()) for r in shares], "fit_seconds": seconds,
                "peer": case.peer.name, "peer_bytes": case.peer.code_bytes, "peer_recall": [float(r.mean()) for r in peers],
                "difference": float(gain.mean()),
                "difference_95": [float(v) for v in np.quantile(samples, (0.025, 0.975))],
            }
        )  # fmt: skip
        print(describe(rows[-1]), flush=True)
    return rows


def describe(row: dict[str, Any]) -> str:
    """One line of a result, for people."""
    ours, peer = statistics.mean(row["recall"]), statistics.mean(row["peer_recall"])
    low, high = row["difference_95"]
    return (
        f"{row['set']:15s} {row['codec']:34s} {row['code_bytes']:4d} B {ours:.4f} (worst {min(row['recall']):.4f})  "
        f"{row['peer']:20s} {row['peer_bytes']:4d} B {peer:.4f}  difference {row['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    )


def measure(case: Case, s: Sets) -> tuple[list[np.ndarray], float, int]:
    """Our codec with every seed it takes: found shares, the median seconds of `fit`, bytes a vector."""
    shares, seconds, code_bytes = [], [], 0
    cls = vp.codec_class(case.codec)
    seeded = "seed" in cls(**case.config).config()
    for seed in SEEDS if seeded else SEEDS[:1]:
        start = time.perf_counter()
        codec = cls(**case.config, metric=s.metric, **({"seed": seed} if seeded else {})).fit(s.train)
        seconds.append(time.perf_counter() - start)
        index = vp.Index(codec)
        index.add(s.base)
        code_bytes = codec.code_size
        shares.append(found_share(index.search(s.queries, K, symmetric=case.symmetric)[1], s))
    return shares, statistics.median(seconds), code_bytes


def compare_rerank(data: Path) -> list[dict[str, Any]]:
    """One bit a dimension, and the RERANK best of it ranked again by float16 vectors."""
    s = load(data / MED, METRICS[MED])
    rows = []
    for name, config in (("Sign", {}), ("LloydMax", {"n_bits": 1}), ("ITQ", {"bits": 384})):
        codec = vp.codec_class(name)(**config, metric=s.metric).fit(s.train)
        index = vp.Index(codec, store=vp.Raw("float16", metric=s.metric).fit(s.train))
        index.add(s.base)
        found = {rerank: index.search(s.queries, K, rerank=rerank)[1] for rerank in (None, RERANK)}
        rows.append(
            {
                "set": s.name, "codec": repr(codec), "code_bytes": codec.code_size,
                "store_bytes": index.store_nbytes / len(index),
                "recall": float(found_share(found[None], s).mean()), "rerank": RERANK,
                "recall_reranked": float(found_share(found[RERANK], s).mean()),
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def load(folder: Path, metric: str) -> Sets:
    """A set of the folder's base.npy, queries.npy and, where there is one, train.npy."""
    base, queries = (np.load(folder / f"{part}.npy").astype(np.float32) for part in ("base", "queries"))
    queries = queries[MEDQUAD_FIGURES] if folder.name == MED else queries
    train = folder / "train.npy"
    bars = vp.exact(queries, base, K, metric)[0][:, -1].astype(np.float64)
    learned_from = np.load(train).astype(np.float32) if train.exists() else base
    return Sets(folder.name, metric, learned_from, base, queries, -bars if metric == "l2" else bars)


def found_share(found: np.ndarray, s: Sets) -> np.ndarray:
    """Per query, the share of the found that are as near as the K-th true neighbour: recall with ties counted, float64[nq]."""
    hits = np.empty(len(s.queries))
    for i, ids in enumerate(found):
        near = s.base[ids].astype(np.float64) @ s.queries[i].astype(np.float64)
        if s.metric == "l2":
            near = -((s.base[ids].astype(np.float64) - s.queries[i]) ** 2).sum(axis=1)
        hits[i] = (near >= s.bars[i] - 1e-6 * max(1.0, abs(s.bars[i]))).mean()
    return hits


def _kind(s: Sets) -> int:
    import faiss

    return faiss.METRIC_L2 if s.metric == "l2" else faiss.METRIC_INNER_PRODUCT


def _run(index: Any, s: Sets, queries: np.ndarray) -> np.ndarray:
    index.train(s.train)
    index.add(s.base)
    return index.search(queries, K)[1]
