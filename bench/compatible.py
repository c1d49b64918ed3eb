"""What an upgrade of the embedding model keeps: new queries on old codes, by maps in closed form and trained, mixed and anew.

    python -m bench.compatible --data FOLDER -o RESULT.json [--codec NAME ...]

FOLDER is one of data sets, of which medquad_l4_1536 stands for an upgrade: its first three blocks of 384 columns, layers of one
network, are the old model, the last block is the new one; rows of each are scaled to length 1. Recall 10@10 by the new model's
float neighbours, exhaustive, ties counted; differences are paired over questions, with 95 % intervals. Maps are learned from all
rows, which are in the index, in three seeds where RecurrentBinary is the old codec and else in one; from no question ("rows"), or
from the first half of them ("questions"), and then the other half judges. Codecs that the result has already are replaced.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress.compatibility import Compatibility

from .inputs import read_all
from .measures import paired_interval
from .run_one import commit

SET, OLD_COLUMNS = "medquad_l4_1536", 1152
SEEDS = {"RecurrentBinary": (0, 1, 2), "PQ": (0,), "RaBitQ": (0,)}
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


def rows_of(name: str, u: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A row for each method and what it learned from."""
    old = OLD[name].fit(u["old"])
    fresh, codes = FRESH[name].fit(u["new"]), old.encode(u["old"])
    half = len(u["new_queries"]) // 2
    out = []
    for source in ("rows", "questions"):
        sample = u["new_queries"][:half] if source == "questions" else None
        judged = slice(half, None) if source == "questions" else slice(None)
        asked = {key: u[key][judged] for key in ("new_queries", "old_queries")}
        baseline: list[np.ndarray] = []
        for method in METHODS:
            seeds: list[dict[str, float]] = []
            hits: list[np.ndarray] = []
            begin = time.perf_counter()
            for seed in SEEDS[name] if method == "trained" else SEEDS[name][:1]:
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
            row = {
                "old_codec": repr(old), "fresh_codec": repr(fresh), "method": method, "learned_from": source,
                "questions": len(mean), "seconds": (time.perf_counter() - begin) / len(seeds), "old_float": one.old_float,
                "old_old": one.old_old, "new_new": one.new_new, "code_bytes": one.code_nbytes, "fresh_bytes": one.fresh_nbytes,
                "mean": {key: float(np.mean([s[key] for s in seeds])) for key in seeds[0]},
                "worst": {key: min(s[key] for s in seeds) for key in seeds[0]}, "seeds": len(seeds),
                "above_old_old": paired_interval(mean, one.hits["old_old"] / one.there),
                "above_procrustes": paired_interval(mean, baseline[0]), "commit": commit(),
            }  # fmt: skip
            out.append(row)
            print(json.dumps(row, default=float), flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--codec", action="append", choices=list(OLD))
    parser.add_argument("-o", "--out", required=True)
    arguments = parser.parse_args()
    out = Path(arguments.out)
    result = json.loads(out.read_text()) if out.exists() else {}
    u = upgrade(arguments.data)
    for name in arguments.codec or OLD:
        result[name] = rows_of(name, u)
        about = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "load": round(os.getloadavg()[0], 2)}
        result.setdefault("about", {})[name] = about | {"set": SET, "rows": len(u["new"]), "versions": {"numpy": np.__version__}}
        out.write_text(json.dumps(result, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
