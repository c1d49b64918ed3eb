"""Product quantizer codes to vectors, on the device."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles

TABLE = {80: Tile({"ROWS": 16, "COLUMNS": 128})}


@triton.jit
def _decode_pq(
    out, codes, codebooks, n, m, dsub, stride, d, KS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (rows < n)[:, None] & (columns < d)[None, :]
    j = columns // dsub
    if KS == 16:
        bytes_ = tl.load(codes + (rows[:, None] * stride + (j // 2)[None, :]), mask=mask, other=0).to(tl.int64)
        labels = (bytes_ >> (4 * (j % 2))[None, :]) & 15
    else:
        labels = tl.load(codes + (rows[:, None] * stride + j[None, :]), mask=mask, other=0).to(tl.int64)
    places = (j[None, :] * KS + labels) * dsub + (columns - j * dsub)[None, :]
    values = tl.load(codebooks + places, mask=mask, other=0.0)
    tl.store(out + rows[:, None] * d + columns[None, :], values.to(out.dtype.element_ty), mask=mask)


def decode_pq(codes: torch.Tensor, codebooks: torch.Tensor, *, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """What codes of a product quantizer stand for.

    out[i] = codebooks[0, label 0] | ... | codebooks[m - 1, label m - 1], rounded to dtype

    Parameters
    ----------
    codes : as `encode_pq` makes them: uint8[n, m] for ks = 256, uint8[n, ceil(m / 2)] for ks = 16; rows may stand apart
    codebooks : float32[m, ks, dsub], ks 16 or 256
    dtype : torch.float32, float16 or bfloat16

    Returns
    -------
    dtype [n, m * dsub]

    Cost: a read of 4 dsub bytes a label from the L1 or L2 cache, and the write of the output, which bounds it where codebooks
    stay in L1.
    """
    if dtype not in FLOATS:
        raise TypeError(f"decode_pq: dtype expected float32, float16 or bfloat16, got {dtype}")
    codebooks = tensor("decode_pq", "codebooks", codebooks, torch.float32, (None, None, None))
    m, ks, dsub = codebooks.shape
    if ks not in (16, 256):
        raise ValueError(f"decode_pq: codebooks expected 16 or 256 on axis 1, got shape {tuple(codebooks.shape)}")
    codes = tensor(
        "decode_pq", "codes", codes, torch.uint8, (None, m if ks == 256 else (m + 1) // 2), like=codebooks, rows=True
    )
    n, d = len(codes), m * dsub
    out = torch.empty((n, d), dtype=dtype, device=codes.device)
    if out.numel():
        chosen = tile(TABLE, capability(codes.device))
        grid = (tiles(n, chosen.sizes["ROWS"]), tiles(d, chosen.sizes["COLUMNS"]))
        with on(codes.device):
            _decode_pq[grid](out, codes, codebooks, n, m, dsub, codes.stride(0), d, KS=ks, **chosen.launch)
    return out


def specs(capability: int) -> list[Spec]:
    sizes = {"n": "i32", "m": "i32", "dsub": "i32", "stride": "i32", "d": "i32"}
    types = {"out": "*fp32", "codes": "*u8", "codebooks": "*fp32", **sizes}
    aligned, chosen = ("out", "codes", "codebooks", "d"), tile(TABLE, capability)
    found = [Spec(f"decode_pq, {ks} centroids", _decode_pq, types, {"KS": ks}, aligned, chosen) for ks in (16, 256)]
    return [*found, Spec("decode_pq, half", _decode_pq, {**types, "out": "*fp16"}, {"KS": 256}, aligned, chosen)]
