"""Codes in the forms in which databases take bits and bytes, and codes of queries in theirs. docs/integrations/formats.md.

No library is needed, but pyarrow for `lancedb_column`. Bits go in as they are: the first dimension is the first bit, the highest
of the first byte, as in `numpy.packbits`, pgvector and PostgreSQL.

| database | column | codes | a query |
|---|---|---|---|
| PostgreSQL, pgvector | bit(n) | `pgvector_text`, `pgvector_binary`, `pgvector_copy` | `pgvector_text` |
| Elasticsearch | `elasticsearch_mapping`: dense_vector of bits | `elasticsearch_hex`, `signed_bytes` | `elasticsearch_query` |
| OpenSearch | `opensearch_mapping`: knn_vector, binary | `signed_bytes` | `opensearch_query` |
| Qdrant | datatype uint8, a component a bit | `qdrant_uint8`, with Manhattan distance | `qdrant_uint8` |
| Milvus | BINARY_VECTOR | `milvus_binary` | `milvus_binary` |
| Vespa | tensor<int8>(x[code_size]) | `vespa_hex`, `vespa_cells` | `vespa_query` |
| LanceDB | fixed_size_list<uint8> | `lancedb_column` | the code itself |
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..arrays import as_array
from ..checks import check_int
from ..ids import as_ids

__all__ = [
    "elasticsearch_hex", "elasticsearch_mapping", "elasticsearch_query", "from_bit_text", "from_hex", "from_signed",
    "lancedb_column", "milvus_binary", "opensearch_mapping", "opensearch_query", "pgvector_binary", "pgvector_copy",
    "pgvector_text", "qdrant_uint8", "signed_bytes", "vespa_cells", "vespa_hex", "vespa_query",
]  # fmt: skip

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
COPY_END = struct.pack("!h", -1)


# ---- PostgreSQL


def pgvector_text(codes: Any, bits: int | None = None) -> list[str]:
    """Codes uint8[n, size] as texts of bits for a column bit(bits), n of them: '0110...'.

    bits : 8 size - 7 to 8 size, what of the last byte is used; None for all

    `SELECT id FROM t ORDER BY code <~> B'0110...' LIMIT 10` with pgvector 0.7; without it `bit_count(code # B'0110...')`.
    Raises TypeError or ValueError for what are no codes, for other bits, and where bits behind these are set.
    """
    codes, bits = _bits("pgvector_text", codes, bits)
    digits = np.unpackbits(codes, axis=1, count=bits) + ord("0")
    return [row.tobytes().decode() for row in digits.astype(np.uint8)]


def pgvector_binary(codes: Any, bits: int | None = None) -> list[bytes]:
    """The same as PostgreSQL sends and receives values of bit(bits): the number of bits in four bytes, then the bytes."""
    codes, bits = _bits("pgvector_binary", codes, bits)
    head = struct.pack("!i", bits)
    return [head + row.tobytes() for row in codes]


def pgvector_copy(ids: Any, codes: Any, bits: int | None = None) -> bytes:
    """Rows (bigint, bit(bits)) as a stream for `COPY t (id, code) FROM STDIN (FORMAT binary)`.

    ids : int64[n]; the others as in `pgvector_text`. Raises ValueError too for another number of ids than of codes.
    """
    values = pgvector_binary(codes, bits)
    ids = as_ids(ids, "pgvector_copy: ids")
    if len(ids) != len(values):
        raise ValueError(f"pgvector_copy: ids expected {len(values)} as there are codes, got {len(ids)}")
    rows = [struct.pack("!hiqi", 2, 8, i, len(value)) + value for i, value in zip(ids.tolist(), values, strict=True)]
    return b"".join([COPY_HEADER, *rows, COPY_END])


# ---- Elasticsearch and OpenSearch


def signed_bytes(codes: Any) -> list[list[int]]:
    """Codes uint8[n, size] as lists of numbers of -128 to 127: byte b is b, or b - 256 from 128 on."""
    return _codes("signed_bytes", codes).view(np.int8).tolist()


def elasticsearch_hex(codes: Any) -> list[str]:
    """Codes as hexadecimal texts, two digits a byte."""
    return [row.tobytes().hex() for row in _codes("elasticsearch_hex", codes)]


def elasticsearch_mapping(code_size: int) -> dict[str, Any]:
    """A field of codes of code_size bytes. Its scores are 1 - h / (8 code_size), h the Hamming distance."""
    size = check_int("elasticsearch_mapping", "code_size", code_size, 1)
    return {"type": "dense_vector", "element_type": "bit", "dims": 8 * size, "index": True, "similarity": "l2_norm"}


def elasticsearch_query(field: str, code: Any, k: int = 10, num_candidates: int = 100) -> dict[str, Any]:
    """The option `knn` of a search for the code of one query, uint8[size]."""
    (text,) = elasticsearch_hex(_one("elasticsearch_query", code))
    k = check_int("elasticsearch_query", "k", k, 1)
    wide = check_int("elasticsearch_query", "num_candidates", num_candidates, k)
    return {"field": field, "query_vector": text, "k": k, "num_candidates": wide}


def opensearch_mapping(code_size: int) -> dict[str, Any]:
    """A field of codes of code_size bytes, searched by Hamming distance in a graph."""
    size = check_int("opensearch_mapping", "code_size", code_size, 1)
    method = {"name": "hnsw", "space_type": "hamming", "engine": "faiss"}
    return {"type": "knn_vector", "dimension": 8 * size, "data_type": "binary", "method": method}


def opensearch_query(field: str, code: Any, k: int = 10) -> dict[str, Any]:
    """The query of a search for the code of one query, uint8[size]."""
    (values,) = signed_bytes(_one("opensearch_query", code))
    return {"knn": {field: {"vector": values, "k": check_int("opensearch_query", "k", k, 1)}}}


# ---- Qdrant, Milvus, Vespa, LanceDB


def qdrant_uint8(codes: Any, bits: int | None = None) -> list[list[int]]:
    """Codes as vectors of datatype uint8, a component a bit, 0 or 1: their Manhattan distance is the codes' Hamming distance.

    bits : as in `pgvector_text`. Cost: a byte a bit, for Qdrant compares no packed bits that it is given.
    """
    codes, bits = _bits("qdrant_uint8", codes, bits)
    return np.unpackbits(codes, axis=1, count=bits).tolist()


def milvus_binary(codes: Any) -> list[bytes]:
    """Codes as values of a BINARY_VECTOR of dim = 8 size, metric HAMMING."""
    return [row.tobytes() for row in _codes("milvus_binary", codes)]


def vespa_hex(codes: Any) -> list[str]:
    """Codes as values of tensor<int8>(x[size]), as hexadecimal texts: {"values": text}; distance-metric hamming."""
    return [row.tobytes().hex() for row in _codes("vespa_hex", codes)]


def vespa_cells(codes: Any) -> list[dict[str, list[int]]]:
    """The same as numbers: {"values": [-128 to 127, ...]}."""
    return [{"values": values} for values in _codes("vespa_cells", codes).view(np.int8).tolist()]


def vespa_query(field: str, code: Any, k: int = 10, name: str = "q") -> dict[str, str]:
    """Parameters of a search for the code of one query, uint8[size]: yql and input.query(name), which a rank profile declares."""
    (cells,) = vespa_cells(_one("vespa_query", code))
    k = check_int("vespa_query", "k", k, 1)
    for what, text in (("field", field), ("name", name)):
        if not isinstance(text, str) or not text.isidentifier():  # it becomes part of yql
            raise ValueError(f"vespa_query: {what} expected the name of a field, got {text!r}")
    return {
        "yql": f"select * from sources * where {{targetHits: {k}}}nearestNeighbor({field}, {name})",
        f"input.query({name})": str(cells["values"]),
    }


def lancedb_column(codes: Any) -> Any:
    """Codes as a pyarrow array of fixed_size_list<uint8>[size], without a copy; `.distance_type("hamming")`. Needs pyarrow."""
    import pyarrow

    codes = _codes("lancedb_column", codes)
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(codes.reshape(-1)), codes.shape[1])


# ---- back


def from_bit_text(texts: Iterable[str]) -> np.ndarray:
    """uint8[n, ceil(bits / 8)] of what `pgvector_text` wrote. Raises ValueError for other characters or lengths."""
    rows = list(texts)
    _same_length("from_bit_text", rows)
    if any(set(row) - {"0", "1"} for row in rows):
        raise ValueError("from_bit_text: texts expected '0' and '1' only")
    digits = np.array([np.frombuffer(row.encode(), np.uint8) for row in rows], np.uint8).reshape(len(rows), -1)
    return np.packbits(digits - np.uint8(ord("0")), axis=1)


def from_hex(texts: Iterable[str]) -> np.ndarray:
    """uint8[n, size] of hexadecimal texts. Raises ValueError for what is none, or for other lengths."""
    rows = list(texts)
    _same_length("from_hex", rows)
    return np.array([np.frombuffer(bytes.fromhex(row), np.uint8) for row in rows], np.uint8).reshape(len(rows), -1)


def from_signed(values: Iterable[Sequence[int]]) -> np.ndarray:
    """uint8[n, size] of numbers of -128 to 127. Raises ValueError for others, or for other lengths."""
    rows = list(values)
    _same_length("from_signed", rows)
    numbers = np.array(rows, np.int64).reshape(len(rows), -1)
    if numbers.size and (numbers.min() < -128 or numbers.max() > 127):
        raise ValueError(f"from_signed: values expected -128 to 127, got {numbers.min()} to {numbers.max()}")
    return numbers.astype(np.int8).view(np.uint8)


# ---- checks


def _codes(call: str, codes: Any) -> np.ndarray:
    array = as_array(codes, f"{call}: codes")
    if array.dtype != np.uint8:
        raise TypeError(f"{call}: codes expected uint8, got {array.dtype}")
    if array.ndim != 2 or array.shape[1] < 1:
        raise ValueError(f"{call}: codes expected a matrix [n, size], got shape {array.shape}")
    return np.ascontiguousarray(array)


def _one(call: str, code: Any) -> np.ndarray:
    array = as_array(code, f"{call}: code")
    row = array.reshape(1, -1) if array.ndim == 1 else array
    if row.ndim != 2 or len(row) != 1:
        raise ValueError(f"{call}: code expected the code of one query, got shape {array.shape}")
    return _codes(call, row)


def _bits(call: str, codes: Any, bits: int | None) -> tuple[np.ndarray, int]:
    array = _codes(call, codes)
    most = 8 * array.shape[1]
    bits = most if bits is None else check_int(call, "bits", bits, most - 7, most)
    behind = array[:, -1] & np.uint8((1 << (most - bits)) - 1)
    if behind.any():
        row = int(np.flatnonzero(behind)[0])
        raise ValueError(f"{call}: codes expected nothing behind bit {bits}, row {row} ends in {array[row, -1]:08b}")
    return array, bits


def _same_length(call: str, rows: list[Any]) -> None:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ValueError(f"{call}: expected rows of one length, got {lengths[0]} and {lengths[-1]}")
