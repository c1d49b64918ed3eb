"""Retrieval quality by relevance labels: what binary and recurrent binary codes keep of float vectors' success@10 and nDCG@10.

    python -m bench.retrieval --data FOLDER -o RESULT.json [--row TEXT ...] [--steps 200] [--keep FOLDER] [--markdown]

FOLDER is one of data sets. Codes are learned from `medquad_minilm` alone, its base and its development questions, and judged on
its other questions, and on sets of the same encoder, of another domain and too small to learn from: `xquad_minilm` by its labels,
`limit_small_minilm` by how many queries keep the two documents that float vectors find first, since no single vector answers
these. Exhaustive scans; one seed. Differences to float vectors are paired over queries, with 95 % intervals. Rows that the result
has already are replaced, with --row those whose name has the text; the others stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp

from .inputs import figure_queries, read
from .measures import paired_interval
from .run_one import commit

LEARNED = "medquad_minilm"
LABELLED = (LEARNED, "xquad_minilm")
STRESS, FIRST = "limit_small_minilm", 2
K, OVERSAMPLED = 10, 4  # times as many candidates as results where results are ranked again
PUBLISHED_STEPS = 3  # times as many as the others get: "bebr" starts from random blocks


@dataclass(frozen=True)
class Judged:
    """One set: float32 vectors and queries, the labels of these, and what exact search finds, int64[nq, K]."""

    name: str
    base: np.ndarray
    queries: np.ndarray
    relevant: list[np.ndarray]
    exact: np.ndarray

    @classmethod
    def of(cls, folder: Path, name: str) -> Judged:
        dataset = read(str(folder / name))
        queries, _, relevant = figure_queries(dataset)
        if relevant is None:
            raise ValueError(f"{folder / name}: expected relevance labels (qrels.json), got none")
        base, queries = np.asarray(dataset.base, np.float32), np.asarray(queries, np.float32)
        return cls(name, base, queries, [np.asarray(ids, np.int64) for ids in relevant], vp.exact(queries, base, K)[1])


@dataclass(frozen=True)
class Learning:
    """What codes are learned from, and how long those that are trained train."""

    train: np.ndarray
    samples: np.ndarray
    labels: list[np.ndarray]
    steps: int
    keep: Path | None

    def fitted(self, codec: vp.Codec, recipe: str) -> vp.Codec:
        """A fitted copy; one that was kept is read again."""
        name = re.sub(r"[^A-Za-z0-9.=]+", "-", f"{codec!r} {recipe} {self.steps}").strip("-")
        path = None if self.keep is None else self.keep / f"{name}.vpz"
        if path is not None and path.exists():
            kept = vp.load(path)
            if isinstance(kept, vp.Codec) and kept.config() == codec.config():
                return kept
        made = RECIPES[recipe](self, codec)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.save(path)
        return made


def _plain(learning: Learning, codec: vp.Codec) -> vp.Codec:
    return type(codec)(**codec.config()).fit(learning.train)


def _asked(learning: Learning, codec: vp.Codec) -> vp.Codec:
    return type(codec)(**codec.config()).fit(learning.train, learning.samples)


def _trained(learning: Learning, codec: vp.Codec, queries: bool = True, times: int = 1, **changes: Any) -> vp.Codec:
    from vecpress import train

    steps = times * learning.steps
    options = train.Options.for_recipe(codec.config()["recipe"], steps=steps, judge_every=max(1, steps // 5), **changes)
    asked = learning.samples if queries else None
    return train.fit(codec, learning.train, asked, options=options, progress=say)


def say(line: Any) -> None:
    print(f"  {line}", flush=True)


def _paired(learning: Learning, codec: vp.Codec) -> vp.Codec:
    """Trained on the sample questions and the passages that answer them, as binary passage retrievers are."""
    from vecpress import train

    options = train.Options.for_passages(steps=learning.steps, judge_every=max(1, learning.steps // 5))
    asked = np.repeat(np.arange(len(learning.labels)), [len(ids) for ids in learning.labels])
    pairs = learning.samples[asked], np.concatenate(learning.labels)
    return train.fit(codec, learning.train, pairs=pairs, options=options, progress=say)


RECIPES: dict[str, Callable[[Learning, vp.Codec], vp.Codec]] = {
    "vectors": _plain,
    "vectors and queries": _asked,
    "trained": _trained,
    "trained on pairs": _paired,
    "published": lambda learning, codec: _trained(learning, codec, times=PUBLISHED_STEPS),
}


@dataclass(frozen=True)
class Row:
    """One line of the table: a codec, how it is learned, and how it is searched."""

    name: str
    codec: vp.Codec
    recipe: str = "vectors"
    search: dict[str, Any] = field(default_factory=dict)


SYMMETRIC = {"symmetric": True}
RESCORED = SYMMETRIC | {"rerank": OVERSAMPLED * K}


def _both(name: str, codec: vp.Codec, recipe: str = "vectors") -> list[Row]:
    return [Row(f"{name}, symmetric", codec, recipe, SYMMETRIC), Row(f"{name}, float queries", codec, recipe)]


def rows(dim: int) -> list[Row]:
    """The table, for vectors of `dim` columns."""
    one, two = dim // 8, dim // 4
    return [
        Row("float", vp.Raw()),
        Row("Sign, Hamming", vp.Sign(), "vectors", SYMMETRIC),
        Row("Sign, Hamming, then float queries", vp.Sign(), "vectors", RESCORED),
        Row("Sign, float queries", vp.Sign()),
        Row("ITQ, Hamming", vp.ITQ(dim), "vectors", SYMMETRIC),
        Row("ITQ, float queries", vp.ITQ(dim)),
        *(row for u in (0, 1, 3) for row in _both(f"rotation, u={u}", vp.RecurrentBinary(dim, u, recipe="rotation"))),
        *_both("rotation, u=1, in 1 bit's bytes", vp.RecurrentBinary(dim // 2 - 8, 1, recipe="rotation")),
        *_both("improved, u=0", vp.RecurrentBinary(dim, 0), "trained"),
        *_both("improved, u=1", vp.RecurrentBinary(dim, 1), "trained"),
        *_both("improved, u=1, in 1 bit's bytes", vp.RecurrentBinary(dim // 2 - 8, 1), "trained"),
        *(Row(f"passage retriever, u=0{how}", vp.RecurrentBinary(dim, 0), "trained on pairs", search) for how, search in (
            (", symmetric", SYMMETRIC), (", symmetric, then float queries", RESCORED), (", float queries", {}),
        )),
        *_both("bebr, u=1", vp.RecurrentBinary(dim, 1, recipe="bebr", hidden=dim), "published"),
        Row("RaBitQ, 1 bit", vp.RaBitQ(1)),
        Row("TransformCodec, 1 bit", vp.TransformCodec(one), "vectors and queries"),
        Row("RaBitQ, 2 bits", vp.RaBitQ(2)),
        Row("TransformCodec, 2 bits", vp.TransformCodec(two), "vectors and queries"),
    ]


def figures(row: Row, codec: vp.Codec, judged: Judged) -> dict[str, Any]:
    """What a search finds on one set, and what is kept of float vectors' figures."""
    index = vp.Index(codec)
    index.add(judged.base)
    ids = index.search(judged.queries, K, **row.search)[1]
    if judged.name == STRESS:
        mine, true = (np.sort(found[:, :FIRST], axis=1) for found in (ids, judged.exact))
        return {"queries": len(ids), "first_two_kept": float((mine == true).all(axis=1).mean()),
                "recall_2": vp.recall(ids, judged.exact, FIRST)}  # fmt: skip
    mine = vp.ndcg(ids, judged.relevant, K, each=True)
    there = ~np.isnan(mine)
    true = vp.ndcg(judged.exact, judged.relevant, K, each=True)
    kept = np.array(paired_interval(mine[there], true[there])) / true[there].mean() + 1
    return {
        "queries": int(there.sum()), "success_10": vp.success(ids, judged.relevant, K), "ndcg_10": float(mine[there].mean()),
        "ndcg_kept": float(kept[0]), "ndcg_kept_95": [float(kept[1]), float(kept[2])],
        "recall_10": vp.recall(ids, judged.exact, K),
    }  # fmt: skip


