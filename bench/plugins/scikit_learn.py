"""scikit-learn: exact neighbours by brute force over float32, the reference of what compression gives up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ._common import installed, passive_threads, prepared

NAME = "scikit-learn"


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    """The one of all budgets: it is what they are compared with. Inner products take a column more, see `Exact`."""
    size = 4 * (profile.dim + (profile.metric == "ip"))
    config = {"algorithm": "brute", "metric": "euclidean"}
    notes = "exact" + ("; inner products by a column more" if profile.metric == "ip" else "")
    return [Contender(NAME, "NearestNeighbors", config, size, _make, False, 0.0, notes)]


def _make(profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    return Exact(profile, threads)


class Exact(System):
    """It has no inner product: with x' = [x, sqrt(M - |x|^2)], M the largest |x|^2, and q' = [q, 0], the nearest x' is best.

    Bachrach et al. 2014, "Speeding up the Xbox recommender system using a Euclidean transformation for inner-product spaces".
    """

    appends = False

    def __init__(self, profile: Profile, threads: int):
        from sklearn.neighbors import NearestNeighbors

        self.metric, self.dim = profile.metric, profile.dim
        self.rows = np.empty((0, profile.dim), np.float32)
        self.index = NearestNeighbors(algorithm="brute", metric="euclidean", n_jobs=threads)

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        """Nothing is learned."""

    def add(self, base: np.ndarray) -> None:
        x = prepared(base, self.metric)
        self.rows = np.concatenate([self.rows, x]) if len(self.rows) else x
        self.index.fit(self._column() if self.metric == "ip" else self.rows)

    def _column(self) -> np.ndarray:
        squares = np.einsum("ij,ij->i", self.rows, self.rows, dtype=np.float64)
        return np.column_stack([self.rows, np.sqrt(squares.max() - squares)]).astype(np.float32)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        q = prepared(queries, self.metric)
        if self.metric == "ip":
            q = np.column_stack([q, np.zeros(len(q), np.float32)])
        found = self.index.kneighbors(q, min(k, len(self.rows)), return_distance=False)
        out = np.full((len(q), k), -1, np.int64)
        out[:, : found.shape[1]] = found
        return out

    def nbytes(self) -> Nbytes:
        """What scikit-learn holds; with the column more, rows of ours lie beside it."""
        code = self.index._fit_X.nbytes / len(self.rows)
        return Nbytes(code, float(self.rows.nbytes / len(self.rows)) if self.metric == "ip" else 0.0, 0, None)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        return self.rows[rows]
