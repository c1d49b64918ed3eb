"""Scans on a device: an operation's operands put there, the library's function called, the results taken."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import BackendError
from ..ops.encode_trellis import window_of
from ..ops.factors import KernelFactor
from . import library
from .library import call
from .memory import DeviceArray, Stream, ready_for, scratch

WORKSPACE = 256 << 20  # bytes
MAX_ROWS = 2**32 - 1


def workspace_limit() -> int:
    """Bytes that a scan takes at most, where it can do with so little: VECPRESS_CUDA_WORKSPACE, or else `WORKSPACE`."""
    text = os.environ.get("VECPRESS_CUDA_WORKSPACE", "").strip()
    if not text:
        return WORKSPACE
    if not text.isdecimal():
        raise ValueError(f"VECPRESS_CUDA_WORKSPACE expected a number of bytes, got {text!r}")
    return int(text)


class Put:
    """NumPy arrays on their way to a device, kept until the work that reads them is done."""

    def __init__(self, device: int, stream: Stream):
        self.device, self.stream = device, stream
        self.kept: list[DeviceArray] = []

    def __call__(self, array: np.ndarray | DeviceArray | None) -> int | None:
        if array is None:
            return None
        if isinstance(array, DeviceArray):
            put = ready_for(array, self.device, self.stream, "an operand")
        else:
            put = DeviceArray.of(array, self.device, self.stream)
        self.kept.append(put)
        return put.pointer or None

    def factor(self, factor: KernelFactor) -> library.Factor:
        kind, offset, times, table = factor
        return library.Factor(kind, offset, times, self(table))


# what follows the scan in the library's call, from the operand and the operation's options
Operands = Callable[..., tuple[Any, ...]]
OPERANDS: dict[str, Operands] = {}


def operands_of(op: str) -> Callable[[Operands], Operands]:
    def add(function: Operands) -> Operands:
        OPERANDS[op] = function
        return function

    return add


@operands_of("hamming")
def _hamming(put: Put, bits: np.ndarray) -> tuple[Any, ...]:
    return (put(bits),)


@operands_of("flat")
def _flat(put: Put, rows: np.ndarray, group: int, l2: bool) -> tuple[Any, ...]:
    return put(rows), group, int(l2)


@operands_of("trellis")
def _trellis(put: Put, rows: np.ndarray, words: np.ndarray, levels: np.ndarray, tables: np.ndarray | None) -> tuple[Any, ...]:
    labels = 0 if tables is None else tables.shape[1]
    return put(rows), words.ctypes.data, put(words), len(words), put(levels), window_of(levels), put(tables), labels


@operands_of("dot")
def _dot(put: Put, rows: np.ndarray, levels: np.ndarray | None, n_bits: int, l2: bool) -> tuple[Any, ...]:
    return put(rows), rows.shape[1], put(levels), n_bits, int(l2)


@operands_of("sdc")
def _sdc(put: Put, codes: np.ndarray, dim: int, n_bits: int, form: int, weights: np.ndarray) -> tuple[Any, ...]:
    return put(codes), dim, n_bits, put(weights)  # one form, the fastest


@operands_of("lut4")
def _lut4(put: Put, tables: np.ndarray) -> tuple[Any, ...]:
    return (put(tables), tables.shape[1])


@operands_of("lut8")
def _lut8(put: Put, tables: np.ndarray) -> tuple[Any, ...]:
    return (put(tables),)


def scan(
    op: str,
    codes: library.Codes,
    device: int,
    stream: Stream,
    k: int,
    operand: np.ndarray,
    options: tuple[Any, ...],
    ids: np.ndarray | DeviceArray | None,
    allow: np.ndarray | DeviceArray | None,
    scale: KernelFactor,
    bias: KernelFactor,
    constant: np.ndarray | None,
) -> tuple[DeviceArray, DeviceArray]:
    """Scores float32[nq, k] and ids int64[nq, k] on the device, put into the stream. Arguments as kernels of scans take them."""
    if op not in OPERANDS:
        raise BackendError(f"operation {op!r} has no 'cuda' kernel; there are {', '.join(sorted(OPERANDS))}")
    if codes.n > MAX_ROWS:
        raise ValueError(f"{op}: a device's index holds at most {MAX_ROWS} vectors, got {codes.n}")
    put, nq = Put(device, stream), len(operand)
    scores = DeviceArray.empty((nq, k), np.float32, device, stream)
    found = DeviceArray.empty((nq, k), np.int64, device, stream)
    request = library.Scan(codes=codes, ids=put(ids), allow=put(allow), scale=put.factor(scale), bias=put.factor(bias), k=k)
    request.stream = stream
    arguments = OPERANDS[op](put, operand, *options)
    request.constant = put(constant)
    request.nq, request.scores, request.found = nq, scores.pointer, found.pointer
    with library.on(device):  # whose kind says how much is needed
        needed = getattr(library.load(), f"vp_cuda_{op}_operand")(ctypes.byref(request), *arguments[1:])
        least, most = ctypes.c_size_t(), ctypes.c_size_t()
        call("scan_workspace", codes.n, nq, k, needed, ctypes.byref(least), ctypes.byref(most))
        nbytes = max(least.value, min(most.value, workspace_limit()))
        memory = scratch.take(nbytes, device, stream)
        request.workspace, request.workspace_bytes = memory.pointer, nbytes
        call(op, ctypes.byref(request), *arguments)
    scratch.give(memory, stream)
    for result in (scores, found):  # until the results are taken, what makes them is there
        result.owner = result.owner, put.kept
    return scores, found
