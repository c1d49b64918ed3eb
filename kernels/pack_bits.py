"""Binarisation on the device: compare with a threshold and pack the bits."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl

from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles

TABLE = {80: Tile({"ROWS": 8, "BYTES": 32}, warps=4), 90: Tile({"ROWS": 16, "BYTES": 32}, warps=4)}


@triton.jit
def _pack_bits(out, first, x, thresholds, n, d, largest, WITHIN: tl.constexpr, ROWS: tl.constexpr, BYTES: tl.constexpr):
    size = (d + 7) // 8
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    bytes_ = tl.program_id(1).to(tl.int64) * BYTES + tl.arange(0, BYTES)
    places = tl.arange(0, 8)
    columns = bytes_[:, None] * 8 + places[None, :]
    there = columns < d
    # what is beyond the last column compares with infinity, and gives 0
    limits = tl.load(thresholds + columns, mask=there, other=float("inf"))
    inside = (rows < n)[:, None, None] & there[None, :, :]
    values = tl.load(x + rows[:, None, None] * d + columns[None, :, :], mask=inside, other=0.0).to(tl.float32)
    ones = (values > limits[None, :, :]).to(tl.int32) << (7 - places)[None, None, :]
    where = rows[:, None] * size + bytes_[None, :]
    tl.store(out + where, tl.sum(ones, axis=2).to(tl.uint8), mask=(rows < n)[:, None] & (bytes_ < size)[None, :])
    if WITHIN:
        beyond = ((tl.abs(values) <= largest) == 0) & inside  # so that a NaN counts
        bad = tl.min(tl.min(tl.where(beyond, rows[:, None, None], n), axis=2), axis=1)
        bad = tl.min(bad, axis=0)
        tl.atomic_min(first, bad, mask=bad < n)


def pack_bits(x: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """One bit a value: 1 where x > threshold, else 0, also for NaN; as `vecpress.ops.pack_bits`.

    Parameters
    ----------
    x : float32, float16 or bfloat16 [n, d]
    thresholds : float32[d]

    Returns
    -------
    uint8[n, ceil(d / 8)] : dimension 8 b + r is bit 7 - r of byte b; the last byte's rest is 0

    Cost: one pass over x, which memory bounds.
    """
    return _run(x, thresholds, math.inf, False)[0]


def pack_bits_within(x: torch.Tensor, thresholds: torch.Tensor, largest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """`pack_bits`, and whether the values are such as are allowed, in the same pass; as `vecpress.ops.pack_bits_within`.

    largest : the largest magnitude that is allowed, rounded to float32

    Returns
    -------
    bits uint8[n, ceil(d / 8)]
    first int64[1] : the first row with a NaN or a magnitude beyond `largest`, n where there is none. On the device, as reading
        it waits for the device
    """
    return _run(x, thresholds, largest, True)


def _run(x: torch.Tensor, thresholds: torch.Tensor, largest: float, within: bool) -> tuple[torch.Tensor, torch.Tensor]:
    x = tensor("pack_bits", "x", x, list(FLOATS), (None, None))
    n, d = x.shape
    thresholds = tensor("pack_bits", "thresholds", thresholds, torch.float32, (d,), like=x)
    out = torch.empty((n, (d + 7) // 8), dtype=torch.uint8, device=x.device)
    first = torch.full((1,), n, dtype=torch.int64, device=x.device) if within else out  # `out` in its place is not touched
    if out.numel():
        sizes = tile(TABLE, capability(x.device))
        grid = (tiles(n, sizes.sizes["ROWS"]), tiles(out.shape[1], sizes.sizes["BYTES"]))
        with on(x.device):
            _pack_bits[grid](out, first, x, thresholds, n, d, float(largest), WITHIN=within, **sizes.launch)
    return out, first


def specs(capability: int) -> list[Spec]:
    types = {"out": "*u8", "first": "*i64", "x": "*fp32", "thresholds": "*fp32", "n": "i32", "d": "i32", "largest": "fp32"}
    aligned = ("out", "first", "x", "thresholds", "d")
    chosen = tile(TABLE, capability)
    return [
        Spec("pack_bits", _pack_bits, {**types, "first": "*u8"}, {"WITHIN": False}, aligned, chosen, ("LDG.E.128",)),
        Spec("pack_bits, half", _pack_bits, {**types, "x": "*bf16", "first": "*u8"}, {"WITHIN": False}, aligned, chosen),
        Spec("pack_bits, within", _pack_bits, types, {"WITHIN": True}, aligned, chosen, ("LDG.E.128",)),
    ]
