"""Rows to the grid points that point most nearly in their direction, on the device."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from vecpress.checks import check_choice
from vecpress.ops.encode_grid import COARSE, COARSE_SMALL, FINE, NORMAL, SHORT, SMALL, STEPS
from vecpress.ops.pack_codes import BITS

from .launch import Spec, Tile, capability, on, tensor, tile, tiles
from .norms import by_lanes

TABLE = {80: Tile({"SCALES": 32, "DEPTH": 128}, warps=4)}  # at most 256 deep: products of a tile are summed in 32 bits
SUMS = {80: Tile({"ROWS": 32})}
LEAST: tl.constexpr = tl.constexpr(float(SHORT))
RANGE: tl.constexpr = tl.constexpr(float(STEPS))


@triton.jit
def _row(y, columns, d, scale):
    """int32[DEPTH]: a[t], the row's magnitudes in whole numbers; whether they are positive; whether they are there."""
    there = columns < d
    values = tl.load(y + columns, mask=there, other=0.0)
    return (tl.abs(values) * scale + 0.5).to(tl.int32), values > 0, there


@triton.jit
def _magnitudes(a, scales, N_BITS: tl.constexpr):
    return tl.minimum((a * scales >> (29 - N_BITS)) | 1, (1 << N_BITS) - 1)


@triton.jit
def _gains(y, d, scale, scales, N_BITS: tl.constexpr, DEPTH: tl.constexpr):
    """float64[SCALES]: the squared cosine at each scale, but for a factor that is the row's."""
    products, squares = tl.zeros(scales.shape, tl.int64), tl.zeros(scales.shape, tl.int64)
    for t in range(0, d, DEPTH):
        a, _, there = _row(y, t + tl.arange(0, DEPTH).to(tl.int64), d, scale)
        m = _magnitudes(a[None, :], scales[:, None], N_BITS)
        m = tl.where(there[None, :], m, 0)
        products += tl.sum(a[None, :] * m, axis=1).to(tl.int64)
        squares += tl.sum(m * m, axis=1).to(tl.int64)
    product = products.to(tl.float64)
    return product * product / tl.maximum(squares, 1).to(tl.float64)


@triton.jit
def _search(y, d, scale, low, high, count, best, most, N_BITS: tl.constexpr, SCALES: tl.constexpr, DEPTH: tl.constexpr):
    """The first scale of the largest gain among `count` from low to high, if that is above `most`, else `best`; and the gain."""
    for begin in range(0, count, SCALES):
        j = begin + tl.arange(0, SCALES)
        scales = low + j * (high - low) // (count - 1)
        gains = tl.where(j < count, _gains(y, d, scale, scales, N_BITS, DEPTH), -1.0)
        largest = tl.max(gains, axis=0)
        at = tl.min(tl.where(gains == largest, scales, 0x7FFFFFFF), axis=0)  # scales ascend: the first is the smallest
        best = tl.where(largest > most, at, best)
        most = tl.maximum(largest, most)
    return best, most


@triton.jit
def _encode_grid(
    labels, y, d, normal, count, fine, SMALL_ROW: tl.constexpr, N_BITS: tl.constexpr, SCALES: tl.constexpr, DEPTH: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64) * d
    y += row
    labels += row
    depths = tl.arange(0, DEPTH).to(tl.int64)
    largest = tl.zeros((), tl.float32)
    for t in range(0, d, DEPTH):
        values = tl.load(y + (depths + t), mask=depths + t < d, other=0.0)
        largest = tl.maximum(largest, tl.max(tl.abs(values), axis=0))
    scale = tl.div_rn(tl.full((), RANGE, tl.float32), tl.maximum(largest, LEAST))
    chosen = tl.zeros((), tl.int32)  # all magnitudes are 1
    if N_BITS > 1:
        if largest >= LEAST:
            low, high = tl.full((), 1, tl.int32), tl.full((), 65535, tl.int32)
            if not SMALL_ROW:
                total = tl.zeros((), tl.int64)
                for t in range(0, d, DEPTH):
                    a, _, there = _row(y, depths + t, d, scale)
                    wide = tl.where(there, a, 0).to(tl.int64)
                    total += tl.sum(wide * wide, axis=0)
                near = tl.load(normal) / tl.sqrt(total.to(tl.float64) / (tl.zeros((), tl.float64) + d))
                low = (0.75 * tl.minimum(near, 16384.0)).to(tl.int32)
                high = tl.minimum(tl.maximum(near, 16384.0) * 4.0 / 3.0, 65535.0).to(tl.int32)
            none = tl.full((), -1.0, tl.float64)
            first, most = _search(y, d, scale, low, high, count, chosen, none, N_BITS, SCALES, DEPTH)
            step = (high - low) // (count - 1)
            low, high = tl.maximum(first - step, 1), tl.minimum(first + step, 65535)
            chosen, most = _search(y, d, scale, low, high, fine, first, most, N_BITS, SCALES, DEPTH)
    for t in range(0, d, DEPTH):
        a, positive, there = _row(y, depths + t, d, scale)
        m = tl.full((DEPTH,), 1, tl.int32)
        if chosen > 0:
            m = _magnitudes(a, chosen, N_BITS)
        label = (tl.where(positive, m, -m) + ((1 << N_BITS) - 1)) >> 1
        tl.store(labels + (depths + t), label.to(tl.uint8), mask=there)


