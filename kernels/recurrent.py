"""Recurrent binary codes made on the device: matrix products, and after each a kernel that takes signs, sums and packs them."""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl

from vecpress.arrays import LONG
from vecpress.arrays import SHORT as SHORT_ROW
from vecpress.codecs.recurrentbinary import LONGEST, RecurrentBinary
from vecpress.ops.factors import U2_LARGEST
from vecpress.recurrent import grid_levels
from vecpress.scales import SHORT

from .encode_grid import grid_labels
from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles
from .norms import by_lanes, norms, squares_by_lanes
from .pack_codes import pack_codes, store_packed
from .project import project

TABLE = {80: Tile({"ROWS": 16, "COLUMNS": 64})}
RESIDUAL = {80: Tile({"ROWS": 16, "COLUMNS": 64})}
Block = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@triton.jit
def _signs(
    labels, total, codes, z, more, n, m, stride, weight, FIRST: tl.constexpr, LAST: tl.constexpr, MORE: tl.constexpr,
    N_BITS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    first = tl.program_id(1).to(tl.int64) * COLUMNS
    columns = first + tl.arange(0, COLUMNS)
    mask = (rows < n)[:, None] & (columns < m)[None, :]
    at = rows[:, None] * m + columns[None, :]
    values = tl.load(z + at, mask=mask, other=0.0)
    if MORE:
        values += tl.load(more + at, mask=mask, other=0.0)
    above = values > 0
    label = above.to(tl.int32)
    added = tl.where(above, weight, -weight)
    if not FIRST:
        label |= tl.load(labels + at, mask=mask, other=0).to(tl.int32) << 1
    tl.store(labels + at, label.to(tl.uint8), mask=mask)
    if LAST:
        store_packed(codes + rows * stride, rows < n, first, label, m, N_BITS)
    else:
        if not FIRST:
            added += tl.load(total + at, mask=mask, other=0.0)
        tl.store(total + at, added, mask=mask)


@triton.jit
def _left_over(out, f, back, n, d, UNIT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    there = rows < n
    length = tl.full((ROWS,), 1.0, tl.float32)
    if UNIT:
        length = tl.maximum(tl.sqrt(by_lanes(squares_by_lanes(back, rows * d, there, d))).to(tl.float32), 1e-12)
    for t in range(0, d, COLUMNS):
        columns = t + tl.arange(0, COLUMNS).to(tl.int64)
        mask = there[:, None] & (columns < d)[None, :]
        at = rows[:, None] * d + columns[None, :]
        values = tl.load(back + at, mask=mask, other=0.0)
        if UNIT:
            values = tl.div_rn(values, tl.broadcast_to(length[:, None], values.shape))
        tl.store(out + at, tl.load(f + at, mask=mask, other=0.0) - values, mask=mask)


class RecurrentEncoder:
    """Codes of `vecpress.RecurrentBinary` from tensors on the device.

    codec : fitted
    device : where its learned arrays are put, once: "cuda", "cuda:1", ...
    exact : products are summed in the order of `vecpress.ops.project` on CUDA cores, and codes are those of `codec.encode`, bit
        for bit. False: by `torch.addmm`, on tensor cores where torch is allowed tf32: several times sooner by their arithmetic.
        A sign whose argument is within rounding of 0 may then be another than on the CPU, and so may those that build on it

    Cost: (2 u + 1) blocks of products, as `vecpress.RecurrentBinary` says; beside them a pass over m numbers a round.
    """

    def __init__(self, codec: RecurrentBinary, device: str | torch.device = "cuda", *, exact: bool = True):
        if not isinstance(codec, RecurrentBinary):
            raise TypeError(f"RecurrentEncoder: codec expected a RecurrentBinary, got {type(codec).__name__}")
        codec.check_fitted()
        self.codec, self.exact, self.device = codec, bool(exact), torch.device(device)
        network = codec.network
        self._maps = [self._block(network.maps, i) for i in range(network.rounds + 1)]
        self._backs = [self._block(network.backs, i) for i in range(network.rounds)]
        self._unit = network.unit
        self._mean, self._axis, self._decoder = (self._put(a) for a in (codec.mean_, codec.axis_, codec.decoder_))
        self._levels = self._put(grid_levels(codec.u))
        scales, means = codec.scales_.astype(np.float64), codec.means_.astype(np.float64)
        self._between_scales = self._put(np.sqrt(scales[1:] * scales[:-1]))  # as `scales.store_scales` has them
        self._between_means = self._put((means[1:] + means[:-1]) / 2)
        self._scales, self._length_unit = self._put(codec.scales_), self._put(codec.unit_)

    def _put(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.device)

    def _block(self, arrays: tuple[np.ndarray, ...], i: int) -> Block:
        skip, bias, inward, inward_bias, outward = (self._put(a[i]) for a in arrays)
        return skip, bias, inward, inward_bias, outward

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """uint8[n, code_size] of rows float32, float16 or bfloat16 [n, d].

        Rows must be finite and of magnitudes that the codec accepts: `pack_bits_within` finds those that are not; looking here
        would wait for the device.
        """
        codec = self.codec
        x = tensor("RecurrentEncoder", "x", x, list(FLOATS), (None, codec.dim), like=self._mean).float()
        if codec.metric == "cos":
            x = _unit_rows(x)
        t, y, f = self._split(x)
        codes = torch.empty((len(x), codec.code_size), dtype=torch.uint8, device=x.device)
        labels = self._labels(f, codes)
        head = self._head(t, y, labels)
        if head:
            codes[:, : codec.head] = torch.cat(head, dim=1)
        return codes

    def labels(self, f: torch.Tensor) -> torch.Tensor:
        """uint8[n, m] of f float32[n, d], as `codec.labels`."""
        codec = self.codec
        f = tensor("RecurrentEncoder", "f", f, torch.float32, (None, codec.dim), like=self._mean)
        return self._labels(f, torch.empty((len(f), codec.code_size), dtype=torch.uint8, device=f.device))

    def _labels(self, f: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """The labels, and the numbers packed behind the head of `codes`."""
        codec = self.codec
        if codec.rounds != codec.u:
            skip, bias = self._maps[0][:2]
            labels = grid_labels(self._product(f, skip, bias), codec.u + 1)
            codes[:, codec.head :] = pack_codes(labels, codec.u + 1)
            return labels
        n, m = len(f), codec.m
        labels = torch.empty((n, m), dtype=torch.uint8, device=f.device)
        total = torch.empty((n, m) if codec.u else (0, 0), dtype=torch.float32, device=f.device)
        rows = f
        for i in range(codec.u + 1):
            if i:
                back, more = self._apply(self._backs[i - 1], total)
                rows = _remainder(f, back if more is None else back + more, self._unit)
            z, more = self._apply(self._maps[i], rows)
            _launch_signs(labels, total, codes[:, codec.head :], z, more, 2.0**-i, i == 0, i == codec.u, codec.u + 1)
        return labels

    def _product(self, x: torch.Tensor, matrix: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
        if self.exact:
            return project(x, matrix, offset)
        return x @ matrix if offset is None else torch.addmm(offset, x, matrix)

    def _apply(self, block: Block, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A block of the network, as `vecpress.recurrent.Network` has it; the second tensor, if any, is still to be added."""
        skip, bias, inward, inward_bias, outward = block
        if not inward.shape[1]:
            return self._product(x, skip, bias), None
        hidden = self._product(x, inward, inward_bias).relu_()
        return self._product(hidden, outward, bias), self._product(x, skip) if skip.shape[0] else None

    def _split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As `vecpress.recurrentfit.split`."""
        t, y = torch.zeros(len(x), dtype=torch.float32, device=x.device), x
        if self.codec.recipe != "bebr":
            y = x - self._mean
            t = self._product(y, self._axis[:, None])[:, 0]
            y = y - t[:, None] * self._axis
        lengths = norms(y)
        scale = torch.where(lengths >= SHORT, 1 / lengths.clamp(min=SHORT), torch.zeros_like(lengths))
        return t, y, y * scale[:, None]

    def _head(self, t: torch.Tensor, y: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        """The bytes in front, as `RecurrentBinary._encode` makes them."""
        codec, head = self.codec, []
        if not codec.head:
            return []
        v = self._levels[labels.long()]
        if codec.recipe == "bebr":
            away, s = v, 1 / torch.sqrt(v.double().square().sum(dim=1))  # sums of whole multiples of one number: exact
        else:
            away = self._product(v, self._decoder)
            s = _scales(y, away)
        stored = torch.searchsorted(self._between_scales, s)
        if codec.metric == "l2":
            scaled = away * self._scales[stored][:, None]
            head.append(_to_u2(norms(scaled) / self._length_unit))
        if codec.metric != "l2" and codec.recipe != "bebr":
            head.append(torch.searchsorted(self._between_means, t.double())[:, None])
        if not (codec.recipe == "bebr" and codec.u == 0):
            head.append(stored[:, None])
        return [part.to(torch.uint8) for part in head]


def _launch_signs(
    labels: torch.Tensor, total: torch.Tensor, codes: torch.Tensor, z: torch.Tensor, more: torch.Tensor | None, weight: float,
    first: bool, last: bool, n_bits: int,
) -> None:  # fmt: skip
    """A round's signs: labels gets one bit more; total their sum or, in the last round, codes the packed numbers."""
    n, m = labels.shape
    if not n:
        return
    chosen = tile(TABLE, capability(z.device))
    grid = (tiles(n, chosen.sizes["ROWS"]), tiles(m, chosen.sizes["COLUMNS"]))
    with on(z.device):
        _signs[grid](
            labels, total, codes, z, z if more is None else more, n, m, codes.stride(0), weight, FIRST=first, LAST=last,
            MORE=more is not None, N_BITS=n_bits, **chosen.launch,
        )  # fmt: skip


def _remainder(f: torch.Tensor, back: torch.Tensor, unit: bool) -> torch.Tensor:
    """f minus rows float32[n, d], which are scaled to length 1 if `unit`."""
    out = torch.empty_like(f)
    if f.numel():
        chosen = tile(RESIDUAL, capability(f.device))
        with on(f.device):
            _left_over[(tiles(len(f), chosen.sizes["ROWS"]),)](out, f, back, *f.shape, UNIT=unit, **chosen.launch)
    return out


def _unit_rows(x: torch.Tensor) -> torch.Tensor:
    """As `vecpress.arrays.unit_rows`."""
    length = norms(x)
    extreme = ((length > LONG) | (length < SHORT_ROW)) & (length > 0)
    one = torch.ones_like(length)
    x = x * torch.where(extreme, torch.where(length > 1, one * 2.0**-64, one * 2.0**64), one)[:, None]
    length = norms(x)
    return x / torch.where(length > 0, length, one)[:, None]


def _scales(y: torch.Tensor, away: torch.Tensor) -> torch.Tensor:
    """float64[n]: s of `RecurrentBinary._scales`, for "rotation" and "improved"."""
    lengths, coded_lengths = norms(y).double(), norms(away).double()
    own, coded, apart = lengths.square(), coded_lengths.square(), norms(y - away).double().square()
    product = (own + coded - apart) / 2
    good = (product > 2.0**-20 * own) & (own > 0)
    found = torch.where(good, own, torch.zeros_like(own)) / torch.where(good, product, torch.ones_like(own))
    return torch.minimum(found, LONGEST * lengths / coded_lengths.clamp(min=SHORT))


def _to_u2(x: torch.Tensor) -> torch.Tensor:
    """int32[n, 2]: the bytes of `vecpress.ops.factors.to_u2`, of float32 of 0 or more."""
    bits = (x.clamp(max=U2_LARGEST) * 2.0**-96).view(torch.int32)
    short = (bits + 4095 + (bits >> 13 & 1)) >> 13
    return torch.stack((short & 255, short >> 8), dim=1)


def specs(capability: int) -> list[Spec]:
    chosen = tile(TABLE, capability)
    types = {
        "labels": "*u8", "total": "*fp32", "codes": "*u8", "z": "*fp32", "more": "*fp32", "n": "i32", "m": "i32",
        "stride": "i32", "weight": "fp32",
    }  # fmt: skip
    aligned = ("labels", "total", "z", "more", "m")
    found = [
        Spec(f"recurrent, {name}", _signs, types, {"FIRST": first, "LAST": last, "MORE": more, "N_BITS": n_bits}, aligned, chosen)
        for name, first, last, more, n_bits in (
            ("first", True, False, False, 2), ("middle", False, False, True, 3), ("last of 2 bits", False, True, False, 2),
            ("last of 3 bits", False, True, True, 3), ("only", True, True, False, 1),
        )
    ]  # fmt: skip
    left = {"out": "*fp32", "f": "*fp32", "back": "*fp32", "n": "i32", "d": "i32"}
    names, chosen = ("out", "f", "back", "d"), tile(RESIDUAL, capability)
    return [
        *found, Spec("recurrent, left over", _left_over, left, {"UNIT": False}, names, chosen),
        Spec("recurrent, left over of unit length", _left_over, left, {"UNIT": True}, names, chosen),
    ]  # fmt: skip
