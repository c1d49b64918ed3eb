"""What several test files need: clustered data, poisoned arrays, every score of a scan."""

from __future__ import annotations

import numpy as np

import vecpress as vp
from vecpress.ops import Blocks


def poisoned(shape, dtype):
    """An array that nobody can mistake for a result: NaN for floats, 0xA5 in every byte of the rest."""
    out = np.empty(shape, dtype)
    if out.dtype.kind == "f":
        out.fill(np.nan)
    else:
        out.view(np.uint8).fill(0xA5)
    return out


def clustered(seed: int, n: int, d: int, *, clusters: int = 12, draw: int = 0) -> np.ndarray:
    """float32[n, d]: rows around a few centres, off the origin, with columns of different spread, as real embeddings are.

    seed : of the centres; draw : of the rows around them, so that two draws of one seed are two samples of one source
    """
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.2, 1.0, d)
    centres = rng.standard_normal((clusters, d)) * spread + 0.5 * rng.standard_normal(d)
    rng = np.random.default_rng((seed, draw))
    rows = centres[rng.integers(clusters, size=n)] + 0.3 * spread * rng.standard_normal((n, d))
    return rows.astype(np.float32)


def scan_all(codec: vp.Codec, codes: np.ndarray, query: vp.Query, num_threads: int | None = None) -> np.ndarray:
    """float32[nq, n]: the similarity of every code to every query, through the codec's scan."""
    scores, ids = query.search(Blocks.pack(codes, codec.head, codec.group), max(len(codes), 1), num_threads=num_threads)
    out = poisoned((len(scores), len(codes)), np.float32)
    np.put_along_axis(out, ids, scores, axis=1)
    return out


def runnable() -> list[str]:
    """The backends that run on this machine, the reference included."""
    return [name for name, state in vp.backends().items() if state == "ok"]


def bits(x: np.ndarray) -> bytes:
    """The array's bytes: equal only where every bit is, -0.0 and NaN included."""
    return np.ascontiguousarray(x).tobytes()
