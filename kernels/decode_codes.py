"""Packed numbers of a few bits to what they stand for, on the device: bits, scalar quantizers, recurrent binary codes."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from vecpress.checks import check_choice
from vecpress.ops.pack_codes import BITS, packed_size

from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles
from .pack_codes import load_labels

TABLE = {80: Tile({"ROWS": 8, "COLUMNS": 256})}


@triton.jit
def _decode_codes(
    out, codes, levels, n, d, stride, N_BITS: tl.constexpr, OWN: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (rows < n)[:, None] & (columns < d)[None, :]
    places = load_labels(codes + rows * stride, columns, mask, d, N_BITS).to(tl.int64)
    if OWN:
        places += columns[None, :] * (1 << N_BITS)
    values = tl.load(levels + places, mask=mask, other=0.0)
    tl.store(out + rows[:, None] * d + columns[None, :], values.to(out.dtype.element_ty), mask=mask)


def decode_codes(
    codes: torch.Tensor, d: int, n_bits: int, levels: torch.Tensor, *, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """What the numbers that `vecpress.ops.pack_codes` packed stand for.

    out[i, t] = levels[label[i, t]], or levels[t, label[i, t]], rounded to dtype

    Parameters
    ----------
    codes : uint8[n, packed_size(d, n_bits)]; rows may stand apart, as in codes[:, head:]
    d : numbers of a row
    n_bits : 1 to 8
    levels : float32[2**n_bits], or float32[d, 2**n_bits] for levels of each dimension's own: those of `Sign` with its mean
    dtype : torch.float32, float16 or bfloat16

    Returns
    -------
    dtype [n, d]

    Cost: n d look-ups in a table that stays in the L1 cache; writing the output bounds it.
    """
    n_bits = check_choice("decode_codes", "n_bits", n_bits, BITS)
    if dtype not in FLOATS:
        raise TypeError(f"decode_codes: dtype expected float32, float16 or bfloat16, got {dtype}")
    codes = tensor("decode_codes", "codes", codes, torch.uint8, (None, packed_size(d, n_bits)), rows=True)
    own = isinstance(levels, torch.Tensor) and levels.dim() == 2
    shape = (d, 2**n_bits) if own else (2**n_bits,)
    levels = tensor("decode_codes", "levels", levels, torch.float32, shape, like=codes)
    n = len(codes)
    out = torch.empty((n, d), dtype=dtype, device=codes.device)
    if out.numel():
        chosen = tile(TABLE, capability(codes.device))
        grid = (tiles(n, chosen.sizes["ROWS"]), tiles(d, chosen.sizes["COLUMNS"]))
        with on(codes.device):
            _decode_codes[grid](out, codes, levels, n, d, codes.stride(0), N_BITS=n_bits, OWN=own, **chosen.launch)
    return out


def specs(capability: int) -> list[Spec]:
    types = {"out": "*fp32", "codes": "*u8", "levels": "*fp32", "n": "i32", "d": "i32", "stride": "i32"}
    aligned, chosen = ("out", "codes", "levels", "d"), tile(TABLE, capability)
    found = []
    for n_bits, own in ((1, True), (1, False), (2, False), (3, False), (4, False), (8, True)):
        name = f"decode_codes, {n_bits} bits" + (", own levels" if own else "")
        found.append(Spec(name, _decode_codes, types, {"N_BITS": n_bits, "OWN": own}, aligned, chosen, ("STG.E.128",)))
    half = {**types, "out": "*bf16"}
    found.append(Spec("decode_codes, 2 bits, half", _decode_codes, half, {"N_BITS": 2, "OWN": False}, aligned, chosen))
    return found