def measured(row: Row, learning: Learning, sets: list[Judged]) -> dict[str, Any]:
    codec = learning.fitted(row.codec, row.recipe)
    times = {"trained": 1, "trained on pairs": 1, "published": PUBLISHED_STEPS}.get(row.recipe)
    steps = None if times is None else times * learning.steps
    about = {"name": row.name, "codec": repr(row.codec), "code_bytes": codec.code_size, "recipe": row.recipe, "steps": steps}
    return about | {"search": row.search, "commit": commit()} | {judged.name: figures(row, codec, judged) for judged in sets}


def markdown(result: dict[str, Any]) -> str:
    """The table of a result."""
    heads = ["codes", "bytes"]
    for name in LABELLED:
        heads += [f"{name.split('_')[0]} success@10", "nDCG@10", "of float's"]
    lines = [f"| {' | '.join([*heads, 'LIMIT: first two kept'])} |", "|---" + "|--:" * len(heads) + "|"]
    for row in result["rows"]:
        cells = [row["name"] + (f" ({row['steps']} steps)" if row["steps"] else ""), f"{row['code_bytes']:,}"]
        for name in LABELLED:
            own = row[name]
            low, high = own["ndcg_kept_95"]
            span = "" if low == high else f" [{100 * low:.1f}, {100 * high:.1f}]"
            cells += [f"{own['success_10']:.3f}", f"{own['ndcg_10']:.4f}", f"{100 * own['ndcg_kept']:.1f} %{span}"]
        cells.append(f"{100 * row[STRESS]['first_two_kept']:.1f} %")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--row", action="append", help="a name, or text in names, of rows to measure; none: all")
    parser.add_argument("--steps", type=int, default=200, help="of training")
    parser.add_argument("--keep", help="a folder for codecs that are learned, to be read again")
    parser.add_argument("--markdown", action="store_true", help="print the table of the result in the end")
    arguments = parser.parse_args()
    out, folder = Path(arguments.out), Path(arguments.data)
    sets = [Judged.of(folder, name) for name in (*LABELLED, STRESS)]
    whole = read(str(folder / LEARNED))
    samples = np.asarray(figure_queries(whole)[1], np.float32)
    labels = [np.asarray(ids, np.int64) for ids in (whole.relevant or [])[: len(samples)]]
    learning = Learning(sets[0].base, samples, labels, arguments.steps, None if arguments.keep is None else Path(arguments.keep))
    order = rows(sets[0].base.shape[1])
    names = {row.name for row in order}
    wanted = arguments.row or [""]
    chosen = [row for row in order if any(text == row.name if text in names else text in row.name for text in wanted)]
    if not chosen:
        parser.error(f"--row: there is none of these; there are {', '.join(row.name for row in order)}")
    result = json.loads(out.read_text()) if out.exists() else {"rows": []}
    for row in chosen:
        done = {old["name"]: old for old in result["rows"]} | {row.name: measured(row, learning, sets)}
        print(json.dumps(done[row.name]), flush=True)
        result["rows"] = [done[one.name] for one in order if one.name in done]
        result["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        result["about"] = {"load": round(os.getloadavg()[0], 2), "learned_from": LEARNED, "vecpress": vp.__version__}
        out.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.markdown:
        print(markdown(result))


if __name__ == "__main__":
    main()
