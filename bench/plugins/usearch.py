"""usearch: float16, int8 and signs, scanned whole by its exact search of a matrix, which builds no graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ._common import installed, nearest, padded, passive_threads, prepared

NAME = "usearch"


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    """int8 as usearch itself codes floats: scaled to unit length, so it serves angles only; signs, told apart by Hamming."""
    d = profile.dim
    kinds = [("f16", 2 * d, "queries are coded too")]
    if profile.metric != "l2":
        kinds += [("i8", d, "queries are coded too; lengths are not kept"), ("b1", -(-d // 8), "queries are coded too")]
    found = []
    for kind, size, notes in kinds:
        for _, config in nearest(budgets, [(size, {"dtype": kind, "exact": True})]):
            found.append(Contender(NAME, f"search {kind}", config, size, partial(_make, kind), False, 0.0, notes))
    return found


def _make(kind: str, profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    return USearch(kind, profile, threads)


class USearch(System):
    """A matrix of codes, rows as given; `usearch.index.search(..., exact=True)` scans it."""

    def __init__(self, kind: str, profile: Profile, threads: int):
        from usearch.index import MetricKind, ScalarKind, search

        self.scan, self.kind, self.threads, self.dim = search, kind, threads, profile.dim
        self.metric = profile.metric
        if kind == "b1":
            self.distance, self.scalar = MetricKind.Hamming, ScalarKind.B1
        else:
            self.distance = {"ip": MetricKind.IP, "l2": MetricKind.L2sq, "cos": MetricKind.Cos}[profile.metric]
            self.scalar = ScalarKind.F16 if kind == "f16" else ScalarKind.I8
        self.codes: np.ndarray | None = None

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        """Nothing is learned."""

    def _encode(self, x: np.ndarray) -> np.ndarray:
        if self.kind == "f16":
            return prepared(x, self.metric).astype(np.float16)
        if self.kind == "b1":
            return np.packbits(np.asarray(x) > 0, axis=1)
        return np.rint(prepared(x, "cos") * 127).astype(np.int8)

    def add(self, base: np.ndarray) -> None:
        codes = self._encode(base)
        self.codes = codes if self.codes is None else np.concatenate([self.codes, codes])

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        if self.codes is None:
            raise ValueError("search expected rows to be added before, got none")
        found = self.scan(
            self.codes, self._encode(queries), min(k, len(self.codes)), self.distance, exact=True, threads=self.threads,
            dtype=self.scalar,
        )  # fmt: skip
        return padded(np.asarray(found.keys).reshape(len(queries), -1), k)

    def nbytes(self) -> Nbytes:
        """The matrix is all there is, in memory and in a file."""
        n, nbytes = (len(self.codes), self.codes.nbytes) if self.codes is not None else (1, 0)
        return Nbytes(nbytes / n, 0.0, 0, nbytes)

    def decode(self, rows: np.ndarray) -> np.ndarray | None:
        if self.kind == "b1" or self.codes is None:
            return None
        x = self.codes[rows].astype(np.float32)
        return x if self.kind == "f16" else x / np.float32(127)
