"""What all kernels share: checks of tensors, which device they are on, tables of tile sizes, what the compile gate compiles."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from . import interpreted

INTERPRETED = interpreted()  # kernels are made for one of the two when they are imported
FLOATS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


@dataclass(frozen=True)
class Spec:
    """One compilation: what Triton needs to make machine code of a kernel without a device.

    name : the operation, and which of its variants
    types : by argument, in the kernel's order, Triton's name of the type ("*fp32", "i32"); constants are left out
    constants : tl.constexpr arguments
    aligned : arguments that are multiples of 16, as Triton finds them when it launches: pointers, and sizes where they are such
    tile : as chosen from the operation's table
    wants : of these instructions the machine code must have one, if any are named
    """

    name: str
    kernel: Any
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    aligned: tuple[str, ...]
    tile: Tile
    wants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tile:
    """Sizes that a program works on, by name, and how it is compiled."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    warps: int = 4
    stages: int = 2

    @property
    def launch(self) -> dict[str, Any]:
        """The arguments of a launch."""
        return {**self.sizes, **self.options}

    @property
    def options(self) -> dict[str, Any]:
        """How it is compiled. A product and a sum are rounded one after the other, and fused only where a kernel says so."""
        return {"num_warps": self.warps, "num_stages": self.stages, "enable_fp_fusion": False}


Table = Mapping[int, Tile]  # by the least compute capability that it is for


def tile(table: Table, capability: int) -> Tile:
    """The entry for a device: that of the largest capability up to its own."""
    return table[max((c for c in table if c <= capability), default=min(table))]


def capability(device: torch.device) -> int:
    """10 * major + minor, 90 for tensors of the CPU."""
    if device.type != "cuda":
        return 90
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def on(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Makes the device current: Triton launches on the current one, wherever the tensors are."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def tiles(n: int, size: int) -> int:
    """How many tiles of `size` cover n."""
    return -(-n // size)


def tensor(
    op: str, name: str, value: Any, dtypes: torch.dtype | Sequence[torch.dtype], shape: tuple[int | None, ...], *,
    like: torch.Tensor | None = None, rows: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Checks a kernel's argument and returns it contiguous; None in `shape` allows any length on that axis.

    like : what it must be on the same device as
    rows : rows may stand apart: contiguous is only what is within a row

    As the operations of `vecpress.ops` never do, nothing is converted: a wrong dtype is a TypeError, a wrong shape or device a
    ValueError.
    """
    allowed = [dtypes] if isinstance(dtypes, torch.dtype) else list(dtypes)
    wanted = " or ".join(str(dtype).removeprefix("torch.") for dtype in allowed)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{op}: {name} expected a {wanted} tensor, got {type(value).__name__}")
    if value.dtype not in allowed:
        raise TypeError(f"{op}: {name} expected a {wanted} tensor, got {str(value.dtype).removeprefix('torch.')}")
    got = tuple(value.shape)
    if len(got) != len(shape) or any(w is not None and w != g for w, g in zip(shape, got, strict=True)):
        listed = ", ".join("any" if w is None else str(w) for w in shape)
        raise ValueError(f"{op}: {name} expected shape ({listed}), got {got}")
    if value.device.type != ("cpu" if INTERPRETED else "cuda"):
        here = "the CPU, for kernels are interpreted" if INTERPRETED else "a CUDA device"
        raise ValueError(f"{op}: {name} expected a tensor on {here}, got one on {value.device}")
    if like is not None and value.device != like.device:
        raise ValueError(f"{op}: {name} expected a tensor on {like.device}, as the others are, got one on {value.device}")
    value = value.detach()
    if rows and value.dim() == 2 and (value.stride(1) == 1 or value.shape[1] <= 1) and value.stride(0) >= value.shape[1]:
        return value
    return value.contiguous()
