"""Residual quantization: sums of codebook entries, found by a beam search; how codebooks for that are learned.

What late codebooks are learned from looks like noise, and a mean of n rows has 1 / n of it. So codebook j is learned by k-means
from what the best paths of each row leave, its entries being sums / (n + lambda_j), with lambda_j the variance within clusters by
that of the entries. Then all entries become those of least squared error for the labels, C of

    (B^T B + diag(lambda)) (C - old) = B^T (X - B old),    B[i, (j, label j of row i)] = 1

and rows are labelled anew, while rows that are not learned from get less error. Least squares that pull to 0 have less error
still, and less recall.

Source: Chen, Guan, Wang, "Approximate nearest neighbor search by residual vector quantization", Sensors 2010; Babenko and
Lempitsky, "Additive quantization for extreme vector compression", CVPR 2014 (beam, least squares); Martinez et al., "LSQ++",
ECCV 2018 (with a ridge). Differs in lambda and in held-out rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from . import ops
from .ops.search_labels import LARGEST, ORIGIN

HELD_OUT = 16  # one of so many rows is not learned from: they tell whether least squares helped
WAYS = 8  # so many paths of a row leave the residuals that the next codebook is learned from, where `ways_rows` allow
WAYS_ROWS = 131072  # residuals that a codebook is learned from
MOVES = 10  # of k-means a codebook; least squares moves all entries afterwards
ROUNDS = 8  # of least squares at most
GAIN = 2e-3  # a round that lowers the held-out error by a smaller share is the last
BLOCK_ROWS = 1024  # worked on at a time, so that what comes of them stays in the cache
CALM = 1e-2  # a ridge of more than this share of the rows an entry has leaves a system that float32 solves
SOLVED_ROWS = 256  # unknowns that are substituted together
LARGEST_ENTRY = 127  # that entries and their products are rounded to
SUM_ROWS = 256  # summed up at a time, which is less work on each

Paths = tuple[np.ndarray, np.ndarray]  # labels so far, uint8[n, paths, labels], best first; squared errors less |y|^2


class Step(NamedTuple):
    """What the search needs of a codebook of one part.

    weights : float32[d, ks], -2 times its entries; offset : float32[ks], their squared lengths; pairs : float32[j * ks, ks],
        twice the products of the entries of the j codebooks before it with its own
    """

    weights: np.ndarray
    offset: np.ndarray
    pairs: np.ndarray


class WholeSteps(NamedTuple):
    """The same of several codebooks in whole numbers, as arguments of `ops.search_labels`."""

    books: np.ndarray
    entries: np.ndarray
    factors: np.ndarray
    squares: np.ndarray
    pairs: np.ndarray


Steps = list[Step] | WholeSteps


def learn_books(
    x: np.ndarray, depth: int, ks: int, beam: int, seed: Sequence[int], num_threads: int | None,
    *, ways_rows: int = WAYS_ROWS, rounds: int | None = None, whole: bool = False,
) -> np.ndarray:  # fmt: skip
    """float32[depth, ks, d]: codebooks for the rows of x, float32[n, d], that are searched with so wide a beam.

    ways_rows, rounds : less of either is learned faster, and worse; None: ROUNDS
    whole : the search is that of `whole_steps`
    """
    steps_of = whole_steps if whole else search_steps
    mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    x = x - mean
    held_out = np.arange(len(x)) % HELD_OUT == HELD_OUT - 1
    learned, other = x[~held_out], x[held_out] if held_out.any() else x
    books, ridge = np.zeros((depth, ks, x.shape[1]), np.float32), np.zeros(depth)
    ways = max(1, min(WAYS, ways_rows // len(learned)))
    residuals, room, found = learned, np.empty((ways, *learned.shape), np.float32), None
    for j in range(depth):
        rng = np.random.Generator(np.random.PCG64((*seed, j)))
        books[j], ridge[j] = _entries(residuals, ks, rng, num_threads)
        found = _walk(learned, steps_of(books[: j + 1], num_threads, j), beam, beam, num_threads, found)
        labels = found[0][:, 0]
        for way, left in enumerate(room[: found[0].shape[1]]):  # few entries leave fewer ways
            np.subtract(learned, sums(books, found[0][:, way]), out=left)
        residuals = room[: found[0].shape[1]].reshape(-1, x.shape[1])

    best = _improved(learned, other, labels, books, ridge, beam, ROUNDS if rounds is None else rounds, steps_of, num_threads)
    return np.concatenate((best[:1] + mean, best[1:]))


def _improved(
    learned: np.ndarray, other: np.ndarray, labels: np.ndarray, books: np.ndarray, ridge: np.ndarray, beam: int, rounds: int,
    steps_of: Callable[..., Steps], num_threads: int | None,
) -> np.ndarray:  # fmt: skip
    """Of the books and what rounds of least squares, and new labels, make of them, those that are best for the rows `other`."""

    def error_of(steps: Steps, books: np.ndarray) -> float:
        return _squares(other - sums(books, best_labels(other, steps, beam, num_threads)))

    best, lowest = books, error_of(steps_of(books, num_threads), books)
    for _ in range(rounds if len(books) > 1 else 0):
        books = _solved(learned, labels, books, ridge, num_threads)
        steps = steps_of(books, num_threads)
        before, error = lowest, error_of(steps, books)
        best, lowest = (books, error) if error < lowest else (best, lowest)
        if not error < before * (1 - GAIN):
            break
        labels = best_labels(learned, steps, beam, num_threads)
    return best


def best_labels(y: np.ndarray, steps: Steps, beam: int, num_threads: int | None) -> np.ndarray:
    """uint8[n, depth]: the labels of rows y float32[n, d]. Row by row: a row has the same alone and in a batch."""
    return _walk(y, steps, beam, 1, num_threads)[0][:, 0]


def best_labels_and_rest(y: np.ndarray, steps: WholeSteps, beam: int, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The same in whole numbers, and what they leave of y, float32[n, d]."""
    paths, _, rest = ops.search_labels(y, *steps, beam, num_threads=num_threads)
    return paths[:, 0], rest


