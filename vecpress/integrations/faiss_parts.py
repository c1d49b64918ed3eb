"""A faiss index taken apart, and checked.

faiss's reader has read the file; that its arrays have the lengths that its numbers say is checked here once more, before use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .faiss_codes import FAST_ROWS, NoFaissForm, unpack_fast
from .faiss_export import load_faiss

SUPPORTED = (
    "IndexPQ, IndexPQFastScan, IndexLSH, IndexScalarQuantizer and IndexFlat, behind transforms or not, IndexBinaryFlat, "
    "IndexRaBitQ and IndexEDEN that vecpress exported, graphs of these, and inverted lists without residuals"
)
MOST_DIM = 2**20
BLOCK_NBYTES = 2 << 20  # of IndexPQFastScan's codes, unpacked at a time


@dataclass
class Parts:
    """An index: its transforms, each as its name and arrays; what is scanned; the metric; ids int64[n] or None; n codes.

    `front` and `body` are comparable descriptions: (name, number or array, ...).
    """

    front: list[tuple[Any, ...]]
    body: tuple[Any, ...]
    metric: str | None  # "ip", "l2"; None where the index compares bits
    ids: np.ndarray | None
    codes: np.ndarray  # uint8[n, code_size], a view of the index; of IndexPQFastScan a copy


def take_apart(whole: Any) -> Parts:
    """The parts, of which `codes` is a view while `whole` lives.

    Raises NoFaissForm that names the type of an index that is not known here; ValueError for one that contradicts itself."""
    faiss, ids = load_faiss(), None
    index = _downcast(faiss, whole)  # a second name: the first owns what the others point into
    if isinstance(index, (faiss.IndexIDMap, faiss.IndexIDMap2, faiss.IndexBinaryIDMap, faiss.IndexBinaryIDMap2)):
        outer, ids = index, faiss.vector_to_array(index.id_map).astype(np.int64)
        index = _downcast(faiss, index.index)
        _expect("number of ids", len(ids), index.ntotal)
        _expect("columns and rows behind the ids", (index.d, index.ntotal), (outer.d, outer.ntotal))
    front: list[tuple[Any, ...]] = []
    if isinstance(index, faiss.IndexPreTransform):
        d, inner = index.d, _downcast(faiss, index.index)
        for i in range(index.chain.size()):
            transform = faiss.downcast_VectorTransform(index.chain.at(i))
            _expect("columns of a transform", transform.d_in, d)
            front.append(_transform(faiss, transform))
            d = transform.d_out
        _expect("columns and rows behind the transforms", (inner.d, inner.ntotal), (d, index.ntotal))
        index = inner
    if not 1 <= index.d <= MOST_DIM:
        raise ValueError(f"faiss: columns expected 1 to {MOST_DIM}, got {index.d}")
    if not index.is_trained:
        raise ValueError(f"faiss: {type(index).__name__} expected to be trained")
    if isinstance(index, (faiss.IndexHNSW, faiss.IndexBinaryHNSW)):  # its links stay behind
        inner = _downcast(faiss, index.storage)
        _expect("columns and rows of the graph", (inner.d, inner.ntotal), (index.d, index.ntotal))
        index = inner
    lists = isinstance(index, (faiss.IndexIVF, faiss.IndexBinaryIVF))
    body, code_size = _body(faiss, index)
    metric = None
    if body[0] not in ("binary", "lsh"):
        metric = {faiss.METRIC_INNER_PRODUCT: "ip", faiss.METRIC_L2: "l2"}.get(index.metric_type)
        if metric is None:
            raise NoFaissForm(f"faiss: metric expected inner product or L2, got number {index.metric_type}")
    if not lists:
        return Parts(front, body, metric, ids, _codes(faiss, index, body[0], code_size))
    codes, own = _of_lists(faiss, index, code_size)
    if ids is not None:  # that the lists number
        if len(own) and not 0 <= own.min() <= own.max() < len(ids):
            raise ValueError(f"faiss: ids in lists expected 0 to {len(ids) - 1}, got {own.min()} to {own.max()}")
        own = ids[own]
    order = np.argsort(own, kind="stable")
    codes, own = codes[order], own[order]
    return Parts(front, body, metric, None if np.array_equal(own, np.arange(len(own))) else own, codes)


def _downcast(faiss: Any, index: Any) -> Any:
    return faiss.downcast_IndexBinary(index) if isinstance(index, faiss.IndexBinary) else faiss.downcast_index(index)


def _floats(faiss: Any, what: str, vector: Any, *shape: int) -> np.ndarray:
    _expect(f"length of {what}", vector.size(), math.prod(shape))
    return np.asarray(faiss.vector_to_array(vector), np.float32).reshape(shape)


def _transform(faiss: Any, transform: Any) -> tuple[Any, ...]:
    d, to = transform.d_in, transform.d_out
    if isinstance(transform, faiss.NormalizationTransform):
        return "unit", float(transform.norm)
    if isinstance(transform, faiss.CenteringTransform):
        return "centre", _floats(faiss, "the centre", transform.mean, d)
    if isinstance(transform, faiss.RemapDimensionsTransform):
        _expect("length of the kept columns", transform.map.size(), to)
        places = np.arange(to)
        if not np.array_equal(faiss.vector_to_array(transform.map), np.where(places < d, places, -1)):
            raise NoFaissForm(f"faiss: RemapDimensionsTransform: kept columns expected the first of {d}, in order")
        return "resize", d, to
    if isinstance(transform, faiss.LinearTransform):
        bias = _floats(faiss, "the bias", transform.b, to) if transform.have_bias else np.zeros(to, np.float32)
        return "linear", _floats(faiss, "the matrix", transform.A, to, d), bias
    raise NoFaissForm(f"faiss: there is no codec for a {type(transform).__name__}")


def _body(faiss: Any, index: Any) -> tuple[tuple[Any, ...], int]:
    """The description and the bytes of a code."""
    name, d = type(index).__name__, index.d
    if isinstance(index, faiss.IndexIVF) and name in ("IndexIVFPQ", "IndexIVFScalarQuantizer") and index.by_residual:
        raise NoFaissForm(f"faiss: {name} expected codes of vectors, by_residual=False, got codes of what centroids leave")
    if name in ("IndexBinaryFlat", "IndexBinaryIVF"):
        return ("binary", d), d // 8
    if name in ("IndexFlat", "IndexFlatIP", "IndexFlatL2", "IndexIVFFlat"):
        return ("flat", d), 4 * d
    if name in ("IndexPQ", "IndexPQFastScan", "IndexIVFPQ"):
        pq = index.pq
        if pq.nbits not in (4, 8):
            raise NoFaissForm(f"faiss: {name} expected 8 or 4 bits, got {pq.nbits}")
        if name == "IndexPQFastScan":
            _expect("rows of a block", index.bbs, FAST_ROWS)
        _expect("columns of all sub-vectors", pq.M * pq.dsub, d)
        books = _floats(faiss, "the codebooks", pq.centroids, pq.M, 2**pq.nbits, pq.dsub)
        return ("pqfs" if name == "IndexPQFastScan" else "pq", pq.nbits, books), (pq.M * pq.nbits + 7) // 8
    if name == "IndexLSH":
        if index.rotate_data or index.nbits != d:
            raise NoFaissForm(f"faiss: IndexLSH expected a bit a column and no rotation, got {index.nbits} bits of {d} columns")
        thresholds = _floats(faiss, "the thresholds", index.thresholds, d) if index.train_thresholds else np.zeros(d, np.float32)
        return ("lsh", thresholds), (d + 7) // 8
    if name in ("IndexScalarQuantizer", "IndexIVFScalarQuantizer"):
        return _scalar(faiss, index.sq, d)
    if name == "IndexRaBitQ":
        n_bits = getattr(index.rabitq, "nb_bits", 1)
        return ("rabitq", n_bits, _floats(faiss, "the centre", index.center, d)), index.code_size
    if name == "IndexEDEN":
        return ("eden", index.sq.bits, _floats(faiss, "the centre", index.center, d), int(index.scale_type)), index.code_size
    raise NoFaissForm(f"faiss: there is no codec for {name}; supported are {SUPPORTED}")


def _scalar(faiss: Any, sq: Any, d: int) -> tuple[tuple[Any, ...], int]:
    kind = faiss.ScalarQuantizer
    n_bits = {kind.QT_8bit: 8, kind.QT_8bit_uniform: 8, kind.QT_8bit_direct: 8, kind.QT_4bit: 4, kind.QT_4bit_uniform: 4,
              kind.QT_fp16: 16}.get(sq.qtype)  # fmt: skip
    if n_bits is None:
        raise NoFaissForm(f"faiss: IndexScalarQuantizer expected 8 or 4 bits or fp16, got quantizer type {sq.qtype}")
    if n_bits == 16:
        return ("sq", d, 16, None, None), 2 * d
    if sq.qtype == kind.QT_8bit_direct:  # the component itself; as the middle of its cell
        return ("sq", d, 8, np.full(d, -0.5, np.float32), np.full(d, 255, np.float32)), d
    uniform = sq.qtype in (kind.QT_8bit_uniform, kind.QT_4bit_uniform)
    low, width = _floats(faiss, "the ranges", sq.trained, 2, 1 if uniform else d)
    return ("sq", d, n_bits, np.broadcast_to(low, d), np.broadcast_to(width, d)), (d * n_bits + 7) // 8


def _codes(faiss: Any, index: Any, kind: str, code_size: int) -> np.ndarray:
    stored = index.xb if kind == "binary" else index.codes
    n, size = int(index.ntotal), int(stored.size())
    if kind == "pqfs":
        pairs, blocks = (index.pq.M + 1) // 2, -(-n // FAST_ROWS)
        if size < blocks * FAST_ROWS * pairs:  # faiss may keep more blocks than there are rows
            raise ValueError(f"faiss: bytes of codes expected {blocks * FAST_ROWS * pairs}, got {size}")
        out = np.zeros((n, pairs), np.uint8)
        if n:
            raw = faiss.rev_swig_ptr(stored.data(), blocks * FAST_ROWS * pairs).reshape(blocks, FAST_ROWS * pairs)
        step = max(1, BLOCK_NBYTES // (FAST_ROWS * pairs))
        for block in range(0, blocks, step):
            rows = out[block * FAST_ROWS : (block + step) * FAST_ROWS]
            rows[:] = unpack_fast(raw[block : block + step], len(rows), index.pq.M)
        return out
    _expect("bytes of codes", size, n * code_size)
    if n == 0:
        return np.zeros((0, code_size), np.uint8)
    return faiss.rev_swig_ptr(stored.data(), size).reshape(n, code_size)


def _of_lists(faiss: Any, index: Any, code_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The codes and the ids of all lists, one list behind the other: copies."""
    lists, n, at = index.invlists, int(index.ntotal), 0
    _expect("bytes of a code in lists", lists.code_size, code_size)
    sizes = [int(lists.list_size(label)) for label in range(lists.nlist)]
    _expect("rows of all lists", sum(sizes), n)
    codes, ids = np.empty((n, code_size), np.uint8), np.empty(n, np.int64)
    for label, size in enumerate(sizes):
        if size:
            held, own = lists.get_codes(label), lists.get_ids(label)
            codes[at : at + size] = faiss.rev_swig_ptr(held, size * code_size).reshape(size, code_size)
            ids[at : at + size] = faiss.rev_swig_ptr(own, size)
            lists.release_codes(label, held)
            lists.release_ids(label, own)
            at += size
    return codes, ids


def _expect(what: str, got: Any, expected: Any) -> None:
    if got != expected:
        raise ValueError(f"faiss: {what} expected {expected}, got {got}")
