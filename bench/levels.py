"""Whether learned weights of signs find more than the even grid: v = r_0 + w_1 r_1 + ... + w_u r_u in `RecurrentBinary`.

    python -m bench.levels --data FOLDER -o RESULT.json [--seeds 3] [--trained 3]

FOLDER is one of data sets, of which medquad_minilm is used, as in `bench.recurrent`: learned from a random 70 % of the base,
recall 10@10 of the questions 300 .. 999. Both arms code the same vectors, score by the same formulas, and keep s and t as they
are, not in bytes, so that nothing but the weights differs:

closed form : principal directions turned for the even grid; weights of least squares, alternating with the numbers nearest at
    the best scale of each row, as Lloyd's algorithm does
trained : the recipe "improved" from there, whose weights are parameters like the others; at 96 bytes alone, as at 192 training
    finds no more than the closed form; seeds 0 .. trained - 1

"symmetric_even" codes by learned weights and scores coded queries on the even grid, which whole-number scores ask for. Rows that
the result has already stay as they are.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vecpress as vp
from vecpress import ops
from vecpress.cli.machine import cpu_name
from vecpress.recurrentfit import initial, split
from vecpress.train import Options
from vecpress.train.data import Documents, mined
from vecpress.train.fit import _anchors, _off_axis
from vecpress.train.loop import Trainer
from vecpress.train.losses import Space, asymmetric_scores, coded, symmetric_scores
from vecpress.train.network import RecurrentNet, sign

from .measures import paired_interval
from .recall import K, Sets, found_share
from .recurrent import medquad
from .run_one import commit

SHAPES = ((376, 1), (380, 3))  # 96 and 192 bytes
LLOYD_ROWS, ROUNDS = 2048, 15
SCALES = np.linspace(0.7, 1.4, 29)  # of a row's numbers, about those of the even grid
BLOCK = 2048  # rows at a time


def even(u: int) -> np.ndarray:
    return 2.0 ** -np.arange(u + 1)


def signs_of(u: int) -> np.ndarray:
    """float64[2^(u+1), u+1]: the signs of every number, the first one the highest bit."""
    return 2.0 * (np.arange(2 ** (u + 1))[:, None] >> np.arange(u, -1, -1) & 1) - 1


def nearest(z: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32[n, m, u+1]: the signs of the numbers of the largest cosine with rows z, over SCALES."""
    signs = signs_of(len(weights) - 1)
    values = signs @ weights
    order = np.argsort(values)
    levels, thresholds = values[order], (values[order][1:] + values[order][:-1]) / 2
    found = []
    for start in range(0, len(z), BLOCK):
        rows = z[start : start + BLOCK].astype(np.float64)
        gain, best = np.full(len(rows), -np.inf), np.zeros(rows.shape, np.int64)
        for scale in SCALES:
            labels = np.searchsorted(thresholds, rows * scale)
            v = levels[labels]
            own = (rows * v).sum(axis=1) / np.sqrt(np.square(v).sum(axis=1))
            better = own > gain
            gain[better], best[better] = own[better], labels[better]
        found.append(signs[order[best]].astype(np.float32))
    return np.concatenate(found)