def search_steps(books: np.ndarray, num_threads: int | None, first: int = 0) -> list[Step]:
    """Of the codebooks of one part, float32[depth, ks, d], from the first that is wanted on."""
    found = []
    for j, book in enumerate(books[first:], first):
        twice = np.ascontiguousarray(book.T) * np.float32(2)
        with np.errstate(over="ignore", invalid="ignore"):
            products = ops.project(books[: j + 1].reshape(-1, len(twice)), twice, num_threads=num_threads)
        before, own = np.split(products, [j * len(book)])
        found.append(Step(-twice, np.diagonal(own) / np.float32(2), before.copy()))
    return found


def whole_steps(books: np.ndarray, num_threads: int | None, first: int = 0) -> WholeSteps:
    """Of float32[depth, 256, d], from the first that is wanted on.

    Entries, and their products with those of earlier codebooks, are rounded to 127 steps either way.
    """
    depth, ks, dim = books.shape
    steps = depth - first
    unit = np.maximum(np.abs(books[first:]).max(axis=(1, 2), initial=0), np.float32(1e-30)) / np.float32(LARGEST_ENTRY)
    whole = np.rint(books[first:] / unit[:, None, None])
    rounded = whole * unit[:, None, None]  # squares and pairs are of these: a row's nearest is then near to it
    squares = np.square(ops.norms(rounded.reshape(-1, dim), num_threads=num_threads)).reshape(steps, ks)
    factors = np.stack((unit * np.float32(-2 / LARGEST), np.ones_like(unit)), axis=1)
    entries = np.full((steps, ks, -(-dim // 4) * 4), ORIGIN, np.uint8)
    entries[:, :, :dim] = (whole + ORIGIN).astype(np.uint8)
    pairs = []
    for step, book in enumerate(rounded):
        twice, before = np.ascontiguousarray(book.T) * np.float32(2), books[: first + step].reshape(-1, dim)
        products = ops.project(before, twice, num_threads=num_threads).reshape(-1, ks, ks)
        # what all labels have is of no account: only differences are used
        middle = (products.min(axis=1, keepdims=True, initial=np.inf) + products.max(axis=1, keepdims=True, initial=-np.inf)) / 2
        products -= middle
        factors[step, 1] = max(float(np.abs(products).max(initial=0)) / LARGEST_ENTRY, 1e-30)
        pairs.append(np.rint(products / factors[step, 1]).astype(np.int8))
    layout = entries.reshape(steps, ks, -1, 4).transpose(0, 2, 1, 3)
    return WholeSteps(books, np.ascontiguousarray(layout), factors, squares, np.concatenate(pairs))


def _walk(y: np.ndarray, steps: Steps, beam: int, last: int, num_threads: int | None, at: Paths | None = None) -> Paths:
    """Goes `steps` from the paths `at`, or from the start; keeps `beam` paths a row, `last` at the end."""
    if isinstance(steps, WholeSteps):
        paths, scores = at or (None, None)
        return ops.search_labels(y, *steps, beam, last=last, paths=paths, scores=scores, num_threads=num_threads)[:2]
    n = len(y)
    paths, scores = at or (np.empty((n, 1, 0), np.uint8), np.zeros((n, 1), np.float32))
    done = []
    for start in range(0, max(n, 1), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        block = paths[rows], scores[rows]
        for i, step in enumerate(steps):
            costs = ops.project(y[rows], step.weights, step.offset, num_threads=num_threads)
            block = ops.beam_step(costs, step.pairs, *block, beam if i < len(steps) - 1 else last, num_threads=num_threads)
        done.append(block)
    return np.concatenate([block[0] for block in done]), np.concatenate([block[1] for block in done])


def sums(books: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float32[n, d]: the sum of the labels' entries, in order; there may be fewer labels than codebooks."""
    total = np.empty((len(labels), books.shape[2]), np.float32)
    part = np.empty((SUM_ROWS, books.shape[2]), np.float32)
    for start in range(0, len(labels), SUM_ROWS):
        rows = slice(start, start + SUM_ROWS)
        out, columns = total[rows], labels[rows].astype(np.intp).T
        np.take(books[0], columns[0], axis=0, out=out, mode="clip")
        for book, column in zip(books[1:], columns[1:], strict=False):
            out += np.take(book, column, axis=0, out=part[: len(out)], mode="clip")
    return total


def _squares(x: np.ndarray) -> float:
    return float(np.square(x, dtype=np.float64).sum())


def _entries(x: np.ndarray, ks: int, rng: np.random.Generator, num_threads: int | None) -> tuple[np.ndarray, float]:
    """float32[ks, d]: entries near which the rows of x are, and the lambda that they are shrunk by.

    k-means from random rows: k-means++ would start at the longest residuals, which are noise.
    """
    n = len(x)
    entries = x[np.sort(rng.choice(n, ks, replace=n < ks))]
    total = sum(_squares(x[start : start + BLOCK_ROWS]) for start in range(0, n, BLOCK_ROWS))
    for _ in range(MOVES):
        labels, _ = ops.assign(x, entries, num_threads=num_threads)
        count = np.bincount(labels, minlength=ks)
        sums = ops.label_sums(x, labels, ks, num_threads=num_threads)
        between = float((np.square(sums).sum(axis=1) / np.maximum(count, 1)).sum())
        noise = max(total - between, 0.0) / max(n - ks, 1)  # of a row; an entry has noise / count of it
        signal = (between - ks * noise) / n  # of an entry
        # where rows are few the estimate is poor: no entry of usual count is shrunk to less than half
        ridge = min(noise / signal, n / ks) if signal * n / ks > noise else (n / ks if noise > 0 else 0.0)
        entries = (sums / np.maximum(count + ridge, 1)[:, None]).astype(np.float32)
        unused = np.flatnonzero(count == 0)
        entries[unused] = x[rng.choice(n, len(unused))]
    return entries, ridge


def _solved(x: np.ndarray, labels: np.ndarray, books: np.ndarray, ridge: np.ndarray, num_threads: int | None) -> np.ndarray:
    """float32[depth, ks, d]: the entries C of least |x - sum of C|^2 + ridge |C - books|^2, ridge float64[depth]."""
    depth, ks, dim = books.shape
    residuals = x - sums(books, labels)
    dtype = np.float32 if ridge.min() > CALM * len(x) / ks else np.float64
    right, matrix = np.empty((depth, ks, dim), dtype), np.zeros((depth, ks, depth, ks), dtype)  # its lower half
    for j, own in enumerate(labels.T.astype(np.int32)):
        right[j] = ops.label_sums(residuals, own, ks, num_threads=num_threads)
        for i in range(j + 1):
            matrix[j, :, i] = np.bincount(own * ks + labels[:, i], minlength=ks * ks).reshape(ks, ks)
    square = matrix.reshape(depth * ks, depth * ks)
    square[np.diag_indices(len(square))] += np.repeat(ridge, ks) + 1e-3  # unused entries must not make it singular
    step = _solve(square, right.reshape(-1, dim))
    return (books + step.reshape(books.shape)).astype(np.float32)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """matrix^-1 right, for a positive definite matrix, of which the lower half is read and overwritten, by its Cholesky factor.

    Block by block in matrix products, for `np.linalg` has no solver that makes use of the symmetry, and its factor takes longer.
    """
    blocks = [slice(start, start + SOLVED_ROWS) for start in range(0, len(matrix), SOLVED_ROWS)]
    out = right.copy()
    for block in blocks:
        before = slice(0, block.start)
        columns = matrix[block.start :, block]
        columns -= matrix[block.start :, before] @ matrix[block, before].T
        own, below = columns[:SOLVED_ROWS], columns[SOLVED_ROWS:]
        own[:] = np.linalg.cholesky(own)
        inverse = np.linalg.inv(own)
        below[:] = below @ inverse.T
        out[block] = inverse @ (out[block] - matrix[block, before] @ out[before])
    for block in reversed(blocks):
        after = slice(block.stop, None)
        out[block] = np.linalg.solve(matrix[block, block].T, out[block] - matrix[after, block].T @ out[after])
    return out
