"""Matrix product on the device in the definition's order: the same bits as on the CPU, alone and in a batch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from .chains import products, tile_columns, tile_rows
from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles

TABLE = {80: Tile({"ROWS": 8, "COLUMNS": 8, "GROUPS": 16, "THREADS": 128})}
FEW = {80: Tile({"ROWS": 1, "COLUMNS": 4, "GROUPS": 4, "THREADS": 128})}  # columns


@triton.jit
def _project(
    out, x, matrix, offset, n, d, p, OFFSET: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, GROUPS: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    rows = tile_rows(tl.program_id(0).to(tl.int64) * (ROWS * THREADS // GROUPS), ROWS, GROUPS, THREADS)
    columns = tile_columns(tl.program_id(1).to(tl.int64) * (COLUMNS * GROUPS), COLUMNS, GROUPS, THREADS)
    if OFFSET:
        begin = tl.load(offset + columns, mask=columns < p, other=0.0)
        total = tl.broadcast_to(begin[None, :, :], (ROWS, COLUMNS, THREADS))
    else:
        total = tl.zeros((ROWS, COLUMNS, THREADS), tl.float32)
    total = products(x, rows * d, rows < n, matrix, columns, columns < p, p, d, total)
    tl.store(out + (rows[:, None, :] * p + columns[None, :, :]), total, mask=(rows < n)[:, None, :] & (columns < p)[None, :, :])


def project(x: torch.Tensor, matrix: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
    """x @ matrix + offset, accumulated along d in order; as `vecpress.ops.project`.

    Parameters
    ----------
    x : float32, float16 or bfloat16 [n, d]
    matrix : float32[d, p]
    offset : float32[p], 0 if None

    Returns
    -------
    float32[n, p]

    Cost: n d p fused multiply-adds on CUDA cores. Tensor cores are not used: their order of summation is not the definition's,
    and codes must not depend on the machine. Where they may, `torch.addmm` is several times faster.
    """
    x = tensor("project", "x", x, list(FLOATS), (None, None))
    n, d = x.shape
    matrix = tensor("project", "matrix", matrix, torch.float32, (d, None), like=x)
    p = matrix.shape[1]
    if offset is not None:
        offset = tensor("project", "offset", offset, torch.float32, (p,), like=x)
    out = torch.empty((n, p), dtype=torch.float32, device=x.device)
    if out.numel():
        chosen = tile(FEW if p <= 16 else TABLE, capability(x.device))
        sizes = chosen.sizes
        grid = (tiles(n, sizes["ROWS"] * sizes["THREADS"] // sizes["GROUPS"]), tiles(p, sizes["COLUMNS"] * sizes["GROUPS"]))
        given = matrix if offset is None else offset
        with on(x.device):
            _project[grid](out, x, matrix, given, n, d, p, OFFSET=offset is not None, **chosen.launch)
    return out


def specs(capability: int) -> list[Spec]:
    types = {"out": "*fp32", "x": "*fp32", "matrix": "*fp32", "offset": "*fp32", "n": "i32", "d": "i32", "p": "i32"}
    aligned = ("out", "x", "matrix", "offset", "d", "p")
    many, few = tile(TABLE, capability), tile(FEW, capability)
    return [
        Spec("project", _project, types, {"OFFSET": True}, aligned, many, ("FFMA",)),
        Spec("project, few columns", _project, types, {"OFFSET": False}, aligned[:-1], few, ("FFMA",)),
    ]
