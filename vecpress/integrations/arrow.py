"""Apache Arrow and Parquet: codes as a column that carries its codec. docs/integrations/arrow.md."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from ..checks import check_path
from ..codec import Codec
from ..container import replacing
from ..errors import CorruptFileError
from .codec_bytes import from_bytes, to_bytes

__all__ = ["CodesType", "codes_from_arrow", "codes_to_arrow", "read_parquet", "write_parquet"]

NAME = "vecpress.codes"


class CodesType(pa.ExtensionType):
    """The type of a column of codes: FixedSizeBinary(code_size) under the name "vecpress.codes".

    Its parameter, which Arrow keeps in the field's metadata under ARROW:extension:metadata, is the codec: its .vpz file in
    base64, for metadata are text to other readers. So any file or stream that keeps metadata keeps the codec.
    """

    def __init__(self, code_size: int, text: bytes):
        self._text = text
        super().__init__(pa.binary(code_size), NAME)

    def __arrow_ext_serialize__(self) -> bytes:
        return self._text

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> CodesType:
        if not pa.types.is_fixed_size_binary(storage_type):
            raise CorruptFileError(f"{NAME}: expected a column of fixed_size_binary, got {storage_type}")
        return cls(storage_type.byte_width, serialized)

    @property
    def codec(self) -> Codec:
        """The codec, read and checked when asked for. Raises CorruptFileError if it is not whole or of another code_size."""
        try:
            data = base64.b64decode(self._text, validate=True)
        except binascii.Error as error:
            raise CorruptFileError(f"{NAME}: the metadata are not base64: {error}") from None
        codec = from_bytes(data, NAME)
        if codec.code_size != self.storage_type.byte_width:
            width = self.storage_type.byte_width
            raise CorruptFileError(f"{NAME}: expected codes of code_size={codec.code_size} bytes, got a column of {width}")
        return codec


def codes_to_arrow(codec: Codec, codes: Any) -> pa.ExtensionArray:
    """Codes uint8[n, code_size] as an array of `CodesType`; no copy where they are contiguous, so leave them as they are.

    Raises TypeError for what is no codec or no codes, ValueError for codes of another width, NotFittedError.
    """
    if not isinstance(codec, Codec):
        raise TypeError(f"codes_to_arrow: codec expected a Codec, got {type(codec).__name__}")
    codec.check_fitted()
    codes = codec.check_codes(codes, "codes_to_arrow: codes")
    kind = CodesType(codec.code_size, base64.b64encode(to_bytes(codec)))
    storage = pa.FixedSizeBinaryArray.from_buffers(kind.storage_type, len(codes), [None, pa.py_buffer(codes)])
    return pa.ExtensionArray.from_storage(kind, storage)


def codes_from_arrow(array: Any, codec: Codec | None = None) -> tuple[Codec, np.ndarray]:
    """The codec and the codes uint8[n, code_size], read-only, of an array of `CodesType` or of fixed_size_binary.

    array : a pyarrow Array or ChunkedArray; the codes of one chunk are not copied, those of several once
    codec : of an array without metadata, as DuckDB and polars hand it back; where there is one, it must be equal

    Raises TypeError for another kind of array or codec, ValueError for null values, for a missing or another codec;
    CorruptFileError, a ValueError, for metadata that are no codec of this code_size.
    """
    if codec is not None and not isinstance(codec, Codec):
        raise TypeError(f"codes_from_arrow: codec expected a Codec, got {type(codec).__name__}")
    if not isinstance(array, (pa.Array, pa.ChunkedArray)):
        raise TypeError(f"codes_from_arrow: array expected a pyarrow Array or ChunkedArray, got {type(array).__name__}")
    if array.null_count:
        raise ValueError(f"codes_from_arrow: array expected codes without null values, got {array.null_count} of these")
    kind = array.type
    if isinstance(kind, CodesType):
        own = kind.codec
        if codec is not None and codec != own:
            raise ValueError(f"codes_from_arrow: codec expected that of the column, {own!r}, got {codec!r}")
        codec = own
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        array = _fixed(array, codec)  # polars has no binary values of a fixed size
    elif not pa.types.is_fixed_size_binary(kind):
        raise TypeError(f"codes_from_arrow: array expected type {NAME} or fixed_size_binary, got {kind}")
    if codec is None:
        raise ValueError(f"codes_from_arrow: codec expected a Codec for an array without the metadata of {NAME}, got None")
    codec.check_fitted()
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    parts = [_codes(chunk) for chunk in chunks if len(chunk)]
    if not parts:
        codes = np.empty((0, codec.code_size), np.uint8)
    else:
        codes = parts[0] if len(parts) == 1 else np.concatenate(parts)
    codes = codec.check_codes(codes, "codes_from_arrow: array")
    codes.setflags(write=False)
    return codec, codes


def write_parquet(path: Any, codec: Codec, codes: Any, columns: Mapping[str, Any] | None = None, *, name: str = "codes") -> None:
    """A Parquet file of codes, other columns before them, whole or not at all. The codec is in the file.

    columns : by name, anything that pyarrow.table takes, each of n values
    name : of the column of codes, which is written as it is: codes neither compress nor repeat

    Raises as `codes_to_arrow`; TypeError for no path or name; ValueError for a column of that name or of another length; OSError.
    """
    check_path("write_parquet", path)
    if not isinstance(name, str):
        raise TypeError(f"write_parquet: name expected a str, got {type(name).__name__}")
    others = dict(columns or {})
    if name in others:
        raise ValueError(f"write_parquet: columns expected none of the name of the codes, got {name!r}")
    array = codes_to_arrow(codec, codes)
    for other, values in others.items():
        if len(values) != len(array):
            got = f"{len(values)} in {other!r}"
            raise ValueError(f"write_parquet: columns expected {len(array)} values as there are codes, got {got}")
    table = pa.table({**others, name: array})
    plain: list[str] = list(others)
    compression = dict.fromkeys(others, "zstd") | {name: "none"}
    with replacing(path) as file:
        parquet.write_table(table, file, use_dictionary=plain, write_statistics=plain, compression=compression)


def read_parquet(path: Any, *, name: str = "codes") -> tuple[Codec, np.ndarray, pa.Table]:
    """The codec, the codes uint8[n, code_size] and the other columns of a file of `write_parquet`, or of any with such a column.

    Raises TypeError for no path, ValueError if there is no column `name` or it has no codec, CorruptFileError for what is no
    Parquet file or has no whole codec, OSError.
    """
    check_path("read_parquet", path)
    try:
        table = parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise CorruptFileError(f"{path}: {error}") from None
    if name not in table.column_names:
        raise ValueError(f"{path}: expected a column {name!r}, got {', '.join(table.column_names)}")
    codec, codes = codes_from_arrow(table[name])
    return codec, codes, table.drop_columns([name])


def _codes(chunk: pa.Array) -> np.ndarray:
    """uint8[n, code_size]: a view."""
    storage = chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk
    width = storage.type.byte_width
    data = np.frombuffer(storage.buffers()[1], np.uint8, len(storage) * width, storage.offset * width)
    return data.reshape(len(storage), width)


def _fixed(array: Any, codec: Codec | None) -> Any:
    """Binary values of any length as fixed_size_binary: a copy. ValueError where the lengths are others."""
    if codec is None:
        return array
    try:
        return array.cast(pa.binary()).cast(pa.binary(codec.code_size))
    except pa.ArrowInvalid as error:
        raise ValueError(f"codes_from_arrow: array expected values of code_size={codec.code_size} bytes: {error}") from None


pa.register_extension_type(CodesType(1, b""))
