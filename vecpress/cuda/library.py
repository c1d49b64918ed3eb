"""The compiled CUDA library (csrc/cuda): found, loaded, its functions by name; why it cannot be used where it cannot."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BackendError

ABI = 1  # VP_CUDA_ABI of csrc/cuda/api.h
FILE = "libvecpress_cuda.so"
MINIMUM_DRIVER = 13000  # the library is built by CUDA 13: its code needs a driver of that version
NO_DRIVER = 1000 + 35  # cudaErrorInsufficientDriver, which is also what there is without any
NO_DEVICE = 1000 + 100
NO_CODE = 1000 + 209


class Codes(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("n", c_int64), ("code_size", c_int32), ("head", c_int32), ("stride", c_int32)]


class Factor(ctypes.Structure):
    _fields_ = [("kind", c_int32), ("offset", c_int32), ("times", c_float), ("table", c_void_p)]


class Scan(ctypes.Structure):
    _fields_ = [
        ("codes", Codes),
        ("ids", c_void_p),
        ("allow", c_void_p),
        ("scale", Factor),
        ("bias", Factor),
        ("constant", c_void_p),
        ("nq", c_int64),
        ("k", c_int64),
        ("scores", c_void_p),
        ("found", c_void_p),
        ("workspace", c_void_p),
        ("workspace_bytes", c_size_t),
        ("stream", c_void_p),
    ]


# arguments of every function; they return an int unless RETURNS says otherwise. csrc/cuda/api.h says what they are
SCAN = POINTER(Scan)
ARGUMENTS: dict[str, list[Any]] = {
    "abi": [],
    "emulated": [],
    "exact_rows": [],
    "message": [c_int],
    "driver": [POINTER(c_int)],
    "devices": [POINTER(c_int)],
    "name": [c_int, c_char_p, c_size_t, POINTER(c_int), POINTER(c_int), POINTER(c_size_t)],
    "probe": [c_int],
    "allocate": [c_int, c_size_t, POINTER(c_void_p)],
    "free": [c_int, c_void_p],
    "copy": [c_int, c_void_p, c_void_p, c_size_t, c_void_p],
    "fill": [c_int, c_void_p, c_int, c_size_t, c_void_p],
    "wait": [c_int, c_void_p],
    "wait_all": [c_int],
    "set_device": [c_int, POINTER(c_int)],
    "codes_bytes": [c_int64, c_int32],
    "put_rows": [c_void_p, c_int32, c_int64, c_int64, c_void_p, c_void_p],
    "get_rows": [c_void_p, c_void_p, c_int32, c_void_p, c_int64, c_void_p],
    "set_rows": [c_void_p, c_int32, c_void_p, c_int64, c_void_p, c_void_p],
    "scan_workspace": [c_int64, c_int64, c_int64, c_size_t, POINTER(c_size_t), POINTER(c_size_t)],
    "hamming_operand": [SCAN],
    "hamming": [SCAN, c_void_p],
    "flat_operand": [SCAN, c_int, c_int],
    "flat": [SCAN, c_void_p, c_int, c_int],
    "trellis_operand": [SCAN, c_void_p, c_void_p, c_int64, c_void_p, c_int, c_void_p, c_int32],
    "trellis": [SCAN, c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_int, c_void_p, c_int32],
    "dot_operand": [SCAN, c_int64, c_void_p, c_int32, c_int32],
    "dot": [SCAN, c_void_p, c_int64, c_void_p, c_int32, c_int32],
    "sdc_operand": [SCAN, c_int32, c_int32, c_void_p],
    "sdc": [SCAN, c_void_p, c_int32, c_int32, c_void_p],
    "project": [*[c_void_p] * 4, *[c_int64] * 3, c_void_p],
    "tables": [*[c_void_p] * 3, *[c_int64] * 4, c_int, c_int, c_void_p],
    "assign_workspace": [*[c_int64] * 3, POINTER(c_size_t), POINTER(c_size_t)],
    "assign": [*[c_void_p] * 4, *[c_int64] * 3, c_void_p, c_size_t, c_void_p],
    "encode_pq_workspace": [*[c_int64] * 3, POINTER(c_size_t), POINTER(c_size_t)],
    "encode_pq": [*[c_void_p] * 3, *[c_int64] * 4, c_int, c_void_p, c_size_t, c_void_p],
    "label_sums_workspace": [c_int64, c_int64, POINTER(c_size_t), POINTER(c_size_t)],
    "label_sums": [*[c_void_p] * 3, *[c_int64] * 3, c_void_p, c_size_t, c_void_p],
    "norms": [c_void_p, c_void_p, c_int64, c_int64, c_void_p],
    "pack_bits": [*[c_void_p] * 4, c_float, c_int64, c_int64, c_void_p],
    "encode_sq": [*[c_void_p] * 5, c_int32, c_float, c_int64, c_int64, c_void_p],
    "quantize": [*[c_void_p] * 3, c_int32, c_int64, c_void_p],
    "pack_codes": [c_void_p, c_void_p, c_int32, c_int64, c_int64, c_void_p],
    "unpack_codes": [c_void_p, c_void_p, c_int32, c_int64, c_int64, c_void_p],
    "rotate": [*[c_void_p] * 3, c_int64, c_int64, c_int, c_void_p],
    "encode_grid": [*[c_void_p] * 4, c_int32, c_int64, c_int64, c_void_p],
    "encode_trellis": [*[c_void_p] * 4, c_int64, c_void_p, c_int, c_int64, c_void_p],
    "beam_step": [*[c_void_p] * 6, c_int64, *[c_int32] * 4, c_void_p],
    "search_labels": [*[c_void_p] * 11, c_int64, c_int64, *[c_int32] * 5, c_void_p],
    "lut4_operand": [SCAN, c_int32],
    "lut4": [SCAN, c_void_p, c_int32],
    "lut8_operand": [SCAN],
    "lut8": [SCAN, c_void_p],
}
RETURNS: dict[str, Any] = {"message": c_char_p, "codes_bytes": c_int64, "exact_rows": c_int64}
RETURNS |= {name: c_size_t for name in ARGUMENTS if name.endswith("_operand")}


@dataclass(frozen=True)
class Device:
    """What a device is: its number, name, compute capability (90 is 9.0), multiprocessors, bytes of memory."""

    number: int
    name: str
    capability: int
    processors: int
    memory: int


def path() -> Path | None:
    """Where the library is: as VECPRESS_CUDA_LIBRARY says, else beside this file; None where it was not built."""
    given = os.environ.get("VECPRESS_CUDA_LIBRARY", "").strip()
    found = Path(given) if given else Path(__file__).with_name(FILE)
    return found if given or found.exists() else None


@functools.cache
def load() -> ctypes.CDLL:
    """The library, its functions declared. Raises BackendError that says why there is none."""
    found = path()
    if found is None:
        raise BackendError("vecpress was built without its CUDA library: install it with VECPRESS_CUDA=1 and nvcc")
    try:
        library = ctypes.CDLL(os.fspath(found))
        abi = library.vp_cuda_abi()
    except (OSError, AttributeError) as error:
        raise BackendError(f"{found} cannot be loaded: {error}") from None
    if abi != ABI:
        raise BackendError(f"{found} has interface {abi}, this vecpress wants {ABI}: install both from one source")
    for name, arguments in ARGUMENTS.items():
        function = getattr(library, f"vp_cuda_{name}")
        function.argtypes, function.restype = arguments, RETURNS.get(name, c_int)
    return library


def call(name: str, *arguments: Any) -> None:
    """Calls vp_cuda_<name>. Raises MemoryError or BackendError for a code other than 0."""
    library = load()
    code = getattr(library, f"vp_cuda_{name}")(*arguments)
    if code:
        text = f"cuda: {name}: {library.vp_cuda_message(code).decode()} (code {code})"
        raise MemoryError(text) if code == 1002 else BackendError(text)


@functools.cache
def why_not() -> str:
    """Why nothing can run on a device here; "" where it can."""
    try:
        library = load()
        count, driver = c_int(), c_int()
        library.vp_cuda_driver(ctypes.byref(driver))
        code = library.vp_cuda_devices(ctypes.byref(count))
    except BackendError as error:
        return str(error)
    if not driver.value:
        return "there is no NVIDIA driver"
    if driver.value < MINIMUM_DRIVER:
        wanted, got = (f"{v // 1000}.{v % 1000 // 10}" for v in (MINIMUM_DRIVER, driver.value))
        return f"the driver is for CUDA {got}, and the library wants {wanted} or later"
    if code in (NO_DRIVER, NO_DEVICE) or (not code and not count.value):
        return "the driver sees no device"
    if code:
        return f"the driver says: {library.vp_cuda_message(code).decode()}"
    code = library.vp_cuda_probe(0)
    if code == NO_CODE:
        return f"the library has no code for {devices()[0].name}"
    return f"device 0 says: {library.vp_cuda_message(code).decode()}" if code else ""


def devices() -> list[Device]:
    """The devices that the driver sees; none where there is no library or driver."""
    try:
        library = load()
    except BackendError:
        return []
    count = c_int()
    if library.vp_cuda_devices(ctypes.byref(count)):
        return []
    out = []
    for number in range(count.value):
        name, capability, processors, memory = ctypes.create_string_buffer(256), c_int(), c_int(), c_size_t()
        references = [ctypes.byref(x) for x in (capability, processors, memory)]
        if not library.vp_cuda_name(number, name, len(name), *references):
            out.append(Device(number, name.value.decode(), capability.value, processors.value, memory.value))
    return out


@contextlib.contextmanager
def on(device: int) -> Iterator[None]:
    """Makes a device current, whose default stream takes what is launched."""
    before = c_int()
    call("set_device", device, ctypes.byref(before))
    try:
        yield
    finally:
        call("set_device", before.value, None)


@functools.cache
def emulated() -> bool:
    """Whether the library runs on the processor: a build for tests."""
    return bool(load().vp_cuda_emulated())
