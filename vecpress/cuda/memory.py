"""Arrays on a device: allocated here or handed in by a framework, copied to and from NumPy."""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from typing import Any

import numpy as np

from . import dlpack, library
from .library import call

Stream = int  # a cudaStream_t as a number; 0 is the default one


POOLED, LARGEST_POOLED, SMALLEST_POOLED = 128 << 20, 32 << 20, 512  # bytes: of a device, of a piece


class Pool:
    """Small pieces of a device's memory that were in use, for the next: the driver takes longer to give some than a short scan.

    Everything that this package launches without being given a stream is in the default one, so who takes a piece comes after
    who gave it. Pieces are powers of two.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, int], list[int]] = {}  # (device, bytes) -> addresses
        self._held: dict[int, int] = {}
        self._most = POOLED
        self._lock = threading.RLock()  # collecting garbage, which may come at any line, gives pieces back

    def take(self, device: int, nbytes: int) -> int:
        """An address, 0 where there is none."""
        with self._lock:
            free = self._free.get((device, nbytes))
            if not free:
                return 0
            self._held[device] = self._held.get(device, 0) - nbytes
            return free.pop()

    def clear(self) -> None:
        """Gives everything back to the driver."""
        with self._lock:
            pieces = [(device, address) for (device, _), free in self._free.items() for address in free]
            self._free, self._held = {}, {}
        for device, address in pieces:
            library.load().vp_cuda_free(device, address)

    def give(self, device: int, nbytes: int, address: int) -> bool:
        """Whether the piece is kept; else it is to be freed."""
        with self._lock:
            if self._held.get(device, 0) + nbytes > self._most:
                return False
            self._free.setdefault((device, nbytes), []).append(address)
            self._held[device] = self._held.get(device, 0) + nbytes
            return True


pool = Pool()


class Memory:
    """Bytes on a device, for work of a stream; given back with the object.

    Raises MemoryError where there are too few, after what was kept for later has been given back.
    """

    def __init__(self, nbytes: int, device: int, stream: Stream = 0):
        self.pointer, self.nbytes, self.device = 0, int(nbytes), device
        self._library, self._pool = library.load(), pool  # at the interpreter's end, modules go before objects
        self._piece = 0  # bytes of it, where it is to go to the pool
        # memory that nobody has written is poisoned there, so that tests see it
        if 0 < nbytes <= LARGEST_POOLED and not stream and not library.emulated():
            self._piece = max(SMALLEST_POOLED, 1 << (self.nbytes - 1).bit_length())
            self.pointer = pool.take(device, self._piece)
        if not self.pointer:
            out = ctypes.c_void_p()
            try:
                call("allocate", device, self._piece or self.nbytes, ctypes.byref(out))
            except MemoryError:
                scratch.clear()
                pool.clear()
                call("allocate", device, self._piece or self.nbytes, ctypes.byref(out))
            self.pointer = out.value or 0

    def hand_out(self) -> None:
        """Others, with streams of their own, use it too: it goes back to the driver, which waits for them."""
        self._piece = 0

    def __del__(self) -> None:
        if getattr(self, "pointer", 0) and not (self._piece and self._pool.give(self.device, self._piece, self.pointer)):
            self._library.vp_cuda_free(self.device, self.pointer)


class DeviceArray:
    """A C-contiguous array on a device.

    pointer, shape, dtype, device : what and where it is
    stream : on which the work that makes it was put; another stream waits for that one first
    owner : what keeps the memory alive

    Frameworks take it by `__cuda_array_interface__` (CuPy, Numba, `torch.as_tensor`) or DLPack (`torch.from_dlpack`,
    `jax.dlpack.from_dlpack`), without a copy; `numpy.asarray` copies it to the host.
    """

    def __init__(self, pointer: int, shape: tuple[int, ...], dtype: Any, device: int, stream: Stream = 0, owner: Any = None):
        self.pointer, self.shape, self.dtype = pointer, tuple(int(x) for x in shape), np.dtype(dtype)
        self.device, self.stream, self.owner = device, stream, owner
        self.memory = owner if isinstance(owner, Memory) else None

    @classmethod
    def empty(cls, shape: tuple[int, ...], dtype: Any, device: int, stream: Stream = 0) -> DeviceArray:
        """A new one; its contents are whatever they are."""
        memory = Memory(math.prod(shape) * np.dtype(dtype).itemsize, device, stream)
        return cls(memory.pointer, shape, dtype, device, stream, memory)

    @classmethod
    def of(cls, array: np.ndarray, device: int, stream: Stream = 0) -> DeviceArray:
        """A copy of a NumPy array, complete when this returns."""
        array = np.ascontiguousarray(array)
        out = cls.empty(array.shape, array.dtype, device, stream)
        if array.nbytes:
            call("copy", device, out.pointer, array.ctypes.data, array.nbytes, stream)
            call("wait", device, stream)  # the caller may change the array now
        return out

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def numpy(self) -> np.ndarray:
        """A copy on the host; waits for the array's stream."""
        out = np.empty(self.shape, self.dtype)
        if out.nbytes:
            call("copy", self.device, out.ctypes.data, self.pointer, out.nbytes, self.stream)
        call("wait", self.device, self.stream)
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an array on a device expected copy=True, for its values are not on the host")
        return self.numpy().astype(dtype or self.dtype, copy=False)

    def _hand_out(self) -> None:
        if self.memory is not None:
            self.memory.hand_out()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        self._hand_out()
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.pointer, False),
            "version": 3,
            "strides": None,
            "stream": self.stream or 1,  # 1 is the default stream there, and 0 is not allowed
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self.device

    def __dlpack__(self, *, stream: int | None = None, **_: Any) -> Any:
        self._hand_out()
        if stream != -1:  # the consumer asks for it to be ready
            call("wait", self.device, self.stream)
        return dlpack.export(self.pointer, self.shape, self.dtype, self.device, self)

    def __repr__(self) -> str:
        return f"<DeviceArray {self.dtype}{self.shape} on cuda:{self.device}>"


