"""Writes the golden files of the current format version: python tests/golden/make.py

Run once for every format version; what is committed is never written again, for it stands for the files that
users have. tests/test_io.py loads every folder here and searches for exactly what expected.json says. What an older version can
say is written as that version, and so is in its folder: here are the files that version 2 is for, with stores and keys.
"""

import json
import warnings
from pathlib import Path

import numpy as np

import vecpress as vp
from vecpress.container import FORMAT_VERSION

DIM, N, K = 8, 70, 5


def main() -> None:
    folder = Path(__file__).parent / f"v{FORMAT_VERSION}"
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
    for name, codec, store in (
        ("sign_raw16", vp.Sign(), vp.Raw("float16")),
        ("pq4_pq8", vp.PQ(4, n_bits=4, metric="l2"), vp.PQ(4, metric="l2")),
        ("keyed", vp.Sign(metric="cos"), vp.Raw(metric="cos")),
        ("vectors", vp.Sign(metric="l2"), x.astype(np.float16)),
    ):
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
        about |= describe(index._index if name == "keyed" else index, q)
        if name != "vectors":
            about["store_codes"] = index.codes(index.keys if name == "keyed" else index.ids, store=True).tobytes().hex()
        expected["files"][name] = {"codes": codec.encode(x).tobytes().hex(), "index": about}
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def describe(index: vp.Index, q: np.ndarray) -> dict:
    """What a reader of the file must find, floats as hexadecimal digits of their bits."""
    out = {
        "repr": repr(index.codec),
        "ids": index.ids.tolist(),
        "codes": index.codes(index.ids).tobytes().hex(),
    }
    for kind in ("adc", "sdc", "rerank"):
        scores, ids = index.search(q, K, symmetric=kind == "sdc", rerank=3 * K if kind == "rerank" else None)
        out[kind] = {"ids": ids.tolist(), "scores": scores.astype("<f4").tobytes().hex()}
    return out


if __name__ == "__main__":
    main()
