"""ScaNN: its asymmetric hashing over all rows, without a tree and without reordering, and its brute force over int8."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ._common import folder_bytes, installed, nearest, padded, passive_threads, prepared

NAME = "scann"
THRESHOLD = 0.2  # of anisotropic quantization, as its documentation recommends for inner products
BATCH = 4096  # rows it encodes at a time, over its threads


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    """Blocks of 2 columns, 4 bits and a threshold are what its authors recommend for inner products; other sizes come from larger
    or smaller blocks, for which the threshold may harm, so that these come without it, too."""
    d = profile.dim
    found = []
    for threshold in (None,) if profile.metric == "l2" else (THRESHOLD, None):
        hashed = [
            ((-(-d // block) + 1) // 2, {"dimensions_per_block": block, "anisotropic_quantization_threshold": threshold})
            for block in range(1, d + 1)
            if threshold is not None or profile.metric == "l2" or block != 2
        ]
        found += [
            Contender(NAME, "score_ah", config, size, partial(_make, config), False, 1.5, "tables are rounded to 8 bits")
            for size, config in nearest(budgets, hashed)
        ]
    flat = d + (4 if profile.metric == "l2" else 0)
    for size, config in nearest(budgets, [(flat, {"quantize": "int8"})]):
        found.append(Contender(NAME, "score_brute_force", config, size, partial(_make, config), False, 0.05, ""))
    return found


def _make(config: dict[str, Any], profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    return (Hashed if "dimensions_per_block" in config else BruteForce)(config, profile, threads)


class _Searcher(System):
    def __init__(self, config: dict[str, Any], profile: Profile, threads: int):
        from scann.scann_ops.py import scann_ops_pybind

        self.library, self.config, self.threads = scann_ops_pybind, config, threads
        self.metric, self.dim, self.count = profile.metric, profile.dim, 0
        self.searcher: Any = None

    def _builder(self, x: np.ndarray) -> Any:
        distance = "squared_l2" if self.metric == "l2" else "dot_product"
        return self.library.builder(x, 10, distance).set_n_training_threads(self.threads)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """One query is searched as one, more of them by all threads: the two calls that ScaNN offers."""
        q, kept, scan = prepared(queries, self.metric), min(k, self.count), self.searcher.searcher
        if len(q) == 1:
            return padded(scan.search(q[0], kept, kept, -1)[0][None], k)
        return padded(scan.search_batched(q, kept, kept, -1, True, max(1, -(-len(q) // self.threads)))[0], k)

    def _saved(self) -> int:
        with tempfile.TemporaryDirectory() as folder:
            self.searcher.searcher.serialize(folder, False)
            return folder_bytes(folder)


class Hashed(_Searcher):
    """`fit` trains codebooks on the training rows; they are saved, emptied of rows, loaded, and `add` encodes behind them."""

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        threshold = self.config["anisotropic_quantization_threshold"]
        options = {} if threshold is None else {"anisotropic_quantization_threshold": threshold}
        builder = self._builder(prepared(train, self.metric)).score_ah(self.config["dimensions_per_block"], **options)
        with tempfile.TemporaryDirectory() as folder:
            builder.build().serialize(folder)
            codes = Path(folder, "hashed_dataset.npy")
            self.blocks = np.load(codes, mmap_mode="r").shape[1]
            np.save(codes, np.empty((0, self.blocks), np.uint8))
            self.searcher = self.library.load_searcher(folder)
        self.searcher.set_num_threads(self.threads)
        self.empty = self._saved()

    def add(self, base: np.ndarray) -> None:
        x = prepared(base, self.metric)
        self.searcher.searcher.upsert([None] * len(x), x, BATCH)
        self.count += len(x)

    def nbytes(self) -> Nbytes:
        """Two blocks a byte, as its 16-entry tables are looked up; beside that, and in its file, a byte for each block."""
        return Nbytes((self.blocks + 1) // 2, self.blocks, self.empty, self._saved())


class BruteForce(_Searcher):
    """Built anew from all rows with each `add`, for which alone they are kept."""

    appends = False

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        """Its scales come from the rows that it stores."""
        self.rows = np.empty((0, self.dim), np.float32)

    def add(self, base: np.ndarray) -> None:
        x = prepared(base, self.metric)
        self.rows = np.concatenate([self.rows, x]) if len(self.rows) else x
        self.searcher = self._builder(self.rows).score_brute_force(True).build()
        self.searcher.set_num_threads(self.threads)
        self.count = len(self.rows)

    def nbytes(self) -> Nbytes:
        """int8 a column, a float norm with l2; a scale a column once."""
        code = self.dim + (4 if self.metric == "l2" else 0)
        file = self._saved()
        return Nbytes(code, 0.0, file - code * self.count, file)
