"""A new model's vectors in an old model's codes, in closed form: ridge regressions, and orthogonal Procrustes beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .arrays import Rows
from .chain import describe
from .checks import Metric, check_choice, check_int
from .codec import Codec
from .codecs.aligned import Aligned, Maps
from .dispatch import check_threads
from .heldout import LEAST_QUERIES, Judge

METHODS = ("ridge", "procrustes")
SAMPLE_ROWS = 32768  # that maps are learned from
JUDGED_ROWS, JUDGES = 8192, 512  # that strengths are chosen with, at most
LEAST_ROWS = 64  # with fewer there is nothing to hold out
RIDGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)  # of the mean variance of the old vectors; the first of most recall
PULLS = (1e-2, 3e-2, 1e-1, 3e-1, 1.0, 10.0, 100.0)  # of the decoder's mean squared row
UNJUDGED = 1e-2, None, 1.0  # what `strengths` gives where nothing can be held out
REGRESSION = 1e-3  # ridge of the old vectors on the new ones, of the mean variance of these
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Pairs:
    """The same texts in both models.

    x : float32[n, d], the new vectors, of length 1 under "cos"
    z : float32[n, p], what the old codes of the same rows decode to
    queries : float32[nq, d], a sample of the new model's queries, or None
    """

    x: np.ndarray
    z: np.ndarray
    queries: np.ndarray | None
    metric: Metric

    def part(self, which: np.ndarray | slice) -> Pairs:
        return replace(self, x=self.x[which], z=self.z[which])


@dataclass(frozen=True)
class Trial:
    """Who judges maps: queries that were not learned from, and the rows that they search."""

    judge: Judge
    asked: np.ndarray
    base: Pairs

    @classmethod
    def of(cls, asked: np.ndarray, base: Pairs) -> Trial:
        base = base.part(slice(JUDGED_ROWS))
        return cls(Judge(base.x, asked, base.metric), asked, base)

    def recall(self, maps: Maps, z: np.ndarray | None = None) -> float:
        """10@10 of the judges for old codes, or for others that decode to z."""
        z = self.base.z if z is None else z
        return self.judge.recall((self.asked @ maps.query_map + maps.query_shift) @ z.T, np.square(z).sum(axis=1))

    def mixed(self, maps: Maps, old: Codec, num_threads: int | None) -> float:
        """10@10 where every other row was coded anew."""
        z = self.base.z.copy()
        z[::2] = coded(old, self.base.x[::2] @ maps.document_map + maps.document_shift, num_threads)
        return self.recall(maps, z)


def align(
    x: Any, old_codec: Codec, *, old_codes: Any = None, old_vectors: Any = None, queries: Any = None, method: str = "ridge",
    more: int = 0, seed: int = 0, num_threads: int | None = None,
) -> Aligned:  # fmt: skip
    """An `Aligned` codec: a new model's queries and documents for an old codec's codes, by maps in closed form.

    x : [n, d], vectors of the new model; of more than 32,768 so many are drawn
    old_codec : fitted, of the old model's vectors; left as it is. Its metric is the new one's too
    old_codes, old_vectors : uint8[n, code_size], or [n, p]: the codes, or the vectors by the old model, of the same texts in the
        same order. Exactly one of them; of vectors the codes are made
    queries : [nq, d], a sample of the new model's queries, 16 or more: they judge how strong ridges are; else held-out rows do
    method : "ridge" or "procrustes", see below
    more : numbers that new documents' codes have behind an old one, for a `RecurrentBinary` alone: see `Aligned`. Such wider
        codes are an index of their own; `codec.truncate(old_codec.code_size)` is for the old index, which their first bytes join
    seed : of what is drawn and held out, 0 .. 2^63 - 1

    With z what an old code decodes to, x' and z' less their means:

    | method | decoder D | queries and documents |
    |---|---|---|
    | "ridge" | least |x' - z' D|^2 + r |D|^2 | see below |
    | "procrustes" | c R^T, R the (semi-)orthogonal matrix of largest <x' R, z'> | queries by D, documents g x' R; c and g of
      least squares |

    Documents become z' of least |x' - z' D|^2 + s |z' - z'_r(x)|^2, z'_r the regression of z' on x'. Queries are multiplied with
    D^T: <q, x_hat> is then nearest to <q, x> whatever is asked. For l2 that becomes mean(z) + (q - mean(x)) @ D^T / t,
    t = |x'|^2 / |z'|^2: distances in the old space then rank as those of what D decodes to where t is the same for all rows. Or
    queries become what documents do: best where both models agree about who is near. Which, r and each s: by held-out recall, of
    documents that of old and new codes mixed.

    Returns the fitted codec. Raises TypeError or ValueError for bad input, NotFittedError where old_codec is not fitted.
    Cost: n p (p + d) multiply-adds and 18 p^3; seven codings of 4,096 rows at most for "ridge".
    Source: Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 1966.
    """
    check_choice("align", "method", method, METHODS)
    check_int("align", "seed", seed, 0, MAX_SEED)
    num_threads = check_threads(num_threads)
    pairs = as_pairs("align", x, old_codec, old_codes, old_vectors, queries, seed, num_threads)
    check_more(old_codec, more)
    codec = Aligned.of(old_codec, closed_form(pairs, old_codec, method, seed, num_threads))
    return codec.widened(pairs.x, more, seed, num_threads) if more else codec


def check_more(old: Codec, more: Any) -> None:
    """Raises TypeError or ValueError where wider codes are none of this codec's."""
    Aligned(describe(old), more=more, metric=old.metric)


