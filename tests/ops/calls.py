"""What the equality suite calls: for every operation, shapes that straddle vector widths and values that break shortcuts.

`CALLS[op](size)` yields calls; a call runs the operation with a number of threads on the backend in force and gives its outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hard_values import FINITE, values

from vecpress import dispatch, ops
from vecpress.ops import Blocks, Factor
from vecpress.ops.encode_trellis import WINDOWS, steps_of
from vecpress.ops.pack_codes import packed_size
from vecpress.ops.sdc import FORMS
from vecpress.ops.trellis_levels import TABLES


@dataclass(frozen=True)
class Call:
    """One call of an operation; `label` says which in a failure's message."""

    label: str
    run: Callable[[int], Any]


CALLS: dict[str, Callable[[int], Iterator[Call]]] = {}


def calls_of(*names: str) -> Callable[[Callable[[int], Iterator[Call]]], Callable[[int], Iterator[Call]]]:
    def add(function: Callable[[int], Iterator[Call]]) -> Callable[[int], Iterator[Call]]:
        CALLS.update(dict.fromkeys(names, function))
        return function

    return add


def extreme(seed: int, *shape: int) -> np.ndarray:
    """float32 from the hard values alone: sums of products and squares overflow."""
    return np.random.default_rng(seed).choice(FINITE, shape)


# ---- row operations


@calls_of("project")
def project(size: int) -> Iterator[Call]:
    for n, d, p in ((size, 5, 19), (3, size, 17), (7, 6, size), (size, size, 3), (2, 3, 40 + size)):
        for make in (values, extreme):
            x, matrix, offset = make(size, n, d), make(size + 1, d, p), make(size + 2, p)
            label = f"n={n} d={d} p={p} {make.__name__}"
            yield Call(label, lambda t, x=x, m=matrix, o=offset: ops.project(x, m, o, num_threads=t))
        yield Call(f"{label} no offset", lambda t, x=x, m=matrix: ops.project(x, m, num_threads=t))
    if size == 130:  # more terms than a kernel keeps in one piece, and more rows than a thread takes at once
        x, matrix = values(1, 131, 1100), values(2, 1100, 50)
        yield Call("d=1100", lambda t: ops.project(x, matrix, num_threads=t))
        rows, narrow = values(3, 3001, 64), values(4, 64, 67)
        yield Call("n=3001", lambda t: ops.project(rows, narrow, num_threads=t))


def _centroids(seed: int, k: int, x: np.ndarray) -> np.ndarray:
    """Centroids that rows of x and each other tie with."""
    rng = np.random.default_rng(seed)
    out = values(seed, k, x.shape[1])
    if len(x):
        out[rng.random(k) < 0.3] = x[rng.integers(len(x))]
    return out


@calls_of("assign")
def assign(size: int) -> Iterator[Call]:
    for n, d, k in ((size, 5, 19), (9, size, 7), (33, 4, size + 1), (size, 8, 256)):
        x = values(size, n, d)
        wide = extreme(size, n, d)
        for name, rows, centroids in (
            ("ties", x, _centroids(size, k, x)),
            ("overflow", wide, extreme(size + 1, k, d)),
            ("all infinite", np.full((n, d), 3e38, np.float32), np.full((k, d), -3e38, np.float32)),
            ("all equal", np.full((n, d), 0.1, np.float32), np.full((k, d), 0.7, np.float32)),
        ):
            yield Call(f"n={n} d={d} k={k} {name}", lambda t, r=rows, c=centroids: ops.assign(r, c, num_threads=t))
    if size == 130:
        rows, few = values(3, 5003, 6), values(4, 31, 6)
        yield Call("n=5003", lambda t: ops.assign(rows, few, num_threads=t))


def whole(seed: int, *shape: int) -> np.ndarray:
    """float32: -1, 0 and 1, whose sums tie."""
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.float32)


def some_paths(seed: int, n: int, b: int, labels: int, ks: int) -> np.ndarray:
    """uint8[n, b, labels]: paths that begin alike, some of them equal."""
    rng = np.random.default_rng(seed)
    paths = rng.integers(0, ks, (n, b, labels), dtype=np.uint8)
    for i in range(n):
        for p in range(1, b):
            shared = rng.integers(labels + 1)
            paths[i, p, :shared] = paths[i, rng.integers(p), :shared]
    return paths


