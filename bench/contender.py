"""What the suite measures: a contender is one configuration of one library; a system is it at work on one data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Profile:
    """What a plug-in may know of a data set when it offers contenders: never the vectors.

    metric : "ip", "l2" or "cos"; n_train, n_base, n_query : rows; dim : columns
    """

    name: str
    metric: str
    n_train: int
    n_base: int
    n_query: int
    dim: int


@dataclass(frozen=True)
class Nbytes:
    """What a vector costs, as it is held, not as a paper counts it.

    code : bytes a vector that depend on the vector, every factor included; held : bytes a vector beside the code that the index
    keeps in memory (ids, caches, padding, copies); state : bytes that are there once, however many vectors (codebooks,
    rotations); file : bytes of the saved index, None where it cannot be saved
    """

    code: float
    held: float
    state: int
    file: int | None


class System(ABC):
    """A contender at work on one data set: made in a fresh process, used from one thread, one call after the other.

    appends : False where `add` builds everything anew, so that it is timed as one call
    """

    appends = True

    @abstractmethod
    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        """Learns; its time is fit_seconds. train float32[n, d]; queries: sample queries, None where there are none."""

    @abstractmethod
    def add(self, base: np.ndarray) -> None:
        """Encodes and stores float32[n, d] behind what is there; its time gives encode_per_second."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Row numbers int64[nq, k] of what was added, best first, -1 where there is none. queries float32[nq, d]."""

    @abstractmethod
    def nbytes(self) -> Nbytes:
        """After `add`."""

    def decode(self, rows: np.ndarray) -> np.ndarray | None:
        """float32[len(rows), d], the vectors that the codes of these rows stand for; None where the library cannot say."""
        return None


@dataclass(frozen=True)
class Contender:
    """One configuration of one codec of one library.

    library : as it is installed, "vecpress" for ours; codec : the library's own name of it; config : JSON values, all that is
    needed to make it again but the seed; code_size : bytes a vector that it will store, factors included, known beforehand
    seeded : False where it gives the same result for every seed, and is run once
    slow : its fitting time as a rough multiple of our PQ's (rules.pq_seconds), by which a plan estimates its cost
    notes : what a reader must know, e.g. that queries are coded too
    make : (profile, seed, threads) -> System; imports the library, and is called in the process that measures
    """

    library: str
    codec: str
    config: dict[str, Any]
    code_size: int
    make: Callable[[Profile, int, int], System] = field(repr=False, compare=False)
    seeded: bool = True
    slow: float = 1.0
    notes: str = ""
