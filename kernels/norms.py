"""Euclidean norms on the device, in the definition's order."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles

TABLE = {80: Tile({"ROWS": 64})}


@triton.jit
def by_lanes(lanes):
    """float64[ROWS] of lanes float64[ROWS, 8]: ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7))."""
    four = _halves(lanes, 4)
    return tl.sum(_halves(four, 2), axis=1)  # of two: their sum has one order


@triton.jit
def _halves(lanes, HALF: tl.constexpr):
    """The first HALF columns plus the others, as float64[ROWS, HALF]."""
    # a sum of two terms, which has one order
    return tl.sum(tl.reshape(lanes, (lanes.shape[0], 2, HALF)), axis=1)


@triton.jit
def squares_by_lanes(x, starts, there, d):
    """float64[ROWS, 8]: lane l sums x[starts + t]^2 for t = l, l + 8, ..., in order."""
    lanes = tl.zeros((starts.shape[0], 8), tl.float64)
    columns = tl.arange(0, 8)
    for t in range(0, d, 8):
        mask = there[:, None] & (columns + t < d)[None, :]
        values = tl.load(x + (starts[:, None] + (columns + t)[None, :]), mask=mask, other=0.0).to(tl.float64)
        lanes += values * values  # exact, so it does not matter whether the two are fused
    return lanes


@triton.jit
def _norms(out, x, n, d, ROWS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    total = by_lanes(squares_by_lanes(x, rows * d, rows < n, d))
    tl.store(out + rows, tl.sqrt(total).to(tl.float32), mask=rows < n)


def norms(x: torch.Tensor) -> torch.Tensor:
    """The Euclidean norm of each row, summed by lanes of every eighth column in float64; as `vecpress.ops.norms`.

    x : float32, float16 or bfloat16 [n, d] -> float32[n]. Cost: one pass over x.
    """
    x = tensor("norms", "x", x, list(FLOATS), (None, None))
    n, d = x.shape
    out = torch.empty((n,), dtype=torch.float32, device=x.device)
    if n:
        chosen = tile(TABLE, capability(x.device))
        with on(x.device):
            _norms[(tiles(n, chosen.sizes["ROWS"]),)](out, x, n, d, **chosen.launch)
    return out


def specs(capability: int) -> list[Spec]:
    types = {"out": "*fp32", "x": "*fp32", "n": "i32", "d": "i32"}
    return [Spec("norms", _norms, types, {}, ("out", "x", "d"), tile(TABLE, capability), ("DFMA", "DMUL"))]
