"""Codes on a device, as scans take them: the counterpart of `vecpress.ops.blocks.Blocks`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ops.blocks import Blocks
from ..ops.factors import KernelFactor
from . import library, scans
from .library import call
from .memory import DeviceArray, Memory, Stream


@dataclass
class DeviceBlocks(Blocks):
    """n codes in groups of 32 rows (csrc/cuda/core/codes.cuh), on a device.

    data : empty; memory : the codes, of `stride` bytes each
    ids : int64[n] on the device, None for rows
    """

    memory: Memory | None = None
    device: int = 0
    stream: Stream = 0
    ids: DeviceArray | None = field(default=None, repr=False)

    @classmethod
    def put_all(cls, codes: np.ndarray, head: int = 0, group: int = 1, *, device: int = 0, stream: Stream = 0) -> DeviceBlocks:
        """Canonical codes uint8[n, code_size], copied to the device."""
        n, size = codes.shape
        memory = Memory(library.load().vp_cuda_codes_bytes(n, size), device)
        out = cls(np.zeros((0, 0), np.uint8), n, size, head, group, memory=memory, device=device, stream=stream)
        out.put(0, codes)
        return out

    def put(self, start: int, codes: np.ndarray, *, num_threads: int | None = None) -> None:
        staged = DeviceArray.of(codes, self.device, self.stream)
        call("put_rows", self._pointer, self.stride, start, len(codes), staged.pointer or None, self.stream)
        call("wait", self.device, self.stream)

    def rows(self, rows: np.ndarray, *, num_threads: int | None = None) -> np.ndarray:
        wanted = DeviceArray.of(rows.astype(np.int64, copy=False), self.device, self.stream)
        out = DeviceArray.empty((len(rows), self.stride), np.uint8, self.device, self.stream)
        call("get_rows", out.pointer or None, self._pointer, self.stride, wanted.pointer or None, len(rows), self.stream)
        return out.numpy()

    def prefix(self, code_size: int, head: int) -> DeviceBlocks:
        if not 0 <= head <= code_size <= self.code_size:
            raise ValueError(f"blocks: prefix expected at most {self.code_size} bytes, {head} of them factors, got {code_size}")
        return DeviceBlocks(
            self.data, self.n, code_size, head, self.group, self.stride, self.memory, self.device, self.stream, self.ids
        )

    def scan(
        self,
        op: str,
        k: int,
        operand: np.ndarray,
        options: tuple[Any, ...],
        allow: np.ndarray | None,
        scale: KernelFactor,
        bias: KernelFactor,
        constant: np.ndarray,
    ) -> tuple[DeviceArray, DeviceArray]:
        """The k best of each query, on the device."""
        codes = library.Codes(self._pointer, self.n, self.code_size, self.head, self.stride)
        return scans.scan(op, codes, self.device, self.stream, k, operand, options, self.ids, allow, scale, bias, constant)

    @property
    def _pointer(self) -> int | None:
        return None if self.memory is None else self.memory.pointer or None