@triton.jit
def _grid_sums(sums, labels, y, along, n, d, N_BITS: tl.constexpr, ROWS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    there = rows < n
    lanes = tl.arange(0, 8).to(tl.int64)
    yy = tl.zeros((ROWS, 8), tl.float64)
    yg, yw, gw, gg = yy, yy, yy, yy
    for t in range(0, d, 8):
        columns = lanes + t
        mask = there[:, None] & (columns < d)[None, :]
        at = rows[:, None] * d + columns[None, :]
        values = tl.load(y + at, mask=mask, other=0.0).to(tl.float64)
        w = tl.load(along + columns, mask=columns < d, other=0.0).to(tl.float64)[None, :]
        doubled = 2 * tl.load(labels + at, mask=mask, other=0).to(tl.int32) - ((1 << N_BITS) - 1)
        point = tl.where(mask, 0.5 * doubled.to(tl.float64), 0.0)
        # all products are exact
        yy += values * values
        yg += values * point
        yw += values * w
        gw += point * w
        gg += point * point
    sums += rows * 5
    tl.store(sums, by_lanes(yy), mask=there)
    tl.store(sums + tl.full((ROWS,), 1, tl.int64), by_lanes(yg), mask=there)
    tl.store(sums + tl.full((ROWS,), 2, tl.int64), by_lanes(yw), mask=there)
    tl.store(sums + tl.full((ROWS,), 3, tl.int64), by_lanes(gw), mask=there)
    tl.store(sums + tl.full((ROWS,), 4, tl.int64), by_lanes(gg), mask=there)


def encode_grid(y: torch.Tensor, n_bits: int, along: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """For each row the grid point of the largest cosine with it; as `vecpress.ops.encode_grid`, which defines the search.

    Parameters
    ----------
    y : float32[n, d], finite, d at least 1
    n_bits : 1 to 8
    along : float32[d], a vector w that rows and points are multiplied with, zeros if None

    Returns
    -------
    labels uint8[n, d]
    sums float64[n, 5] : <y, y>, <y, g>, <y, w>, <g, w> and <g, g>

    Cost: a program a row, COARSE[n_bits] + 32 times d multiplications of whole numbers, of which the caches supply the row.
    """
    labels = grid_labels(y, n_bits)
    y = y.detach().contiguous()
    n, d = y.shape
    if along is None:
        along = torch.zeros(d, dtype=torch.float32, device=y.device)
    along = tensor("encode_grid", "along", along, torch.float32, (d,), like=y)
    sums = torch.empty((n, 5), dtype=torch.float64, device=y.device)
    if n:
        chosen = tile(SUMS, capability(y.device))
        with on(y.device):
            _grid_sums[(tiles(n, chosen.sizes["ROWS"]),)](sums, labels, y, along, n, d, N_BITS=n_bits, **chosen.launch)
    return labels, sums


def grid_labels(y: torch.Tensor, n_bits: int) -> torch.Tensor:
    """The labels of `encode_grid` alone."""
    y = tensor("encode_grid", "y", y, torch.float32, (None, None))
    n_bits = check_choice("encode_grid", "n_bits", n_bits, BITS)
    n, d = y.shape
    if d == 0:
        raise ValueError(f"encode_grid: y expected at least 1 column, got shape {tuple(y.shape)}")
    labels = torch.empty((n, d), dtype=torch.uint8, device=y.device)
    if n:
        small = d < SMALL
        count = COARSE_SMALL if small else COARSE.get(n_bits, 0)
        # as a tensor, for numbers that are passed to kernels become float32
        normal = torch.full((1,), NORMAL.get(n_bits, 0.0) * 2.0 ** (30 - n_bits), dtype=torch.float64, device=y.device)
        with on(y.device):
            _encode_grid[(n,)](
                labels, y, d, normal, count, FINE, SMALL_ROW=small, N_BITS=n_bits, **tile(TABLE, capability(y.device)).launch
            )
    return labels


def specs(capability: int) -> list[Spec]:
    types = {"labels": "*u8", "y": "*fp32", "d": "i32", "normal": "*fp64", "count": "i32", "fine": "i32"}
    aligned, chosen = ("labels", "y", "normal", "d", "count", "fine"), tile(TABLE, capability)
    found = [
        Spec(f"encode_grid, {n_bits} bits" + (", few columns" if small else ""), _encode_grid, types,
             {"SMALL_ROW": small, "N_BITS": n_bits}, tuple(a for a in aligned if not (small and a == "d")), chosen)
        for n_bits, small in ((1, False), (2, False), (4, True), (4, False), (8, False))
    ]  # fmt: skip
    sums = {"sums": "*fp64", "labels": "*u8", "y": "*fp32", "along": "*fp32", "n": "i32", "d": "i32"}
    return [
        *found,
        Spec("encode_grid, sums", _grid_sums, sums, {"N_BITS": 4}, ("sums", "labels", "y", "along", "d"), tile(SUMS, capability)),
    ]