def fitted(z: np.ndarray, u: int) -> np.ndarray:
    """float64[u+1]: weights of least squares, the first one 1."""
    z = z[:: -(-len(z) // LLOYD_ROWS)].astype(np.float64)
    weights = even(u)
    for _ in range(ROUNDS):
        signs = nearest(z, weights).astype(np.float64)
        v = signs @ weights
        scales = (z * v).sum(axis=1) / np.square(v).sum(axis=1)
        scaled = (signs * scales[:, None, None]).reshape(-1, u + 1)
        weights = np.linalg.solve(scaled.T @ scaled, scaled.T @ z.ravel())
        weights /= weights[0]
    return weights


def found(codec: Any, decoder: np.ndarray, s: Sets, signs: tuple[np.ndarray, np.ndarray], weights: np.ndarray) -> dict[str, Any]:
    """Each question's share found by float and by coded questions, whose numbers have these weights."""
    (base, asked), (t, y), (ta, ya) = signs, split(s.base, codec, None)[:2], split(s.queries, codec, None)[:2]
    tensor = torch.from_numpy
    back = tensor(decoder)
    mean, axis = (tensor(a.copy()) for a in (codec.mean_, codec.axis_))
    space = Space(mean, axis, back, back.pow(2).sum() / len(back), codec.metric, False)
    own = weights.astype(np.float32)
    documents = coded(tensor(base @ own), tensor(y), tensor(t), space)
    questions = coded(tensor(asked @ own), tensor(ya), tensor(ta), space)
    scores = {
        "asymmetric": asymmetric_scores(tensor(s.queries), documents, space),
        "symmetric": symmetric_scores(questions, documents, space),
    }
    return {way: found_share(score.topk(K, dim=1).indices.numpy(), s) for way, score in scores.items()}


def compared(codec: Any, s: Sets, arms: dict[str, tuple[np.ndarray, Any, np.ndarray]], about: dict[str, Any]) -> dict[str, Any]:
    """Of arms "even" and "learned", of decoder, signs and weights: recall, and the difference paired over questions."""
    u = codec.u
    decoder, signs, weights = arms["learned"]
    shares = {name: found(codec, *arm[:1], s, *arm[1:]) for name, arm in arms.items()}
    shares["learned"]["symmetric_even"] = found(codec, decoder, s, signs, even(u))["symmetric"]
    row = about | {"m": codec.m, "u": u, "weights": weights.tolist()}
    row |= {name: {way: float(share.mean()) for way, share in ways.items()} for name, ways in shares.items()}
    for way in ("asymmetric", "symmetric", "symmetric_even"):
        row[f"{way}_gain"] = paired_interval(shares["learned"][way], shares["even"][way.removesuffix("_even")])
    print(json.dumps(row), flush=True)
    return row


def closed_form(m: int, u: int, s: Sets, seed: int) -> dict[str, Any]:
    codec = vp.RecurrentBinary(m, u, recipe="rotation", seed=seed).fit(s.train)

    def numbers(x: np.ndarray) -> np.ndarray:
        return ops.project(split(x, codec, None)[2], codec.maps_skip_[0])

    arms = {}
    for name, weights in (("even", even(u)), ("learned", fitted(numbers(s.train), u))):
        signs = nearest(numbers(s.base), weights), nearest(numbers(s.queries), weights)
        arms[name] = codec.decoder_, signs, weights
    return compared(codec, s, arms, {"how": "closed form", "seed": seed})


class Levels(RecurrentNet):
    """The recurrence with weights w_1 .. w_u in place of 1/2, 1/4, ..."""

    def __init__(self, *arguments: Any, learned: bool):
        super().__init__(*arguments)
        self.weights = nn.Parameter(torch.from_numpy(even(len(self.backs))[1:].astype(np.float32)), requires_grad=learned)

    def signs(self, f: Tensor) -> list[Tensor]:
        signs = [sign(self.maps[0](f), self.window)]
        total = signs[0]
        for back, residual, weight in zip(self.backs, list(self.maps)[1:], self.weights, strict=True):
            signs.append(sign(residual(f - back(total)), self.window))
            total = total + weight * signs[-1]
        return signs

    def forward(self, f: Tensor) -> Tensor:
        first, *others = self.signs(f)
        return first + sum(weight * own for weight, own in zip(self.weights, others, strict=True))


def trained(m: int, u: int, s: Sets, seed: int) -> dict[str, Any]:
    codec, options = vp.RecurrentBinary(m, u, seed=seed), Options.for_recipe("improved")
    codec.dim_ = s.train.shape[1]
    start, decoder = initial(codec, s.train, u, None)
    arms, about = {}, {"how": "trained", "seed": seed}
    for name in ("even", "learned"):
        torch.manual_seed(seed)
        documents = Documents.of(codec, s.train, None)
        anchors, judges = _anchors(codec, s.train, None, None, options, False, None)
        mined(anchors, documents, options.near, "cpu")
        mined(judges, documents, 0, "cpu")
        judged: list[Any] = []
        trainer = Trainer(Levels(start, decoder, options.window, learned=name == "learned"), codec, documents, anchors, judges,
                          options, judged.append)  # fmt: skip
        best = trainer.run(None, False).eval()
        about[f"held_out_{name}"] = [[j.step, round(j.recall, 4)] for j in judged]
        assert isinstance(best, Levels)
        with torch.no_grad():
            parts = [torch.from_numpy(split(x, codec, None)[2]).split(BLOCK) for x in (s.base, s.queries)]
            signs = tuple(np.concatenate([torch.stack(best.signs(f), dim=2).numpy() for f in blocks]) for blocks in parts)
        weights = np.concatenate(([1.0], best.weights.detach().numpy().astype(np.float64)))
        arms[name] = _off_axis(trainer.decoder(best), codec.axis_), signs, weights
    return compared(codec, s, arms, about)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trained", type=int, default=3)
    parser.add_argument("-o", "--out", required=True)
    arguments = parser.parse_args()
    out, about = Path(arguments.out), {"commit": commit(), "cpu": cpu_name(), "torch": torch.__version__}
    about["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    rows = json.loads(out.read_text())["rows"] if out.exists() else []
    there = {(row["how"], row["m"], row["u"], row["seed"]) for row in rows}
    ways = (("closed form", closed_form, SHAPES, arguments.seeds), ("trained", trained, SHAPES[:1], arguments.trained))
    for how, compare, shapes, seeds in ways:
        for (m, u), seed in ((shape, seed) for shape in shapes for seed in range(seeds)):
            if (how, m, u, seed) not in there:
                s, _ = medquad(arguments.data, seed)
                rows.append(compare(m, u, s, seed))
                result = {"about": about | {"load": round(os.getloadavg()[0], 2)}, "rows": rows}
                out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
