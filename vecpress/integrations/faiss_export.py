"""What a codec is in faiss: the transforms in front, the index behind them that is scanned, and how codes convert.

Every codec here is a chain of affine maps with, at its end, something that faiss has too. Transforms are applied to vectors and
queries alike, so for inner products a mean is not taken off but added to what the codes decode to: <q, (x - mean) C + mean C>.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ops
from ..codec import Codec
from ..codecs.itq import ITQ
from ..codecs.lloydmax import LloydMax
from ..codecs.lowrankpq import LowRankPQ
from ..codecs.opq import OPQ
from ..codecs.pq import PQ
from ..codecs.rabitq import RaBitQ
from ..codecs.raw import Raw
from ..codecs.sign import Sign
from ..codecs.sq import SQ
from ..codecs.truncate import Truncate
from .faiss_codes import EdenCodes, NoFaissForm, RaBitQCodes, check_finite, reverse_bits

# the kinds of index that a codec can become, the default first
KINDS: dict[type[Codec], tuple[str, ...]] = {
    PQ: ("pq", "pqfs"),
    OPQ: ("pq", "pqfs"),
    Sign: ("binary", "lsh", "pq"),
    RaBitQ: ("rabitq",),
    SQ: ("sq",),
    Raw: ("flat",),
    LloydMax: ("eden",),
}
BITS = ("binary", "lsh")  # their scores are Hamming distances
PATTERNS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(
    bool
)  # the bits of every byte, first dimension first
EDEN_SCALE = 1  # of IndexEDEN's kinds of scales, which matter for what it codes itself
SAME_LEVELS = 1e-6  # relative: the rounding of float32
Convert = Callable[[np.ndarray], np.ndarray]


def load_faiss() -> Any:
    """The module. Raises ImportError that says how to get it."""
    try:
        return importlib.import_module("faiss")
    except ImportError:
        raise ImportError("faiss indexes need faiss: pip install faiss-cpu, or vecpress[faiss]") from None


@dataclass
class Form:
    (
        """A codec in faiss: the transforms, first one first; an empty index of code_size bytes a row; how codes convert.

    check(codes, ours, first) raises ValueError for codes that are none, or not only what `ours` say; `first` is the first row.
    """
        ""
    )

    front: list[Any]
    body: Any
    code_size: int
    theirs: Convert = field(default=np.asarray)
    ours: Convert = field(default=np.asarray)
    check: Callable[[np.ndarray, np.ndarray, int], None] = field(default=lambda codes, ours, first: None)


def kinds(codec: Codec) -> tuple[str, ...]:
    """What `form` takes for this codec, the default first; none where faiss has nothing for it."""
    while isinstance(codec, (ITQ, LowRankPQ, Truncate)):
        codec = codec.inner
    if isinstance(codec, PQ) and codec.n_bits != 4:
        return ("pq",)
    if isinstance(codec, Raw):
        return ("flat",) if codec.dtype == "float32" else ("sq",)
    return KINDS.get(type(codec), ())


def form(codec: Codec, kind: str | None = None) -> Form:
    """The codec in faiss. Raises NotFittedError; NoFaissForm where there is none; ValueError for another kind."""
    codec.check_fitted()
    known = kinds(codec)
    if not known:
        can = ", ".join(sorted([cls.__name__ for cls in KINDS] + ["ITQ", "LowRankPQ", "Truncate"]))
        raise NoFaissForm(f"faiss: there is no index for {type(codec).__name__}; there are indexes for {can}")
    if kind is None:
        kind = known[0]
    if kind not in known:
        raise ValueError(f"faiss: kind expected {' or '.join(map(repr, known))} for {codec!r}, got {kind!r}")
    faiss = load_faiss()
    front: list[Any] = []
    if codec.metric == "cos":
        front.append(faiss.NormalizationTransform(codec.dim, 2.0))
    return _form(_Target(faiss, kind, codec.metric == "l2", front), codec, None)


@dataclass
class _Target:
    """What all steps know."""

    faiss: Any
    kind: str
    l2: bool
    front: list[Any]

    @property
    def metric(self) -> int:
        return int(self.faiss.METRIC_L2 if self.l2 else self.faiss.METRIC_INNER_PRODUCT)

    def linear(self, matrix: np.ndarray) -> None:
        """z = matrix @ x"""
        transform = self.faiss.LinearTransform(matrix.shape[1], matrix.shape[0], False)
        self.set(transform.A, matrix)
        transform.is_trained = True
        transform.set_is_orthonormal()
        self.front.append(transform)

    def centre(self, mean: np.ndarray) -> None:
        """z = x - mean"""
        transform = self.faiss.CenteringTransform(len(mean))
        self.set(transform.mean, mean)
        transform.is_trained = True
        self.front.append(transform)

    def resize(self, columns: int, to: int) -> None:
        """The first columns, or all and zeros behind them."""
        if columns != to:
            self.front.append(self.faiss.RemapDimensionsTransform(columns, to, False))

    def set(self, vector: Any, values: np.ndarray) -> None:
        self.faiss.copy_array_to_vector(np.ascontiguousarray(values, np.float32).ravel(), vector)


def _form(target: _Target, codec: Codec, shift: np.ndarray | None) -> Form:
    """shift : float32[codec.dim], what the vectors that arrive here are more than the codec's; None for nothing"""
    if isinstance(codec, Truncate) and codec.basis == "first":
        target.resize(codec.dim, codec.dims)
        return _form(target, codec.inner, None if shift is None else shift[: codec.dims])
    if isinstance(codec, (ITQ, LowRankPQ, Truncate)):
        return _form(target, codec.inner, _project(target, codec, shift))
    make = {PQ: _pq, OPQ: _opq, Sign: _sign, RaBitQ: _rabitq, SQ: _sq, Raw: _raw, LloydMax: _eden}[type(codec)]
    return make(target, codec, np.zeros(codec.dim, np.float32) if shift is None else shift)  # type: ignore[operator]


