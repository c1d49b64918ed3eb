"""Writes the golden files of the current format version: python tests/golden/make.py

Run once for every format version; what is committed is never written again, for it stands for the files that
users have. tests/test_io.py loads every folder here and searches for exactly what expected.json says.
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
    for name, codec in {
        "raw": vp.Raw(metric="l2"),
        "raw16": vp.Raw("float16"),
        "pq8": vp.PQ(2, metric="l2"),
        "pq4": vp.PQ(4, n_bits=4),
        "sign": vp.Sign(metric="cos"),
    }.items():
        codec.fit(x)
        codec.save(folder / f"{name}.codec.vpz")
        index = vp.Index(codec)
        if name in ("raw16", "pq4", "sign"):
            index.add(x, ids=rng.permutation(1000)[:N])
            index.remove(index.ids[[3, 69, 20]])
        else:
            index.add(x)
        index.save(folder / f"{name}.index.vpz")
        expected["files"][name] = {"codes": codec.encode(x).tobytes().hex(), "index": describe(index, q)}
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def describe(index: vp.Index, q: np.ndarray) -> dict:
    """What a reader of the file must find, floats as hexadecimal digits of their bits."""
    out = {
        "repr": repr(index.codec),
        "ids": index.ids.tolist(),
        "codes": index.codes(index.ids).tobytes().hex(),
    }
    for kind in ("adc", "sdc"):
        scores, ids = index.search(q, K, symmetric=kind == "sdc")
        out[kind] = {"ids": ids.tolist(), "scores": scores.astype("<f4").tobytes().hex()}
    return out


if __name__ == "__main__":
    main()
