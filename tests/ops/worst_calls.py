"""Scans in which the rounding of kernels misleads as far as it can: a bound that is a little too tight loses the best rows."""

from __future__ import annotations

import numpy as np
from calls import Call, make_factors

from vecpress import ops
from vecpress.ops import Blocks, Factor


def rounded_tables(op: str, seed: int, factors: str, part: str, nq: int) -> Call:
    """A table scan in which rounding the tables to 32,767 steps misleads as far as it can.

    part "fine": the best rows pick only numbers 0.49 of a step above a whole one, the many others only such 0.49 below: the
    others' rounded sums are up to 39 larger, their true sums smaller by 0.2 at least.

    part "coarse": the best rows pick only numbers whose lower seven bits are 127, so that their upper eight lose most, and are
    equal, so that averages of four lose nothing. The others' lower bits are zeros, and every average of four is one more than its
    numbers say: their averages' sums are up to 20 larger, which is 10,240 steps, their true sums smaller by 88 steps.

    So a bound that is a little too tight loses the best rows.
    """
    rng = np.random.default_rng(seed)
    entries, m, n = 16 if op == "lut4" else 256, 40, 3000
    best = n // 3 + rng.choice(n - n // 3, 40, replace=False)
    if part == "fine":
        values = np.full(entries, 59.51)
        values[2::3], values[3::3] = 60.49, 60.51
        above, below, less = (np.arange(first, entries, 3) for first in (2, 3, 4))
        labels = rng.choice(below, (n, m))
        np.put_along_axis(labels, rng.integers(0, m, (n, 3)), rng.choice(less, (n, 3)), axis=1)
        labels[best] = rng.choice(above, (40, m))
    else:
        middle = 128 * int(rng.integers(2, 250))
        values = np.zeros(entries)
        for first, value in zip(range(2, 7), (middle + 127, middle - 128, middle, middle + 128, middle + 256), strict=True):
            values[first::5] = value
        full, less, first, second, third = (np.arange(start, entries, 5) for start in range(2, 7))
        labels = np.stack([rng.choice(which, (n, m // 4)) for which in (first, second, second, third)], axis=2).reshape(n, m)
        labels[np.arange(n), 4 * rng.integers(0, m // 4, n)] = rng.choice(less, n)
        labels[best] = rng.choice(full, (40, m))
    values[0], values[1] = 0, 32767
    stretch = 2.0 ** rng.integers(-3, 4, nq)
    tables = np.broadcast_to(values * stretch[:, None, None], (nq, m, entries)).astype(np.float32)
    tables += rng.integers(-8, 9, (nq, m, 1)).astype(np.float32) * stretch[:, None, None].astype(np.float32)
    codes = (labels[:, 0::2] | labels[:, 1::2] << 4 if entries == 16 else labels).astype(np.uint8)
    head, options = make_factors(rng, factors, n)
    if factors == "bias u1":
        options["bias"] = Factor(0, "u1", np.zeros(256, np.float32))
    blocks, ids = Blocks.pack(np.hstack([head, codes]), head.shape[1]), rng.permutation(n)
    return Call(f"seed={seed} {factors} {part}", lambda t: getattr(ops, op)(blocks, tables, 7, ids=ids, num_threads=t, **options))


def rounded_rows(seed: int, factors: str, nq: int, finest: int, l2: bool = False) -> Call:
    """`dot` with queries whose rounding to whole numbers misleads as far as it can.

    Columns come in pairs of equal whole numbers, one rounded down by 0.49, one up. The best rows have the highest level where
    that raises their true sum and the lowest where not; the others have it the other way round, and a number more in one column,
    so that their rounded sums are larger and their true ones smaller. finest : steps of the largest component, 127 for the first
    of a query's two parts (csrc/dot/numbers.inl), 127 * 128 for both.
    """
    rng = np.random.default_rng(seed)
    n_bits, pairs, n = int(rng.integers(2, 8)), 20, 3000
    most = 2**n_bits - 1
    whole = rng.integers(1, finest // 2, (nq, pairs)).astype(np.float64)
    rows = np.concatenate((whole + 0.49, whole - 0.49, np.full((nq, 1), finest)), axis=1) * 2.0 ** rng.integers(-3, 4, (nq, 1))
    labels = np.zeros((n, 2 * pairs + 1), np.int64)
    labels[:, pairs : 2 * pairs] = most
    labels[np.arange(n), rng.integers(0, pairs, n)] = 1
    best = n // 3 + rng.choice(n - n // 3, 40, replace=False)
    labels[best] = np.concatenate((np.full(pairs, most), np.zeros(pairs + 1, np.int64)))
    codes = ops.pack_codes(labels.astype(np.uint8), n_bits)
    head, options = make_factors(rng, factors, n)
    if factors == "bias u1":
        options["bias"] = Factor(0, "u1", np.zeros(256, np.float32))
    if l2:
        options = {"l2": True, "scale": 1.0}
    blocks, ids, rows = Blocks.pack(np.hstack([head, codes]), head.shape[1]), rng.permutation(n), rows.astype(np.float32)
    label = f"seed={seed} {factors} nq={nq} finest={finest} n_bits={n_bits} l2={l2}"
    return Call(label, lambda t: ops.dot(blocks, rows, 7, n_bits=n_bits, ids=ids, num_threads=t, **options))


def rounded_levels(seed: int, finest: int, nq: int) -> Call:
    """`dot` with squared distances from zero, and levels whose rounding to `finest` steps misleads.

    The best rows pick only a level 0.51 of a step above a whole number, the others one 0.49 above it and, three times, one 1.49
    above it: their rounded levels are the shorter rows, their true ones the longer.
    """
    rng = np.random.default_rng(seed)
    m, n, whole = 40, 3000, 90
    levels = np.full(256, 0.0, np.float32)
    levels[1:5] = finest, whole + 0.51, whole + 0.49, whole + 1.49
    labels = np.full((n, m), 3)
    np.put_along_axis(labels, np.argsort(rng.random((n, m)), axis=1)[:, :3], 4, axis=1)
    labels[n // 3 + rng.choice(n - n // 3, 40, replace=False)] = 2
    head = rng.choice(np.array([1.0, 1.0 + 2.0**-20], "<f4"), n)[:, None].view(np.uint8)
    codes = ops.pack_codes(labels.astype(np.uint8), 8)
    blocks, ids = Blocks.pack(np.hstack([head, codes]), 4), rng.permutation(n)
    rows, options = np.zeros((nq, m), np.float32), {"n_bits": 8, "levels": levels, "l2": True, "scale": Factor(0, "f4")}
    return Call(f"seed={seed} finest={finest} nq={nq}", lambda t: ops.dot(blocks, rows, 7, ids=ids, num_threads=t, **options))


def rounded_words(seed: int, factors: str, nq: int) -> Call:
    """`trellis` with queries of which rounding loses all that tells rows apart, as much as levels of their length allow.

    The first component is 127 times a number of which each other is 0.49, so that these are zeros in 8 bits. All rows have the
    same first level, and all levels are one size: the best rows have those of the query's signs, the others any.
    """
    rng = np.random.default_rng(seed)
    n, size = 3000, 8
    words = np.array([[size, 4]] * 3, np.uint8)
    m, window = 16 * len(words), int(rng.choice([6, 8]))
    levels = np.where(np.arange(2**window) % 2, 100, -100).astype(np.int8)[None].repeat(4, axis=0)
    signs = rng.choice([-1, 1], m)
    rows = 0.49 * signs * 2.0 ** rng.integers(-3, 4, (nq, 1))
    rows[:, 0] *= 127 / 0.49
    bits = rng.integers(0, 16, (n, m))  # the lowest of a component's four is its level's sign
    best = n // 3 + rng.choice(n - n // 3, 40, replace=False)
    bits[best] = bits[best] & 14 | (signs > 0)
    bits[best, rng.integers(1, m, 40)] ^= 1
    bits[:, 0] |= 1
    codes = (bits[:, 0::2] | bits[:, 1::2] << 4).astype(np.uint8)
    head, options = make_factors(rng, factors, n)
    if factors == "bias u1":
        options["bias"] = Factor(0, "u1", np.zeros(256, np.float32))
    blocks, ids, query = Blocks.pack(np.hstack([head, codes]), head.shape[1]), rng.permutation(n), rows.astype(np.float32)
    options |= {"words": words, "levels": levels, "ids": ids}
    return Call(f"seed={seed} {factors} nq={nq}", lambda t: ops.trellis(blocks, query, 7, num_threads=t, **options))
