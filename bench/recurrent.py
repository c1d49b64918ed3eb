"""What is promised of `RecurrentBinary`: recall at 1, 2 and 4 bits a dimension beside others, time to train, rate of encoding.

    python -m bench.recurrent --data FOLDER -o RESULT.json [--part recall|published|training|encoding|passes ...] [--seeds 3]

FOLDER is one of data sets, of which medquad_minilm is used. Codecs learn from a random 70 % of its base, another one each seed;
recall 10@10 of the questions 300 .. 999, exhaustive, over the whole base, ties counted, with float queries and with coded ones;
differences to RaBitQ are paired over questions, with 95 % intervals. "questions" had the questions 0 .. 299 as sample. Parts that
the result has already are replaced; the others stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress.cli.machine import cpu_name

from .figures import in_turns
from .inputs import read
from .measures import paired_interval
from .recall import MEDQUAD_FIGURES, Sets, found_share
from .run_one import commit

SET, SHARE, K = "medquad_minilm", 0.7, 10
# bits a dimension: directions and rounds of RecurrentBinary, the bits of RaBitQ and the bytes that it stores
BUDGETS = {1: ((184, 1), 1), 2: ((248, 2), 2), 4: ((380, 3), 4)}
# as published, and a hash of one bit a direction, trained alike; 2 bits a dimension and m = d are what is published
PUBLISHED = {1: ((188, 1), (384, 0)), 2: ((384, 1), (768, 0))}
AFFINE, STRIPS = ((384, 0), (384, 1), (768, 0)), (256, 512, 1024, 2048)  # directions and rounds; rows


def rows_and_questions(folder: str) -> tuple[np.ndarray, np.ndarray]:
    data = read(str(Path(folder) / SET), None)
    return np.asarray(data.base, np.float32), np.asarray(data.queries, np.float32)


def medquad(folder: str, seed: int) -> tuple[Sets, np.ndarray]:
    """The set, learned from a random share of its base, and the sample questions."""
    base, queries = rows_and_questions(folder)
    rows = np.sort(np.random.default_rng(seed).permutation(len(base))[: int(SHARE * len(base))])
    judged = np.ascontiguousarray(queries[MEDQUAD_FIGURES])
    bars = vp.exact(judged, base, K, "ip")[0][:, -1].astype(np.float64)
    return Sets(SET, "ip", base[rows], base, judged, bars), queries[: MEDQUAD_FIGURES.start]


def hits(codec: vp.Codec, s: Sets) -> dict[str, np.ndarray]:
    """Each question's share found, both ways of scoring."""
    index = vp.Index(codec)
    index.add(s.base)
    ways = {"asymmetric": False, "symmetric": True}
    return {way: found_share(index.search(s.queries, K, symmetric=coded)[1], s) for way, coded in ways.items()}


def measured(
    name: str, codec: vp.Codec, s: Sets, samples: np.ndarray | None, bits: int, beside: Any, seed: int
) -> dict[str, Any]:  # fmt: skip
    start = time.perf_counter()
    codec.fit(s.train, samples)
    row = {"bits": bits, "name": name, "codec": repr(codec), "seed": seed, "code_bytes": codec.code_size}
    row |= {"fit_seconds": round(time.perf_counter() - start, 1)}
    for way, share in hits(codec, s).items():
        row[way] = float(share.mean())
        if beside is not None:
            row[f"{way}_gain"] = paired_interval(share, beside[way])
    print(json.dumps(row, default=float), flush=True)
    return row


def recall(folder: str, seeds: int) -> list[dict[str, Any]]:
    """RecurrentBinary, both recipes, beside RaBitQ and what else has these bytes."""
    rows = []
    for seed in range(seeds):
        s, samples = medquad(folder, seed)
        for bits, ((m, u), n_bits) in BUDGETS.items():
            rabitq = vp.RaBitQ(n_bits, seed=seed)
            rows.append(measured("RaBitQ", rabitq, s, None, bits, None, seed))
            beside = hits(rabitq, s)
            own: dict[str, tuple[vp.Codec, np.ndarray | None]] = {
                "rotation": (vp.RecurrentBinary(m, u, recipe="rotation", seed=seed), None),
                "TransformCodec, questions": (vp.TransformCodec(48 * bits, seed=seed), samples),
            }
            if bits == 1 or seed == 0:  # minutes each
                own["improved"] = vp.RecurrentBinary(m, u, seed=seed), None
            if seed == 0:
                own["TransformCodec"] = vp.TransformCodec(48 * bits, seed=seed), None
            if seed == 0 and bits < 4:
                own["improved, questions"] = vp.RecurrentBinary(m, u, seed=seed), samples
            if bits == 1:
                own |= {"Sign": (vp.Sign(), None), "ITQ": (vp.ITQ(384, seed=seed), None)}
            rows += [measured(name, codec, s, queries, bits, beside, seed) for name, (codec, queries) in own.items()]
    return rows


def published(folder: str, seeds: int) -> list[dict[str, Any]]:
    """The published method beside a hash trained alike and plain signs, at equal bits.

    Its own measure is how often the one true answer is among the first: here the nearest vector, by coded queries.
    """
    rows = []

    def nearest(codec: vp.Codec, s: Sets) -> dict[str, float]:
        index = vp.Index(codec)
        index.add(s.base)
        ids, true = index.search(s.queries, K, symmetric=True)[1], vp.exact(s.queries, s.base, 1, "ip")[1]
        return {f"nearest_{k}": float((ids[:, :k] == true).any(axis=1).mean()) for k in (1, 5, 10)}

    for seed in range(seeds):
        s, _ = medquad(folder, seed)
        for bits, configurations in PUBLISHED.items():
            sign: vp.Codec = vp.Sign() if bits == 1 else vp.RecurrentBinary(384 * bits, 0, recipe="rotation", seed=seed)
            rows.append(measured("Sign", sign, s, None, bits, None, seed) | nearest(sign, s))
            beside = hits(sign, s)
            for name, (m, u) in zip(("bebr", "hash"), configurations, strict=True):
                codec = vp.RecurrentBinary(m, u, recipe="bebr", seed=seed)
                rows.append(measured(name, codec, s, None, bits, beside, seed) | nearest(codec, s))
    return rows


