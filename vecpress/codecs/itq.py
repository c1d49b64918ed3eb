"""ITQ: one bit for each of a few learned directions, turned so that signs lose least."""

from __future__ import annotations

import numpy as np

from ..arrays import Rows
from ..chain import Chain, Projection, square
from ..checks import check_choice, check_int
from ..codec import METRICS, Array, Codec, Metric
from ..pca import SAMPLE_ROWS, nearest_rotation, principal, random_rotation
from .pq import MAX_SEED
from .sign import Sign

STEPS = 50


class ITQ(Chain):
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

    def _check_dim(self, dim: int) -> None:
        if dim < self.bits:
            raise ValueError(f"ITQ: bits expected at most d={dim}, got {self.bits}")

    def _learn(self, x: Rows, num_threads: int | None) -> None:
        sample = x.sample(SAMPLE_ROWS, self.seed)
        self.mean_ = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        directions = principal(sample)[1][:, : self.bits]
        z = (sample - self.mean_) @ directions.astype(np.float32)
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
