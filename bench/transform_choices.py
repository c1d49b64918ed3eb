"""What was decided about `TransformCodec` beside what was refused: mixing, levels, few rows, labels.

    python -m bench.transform_choices --data FOLDER [--part mixed|refit|few|labels ...]

FOLDER is one of data sets. Rows are searched that were not learned from, but where it says "own": recall 10@10, exhaustive, of
queries that nothing was learned from either, and error by variance in the axes; one seed, exponent 0.5, scale "between".
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import vecpress as vp
from vecpress import ops, transformfit
from vecpress.axes import AxesCode
from vecpress.checks import Metric
from vecpress.level_tables import QUANTIZERS
from vecpress.ops.encode_trellis import RATES, steps_of, window_of, windows_of
from vecpress.transformfit import Plan, TransformCode, learn

K, LEARNED, SEARCHED, FEW = 10, 10_000, 20_000, 350
SETS: dict[str, Metric] = {"medquad_minilm": "ip", "sift_photos_us": "l2", "mnist784": "l2"}
SMALL: dict[str, Metric] = {**SETS, "xquad_minilm": "ip", "openai3large_1536": "ip", "sift_multiview": "l2"}
ROUNDS = 3  # in which levels are fitted


class Half:
    """Rows that are learned from, rows that are searched, and their neighbours."""

    def __init__(self, folder: str, name: str, metric: Metric, learned: int = LEARNED):
        data = vp.datasets.load(f"{folder}/{name}", metric)
        rows = np.asarray(data.base, np.float32)
        rows = rows[np.random.default_rng(0).permutation(len(rows))]
        count = min(learned, len(rows) // 2)
        self.name, self.metric, self.learned, self.searched = name, metric, rows[:count], rows[count : count + SEARCHED]
        queries = np.asarray(data.queries, np.float32)
        self.queries = queries[300:] if name == "medquad_minilm" else queries
        self.true = vp.exact(self.queries, self.searched, K, metric)[1]

    def sizes(self) -> list[int]:
        """1, 2 and 4 bits a dimension."""
        return [self.searched.shape[1] * n_bits // 8 + 4 for n_bits in (1, 2, 4)]

    def learn(self, size: int, exponent: float = 0.5) -> TransformCode:
        return learn(self.learned, None, Plan(self.metric, (size,), 0, QUANTIZERS["trellis"](6), 0), exponent, 0, None)[0]

    def found(self, made: TransformCode) -> tuple[float, float]:
        """Recall, and the squared error by the squared length in the axes."""
        z, lengths = made.rows(self.searched, None)
        *_, (_, t) = made.code.encode(z, None)
        points = made.points(t, made.scales(z, lengths, t, 1, None).astype(np.float32), None)
        q = self.queries - made.transform.mean if self.metric == "l2" else self.queries
        scores = q @ points.T if self.metric != "l2" else 2 * q @ points.T - np.square(points).sum(axis=1)
        best = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        recall = float((best[:, :, None] == self.true[:, None]).any(axis=2).mean())
        return recall, float(np.square(z - t).sum() / np.square(z).sum())


def refitted(made: TransformCode, x: np.ndarray) -> TransformCode:
    """The same with each level the mean of what chose it, as whole numbers, round after round."""
    code, (z, _) = made.code, made.rows(x, None)
    for _ in range(ROUNDS):
        total, weight = np.zeros(code.levels.shape), np.zeros(code.levels.shape)
        rest = z.copy()
        for one in code._all_passes:
            y = np.zeros((len(rest), one.values.stop - one.values.start), np.float32)
            y[:, one.there] = rest[:, one.axes] * one.inverse
            words = code.words[one.words]
            codes, values = ops.encode_trellis(y, words, code.levels)
            rates = np.repeat(words[:, 1].astype(int) - 1, steps_of(words))[one.there]
            units = np.broadcast_to(np.square(one.units, dtype=np.float64), (len(y), len(one.units)))
            places = rates * code.levels.shape[1] + windows_of(codes, words, window_of(code.levels))[:, one.there]
            weight += np.bincount(places.ravel(), units.ravel(), weight.size).reshape(weight.shape)
            total += np.bincount(places.ravel(), (units * y[:, one.there]).ravel(), weight.size).reshape(weight.shape)
            rest[:, one.axes] -= values[:, one.there] * one.units
        means = np.where(weight > 0, total / np.maximum(weight, 1e-300), code.levels)
        code = replace(code, levels=np.rint(means).clip(-127, 127).astype(np.int8))
    assert len(code.levels) == len(RATES)
    return replace(made, code=code)


def mixed(folder: str) -> None:
    """Axes of one strength that share words, mixed and not."""
    for name, metric in SETS.items():
        half = Half(folder, name, metric)
        for size in half.sizes():
            own = half.found(half.learn(size))
            with patch.object(AxesCode, "mixed", lambda self, *_: (np.eye(self.centroids.shape[2], dtype=np.float32), self)):
                say(set=name, code_bytes=size, mixed=own, apart=half.found(half.learn(size)))


def refit(folder: str) -> None:
    """Levels as shipped, and fitted to the rows."""
    for name, metric in SETS.items():
        half = Half(folder, name, metric)
        for size in half.sizes():
            made = half.learn(size)
            say(set=name, code_bytes=size, shipped=half.found(made), refitted=half.found(refitted(made, half.learned)))


def few(folder: str) -> None:
    """Rows that are few: as they are coded, and with units matched to them and the usual exponent, as many rows are."""
    for name, metric in SMALL.items():
        half = Half(folder, name, metric, FEW)
        for size in half.sizes():
            if not transformfit.few(half.learned):
                continue
            own = half.found(half.learn(size, transformfit.FEW_ROWS_EXPONENT))
            with patch.object(transformfit, "few", lambda z: False):
                say(set=name, rows=len(half.learned), code_bytes=size, few=own, as_many=half.found(half.learn(size)))


def labels(folder: str) -> None:
    """Labels learned from the rows that are searched, and from others, fewer, as many and more."""
    half = Half(folder, "medquad_minilm", "ip", SEARCHED)
    own, rows = half.searched[:LEARNED], half.learned
    half.searched, half.true = own, vp.exact(half.queries, own, K, "ip")[1]
    for size, count in ((24, 8), (48, 0), (48, 4), (48, 8)):
        plan = Plan("ip", (size,), count, QUANTIZERS["trellis"](6), 0)
        of = {"own": own, "5000": rows[:5000], "10000": rows[:10000]}
        found = {kind: half.found(learn(x, None, plan, 0.5, count, None)[0]) for kind, x in of.items()}
        say(code_bytes=size, labels=count, **found)


def say(**row: Any) -> None:
    print(json.dumps(row), flush=True)


PARTS: dict[str, Callable[[str], None]] = {"mixed": mixed, "refit": refit, "few": few, "labels": labels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--part", action="append", choices=list(PARTS))
    arguments = parser.parse_args()
    for part in arguments.part or PARTS:
        PARTS[part](str(Path(arguments.data)))


if __name__ == "__main__":
    main()
