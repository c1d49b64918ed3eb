"""Small whole numbers packed into bits on the device, and unpacked."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from vecpress.checks import check_choice
from vecpress.ops.pack_codes import BITS, packed_size

from .launch import Spec, Tile, capability, on, tensor, tile, tiles

TABLE = {80: Tile({"ROWS": 16, "COLUMNS": 128})}  # of one byte a number: a program has 128-byte lines of 16 rows


@triton.jit
def store_packed(out, there, first, labels, d, N_BITS: tl.constexpr):
    """Packs int32[ROWS, COLUMNS], 0 from column d on, which begin at column `first`, a multiple of 8.

    out : where each row's code begins, pointers [ROWS]; there : whether there is such a row
    """
    # planes are the binary digits of the number of bits, the highest first
    begin = tl.zeros((), tl.int64)
    begin = _store_plane(out, there, first, labels, d, begin, N_BITS, 8)
    begin = _store_plane(out, there, first, labels, d, begin, N_BITS, 4)
    begin = _store_plane(out, there, first, labels, d, begin, N_BITS, 2)
    _store_plane(out, there, first, labels, d, begin, N_BITS, 1)


@triton.jit
def _store_plane(out, there, first, labels, d, begin, N_BITS: tl.constexpr, WIDTH: tl.constexpr):
    """Packs one plane at byte `begin`, if N_BITS has it. Returns where the next one begins."""
    if N_BITS & WIDTH:
        PER: tl.constexpr = 8 // WIDTH
        BYTES: tl.constexpr = labels.shape[1] // PER
        size = (d * WIDTH + 7) // 8
        part = (labels >> (N_BITS & (WIDTH - 1))) & ((1 << WIDTH) - 1)
        if PER > 1:
            places = _places(tl.arange(0, PER), WIDTH)
            part = tl.sum(tl.reshape(part, (labels.shape[0], BYTES, PER)) << places[None, None, :], axis=2)
        at = first // PER + tl.arange(0, BYTES)
        tl.store(out[:, None] + (begin + at)[None, :], part.to(tl.uint8), mask=there[:, None] & (at < size)[None, :])
        begin += size
    return begin


@triton.jit
def _places(r, WIDTH: tl.constexpr):
    """How far number r of a byte stands from its lowest bit."""
    return r * 4 if WIDTH == 4 else (8 // WIDTH - 1 - r) * WIDTH


@triton.jit
def load_labels(codes, columns, mask, d, N_BITS: tl.constexpr):
    """int32[ROWS, COLUMNS]: the numbers at int64[COLUMNS] of codes that begin at pointers [ROWS]; 0 where `mask` is not."""
    labels, begin = tl.zeros(mask.shape, tl.int32), tl.zeros((), tl.int64)
    labels, begin = _load_plane(codes, columns, mask, d, labels, begin, N_BITS, 8)
    labels, begin = _load_plane(codes, columns, mask, d, labels, begin, N_BITS, 4)
    labels, begin = _load_plane(codes, columns, mask, d, labels, begin, N_BITS, 2)
    labels, begin = _load_plane(codes, columns, mask, d, labels, begin, N_BITS, 1)
    return labels


@triton.jit
def _load_plane(codes, columns, mask, d, labels, begin, N_BITS: tl.constexpr, WIDTH: tl.constexpr):
    if N_BITS & WIDTH:
        PER: tl.constexpr = 8 // WIDTH
        bytes_ = tl.load(codes[:, None] + (begin + columns // PER)[None, :], mask=mask, other=0).to(tl.int32)
        places = _places((columns % PER).to(tl.int32), WIDTH)
        labels = (labels << WIDTH) | ((bytes_ >> places[None, :]) & ((1 << WIDTH) - 1))
        begin += (d * WIDTH + 7) // 8
    return labels, begin


@triton.jit
def _pack_codes(out, labels, n, d, size, N_BITS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    first = tl.program_id(1).to(tl.int64) * COLUMNS
    columns = first + tl.arange(0, COLUMNS)
    mask = (rows < n)[:, None] & (columns < d)[None, :]
    found = tl.load(labels + rows[:, None] * d + columns[None, :], mask=mask, other=0).to(tl.int32)
    store_packed(out + rows * size, rows < n, first, found, d, N_BITS)


@triton.jit
def _unpack_codes(out, codes, n, d, stride, N_BITS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (rows < n)[:, None] & (columns < d)[None, :]
    found = load_labels(codes + rows * stride, columns, mask, d, N_BITS)
    tl.store(out + rows[:, None] * d + columns[None, :], found.to(tl.uint8), mask=mask)


def pack_codes(labels: torch.Tensor, n_bits: int) -> torch.Tensor:
    """Numbers below 2**n_bits to bytes, as `vecpress.ops.pack_codes` lays them out.

    Parameters
    ----------
    labels : uint8[n, d]; bits beyond the lowest n_bits are ignored
    n_bits : 1 to 8

    Returns
    -------
    uint8[n, packed_size(d, n_bits)]

    Cost: one pass over the labels, which memory bounds.
    """
    n_bits = check_choice("pack_codes", "n_bits", n_bits, BITS)
    labels = tensor("pack_codes", "labels", labels, torch.uint8, (None, None))
    n, d = labels.shape
    out = torch.empty((n, packed_size(d, n_bits)), dtype=torch.uint8, device=labels.device)
    if out.numel():
        chosen = tile(TABLE, capability(labels.device))
        grid = (tiles(n, chosen.sizes["ROWS"]), tiles(d, chosen.sizes["COLUMNS"]))
        with on(labels.device):
            _pack_codes[grid](out, labels, n, d, out.shape[1], N_BITS=n_bits, **chosen.launch)
    return out


def unpack_codes(codes: torch.Tensor, d: int, n_bits: int) -> torch.Tensor:
    """The labels uint8[n, d] of codes uint8[n, packed_size(d, n_bits)], whose rows may stand apart. Cost: one pass."""
    n_bits = check_choice("unpack_codes", "n_bits", n_bits, BITS)
    codes = tensor("unpack_codes", "codes", codes, torch.uint8, (None, packed_size(d, n_bits)), rows=True)
    n = len(codes)
    out = torch.empty((n, d), dtype=torch.uint8, device=codes.device)
    if out.numel():
        chosen = tile(TABLE, capability(codes.device))
        grid = (tiles(n, chosen.sizes["ROWS"]), tiles(d, chosen.sizes["COLUMNS"]))
        with on(codes.device):
            _unpack_codes[grid](out, codes, n, d, codes.stride(0), N_BITS=n_bits, **chosen.launch)
    return out


def specs(capability: int) -> list[Spec]:
    chosen, sizes = tile(TABLE, capability), {"n": "i32", "d": "i32"}
    packing = {"out": "*u8", "labels": "*u8", **sizes, "size": "i32"}
    unpacking = {"out": "*u8", "codes": "*u8", **sizes, "stride": "i32"}
    found = []
    for n_bits in (1, 2, 3, 4, 8):
        bits = {"N_BITS": n_bits}
        found.append(Spec(f"pack_codes, {n_bits} bits", _pack_codes, packing, bits, ("out", "labels", "d"), chosen))
        found.append(Spec(f"unpack_codes, {n_bits} bits", _unpack_codes, unpacking, bits, ("out", "codes", "d"), chosen))
    return found
