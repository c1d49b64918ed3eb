"""What an upgrade of the embedding model keeps: recall of old and new queries on old, new and mixed codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Rows
from .checks import check_int, check_number
from .codec import Codec
from .codecs.aligned import same_codes
from .dispatch import check_threads
from .evaluate import exact, found_similarities, similarities, tied_hits
from .index import Index
from .ops.scan import MAX_K


@dataclass(frozen=True)
class Compatibility:
    """Recall k@k by the new model's float neighbours: exhaustive scan, no reranking, ties counted as found.

    old_old : old queries on old codes: what the index gave before the upgrade
    new_old : new queries on old codes, nothing encoded again
    new_mixed : new queries on an index of which `share` is encoded again by the new codec
    new_new : new queries on new codes alone, of `fresh`, or of the new codec where none was given
    old_float, new_float : of the models' float vectors: nothing is lost to codes; new_float is 1
    n, n_queries, k : of the data; share : encoded again in the mixed index
    code_nbytes, fresh_nbytes : per vector, of the old and of the new codes of new_new
    hits : int64[nq] for each of the first four, true neighbours found of each query; there : int64[nq], how many there are
    """

    old_old: float
    new_old: float
    new_mixed: float
    new_new: float
    old_float: float
    new_float: float
    n: int
    n_queries: int
    k: int
    share: float
    code_nbytes: int
    fresh_nbytes: int
    hits: dict[str, np.ndarray]
    there: np.ndarray

    def row(self) -> dict[str, Any]:
        """The figures as JSON values, by the names of a table's columns."""
        k, share = self.k, round(100 * self.share)
        return {
            "n": self.n, "n_queries": self.n_queries, "measured": f"recall {k}@{k}", "old float": self.old_float,
            "old queries, old codes": self.old_old, "new queries, old codes": self.new_old,
            f"new queries, {share} % new codes": self.new_mixed, "new queries, new codes": self.new_new,
            "new float": self.new_float, "code bytes/vector": self.code_nbytes, "new code bytes/vector": self.fresh_nbytes,
        }  # fmt: skip

    def __str__(self) -> str:
        return "\n".join(f"{name:>28}  {f'{v:.4f}' if isinstance(v, float) else v}" for name, v in self.row().items())


def evaluate_compatibility(
    new_codec: Codec, old_codec: Codec, new: Any, old: Any, new_queries: Any, old_queries: Any, k: int = 10, *,
    old_codes: Any = None, fresh: Codec | None = None, share: float = 0.5, seed: int = 0, num_threads: int | None = None,
) -> Compatibility:  # fmt: skip
    """Measures what new queries find in old codes, by the exact neighbours of the new model.

    new_codec : fitted, `Aligned` around old_codec, as `vecpress.align` and `vecpress.train.compatible` make it
    old_codec : fitted, of the old index
    new, old : [n, d] and [n, p], the same texts by the new and the old model, in the same order
    new_queries, old_queries : [nq, d] and [nq, p], the same questions; none that the codecs learned from
    k : neighbours
    old_codes : uint8[n, code_size], where they are there; None: `old` is encoded
    fresh : a codec of new vectors that new_new is measured with, fitted or not; fitted on `new` if not; None: new_codec. Of wider
        codes give `wide.truncate(old_codec.code_size)` as new_codec and `wide` here
    share, seed : of the vectors, drawn by the seed, that the mixed index has encoded again, 0 to 1

    Raises TypeError or ValueError for bad input, codecs that do not belong together, and counts that differ.
    Cost: two exact searches, four searches of codes, and one or two encodings of `new`.
    """
    where = "evaluate_compatibility"
    k = check_int(where, "k", k, 1, MAX_K)
    share = check_number(where, "share", share, 0, 1)
    seed = check_int(where, "seed", seed, 0)
    num_threads = check_threads(num_threads)
    for name, codec in (("new_codec", new_codec), ("old_codec", old_codec), ("fresh", fresh)):
        if not isinstance(codec, Codec) and not (codec is None and name == "fresh"):
            raise TypeError(f"{where}: {name} expected a Codec, got {type(codec).__name__}")
    new_codec.check_fitted()
    old_codec.check_fitted()
    if not same_codes(new_codec, old_codec):
        raise ValueError(f"{where}: new_codec expected Aligned around {old_codec!r}, got {new_codec!r}")
    base, before = _rows(new, new_codec, f"{where}: new", num_threads), _rows(old, old_codec, f"{where}: old", num_threads)
    q, asked = (
        Rows(x, f"{where}: {name}", codec.dim, num_threads=num_threads).all()
        for x, name, codec in ((new_queries, "new_queries", new_codec), (old_queries, "old_queries", old_codec))
    )
    if before.n != base.n:
        raise ValueError(f"{where}: old expected {base.n} rows, those of new in the same order, got {before.n}")
    if len(asked) != len(q):
        raise ValueError(f"{where}: old_queries expected {len(q)} rows, those of new_queries in the same order, got {len(asked)}")
    if not (base.n and len(q)):
        raise ValueError(f"{where}: new and new_queries expected at least one row, got {base.n} and {len(q)}")
    metric = new_codec.metric
    if fresh is not None and not fresh.is_fitted:
        fresh = type(fresh)(**fresh.config()).fit(new, num_threads=num_threads)
    if fresh is not None and (fresh.dim, fresh.metric) != (base.dim, metric):
        got = f"d={fresh.dim} and {fresh.metric!r}"
        raise ValueError(f"{where}: fresh expected a codec of d={base.dim} columns and metric {metric!r}, got {got}")
    if old_codes is None:
        codes = old_codec._encode_all(before, num_threads)
    elif len(codes := old_codec.check_codes(old_codes, f"{where}: old_codes")) != base.n:
        raise ValueError(f"{where}: old_codes expected {base.n} rows, got {len(codes)}")
    again = new_codec._encode_all(base, num_threads)
    mixed, which = codes.copy(), np.random.Generator(np.random.PCG64(seed)).permutation(base.n)[: round(share * base.n)]
    mixed[which] = again[which]

    width = min(k, base.n)
    truth = exact(q, new, k, metric, num_threads=num_threads)
    bars = similarities(truth, len(q), k, metric)

    def hits(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tied_hits(found_similarities(q, base, found, metric, num_threads), bars, k, width)

    def searched(codec: Codec, codes: np.ndarray, queries: np.ndarray) -> np.ndarray:
        index = Index(codec)
        index.add_codes(codes, num_threads=num_threads)
        return hits(index.search(queries, width, num_threads=num_threads)[1])[0]

    there = hits(truth[1][:, :width])[1]
    found = {
        "old_old": searched(old_codec, codes, asked),
        "new_old": searched(new_codec, codes, q),
        "new_mixed": searched(new_codec, mixed, q),
        "new_new": searched(new_codec, again, q) if fresh is None else searched(fresh, fresh._encode_all(base, num_threads), q),
    }
    floats = {
        "old_float": hits(exact(asked, old, width, old_codec.metric, num_threads=num_threads)[1])[0],
        "new_float": hits(truth[1][:, :width])[0],
    }
    recalls = {name: math.fsum(own) / math.fsum(there) for name, own in (found | floats).items()}
    return Compatibility(
        **recalls, n=base.n, n_queries=len(q), k=k, share=share, code_nbytes=old_codec.code_size,
        fresh_nbytes=(fresh or new_codec).code_size, hits=found, there=there,
    )  # fmt: skip


def _rows(x: Any, codec: Codec, what: str, num_threads: int | None) -> Rows:
    return codec._rows(x, what, codec.dim, num_threads)
