"""The published setting of recurrent binary codes: trained on labelled pairs, judged by whether a row's partner is found.

    python -m bench.pairs --data FOLDER -o RESULT.json [--set NAME] [--bits 0 2 ...] [--seeds 0 1 2] [--keep FOLDER] [--choose]

Labels are the answers that passages come from. Of a random 70 % of the answers, another one each seed, the passages train: the
first of an answer asks, the others are its partners, as a picture asks for its captions. The other answers judge, by R@1, 5 and
10. "pairs": a passage of each answer asks for one other, among one of each answer; "answers": every passage asks for any other
of its answer, among all passages of these answers; "questions": those of 300 .. 999 whose answers are all unseen, among all
passages of the set; "seen": as "answers", of as many answers that trained. Codes are compared with codes. --choose: instead,
trains as published with several batches, rates and kinds of pairs on four fifths of the training answers of seed 0, and judges
by the other fifth. --keep: codecs that are trained stay in FOLDER, to be read again. Rows of the same set, bits and seed are
measured anew, the others stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress import recurrent, recurrentfit
from vecpress.cli.machine import cpu_name
from vecpress.pca import random_rotation

from .inputs import read
from .measures import paired_interval
from .recall import MEDQUAD_FIGURES
from .run_one import commit

SHARE, FIRST = 0.7, (1, 5, 10)
WHOLE, FIRST_ROW = "medquad_minilm", {"medquad_minilm": 0, "medquad_l4_1536": 10_000}  # a set's first passage among the whole's
COMPARED = {"bebr": "hash, trained", "bebr, large steps": "hash, large steps", "improved": "hash, trained"}
# by bits a dimension: directions a column and rounds, as published and of a hash of one bit a direction
SHAPES = {1: ((0.5, 1), (1, 0)), 2: ((1, 1), (2, 0)), 4: ((1, 3), (4, 0))}
EPOCHS, ANCHORS, RATE = 10, 64, 0.02  # and LARGE: the best two of CHOICES by held-out answers
LARGE: dict[str, Any] = {"anchors": 256, "rate": 0.08}
# kinds of pairs, batches, rates, epochs: of "all", eight times as many pairs, for as many steps
CHOICES = [("first", n, rate, 10.0) for n, rate in ((64, 0.08), (64, 0.02), (64, 0.005), (256, 0.08), (256, 0.02))]
CHOICES += [("first", 64, 0.02, 5.0), ("all", 256, 0.08, 1.25)]


@dataclass(frozen=True)
class Labelled:
    """Rows float32[n, d] of length 1 with the answer of each, int64[n]; questions, and the rows that answer each."""

    x: np.ndarray
    answer: np.ndarray
    questions: np.ndarray
    relevant: list[np.ndarray]

    @classmethod
    def of(cls, folder: Path, name: str) -> Labelled:
        data = read(str(folder / name))
        x = np.asarray(data.base, np.float32)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        start = FIRST_ROW[name]
        answer = np.load(folder / WHOLE / "base_doc.npy")[start : start + len(x)].astype(np.int64)
        relevant = [np.asarray(ids, np.int64) for ids in data.relevant or []]
        asked = MEDQUAD_FIGURES if relevant else slice(0, 0)
        return cls(x, answer, np.asarray(data.queries, np.float32)[asked], relevant[asked])


def parted(answer: np.ndarray, rows: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a random share of the answers, and those of the others."""
    known = np.unique(answer[rows])
    chosen = np.random.default_rng(seed).permutation(known)[: round(share * len(known))]
    inside = np.isin(answer[rows], chosen)
    return rows[inside], rows[~inside]


