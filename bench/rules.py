"""The rules that the plan, the tables and the report share: whose codecs are ours, when claims are made, what equal bytes are."""

from __future__ import annotations

import json
from typing import Any

OURS = "vecpress"
JUDGED_QUERIES, JUDGED_BASE = 300, 5000  # with fewer queries or vectors a set only says that a codec runs and is sane
LEAST = 0.8  # of a budget that a configuration must use to count as one for it
MOST = 1.2  # of a budget, or of our bytes, that a peer may use and still counts as equal


# Measured on two idle cores (AMD EPYC, 2 threads): multiply-adds/s of our k-means, which learns from so many rows at most
FIT_RATE, FIT_ROWS, ITERATIONS, CENTROIDS = 20e9, 65_536, 25, 256


def pq_seconds(n_train: int, dim: int) -> float:
    """How long our PQ of 8 bits takes to learn, about: what `Contender.slow` is a multiple of."""
    return ITERATIONS * min(n_train, FIT_ROWS) * dim * CENTROIDS / FIT_RATE


def judged(n_figures: int | None, n_base: int | None) -> bool:
    """Whether claims are made of a set with so many queries for figures and so many vectors."""
    return (n_figures or 0) >= JUDGED_QUERIES and (n_base or 0) >= JUDGED_BASE


def label(library: str, codec: str, config: dict[str, Any] | None) -> str:
    """A contender's name for people, e.g. "PQ(m=48, n_bits=8)" or "faiss-cpu IndexPQ(m=48)"; metric and seed are not."""
    shown = {name: value for name, value in (config or {}).items() if name not in ("metric", "seed")}
    settings = ", ".join(f"{k}={v if isinstance(v, str | int | float) else json.dumps(v)}" for k, v in shown.items())
    name = f"{codec}({settings})" if settings or library == OURS else codec
    return name if library == OURS else f"{library} {name}"
