"""OPQ: product quantization in axes that are learned."""

from __future__ import annotations

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
        few = sample[:: -(-len(sample) // ROTATION_ROWS)]
        held_out = np.arange(len(few)) % HELD_OUT == HELD_OUT - 1
        self.rotation_ = self._rotation(np.concatenate((few[~held_out], few[held_out])), int(held_out.sum()), num_threads)
        self.codebooks_ = self._codebooks(sample @ self.rotation_, num_threads)

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return super()._encode(ops.project(x, self.rotation_, num_threads=num_threads), num_threads)

    def _decode(self, codes: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        return ops.project(super()._decode(codes), self.rotation_.T, num_threads=num_threads)

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        return self._query(self._decode(self._encode(q, num_threads), num_threads), num_threads)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        return super()._query(ops.project(q, self.rotation_, num_threads=num_threads), num_threads)

    def _rotation(self, x: np.ndarray, held_out: int, num_threads: int | None) -> np.ndarray:
        """float32[d, d]: the best rotation found; the last `held_out` rows of x are not learned from, unless there are none."""
        learned = x[: len(x) - held_out]
        starts = []
        for rotation in (np.eye(self.dim, dtype=np.float32), balanced_directions(learned, self.m)):
            codebooks = self._codebooks(learned @ rotation, num_threads, iterations=FIRST_MOVES)
            error = self._move(x @ rotation, codebooks, len(learned), num_threads)[0]
            starts.append((error, rotation, codebooks))
        lowest, rotation, codebooks = min(starts, key=lambda start: start[0])
        best, before, slow = rotation, np.inf, 0
        for _ in range(STEPS):
            error, codebooks, decoded = self._move(x @ rotation, codebooks, len(learned), num_threads)
            if error < lowest:
                best, lowest = rotation, error
            slow = slow + 1 if error > before * (1 - GAIN) else 0
            if slow == PATIENCE:
                break
            before = min(before, error)
            rotation = nearest_rotation(learned.T @ decoded).astype(np.float32)
        return best

    def _move(
        self, z: np.ndarray, codebooks: np.ndarray, learned: int, num_threads: int | None
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """One step of k-means from the first `learned` rows of z.

        Returns the squared error of the rows after them with the old codebooks (of all rows where there are none), the new
        codebooks, and the learned rows decoded from them, float32[learned, d].
        """
        error, decoded, new = 0.0, np.empty((learned, self.dim), np.float32), np.empty_like(codebooks)
        for j, part in enumerate(np.split(z, self.m, axis=1)):
            part = np.ascontiguousarray(part)
            labels, distances = ops.assign(part, codebooks[j], num_threads=num_threads)
            error += float(distances[learned % len(z) :].sum(dtype=np.float64))
            part, labels, distances = part[:learned], labels[:learned], distances[:learned]
            count = np.bincount(labels, minlength=self.ks)
            new[j] = moved(part, labels, distances, count, num_threads)
            decoded[:, j * self.dsub : (j + 1) * self.dsub] = new[j][labels]
        return error, new, decoded

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