def _project(target: _Target, codec: Any, shift: np.ndarray | None) -> np.ndarray | None:
    """The map (x - mean) C of ITQ, LowRankPQ and principal components, and the shift behind it."""
    if target.l2 or target.kind in BITS:
        target.centre(codec.mean_)
        target.linear(codec.components_.T)
        return None
    target.linear(codec.components_.T)
    mean = codec.mean_ if shift is None else codec.mean_ + shift
    return ops.project(mean[None], codec.components_)[0]


def _codebooks(target: _Target, codebooks: np.ndarray) -> Any:
    """IndexPQ of float32[m, 2**n_bits, d / m]."""
    m, ks, dsub = codebooks.shape
    index = target.faiss.IndexPQ(m * dsub, m, int(math.log2(ks)), target.metric)
    target.set(index.pq.centroids, codebooks)
    index.is_trained = True
    return index


def _pq(target: _Target, codec: PQ, shift: np.ndarray) -> Form:
    moved = codec.codebooks_ + shift.reshape(codec.m, 1, codec.dsub)
    return Form(target.front, _codebooks(target, moved), codec.code_size, ours=lambda codes: _without_rest(codes, 4 * codec.m)
                if codec.n_bits == 4 else codes)  # fmt: skip


def _opq(target: _Target, codec: OPQ, shift: np.ndarray) -> Form:
    target.linear(codec.rotation_.T)
    return _pq(target, codec, ops.project(shift[None], codec.rotation_)[0])


def _sign(target: _Target, codec: Sign, shift: np.ndarray) -> Form:
    d, size = codec.dim, codec.code_size
    if target.kind == "binary":
        index = target.faiss.IndexBinaryFlat(8 * size)
        return Form([], index, size, ours=lambda codes: _without_bits(codes, d))
    if target.kind == "lsh":  # there a bit is 1 from the threshold on, here above the mean
        index = target.faiss.IndexLSH(d, d, False, True)
        target.set(index.thresholds, np.nextafter(codec.mean_, np.float32(np.inf)))
        index.is_trained = True
        return Form(target.front, index, size, reverse_bits, lambda codes: _without_bits(reverse_bits(codes), d))
    target.resize(d, 8 * size)
    below, above = (np.pad(level + shift, (0, 8 * size - d)).reshape(size, 1, 8) for level in codec._levels())
    index = _codebooks(target, np.where(PATTERNS, above, below))
    return Form(target.front, index, size, ours=lambda codes: _without_bits(codes, d))


