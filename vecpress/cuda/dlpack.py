"""Arrays on a device handed over and taken by DLPack (https://dmlc.github.io/dlpack/latest/c_api.html), by ctypes alone."""

from __future__ import annotations

import ctypes
import math
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p, py_object
from typing import Any

import numpy as np

CUDA = 2  # kDLCUDA
DEFAULT_STREAM = 1  # CUDA's legacy default stream, as consumers name it
_KINDS = {0: "i", 1: "u", 2: "f", 6: "b"}
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_NAME = b"dltensor"  # until somebody takes it, who renames it


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, POINTER(_Managed))
_Managed._fields_ = [("tensor", _Tensor), ("context", c_void_p), ("deleter", _Deleter)]
_Destructor = ctypes.CFUNCTYPE(None, c_void_p)

_api = ctypes.pythonapi
_new = ctypes.PYFUNCTYPE(py_object, c_void_p, c_char_p, _Destructor)(("PyCapsule_New", _api))
_pointer = ctypes.PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", _api))
_raw_pointer = ctypes.PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(("PyCapsule_GetPointer", _api))
_raw_is = ctypes.PYFUNCTYPE(ctypes.c_int, c_void_p, c_char_p)(("PyCapsule_IsValid", _api))

_handed_out: dict[int, tuple[Any, ...]] = {}  # what keeps an array alive until its consumer is done with it


@_Deleter
def _delete(managed: Any) -> None:
    _handed_out.pop(ctypes.addressof(managed.contents), None)


@_Destructor
def _destroy(capsule: int) -> None:
    if _raw_is(capsule, _NAME):  # nobody has taken it
        _handed_out.pop(int(_raw_pointer(capsule, _NAME) or 0), None)


def export(pointer: int, shape: tuple[int, ...], dtype: np.dtype, device: int, owner: Any) -> Any:
    """A capsule of a C-contiguous array on a device; `owner` lives until the consumer is done with it."""
    managed = _Managed()
    sizes = (c_int64 * max(len(shape), 1))(*shape)
    managed.tensor = _Tensor(pointer or None, CUDA, device, len(shape), _CODES[dtype.kind], 8 * dtype.itemsize, 1, sizes, None, 0)
    managed.deleter = _delete
    address = ctypes.addressof(managed)
    _handed_out[address] = managed, sizes, owner
    return _new(address, _NAME, _destroy)


def take(x: Any, what: str) -> tuple[int, tuple[int, ...], np.dtype, int, Any]:
    """Pointer, shape, dtype, device number and owner of an array on a CUDA device, ready on the default stream.

    Raises TypeError for another dtype, ValueError for an array that is not C-contiguous.
    """
    capsule = x.__dlpack__(stream=DEFAULT_STREAM)
    tensor = ctypes.cast(_pointer(capsule, _NAME), POINTER(_Managed)).contents.tensor
    if tensor.lanes != 1 or tensor.code not in _KINDS or tensor.bits % 8:
        raise TypeError(f"{what} expected a dtype that NumPy has, got DLPack's {tensor.code} of {tensor.bits} bits")
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    dtype = np.dtype(f"{_KINDS[tensor.code]}{tensor.bits // 8}")
    if tensor.strides and math.prod(shape) > 1:
        strides = tuple(tensor.strides[i] for i in range(tensor.ndim))
        packed = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
        if any(s != p for s, p, length in zip(strides, packed, shape, strict=True) if length > 1):
            raise ValueError(f"{what} expected a C-contiguous array, got strides {strides}")
    # the capsule stays unused: when it goes, its own destructor tells the producer
    return int(tensor.data or 0) + int(tensor.byte_offset), shape, dtype, int(tensor.device), capsule
