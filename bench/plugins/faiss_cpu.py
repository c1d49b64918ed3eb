"""faiss: every code of its flat indexes, each behind the transform that its documentation gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ..rules import FIT_ROWS, pq_seconds
from ._common import divisors, installed, nearest, padded, passive_threads, prepared

NAME = "faiss-cpu"
SEED = 1234  # faiss's own default of its k-means; our seed is added
BLOCK = 32  # rows a block of its fast scans; the last block is filled up

# A configuration: what it is called, its JSON values, bytes a vector, function (faiss, profile, config, seed) -> index
Option = tuple[int, dict[str, Any]]
Build = Callable[[Any, Profile, dict[str, Any], int], Any]


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    found = []
    for codec, options, build, seeded, slow, notes in _families(profile):
        for size, config in nearest(budgets, options):
            make = partial(_make, build, config)
            found.append(Contender(NAME, codec, config, size, make, seeded, slow(config) if callable(slow) else slow, notes))
    return found


def _families(p: Profile) -> Iterator[tuple[str, list[Option], Build, bool, Any, str]]:
    """(codec, options, build, seeded, slow, notes) of every kind of index. slow: from times on two cores."""
    d, rows = p.dim, min(p.n_train, FIT_ROWS) / 15_000

    def taking(seconds: float) -> float:  # on two idle cores
        return seconds / max(pq_seconds(p.n_train, d), 1e-9)

    pq8 = [(m, {"m": m, "n_bits": 8}) for m in divisors(d)]
    pq4 = [((m + 1) // 2, {"m": m, "n_bits": 4}) for m in divisors(d)]
    # a rotation may have more columns out than in: the missing ones are zeros, so that any m serves
    opq8 = [(m, {"m": m, "n_bits": 8, "d_out": -(-d // m) * m}) for m in range(1, d + 1)]
    opq4 = [(m // 2, {"m": m, "n_bits": 4, "d_out": -(-d // m) * m}) for m in range(2, d + 1, 2)]
    yield "IndexPQ", pq8, _pq, True, lambda c: taking(0.25 * c["m"] * rows), ""
    yield "IndexPQFastScan", pq4, _pq_fast, True, 0.3, "tables are rounded to 8 bits"
    unseeded = "its rotation takes no seed"
    yield "OPQ, IndexPQ", opq8, partial(_opq, fast=False), False, lambda c: taking(25 + 1.4 * c["m"] * rows), unseeded
    yield "OPQ, IndexPQFastScan", opq4, partial(_opq, fast=True), False, 400.0, unseeded
    norm = 1 if p.metric == "l2" else 0
    additive = f"{'a norm of 8 bits a vector; ' if norm else ''}beam search of 5"
    prq = [(s * sub + norm, {"nsplits": s, "m_sub": sub, "n_bits": 8}) for s in divisors(d) for sub in (2, 4) if d // s >= 4]
    yield "ProductResidualQuantizer", prq, _prq, False, lambda c: taking(1.5 * c["nsplits"] * c["m_sub"] * rows), additive
    few = [(m + norm, {"m": m, "n_bits": 8}) for m in (4, 8, 12, 16, 24, 32)]
    yield "ResidualQuantizer", few, _rq, False, lambda c: taking(2.9 * c["m"] * rows), additive
    yield "LocalSearchQuantizer", few[:4], _lsq, True, lambda c: 5.0 * c["m"], additive.replace("beam search of 5", "annealed")
    bits = {"QT_4bit": 4, "QT_6bit": 6, "QT_8bit": 8, "QT_fp16": 16}
    sq = [(-(-d * b // 8), {"qtype": name}) for name, b in bits.items()]
    yield "IndexScalarQuantizer", sq, _sq, False, 0.05, ""
    if p.metric == "l2":  # its PCA centres queries, too, which changes the order by inner product
        # its index factory's PCA<x>,SQ8 and PCA<x>,PQ<m>: the leading components, by a byte each, or half of all by PQ
        leading = [(x, {"d_out": x, "qtype": "QT_8bit"}) for x in range(4, d)]
        yield "PCA, IndexScalarQuantizer", leading, _pca_sq, False, 0.1, ""
        half = [(m, {"d_out": d // 2 // m * m, "m": m, "n_bits": 8}) for m in range(2, d // 2 + 1)]
        yield "PCA, IndexPQ", half, _pca_pq, True, lambda c: taking(0.25 * c["m"] * rows), ""
    rabitq = [(_rabitq_size(d, b), {"n_bits": b, "qb": 0}) for b in range(1, 9)]
    yield "IndexRaBitQ", rabitq, _rabitq, True, 100.0, "float queries: slow to search"
    fast = [(size, {**config, "qb": 8}) for size, config in rabitq]
    yield "IndexRaBitQFastScan", fast, partial(_rabitq, fast=True), True, 0.1, "queries of 8 bits"
    eden = [(-(-d * b // 8) + 8, {"n_bits": b, "scale": "unbiased"}) for b in range(1, 9)]
    yield "IndexEDEN", eden, _eden, True, 0.1, ""
    if p.metric != "l2":  # its quantiser is made for unit vectors
        mse = [(-(-d * b // 8), {"qtype": f"QT_{b}bit_tqmse"}) for b in (1, 2, 3, 4, 8)]
        yield "TurboQuant mse", mse, _turboquant, True, 0.1, "for unit vectors: their lengths are not kept"
        full = [(_turboquant_size(d, b), {"qtype": f"QT_{b}bit_tq"}) for b in (2, 3, 4, 5)]
        yield "TurboQuant", full, _turboquant, True, 0.1, "for unit vectors: their lengths are not kept"
    itq = [(b // 8, {"bits": b}) for b in range(8, d + 1, 8)]
    yield "ITQ, IndexLSH", itq, _itq, False, 2.0, "queries are coded too"


def _rabitq_size(d: int, bits: int) -> int:
    """Signs and two floats; from 2 bits on a float of error bound, further planes and two floats more."""
    return -(-d // 8) + 8 if bits == 1 else -(-d // 8) + 12 + -(-d * (bits - 1) // 8) + 8


def _turboquant_size(d: int, bits: int) -> int:
    """Planes of the levels, one of the signs of what they leave, and two floats."""
    return bits * -(-d // 8) + 8


# ---- indexes


def _metric(faiss: Any, p: Profile) -> int:
    return int(faiss.METRIC_L2 if p.metric == "l2" else faiss.METRIC_INNER_PRODUCT)


def _rotated(faiss: Any, index: Any, d: int, seed: int) -> Any:
    """Behind a random rotation, which faiss leaves to its users."""
    rotation = faiss.RandomRotationMatrix(d, d)
    rotation.init(SEED + seed)
    return faiss.IndexPreTransform(rotation, index)


def _pq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    index = faiss.IndexPQ(p.dim, c["m"], c["n_bits"], _metric(faiss, p))
    index.pq.cp.seed = SEED + seed
    return index


def _pq_fast(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    index = faiss.IndexPQFastScan(p.dim, c["m"], c["n_bits"], _metric(faiss, p))
    index.pq.cp.seed = SEED + seed
    return index


def _opq(faiss: Any, p: Profile, c: dict[str, Any], seed: int, fast: bool) -> Any:
    index = (faiss.IndexPQFastScan if fast else faiss.IndexPQ)(c["d_out"], c["m"], c["n_bits"], _metric(faiss, p))
    return faiss.IndexPreTransform(faiss.OPQMatrix(p.dim, c["m"], c["d_out"]), index)


def _search_type(faiss: Any, p: Profile) -> int:
    """Tables; with l2 beside them the vector's norm, in 8 bits as the index factory's names with Nqint8 have it."""
    quantizer = faiss.AdditiveQuantizer
    return int(quantizer.ST_norm_qint8 if p.metric == "l2" else quantizer.ST_LUT_nonorm)


def _prq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    kind = (_metric(faiss, p), _search_type(faiss, p))
    return faiss.IndexProductResidualQuantizer(p.dim, c["nsplits"], c["m_sub"], c["n_bits"], *kind)


def _rq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    return faiss.IndexResidualQuantizer(p.dim, c["m"], c["n_bits"], _metric(faiss, p), _search_type(faiss, p))


def _lsq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    index = faiss.IndexLocalSearchQuantizer(p.dim, c["m"], c["n_bits"], _metric(faiss, p), _search_type(faiss, p))
    index.lsq.random_seed = SEED + seed
    return index


def _sq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    return faiss.IndexScalarQuantizer(p.dim, getattr(faiss.ScalarQuantizer, c["qtype"]), _metric(faiss, p))


def _pca_sq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    index = faiss.IndexScalarQuantizer(c["d_out"], getattr(faiss.ScalarQuantizer, c["qtype"]), _metric(faiss, p))
    return faiss.IndexPreTransform(faiss.PCAMatrix(p.dim, c["d_out"]), index)


def _pca_pq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    index = faiss.IndexPQ(c["d_out"], c["m"], c["n_bits"], _metric(faiss, p))
    index.pq.cp.seed = SEED + seed
    return faiss.IndexPreTransform(faiss.PCAMatrix(p.dim, c["d_out"]), index)


def _rabitq(faiss: Any, p: Profile, c: dict[str, Any], seed: int, fast: bool = False) -> Any:
    if fast:
        index = faiss.IndexRaBitQFastScan(p.dim, _metric(faiss, p), BLOCK, c["n_bits"])
    else:
        index = faiss.IndexRaBitQ(p.dim, _metric(faiss, p), c["n_bits"])
    index.qb = c["qb"]
    return _rotated(faiss, index, p.dim, seed)


def _eden(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    return _rotated(faiss, faiss.IndexEDEN(p.dim, _metric(faiss, p), c["n_bits"]), p.dim, seed)


def _turboquant(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    return _rotated(faiss, _sq(faiss, p, c, seed), p.dim, seed)


def _itq(faiss: Any, p: Profile, c: dict[str, Any], seed: int) -> Any:
    """As the index factory builds ITQ<bits>,LSH: centring, PCA, a learned rotation, signs."""
    bits = c["bits"]
    return faiss.IndexPreTransform(faiss.ITQTransform(p.dim, bits, p.dim != bits), faiss.IndexLSH(bits, bits, False))


# ---- at work


def _make(build: Build, config: dict[str, Any], profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    import faiss

    faiss.omp_set_num_threads(threads)
    return Faiss(faiss, build(faiss, profile, config, seed), profile.metric)


class Faiss(System):
    """An index of faiss."""

    def __init__(self, faiss: Any, index: Any, metric: str):
        self.faiss, self.index, self.metric = faiss, index, metric

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        self.index.train(prepared(train, self.metric))

    def add(self, base: np.ndarray) -> None:
        self.index.add(prepared(base, self.metric))

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return padded(self.index.search(prepared(queries, self.metric), k)[1], k)

    def nbytes(self) -> Nbytes:
        """The array of codes as it lies in memory: what is beyond n codes is filling. The file is that array and the state."""
        n, code = self.index.ntotal, self.index.sa_code_size()
        stored = self._innermost().codes.size()
        file = self.faiss.serialize_index(self.index).nbytes
        return Nbytes(code, stored / n - code, file - stored, file)

    def decode(self, rows: np.ndarray) -> np.ndarray | None:
        """None for ITQ's signs, for RaBitQ from 2 bits on, of which faiss decodes the signs only, and where faiss refuses."""
        inner, faiss = self._innermost(), self.faiss
        if isinstance(inner, faiss.IndexLSH):
            return None
        if isinstance(inner, (faiss.IndexRaBitQ, faiss.IndexRaBitQFastScan)) and inner.rabitq.nb_bits > 1:
            return None
        try:
            return self.index.reconstruct_batch(np.ascontiguousarray(rows, np.int64))
        except RuntimeError:
            return None

    def _innermost(self) -> Any:
        index = self.faiss.downcast_index(self.index)
        return self.faiss.downcast_index(index.index) if isinstance(index, self.faiss.IndexPreTransform) else index
