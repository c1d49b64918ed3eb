"""Sums of the rows that have the same label, on the device, in the order of the rows; and k-means' move of the centroids."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from vecpress.checks import check_int

from .launch import FLOATS, Spec, Tile, capability, on, tensor, tile, tiles

TABLE = {80: Tile({"COLUMNS": 128, "AHEAD": 8}, warps=1)}


@triton.jit
def _label_sums(out, x, order, bounds, d, COLUMNS: tl.constexpr, AHEAD: tl.constexpr):
    label = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    begin, end = tl.load(bounds + label), tl.load(bounds + (label + 1))
    total = tl.zeros((COLUMNS,), tl.float64)
    for i in range(begin, end, AHEAD):
        # unrolled, so that rows are asked for together and added one after the other
        for u in tl.static_range(AHEAD):
            row = tl.load(order + tl.minimum(i + u, end - 1))
            mask = (columns < d) & (tl.zeros((COLUMNS,), tl.int64) + (i + u) < end)
            # a zero for a row that is not there changes no sum: none is -0, as they begin with 0
            total += tl.load(x + (row * d + columns), mask=mask, other=0.0).to(tl.float64)
    tl.store(out + (label * d + columns), total, mask=columns < d)


def label_sums(x: torch.Tensor, labels: torch.Tensor, k: int) -> torch.Tensor:
    """The sum of the rows of each label, in float64, in order; as `vecpress.ops.label_sums`.

    Parameters
    ----------
    x : float32, float16 or bfloat16 [n, d]
    labels : int32[n]; rows with a label that is not in 0 .. k - 1 count for nothing, as checking them would wait for the device
    k : labels there are, at least 1

    Returns
    -------
    float64[k, d] : 0 where no row has the label

    Cost: a stable sort of the labels, one pass over x. Each label's rows are added by one program, in order, so results do not
    depend on how programs interleave; nothing is added atomically. One label that has most rows makes that slow.
    """
    return _sums(x, labels, k)[0]


def _sums(x: torch.Tensor, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`label_sums`, and int64[k], the rows of each label."""
    x = tensor("label_sums", "x", x, list(FLOATS), (None, None))
    n, d = x.shape
    labels = tensor("label_sums", "labels", labels, torch.int32, (n,), like=x)
    k = check_int("label_sums", "k", k, 1)
    ordered, order = torch.sort(labels, stable=True)
    bounds = torch.searchsorted(ordered, torch.arange(k + 1, dtype=torch.int32, device=x.device))
    out = torch.empty((k, d), dtype=torch.float64, device=x.device)
    if d:
        chosen = tile(TABLE, capability(x.device))
        with on(x.device):
            _label_sums[(k, tiles(d, chosen.sizes["COLUMNS"]))](out, x, order, bounds, d, **chosen.launch)
    return out, bounds[1:] - bounds[:-1]


def moved(x: torch.Tensor, labels: torch.Tensor, distances: torch.Tensor, k: int) -> torch.Tensor:
    """float32[k, d]: the centroids after one of Lloyd's moves; as `vecpress.kmeans.moved`.

    Every centroid moves to the mean of its rows; those without rows to the rows farthest from their centroids, the first one to
    the farthest of all.

    x : float32, float16 or bfloat16 [n, d], n at least 1; labels int32[n] and distances float32[n] : as of `assign`
    """
    sums, count = _sums(x, labels, k)
    n = len(x)
    if not n:
        raise ValueError("moved: x expected at least one row, got none")
    distances = tensor("moved", "distances", distances, torch.float32, (n,), like=x)
    centroids = (sums / count.clamp(min=1)[:, None]).float()
    unused = count == 0
    rank = torch.cumsum(unused, 0) - 1  # of those without rows
    farthest = torch.sort(-distances, stable=True).indices
    # over again where there are more than rows; the others' ranks are not used
    chosen = farthest[rank.clamp(min=0) % n]
    return torch.where(unused[:, None], x[chosen].float(), centroids)


def specs(capability: int) -> list[Spec]:
    types = {"out": "*fp64", "x": "*fp32", "order": "*i64", "bounds": "*i64", "d": "i32"}
    return [Spec("label_sums", _label_sums, types, {}, ("out", "x", "order", "bounds", "d"), tile(TABLE, capability), ("DADD",))]
