"""Product quantizer encoding on the device: the nearest centroid of every sub-vector, packed into bytes."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from .chains import nearest, squared_distances, tile_columns, tile_rows
from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles

# by centroids. A program writes 16 bytes of a row, so that no write has less than half a sector
TABLES = {
    256: {80: Tile({"ROWS": 8, "COLUMNS": 8, "GROUPS": 32, "THREADS": 128, "BYTES": 16})},
    16: {80: Tile({"ROWS": 4, "COLUMNS": 4, "GROUPS": 4, "THREADS": 128, "BYTES": 16})},
}


@triton.jit
def _encode_pq(
    out, x, codebooks, n, m, dsub, size, KS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, GROUPS: tl.constexpr, THREADS: tl.constexpr, BYTES: tl.constexpr,
):  # fmt: skip
    PER: tl.constexpr = 2 if KS == 16 else 1
    COUNT: tl.constexpr = ROWS * THREADS // GROUPS
    first = tl.program_id(0).to(tl.int64) * COUNT
    begin = tl.program_id(1).to(tl.int64) * BYTES
    starts = tile_rows(first, ROWS, GROUPS, THREADS) * m * dsub
    rows_there = tile_rows(first, ROWS, GROUPS, THREADS) < n
    columns = tile_columns(0, COLUMNS, GROUPS, THREADS)  # all the centroids of a sub-vector
    slots = tl.arange(0, BYTES)
    packed = tl.zeros((COUNT, BYTES), tl.int32)
    for g in range(BYTES * PER):
        j = begin * PER + g
        if j < m:
            places = j * dsub * KS + columns
            total = squared_distances(x, starts + j * dsub, rows_there, codebooks, places, columns < KS, KS, dsub)
            label = nearest(total, columns, columns < KS, GROUPS)[1]
            packed |= tl.where((slots == g // PER)[None, :], (label << (4 * (g % PER)))[:, None], 0)
    rows, bytes_ = first + tl.arange(0, COUNT), begin + slots
    mask = (rows < n)[:, None] & (bytes_ < size)[None, :]
    tl.store(out + (rows[:, None] * size + bytes_[None, :]), packed.to(tl.uint8), mask=mask)


def encode_pq(x: torch.Tensor, codebooks: torch.Tensor, *, by_column: bool = False) -> torch.Tensor:
    """Codes of x under a product quantizer; as `vecpress.ops.encode_pq`, every distance by its definition.

    Parameters
    ----------
    x : float32, float16 or bfloat16 [n, m * dsub]
    codebooks : float32[m, ks, dsub], ks 16 or 256
    by_column : codebooks are float32[m, dsub, ks], which saves turning them around

    Returns
    -------
    uint8[n, m] for ks = 256: one byte a label.
    uint8[n, ceil(m / 2)] for ks = 16: label 2 b in the low half of byte b, label 2 b + 1 in the high half, 0 where m ends.

    Cost: n ks m dsub subtractions and fused multiply-adds, and about 5 instructions a distance for the smallest; no tensor
    cores: at dsub up to 16 the search for the smallest bounds it as much as the sums do.
    Source: Jegou, Douze, Schmid, "Product quantization for nearest neighbor search", PAMI 2011, section II.
    """
    codebooks = tensor("encode_pq", "codebooks", codebooks, torch.float32, (None, None, None))
    m, ks, dsub = codebooks.shape
    if by_column:
        ks, dsub = dsub, ks
    if ks not in TABLES:
        raise ValueError(f"encode_pq: codebooks expected 16 or 256 on axis {1 + by_column}, got shape {tuple(codebooks.shape)}")
    x = tensor("encode_pq", "x", x, list(FLOATS), (None, m * dsub), like=codebooks)
    turned = codebooks if by_column else codebooks.transpose(1, 2).contiguous()
    n = len(x)
    out = torch.empty((n, m if ks == 256 else (m + 1) // 2), dtype=torch.uint8, device=x.device)
    if out.numel():
        chosen = tile(TABLES[ks], capability(x.device))
        sizes = chosen.sizes
        grid = (tiles(n, sizes["ROWS"] * sizes["THREADS"] // sizes["GROUPS"]), tiles(out.shape[1], sizes["BYTES"]))
        with on(x.device):
            _encode_pq[grid](out, x, turned, n, m, dsub, out.shape[1], KS=ks, **chosen.launch)
    return out


def specs(capability: int) -> list[Spec]:
    sizes = {"n": "i32", "m": "i32", "dsub": "i32", "size": "i32"}
    types = {"out": "*u8", "x": "*fp32", "codebooks": "*fp32", **sizes}
    return [
        Spec(f"encode_pq, {ks} centroids", _encode_pq, types, {"KS": ks}, ("out", "x", "codebooks"),
             tile(table, capability), ("FFMA",))
        for ks, table in TABLES.items()
    ]  # fmt: skip