def training(folder: str, seeds: int) -> list[dict[str, Any]]:
    """Seconds until training ends by itself, on all rows: what `fit` takes, mining and tables included."""
    import torch

    from vecpress import train

    base, _ = rows_and_questions(folder)
    rows = []
    for m, u in dict.fromkeys(shape for shape, _ in BUDGETS.values()):  # one seed: minutes each
        seen: list[train.Judgement] = []
        start = time.perf_counter()
        train.fit(vp.RecurrentBinary(m, u), base, progress=seen.append)
        row = {"m": m, "u": u, "n": len(base), "seconds": time.perf_counter() - start, "steps": seen[-1].step}
        row["threads"] = torch.get_num_threads()
        best = next(j for j in seen if j.recall == seen[-1].best)
        rows.append(row | {"best_step": best.step, "recall": [[j.step, round(j.recall, 4)] for j in seen]})
        print(json.dumps(rows[-1], default=float), flush=True)
    return rows


def encoding(folder: str, seeds: int) -> list[dict[str, Any]]:
    """Multiply-adds a second of whole encodings beside those of NumPy's matrix products, float32, in turns, one thread."""
    from threadpoolctl import threadpool_limits

    from vecpress import train

    x = np.ascontiguousarray(rows_and_questions(folder)[0][:8192])
    few = train.Options.for_recipe("improved", steps=1)
    shapes = [(m, u, "rotation", 0) for (m, u), _ in BUDGETS.values()]
    shapes += [(184, 1, "improved", 512), (188, 1, "bebr", 752), (384, 1, "bebr", 1536)]
    rows = []
    left, right = (np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32) for _ in "ab")
    for m, u, recipe, hidden in shapes:
        codec = vp.RecurrentBinary(m, u, recipe=recipe, hidden=hidden or None)
        if recipe == "rotation":
            codec.fit(x)
        else:
            codec = train.fit(codec, x, options=few if recipe == "improved" else train.Options.for_recipe("bebr", steps=1))
        count = multiply_adds(codec)
        with threadpool_limits(1):
            own, theirs = in_turns(partial(codec.encode, x, num_threads=1), lambda: left @ right)
        rate, peak = count * len(x) / own, 1024**3 / theirs
        rows.append({
            "m": m, "u": u, "recipe": recipe, "hidden": codec.hidden_columns, "multiply_adds": count,
            "vectors_per_second": len(x) / own, "ratio": rate / peak, "product_gflops": 2e-9 * peak,
        })  # fmt: skip
        print(json.dumps(rows[-1], default=float), flush=True)
    return rows


def passes(folder: str, seeds: int) -> list[dict[str, Any]]:
    """What passes over projected values are of whole encodings by one affine map, and encodings in strips of rows, one thread.

    What "labels" and "pack" take together is the most that a projection which writes packed labels itself could save.
    """
    from vecpress import ops
    from vecpress.recurrentfit import split

    x = np.ascontiguousarray(rows_and_questions(folder)[0][:8192])
    rows = []
    for m, u in AFFINE:
        codec = vp.RecurrentBinary(m, u, recipe="rotation").fit(x)
        f, labels = split(x, codec, 1)[2], codec.labels(split(x, codec, 1)[2], 1)
        project = partial(ops.project, f, codec.maps_skip_[0], codec.maps_bias_[0], num_threads=1)
        z = project()
        calls = {
            "encode": partial(codec.encode, x, num_threads=1),
            "project": project,
            "labels": partial(ops.encode_grid, z, u + 1, num_threads=1) if u else partial(lambda z: (z > 0).view(np.uint8), z),
            "project_and_labels": partial(codec.labels, f, 1),
            "pack": partial(ops.pack_codes, labels, u + 1, num_threads=1),
        }
        for step in STRIPS:
            parts = [x[start : start + step] for start in range(0, len(x), step)]
            calls[f"strips_{step}"] = partial(lambda parts, codec: [codec._encode(part, 1) for part in parts], parts, codec)
        whole, *others = in_turns(*calls.values())
        shares = {name: seconds / whole for name, seconds in zip([*calls][1:], others, strict=True)}
        rows.append({"m": m, "u": u, "vectors_per_second": len(x) / whole, "shares": shares})
        print(json.dumps(rows[-1], default=float), flush=True)
    return rows


def multiply_adds(codec: Any) -> int:
    """Of one vector: the blocks, and the reconstruction by which the scale is found."""
    blocks = sum(getattr(codec, name).size for name in codec.state if name.startswith(("maps_", "backs_")) and "bias" not in name)
    return int(blocks + (codec.decoder_.size if codec.recipe != "bebr" else 0))


PARTS = {"recall": recall, "published": published, "training": training, "encoding": encoding, "passes": passes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--part", action="append", choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-o", "--out", required=True)
    arguments = parser.parse_args()
    out = Path(arguments.out)
    result = json.loads(out.read_text()) if out.exists() else {}
    for part in arguments.part or PARTS:
        about = {"commit": commit(), "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
        result[part] = PARTS[part](arguments.data, arguments.seeds)
        result.setdefault("about", {})[part] = about | {"load": round(os.getloadavg()[0], 2), "cpu": cpu_name()}
        out.write_text(json.dumps(result, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
