"""Codes of vectors whose components are independent: labels of centroids, and words of a trellis code for what these leave."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from . import ops
from .allocation import allocate
from .ops.encode_trellis import RATES, steps_of
from .ops.trellis_levels import Tables
from .pca import ENOUGH_ROWS, random_rotation
from .residual import WholeSteps, best_labels_and_rest, learn_books, sums, whole_steps

CENTROIDS = 256
LABEL_ROWS = 32768  # that centroids are learned from at most
WAYS_ROWS, ROUNDS = 32768, 3  # `learn_books`,
TRIAL_WAYS_ROWS, TRIAL_ROUNDS = 8192, 0  # and where centroids are for a choice alone
BEAM = 5  # paths of the search for labels: more leave less error and take longer
MIXED, UNLIKE = 1, 1.25  # with the seed, of rotations; units of axes that are mixed are less apart
GAINS = (1.0, 0.88, 1.1, 1.2, 1.32, 1.5, 1.8)  # by which units are multiplied,
MATCHED_ROWS = 1024  # that of least error for so many rows; as many others judge
WIDER = 1.2  # than the variance of few rows says, which is less in axes that are learned from them than that of others
FLATTEST = 1e-12  # of the largest variance: less counts as it


class Pass(NamedTuple):
    """Words that code what those before them leave: the layer they are of, their places among words and values.

    axes : the axis of each value that has one, a slice where these follow each other; there : which of the values these are
    units, inverse : float32, of those values
    """

    layer: int
    words: slice
    values: slice
    axes: slice | np.ndarray
    there: slice | np.ndarray
    units: np.ndarray
    inverse: np.ndarray


@dataclass(frozen=True)
class AxesCode:
    """t = sum of centroids[v, label v] + sum of units[i] * value[i] along axis component[i].

    A code is a layer after the other: labels, in the first, and words. The first layers of a code are a code. An axis has one
    value at most in a pass; a layer may be several passes.

    centroids : float32[labels, 256, d]
    words : uint8[w, 2], bytes and rate of each, `ops.encode_trellis`
    passes : int64[p, 2], the layer and how many words
    component : int32[m], the axis that each value belongs to, -1 for none
    units : float32[m]; 0 where there is no axis
    levels : int8[4, 64 or 256]
    """

    centroids: np.ndarray
    words: np.ndarray
    passes: np.ndarray
    component: np.ndarray
    units: np.ndarray
    levels: np.ndarray

    @classmethod
    def learn(
        cls, z: np.ndarray, lengths: np.ndarray, variances: np.ndarray, layers: Sequence[int], labels: int, tables: Tables,
        seed: int, num_threads: int | None, known: np.ndarray | None = None, *, trial: bool = False, few_rows: bool = False,
    ) -> AxesCode:  # fmt: skip
        """A code of layers of so many bytes; of the first, `labels` are labels.

        z : float32[n, d], of which centroids are learned, and what a layer leaves
        lengths : float64[n], of the rows that z are, or ones
        variances : float64[d], of z as a whole, for codes without labels
        known : the labels' centroids and perhaps more, if they were learned before
        trial : centroids may be a little worse, and are learned in a fraction of the time
        few_rows : units of layers are not matched to z
        """
        some, centroids = z[:LABEL_ROWS], np.zeros((labels, CENTROIDS, z.shape[1]), np.float32)
        if labels and known is None:
            ways_rows, rounds = (TRIAL_WAYS_ROWS, TRIAL_ROUNDS) if trial else (WAYS_ROWS, ROUNDS)
            centroids = learn_books(
                some, labels, CENTROIDS, BEAM, (seed,), num_threads, ways_rows=ways_rows, rounds=rounds, whole=True
            )
        elif labels and known is not None:
            centroids = known[:labels].copy()
        code = cls(centroids, *_no_words(), tables.levels)
        rest = code._labelled(some, num_threads)[1]
        coded = np.zeros(z.shape[1], bool)  # axes that have a value
        for layer, nbytes in enumerate(layers):
            if labels or layer:
                variances = np.square(rest, dtype=np.float64).mean(axis=0)
            before = len(code.passes)
            code = code._with_layer(variances, nbytes - (0 if layer else labels), layer, tables, coded)
            if layer + 1 < len(layers):
                if not few_rows:
                    code = code._matched(rest[:MATCHED_ROWS], lengths[:MATCHED_ROWS], before, num_threads)
                rest = rest.copy()
                for one in code._all_passes[before:]:
                    _add(rest, one, code._encode_words(rest, one, num_threads)[1], -1)
            coded[code.component[code.component >= 0]] = True
        return code

    def _with_layer(self, variances: np.ndarray, nbytes: int, layer: int, tables: Tables, coded: np.ndarray) -> AxesCode:
        """With one more layer of words, for axes of these variances, of which some have been coded before."""
        variances = np.maximum(variances, FLATTEST * variances.max())
        axes = np.argsort(-variances, kind="stable")
        second = tables.errors * (tables.second_errors / tables.errors[-1])
        again = float(variances[coded].sum()) > float(variances.sum()) / 2
        plan = allocate(variances[axes], nbytes, second if again else tables.errors, second)
        component, units, left = [], [], variances[axes]
        for i, ((size, rate), first) in enumerate(zip(plan.words.tolist(), plan.first.tolist(), strict=True)):
            if i == plan.layers:  # what the first pass leaves
                left = left.copy()
                for (before, its_rate), its_first in zip(plan.words[:i].tolist(), plan.first.tolist(), strict=False):
                    left[its_first : its_first + 8 * before // its_rate] *= tables.errors[before - 1, its_rate - 1]
            places = first + np.arange(8 * size // rate)
            there = places < len(axes)
            places = np.where(there, places, 0)
            component.append(np.where(there, axes[places], -1))
            # what is left of a coded component has longer tails than a normal number
            wider = np.where(coded[axes[places]] | (i >= plan.layers), tables.second_gains[rate - 1], 1.0)
            units.append(np.where(there, np.sqrt(left[places]) / tables.units[rate - 1] * wider, 0.0))
        counts = [(layer, plan.layers), (layer, len(plan.words) - plan.layers)]
        return AxesCode(
            self.centroids,
            np.vstack((self.words, plan.words)),
            np.vstack((self.passes, [count for count in counts if count[1]] or np.empty((0, 2), np.int64))),
            np.concatenate([self.component, *component]).astype(np.int32),
            np.concatenate([self.units, *units]).astype(np.float32),
            self.levels,
        )

    def mixed(self, seed: int, num_threads: int | None) -> tuple[np.ndarray, AxesCode]:
        """A rotation float32[d, d], and the code for z @ it: axes of about one strength that are in the same words are mixed.

        What lies far out on one axis is spread over all of a word, and errors go in all its directions. Other axes stay: of what
        one word leaves the next could not choose among them, and levels of one unit would suit none of them.
        """
        rotation, units = np.eye(self.centroids.shape[2], dtype=np.float32), self.units.copy()
        rng = np.random.Generator(np.random.PCG64((seed, MIXED)))
        word_of = np.repeat(np.arange(len(self.words)), steps_of(self.words))
        values: dict[int, list[int]] = {}  # of each axis
        for value in np.flatnonzero(self.component >= 0).tolist():
            values.setdefault(int(self.component[value]), []).append(value)
        together: dict[tuple[int, ...], list[int]] = {}  # axes by the words that they are in
        for axis, own in values.items():
            together.setdefault(tuple(word_of[own].tolist()), []).append(axis)
        for axes in (group for own in together.values() for group in _alike(own, [units[values[axis][0]] for axis in own])):
            rotation[np.ix_(axes, axes)] = random_rotation(len(axes), rng)
            for same in zip(*(values[axis] for axis in axes), strict=True):  # the values in one word
                units[list(same)] = np.sqrt(np.square(units[list(same)], dtype=np.float64).mean())
        books = self.centroids.reshape(-1, len(rotation))
        centroids = ops.project(books, rotation, num_threads=num_threads).reshape(self.centroids.shape)
        return rotation, replace(self, centroids=centroids, units=units)

    def matched(self, z: np.ndarray, lengths: np.ndarray, num_threads: int | None) -> AxesCode:
        """The same with units of least error for rows z, float32[n, d], which have longer tails than normal numbers.

        lengths : float64[n], that rows are multiplied with in the end. Passes are matched one after the other, and what is least
        for one may leave the next more, so other rows judge whether units of words, of values, or those that were are best.
        """
        some, judges = slice(0, MATCHED_ROWS), slice(MATCHED_ROWS, 2 * MATCHED_ROWS)
        judges = judges if len(z) >= 2 * MATCHED_ROWS else some
        rest = self._labelled(z[some], num_threads)[1]
        codes = self, *(self._matched(rest, lengths[some], 0, num_threads, by_word=by_word) for by_word in (True, False))
        return min(codes, key=lambda code: code._lost(z[judges], lengths[judges], num_threads))

    def widened(self) -> AxesCode:
        """The same for rows that differ more from those that were learned from, as these are few."""
        return replace(self, units=self.units * np.float32(WIDER))

    def _lost(self, z: np.ndarray, lengths: np.ndarray, num_threads: int | None) -> float:
        *_, (_, t) = self.encode(z, num_threads)
        return float(np.square((z - t) * lengths[:, None]).sum())

    def _matched(
        self, rest: np.ndarray, lengths: np.ndarray, first: int, num_threads: int | None, *, by_word: bool = True
    ) -> AxesCode:  # fmt: skip
        """Of the passes from the first on, which code `rest`: the units of each word, or each unit, times one of GAINS."""
        units, rest = self.units.copy(), rest.copy()
        for one in self._all_passes[first:]:
            errors = []
            for gain in GAINS:
                wider = one._replace(units=one.units * np.float32(gain), inverse=one.inverse / np.float32(gain))
                values = self._encode_words(rest, wider, num_threads)[1]
                left = rest[:, one.axes] - values[:, one.there] * wider.units
                errors.append(np.square(left * lengths[:, None]).sum(axis=0))
            lost = np.array(errors)
            if by_word:
                word = np.repeat(np.arange(one.words.stop - one.words.start), steps_of(self.words[one.words]))[one.there]
                lost = np.array([np.bincount(word, row) for row in lost])[:, word]
            best = np.array(GAINS, np.float32)[lost.argmin(axis=0)]
            wider = one._replace(units=one.units * best, inverse=one.inverse / best)
            _add(rest, wider, self._encode_words(rest, wider, num_threads)[1], -1)
            units[one.values][one.there] = wider.units
        return replace(self, units=units)

    @property
    def named(self) -> dict[str, np.ndarray]:
        """The arrays as a codec keeps them."""
        return {f"{name}_": getattr(self, name) for name in ("centroids", "words", "passes", "component", "units", "levels")}

    def _steps(self, num_threads: int | None) -> WholeSteps:
        """What the search for labels needs, made once."""
        if "_made_steps" not in self.__dict__:
            self.__dict__["_made_steps"] = whole_steps(self.centroids, num_threads)
        return self.__dict__["_made_steps"]

    @cached_property
    def _columns(self) -> np.ndarray:
        """float32[d, labels * 256]: the centroids by column, made once: a copy for every query would outlast the scan."""
        return np.ascontiguousarray(self.centroids.reshape(-1, self.centroids.shape[2]).T)

    @cached_property
    def _all_passes(self) -> tuple[Pass, ...]:
        found, word, value = [], 0, 0
        for layer, count in self.passes.tolist():
            values = slice(value, value + int(steps_of(self.words[word : word + count]).sum()))
            there = np.flatnonzero(self.component[values] >= 0)
            axes, units = self.component[values][there], self.units[values][there]
            with np.errstate(divide="ignore", over="ignore"):
                inverse = np.where(units > 0, np.float32(1) / units, np.float32(0))
            inverse = np.where(np.isfinite(inverse), inverse, np.float32(0))
            found.append(Pass(layer, slice(word, word + count), values, _run(axes), _run(there), units, inverse))
            word, value = word + count, values.stop
        return tuple(found)

    def _encode_words(self, rest: np.ndarray, one: Pass, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        y = np.zeros((len(rest), one.values.stop - one.values.start), np.float32)
        y[:, one.there] = rest[:, one.axes] * one.inverse
        return ops.encode_trellis(y, self.words[one.words], self.levels, num_threads=num_threads)

    def _labelled(self, z: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The labels of rows, uint8[n, labels], and what they leave, float32[n, d]."""
        if not len(self.centroids):
            return np.empty((len(z), 0), np.uint8), z
        return best_labels_and_rest(z, self._steps(num_threads), BEAM, num_threads)

    def encode(self, z: np.ndarray, num_threads: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of float32[n, d], layer after layer: its labels and words, uint8[n, nbytes], and what the code up to it stands for, t
        float32[n, d]."""
        labels, rest = self._labelled(z, num_threads)
        rest, codes = rest.copy() if rest is z else rest, [labels]
        layers = int(self.passes[:, 0].max(initial=0)) + 1
        for layer in range(layers):
            for one in self._all_passes:
                if one.layer == layer:
                    found, values = self._encode_words(rest, one, num_threads)
                    codes.append(found)
                    _add(rest, one, values, -1)
            yield np.hstack(codes), z - rest
            codes = []

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """uint8[n, nbytes] to t float32[n, d]."""
        labels = len(self.centroids)
        out = sums(self.centroids, codes[:, :labels]) if labels else np.zeros((len(codes), self.centroids.shape[2]), np.float32)
        values = ops.decode_trellis(np.ascontiguousarray(codes[:, labels:]), self.words, self.levels)
        for one in self._all_passes:
            _add(out, one, values[:, one.values], 1)
        return out

    def first_layers(self, layers: int) -> AxesCode:
        """The code of so many layers."""
        passes = self.passes[self.passes[:, 0] < layers]
        words = int(passes[:, 1].sum())
        values = int(steps_of(self.words[:words]).sum())
        return AxesCode(
            self.centroids, self.words[:words], passes, self.component[:values], self.units[:values], self.levels
        )  # fmt: skip

    def with_gaps(self, gap: int) -> AxesCode:
        """The same with so many bytes before every layer but the first that stand for nothing, as one word."""
        if not gap or self.passes[:, 0].max(initial=0) == 0:
            return self
        made = self.__dict__.setdefault("_made_gaps", {})
        if gap not in made:
            empty = 8 * gap // RATES[-1]
            words, component, units, passes, layer = [], [], [], [], 0
            for one in self._all_passes:
                if one.layer != layer:
                    layer = one.layer
                    passes.append((layer, 1))
                    words.append(np.array([[gap, RATES[-1]]], np.uint8))
                    component.append(np.full(empty, -1, np.int32))
                    units.append(np.zeros(empty, np.float32))
                passes.append((layer, one.words.stop - one.words.start))
                words.append(self.words[one.words])
                component.append(self.component[one.values])
                units.append(self.units[one.values])
            made[gap] = AxesCode(
                self.centroids, np.vstack(words), np.array(passes), np.concatenate(component), np.concatenate(units), self.levels
            )  # fmt: skip
        return made[gap]

    def rows(self, q: np.ndarray) -> np.ndarray:
        """Queries float32[nq, d] to the operand of `ops.trellis`, float32[nq, m]."""
        return q[:, np.maximum(self.component, 0)] * self.units

    def tables(self, q: np.ndarray, num_threads: int | None) -> np.ndarray | None:
        """And its tables float32[nq, labels, 256], None where there are no labels."""
        if not len(self.centroids):
            return None
        return ops.project(q, self._columns, num_threads=num_threads).reshape(len(q), len(self.centroids), CENTROIDS)

    def sorted(self) -> tuple[np.ndarray, AxesCode]:
        """The order of axes, int64[d], in which those of the first pass come first and as they are coded; the code for these."""
        first = self.component[: self._all_passes[0].values.stop if len(self.passes) else 0]
        order = np.array(list(dict.fromkeys([*first[first >= 0].tolist(), *range(self.centroids.shape[2])])), np.int64)
        place = np.empty(len(order) + 1, np.int32)
        place[order], place[-1] = np.arange(len(order)), -1
        centroids = np.ascontiguousarray(self.centroids[:, :, order])
        return order, AxesCode(centroids, self.words, self.passes, place[self.component], self.units, self.levels)


def few(z: np.ndarray) -> bool:
    """Whether rows are too few for units of their own: what is least for them is too narrow for others."""
    return len(z) < ENOUGH_ROWS * z.shape[1]


def _add(to: np.ndarray, one: Pass, values: np.ndarray, sign: int) -> None:
    """Adds what values stand for; an axis has one in a pass."""
    to[:, one.axes] += values[:, one.there] * (one.units * np.float32(sign))


def _alike(axes: list[int], units: list[float]) -> list[list[int]]:
    """The axes in groups of which none has a unit that is UNLIKE times another's."""
    groups: list[list[int]] = []
    largest = math.inf
    for unit, axis in sorted(zip(units, axes, strict=True), key=lambda pair: -pair[0]):
        if not groups or unit * UNLIKE < largest:
            groups.append([])
            largest = unit
        groups[-1].append(axis)
    return groups


def _run(places: np.ndarray) -> slice | np.ndarray:
    """Places that follow each other as a slice, for which nothing is gathered."""
    if len(places) and places[-1] - places[0] == len(places) - 1 and (np.diff(places) == 1).all():
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _no_words() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """words, passes, component and units of a code of labels alone."""
    return np.empty((0, 2), np.uint8), np.empty((0, 2), np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
