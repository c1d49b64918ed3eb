"""Codes of vectors whose components are independent: labels of centroids, and words of a trellis code for what these leave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import ops
from .allocation import allocate
from .ops.encode_trellis import steps_of
from .ops.trellis_levels import ERRORS, LEVELS, SECOND_ERRORS, SECOND_GAINS, UNITS
from .residual import Step, best_labels, learn_books, search_steps, sums

CENTROIDS = 256
LABEL_ROWS = 16384  # that centroids are learned from at most
WAYS_ROWS, ROUNDS = 16384, 3  # `learn_books`
BEAM = 4  # paths of the search for labels: eight find 0.3 points more recall in twice the time
FLATTEST = 1e-12  # of the largest variance: less counts as it


@dataclass(frozen=True)
class AxesCode:
    """t = sum of centroids[v, label v] + sum of units[i] * value[i] along axis component[i].

    Rates of the second layer, which codes what the first leaves of the strongest axes, are planned by what is known of that.

    centroids : float32[labels, 256, d]
    words : uint8[w, 2], bytes and rate of each, `ops.encode_trellis`; `layers` of them are the first layer
    component : int32[m], the axis that each value belongs to, -1 for none
    units : float32[m]; 0 where there is no axis
    levels : int8[4, 64]
    """

    centroids: np.ndarray
    words: np.ndarray
    layers: int
    component: np.ndarray
    units: np.ndarray
    levels: np.ndarray

    @classmethod
    def learn(
        cls, z: np.ndarray, variances: np.ndarray, nbytes: int, labels: int, seed: int, num_threads: int | None,
        known: np.ndarray | None = None,
    ) -> AxesCode:  # fmt: skip
        """A code of `nbytes` bytes, `labels` of them labels.

        z : float32[n, d], of which centroids are learned
        variances : float64[d], of z as a whole, for codes without labels
        known : the labels' centroids and perhaps more, if they were learned before
        """
        centroids = np.zeros((labels, CENTROIDS, z.shape[1]), np.float32)
        if labels and known is None:
            some = z[:LABEL_ROWS]
            centroids = learn_books(
                some, labels, CENTROIDS, BEAM, (seed,), num_threads, ways_rows=WAYS_ROWS, rounds=ROUNDS
            )  # fmt: skip
        elif known is not None:
            centroids = known[:labels].copy()
        if labels:
            some = z[:LABEL_ROWS]
            found = best_labels(some, search_steps(centroids, num_threads), BEAM, num_threads)
            variances = np.square(some - sums(centroids, found), dtype=np.float64).mean(axis=0)
        variances = np.maximum(variances, FLATTEST * variances.max())
        axes = np.argsort(-variances, kind="stable")
        plan = allocate(variances[axes], nbytes - labels, ERRORS, ERRORS * (SECOND_ERRORS / ERRORS[-1]))
        component, units, left = [], [], variances[axes]
        for i, ((size, rate), first) in enumerate(zip(plan.words.tolist(), plan.first.tolist(), strict=True)):
            if i == plan.layers:  # what the first layer leaves
                left = left.copy()
                for (before, its_rate), its_first in zip(plan.words[:i].tolist(), plan.first.tolist(), strict=False):
                    left[its_first : its_first + 8 * before // its_rate] *= ERRORS[before - 1, its_rate - 1]
            places = first + np.arange(8 * size // rate)
            there = places < len(axes)
            places = np.where(there, places, 0)
            component.append(np.where(there, axes[places], -1))
            wider = SECOND_GAINS[rate - 1] if i >= plan.layers else 1.0
            units.append(np.where(there, np.sqrt(left[places]) / UNITS[rate - 1] * wider, 0.0))
        return cls(
            centroids, plan.words, plan.layers, np.concatenate([*component, []]).astype(np.int32),
            np.concatenate([*units, []]).astype(np.float32), LEVELS,
        )  # fmt: skip

    def _steps(self, num_threads: int | None) -> list[Step]:
        """What the search for labels needs, made once."""
        if "_made_steps" not in self.__dict__:
            self.__dict__["_made_steps"] = search_steps(self.centroids, num_threads)
        return self.__dict__["_made_steps"]

    @cached_property
    def _columns(self) -> np.ndarray:
        """float32[d, labels * 256]: the centroids by column, made once: a copy for every query would outlast the scan."""
        return np.ascontiguousarray(self.centroids.reshape(-1, self.centroids.shape[2]).T)

    @property
    def split(self) -> tuple[slice, slice]:
        """The values of the two layers."""
        first = int(steps_of(self.words[: self.layers]).sum())
        return slice(0, first), slice(first, len(self.units))

    def encode(self, z: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """float32[n, d] to labels and words, uint8[n, nbytes], and what they stand for, t float32[n, d]."""
        rest, codes = z.copy(), []
        if len(self.centroids):
            codes = [best_labels(z, self._steps(num_threads), BEAM, num_threads)]
            rest -= sums(self.centroids, codes[0])
        for layer, words in zip(self.split, (self.words[: self.layers], self.words[self.layers :]), strict=True):
            if not len(words):
                continue
            axis, unit = np.maximum(self.component[layer], 0), self.units[layer]
            with np.errstate(divide="ignore", over="ignore"):
                inverse = np.where(unit > 0, np.float32(1) / unit, np.float32(0))
            inverse = np.where(np.isfinite(inverse), inverse, np.float32(0))
            found, values = ops.encode_trellis(rest[:, axis] * inverse, words, self.levels, num_threads=num_threads)
            codes.append(found)
            self._add(rest, layer, values, -1)
        return np.hstack(codes), z - rest

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """uint8[n, nbytes] to t float32[n, d]."""
        labels = len(self.centroids)
        out = sums(self.centroids, codes[:, :labels]) if labels else np.zeros((len(codes), self.centroids.shape[2]), np.float32)
        values = ops.decode_trellis(np.ascontiguousarray(codes[:, labels:]), self.words, self.levels)
        for layer in self.split:
            self._add(out, layer, values[:, layer], 1)
        return out

    def rows(self, q: np.ndarray) -> np.ndarray:
        """Queries float32[nq, d] to the operand of `ops.trellis`, float32[nq, m]."""
        return q[:, np.maximum(self.component, 0)] * self.units

    def tables(self, q: np.ndarray, num_threads: int | None) -> np.ndarray | None:
        """And its tables float32[nq, labels, 256], None where there are no labels."""
        if not len(self.centroids):
            return None
        return ops.project(q, self._columns, num_threads=num_threads).reshape(len(q), len(self.centroids), CENTROIDS)

    def _add(self, to: np.ndarray, layer: slice, values: np.ndarray, sign: int) -> None:
        there = self.component[layer] >= 0  # an axis has one value in a layer
        to[:, self.component[layer][there]] += values[:, there] * (self.units[layer][there] * np.float32(sign))


def power_of_two(x: float) -> float:
    """The least that is x or more, within what factors may be multiplied with; 1 for 0."""
    return 2.0 ** min(max(math.ceil(math.log2(x)), -90), 90) if x > 0 else 1.0
