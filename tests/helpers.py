"""What several test files need: clustered data, poisoned arrays, every score of a scan."""

from __future__ import annotations

import numpy as np

import vecpress as vp
from vecpress.ops import Blocks
from vecpress.ops.factors import from_u2


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


def level_rounding(query: vp.Query, codes: np.ndarray) -> np.ndarray:
    """float64[n]: how far a rounded bias is off at most: half the way to the next of 256 levels, or 2^-10 of a squared u2."""
    if query.bias is not None and query.bias.kind == "u2^2":
        at, unit = query.bias.offset, abs(query.bias.times)
        return unit * from_u2(codes[:, at : at + 2].copy().view("<u2")[:, 0]).astype(np.float64) ** 2 * 2.0**-9.9
    if query.bias is None or query.bias.kind != "u1":
        return np.zeros(len(codes))
    gaps = np.abs(np.diff(query.bias.table.astype(np.float64)))
    level = codes[:, query.bias.offset].astype(int)
    return np.maximum(np.append(gaps, 0)[level], np.append(0, gaps)[level]) / 2


def runnable() -> list[str]:
    """The backends that run on this machine, the reference included."""
    return [name for name, state in vp.backends().items() if state == "ok"]


def bits(x: np.ndarray) -> bytes:
    """The array's bytes: equal only where every bit is, -0.0 and NaN included."""
    return np.ascontiguousarray(x).tobytes()


def whole_numbers(seed, n, d=8, high=3):
    """float32[n, d] of a few whole numbers: every score is exact in float32, and many are equal."""
    return np.random.default_rng(seed).integers(-high, high + 1, (n, d)).astype(np.float32)


def brute_force(q, x, ids, k, metric):
    """The definition, in float64 and NumPy alone: scores float32[nq, k], ids int64[nq, k]."""
    q, x = q.astype(np.float64), x.astype(np.float64)
    scores = ((q[:, None] - x) ** 2).sum(axis=2) if metric == "l2" else q @ x.T
    best = np.full((len(q), k), np.nan, np.float32), np.full((len(q), k), -1, np.int64)
    for row, (score, found) in enumerate(zip(scores, zip(*best, strict=True), strict=True)):
        order = np.lexsort((ids, score if metric == "l2" else -score))[:k]
        found[0][: len(order)], found[1][: len(order)] = scores[row, order], ids[order]
    return best


def assert_results(got, expected):
    np.testing.assert_array_equal(got[1], expected[1])
    np.testing.assert_array_equal(got[0], expected[0])
    assert got[0].dtype == np.float32 and got[1].dtype == np.int64