def as_pairs(
    call: str, x: Any, old: Codec, old_codes: Any, old_vectors: Any, queries: Any, seed: int, num_threads: int | None
) -> Pairs:  # fmt: skip
    """The arguments of `align`, checked; a sample of the rows."""
    if not isinstance(old, Codec):
        raise TypeError(f"{call}: old_codec expected a Codec, got {type(old).__name__}")
    old.check_fitted()
    if (old_codes is None) == (old_vectors is None):
        got = "neither" if old_codes is None else "both"
        raise ValueError(f"{call}: expected old_codes or old_vectors, one of them, got {got}")
    unit = old.metric == "cos"
    rows = Rows(x, f"{call}: x", unit=unit, num_threads=num_threads)
    if old_codes is not None:
        what, before = "old_codes", old.check_codes(old_codes, f"{call}: old_codes")
    else:
        what, before = "old_vectors", old._rows(old_vectors, f"{call}: old_vectors", old.dim, num_threads)  # type: ignore[assignment]
    there = len(before) if isinstance(before, np.ndarray) else before.n
    if there != rows.n:
        raise ValueError(f"{call}: {what} expected {rows.n} rows, those of x in the same order, got {there}")
    if rows.n < 2:
        raise ValueError(f"{call}: x expected at least two rows, got {rows.n}")
    which = np.arange(rows.n)
    if rows.n > SAMPLE_ROWS:
        which = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(rows.n)[:SAMPLE_ROWS])
    codes = before[which] if isinstance(before, np.ndarray) else old._encode(before.take(which), num_threads)
    asked = None
    if queries is not None:
        asked = Rows(queries, f"{call}: queries", rows.dim, unit=unit, num_threads=num_threads).all()
    return Pairs(rows.take(which), old.decode(codes), asked, old.metric)


def closed_form(pairs: Pairs, old: Codec, method: str, seed: int, num_threads: int | None) -> Maps:
    if method == "procrustes":
        return procrustes(pairs)
    trial, learned = held_out(pairs, seed)
    part = Moments(learned)
    ridge, asked, pull = UNJUDGED if trial is None else strengths(trial, part, old, num_threads)
    whole = part if learned is pairs else Moments(pairs)
    return whole.with_documents(whole.with_queries(whole.maps(ridge), asked), pull)


def strengths(trial: Trial, part: Moments, old: Codec, num_threads: int | None) -> tuple[float, float | None, float]:
    """The ridge, the pull of queries, None where they go by the decoder, and that of documents, of most recall."""
    found = {ridge: trial.recall(part.maps(ridge)) for ridge in RIDGES}
    ridge = max(found, key=lambda each: found[each])
    maps = part.maps(ridge)
    asked = {pull: trial.recall(part.with_queries(maps, pull)) for pull in (None, *PULLS)}
    kind = max(asked, key=lambda each: asked[each])
    return ridge, kind, best_pull(trial, part, part.with_queries(maps, kind), old, num_threads)


def best_pull(trial: Trial, part: Moments, maps: Maps, old: Codec, num_threads: int | None) -> float:
    """How strongly documents are pulled to the regression for most recall of old and new codes mixed."""
    found = {pull: trial.mixed(part.with_documents(maps, pull), old, num_threads) for pull in PULLS}
    return max(found, key=lambda each: found[each])


