"""The codec that the parts of a faiss index make."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..chain import describe
from ..codec import Codec, Metric
from ..codecs.itq import ITQ
from ..codecs.lloydmax import LloydMax
from ..codecs.opq import OPQ
from ..codecs.pq import PQ
from ..codecs.rabitq import RaBitQ
from ..codecs.raw import Raw
from ..codecs.sign import Sign
from ..codecs.sq import SQ
from ..codecs.truncate import Truncate
from ..normal_levels import coded_levels
from ..pca import MOST_COLUMNS
from .faiss_codes import EdenCodes, NoFaissForm, RaBitQCodes
from .faiss_export import EDEN_SCALE
from .faiss_parts import Parts

NAMES = {"rabitq": "IndexRaBitQ", "eden": "IndexEDEN"}
SEEDS = 4096  # that rotations are compared with, at 20 microseconds each
ORTHONORMAL = 1e-3  # how far a transform's inner products may be off for it to pass as a rotation


class Mismatch(ValueError):
    """The index is whole, but of another codec or metric than the caller named."""


def check_width(parts: Parts, code_size: int) -> None:
    """Raises ValueError for an index whose codes are not as wide as those of its codec, of code_size bytes, are in faiss."""
    if parts.codes.shape[1] != code_size:
        raise ValueError(f"faiss: bytes of a code expected {code_size}, got {parts.codes.shape[1]}")


def check_same(parts: Parts, other: Parts, codec: Codec) -> None:
    """Raises Mismatch where parts, but for ids and codes, are not `other`'s, what the codec becomes."""
    for what, mine, theirs in (("transforms", parts.front, other.front), ("index", [parts.body], [other.body])):
        if [one[0] for one in mine] != [one[0] for one in theirs]:
            names = [", ".join(one[0] for one in each) or "none" for each in (mine, theirs)]
            raise Mismatch(f"faiss: {what} expected those of {codec!r}, {names[1]}, got {names[0]}")
        for one, wanted in zip(mine, theirs, strict=True):
            if len(one) != len(wanted) or not all(np.array_equal(a, b) for a, b in zip(one[1:], wanted[1:], strict=True)):
                raise Mismatch(f"faiss: {what} expected those of {codec!r}, got other arrays in {one[0]!r}")
    if parts.metric != other.metric:
        raise Mismatch(f"faiss: metric expected {other.metric!r} as {codec!r} has, got {parts.metric!r}")


def recognize(parts: Parts, metric: str | None) -> tuple[Codec, str]:
    """The codec whose scores are those of the index, and its kind; `metric` : of one that compares bits, "l2" if None.

    Raises NoFaissForm if there is none; ValueError for arrays that no codec can have, Mismatch for a metric that is not that
    of the index.
    """
    front = list(parts.front)
    found: str = parts.metric or metric or "l2"
    if front and front[0][0] == "unit":
        if front.pop(0)[1] != 2.0 or parts.metric == "l2":
            raise NoFaissForm("faiss: NormalizationTransform expected the norm 2 before inner products")
        found = "cos"
    if metric not in (None, found):
        raise Mismatch(f"faiss: metric expected {found!r} as in the index, got {metric!r}")
    kind = "pq" if parts.body[0] == "pqfs" else parts.body[0]
    if kind in ("rabitq", "eden"):
        return _rotated(front, parts, found), kind  # type: ignore[arg-type]
    return _behind(front, parts.body, found), kind  # type: ignore[arg-type]


def _restore(cls: type[Codec], config: dict[str, Any], d: int, **arrays: np.ndarray) -> Codec:
    return cls.restore(config, d, {name: np.asarray(array, np.float32) for name, array in arrays.items()})


def _rotated(front: list[tuple[Any, ...]], parts: Parts, metric: Metric) -> Codec:
    """RaBitQ or LloydMax, of a rotation that is recognized as that of a small seed."""
    kind, n_bits, centre, *scale = parts.body
    mean = front.pop(0)[1] if metric == "l2" and front and front[0][0] == "centre" else None
    known = [one[0] for one in front] == ["linear"] and (mean is None) == (metric != "l2") and scale in ([], [EDEN_SCALE])
    if not known or front[0][2].any():
        raise NoFaissForm(
            f"faiss: {NAMES[kind]} expected the transforms that vecpress exports, or the codec that it was exported of"
        )
    matrix = front[0][1]
    d = matrix.shape[1]
    seed, signs = _seed(NAMES[kind], matrix[:d])
    if mean is None:
        mean = ops.rotate(centre[None, :d], signs, inverse=True)[0]
    learned = {"mean_": mean, "signs_": signs, "unit_": np.ones(1, np.float32)}
    if kind == "eden":
        config: dict[str, Any] = {"n_bits": n_bits, "metric": metric, "seed": seed}
        learned["levels_"] = coded_levels(n_bits).astype(np.float32)
        eden = EdenCodes(LloydMax.restore(config, d, learned))
        check_width(parts, eden.code_size)
        scales = eden.scales(parts.codes)
    else:
        for factors in ("u2", "f4"):
            config = {"n_bits": n_bits, "metric": metric, "factors": factors, "seed": seed}
            codec = RaBitQ.restore(config, d, learned)
            codes = RaBitQCodes(codec, mean)
            if codes.columns == len(matrix):
                break
        else:
            raise NoFaissForm(f"faiss: IndexRaBitQ expected the columns of a codec, got {len(matrix)} of {d}")
        check_width(parts, codes.code_size)
        scales = codes.scales(parts.codes)
        if factors == "f4":
            return codec
    largest = float(scales.max(initial=0))
    if 0 < largest < np.inf:  # as where the codec learned it: no scale above 1
        learned["unit_"] = np.array([2.0 ** min(max(math.ceil(math.log2(largest)), -90), 90)], np.float32)
    return (LloydMax if kind == "eden" else RaBitQ).restore(config, d, learned)