@calls_of("beam_step")
def beam_step(size: int) -> Iterator[Call]:
    few = 1 + size % 9
    for n, ks, b, labels, keep in (
        (size, 16, 4, 2, 4), (3, 256, 1, 0, few), (3, 256, few, 3, 8), (2, max(size, 1), 3, few, 17),
        (1, 256, 4, min(size, 15), 4), (2, 19, max(size, 1), 5, size + 1), (1, 3, few, 1, 256), (1, 1, few, 9, 2),
    ):  # fmt: skip
        for name, make in (("values", values), ("extreme", extreme), ("ties", whole)):
            costs, pairs, scores = make(size, n, ks), make(size + 1, labels * ks, ks), make(size + 2, n, b)
            paths = some_paths(size, n, b, labels, ks)
            label = f"n={n} ks={ks} b={b} labels={labels} keep={keep} {name}"
            yield Call(label, lambda t, a=(costs, pairs, paths, scores, keep): ops.beam_step(*a, num_threads=t))
    if size == 130:  # more rows than a thread takes at once; numbers that are none
        costs, pairs, paths = values(3, 3001, 16), values(4, 32, 16), some_paths(5, 3001, 3, 2, 16)
        scores = np.zeros((3001, 3), np.float32)
        costs[::3, ::2], costs[1::3], scores[5::9, 1] = np.nan, np.inf, np.nan
        yield Call("n=3001", lambda t: ops.beam_step(costs, pairs, paths, scores, 20, num_threads=t))


