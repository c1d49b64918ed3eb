"""Sums in the order in which the definitions have them: one fused multiply-add a term, column after column.

Tiles are [ROWS, COLUMNS, THREADS]: along the last axis stand the threads of a program, along the first two what each has in
registers, as Triton lays such tensors out. Thread i has the rows of its group, i // GROUPS, and the columns of its group,
i % GROUPS: so a step loads ROWS + COLUMNS numbers for ROWS * COLUMNS terms, and the smallest of a row is found in registers
first.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def tile_rows(first, ROWS: tl.constexpr, GROUPS: tl.constexpr, THREADS: tl.constexpr):
    """int64[ROWS, THREADS]: the rows of each thread, from `first` on; a program has ROWS * THREADS // GROUPS."""
    return first + (tl.arange(0, ROWS)[:, None] * (THREADS // GROUPS) + (tl.arange(0, THREADS) // GROUPS)[None, :])


@triton.jit
def tile_columns(first, COLUMNS: tl.constexpr, GROUPS: tl.constexpr, THREADS: tl.constexpr):
    """int64[COLUMNS, THREADS]: the columns of each thread, from `first` on; a program has COLUMNS * GROUPS."""
    return first + (tl.arange(0, COLUMNS)[:, None] * GROUPS + (tl.arange(0, THREADS) % GROUPS)[None, :])


@triton.jit
def products(x, starts, rows_there, matrix, places, columns_there, step, d, total):
    """`total` and then the terms of `vecpress.ops.project`: x at starts + t, times matrix at places + t step, t = 0 .. d - 1.

    starts int64[ROWS, THREADS], places int64[COLUMNS, THREADS] : offsets; total float32[ROWS, COLUMNS, THREADS]
    """
    for t in range(d):
        a = tl.load(x + (starts + t), mask=rows_there, other=0.0).to(tl.float32)
        b = tl.load(matrix + places, mask=columns_there, other=0.0)
        total = tl.fma(tl.broadcast_to(a[:, None, :], total.shape), tl.broadcast_to(b[None, :, :], total.shape), total)
        places += step
    return total


@triton.jit
def squared_distances(x, starts, rows_there, centroids, places, columns_there, step, d):
    """float32[ROWS, COLUMNS, THREADS] of `vecpress.ops.assign`, with arguments as those of `products`."""
    total = tl.zeros((starts.shape[0], places.shape[0], places.shape[1]), tl.float32)
    for t in range(d):
        a = tl.load(x + (starts + t), mask=rows_there, other=0.0).to(tl.float32)
        b = tl.load(centroids + places, mask=columns_there, other=0.0)
        e = a[:, None, :] - b[None, :, :]
        total = tl.fma(e, e, total)
        places += step
    return total


@triton.jit
def nearest(total, columns, columns_there, GROUPS: tl.constexpr):
    """The smallest of each row, and the lowest column that has it; a NaN counts as the smallest, as NumPy has it.

    total : float32[ROWS, COLUMNS, THREADS], none negative; columns : int32[COLUMNS, THREADS]

    Returns keys float32[rows], which are the distances but -1 for NaN, and int32[rows], for the rows of the tile in order.
    """
    RG: tl.constexpr = total.shape[2] // GROUPS
    keys = tl.where(total == total, total, -1.0)
    keys = tl.where(columns_there[None, :, :], keys, float("inf"))
    least = tl.min(tl.reshape(tl.min(keys, axis=1), (total.shape[0], RG, GROUPS)), axis=2)
    every = tl.reshape(tl.broadcast_to(least[:, :, None], (total.shape[0], RG, GROUPS)), (total.shape[0], total.shape[2]))
    # an infinite distance to a column that is there equals those to columns that are not, which stand behind it
    places = tl.where(keys == every[:, None, :], columns[None, :, :], 0x7FFFFFFF)
    place = tl.min(tl.reshape(tl.min(places, axis=1), (total.shape[0], RG, GROUPS)), axis=2)
    return tl.reshape(least, (total.shape[0] * RG,)), tl.reshape(place, (total.shape[0] * RG,))