def _seed(name: str, matrix: np.ndarray) -> tuple[int, np.ndarray]:
    """The seed and the signs of the rotation whose matrix that is. Raises NoFaissForm."""
    d = matrix.shape[1]
    first = np.eye(1, d, dtype=np.float32)
    for seed in range(SEEDS):
        signs = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (4, -(-d // 8)), np.uint8)
        if np.array_equal(ops.rotate(first, signs, num_threads=1)[0], matrix[:, 0]):
            if np.array_equal(ops.rotate(np.eye(d, dtype=np.float32), signs).T, matrix):
                return seed, signs
    raise NoFaissForm(
        f"faiss: {name} expected the rotation of a codec of seed 0 to {SEEDS - 1}, or the codec that it was exported of"
    )


def _behind(front: list[tuple[Any, ...]], body: tuple[Any, ...], metric: Metric) -> Codec:
    if not front:
        return _last(body, metric)
    (name, *arrays), rest = front[0], front[1:]
    if name == "resize":
        d, to = arrays
        if to > d:
            raise NoFaissForm(f"faiss: RemapDimensionsTransform expected one to fewer columns, got {d} to {to}")
        return _chain("first", np.zeros(d, np.float32), None, _behind(rest, body, _inner(metric)), metric)
    mean = None
    if name == "centre":
        mean = arrays[0]
        if metric != "l2" and body[0] != "lsh":
            raise NoFaissForm("faiss: CenteringTransform expected squared distances, got inner products")
        if not rest or rest[0][0] != "linear":
            raise NoFaissForm("faiss: CenteringTransform expected a LinearTransform behind it")
        (name, *arrays), rest = rest[0], rest[1:]
    if name != "linear":
        raise NoFaissForm(f"faiss: transforms expected at most one of each kind, in the order of a codec, got {name!r} again")
    return _turned(arrays[0], arrays[1], mean, rest, body, metric)


def _turned(
    matrix: np.ndarray,
    bias: np.ndarray,
    mean: np.ndarray | None,
    rest: list[tuple[Any, ...]],
    body: tuple[Any, ...],
    metric: Metric,
) -> Codec:
    to, d = matrix.shape
    if d > MOST_COLUMNS:
        raise NoFaissForm(f"faiss: LinearTransform expected at most {MOST_COLUMNS} columns, got {d}")
    if to > d or not np.abs(matrix @ matrix.T - np.eye(to)).max() < ORTHONORMAL:
        raise NoFaissForm(f"faiss: LinearTransform expected orthonormal rows, at most one a column, got {to} of {d} columns")
    if bias.any():
        if metric != "l2" and body[0] != "lsh":
            raise NoFaissForm("faiss: LinearTransform expected no bias before inner products")
        moved = -(bias.astype(np.float64) @ matrix)
        mean = moved if mean is None else mean + moved
    if mean is None and to == d and body[0] in ("pq", "pqfs") and not rest:
        config = {"m": len(body[2]), "n_bits": body[1], "metric": metric}
        return _restore(OPQ, config, d, rotation_=matrix.T, codebooks_=body[2])
    mean = np.zeros(d, np.float32) if mean is None else mean
    inner = _behind(rest, body, _inner(metric))
    if isinstance(inner, Sign):
        return _restore(ITQ, {"bits": to, "metric": metric}, d, mean_=mean, components_=matrix.T, inner_mean_=inner.mean_,
                        inner_level_=inner.level_)  # fmt: skip
    return _chain("pca", mean, matrix.T, inner, metric)


def _inner(metric: Metric) -> Metric:
    return "ip" if metric == "cos" else metric


def _chain(basis: str, mean: np.ndarray, components: np.ndarray | None, inner: Codec, metric: Metric) -> Codec:
    arrays = {"mean_": mean} | ({} if components is None else {"components_": components})
    arrays |= {f"inner_{name}": array for name, array in inner.arrays().items()}
    config = {"dims": inner.dim, "codec": describe(inner), "basis": basis, "metric": metric}
    return _restore(Truncate, config, len(mean), **arrays)


def _last(body: tuple[Any, ...], metric: Metric) -> Codec:
    kind = body[0]
    if kind in ("pq", "pqfs"):
        m, _, dsub = body[2].shape
        return _restore(PQ, {"m": m, "n_bits": body[1], "metric": metric}, m * dsub, codebooks_=body[2])
    if kind in ("binary", "lsh"):
        d = body[1] if kind == "binary" else len(body[1])
        mean = np.zeros(d) if kind == "binary" else np.nextafter(body[1], np.float32(-np.inf))
        # the file has no level: with this one scores of coded queries under l2 are Hamming distances
        return _restore(Sign, {"metric": metric}, d, mean_=mean, level_=np.array([0.5]))
    if kind == "flat":
        return _restore(Raw, {"dtype": "float32", "metric": metric}, body[1])
    if kind == "sq":
        d, n_bits, low, width = body[1:]
        if n_bits == 16:
            return _restore(Raw, {"dtype": "float16", "metric": metric}, d)
        if not (width >= 0).all():
            raise ValueError("faiss: ranges of IndexScalarQuantizer expected widths of 0 or more")
        step = width.astype(np.float64) / (2**n_bits - 1)
        return _restore(SQ, {"n_bits": n_bits, "metric": metric}, d, low_=low + step / 2, step_=step)
    raise NoFaissForm(f"faiss: there is no codec for an index of kind {kind!r}")
