"""Layers of progressive codes: where each ends, and how many are left of a code that is cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .checks import check_int

APART = 8  # bytes that a layer has at least


def check_layers(where: str, progressive: Any, code_size: int) -> tuple[int, ...]:
    """The sizes at which layers end, ascending, code_size last. True: a quarter, half and all of it, as far as these are 8 apart.

    Raises TypeError or ValueError.
    """
    if isinstance(progressive, (bool, np.bool_)):
        wanted = [code_size // 4, code_size // 2] if progressive else []
        ends = [size for size in wanted if size >= APART]
    else:
        if isinstance(progressive, (str, bytes)) or not isinstance(progressive, Sequence):
            got = type(progressive).__name__
            raise TypeError(f"{where}: progressive expected True, False or the sizes of the first layers, got {got}")
        ends = [check_int(where, "progressive", size, APART) for size in progressive]
    ends = [*ends, code_size]
    if any(after - before < APART for before, after in pairwise((0, *ends))) and len(ends) > 1:
        raise ValueError(f"{where}: progressive expected layers of {APART} bytes or more in {code_size}, got {progressive}")
    return tuple(ends)


def kept_layers(codec: Any, code_size: int) -> int:
    """How many layers are left of a fitted codec's codes that are cut to `code_size` bytes. ValueError if none ends there."""
    codec.check_fitted()
    if check_int("truncate", "code_size", code_size, 1) not in codec.layers:
        ends = ", ".join(map(str, codec.layers))
        raise ValueError(f"truncate: code_size expected the end of a layer of {codec!r}, {ends}, got {code_size}")
    return codec.layers.index(code_size) + 1
