"""Codes on a device, as scans take them: the counterpart of `vecpress.ops.blocks.Blocks`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..ops.blocks import BLOCK, Blocks
from ..ops.factors import KernelFactor
from . import library, scans
from .library import call
from .memory import DeviceArray, Memory


@dataclass
class DeviceBlocks(Blocks):
    """n codes in groups of 32 rows (csrc/cuda/core/codes.cuh), on a device.

    data : nothing; memory : the codes, of `stride` bytes each; ids : int64[n] there, None for those that the scan is given
    Scans return NumPy arrays, complete; all work is put into the device's default stream.
    """

    memory: Memory | None = None
    device: int = 0
    ids: DeviceArray | None = field(default=None, repr=False)
    elsewhere: ClassVar[bool] = True

    @classmethod
    def put_all(cls, codes: np.ndarray, head: int = 0, group: int = 1, device: int = 0) -> DeviceBlocks:
        """Canonical codes uint8[n, code_size], copied to the device."""
        n, size = codes.shape
        memory = Memory(library.load().vp_cuda_codes_bytes(n, size), device)
        out = cls(np.zeros((0, 0), np.uint8), n, size, head, group, memory=memory, device=device)
        out.put(0, codes)
        return out

    @property
    def pointer(self) -> int | None:
        return None if self.memory is None else self.memory.pointer or None

    def put(self, start: int, codes: np.ndarray, *, num_threads: int | None = None) -> None:
        staged = DeviceArray.of(codes, self.device)
        with library.on(self.device):
            call("put_rows", self.pointer, self.stride, start, len(codes), staged.pointer or None, None)
        call("wait", self.device, None)

    def rows(self, rows: np.ndarray, *, num_threads: int | None = None) -> np.ndarray:
        wanted = DeviceArray.of(rows.astype(np.int64, copy=False), self.device)
        out = DeviceArray.empty((len(rows), self.stride), np.uint8, self.device)
        with library.on(self.device):
            call("get_rows", out.pointer or None, self.pointer, self.stride, wanted.pointer or None, len(rows), None)
        return out.numpy()

    def prefix(self, code_size: int, head: int) -> DeviceBlocks:
        if not 0 <= head <= code_size <= self.code_size:
            raise ValueError(f"blocks: prefix expected at most {self.code_size} bytes, {head} of them factors, got {code_size}")
        return DeviceBlocks(self.data, self.n, code_size, head, self.group, self.stride, self.memory, self.device, self.ids)

    def check(self) -> None:
        pass  # nobody but this package makes one

    def on_host(self, blocks: slice) -> np.ndarray:
        rows = np.arange(BLOCK * blocks.start, min(BLOCK * blocks.stop, self.n))
        return Blocks.pack(self.rows(rows), self.head, self.group).data

    def scan(
        self,
        op: str,
        operand: np.ndarray,
        options: tuple[Any, ...],
        k: int,
        ids: np.ndarray | None,
        allow: np.ndarray | None,
        scale: KernelFactor,
        bias: KernelFactor,
        constant: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        codes = library.Codes(self.pointer, self.n, self.code_size, self.head, self.stride)
        ids_there = self.ids if self.ids is not None else ids
        best = scans.scan(op, codes, self.device, 0, k, operand, options, ids_there, allow, scale, bias, constant)
        return best[0].numpy(), best[1].numpy()
