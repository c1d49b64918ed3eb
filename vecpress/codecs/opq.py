"""OPQ: product quantization in axes that are learned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import ops
from ..arrays import Rows
from ..codec import Array, Codec, Metric, Query
from ..kmeans import moved
from ..pca import MOST_COLUMNS, check_columns, nearest_rotation, principal
from .pq import PQ, TRAIN_ROWS

ROTATION_ROWS = 32768  # the rotation is learned from at most; the codebooks from as many as those of PQ
HELD_OUT = 8  # one of so many rows is not learned from: it tells which rotation is better
FIRST_MOVES = 6  # of the centroids before the first rotation
STEPS = 30  # rotations at most
GAIN = 5e-4  # a step that lowers the held-out error by a smaller share counts as slow
PATIENCE = 3  # slow steps in a row that are the last


class OPQ(PQ):
    """Rotates a vector so that its sub-vectors can be coded with less error, then codes it as PQ does.

    x_hat = z_hat @ rotation_.T, z_hat = PQ's decoded vector of z = x @ rotation_

    Code layout: that of PQ, of z. Products are summed in the order of `vecpress.ops.project`. A rotation leaves inner products
    and distances as they are, so scores are PQ's, of the rotated query with z_hat. `symmetric=True` codes the query too.

    The rotation starts at no rotation, or at the principal directions, dealt out so that the product of variances is about the
    same in each sub-vector, whichever codes rows with less error that were not learned from (every eighth). Then it alternates:
    centroids move once, the rotation becomes the one that takes the rows nearest to their decoded vectors. It ends when three
    steps in a row each lower the held-out error by less than 0.05 %, and keeps the rotation with the lowest. So data whose
    columns are in good order already (SIFT: a histogram a sub-vector) do not lose it.

    Parameters
    ----------
    m, n_bits, metric : as of PQ
    seed : of the sample that is learned from and of k-means, 0 .. 2^63 - 1

    Learned: rotation_ float32[d, d], orthonormal; codebooks_ float32[m, 2**n_bits, d / m], by k-means from the start, in the axes
    found. The rotation is learned from 32,768 rows at most; sample, warning and limit as of PQ. Fewer rows than some 20 d fit a
    rotation to the sample's noise, which the held-out rows show: then it stays near its start.

    Beside faiss's OPQ and PQ: the tables of README.md.

    More than 4096 columns are a ValueError.

    Cost: fit as PQ, and 30 * 32,768 * d * (2^n_bits + 2 d) multiply-adds and 30 singular value decompositions of d x d at most;
    encode and a query n * d^2 multiply-adds more than PQ; memory three copies of the rows that the rotation is learned from.
    Source: Ge, He, Ke, Sun, "Optimized product quantization", PAMI 2014, sections 3.1 (alternation) and 3.2 (principal
    directions in balance). Differs in the choice of the start and in held-out rows.
    """

    state = {"rotation_": Array("float32", ("dim", "dim")), **PQ.state}  # noqa: RUF012  declared ClassVar in Codec
    rotation_: np.ndarray

    def _check_dim(self, dim: int) -> None:
        super()._check_dim(dim)
        check_columns("OPQ", dim)

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        sample = x.sample(TRAIN_ROWS, self.seed)
        rows, held_out = some_rows(sample)
        learned = rows[: len(rows) - held_out]
        starts = [np.eye(self.dim, dtype=np.float32), balanced_directions(learned, self.m)]
        self.rotation_ = learned_axes(rows, held_out, starts, self._codebooks, num_threads)[0]
        self.codebooks_ = self._codebooks(sample @ self.rotation_, num_threads)

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return super()._encode(ops.project(x, self.rotation_, num_threads=num_threads), num_threads)

    def _decode(self, codes: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        return ops.project(super()._decode(codes), self.rotation_.T, num_threads=num_threads)

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        return self._query(self._decode(self._encode(q, num_threads), num_threads), num_threads)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        return super()._query(ops.project(q, self.rotation_, num_threads=num_threads), num_threads)

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """As PQ, where its rotation can be learned."""
        return super().offers(dim, code_size, metric, seed) if dim <= MOST_COLUMNS else []


def balanced_directions(x: np.ndarray, m: int) -> np.ndarray:
    """float32[d, d]: the principal directions of x, dealt out to m sub-vectors of d / m, largest variance first.

    Each goes to the sub-vector with the smallest product of variances so far that has room, every variance taken relative to the
    smallest. Those below 10^-12 of the largest count as that.
    """
    variances, directions = principal(x)
    size = len(variances) // m
    floor = max(variances[0] * 1e-12, np.finfo(np.float64).tiny)
    weights = np.log(np.maximum(variances, floor) / max(variances[-1], floor))
    parts: list[list[int]] = [[] for _ in range(m)]
    total = np.zeros(m)
    for i, weight in enumerate(weights):
        j = min((j for j in range(m) if len(parts[j]) < size), key=lambda j: total[j])
        parts[j].append(i)
        total[j] += weight
    return np.ascontiguousarray(directions[:, np.concatenate(parts)], np.float32)


def some_rows(sample: np.ndarray) -> tuple[np.ndarray, int]:
    """Rows that axes are learned from and, behind them, those that are held out; how many these are."""
    few = sample[:: -(-len(sample) // ROTATION_ROWS)]
    held_out = np.arange(len(few)) % HELD_OUT == HELD_OUT - 1
    return np.concatenate((few[~held_out], few[held_out])), int(held_out.sum())


def learned_axes(
    x: np.ndarray, held_out: int, starts: list[np.ndarray], first: Callable[..., np.ndarray], num_threads: int | None
) -> tuple[np.ndarray, float]:
    """Orthonormal columns, float32[d, p], in which product quantization loses little of x, and what it loses of held-out rows.

    x : float32[n, d]; the last `held_out` rows are not learned from, unless there are none
    starts : float32[d, p] each, of orthonormal columns; what x is beyond them is lost
    first : codebooks float32[m, ks, p / m] of rows float32[r, p], with num_threads and iterations
    """
    learned = x[: len(x) - held_out]
    tried = []
    for axes in starts:
        codebooks = first(learned @ axes, num_threads, iterations=FIRST_MOVES)
        tried.append((_move(x, axes, codebooks, len(learned), num_threads)[0], axes, codebooks))
    lowest, axes, codebooks = min(tried, key=lambda start: start[0])
    best, before, slow = axes, np.inf, 0
    for _ in range(STEPS):
        error, codebooks, decoded = _move(x, axes, codebooks, len(learned), num_threads)
        if error < lowest:
            best, lowest = axes, error
        slow = slow + 1 if error > before * (1 - GAIN) else 0
        if slow == PATIENCE:
            break
        before = min(before, error)
        axes = nearest_rotation(learned.T @ decoded).astype(np.float32)
    return best, lowest


def _move(
    x: np.ndarray, axes: np.ndarray, codebooks: np.ndarray, learned: int, num_threads: int | None
) -> tuple[float, np.ndarray, np.ndarray]:
    """One step of k-means from the first `learned` rows of x @ axes.

    Returns the squared error of the rows after them with the old codebooks (of all rows where there are none), the new
    codebooks, and the learned rows decoded from them, float32[learned, p].
    """
    z, judged = x @ axes, slice(learned % len(x), None)
    decoded, new = np.empty((learned, z.shape[1]), np.float32), np.empty_like(codebooks)
    error = 0.0
    if z.shape[1] < x.shape[1]:  # what no axis has
        error = max(float(np.square(x[judged], dtype=np.float64).sum() - np.square(z[judged], dtype=np.float64).sum()), 0.0)
    m, ks, dsub = codebooks.shape
    for j, part in enumerate(np.split(z, m, axis=1)):
        part = np.ascontiguousarray(part)
        labels, distances = ops.assign(part, codebooks[j], num_threads=num_threads)
        error += float(distances[judged].sum(dtype=np.float64))
        part, labels, distances = part[:learned], labels[:learned], distances[:learned]
        count = np.bincount(labels, minlength=ks)
        new[j] = moved(part, labels, distances, count, num_threads)
        decoded[:, j * dsub : (j + 1) * dsub] = new[j][labels]
    return error, new, decoded
