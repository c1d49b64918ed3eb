"""The only importer of the compiled extension: registers its kernels as backends and passes on its helpers."""

from __future__ import annotations

import functools
from typing import Any

from . import dispatch

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
    dispatch.force_from_environment()  # raises at every call until VECPRESS_ISA names a backend that runs
    _loaded = True


def default_threads() -> int:
    """How many threads a call uses when `num_threads` is not given."""
    from . import _native

    return _native.default_threads()


def id_map() -> Any:
    """An empty map from ids to row numbers (csrc/core/id_map.hpp)."""
    from . import _native

    return _native.IdMap()