def _sq(target: _Target, codec: SQ, shift: np.ndarray) -> Form:
    if codec.n_bits == 16:
        return _half(target, codec, shift)
    quantizer = target.faiss.ScalarQuantizer
    kind, most = (quantizer.QT_8bit, 255) if codec.n_bits == 8 else (quantizer.QT_4bit, 15)
    index = target.faiss.IndexScalarQuantizer(codec.dim, kind, target.metric)
    # faiss decodes c to low + range (c + 1/2) / most
    low = codec.low_.astype(np.float64) + shift - codec.step_.astype(np.float64) / 2
    target.set(index.sq.trained, np.concatenate([low, codec.step_.astype(np.float64) * most]))
    index.is_trained = True
    odd = 4 * codec.dim if codec.n_bits == 4 else 8 * codec.dim
    return Form(target.front, index, codec.code_size, ours=lambda codes: _without_rest(codes, odd))


def _raw(target: _Target, codec: Raw, shift: np.ndarray) -> Form:
    if codec.dtype == "float16":
        return _half(target, codec, shift)
    _no_shift(codec, shift)
    index = target.faiss.IndexFlat(codec.dim, target.metric)
    return Form(target.front, index, codec.code_size, check=lambda codes, _, first: check_finite("<f4", codes, first))


def _half(target: _Target, codec: Codec, shift: np.ndarray) -> Form:
    _no_shift(codec, shift)
    index = target.faiss.IndexScalarQuantizer(codec.dim, target.faiss.ScalarQuantizer.QT_fp16, target.metric)
    index.is_trained = True
    return Form(target.front, index, codec.code_size, check=lambda codes, _, first: check_finite("<f2", codes, first))


def _no_shift(codec: Codec, shift: np.ndarray) -> None:
    if shift.any():
        raise NoFaissForm(f"faiss: principal components with inner products keep a mean, which {codec!r} inside has no place for")


def _rabitq(target: _Target, codec: RaBitQ, shift: np.ndarray) -> Form:
    if target.l2:
        target.centre(codec.mean_)
    centre = np.zeros(codec.dim, np.float32) if target.l2 else codec.mean_ + shift
    codes = RaBitQCodes(codec, centre)
    target.linear(codes.matrix())
    try:
        index = target.faiss.IndexRaBitQ(codes.columns, target.metric, *([codec.n_bits] if codec.n_bits > 1 else []))
    except (AttributeError, TypeError):
        raise ImportError(f"faiss: IndexRaBitQ of {codec.n_bits} bits needs a newer faiss") from None
    target.set(index.center, codes.centre)
    index.qb = 0  # queries stay float
    index.is_trained = True
    return Form(target.front, index, codes.code_size, codes.theirs, codes.ours, codes.check)


def _eden(target: _Target, codec: LloydMax, shift: np.ndarray) -> Form:
    if not hasattr(target.faiss, "IndexEDEN"):
        raise ImportError("faiss: LloydMax needs IndexEDEN, which needs a newer faiss")
    index = target.faiss.IndexEDEN(codec.dim, target.metric, codec.n_bits, EDEN_SCALE)
    levels = target.faiss.vector_to_array(index.sq.trained)[: 2**codec.n_bits]
    if levels.shape != codec.levels_.shape or not np.allclose(levels, codec.levels_, rtol=SAME_LEVELS, atol=0):
        raise NoFaissForm(f"faiss: IndexEDEN has its own levels, which are not those of {codec!r}; those of 1 and 2 bits are")
    if target.l2:
        target.centre(codec.mean_)
    target.linear(ops.rotate(np.eye(codec.dim, dtype=np.float32), codec.signs_).T)
    centre = np.zeros(codec.dim, np.float32) if target.l2 else codec.mean_ + shift
    target.set(index.center, ops.rotate(centre[None], codec.signs_)[0])
    index.is_trained = True
    codes = EdenCodes(codec)
    return Form(target.front, index, codes.code_size, codes.theirs, codes.ours, codes.check)


def _without_bits(codes: np.ndarray, d: int) -> np.ndarray:
    """Codes whose bits behind the d-th, from the most significant on, are 0."""
    if d % 8 and len(codes):
        codes = codes.copy()
        codes[:, -1] &= 256 - (1 << 8 - d % 8)
    return codes


def _without_rest(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes of that many bits, from the least significant on; the others are 0."""
    if bits % 8 and len(codes):
        codes = codes.copy()
        codes[:, -1] &= (1 << bits % 8) - 1
    return codes
