"""The backend "cuda": operations on NumPy arrays run on a device, where it is forced; indexes there do without these copies."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any

import numpy as np

from .. import dispatch
from ..ops.blocks import Blocks
from . import library, rows, scans
from .blocks import DeviceBlocks

RANK = -1  # below the reference: arrays on the host are never taken to a device unasked
GROUPS = {"flat": 0}  # where the option stands that says in what groups bytes lie; 1 for the others
# results that an operation writes, where more than one
OUTPUTS = {
    "assign": 2, "beam_step": 2, "encode_grid": 2, "encode_sq": 2, "encode_trellis": 2, "pack_bits": 2, "search_labels": 3,
}  # fmt: skip
SHAPES = {
    "beam_step": (1,),
    "label_sums": (0,),
    "search_labels": (1,),
    "unpack_codes": (1,),
}  # axes of the result whose lengths no operand says: arguments behind the others

device: ContextVar[int] = ContextVar("device", default=0)  # where row operations run


def register() -> None:
    """Tells the dispatcher of the backend and of every operation that it has."""
    dispatch.register_backend("cuda", RANK, library.why_not)
    for op in scans.OPERANDS:
        dispatch.register(op, "cuda", functools.partial(_scan, op))
    for op in rows.ROWS:
        dispatch.register(op, "cuda", functools.partial(_rows, op))
    for op in ("get_rows", "put_rows"):  # of the host's blocks, whatever scans them
        dispatch.register(op, "cuda", functools.partial(dispatch.run_on, "scalar", op))


def _scan(op: str, scores: np.ndarray, found: np.ndarray, data: np.ndarray, layout: Any, operand: np.ndarray, *rest: Any) -> None:
    """A scan as kernels of the processor are called: every array is copied to the device, and the results back."""
    *options, ids, allow, scale, bias, constant, _ = rest
    n, code_size, head, stride = layout
    group = options[GROUPS[op]] if op in GROUPS else 1
    codes = Blocks(data, n, stride, head, group, stride).rows(np.arange(n))
    blocks = DeviceBlocks.put_all(codes, head, group).prefix(code_size, head)
    scores[:], found[:] = blocks.scan(op, operand, tuple(options), scores.shape[1], ids, allow, scale, bias, constant)


def _rows(op: str, *args: Any) -> None:
    """A row operation as kernels of the processor are called: outputs, inputs, number of threads."""
    count = OUTPUTS.get(op, 1)
    outputs, inputs = args[:count], args[count:-1]
    more = tuple(outputs[0].shape[axis] for axis in SHAPES.get(op, ()))
    made = rows.ROWS[op](*inputs, *more, device=device.get())
    for out, array in zip(outputs, made if isinstance(made, tuple) else (made,), strict=True):
        out[...] = array.numpy()
