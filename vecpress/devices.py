"""Where an index keeps its codes: the processor's memory, or a device's, whose package is loaded only then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .codec import Codec
from .contents import Column, Contents


def empty_column(codec: Codec, device: str, call: str) -> Column:
    """A column without rows on a device: "cpu", "cuda" or "cuda:N".

    Raises TypeError or ValueError for another device, BackendError if it cannot be used here.
    """
    if not isinstance(device, str):
        raise TypeError(f"{call}: device expected a str, got {type(device).__name__}")
    if device == "cpu":
        return Column.empty(codec)
    from .devicecolumn import DeviceColumn, device_number

    return DeviceColumn(codec, device_number(device, call))


def contents_of(columns: Sequence[Column], ids: Any, source: str | None, limit: int | None) -> Contents:
    """The contents that columns of such devices need."""
    if all(column.device == "cpu" for column in columns):
        return Contents(columns, ids, source, limit)
    from .devicecolumn import DeviceContents

    return DeviceContents(columns, ids, source, limit)
