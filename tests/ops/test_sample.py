"""Large scans foretell each query's floor from evenly spaced blocks: one too high must be noticed, in any order of rows."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks

N, K, M = 40_000, 200, 16
OPS = ("hamming", "lut4", "lut8", "dot", "sdc")
BACKENDS = [b for b in dispatch.operations()["lut4"] if b != "reference"]


@pytest.fixture(params=BACKENDS)
def backend(request, need_backend):
    need_backend(request.param)
    return request.param


def operand(op, rng, nq):
    if op in ("hamming", "sdc"):
        return rng.integers(0, 256, (nq, M), dtype=np.uint8)
    if op == "dot":
        return rng.standard_normal((nq, 2 * M)).astype(np.float32)
    entries = 16 if op == "lut4" else 256
    return rng.standard_normal((nq, 2 * M if op == "lut4" else M, entries)).astype(np.float32)


def scan(op, blocks, rows, k, **options):
    if op == "dot":
        options["n_bits"] = 4
    if op == "sdc":
        options |= {"n_bits": 2, "dim": 4 * M}
    return getattr(ops, op)(blocks, rows, k, **options)


def ordered(op, codes, rows, rank_to_place):
    """The codes in an order by their score for the first query: rank_to_place[i] is where the i-th best goes."""
    with dispatch.use("reference"):
        _, best = scan(op, Blocks.pack(codes), rows[:1], len(codes))
    out = np.empty_like(codes)
    out[rank_to_place] = codes[best[0]]
    return out


def sampled_first(rng):
    """The best rows in the blocks that any spacing samples: every 16th, 32nd ... from the middle of the first gap on."""
    blocks = -(-N // 64)
    sampled = {b for every in (16, 32, 64, 128) for b in range(every // 2, blocks, every)}
    first = [r for b in sorted(sampled) for r in range(64 * b, min(N, 64 * b + 64))]
    return np.concatenate([first, np.setdiff1d(np.arange(N), first)]).astype(np.int64)


ORDERS = {
    "random": lambda rng: rng.permutation(N),
    "best first": lambda rng: np.arange(N),
    "best last": lambda rng: np.arange(N)[::-1],
    "best in the sample": sampled_first,
    "best not in the sample": lambda rng: sampled_first(rng)[::-1],
}


@functools.cache  # the reference takes longer than all backends
def ordered_case(op, order):
    rng = np.random.default_rng(4)
    rows = operand(op, rng, 20)
    blocks = Blocks.pack(ordered(op, rng.integers(0, 256, (N, M), dtype=np.uint8), rows, ORDERS[order](rng)))
    return blocks, rows, reference(op, blocks, rows)


@functools.cache
def tied_case(op, with_ids):
    """Few different codes: the floor is a score that thousands of rows have, and the lowest ids among them win."""
    rng = np.random.default_rng(5)
    rows = operand(op, rng, 20)
    blocks = Blocks.pack(rng.integers(0, 256, (8, M), dtype=np.uint8)[rng.integers(0, 8, N)])
    options = {"ids": rng.permutation(N).astype(np.int64)} if with_ids else {}
    return blocks, rows, options, reference(op, blocks, rows, **options)


@functools.cache
def filtered_case(op, share, clustered):
    rng = np.random.default_rng(6)
    rows = operand(op, rng, 20)
    blocks = Blocks.pack(rng.integers(0, 256, (N, M), dtype=np.uint8))
    bits = np.zeros(-(-N // 64) * 64, bool)
    bits[np.arange(int(share * N)) + 777 if clustered else np.flatnonzero(rng.random(N) < share)] = True
    options = {"allow": np.packbits(bits, bitorder="little").view(np.uint64)}
    return blocks, rows, options, reference(op, blocks, rows, **options)


def reference(op, blocks, rows, **options):
    with dispatch.use("reference"):
        return scan(op, blocks, rows, K, **options)


def check(op, backend, blocks, rows, wanted, **options):
    with dispatch.use(backend):
        got = scan(op, blocks, rows, K, **options)
    np.testing.assert_array_equal(got[0], wanted[0][: len(rows)])
    np.testing.assert_array_equal(got[1], wanted[1][: len(rows)])


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("order", ORDERS)
def test_any_order(op, order, backend):
    blocks, rows, wanted = ordered_case(op, order)
    for nq, threads in ((20, 1), (20, 2), (1, 1), (1, 2)):
        check(op, backend, blocks, rows[:nq], wanted, num_threads=threads)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("with_ids", [False, True])
def test_ties_with_the_floor(op, with_ids, backend):
    blocks, rows, options, wanted = tied_case(op, with_ids)
    check(op, backend, blocks, rows, wanted, num_threads=1, **options)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("share", [0.7, 0.1, 0.004])
@pytest.mark.parametrize("clustered", [False, True])
def test_allow_lists(op, share, clustered, backend):
    blocks, rows, options, wanted = filtered_case(op, share, clustered)
    check(op, backend, blocks, rows, wanted, num_threads=1, **options)


@pytest.mark.parametrize("with_ids", [False, True])
def test_allowed_rows_of_several_pieces(with_ids, backend):
    """So many allowed rows that a batch moves them together piece by piece; ties across pieces go to the lower id."""
    n, size, rng = 20_000, 4096, np.random.default_rng(7)
    codes = np.zeros((n, size), np.uint8)
    codes[:, :2] = rng.integers(0, 4, (n, 2))  # few different distances
    allowed = np.arange(-(-n // 64) * 64) % 4 == 0
    options = {"allow": np.packbits(allowed, bitorder="little").view(np.uint64)}
    if with_ids:
        options["ids"] = rng.permutation(n).astype(np.int64)
    rows, blocks = np.zeros((64, size), np.uint8), Blocks.pack(codes)
    rows[:, :2] = rng.integers(0, 4, (64, 2))
    with dispatch.use(backend):
        distances, found = ops.hamming(blocks, rows, 7, num_threads=2, **options)
    ids = options.get("ids", np.arange(n))
    bits = np.array([bin(i).count("1") for i in range(4)])
    for q in range(64):
        true = bits[codes[:, 0] ^ rows[q, 0]] + bits[codes[:, 1] ^ rows[q, 1]]
        order = np.lexsort((ids, true))
        order = order[allowed[order]][:7]
        np.testing.assert_array_equal(found[q], ids[order])
        np.testing.assert_array_equal(np.abs(distances[q]), true[order])
