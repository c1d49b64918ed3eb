"""Rows to labels of residual codebooks: a beam search that multiplies whole numbers, so that every machine finds the same."""

from __future__ import annotations

import numpy as np

from ..checks import check_int
from ..dispatch import empty, reference, run
from .numerics import array, fma32

ENTRIES = 256  # of a codebook
MOST_LABELS = 64
MOST_PATHS = 16
MOST_DIMENSIONS = 1 << 18  # products of rows then stay within 32 bits
LARGEST = 63  # that a component of a row is rounded to: two products with bytes then stay within 16 bits
ORIGIN = 128  # of entries as bytes
SMALLEST = np.float32(2.0**-100)  # rows of no larger component count as 0


def search_labels(
    y: np.ndarray, books: np.ndarray, entries: np.ndarray, factors: np.ndarray, squares: np.ndarray, pairs: np.ndarray, beam: int,
    *, last: int = 1, paths: np.ndarray | None = None, scores: np.ndarray | None = None, num_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The paths through codebooks of least squared error, longer by a label a step, and what the first path leaves of a row.

    A step j goes from b paths of j labels, of which path 0 is the best, to the `beam` best continuations, with S of `last` at the
    end. With float32 numbers, each operation rounded, and rint to even:

        rest = y - books[0, label 0 of path 0] - ... - books[j-1, label j-1 of path 0]      in this order
        most = the largest |rest[t]|;  q[t] = rint(fma(rest[t], 63 / most, 64) within 1 .. 127) - 64, 0 if most < 2^-100
        product[c] = sum over t of q[t] (entries[., t // 4, c, t % 4] - 128)      a whole number
        apart[p, c] = sum over i < j of pairs[i, label i of p, c] - pairs[i, label i of path 0, c]      a whole number
        total[p, c] = fma(product[c], most factors[., 0], squares[., c]) + fma(apart[p, c], factors[., 1], scores[p])

    The least totals are kept, of equal ones those of the earlier path, then of the lower label; what is no number counts as
    infinity. Scores of what is kept are its totals less the first of them, if that is finite.

    With factors[., 0] = -2 w / 63, r = (entries - 128) w near the codebook's, squares = |r|^2 and pairs near
    2 <books[i], r> / factors[., 1], less what is the same for all labels i, a total is near
    |y - sum of entries|^2 - |y - sum of path 0|^2. Products are of what path 0 leaves, and pairs of how others differ from it, so
    roundings are small beside what is decided.

    Parameters
    ----------
    y : float32[n, d], finite, d at most 2^18
    books : float32[J, 256, d]
    entries, factors, squares : uint8[S, ceil(d / 4), 256, 4], float32[S, 2], float32[S, 256], of the last S of the codebooks
    pairs : int8[T, 256, 256], of these each with those before it: T = the sum of j for j = J - S .. J - 1
    beam, last : 1 to 16; where there are fewer continuations, all are kept
    paths, scores : uint8[n, b, J - S], float32[n, b], where the search starts; None (only for S = J): from no label, at 0

    Returns
    -------
    uint8[n, k, J], float32[n, k] : the paths, best first, and their scores, k = min(last, b * 256)
    float32[n, d] : y less the first path's entries, as `rest`

    Cost: a row S 256 d multiply-adds of bytes, a quarter of what float32 takes.
    Source: Babenko and Lempitsky, "Additive quantization for extreme vector compression", CVPR 2014, in whole numbers.
    """
    op = "search_labels"
    y = array(op, "y", y, np.float32, (None, None))
    n, d = y.shape
    if d > MOST_DIMENSIONS:
        raise ValueError(f"{op}: y expected at most {MOST_DIMENSIONS} columns, got {d}")
    books = array(op, "books", books, np.float32, (None, ENTRIES, d))
    squares = array(op, "squares", squares, np.float32, (None, ENTRIES))
    depth, steps = len(books), len(squares)
    if not 1 <= depth <= MOST_LABELS or not 1 <= steps <= depth:
        raise ValueError(f"{op}: books expected 1 to {MOST_LABELS}, and squares of 1 or more of them, got {depth} and {steps}")
    entries = array(op, "entries", entries, np.uint8, (steps, -(-d // 4), ENTRIES, 4))
    factors = array(op, "factors", factors, np.float32, (steps, 2))
    before = depth - steps
    pairs = array(op, "pairs", pairs, np.int8, (sum(range(before, depth)), ENTRIES, ENTRIES))
    beam, last = check_int(op, "beam", beam, 1, MOST_PATHS), check_int(op, "last", last, 1, MOST_PATHS)
    if paths is None:
        paths = np.empty((n, 1, 0), np.uint8)
    if scores is None:
        scores = np.zeros(paths.shape[:2], np.float32)
    paths = array(op, "paths", paths, np.uint8, (n, None, before))
    if not 1 <= paths.shape[1] <= MOST_PATHS:
        raise ValueError(f"{op}: paths expected 1 to {MOST_PATHS} a row, got shape {paths.shape}")
    scores = array(op, "scores", scores, np.float32, paths.shape[:2])
    count = paths.shape[1]
    for j in range(steps):
        count = min(last if j == steps - 1 else beam, count * ENTRIES)
    found, reached, rest = empty((n, count, depth), np.uint8), empty((n, count), np.float32), empty((n, d), np.float32)
    run(op, found, reached, rest, y, books, entries, factors, squares, pairs, paths, scores, beam, num_threads=num_threads)
    return found, reached, rest


@reference("search_labels")
def _search_labels(
    found: np.ndarray, reached: np.ndarray, rest: np.ndarray, y: np.ndarray, books: np.ndarray, entries: np.ndarray,
    factors: np.ndarray, squares: np.ndarray, pairs: np.ndarray, paths: np.ndarray, scores: np.ndarray, beam: int,
) -> None:  # fmt: skip
    (n, d), depth, row, pair = y.shape, len(books), np.arange(len(y)), 0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for step, j in enumerate(range(depth - len(squares), depth)):
            left = _left(y, books, paths)
            most = np.abs(left).max(axis=1, initial=0)
            inverse = np.where(most >= SMALLEST, np.float32(LARGEST) / most, np.float32(0))[:, None]
            near = fma32(left, inverse, np.float32(64))
            near = np.where(near > 1, np.minimum(near, np.float32(127)), np.float32(1))  # NaN becomes 1
            whole = np.zeros((n, 4 * entries.shape[1]), np.int64)
            whole[:, :d] = np.rint(near).astype(np.int64) - 64
            columns = entries[step].transpose(0, 2, 1).reshape(-1, ENTRIES).astype(np.int64) - ORIGIN
            product = (whole @ columns).astype(np.float32)
            own = fma32(product, (most * factors[step, 0])[:, None], squares[step])
            apart = np.zeros((*paths.shape[:2], ENTRIES), np.int16)
            for i in range(j):
                apart += pairs[pair + i, paths[:, :, i]].astype(np.int16) - pairs[pair + i, paths[:, :1, i]]
            pair += j
            total = own[:, None] + fma32(apart.astype(np.float32), factors[step, 1], scores[:, :, None])
            total = np.where(np.isnan(total), np.float32(np.inf), total).reshape(n, paths.shape[1] * ENTRIES)
            least = np.argsort(total, axis=1, kind="stable")[:, : reached.shape[1] if j == depth - 1 else beam]
            scores = np.take_along_axis(total, least, axis=1)
            scores = scores - np.where(np.isfinite(scores[:, :1]), scores[:, :1], np.float32(0))
            label = (least % ENTRIES).astype(np.uint8)[:, :, None]
            paths = np.concatenate((paths[row[:, None], least // ENTRIES], label), axis=2)
        found[:], reached[:], rest[:] = paths, scores, _left(y, books, paths)


def _left(y: np.ndarray, books: np.ndarray, paths: np.ndarray) -> np.ndarray:
    for book, label in zip(books, paths[:, 0].T, strict=False):
        y = y - book[label]
    return y