@calls_of("search_labels")
def search_labels(size: int) -> Iterator[Call]:
    def operands(n: int, d: int, depth: int, first: int, b: int, make: Callable[..., np.ndarray]) -> dict[str, Any]:
        rng, steps = np.random.default_rng(size), depth - first
        return {
            "y": make(size, n, d), "books": make(size + 1, depth, 256, d),
            "entries": rng.integers(0, 256, (steps, -(-d // 4), 256, 4), dtype=np.uint8),
            "factors": (make(size + 2, steps, 2) / 64).astype(np.float32), "squares": make(size + 3, steps, 256),
            "pairs": rng.integers(-128, 128, (sum(range(first, depth)), 256, 256), dtype=np.int8),
            "paths": some_paths(size, n, b, first, 256), "scores": make(size + 4, n, b),
        }  # fmt: skip

    few = 1 + size % 9
    for n, d, depth, first, b, beam, last in (
        (size, 5, 3, 0, 1, 4, 1), (3, size, 2, 1, few, 3, 2), (2, 9, 10, 9, 16, 16, 16), (4, 7, 4, 0, 2, few, few),
        (1, 3, 64, 63, 4, 1, 4),
    ):  # fmt: skip
        for name, make in (("values", values), ("extreme", extreme), ("ties", whole)):
            operand = operands(n, d, depth, first, b, make)
            if name == "ties":
                operand["entries"], operand["pairs"] = operand["entries"] // 128 * 128, operand["pairs"] // 64
            label = f"n={n} d={d} depth={depth} first={first} b={b} beam={beam} last={last} {name}"
            yield Call(label, lambda t, o=operand, w=(beam, last): ops.search_labels(**o, beam=w[0], last=w[1], num_threads=t))
    if size == 130:  # more rows than a thread takes at once
        operand = operands(1201, 16, 2, 0, 1, values)
        yield Call("n=1201", lambda t: ops.search_labels(**operand, beam=4, num_threads=t))


@calls_of("encode_grid")
def encode_grid(size: int) -> Iterator[Call]:
    for n_bits in range(1, 9):
        for n, d in ((min(size, 9), 40), (2, max(size, 1)), (1, 64 + size)):
            y = values(size, n, d) if size % 2 else np.random.default_rng(size).standard_normal((n, d)).astype(np.float32)
            w = values(size + 1, d)
            yield Call(f"n={n} d={d} n_bits={n_bits}", lambda t, y=y, b=n_bits, w=w: ops.encode_grid(y, b, w, num_threads=t))
        y = extreme(size, 3, size + 2)  # rows of one huge number, of tiny ones, of zeros
        y[:1] = 0
        y[1:2] *= np.float32(2.0**-120)
        yield Call(f"d={size + 2} n_bits={n_bits} extreme", lambda t, y=y, b=n_bits: ops.encode_grid(y, b, num_threads=t))
    if size == 130:  # more columns than 32 bits hold the sums of, more rows than a thread takes at once
        flat, rows = np.full((1, 3001), 7, np.float32), values(3, 1500, 9)
        yield Call("d=3001", lambda t: ops.encode_grid(flat, 8, num_threads=t))
        yield Call("n=1500", lambda t: ops.encode_grid(rows, 1, num_threads=t))


@calls_of("encode_pq")
def encode_pq(size: int) -> Iterator[Call]:
    for n, m, ks, dsub in (
        (size, 3, 16, 4), (size, 5, 256, 2), (6, size, 16, 3), (5, size, 256, 1), (35, 9, 16, 5), (3, 2, 16, size),
    ):  # fmt: skip
        x = values(size, n, m * dsub)
        codebooks = values(size + 1, m, ks, dsub)
        for j in range(m if n else 0):  # centroids that rows tie with
            codebooks[j, ks // 2 :: 3] = x[j % n, j * dsub : (j + 1) * dsub]
        wide, wide_books = extreme(size, n, m * dsub), extreme(size + 1, m, ks, dsub)
        same = np.full((n, m * dsub), 0.1, np.float32), np.full((m, ks, dsub), 0.7, np.float32)
        for name, rows, books in (("", x, codebooks), (" overflow", wide, wide_books), (" all equal", *same)):
            columns = np.ascontiguousarray(books.transpose(0, 2, 1))
            label = f"n={n} m={m} ks={ks} dsub={dsub}{name}"
            yield Call(label, lambda t, x=rows, c=books: ops.encode_pq(x, c, num_threads=t))
            yield Call(f"{label} by column", lambda t, x=rows, c=columns: ops.encode_pq(x, c, by_column=True, num_threads=t))
    if size == 130:
        rows, books = values(3, 3001, 8), values(4, 2, 256, 4)
        yield Call("n=3001", lambda t: ops.encode_pq(rows, books, num_threads=t))


@calls_of("tables")
def tables(size: int) -> Iterator[Call]:
    for nq, m, ks, dsub in ((size, 3, 16, 4), (5, size, 16, 2), (4, 2, size, 3), (9, 2, 256, 5), (2, 2, 17, size)):
        for make in (values, extreme):
            q, codebooks = make(size, nq, m * dsub), make(size + 1, m, ks, dsub)
            for l2 in (False, True):
                label = f"nq={nq} m={m} ks={ks} dsub={dsub} {make.__name__} l2={l2}"
                yield Call(label, lambda t, q=q, c=codebooks, l2=l2: ops.tables(q, c, l2=l2, num_threads=t))
                if ks % 16 == 0:
                    columns = np.ascontiguousarray(codebooks.transpose(0, 2, 1))
                    yield Call(
                        f"{label} by column",
                        lambda t, q=q, c=columns, l2=l2: ops.tables(q, c, l2=l2, by_column=True, num_threads=t),
                    )


ALL_WORDS = np.array([(size, rate) for size in range(1, 9) for rate in range(1, 5)], np.uint8)


def some_words(rng: np.random.Generator, nbytes: int) -> np.ndarray:
    """uint8[w, 2]: words of any sizes and rates, `nbytes` together."""
    sizes = []
    while nbytes:
        sizes.append(int(rng.integers(1, min(nbytes, 8) + 1)))
        nbytes -= sizes[-1]
    return np.stack((np.array(sizes, np.uint8), rng.integers(1, 5, len(sizes), dtype=np.uint8)), axis=1)


def some_levels(rng: np.random.Generator) -> np.ndarray:
    """int8[4, 64 or 256]: the usual ones, any, few different ones so that many ways are equally good, or the largest."""
    usual = TABLES[int(rng.choice(WINDOWS))].levels
    tables = (usual, rng.integers(-127, 128, usual.shape), rng.integers(-1, 2, usual.shape), rng.choice([-127, 127], usual.shape))
    return tables[rng.integers(len(tables))].astype(np.int8)


@calls_of("encode_trellis")
def encode_trellis(size: int) -> Iterator[Call]:
    rng = np.random.default_rng(size)
    for n, words in ((size, some_words(rng, 6)), (3, some_words(rng, size)), (size % 5 // 4, ALL_WORDS)):
        for make in (values, extreme):
            levels, m = some_levels(rng), int(steps_of(words).sum())
            y = make(size, n, m) * np.float32(1 if make is extreme else 40)
            halves = rng.integers(-255, 256, (n, m)).astype(np.float32) / 2  # at levels and between two
            for name, rows in ((make.__name__, y), ("halves", halves)):
                label = f"n={n} words={words.tolist()} {name}"
                yield Call(label, lambda t, y=rows, w=words, v=levels: ops.encode_trellis(y, w, v, num_threads=t))
    if size == 130:  # more rows than a thread takes at once
        rows, one = values(3, 1501, 8) * np.float32(50), np.array([[3, 3]], np.uint8)
        for levels in (TABLES[window].levels for window in WINDOWS):
            label = f"n=1501 levels {levels.shape}"
            yield Call(label, lambda t, v=levels: ops.encode_trellis(rows, one, v, num_threads=t))


@calls_of("encode_sq")
def encode_sq(size: int) -> Iterator[Call]:
    def call(label: str, x: np.ndarray, low: np.ndarray, step: np.ndarray, n_bits: int, largest: float) -> Call:
        def run(threads: int) -> tuple[np.ndarray, np.ndarray]:
            codes, first = ops.encode_sq(x, low, step, n_bits, largest=largest, num_threads=threads)
            return codes, np.array(first)

        return Call(f"{label} n_bits={n_bits} largest={largest:g}", run)

    for n, d in ((size, 5), (size, 64), (3, size), (5, 8 * size + 1)):
        for make in (values, extreme):
            x, low, step = make(size, n, d), make(size + 1, d), np.abs(make(size + 2, d))
            for n_bits in (4, 8):
                for largest in (np.inf, 2.0**50, 0.0):
                    yield call(f"n={n} d={d} {make.__name__}", x, low, step, n_bits, largest)
    halves = np.arange(-3, 2 * size + 3, dtype=np.float32)[None] / np.float32(2)
    zeros, ones = np.zeros(halves.shape[1], np.float32), np.ones(halves.shape[1], np.float32)
    for n_bits in (4, 8):
        yield call("ties", halves, zeros, ones, n_bits, 1.0)
        x, low, step = near_halfway(size, 2**n_bits - 1)
        yield call("near halfway", x, low, step, n_bits, np.inf)
        wide = step.copy()
        wide[::3] = 2.0**110  # has no inverse to multiply by
        yield call("near halfway, divided", x, low, wide, n_bits, np.inf)
    for row, x in one_beyond_each(size):
        yield call(f"row {row} is beyond", x, np.zeros(x.shape[1], np.float32), np.ones(x.shape[1], np.float32), 8, 4.0)


def near_halfway(size: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values whose quotients are within a few roundings of halfway between two labels, on either side, and low and step."""
    rng = np.random.default_rng(size)
    d = 40 + size
    low, step = rng.uniform(-1, 1, d).astype(np.float32), rng.uniform(0.01, 3, d).astype(np.float32)
    labels = rng.integers(0, most, (20, d)) + 0.5
    x = (low + step.astype(np.float64) * labels).astype(np.float32)
    low[::2] = 0  # then the quotients are as near as float32 has them
    x[:, ::2] = step[::2] * labels[:, ::2].astype(np.float32)
    return (x + rng.integers(-2, 3, x.shape) * np.spacing(x)).astype(np.float32), low, step


def one_beyond_each(size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of which one has a value beyond 4 at one place, whichever, and the rows behind it may have such as well."""
    rng = np.random.default_rng(size)
    for row in {0, size // 2, max(size - 1, 0)}:
        for value in (np.nan, -np.nan, np.inf, -np.inf, np.nextafter(np.float32(4), np.float32(5)), np.float32(-4.5)):
            x = rng.choice(np.array([-4, -0.25, 0, 3, 4], np.float32), (size, 64 + size))
            if size:
                x[row:, rng.integers(x.shape[1])] = np.where(rng.random(size - row) < 0.5, value, 4)
                x[row, rng.integers(x.shape[1])] = value
            yield row, x


@calls_of("label_sums")
def label_sums(size: int) -> Iterator[Call]:
    rng = np.random.default_rng(size)
    for n, d, k in ((size, 5, 3), (size, 24, 70), (40, size, 4), (130, 8 * size + 1, 7)):
        for make in (values, extreme):
            x, labels = make(size, n, d), rng.integers(0, k, n).astype(np.int32)
            label = f"n={n} d={d} k={k} {make.__name__}"
            yield Call(label, lambda t, x=x, labels=labels, k=k: ops.label_sums(x, labels, k, num_threads=t))


@calls_of("norms")
def norms(size: int) -> Iterator[Call]:
    for n, d in ((size, 5), (size, 24), (3, size), (5, 8 * size + 1)):
        for make in (values, extreme):
            x = make(size, n, d)
            yield Call(f"n={n} d={d} {make.__name__}", lambda t, x=x: ops.norms(x, num_threads=t))
    x = order_shows(size, 200, size + 8)
    yield Call(f"d={size + 8} order shows", lambda t: ops.norms(x, num_threads=t))


def order_shows(seed: int, n: int, d: int) -> np.ndarray:
    """Rows of norm 2^24 + 1, halfway between two float32, but for numbers that float64 drops or keeps as they are added up."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, d), np.float32)
    for row in x:
        large, small = np.split(rng.permutation(d)[:8], [4])
        row[large] = 2**24, 4096, 4096, 1
        row[small] = np.sqrt(rng.uniform(0, 0.06, 4))
    return x


@calls_of("pack_bits")
def pack_bits(size: int) -> Iterator[Call]:
    for n, d in ((size, 5), (size, 64), (3, size), (4, 64 + size), (3, 128 + size)):
        x = extreme(size, n, d)
        thresholds = extreme(size + 1, d)
        if n:
            thresholds[::2] = x[0, ::2]  # equal numbers give 0, and so do zeros of either sign
        yield Call(f"n={n} d={d}", lambda t, x=x, y=thresholds: ops.pack_bits(x, y, num_threads=t))
    for row, x in one_beyond_each(size):

        def run(threads: int, x: np.ndarray = x) -> tuple[np.ndarray, np.ndarray]:
            bits, first = ops.pack_bits_within(x, np.ones(x.shape[1], np.float32), 4.0, num_threads=threads)
            return bits, np.array(first)

        yield Call(f"row {row} is beyond", run)


@calls_of("pack_codes", "unpack_codes")
def pack_codes(size: int) -> Iterator[Call]:
    rng = np.random.default_rng(size)
    for n_bits in range(1, 9):
        for n, d in ((size, 5), (3, size), (2, 130 + size)):
            labels = rng.integers(0, 256, (n, d), dtype=np.uint8)  # with bits that must not matter
            codes = rng.integers(0, 256, (n, packed_size(d, n_bits)), dtype=np.uint8)  # and in the last byte's rest

            def run(threads: int, labels=labels, codes=codes, d=d, n_bits=n_bits):
                packed = ops.pack_codes(labels, n_bits, num_threads=threads)
                return packed, ops.unpack_codes(codes, d, n_bits, num_threads=threads)

            yield Call(f"n={n} d={d} n_bits={n_bits}", run)


@calls_of("quantize")
def quantize(size: int) -> Iterator[Call]:
    for count in (1, 2, 3, 7, 14, 15, 16, 17, 31, 100, 127, 128, 254, 255):
        for n, d in ((size, 5), (3, 64 + size)):
            x, thresholds = extreme(size, n, d), np.sort(extreme(size + count, count))  # with ties
            x[::2, ::7] = np.float32(np.inf)
            yield Call(f"n={n} d={d} L={count}", lambda t, x=x, y=thresholds: ops.quantize(x, y, num_threads=t))
    if size == 130:  # more values than a thread takes at once; numbers that are none, and infinite thresholds
        x = values(3, 3001, 3000)
        x[5, ::9] = np.nan
        bars = np.array([-np.inf, -1, 0, 0.5, np.inf], np.float32)
        yield Call("n=3001", lambda t: ops.quantize(x, bars, num_threads=t))


@calls_of("rotate")
def rotate(size: int) -> Iterator[Call]:
    rng = np.random.default_rng(size)
    for n, d in ((size, 12), (size, 64), (3, max(size, 1)), (4, 128 + size), (2, 8 * size + 3)):
        signs = rng.integers(0, 256, (4, -(-d // 8)), dtype=np.uint8)
        for make in (values, extreme):
            x = make(size, n, d)
            for inverse in (False, True):
                label = f"n={n} d={d} {make.__name__} inverse={inverse}"
                yield Call(label, lambda t, x=x, s=signs, i=inverse: ops.rotate(x, s, inverse=i, num_threads=t))


@calls_of("put_rows", "get_rows")
def blocks(size: int) -> Iterator[Call]:
    rng = np.random.default_rng(size)
    for n, head, group, groups in (
        (size, 0, 1, 19), (size, 3, 2, 8), (size, 1, 4, 5), (150, 0, 1, size), (130, 2, 4, size), (65, 0, 3, size),
        (64, size, 1, 17), (700, 4, 8, 4),
    ):  # fmt: skip
        codes = rng.integers(0, 256, (n, head + group * groups), dtype=np.uint8)
        start, room = size % 7, -(-(n + 70) // 64)
        before = rng.integers(0, 256, (room, codes.shape[1] * 64), dtype=np.uint8)
        rows = np.concatenate((np.arange(room * 64), rng.integers(0, room * 64, 40), np.arange(32, 160) % (room * 64)))

        def run(threads: int, codes=codes, start=start, before=before, rows=rows, head=head, group=group):
            data = before.copy()
            dispatch.run("put_rows", data, codes, start, head, group, num_threads=threads)
            out = dispatch.empty((len(rows), codes.shape[1]), np.uint8)
            dispatch.run("get_rows", out, before, rows, head, group, num_threads=threads)
            return data, out

        yield Call(f"n={n} head={head} group={group} groups={groups} start={start}", run)


# ---- scans

FACTORS = (
    "one", "negative", "zero", "f2", "f4", "u1", "u2", "bias f2", "bias f4", "bias u1", "bias u2", "square f2",
    "square f4", "square u2", "both", "any bytes", "infinite", "nan",
)  # fmt: skip
ALLOW = ("all rows", "all", "none", "random", "clustered", "single")
IDS = ("row numbers", "shuffled", "extreme")
DATA = ("normal", "ties", "overflow", "equal", "steep")
COUNTS = (0, 1, 2, 3, 4, 5, 9)  # queries
KS = ("1", "3", "n", "n + 5")
CALLS_A_SIZE = 22


def _mix(rng: np.random.Generator, count: int) -> Iterator[dict[str, Any]]:
    """`count` combinations in which every choice occurs about equally often."""
    choices = {"factors": FACTORS, "allow": ALLOW, "ids": IDS, "data": DATA, "nq": COUNTS, "k": KS}
    columns = {name: [of[i % len(of)] for i in rng.permutation(count)] for name, of in choices.items()}
    for i in range(count):
        yield {name: column[i] for name, column in columns.items()}


def _allow(rng: np.random.Generator, kind: str, n: int) -> np.ndarray | None:
    """A bitmap uint64[ceil(n / 64)]. Bits past the last row are set where they may be."""
    words = -(-n // 64)
    if kind == "all rows":
        return None
    if kind == "all":
        return np.full(words, ~np.uint64(0))
    rows = np.zeros(words * 64, bool)
    if kind == "random":
        rows[:] = rng.random(words * 64) < 0.5
    elif kind == "clustered" and n:
        first = rng.integers(n)
        rows[first : first + 1 + n // 3] = True
    elif kind == "single" and n:
        rows[rng.integers(n)] = True
    return np.packbits(rows, bitorder="little").view(np.uint64)


def _ids(rng: np.random.Generator, kind: str, n: int) -> np.ndarray | None:
    if kind == "row numbers":
        return None
    if kind == "shuffled":
        return rng.permutation(n).astype(np.int64)
    limits = np.iinfo(np.int64)
    ids = rng.permutation(np.arange(n, dtype=np.int64) * 2**33 - 2**40)
    ids[:1], ids[1:2] = limits.max, limits.min
    return ids


def make_factors(rng: np.random.Generator, kind: str, n: int) -> tuple[np.ndarray, dict[str, Any]]:
    """The codes' head uint8[n, head] and the arguments scale and bias."""
    numbers = rng.choice(np.array([-2.0, -0.5, -0.0, 0.0, 0.25, 1.0, 1.0, 1.5, 6e-8], np.float32), (n, 2))
    table = rng.standard_normal(256).astype(np.float32)
    table[::5] = [0.0, -0.0] * 26
    halves, floats = numbers.astype("<f2").view(np.uint8), numbers.astype("<f4").view(np.uint8)
    any_bytes = rng.integers(0, 256, (n, 7), dtype=np.uint8)  # not numbers and infinite factors among them
    return {
        "one": (any_bytes[:, :0], {"scale": 1.0}),
        "negative": (any_bytes[:, :2], {"scale": -0.75}),
        "zero": (any_bytes[:, :0], {"scale": 0.0}),
        "f2": (halves[:, :2], {"scale": Factor(0, "f2")}),
        "f4": (floats, {"scale": Factor(4, "f4")}),
        "u1": (any_bytes[:, :3], {"scale": Factor(1, "u1", table)}),
        "u2": (any_bytes[:, :2], {"scale": Factor(0, "u2", times=-0.3)}),
        "bias f2": (halves, {"scale": 1.0, "bias": Factor(2, "f2", times=0.7)}),
        "bias f4": (floats, {"scale": -1.0, "bias": Factor(0, "f4", times=1e-3)}),
        "bias u1": (any_bytes[:, :1], {"scale": 1.0, "bias": Factor(0, "u1", table)}),
        "bias u2": (any_bytes[:, :3], {"scale": Factor(1, "u2", times=2e-4), "bias": Factor(0, "u2", times=-3.0)}),
        "square f2": (halves, {"scale": 0.5, "bias": Factor(2, "f2^2", times=0.7)}),
        "square f4": (floats, {"scale": Factor(4, "f4^2", times=1e-3), "bias": Factor(0, "f4^2", times=-2.0)}),
        "square u2": (any_bytes[:, :2], {"scale": Factor(0, "u2", times=2e-4), "bias": Factor(0, "u2^2", times=-1e-9)}),
        "both": (np.hstack([halves[:, :2], any_bytes[:, :1]]), {"scale": Factor(0, "f2"), "bias": Factor(2, "u1", table)}),
        "any bytes": (any_bytes, {"scale": Factor(0, "f4"), "bias": Factor(5, "f2")}),
        "infinite": (any_bytes[:, :0], {"scale": -np.inf}),
        "nan": (any_bytes[:, :0], {"scale": np.nan}),
    }[kind]


def _numbers(rng: np.random.Generator, kind: str, *shape: int) -> np.ndarray:
    if kind == "normal":
        return rng.standard_normal(shape).astype(np.float32)
    if kind == "ties":
        return rng.integers(-1, 2, shape).astype(np.float32)
    if kind == "overflow":
        return rng.choice(FINITE, shape)
    if kind == "steep":  # nearly all codes pick a table's largest number: sums of rounded tables come out as large as they can
        out = np.full(shape, 0.5, np.float32)
        out[..., :1] = -1
        return out
    return np.full(shape, 0.3, np.float32)


def _bytes(rng: np.random.Generator, kind: str, *shape: int) -> np.ndarray:
    if kind == "ties":
        return rng.choice(np.array([0, 1, 0x80, 0xFF], np.uint8), shape)
    if kind == "equal":
        return np.full(shape, 0x5A, np.uint8)
    if kind == "steep":  # the more so, the later the row: what a bound skips too early is missed
        rare = rng.random(shape) < np.linspace(0.03, 0.001, shape[0])[:, None]
        return np.where(rare, 0, rng.integers(0, 256, shape) | 0x11).astype(np.uint8)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def scan_call(op: str, seed: tuple[int, ...], n: int, payload: int, mix: dict[str, Any]) -> Call:
    """A call of scan `op` over n codes of about `payload` bytes behind the head."""
    rng = np.random.default_rng(seed)
    nq, data = mix["nq"], mix["data"]
    head, options = make_factors(rng, mix["factors"], n)
    group = 1
    if op == "flat":
        group = int(rng.choice([2, 4]))
        d = -(-payload // group)
        with np.errstate(over="ignore"):
            x = np.clip(_numbers(rng, data, n, d), -65504 if group == 2 else None, 65504 if group == 2 else None)
        codes = x.astype(f"<f{group}").view(np.uint8).reshape(n, group * d)
        operand = _numbers(rng, data, nq, d)
        options["l2"] = bool(rng.integers(2))
    elif op == "dot":
        n_bits = int(rng.integers(1, 9))
        d = 8 * payload // n_bits
        codes = _bytes(rng, data, n, packed_size(d, n_bits))  # whatever is in a last byte's rest
        operand = _numbers(rng, data, nq, d)
        levels = (None, _numbers(rng, data, 2**n_bits), np.linspace(-1, 2, 2**n_bits, dtype=np.float32))[rng.integers(3)]
        options |= {"n_bits": n_bits, "levels": levels, "l2": bool(rng.integers(2))}
        if options["l2"]:
            options.pop("bias", None)
    elif op == "sdc":
        n_bits = int(rng.choice([1, 2, 4]))
        d = max(0, 8 * payload // n_bits - int(rng.integers(8 // n_bits)))
        codes = _bytes(rng, data, n, packed_size(d, n_bits))  # whatever is in a last byte's rest, in queries too
        operand = _bytes(rng, data, nq, codes.shape[1])
        options |= {"dim": d, "n_bits": n_bits, "form": (None, *FORMS)[rng.integers(4)]}
        weights = rng.choice(FINITE, nq) if data == "overflow" else rng.standard_normal(nq).astype(np.float32)
        weights = np.maximum(np.abs(weights), np.float32(1e-45))
        options["weights"] = (None, weights.astype(np.float32))[rng.integers(2)]
    elif op == "trellis":
        labels = int(rng.integers(0, min(payload, 3) + 1))
        codes, words = _bytes(rng, data, n, payload), some_words(rng, payload - labels)
        operand = _numbers(rng, data, nq, int(steps_of(words).sum()))
        tables = _numbers(rng, data, nq, labels, 256) if labels or rng.integers(2) else None
        options |= {"words": words, "levels": some_levels(rng), "tables": tables}
    else:
        codes = _bytes(rng, data, n, payload)
        if op == "hamming":
            operand = _bytes(rng, data, nq, payload)
        elif op == "lut4":
            operand = _numbers(rng, data, nq, max(0, 2 * payload - int(rng.integers(2))), 16)
        else:
            operand = _numbers(rng, data, nq, payload, 256)
    wild = rng.choice(np.array([np.nan, np.inf, -np.inf, 1e30, -2, 0], np.float32), nq)
    options["constant"] = (None, _numbers(rng, data, nq), wild if data == "overflow" else None)[rng.integers(3)]
    options["ids"], options["allow"] = _ids(rng, mix["ids"], n), _allow(rng, mix["allow"], n)
    k = {"1": 1, "3": 3, "n": max(n, 1), "n + 5": n + 5}[mix["k"]]
    more = int(rng.choice([0, 0, 1, 2 * payload])) if group == 1 else 0  # bytes of longer codes that are not scanned
    behind = rng.integers(0, 256, (n, more), dtype=np.uint8)
    size = head.shape[1] + codes.shape[1]
    blocks = Blocks.pack(np.hstack([head, codes, behind]), head.shape[1], group).prefix(size, head.shape[1])
    label = f"n={n} payload={payload} group={group} more={more} " + " ".join(f"{name}={value}" for name, value in mix.items())
    return Call(label, lambda t: getattr(ops, op)(blocks, operand, k, num_threads=t, **options))


SCANS = ("hamming", "lut4", "lut8", "flat", "dot", "trellis", "sdc")


def _scan(op: str) -> Callable[[int], Iterator[Call]]:
    def calls(size: int) -> Iterator[Call]:
        number = SCANS.index(op)
        rng = np.random.default_rng((size, number))
        for i, mix in enumerate(_mix(rng, CALLS_A_SIZE)):
            n, payload = ((size, 6), (70, size), (size + 64, 9))[i % 3]
            yield scan_call(op, (size, number, i), n, payload, mix)

    return calls


for _op in SCANS:
    CALLS[_op] = _scan(_op)
