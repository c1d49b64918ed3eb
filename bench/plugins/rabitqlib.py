"""RaBitQ-Library, by RaBitQ's authors: their inverted file with one list, so that every vector is scanned, of 1 to 9 bits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ._common import installed, nearest, padded, passive_threads, prepared

NAME = "rabitqlib"
ID = 4  # bytes a vector in its file and memory, beside the code
PADDING = 32  # columns are filled up to multiples of it before the rotation
LEAST = 64  # columns that the rotation takes


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    if profile.dim < LEAST:
        return []
    options = [(_code_size(profile.dim, bits), bits) for bits in range(1, 10)]
    notes = "one list, whose centroid is the mean; its rotation is random and takes no seed, so runs differ"
    return [
        Contender(NAME, "IvfIndex", {"nbits": bits, "num_clusters": 1}, size, partial(_make, bits), True, 0.2, notes)
        for size, bits in nearest(budgets, options)
    ]


def _code_size(dim: int, bits: int) -> int:
    """A sign a column and three floats; from 2 bits on the further planes and two floats more."""
    columns = -(-dim // PADDING) * PADDING
    return columns // 8 + 12 + (columns * (bits - 1) // 8 + 8 if bits > 1 else 0)


def _make(bits: int, profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    return RaBitQ(bits, profile, threads)


class RaBitQ(System):
    """The first `add` builds the index, later ones append. Options are the library's own."""

    def __init__(self, bits: int, profile: Profile, threads: int):
        import rabitqlib

        self.library = rabitqlib
        self.index: Any = None
        self.bits, self.dim, self.metric, self.threads = bits, profile.dim, profile.metric, threads

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        self.centroid = prepared(train, self.metric).mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)

    def add(self, base: np.ndarray) -> None:
        x = prepared(base, self.metric)
        lists = np.zeros(len(x), np.uint32)
        if self.index is None:
            metric = "l2" if self.metric == "l2" else "ip"
            self.index = self.library.IvfIndex(self.dim, len(x), 1, self.bits, metric)
            self.index.build(x, self.centroid, lists, num_threads=self.threads)
        else:
            self.index.add(x, lists, num_threads=self.threads)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return padded(self.index.search(prepared(queries, self.metric), k, 1, num_threads=self.threads)[0], k)

    def nbytes(self) -> Nbytes:
        """The file holds the vectors, their ids, the centroid and the rotation."""
        n, code = self.index.num_points, _code_size(self.dim, self.bits)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index")
            self.index.save(path)
            file = os.path.getsize(path)
        return Nbytes(code, ID, file - n * (code + ID), file)
