"""ITQ: one bit for each of a few learned directions, turned so that signs lose least."""

from __future__ import annotations

import numpy as np

from ..arrays import Rows
from ..chain import Chain, Projection, square
from ..checks import check_choice, check_int
from ..codec import METRICS, Array, Codec, Metric
from ..pca import ENOUGH_ROWS, MOST_COLUMNS, SAMPLE_ROWS, check_columns, nearest_rotation, principal, random_rotation
from .pq import MAX_SEED
from .sign import Sign

ROTATION_ROWS = 32768  # that the rotation is learned from at most: half as many cost recall at 384 bits
STEPS = 50


class ITQ(Chain):
    """Keeps one bit for each of `bits` directions: the principal ones, rotated so that signs are near the values.

    z = (x - mean_) @ components_; x_hat = mean_ + z_hat @ components_.T, z_hat = the vector that Sign decodes for z

    Code layout: that of Sign, of z: code_size = ceil(bits / 8), direction 8 b + r is bit 7 - r of byte b, 1 where z is above
    inner_mean_; the last byte's rest is 0. Products are summed in the order of `vecpress.ops.project`.

    Scores of float queries are those of the query with x_hat, exact up to float32 rounding: the mean is never dropped. With
    `symmetric=True` they are an affine map of the Hamming distance h, with level = inner_level_:

    | metric | score |
    |---|---|
    | l2 | 4 level^2 h, the squared distance of the decoded vectors |
    | ip, cos | (norm(mean_)^2 + norm(inner_mean_)^2 + bits level^2) - 2 level^2 h: Sign's, and the product of the means |

    The order of float queries' scores does not depend on the level: x_hat has the same distance from the mean for every code. So
    the level that makes |z - z_hat|^2 smallest, the mean of |z|, is the best for any number of bits, and makes scores realistic.

    Parameters
    ----------
    bits : 1 .. d; larger -> more bytes, more recall
    metric : "ip", "l2" or "cos"
    seed : of the sample that is learned from and of the first rotation, 0 .. 2^63 - 1

    Learned: mean_ float32[d] and components_ float32[d, bits], orthonormal, from 65,536 rows at most, the rotation from 32,768 of
    these: 50 times the rotation that takes z nearest to its signs. inner_mean_ float32[bits], about 0, and inner_level_
    float32[1], as Sign's, from z of every row. Values beyond 2^50, and more than 4096 columns, are a ValueError.

    Beside faiss's ITQ: the tables of README.md.

    Cost: fit d^2 multiply-adds a row, 9 d^3, and 50 times 32,768 * 2 bits^2 and a singular value decomposition of bits x bits;
    encode and decode d * bits a vector, a query as many (l2: twice); scans as Sign.
    Source: Gong, Lazebnik, Gordo, Perronnin, "Iterative quantization", PAMI 2013, sections 3.1 and 3.2.
    """

    own_state = {"mean_": Array("float32", ("dim",)), "components_": Array("float32", ("dim", "bits"))}  # noqa: RUF012
    mean_: np.ndarray
    components_: np.ndarray

    def __init__(self, bits: int, *, metric: Metric = "ip", seed: int = 0):
        self.bits = check_int("ITQ", "bits", bits, 1)
        self.metric = check_choice("ITQ", "metric", metric, METRICS)
        self.seed = check_int("ITQ", "seed", seed, 0, MAX_SEED)
        self._template = Sign(metric="ip" if self.metric == "cos" else self.metric)

    @property
    def inner_dim(self) -> int:
        return self.bits

    @property
    def enough_rows(self) -> int:
        return max(super().enough_rows, ENOUGH_ROWS * self.dim)

    def _check_dim(self, dim: int) -> None:
        if dim < self.bits:
            raise ValueError(f"ITQ: bits expected at most d={dim}, got {self.bits}")
        check_columns("ITQ", dim)

    def _learn(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        sample = x.sample(SAMPLE_ROWS, self.seed)
        self.mean_ = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        directions = principal(sample)[1][:, : self.bits]
        few = sample[:: -(-len(sample) // ROTATION_ROWS)]
        z = (few - self.mean_) @ directions.astype(np.float32)
        rotation = random_rotation(self.bits, np.random.Generator(np.random.PCG64(self.seed)))
        for _ in range(STEPS):
            signs = np.where(z @ rotation.astype(np.float32) > 0, np.float32(1), np.float32(-1))
            rotation = nearest_rotation(z.T @ signs)
        self.components_ = (directions @ rotation).astype(np.float32)

    @property
    def _projection(self) -> Projection:
        return Projection(self.mean_, self.components_)

    def _map(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return self._projection.forward(x, num_threads)

    def _unmap(self, z: np.ndarray, num_threads: int | None) -> np.ndarray:
        return self._projection.back(z, num_threads)

    def _map_queries(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        return self._projection.queries(q, self.metric, num_threads)

    def _hamming_constant(self) -> float:
        return 0.0 if self.metric == "l2" else square(self.mean_)

    @classmethod
    def examples(cls) -> list[Codec]:
        return [cls(8), cls(13, metric="l2"), cls(11, metric="cos", seed=1), cls(24)]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """As many bits as dimensions, and half of them."""
        return [cls(bits, metric=metric) for bits in sorted({dim, max(dim // 2, 1)}, reverse=True)]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """As many bits as fit, at most one a dimension."""
        return [cls(min(dim, 8 * code_size), metric=metric, seed=seed)] if dim <= MOST_COLUMNS else []
