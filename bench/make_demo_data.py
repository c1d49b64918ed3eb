"""Makes the data set that ships in vecpress/data from the full set of embeddings it is a slice of.

    python bench/make_demo_data.py FOLDER        writes vecpress/data/base.npy and vecpress/data/queries.npy

FOLDER holds base.npy (float16[30000, 384]) and queries.npy (float32[1000, 384]) of MedQuAD passages
and questions under all-MiniLM-L6-v2, as described in vecpress/data/LICENSE-DATA.md. The passages there
are in random order, so a prefix is a random sample. The result is checked against the checksums below:
the shipped files, bit for bit, or an error.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "vecpress" / "data"
SHA256 = {
    "base.npy": "81fc7f6002711a6adbcdbcee5a6d718782e3643f76c8d3461ce7641841d3a13a",
    "queries.npy": "140f9d1c1ed0d93cf6581190feb281a236cc53dd618d13bad7a09dc39c43d305",
}


def main(folder: str) -> None:
    source = Path(folder)
    base = np.load(source / "base.npy", mmap_mode="r")
    queries = np.load(source / "queries.npy")
    np.save(TARGET / "base.npy", base[:6000])
    # of the full set, questions 0..299 may be used for fitting, 300..999 only for figures
    questions = np.concatenate([queries[:100], queries[300:700]])
    np.save(TARGET / "queries.npy", questions.astype(np.float16))
    for name, expected in SHA256.items():
        found = hashlib.sha256((TARGET / name).read_bytes()).hexdigest()
        if found != expected:
            sys.exit(f"{TARGET / name}: expected sha256 {expected}, got {found}")
        print(f"{TARGET / name}: {(TARGET / name).stat().st_size} bytes, sha256 as expected")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python bench/make_demo_data.py FOLDER")
    main(sys.argv[1])