def as_device_array(x: Any, what: str) -> DeviceArray:
    """A view of x, an array on a device. Raises TypeError or ValueError for what is none or not C-contiguous."""
    if isinstance(x, DeviceArray):
        return x
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        if not x.is_cuda:
            raise TypeError(f"{what} expected a tensor on a CUDA device, got one on {x.device}")
        if x.dtype == torch.bfloat16:
            raise TypeError(f"{what} expected a dtype that NumPy has, got bfloat16")
        x = x.detach()
        if not x.is_contiguous():
            x = x.contiguous()
        dtype = np.dtype(str(x.dtype).removeprefix("torch."))
        stream = torch.cuda.current_stream(x.device).cuda_stream
        return DeviceArray(x.data_ptr(), tuple(x.shape), dtype, x.device.index or 0, int(stream), x)
    interface = getattr(x, "__cuda_array_interface__", None)
    if interface is None and hasattr(x, "__dlpack_device__") and int(x.__dlpack_device__()[0]) == dlpack.CUDA:
        pointer, shape, dtype, device, owner = dlpack.take(x, what)
        return DeviceArray(pointer, shape, dtype, device, 0, owner)
    if interface is None:
        raise TypeError(f"{what} expected an array on a CUDA device, got {type(x).__name__}")
    dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
    strides, packed = interface.get("strides"), np.empty(shape, dtype).strides if 0 in shape else _packed(shape, dtype)
    if strides is not None and tuple(strides) != packed and math.prod(shape) > 1:
        raise ValueError(f"{what} expected a C-contiguous array, got strides {tuple(strides)}")
    stream = interface.get("stream") or 0
    if hasattr(x, "__dlpack_device__"):
        device = x.__dlpack_device__()[1]
    else:
        device = getattr(getattr(x, "device", None), "id", getattr(x, "device", 0))
    return DeviceArray(int(interface["data"][0]), shape, dtype, int(device) if isinstance(device, int) else 0, _plain(stream), x)


def ready_for(array: DeviceArray, device: int, stream: Stream, what: str) -> DeviceArray:
    """The array, when work of `stream` on `device` may read it. Raises ValueError for one on another device."""
    if array.device != device:
        raise ValueError(f"{what} expected an array on cuda:{device}, got one on cuda:{array.device}")
    if array.stream != stream:
        call("wait", array.device, array.stream)
    return array


def _packed(shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, ...]:
    strides, size = [], dtype.itemsize
    for length in reversed(shape):
        strides.append(size)
        size *= length
    return tuple(reversed(strides))


def _plain(stream: int) -> Stream:
    return 0 if stream == 1 else int(stream)


class Scratch:
    """Workspaces that scans of one stream take in turns: what one has given back, the next of the same stream may write over."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, Stream], list[Memory]] = {}
        self._lock = threading.RLock()

    def take(self, nbytes: int, device: int, stream: Stream) -> Memory:
        with self._lock:
            free = self._free.get((device, stream), [])
            for i, memory in enumerate(free):
                if memory.nbytes >= nbytes:
                    return free.pop(i)
            free.clear()  # too small for what is wanted now
        return Memory(max(nbytes, 1 << 20), device, stream)

    def give(self, memory: Memory, stream: Stream) -> None:
        with self._lock:
            free = self._free.setdefault((memory.device, stream), [])
            if len(free) < 2:
                free.append(memory)

    def clear(self) -> None:
        """Frees what is not in use."""
        with self._lock:
            self._free.clear()


scratch = Scratch()
