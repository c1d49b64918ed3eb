"""Checks of plain arguments: ints, choices, paths. Vectors are checked in arrays.py, arrays of operations in ops/numerics.py.

`where` is how an error names the place: the call ("search") or the class whose option it is ("PQ").
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Metric = Literal["ip", "l2", "cos"]


def check_choice(where: str, name: str, value: Any, choices: Sequence[Any]) -> Any:
    """The one of `choices` (str or int) that value is. Raises TypeError for another kind, ValueError for another value."""
    kind = type(choices[0])
    if kind is int and isinstance(value, np.integer):
        value = int(value)
    expected = f"{where}: {name} expected one of {', '.join(map(repr, choices))}"
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{expected}, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{expected}, got {value!r}")
    return choices[choices.index(value)]


def check_int(where: str, name: str, value: Any, low: int, high: int | None = None) -> int:
    """value as an int. Raises TypeError if it is none, ValueError if it is not in low..high."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{where}: {name} expected an int, got {type(value).__name__}")
    if value < low or (high is not None and value > high):
        limits = f"at least {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{where}: {name} expected {limits}, got {value}")
    return int(value)


def check_path(where: str, path: Any) -> None:
    """Raises TypeError if `path` names no file: it is neither str, nor bytes, nor has `__fspath__`."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"{where}: path expected str, bytes or os.PathLike, got {type(path).__name__}")


def check_number(where: str, name: str, value: Any, low: float, high: float) -> float:
    """value as a float. Raises TypeError if it is no number, ValueError if it is not in low..high."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{where}: {name} expected a number, got {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{where}: {name} expected {low} to {high}, got {value}")
    return float(value)
