"""A codec as the bytes of its .vpz file, for formats that carry it inside."""

from __future__ import annotations

import os
import tempfile

from .. import io
from ..codec import Codec
from ..errors import CorruptFileError


def to_bytes(codec: Codec) -> bytes:
    """The bytes of the file that `codec.save` writes. Raises NotFittedError before `fit`; OSError without a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "codec.vpz")
        codec.save(path)
        with open(path, "rb") as file:
            return file.read()


def from_bytes(data: bytes, where: str) -> Codec:
    """The codec of these bytes, checked as `vecpress.load` checks a file. Raises CorruptFileError that names `where`."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "codec.vpz")
        with open(path, "wb") as file:
            file.write(data)
        try:
            codec = io.load(path)
        except CorruptFileError as error:
            raise CorruptFileError(f"{where}: {str(error).removeprefix(f'{path}: ')}") from None
    if not isinstance(codec, Codec):
        raise CorruptFileError(f"{where}: expected a codec, got an {type(codec).__name__}")
    return codec