def _grouped(answer: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows in the order of their answers, where each answer starts there, and how many rows it has."""
    order = np.argsort(answer, kind="stable")
    starts = np.flatnonzero(np.diff(answer[order], prepend=-1))
    return order, starts, np.diff(starts, append=len(order))


def labelled_pairs(answer: np.ndarray, kind: str = "first") -> tuple[np.ndarray, np.ndarray]:
    """Who asks and a partner of the same answer: "first", its first row and every other one; "all", any two, both ways."""
    order, starts, sizes = _grouped(answer)
    if kind == "first":
        asks, partners = np.repeat(order[starts], sizes), order
    else:
        asks = np.repeat(order, np.repeat(sizes, sizes))
        none = [order[:0]]
        partners = np.concatenate(none + [np.tile(order[at : at + size], size) for at, size in zip(starts, sizes, strict=True)])
    two = asks != partners
    return asks[two], partners[two]


# ---- judging: a search gives the k rows of base that are nearest to each query, int64[nq, k]

Search = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def by_codes(codec: vp.Codec, projection: np.ndarray | None = None) -> Search:
    """Codes against codes, of rows or of their projections."""

    def search(queries: np.ndarray, base: np.ndarray, k: int) -> np.ndarray:
        if projection is not None:
            queries, base = queries @ projection, base @ projection
        index = vp.Index(codec)
        index.add(base)
        return index.search(queries, k, symmetric=True)[1]

    return search


def by_cosine(mapped: Callable[[np.ndarray], np.ndarray] = lambda x: x) -> Search:
    return lambda queries, base, k: vp.exact(mapped(queries), mapped(base), k, metric="cos")[1]


def projected_signs(x: np.ndarray, m: int, seed: int) -> Search:
    """Of m random directions, orthogonal where there are no more than columns, else rows of a tight frame; about the mean."""
    d = x.shape[1]
    projection = random_rotation(max(m, d), np.random.default_rng(seed))[:d, :m].astype(np.float32)
    return by_codes(vp.Sign().fit(x @ projection), projection)


def shares(hits: np.ndarray) -> dict[str, Any]:
    """Of bool[nq, k]: how often something right is among the first."""
    return {f"r{k}": float(hits[:, :k].any(axis=1).mean()) for k in FIRST} | {"queries": len(hits)}


def judged(search: Search, data: Labelled, rows: np.ndarray) -> dict[str, np.ndarray]:
    """bool[nq, 10] for each measure: which of what is found first is right."""
    x, answer, most = data.x[rows], data.answer[rows], FIRST[-1]
    order, starts, sizes = _grouped(answer)
    several = starts[sizes > 1]
    asks, partners = order[several], order[several + 1]
    hits = {"pairs": search(x[asks], x[partners], most) == np.arange(len(asks))[:, None]}
    asking = np.sort(order[np.repeat(sizes > 1, sizes)])
    found = search(x[asking], x, most + 1)
    others = np.array([own[own != row][:most] for own, row in zip(found, asking, strict=True)])
    hits["answers"] = answer[others] == answer[asking, None]
    unseen = [i for i, ids in enumerate(data.relevant) if len(ids) and np.isin(ids, rows).all()]
    if unseen:
        found = search(data.questions[unseen], data.x, most)
        hits["questions"] = np.array([np.isin(own, data.relevant[i]) for own, i in zip(found, unseen, strict=True)])
    return hits


# ---- learning


def published(pairs: int, anchors: int = ANCHORS, rate: float = RATE, epochs: float = EPOCHS) -> Any:
    """The published options, so many epochs of pairs, the best of five states by held-out pairs, no early stop."""
    from vecpress import train

    steps = max(5, round(epochs * pairs / anchors))
    changes = {"anchors": anchors, "rate": rate, "steps": steps, "judge_every": steps // 5, "patience": steps}
    return train.Options.for_recipe("bebr", **changes)


def say(line: Any) -> None:
    print(f"  {line}", flush=True)


def trained(codec: vp.RecurrentBinary, data: Labelled, rows: np.ndarray, kind: str = "first", **changes: Any) -> vp.Codec:
    """Trained as published on the pairs of the rows; documents are the rows that are partners."""
    from vecpress import train

    asks, partners = labelled_pairs(data.answer[rows], kind)
    documents, at = np.unique(partners, return_inverse=True)
    pairs = data.x[rows[asks]], at
    return train.fit(codec, data.x[rows[documents]], pairs=pairs, options=published(len(asks), **changes), progress=say)


def trained_large(codec: vp.RecurrentBinary, data: Labelled, rows: np.ndarray) -> vp.Codec:
    return trained(codec, data, rows, **LARGE)


def improved(codec: vp.RecurrentBinary, data: Labelled, rows: np.ndarray) -> vp.Codec:
    """The default recipe with the same pairs and its own options, but for fewer documents and steps, for time."""
    from vecpress import train

    asks, partners = labelled_pairs(data.answer[rows])
    options = train.Options.for_recipe("improved", contrastive=1.0, near=8, far=256, steps=200, judge_every=40)
    return train.fit(codec, data.x[rows], pairs=(data.x[rows[asks]], partners), options=options, progress=say)


def float_trained(codec: vp.RecurrentBinary, data: Labelled, rows: np.ndarray) -> vp.Codec:
    """The published float baseline: the first block alone, its numbers as they are instead of their signs, trained alike."""
    import torch

    from vecpress.train.data import Documents, mined
    from vecpress.train.fit import _anchors, _finish, _start
    from vecpress.train.loop import Trainer
    from vecpress.train.network import RecurrentNet

    class Numbers(RecurrentNet):
        def forward(self, f: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.maps[0](f)
            return out

    asks, partners = labelled_pairs(data.answer[rows])
    documents, at = np.unique(partners, return_inverse=True)
    x, options = data.x[rows[documents]], published(len(asks))
    made = type(codec)(**codec.config())
    made.dim_ = x.shape[1]
    start, decoder = _start(made, x, None)
    own = Documents.of(made, x, None)
    anchors, judges = _anchors(made, x, None, (data.x[rows[asks]], at), options, True, None)
    mined(judges, own, 0, options.device, True)
    best = Trainer(Numbers(start, decoder), made, own, anchors, judges, options, say).run(None, False)
    recurrentfit.set_network(made, best.export())
    made.decoder_ = decoder
    _finish(made, x, None)
    made._freeze()
    return made


def numbers(codec: vp.RecurrentBinary) -> Callable[[np.ndarray], np.ndarray]:
    """What the first block gives before signs are taken."""
    return lambda x: recurrent._block(np.ascontiguousarray(x, np.float32), codec.network.maps, 0, None)


def searches(data: Labelled, train: np.ndarray, bits: int, seed: int, kept: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Names of rows of the table and searches; those that `bits` does not change are of 0 bits.

    kept : (maker, codec) to a codec that the maker trains, or that is read again
    """
    d = data.x.shape[1]
    x = data.x[train]
    if bits == 0:
        yield "float", by_cosine()
        yield "float, trained", by_cosine(numbers(kept(float_trained, vp.RecurrentBinary(d, 0, recipe="bebr", seed=seed))))
        return
    (share, u), (more, none) = SHAPES[bits]
    m, hashed = round(share * d), round(more * d)
    if bits == 1:
        yield "signs", by_codes(vp.Sign().fit(x))
    yield "signs of random projections", projected_signs(x, hashed, seed)
    yield "hash, trained", by_codes(kept(trained, vp.RecurrentBinary(hashed, none, recipe="bebr", seed=seed)))
    codec = kept(trained, vp.RecurrentBinary(m, u, recipe="bebr", seed=seed))
    yield "bebr", by_codes(codec)
    yield "bebr, first signs", by_cosine(lambda x: np.where(codec.labels(x) >= 2**u, np.float32(1), np.float32(-1)))
    yield "hash, large steps", by_codes(kept(trained_large, vp.RecurrentBinary(hashed, none, recipe="bebr", seed=seed)))
    yield "bebr, large steps", by_codes(kept(trained_large, vp.RecurrentBinary(m, u, recipe="bebr", seed=seed)))
    yield "rotation", by_codes(vp.RecurrentBinary(m, u, recipe="rotation", seed=seed).fit(x))
    yield "improved", by_codes(kept(improved, vp.RecurrentBinary(m, u, seed=seed)))


def measured(data: Labelled, name: str, bits: int, seed: int, keep: Path | None) -> list[dict[str, Any]]:
    """The rows of one set, budget and seed, and paired differences of trained codes from what they are to be above."""
    train, judge = parted(data.answer, np.arange(len(data.x)), SHARE, seed)

    def kept(maker: Callable[..., vp.Codec], codec: vp.RecurrentBinary) -> vp.Codec:
        path = None if keep is None else keep / f"{name}-{maker.__name__}-{codec.m}-{codec.u}-{seed}.vpz"
        if path is not None and path.exists():
            return vp.load(path)
        start = time.perf_counter()
        made = maker(codec, data, train)
        say(f"{made!r}: {time.perf_counter() - start:.0f} seconds")
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.save(path)
        return made

    rows, hits = [], {}
    about = {"set": name, "bits": bits, "seed": seed, "learned_from": len(train)}
    about["learned_pairs"] = len(labelled_pairs(data.answer[train])[0])
    seen, _ = parted(data.answer, train, (1 - SHARE) / SHARE, seed)  # as many answers as judge
    for own, search in searches(data, train, bits, seed, kept):
        hits[own] = judged(search, data, judge)
        hits[own]["seen"] = judged(search, data, seen)["answers"]
        rows.append(about | {"name": own} | {measure: shares(found) for measure, found in hits[own].items()})
        if own in COMPARED:
            for other in ("signs of random projections", COMPARED[own]):
                pairs = {measure: (found[:, 0], hits[other][measure][:, 0]) for measure, found in hits[own].items()}
                rows[-1][f"above {other}"] = {
                    measure: paired_interval(a.astype(np.float64), b.astype(np.float64)) for measure, (a, b) in pairs.items()
                }
        print(json.dumps(rows[-1]), flush=True)
    return rows


def chosen(data: Labelled) -> Iterator[dict[str, Any]]:
    """What held-out answers of the training part say of batches, rates and kinds of pairs; "bebr" of 2 bits a dimension."""
    train, _ = parted(data.answer, np.arange(len(data.x)), SHARE, 0)
    inner, held = parted(data.answer, train, 0.8, 1)
    unasked = Labelled(data.x, data.answer, data.questions, [])
    beside = judged(projected_signs(data.x[inner], 2 * data.x.shape[1], 0), unasked, held)
    signs = {"signs of random projections": {m: shares(hits) for m, hits in beside.items()}}
    for kind, anchors, rate, epochs in CHOICES:
        options = {"anchors": anchors, "rate": rate, "epochs": epochs}
        codec = trained(vp.RecurrentBinary(data.x.shape[1], 1, recipe="bebr"), data, inner, kind, **options)
        found = judged(by_codes(codec), unasked, held)
        yield {"pairs_kind": kind} | options | signs | {m: shares(hits) for m, hits in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--set", default=WHOLE, choices=list(FIRST_ROW))
    parser.add_argument("--bits", type=int, nargs="+", default=[0, 2], choices=[0, *SHAPES], help="a dimension; 0: float rows")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--keep", type=Path, help="a folder for codecs that are trained, to be read again")
    parser.add_argument("--choose", action="store_true", help="measure CHOICES instead")
    arguments = parser.parse_args()
    out, data = Path(arguments.out), Labelled.of(Path(arguments.data), arguments.set)
    result = json.loads(out.read_text()) if out.exists() else {"rows": [], "choices": []}

    def write() -> None:
        about = {"commit": commit(), "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
        result["about"] = about | {"cpu": cpu_name(), "load": round(os.getloadavg()[0], 2), "vecpress": vp.__version__}
        out.write_text(json.dumps(result, indent=1) + "\n")

    if arguments.choose:
        result["choices"] = []
        for row in chosen(data):
            print(json.dumps(row), flush=True)
            result["choices"].append(row)
            write()
        return
    for seed in arguments.seeds:
        for bits in arguments.bits:
            own = (arguments.set, bits, seed)
            others = [row for row in result["rows"] if (row["set"], row["bits"], row["seed"]) != own]
            result["rows"] = others + measured(data, *own, arguments.keep)
            result["rows"].sort(key=lambda row: (row["set"] != WHOLE, row["bits"], row["seed"]))
            write()


if __name__ == "__main__":
    main()
