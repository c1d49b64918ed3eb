"""Nearest centroid of each row, on the device: by products on tensor cores, and by the definition where these do not decide.

Distances to a row's centroids differ as the scores s(c) = |c|^2 / 2 - <x, c> do. `_screen` finds for each row the two smallest
scores that tensor cores give, and the third. What is within a bound of the smallest can be the nearest: nothing but the first,
and `_settle` takes it; the first two, and it compares their distances by the definition; or more, and it puts the row on a
list, whose rows `_every` compares with every centroid by the definition. So labels and distances are those of
`vecpress.ops.assign`, bit for bit, whatever the precision of the products.

The bound, with C = the largest |c|, S = (|x| + C)^2, u = 2^-24, D(c) the exact squared distance, s'(c) the computed score:

1. Operands are rounded with relative errors of at most r: 2^-8 for bfloat16, 2^-10 for tf32, truncated or rounded. A sum of
   products is then off by at most (2 r + r^2) |x| |c|, by Cauchy and Schwarz, and |x| |c| <= S / 4. tf32x3 multiplies what is
   left over too, all but the product of the two rests and what rounding the rests to tf32 loses: below 2^-18 |x| |c| together.
2. A tensor core adds exact products, aligned to the largest and truncated, at 24 bits at least. So each of d terms, and each
   block of 4 or more of them, costs at most 2^-23 of the sum of magnitudes: (d + d / 4 + 1) 2^-23 |x| |c| in all, which is
   below (d + 8) 2^-22 S / 4; three such sums are below 3 (d + 8) 2^-24 S.
3. |c|^2 / 2 is rounded from float64, and the difference of the two once: at most 2 u S.
   So |s' - s| <= E = S ((2 r + r^2) / 4 + 3 (d + 8) 2^-24 + 2^-23).
4. The definition's distances are sums of d squares of rounded differences, with relative errors of at most g = (d + 3) u.
   Where c wins by it and c1 has the smallest s', D(c) (1 - g) <= D(c1) (1 + g), so D(c) - D(c1) <= 2.1 g S, and that is
   2 (s(c) - s(c1)): so s'(c) <= s'(c1) + 2 E + 1.05 g S.

The bound is S ((2 r + r^2) / 2 + (8 d + 64) 2^-24) 1.01 + (d + 4) 2^-120: the last for sums whose terms leave the normal
numbers, 1 % for rounding |x| and S. Where S is not finite, nothing is decided by products. Source for 2: Fasi, Higham,
Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ Computer Science 2021, which is about devices up to
Ampere; of Hopper and Blackwell the same is assumed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from vecpress.checks import check_choice

from .chains import nearest, squared_distances, tile_columns, tile_rows
from .launch import FLOATS, INTERPRETED, Spec, Table, Tile, capability, on, tensor, tile, tiles

PRECISIONS = ("bf16", "tf32", "tf32x3", "fp32")
ROUNDING = {"bf16": 2.0**-8, "tf32": 2.0**-10, "tf32x3": 2.0**-18}
SCREENS: dict[str, Table] = {
    "bf16": {
        80: Tile({"ROWS": 128, "COLUMNS": 64, "DEPTH": 32}, warps=8, stages=3),
        90: Tile({"ROWS": 128, "COLUMNS": 128, "DEPTH": 64}, warps=8, stages=3),
    },
    "tf32": {
        80: Tile({"ROWS": 128, "COLUMNS": 64, "DEPTH": 32}, warps=8, stages=3),
        90: Tile({"ROWS": 128, "COLUMNS": 128, "DEPTH": 32}, warps=8, stages=3),
    },
    "tf32x3": {
        80: Tile({"ROWS": 64, "COLUMNS": 64, "DEPTH": 32}, warps=8, stages=2),
        90: Tile({"ROWS": 64, "COLUMNS": 64, "DEPTH": 32}, warps=4, stages=2),
    },
}
SETTLE = {80: Tile({"ROWS": 128})}
EVERY = {80: Tile({"ROWS": 8, "COLUMNS": 8, "GROUPS": 32, "THREADS": 128})}


@triton.jit
def _screen(
    candidates, x, centroids, halves, largest, n, k, d, share, least, PRECISION: tl.constexpr, INTERPRET: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    there = rows < n
    depths = tl.arange(0, DEPTH)
    square = tl.zeros((ROWS,), tl.float32)
    for t in range(0, d, DEPTH):
        a = _part(x, rows, there, depths + t, d).to(tl.float32)
        square += tl.sum(a * a, axis=1)
    first = tl.full((ROWS,), float("inf"), tl.float32)
    second, third = first, first
    first_at, second_at = tl.zeros((ROWS,), tl.int32), tl.zeros((ROWS,), tl.int32)
    for begin in range(0, k, COLUMNS):
        columns = begin + tl.arange(0, COLUMNS)
        wide = columns.to(tl.int64)
        dots = tl.zeros((ROWS, COLUMNS), tl.float32)
        for t in range(0, d, DEPTH):
            a = _part(x, rows, there, depths + t, d)
            b = _part(centroids, wide, columns < k, depths + t, d)
            dots = _multiplied(a, b, dots, PRECISION, INTERPRET)
        scores = tl.load(halves + wide, mask=columns < k, other=float("inf"))[None, :] - dots
        if INTERPRET:  # whose smallest is an error where all are NaN; rows that have one are not decided here
            scores = tl.where(scores == scores, scores, float("inf"))
        # the three smallest of this tile, then of what was and what is
        one, one_at = tl.min(scores, axis=1, return_indices=True)
        scores = tl.where(columns[None, :] == one_at[:, None] + begin, float("inf"), scores)
        two, two_at = tl.min(scores, axis=1, return_indices=True)
        scores = tl.where(columns[None, :] == two_at[:, None] + begin, float("inf"), scores)
        three = tl.min(scores, axis=1)
        one_at, two_at = one_at + begin, two_at + begin
        # the smallest of both triples is that of one; second is the smaller of the next of that one and the first of the other
        after = one < first
        late, late_at = tl.where(after, first, one), tl.where(after, first_at, one_at)
        rival, rival_at = tl.where(after, two, second), tl.where(after, two_at, second_at)
        behind_late, behind_rival = tl.where(after, second, two), tl.where(after, three, third)
        third = tl.minimum(tl.maximum(late, rival), tl.where(late < rival, behind_late, behind_rival))
        second, second_at = tl.minimum(late, rival), tl.where(late < rival, late_at, rival_at)
        first, first_at = tl.where(after, one, first), tl.where(after, one_at, first_at)
    size = tl.sqrt(square) + tl.load(largest)
    size = size * size
    bound = (size * share + least) * 1.01
    # nothing is larger than a bound that is infinite or NaN: such rows are not decided here
    alone, both = second - first > bound, third - first > bound
    second_at = tl.where(alone, first_at, tl.where(both, second_at, -1))
    tl.store(candidates + rows * 2, first_at, mask=there)
    tl.store(candidates + (rows * 2 + 1), second_at, mask=there)


@triton.jit
def _part(x, rows, there, columns, d):
    """[ROWS, DEPTH] of rows and columns."""
    mask = there[:, None] & (columns < d)[None, :]
    return tl.load(x + (rows[:, None] * d + columns[None, :]), mask=mask, other=0.0)


@triton.jit
def _multiplied(a, b, dots, PRECISION: tl.constexpr, INTERPRET: tl.constexpr):
    """dots + a @ b.T, b as the precision has it. The interpreter multiplies neither bfloat16 nor tf32, but float32."""
    if PRECISION == "bf16":
        if INTERPRET:  # which truncates where devices round to the nearest
            bits = a.to(tl.float32).to(tl.int32, bitcast=True)
            a = ((bits + 0x7FFF + ((bits >> 16) & 1)) & -65536).to(tl.float32, bitcast=True)
            b = b.to(tl.float32)
        dots = tl.dot(a if INTERPRET else a.to(tl.bfloat16), tl.trans(b), dots)
    elif PRECISION == "tf32":
        a = a.to(tl.float32)
        if INTERPRET:
            a = (a.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
            b = (b.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        dots = tl.dot(a, tl.trans(b), dots, input_precision="tf32")
    else:
        dots = tl.dot(a.to(tl.float32), tl.trans(b), dots, input_precision="tf32x3")
    return dots


@triton.jit
def _settle(labels, distances, listed, count, candidates, x, centroids, n, d, ROWS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    there = rows < n
    first = tl.load(candidates + rows * 2, mask=there, other=0)
    second = tl.load(candidates + (rows * 2 + 1), mask=there, other=0)
    open_ = there & (second < 0)
    known = there & (second >= 0)
    one, two = tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.float32)
    starts, first_starts, second_starts = rows * d, first.to(tl.int64) * d, second.to(tl.int64) * d
    for t in range(d):
        a = tl.load(x + (starts + t), mask=known, other=0.0).to(tl.float32)
        e = a - tl.load(centroids + (first_starts + t), mask=known, other=0.0)
        one = tl.fma(e, e, one)
        e = a - tl.load(centroids + (second_starts + t), mask=known, other=0.0)
        two = tl.fma(e, e, two)
    take = (two < one) | ((two == one) & (second < first))
    tl.store(labels + rows, tl.where(take, second, first), mask=known)
    tl.store(distances + rows, tl.where(take, two, one), mask=known)
    # places on the list in any order: what becomes of a row does not depend on it
    found = open_.to(tl.int32)
    many = tl.sum(found, axis=0)
    if many > 0:
        place = tl.atomic_add(count, many) + tl.cumsum(found, axis=0) - found
        tl.store(listed + place.to(tl.int64), rows, mask=open_)


@triton.jit
def _every(
    labels, distances, listed, count, x, centroids, n, k, d, LISTED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, GROUPS: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    COUNT: tl.constexpr = ROWS * THREADS // GROUPS
    WIDE: tl.constexpr = COLUMNS * GROUPS
    begin = tl.program_id(0).to(tl.int64) * COUNT
    end = n
    if LISTED:
        end = tl.load(count)
    if begin < end:
        places = tile_rows(begin, ROWS, GROUPS, THREADS)
        there = places < end
        own = begin + tl.arange(0, COUNT)
        own_there = own < end
        if LISTED:
            places = tl.load(listed + places, mask=there, other=0)
            own = tl.load(listed + own, mask=own_there, other=0)
        least, label = tl.full((COUNT,), float("inf"), tl.float32), tl.full((COUNT,), 0x7FFFFFFF, tl.int32)
        for first in range(0, k, WIDE):
            columns = tile_columns(first, COLUMNS, GROUPS, THREADS)
            wide = columns.to(tl.int64)
            total = squared_distances(x, places * d, there, centroids, wide, columns < k, k, d)
            key, place = nearest(total, columns, columns < k, GROUPS)
            better = (key < least) | ((key == least) & (place < label))
            least, label = tl.where(better, key, least), tl.where(better, place, label)
        tl.store(labels + own, label, mask=own_there)
        tl.store(distances + own, tl.where(least < 0, float("nan"), least), mask=own_there)


def assign(x: torch.Tensor, centroids: torch.Tensor, *, precision: str = "tf32") -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest centroid of each row by squared distance; as `vecpress.ops.assign`, whatever the precision.

    Parameters
    ----------
    x : float32, float16 or bfloat16 [n, d]
    centroids : float32[k, d], k at least 1
    precision : of the products that rows are screened by: "bf16", "tf32" or "tf32x3"; "fp32" for no screen, every distance by
        its definition. Coarser products are quicker and leave more rows to be compared again

    Returns
    -------
    labels int32[n], distances float32[n] : ties to the lower label

    Cost: 2 n k d operations on tensor cores ("tf32x3" three times as many), about 11 instructions a score; 4 n d for distances;
    for rows that more than two centroids are within the bound of, and with "fp32" for all, 2 k d instructions each.
    Source: the fused search as in Yang et al., "Flash-KMeans", arXiv 2603.09229.
    """
    precision = check_choice("assign", "precision", precision, PRECISIONS)
    x = tensor("assign", "x", x, list(FLOATS), (None, None))
    n, d = x.shape
    centroids = tensor("assign", "centroids", centroids, torch.float32, (None, d), like=x)
    k = len(centroids)
    if not k:
        raise ValueError("assign: centroids expected at least 1 row, got 0")
    labels = torch.empty((n,), dtype=torch.int32, device=x.device)
    distances = torch.empty((n,), dtype=torch.float32, device=x.device)
    if not n:
        return labels, distances
    every = tile(EVERY, capability(x.device))
    sizes = every.sizes
    grid = (tiles(n, sizes["ROWS"] * sizes["THREADS"] // sizes["GROUPS"]),)
    turned = centroids.t().contiguous()
    with on(x.device):
        if precision == "fp32":
            _every[grid](labels, distances, labels, labels, x, turned, n, k, d, LISTED=False, **every.launch)
            return labels, distances
        candidates = torch.empty((n, 2), dtype=torch.int32, device=x.device)
        listed = torch.empty((n,), dtype=torch.int64, device=x.device)
        count = torch.zeros((1,), dtype=torch.int32, device=x.device)
        squares = centroids.double().square().sum(dim=1)
        halves, largest = (squares / 2).float(), squares.sqrt().max().float()
        screened = centroids.bfloat16() if precision == "bf16" else centroids
        chosen, settle = tile(SCREENS[precision], capability(x.device)), tile(SETTLE, capability(x.device))
        _screen[(tiles(n, chosen.sizes["ROWS"]),)](
            candidates, x, screened, halves, largest, n, k, d, *bound(precision, d), PRECISION=precision,
            INTERPRET=INTERPRETED, **chosen.launch,
        )  # fmt: skip
        _settle[(tiles(n, settle.sizes["ROWS"]),)](
            labels, distances, listed, count, candidates, x, centroids, n, d, **settle.launch
        )
        _every[grid](labels, distances, listed, count, x, turned, n, k, d, LISTED=True, **every.launch)
    return labels, distances


def bound(precision: str, d: int) -> tuple[float, float]:
    """By what share of (|x| + C)^2, and by how much more, scores may differ so that either centroid may be the nearest."""
    r = ROUNDING[precision]
    return (2 * r + r * r) / 2 + (8 * d + 64) * 2.0**-24, (d + 4) * 2.0**-120


def specs(capability: int) -> list[Spec]:
    whole, rows = {"n": "i32", "k": "i32", "d": "i32"}, {"x": "*fp32", "centroids": "*fp32"}
    screen = {
        "candidates": "*i32", **rows, "halves": "*fp32", "largest": "*fp32", **whole, "share": "fp32", "least": "fp32",
    }  # fmt: skip
    instruction = {80: "HMMA", 90: "HGMMA"}.get(capability, "UTCHMMA")
    found = [
        Spec(f"assign, screen {precision}", _screen,
             {**screen, "centroids": "*bf16" if precision == "bf16" else "*fp32"}, {"PRECISION": precision, "INTERPRET": False},
             ("candidates", "x", "centroids", "halves", "largest", "d"), tile(table, capability),
             (instruction,))
        for precision, table in SCREENS.items()
    ]  # fmt: skip
    lists = {"labels": "*i32", "distances": "*fp32", "listed": "*i64", "count": "*i32"}
    settle = {**lists, "candidates": "*i32", **rows, "n": "i32", "d": "i32"}
    aligned = ("labels", "distances", "listed", "count", "x", "centroids", "d")
    found.append(Spec("assign, settle", _settle, settle, {}, (*aligned, "candidates"), tile(SETTLE, capability), ("FFMA",)))
    every = tile(EVERY, capability)
    found.append(Spec("assign, listed", _every, {**lists, **rows, **whole}, {"LISTED": True}, aligned, every, ("FFMA",)))
    unlisted = {**lists, "listed": "*i32", **rows, **whole}
    return [*found, Spec("assign, every", _every, unlisted, {"LISTED": False}, aligned, every, ("FFMA",))]
