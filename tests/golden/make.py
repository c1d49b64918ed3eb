"""Writes golden files: python tests/golden/make.py FOLDER, one of those of `CASES`

Run once for every format version, and for codecs that are new; what is committed is never written again, for it stands for the
files that users have. tests/test_io.py loads every folder here and searches for exactly what expected.json says. v1 and v2 are
what those versions of the format are for: v2 has stores and keys.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np

import vecpress as vp

DIM, N, K = 8, 70, 5
# by folder, what to write: a name, a codec and a store
CASES = {
    "v2": lambda x: (
        ("sign_raw16", vp.Sign(), vp.Raw("float16")),
        ("pq4_pq8", vp.PQ(4, n_bits=4, metric="l2"), vp.PQ(4, metric="l2")),
        ("keyed", vp.Sign(metric="cos"), vp.Raw(metric="cos")),
        ("vectors", vp.Sign(metric="l2"), x.astype(np.float16)),
    ),
    "rotated": lambda x: (
        ("opq", vp.OPQ(4, n_bits=4), None),
        ("itq", vp.ITQ(6, metric="cos"), None),
        ("sq4", vp.SQ(4, metric="l2"), None),
        ("sq8", vp.SQ(8), None),
        ("lloydmax1", vp.LloydMax(1, metric="l2"), None),
        ("lloydmax3", vp.LloydMax(3), None),
        ("lloydmax6", vp.LloydMax(6, metric="l2"), None),
        ("rabitq1", vp.RaBitQ(1), None),
        ("rabitq2", vp.RaBitQ(2, metric="l2", factors="f4"), None),
        ("rabitq3", vp.RaBitQ(3, metric="cos"), None),
        ("rabitq7", vp.RaBitQ(7), None),
        ("truncate", vp.Truncate(5, vp.LloydMax(4), "pca"), None),
    ),
    "recurrent": lambda x: (
        ("rotation0", vp.RecurrentBinary(11, 0, recipe="rotation", metric="l2"), None),
        ("rotation2", vp.RecurrentBinary(6, 2, recipe="rotation"), None),
        ("improved1", vp.RecurrentBinary(8, 1, hidden=6, metric="cos"), None),  # trained by torch
        ("bebr3", vp.RecurrentBinary(4, 3, recipe="bebr"), None),
        ("aligned", vp.Aligned("RecurrentBinary(m=8, u=1, recipe='rotation')", more=4), None),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", choices=CASES)
    folder = Path(__file__).parent / parser.parse_args().folder
    folder.mkdir()  # raises if it is there
    warnings.simplefilter("ignore", vp.SmallTrainingSetWarning)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N, DIM)).astype(np.float32)
    q = rng.standard_normal((3, DIM)).astype(np.float32)
    expected = {
        "queries": q.astype("<f4").tobytes().hex(),
        "vectors": x.astype("<f4").tobytes().hex(),
        "k": K,
        "files": {},
    }
    for name, codec, store in CASES[folder.name](x):
        codec.fit(x)
        codec.save(folder / f"{name}.codec.vpz")
        store = store.fit(x) if isinstance(store, vp.Codec) else store
        index = vp.KeyedIndex(codec, store) if name == "keyed" else vp.Index(codec, store)
        if name == "keyed":
            index.add(x, [f"\N{SNOWMAN} {i}" for i in range(N)])
            index.remove(index.keys[3:5])
        elif name == "pq4_pq8":
            index.add(x, ids=rng.permutation(1000)[:N])
            index.remove(index.ids[[3, 69, 20]])
        else:
            index.add(x)
        index.save(folder / f"{name}.index.vpz")
        about = {"keys": index.keys} if name == "keyed" else {}
        about |= describe(index._index if name == "keyed" else index, q, store is not None)
        if isinstance(store, vp.Codec):
            about["store_codes"] = index.codes(index.keys if name == "keyed" else index.ids, store=True).tobytes().hex()
        expected["files"][name] = {"codes": codec.encode(x).tobytes().hex(), "index": about}
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def describe(index: vp.Index, q: np.ndarray, reranked: bool) -> dict:
    """What a reader of the file must find, floats as hexadecimal digits of their bits."""
    out = {
        "repr": repr(index.codec),
        "ids": index.ids.tolist(),
        "codes": index.codes(index.ids).tobytes().hex(),
    }
    for kind in ("adc", "sdc", "rerank") if reranked else ("adc", "sdc"):
        scores, ids = index.search(q, K, symmetric=kind == "sdc", rerank=3 * K if kind == "rerank" else None)
        out[kind] = {"ids": ids.tolist(), "scores": scores.astype("<f4").tobytes().hex()}
    return out


if __name__ == "__main__":
    main()
