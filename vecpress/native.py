"""The only importer of the compiled extension: registers its kernels as backends and passes on its helpers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from . import dispatch

if TYPE_CHECKING:
    from ._native import CodeMetric, IdTable, LockSide

_loaded = False


def load() -> None:
    """Registers every compiled kernel with the dispatcher; the first call does the work."""
    global _loaded
    if _loaded:
        return
    from . import _native

    for index, (name, why_not) in enumerate(_native.instruction_sets()):
        dispatch.register_backend(name, rank=10 + index, why_not=why_not)
        for op in _native.operations(index):
            dispatch.register(op, name, functools.partial(getattr(_native, op), index))
    from .cuda import backend

    backend.register()
    dispatch.force_from_environment()
    _loaded = True


def system() -> tuple[Callable[[str], str], Callable[[], int]]:
    """What reads a variable of the environment, and what counts the processors that this process may use."""
    from . import _native

    return _native.environment, _native.default_threads


def default_threads() -> int:
    """How many threads a call uses when `num_threads` is not given. Raises ValueError if VECPRESS_NUM_THREADS is no number."""
    return dispatch.check_threads(None)


def id_table(n: int = 0, ids: np.ndarray | None = None, next_id: int = 0) -> IdTable:
    """The ids of an index of n rows (csrc/core/id_table.cpp); without `ids`, the id is the row."""
    from . import _native

    return _native.IdTable(n, ids, next_id)


def code_metric(table: np.ndarray) -> CodeMetric:
    """The sum over bytes of table float32[bytes, 256, 256] at both codes' bytes, as a function in C (csrc/core/code_metric.cpp).

    Raises RuntimeError where 64 are in use.
    """
    from . import _native

    return _native.CodeMetric(table)


def read_write_lock() -> tuple[LockSide, LockSide, LockSide]:
    """The sides of a new lock: shared, exclusive, changing (csrc/core/rwlock.cpp)."""
    from . import _native

    return _native.read_write_lock()
