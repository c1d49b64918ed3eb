"""faiss: indexes of codes that vecpress made, to be searched by faiss, and faiss's indexes of codes as ours. docs/faiss.md."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..checks import check_choice, check_path
from ..codec import METRICS, Codec
from ..container import replacing
from ..errors import CorruptFileError, NotFittedError
from ..index import Index
from .faiss_codes import NoFaissForm
from .faiss_export import Form, form, kinds, load_faiss
from .faiss_import import Mismatch, check_same, check_width, recognize
from .faiss_parts import Parts, take_apart
from .faiss_structures import HNSW, IVF, Codes, Structure, choose_kind, graph, inverted

__all__ = ["HNSW", "IVF", "NoFaissForm", "from_faiss", "kinds", "read", "to_faiss", "write"]

BLOCK_NBYTES = 2 << 20  # of codes, a byte a bit, at a time: what they are unpacked to stays in the cache
CHUNK = 1 << 20  # bytes that faiss hands over at a time


def to_faiss(source: Index | Codec, kind: str | None = None, structure: Structure | None = None) -> Any:
    """An index of vecpress as one of faiss: a `faiss.Index`, or `faiss.IndexBinary` for kind "binary".

    source : an index, or a fitted codec for an empty index; vectors that faiss adds are coded as the codec codes them, but for
        the rounding of faiss's products (not for RaBitQ and LloydMax, whose levels faiss chooses otherwise)
    kind : what the codec is to become, one of `kinds(codec)`, if None the first of them, or the first that `structure` has
    structure : `IVF()` for inverted lists, `HNSW()` for a graph over the same codes, so that not all of them are looked at; None
        for an index that looks at all

    | kind | index | of |
    |---|---|---|
    | "pq" | IndexPQ | PQ, OPQ; Sign and ITQ: a byte of 8 signs is the label of a sub-vector, so that queries are float |
    | "pqfs" | IndexPQFastScan | PQ and OPQ of 4 bits; faiss rounds its tables to 8 bits |
    | "binary" | IndexBinaryFlat | Sign, ITQ: queries are `codec.encode(q)`, scores Hamming distances |
    | "lsh" | IndexLSH | Sign, ITQ: float queries, which faiss codes, scores Hamming distances |
    | "rabitq" | IndexRaBitQ | RaBitQ |
    | "eden" | IndexEDEN | LloydMax of 1 and 2 bits |
    | "sq" | IndexScalarQuantizer | SQ, Raw("float16") |
    | "flat" | IndexFlat | Raw |

    | kind | with IVF | with HNSW |
    |---|---|---|
    | "pq" | IndexIVFPQ | IndexHNSWPQ |
    | "pqfs" | IndexIVFPQFastScan | none |
    | "binary" | IndexBinaryIVF | IndexBinaryHNSW |
    | "sq" | IndexIVFScalarQuantizer | IndexHNSWSQ |
    | "flat" | IndexIVFFlat | IndexHNSWFlat |
    | "rabitq", "eden" | none: faiss's lists score residuals of centroids | IndexHNSW |

    Lists hold the codes themselves, not residuals: one that looks at all lists gives the answers of the index without.

    Rotations and other maps stand in front as an IndexPreTransform, "cos" as inner products of normalised vectors. Vectors are
    in the order of their ids; ids other than 0 .. n - 1 are kept: in the lists, or in an IndexIDMap2 or IndexBinaryIDMap2.

    Raises TypeError for anything else, an index with text keys too; ValueError for another kind, for more lists than vectors, for
    lists of an empty index without `vectors`; NoFaissForm, a ValueError, for a codec that faiss has nothing for; NotFittedError;
    ImportError without faiss, or with one that is too old for the kind.
    Cost: a copy of the codes, converted in blocks; for lists k-means of at most 64 nlist vectors, and n nlist distances; for a
    graph the decoded vectors, and faiss's time to link them. Changes to the index wait meanwhile.
    """
    if structure is not None and not isinstance(structure, (IVF, HNSW)):
        raise TypeError(f"to_faiss: structure expected an IVF, an HNSW or None, got {type(structure).__name__}")
    if not isinstance(source, (Codec, Index)):
        raise TypeError(f"to_faiss: source expected an Index or a Codec, got {type(source).__name__}")
    codec = source if isinstance(source, Codec) else source.codec
    kind = kind_of(codec, kind, structure)
    made = form(codec, kind)
    if structure is None and source is codec:
        return _assemble(made)
    contents = source._contents if isinstance(source, Index) else Index(codec)._contents
    with contents.lock.shared:
        ids = contents.all_ids()
        order = np.argsort(ids, kind="stable")
        ids, n = ids[order], len(ids)

        def codes(rows: np.ndarray) -> np.ndarray:
            return contents.columns[0].rows(n, order[rows], None)

        if isinstance(structure, IVF):
            made.body = inverted(structure, kind, made, codec, codes, ids)
        else:
            _fill(made, codec, codes, n)
            if structure is not None:
                made.body = graph(structure, kind, made, codec, codes, n)
    if isinstance(structure, IVF):
        return _assemble(made)
    plain = np.array_equal(ids, np.arange(len(ids)))
    return _assemble(made, fast=kind == "pqfs", ids=None if plain else ids)


def kind_of(codec: Codec, kind: str | None, structure: Structure | None) -> str | None:
    """The kind that `to_faiss` takes where `kind` is None; it is None for a codec that faiss has nothing for."""
    known = kinds(codec)
    return choose_kind(structure, kind, known, codec) if structure else kind or next(iter(known), None)


def from_faiss(index: Any, codec: Codec | None = None, *, metric: str | None = None) -> Index:
    """An index of faiss as one of vecpress, of the kinds that `to_faiss` makes, whoever made it.

    codec : the codec that the index was exported of; the result has it, and its codes as they were. Without, the codec is made of
        what the index holds, which may be less (docs/faiss.md): IndexBinaryFlat holds bits only, so thresholds are 0; of
        IndexRaBitQ and IndexEDEN only those that vecpress exported can be read, with a `seed` below 4096
    metric : of an index that compares bits, which says none: "l2", whose scores are then Hamming distances, if None

    Inverted lists and graphs come back as their codes and ids; lists must hold codes of vectors, not of residuals.

    Raises TypeError for what is no faiss index; NoFaissForm, a ValueError, for one that no codec can be made of, the message
    names it and what is supported, and for rows that faiss added to an IndexRaBitQ or IndexEDEN itself; ValueError for one that
    contradicts itself or the codec; ImportError without faiss.
    Cost: a copy of the codes, converted in blocks.
    """
    faiss = load_faiss()
    if not isinstance(index, (faiss.Index, faiss.IndexBinary)):
        raise TypeError(f"from_faiss: index expected a faiss index, got {type(index).__name__}")
    if metric is not None:
        check_choice("from_faiss", "metric", metric, METRICS)
    parts = take_apart(index)
    if codec is None:
        codec, kind = recognize(parts, metric)
        made = form(codec, kind)
    else:
        if not isinstance(codec, Codec):
            raise TypeError(f"from_faiss: codec expected a Codec, got {type(codec).__name__}")
        made = _same_form(parts, codec)
        if metric not in (None, codec.metric):
            raise Mismatch(f"from_faiss: metric expected {codec.metric!r} as the codec has, got {metric!r}")
    check_width(parts, made.code_size)
    out = Index(codec)
    step = max(1, BLOCK_NBYTES // (8 * made.code_size))
    for start in range(0, len(parts.codes), step):
        ids = None if parts.ids is None else parts.ids[start : start + step]
        codes = np.ascontiguousarray(parts.codes[start : start + step])
        ours = made.ours(codes)
        made.check(codes, ours, start)
        out.add_codes(ours, ids)
    return out


def write(source: Index | Codec, path: Any, kind: str | None = None, structure: Structure | None = None) -> None:
    """`to_faiss`, written to a file that faiss reads: whole or not at all. Raises as that, TypeError for no path, OSError."""
    check_path("write", path)
    faiss, index = load_faiss(), to_faiss(source, kind, structure)
    writer = faiss.write_index_binary if isinstance(index, faiss.IndexBinary) else faiss.write_index
    with replacing(path) as file:
        writer(index, faiss.PyCallbackIOWriter(file.write, CHUNK))  # not buffered: that would lose errors of its last bytes


def read(path: Any, codec: Codec | None = None, *, metric: str | None = None) -> Index:
    """`from_faiss` of a file that faiss wrote.

    The file is read by faiss, which was not made for files of people you do not trust (SECURITY.md).

    Raises as `from_faiss`; CorruptFileError for a file that faiss cannot read or that contradicts itself; OSError.
    """
    check_path("read", path)
    if metric is not None:
        check_choice("read", "metric", metric, METRICS)
    faiss, name = load_faiss(), os.fsdecode(path)
    with open(name, "rb") as file:
        reader = faiss.read_index_binary if file.read(2) == b"IB" else faiss.read_index
        file.seek(0)
        try:
            index = reader(faiss.PyCallbackIOReader(file.read, CHUNK))
        except (RuntimeError, MemoryError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise CorruptFileError(f"{name}: faiss cannot read it: {why[:300]}") from None
    try:
        return from_faiss(index, codec, metric=metric)
    except (NoFaissForm, Mismatch, NotFittedError) as error:
        raise type(error)(f"{name}: {error}") from None
    except ValueError as error:
        raise CorruptFileError(f"{name}: {error}") from None


def _fill(made: Form, codec: Codec, codes: Codes, n: int) -> None:
    """Puts the codes of rows 0 .. n - 1 into the empty index."""
    faiss, body = load_faiss(), made.body
    stored = body.xb if isinstance(body, faiss.IndexBinary) else body.codes
    stored.resize(n * made.code_size)
    body.ntotal = n
    if n == 0:
        return
    out = faiss.rev_swig_ptr(stored.data(), n * made.code_size).reshape(n, made.code_size)
    step = max(1, BLOCK_NBYTES // (8 * codec.code_size))
    for start in range(0, n, step):
        end = min(start + step, n)
        out[start:end] = made.theirs(codes(np.arange(start, end)))


def _assemble(made: Form, fast: bool = False, ids: np.ndarray | None = None) -> Any:
    """The whole index of its parts."""
    faiss, index = load_faiss(), made.body
    if fast:
        index = faiss.IndexPQFastScan(index)
    if made.front:
        index = faiss.IndexPreTransform(index)
        for transform in reversed(made.front):
            index.prepend_transform(transform)
    if ids is None:
        return index
    n, index.ntotal = index.ntotal, 0  # faiss gives ids to empty indexes only
    outer = (faiss.IndexBinaryIDMap2 if isinstance(index, faiss.IndexBinary) else faiss.IndexIDMap2)(index)
    index.ntotal = outer.ntotal = n
    faiss.copy_array_to_vector(ids, outer.id_map)
    outer.construct_rev_map()
    return outer


def _same_form(parts: Parts, codec: Codec) -> Form:
    """The codec's form, checked to be that of the parts."""
    kind = parts.body[0]
    known = kinds(codec)
    if kind not in known:
        raise Mismatch(f"from_faiss: codec expected one of an index of kind {kind!r}, got {codec!r}, which has {known}")
    made = form(codec, kind)
    check_same(parts, take_apart(_assemble(made, fast=kind == "pqfs")), codec)
    return made