def held_out(pairs: Pairs, seed: int) -> tuple[Trial | None, Pairs]:
    """Who judges, and the rows to learn from: all, where there are queries, who are then learned from nowhere. None: too few."""
    n = len(pairs.x)
    if n < LEAST_ROWS:
        return None, pairs
    order = np.random.Generator(np.random.PCG64([seed, 1])).permutation(n)
    if pairs.queries is not None and len(pairs.queries) >= LEAST_QUERIES:
        return Trial.of(pairs.queries[:JUDGES], pairs.part(order)), pairs
    count = min(n // 4, JUDGES)
    learned = pairs.part(order[count:])
    return Trial.of(pairs.x[order[:count]], learned), learned


def coded(old: Codec, z: np.ndarray, num_threads: int | None) -> np.ndarray:
    """float32[n, p]: what rows are once they were coded."""
    return old.decode(old._encode(np.ascontiguousarray(z, np.float32), num_threads))


def procrustes(pairs: Pairs) -> Maps:
    x, z, mean_x, mean_z = _centred(pairs)
    left, sizes, right = np.linalg.svd(x.T @ z, full_matrices=False)
    turn, size = left @ right, float(sizes.sum())
    decoder = turn.T * _share(size, np.square(z @ turn.T).sum())
    forward = turn * _share(size, np.square(x @ turn).sum())
    return maps_about(decoder, forward, mean_x, mean_z, _ratio(x, z) if pairs.metric == "l2" else None)


class Moments:
    """Regressions between the two models, of any strength once their moments are there.

    mean_x float64[d], mean_z float64[p]; ratio : |x'|^2 / |z'|^2 for l2, else None
    """

    def __init__(self, pairs: Pairs):
        x, z, self.mean_x, self.mean_z = _centred(pairs)
        moments, self._directions = np.linalg.eigh(z.T @ z)
        self._moments = np.maximum(moments, 0)
        self._turned = self._directions.T @ (z.T @ x)
        gram = x.T @ x
        self.regression = np.linalg.solve(gram + max(REGRESSION * _mean_diagonal(gram), 1e-30) * np.eye(len(gram)), x.T @ z)
        self.ratio = _ratio(x, z) if pairs.metric == "l2" else None

    def maps(self, ridge: float) -> Maps:
        """Documents by regression alone."""
        weights = 1 / (self._moments + max(ridge * float(self._moments.mean()), 1e-30))
        decoder = self._directions @ (weights[:, None] * self._turned)
        return maps_about(decoder, self.regression, self.mean_x, self.mean_z, self.ratio)

    def with_documents(self, maps: Maps, pull: float) -> Maps:
        """The same with documents mapped to what the decoder takes back to them, pulled to the regression."""
        forward = self._pulled(maps, pull)
        return replace(maps, document_map=_single(forward), document_shift=_single(self.mean_z - self.mean_x @ forward))

    def with_queries(self, maps: Maps, pull: float | None) -> Maps:
        """The same with queries mapped as documents are; None: as they are."""
        if pull is None:
            return maps
        forward = self._pulled(maps, pull)
        shift = self.mean_z - self.mean_x @ forward
        if self.ratio is None:  # scores of about the new model's size
            decoder = maps.decoder.astype(np.float64)
            size = _share(float(np.square(decoder).sum()), float((forward * decoder.T).sum()))
            forward, shift = forward * size, shift * size
        return replace(maps, query_map=_single(forward), query_shift=_single(shift))

    def _pulled(self, maps: Maps, pull: float) -> np.ndarray:
        decoder = maps.decoder.astype(np.float64)
        gram = decoder @ decoder.T
        strength = max(pull * _mean_diagonal(gram), 1e-30)
        return np.linalg.solve(gram + strength * np.eye(len(gram)), decoder + strength * self.regression.T).T


def maps_about(decoder: np.ndarray, forward: np.ndarray, mean_x: np.ndarray, mean_z: np.ndarray, ratio: float | None) -> Maps:
    """Maps of a decoder [p, d] and a map of documents [d, p] that leave the means where they are; ratio for l2."""
    queries, shift = decoder.T, np.zeros(len(mean_z))
    if ratio is not None:
        queries = queries / ratio
        shift = mean_z - mean_x @ queries
    return Maps(*map(_single, (decoder, mean_x - mean_z @ decoder, queries, shift, forward, mean_z - mean_x @ forward)))


def _single(a: np.ndarray) -> np.ndarray:
    return a.astype(np.float32)


def _centred(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x, z = pairs.x.astype(np.float64), pairs.z.astype(np.float64)
    mean_x, mean_z = x.mean(axis=0), z.mean(axis=0)
    return x - mean_x, z - mean_z, mean_x, mean_z


def _ratio(x: np.ndarray, z: np.ndarray) -> float:
    return _share(float(np.square(x).sum()), float(np.square(z).sum())) or 1.0


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _mean_diagonal(gram: np.ndarray) -> float:
    return float(np.trace(gram)) / len(gram)
