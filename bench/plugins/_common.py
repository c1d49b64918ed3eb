"""What the plug-ins of peers share: which configuration meets which budget, unit vectors, saved sizes."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..rules import LEAST, MOST

T = TypeVar("T")


def installed(name: str) -> str | None:
    """The version that pip has of it, without importing it; None: not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def nearest(budgets: Sequence[int], options: Iterable[tuple[int, T]]) -> list[tuple[int, T]]:
    """For each budget the option (code_size, what) nearest in size, the larger of two as near; each option once, by size."""
    known = list(options)
    chosen: dict[int, tuple[int, T]] = {}
    for budget in budgets:
        fitting = [(abs(size - budget), -size, at) for at, (size, _) in enumerate(known) if within(size, budget)]
        if fitting:
            at = min(fitting)[2]
            chosen[at] = known[at]
    return sorted(chosen.values(), key=lambda option: option[0])


def within(size: int, budget: int) -> bool:
    """Whether a peer of this code size counts for a budget."""
    return LEAST * budget <= size <= MOST * budget


def divisors(d: int) -> list[int]:
    return [m for m in range(1, d + 1) if d % m == 0]


def prepared(x: np.ndarray, metric: str) -> np.ndarray:
    """float32, contiguous; of unit length for "cos", which many peers leave to their users. Zero rows stay zero."""
    x = np.ascontiguousarray(x, np.float32)
    if metric != "cos":
        return x
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, np.float32(1))


def padded(ids: Any, k: int) -> np.ndarray:
    """int64[nq, k] of ids[nq, <= k]: -1 where there is none."""
    ids = np.asarray(ids).astype(np.int64)
    if ids.shape[1] == k:
        return ids
    out = np.full((len(ids), k), -1, np.int64)
    out[:, : ids.shape[1]] = ids
    return out


def folder_bytes(folder: str | os.PathLike[str]) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def passive_threads(threads: int) -> None:
    """Threads of OpenMP and BLAS sleep while they wait, and are as many as asked for; works before the library is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
