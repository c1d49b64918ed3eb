"""Inverted lists and graphs of faiss over codes that vecpress made: codes stand in them as they are, nothing is coded again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_int
from ..codec import Codec
from ..kmeans import kmeans
from .faiss_codes import NoFaissForm
from .faiss_export import Form, load_faiss

BLOCK_NBYTES = 8 << 20  # of decoded vectors at a time
ROWS_A_LIST = 64  # that centroids are learned from, at most: faiss takes up to 256, and four times as long
ITERATIONS = 10  # of k-means, as faiss
FEWEST_ROWS = 39  # a list by default: of fewer faiss warns
LARGEST_NLIST = 2**24
SAMPLED = 4096  # rows decoded at a time

Codes = Callable[[np.ndarray], np.ndarray]  # rows int64[r] to their codes uint8[r, code_size of the codec]


@dataclass(frozen=True)
class IVF:
    """Inverted lists: a query looks at the lists of the `nprobe` nearest of `nlist` centroids, and at every code in these.

    nlist : lists; if None 4 sqrt(n), but no more than one for 39 vectors
    nprobe : lists that a query looks at, as the index has it from the start; if None 2 sqrt(nlist). With all of them
        the answers are those of all codes
    vectors : float32[r, d], what centroids are learned from; if None the decoded codes. An empty index needs them
    seed : of the centroids' k-means

    Centroids are the same bits for any number of threads. For inner products and cosines they have length 1.
    """

    nlist: int | None = None
    nprobe: int | None = None
    vectors: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("nlist", 1), ("nprobe", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None or name == "seed":
                check_int("IVF", name, value, low, LARGEST_NLIST if name != "seed" else None)


@dataclass(frozen=True)
class HNSW:
    """A graph of neighbours (hierarchical navigable small world) that a query walks.

    m : links a vector, twice as many in the lowest layer
    ef_construction, ef_search : candidates kept while a vector is linked, and while a query walks; more finds more, and takes
        longer. `index.hnsw.efSearch` of faiss is the latter

    Links are found between decoded vectors, which are held in float32 meanwhile, by faiss's threads: with more than one they
    may differ from run to run.
    """

    m: int = 32
    ef_construction: int = 80
    ef_search: int = 64

    def __post_init__(self) -> None:
        for name, low in (("m", 2), ("ef_construction", 1), ("ef_search", 1)):
            check_int("HNSW", name, getattr(self, name), low, 2**20)


Structure = IVF | HNSW
KINDS = {IVF: ("pq", "pqfs", "binary", "sq", "flat"), HNSW: ("pq", "binary", "sq", "flat", "rabitq", "eden")}


def choose_kind(structure: Structure, kind: str | None, known: tuple[str, ...], codec: Codec) -> str | None:
    """The kind that the structure holds, one of `known`, those of the codec. Raises NoFaissForm that says why there is none."""
    name, able = type(structure).__name__, KINDS[type(structure)]
    if not known or (kind is not None and kind not in known):
        return kind  # another error
    if kind is None:
        kind = next((one for one in known if one in able), known[0])
    if kind in able:
        return kind
    if kind in ("rabitq", "eden"):
        raise NoFaissForm(
            f"faiss: there are no inverted lists of {codec!r}: faiss scores what stands in them as residuals of their list's "
            "centroid, which these codes are not; in a graph, HNSW(), it scores them as they are"
        )
    others = [one for one in known if one in able]
    raise NoFaissForm(f"faiss: there is no {name} of kind {kind!r}; for {codec!r} expected {' or '.join(map(repr, others))}")


# ---- inverted lists


def inverted(structure: IVF, kind: str | None, made: Form, codec: Codec, codes: Codes, ids: np.ndarray) -> Any:
    """The index of lists: of codes(rows) for row 0 .. len(ids) - 1, under their ids int64[n].

    Raises ValueError for more lists than vectors to learn centroids from, or none of these; as `Rows` for bad vectors.
    """
    n, binary = len(ids), kind == "binary"
    decode = _bits if binary else made.body.sa_decode
    sample = _sample(structure, binary, made, codec, codes, n)
    nlist = structure.nlist or _lists(len(sample) if structure.vectors is not None else n)
    if nlist > len(sample):
        raise ValueError(f"to_faiss: nlist expected at most {len(sample)}, a list a vector to learn from, got {nlist}")
    spherical = not binary and made.body.metric_type != load_faiss().METRIC_L2
    centroids = _centroids(sample, nlist, structure.seed, binary, spherical)
    index = _empty_lists(kind, made, centroids)
    index.nprobe = min(nlist, structure.nprobe or math.ceil(2 * math.sqrt(nlist)))
    step = max(1, BLOCK_NBYTES // (4 * centroids.shape[1]))
    labels = np.empty(n, np.int32)
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        # of centroids of length 1 the nearest has the largest inner product, too
        labels[rows] = ops.assign(np.ascontiguousarray(decode(made.theirs(codes(rows)))), centroids)[0]
    _fill_lists(index, labels, made, codes, ids)
    if kind == "pqfs":
        index = _fast(index)
    return index


def _bits(codes: np.ndarray) -> np.ndarray:
    return np.unpackbits(codes, axis=1).astype(np.float32)


def _sample(structure: IVF, binary: bool, made: Form, codec: Codec, codes: Codes, n: int) -> np.ndarray:
    """float32[r, columns of the lists]: what centroids are learned from."""
    if structure.vectors is None:
        if n == 0:
            raise ValueError("to_faiss: IVF of an empty index expected `vectors` to learn its centroids from, got none")
        rng = np.random.Generator(np.random.PCG64(structure.seed))
        rows = np.sort(rng.choice(n, min(n, ROWS_A_LIST * (structure.nlist or _lists(n))), replace=False))
        decode = _bits if binary else made.body.sa_decode
        return np.concatenate([decode(made.theirs(codes(part))) for part in np.array_split(rows, -(-len(rows) // SAMPLED))])
    given = Rows(structure.vectors, "IVF: vectors", codec.dim, largest=codec.largest)
    if not len(given):
        raise ValueError("IVF: vectors expected at least one row, got none")
    x = given.sample(ROWS_A_LIST * (structure.nlist or _lists(len(given))), structure.seed)
    if binary:
        return _bits(codec.encode(x))
    for transform in made.front:
        x = transform.apply(np.ascontiguousarray(x))
    return x


def _lists(n: int) -> int:
    """So many lists for n vectors, by default."""
    return max(1, min(int(4 * math.sqrt(n)), n // FEWEST_ROWS))


def _centroids(x: np.ndarray, nlist: int, seed: int, binary: bool, spherical: bool) -> np.ndarray:
    """float32[nlist, d]; of bits 0 and 1, with `spherical` of length 1."""
    x = np.ascontiguousarray(x, np.float32)
    found = kmeans(_unit(x) if spherical else x, nlist, seed, iterations=ITERATIONS)[0]
    if binary:
        return (found > 0.5).astype(np.float32)
    return _unit(found) if spherical else found


def _unit(x: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.square(x, dtype=np.float64).sum(axis=1, keepdims=True))
    return (x / np.where(length > 0, length, 1)).astype(np.float32)


def _empty_lists(kind: str | None, made: Form, centroids: np.ndarray) -> Any:
    faiss, body, nlist = load_faiss(), made.body, len(centroids)
    if kind == "binary":
        quantizer = faiss.IndexBinaryFlat(body.d)
        quantizer.add(np.packbits(centroids.astype(bool), axis=1))
        index = faiss.IndexBinaryIVF(quantizer, body.d, nlist)
    else:
        quantizer = faiss.IndexFlat(body.d, body.metric_type)
        quantizer.add(centroids)
        if kind in ("pq", "pqfs"):
            index = faiss.IndexIVFPQ(quantizer, body.d, nlist, body.pq.M, body.pq.nbits, body.metric_type)
            faiss.copy_array_to_vector(faiss.vector_to_array(body.pq.centroids), index.pq.centroids)
        elif kind == "sq":
            index = faiss.IndexIVFScalarQuantizer(quantizer, body.d, nlist, body.sq.qtype, body.metric_type, False)
            faiss.copy_array_to_vector(faiss.vector_to_array(body.sq.trained), index.sq.trained)
        else:
            index = faiss.IndexIVFFlat(quantizer, body.d, nlist, body.metric_type)
        index.by_residual = False  # a list's codes are those of the vectors themselves
    quantizer.this.disown()
    index.own_fields = index.is_trained = True
    return index


def _fill_lists(index: Any, labels: np.ndarray, made: Form, codes: Codes, ids: np.ndarray) -> None:
    """Puts every row into the list of its label, in the order of rows."""
    faiss, order = load_faiss(), np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(index.nlist), side="right")
    first = 0
    for label, end in enumerate(ends.tolist()):
        rows = order[first:end]
        if len(rows):
            theirs, own = np.ascontiguousarray(made.theirs(codes(rows))), np.ascontiguousarray(ids[rows])
            index.invlists.add_entries(label, len(rows), faiss.swig_ptr(own), faiss.swig_ptr(theirs))
        first = end
    index.ntotal = len(ids)


def _fast(index: Any) -> Any:
    faiss = load_faiss()
    fast = faiss.IndexIVFPQFastScan(index)
    index.own_fields, fast.own_fields = False, True  # of the centroids
    fast.nprobe = index.nprobe
    return fast


# ---- graphs


def graph(structure: HNSW, kind: str | None, made: Form, codec: Codec, codes: Codes, n: int) -> Any:
    """The graph over `made.body`, which holds the codes of rows 0 .. n - 1."""
    faiss, body, step = load_faiss(), made.body, max(1, BLOCK_NBYTES // (4 * codec.dim))
    blocks = [np.arange(start, min(start + step, n)) for start in range(0, n, step)]
    if kind == "binary":
        index = faiss.IndexBinaryHNSW(body.d, structure.m)
        index.hnsw.efConstruction, index.hnsw.efSearch = structure.ef_construction, structure.ef_search
        for rows in blocks:
            index.add(np.ascontiguousarray(made.theirs(codes(rows))))
        return index
    metric = faiss.METRIC_L2 if codec.metric == "l2" else faiss.METRIC_INNER_PRODUCT
    # by the metric itself: links by L2, also of vectors made equally long by one more component, lose most neighbours where
    # inner products are asked for and lengths differ
    links = faiss.IndexHNSWFlat(codec.dim, structure.m, metric)
    links.hnsw.efConstruction, links.hnsw.efSearch = structure.ef_construction, structure.ef_search
    for rows in blocks:
        links.add(codec.decode(codes(rows)))
    made_of = {"pq": faiss.IndexHNSWPQ, "sq": faiss.IndexHNSWSQ, "flat": faiss.IndexHNSWFlat}.get(str(kind))
    if made_of is None:
        index = faiss.IndexHNSW(body, structure.m)
    else:
        index = made_of()
        index.storage = body
    body.this.disown()
    index.own_fields = index.is_trained = True
    index.d, index.metric_type, index.ntotal, index.hnsw = body.d, body.metric_type, n, links.hnsw
    if kind == "pq":
        body.pq.compute_sdc_table()  # for vectors that faiss adds
    return index
