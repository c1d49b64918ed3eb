"""What an upgrade of the embedding model keeps: new queries on old codes, by maps in closed form and trained, mixed and anew.

    python -m bench.compatible --data FOLDER -o RESULT.json [--codec NAME ...] [--from rows|questions|wider ...] [--seeds 3]

FOLDER is one of data sets, of which medquad_l4_1536 stands for an upgrade: its first three blocks of 384 columns, layers of one
network, are the old model, the last block is the new one; rows of each are scaled to length 1. Recall 10@10 by the new model's
float neighbours, exhaustive, ties counted; differences are paired over questions, with 95 % intervals. Maps are learned from all
rows, which are in the index; from no question ("rows"), or from the first half of them ("questions"), and then the other half
judges; "wider" are codes of RecurrentBinary that begin with one for the old index, beside codes of the new model alone at as many
bytes. Trained ones in as many seeds as are asked for: their mean and worst. What the result has already of a codec and a source
is replaced; the rest stays.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress.compatibility import Compatibility

from .inputs import read_all
from .measures import paired_interval
from .run_one import commit

SET, OLD_COLUMNS = "medquad_l4_1536", 1152
SOURCES = ("rows", "questions")
WIDER = {192: 2, 384: 3}  # further numbers, and the rounds of 384 numbers that take as many bytes
METHODS = ("procrustes", "ridge", "trained")
OLD: dict[str, vp.Codec] = {
    "RecurrentBinary": vp.RecurrentBinary(384, 1, recipe="rotation"), "PQ": vp.PQ(96), "RaBitQ": vp.RaBitQ(1),
}  # fmt: skip
FRESH: dict[str, vp.Codec] = {  # of about as many bytes, for the new model's columns
    "RecurrentBinary": vp.RecurrentBinary(384, 1, recipe="rotation"), "PQ": vp.PQ(96), "RaBitQ": vp.RaBitQ(3),
}  # fmt: skip
SHARES = (0.25, 0.5, 0.75, 1.0)


def unit(a: np.ndarray) -> np.ndarray:
    a = a.astype(np.float32)
    return a / np.linalg.norm(a, axis=1, keepdims=True)


def upgrade(folder: str) -> dict[str, np.ndarray]:
    """The same rows and questions by both models."""
    (data,) = (data for data in read_all(folder, None, print) if data.name == SET)
    both = {"": np.asarray(data.base, np.float32), "_queries": np.asarray(data.queries, np.float32)}
    halves = ("old", slice(OLD_COLUMNS)), ("new", slice(OLD_COLUMNS, None))
    return {f"{model}{what}": unit(a[:, columns]) for what, a in both.items() for model, columns in halves}


def learned(method: str, u: dict[str, np.ndarray], old: vp.Codec, codes: np.ndarray, queries: Any, seed: int) -> vp.Codec:
    if method != "trained":
        return vp.align(u["new"], old, old_codes=codes, queries=queries, method=method, seed=seed)
    from vecpress import train

    return train.compatible(u["new"], old, old_codes=codes, queries=queries, seed=seed)


def rows_of(name: str, u: dict[str, np.ndarray], sources: list[str], count: int) -> Iterator[dict[str, Any]]:
    """A row for each method and what it learned from, as they are done; the trained ones in `count` seeds."""
    old = OLD[name].fit(u["old"])
    fresh, codes = FRESH[name].fit(u["new"]), old.encode(u["old"])
    half = len(u["new_queries"]) // 2
    for source in sources:
        sample = u["new_queries"][:half] if source == "questions" else None
        judged = slice(half, None) if source == "questions" else slice(None)
        asked = {key: u[key][judged] for key in ("new_queries", "old_queries")}
        baseline: list[np.ndarray] = []
        for method in METHODS:
            seeds: list[dict[str, float]] = []
            hits: list[np.ndarray] = []
            begin = time.perf_counter()
            for seed in range(count if method == "trained" else 1):
                codec = learned(method, u, old, codes, sample, seed)
                found: dict[float, Compatibility] = {
                    share: vp.evaluate_compatibility(
                        codec, old, u["new"], u["old"], **asked, old_codes=codes, fresh=fresh, share=share, seed=seed
                    )
                    for share in SHARES
                }
                one = found[0.5]
                hits.append(one.hits["new_old"] / one.there)
                seeds.append({"new_old": one.new_old} | {f"mixed_{share}": each.new_mixed for share, each in found.items()})
            mean = np.mean(hits, axis=0)
            baseline = baseline or [mean]
            yield {
                "codec": name, "old_codec": repr(old), "fresh_codec": repr(fresh), "method": method, "learned_from": source,
                "questions": len(mean), "seconds": (time.perf_counter() - begin) / len(seeds), "old_float": one.old_float,
                "old_old": one.old_old, "new_new": one.new_new, "code_bytes": one.code_nbytes, "fresh_bytes": one.fresh_nbytes,
                "mean": {key: float(np.mean([s[key] for s in seeds])) for key in seeds[0]},
                "worst": {key: min(s[key] for s in seeds) for key in seeds[0]}, "seeds": len(seeds),
                "above_old_old": paired_interval(mean, one.hits["old_old"] / one.there),
                "above_procrustes": paired_interval(mean, baseline[0]), "commit": commit(),
            }  # fmt: skip


def wider(u: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    old = OLD["RecurrentBinary"].fit(u["old"])
    for more, rounds in WIDER.items():
        wide = vp.align(u["new"], old, old_vectors=u["old"], more=more)
        found = vp.evaluate_compatibility(wide.truncate(old.code_size), old, **u, fresh=wide)
        alone = vp.RecurrentBinary(384, rounds, recipe="rotation").fit(u["new"])
        beside = vp.evaluate_compatibility(wide.truncate(old.code_size), old, **u, fresh=alone)
        yield {
            "codec": "RecurrentBinary", "old_codec": repr(old), "method": f"more={more}", "learned_from": "wider",
            "wide_bytes": found.fresh_nbytes, "wide": found.new_new, "alone": repr(alone), "alone_bytes": beside.fresh_nbytes,
            "alone_recall": beside.new_new, "old_bytes": found.code_nbytes, "old_old": found.old_old, "new_old": found.new_old,
            "mixed_0.5": found.new_mixed, "commit": commit(),
            "above_alone": paired_interval(found.hits["new_new"] / found.there, beside.hits["new_new"] / found.there),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--codec", action="append", choices=list(OLD))
    parser.add_argument("--from", dest="source", action="append", choices=(*SOURCES, "wider"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-o", "--out", required=True)
    arguments = parser.parse_args()
    out = Path(arguments.out)
    result: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"rows": []}
    u = upgrade(arguments.data)
    result["about"] = {"set": SET, "n": len(u["new"]), "numpy": np.__version__, "vecpress": vp.__version__}
    for name in arguments.codec or OLD:
        sources = arguments.source or [*SOURCES, "wider"]
        also = wider(u) if "wider" in sources and name == "RecurrentBinary" else ()
        for row in chain(rows_of(name, u, [s for s in sources if s in SOURCES], arguments.seeds), also):
            when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            row |= {"date": when, "load": round(os.getloadavg()[0], 2)}
            same = [tuple(r[key] for key in ("codec", "method", "learned_from")) for r in (row, *result["rows"])]
            kept = [old for old, key in zip(result["rows"], same[1:], strict=True) if key != same[0]]
            result["rows"] = [*kept, row]
            out.write_text(json.dumps(result, indent=1, default=float) + "\n")
            print(json.dumps(row, default=float), flush=True)


if __name__ == "__main__":
    main()
