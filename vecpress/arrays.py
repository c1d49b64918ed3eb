"""What callers hand in, made into checked float32 blocks: NumPy, torch, anything with `__dlpack__` or `__array__`.

Nothing is converted as a whole: a memory-mapped float16 file is read, checked and rounded a block at a time.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import ops

BLOCK_BYTES = 8 << 20  # float32 bytes converted at a time: small beside any data set, large beside a call's overhead
FEW = 4096  # numbers that no library spreads over threads to sum them
EXACT_BITS = 24  # an integer of at most so many bits, times a power of two, is exact in float32
FLOAT32_MAX = float(np.finfo(np.float32).max)
LONG, SHORT = 2.0**100, 2.0**-100  # norms in between neither overflow nor lose bits to subnormal numbers
TORCH_INTEGERS = {f"torch.{name}" for name in ("uint8", "int8", "int16", "int32", "int64")}


def is_torch(x: Any) -> bool:
    torch = sys.modules.get("torch")  # never imported here: who hands in a tensor has imported it
    return torch is not None and isinstance(x, torch.Tensor)


def as_codes(codes: Any, what: str, code_size: int) -> np.ndarray:
    """`codes` as a contiguous uint8[n, code_size]. Raises TypeError or ValueError that names `what`."""
    array = codes.detach().cpu().numpy() if is_torch(codes) else as_array(codes, what)
    if array.dtype != np.uint8:
        raise TypeError(f"{what} expected uint8, got {array.dtype}")
    if array.ndim != 2 or array.shape[1] != code_size:
        raise ValueError(f"{what} expected code_size={code_size} columns, got shape {array.shape}")
    return np.ascontiguousarray(array)


def on_device(x: Any) -> bool:
    """Whether x is an array on a CUDA device; imports nothing."""
    if isinstance(x, np.ndarray) or is_torch(x):
        return getattr(x, "is_cuda", False) is True
    if hasattr(type(x), "__cuda_array_interface__"):
        return True
    return hasattr(x, "__dlpack_device__") and int(x.__dlpack_device__()[0]) == 2  # kDLCUDA


def from_device(x: Any, what: str) -> np.ndarray:
    """A copy of an array on a CUDA device. BackendError without vecpress's CUDA library, TypeError for what is no array."""
    from .cuda.memory import as_device_array

    return as_device_array(x, what).numpy()


def to_device(array: np.ndarray, x: Any) -> Any:
    """A copy of `array` on the device of x."""
    from .cuda.memory import DeviceArray, as_device_array

    return DeviceArray.of(array, as_device_array(x, "results").device)


def like(x: Any, *arrays: np.ndarray) -> Any:
    """`arrays` as the kind of thing x is: NumPy in gives NumPy out, torch in gives torch out on the same device.

    For other arrays on a CUDA device: `vecpress.cuda.memory.DeviceArray` there, which frameworks take without a copy.
    """
    if is_torch(x):
        torch = sys.modules["torch"]
        arrays = tuple(torch.from_numpy(a).to(x.device) for a in arrays)
    elif on_device(x):
        arrays = tuple(to_device(a, x) for a in arrays)
    return arrays[0] if len(arrays) == 1 else arrays


class Rows:
    """A matrix of vectors read in float32 blocks.

    x : [n, d] float16, bfloat16 (torch), float32, float64, uint8, or integers that float32 holds exactly; one vector [d] is a row
    what : how error messages name it, for example "encode: x"
    dim : columns expected, None for any
    unit : scale every row to length 1 (zero rows stay zero)
    largest : the largest absolute value allowed, after scaling; 1e-17 or more, for it is looked for by squares
    num_threads : for the scaling
    first : the number of x's first row in error messages, where x is a block of something larger

    Raises TypeError for other kinds of values; ValueError for a wrong shape, and, when a block is read, for a row with a NaN, an
    infinity, a value that float32 cannot hold, or one beyond `largest`.
    """

    def __init__(
        self,
        x: Any,
        what: str,
        dim: int | None = None,
        *,
        unit: bool = False,
        largest: float = FLOAT32_MAX,
        num_threads: int | None = None,
        first: int = 0,
    ):
        self.what, self.unit, self.largest, self.num_threads, self.first = what, unit, largest, num_threads, first
        self._torch = is_torch(x)
        self._source = x if self._torch else as_array(x, what)
        real = _is_real_torch(x) if self._torch else self._source.dtype.kind in "fiu"
        if not real:  # bool, complex, object, text, dates
            raise TypeError(f"{what} expected real numbers, got dtype {self._source.dtype}")
        if self._source.ndim == 1:
            self._source = self._source.reshape(1, -1)
        shape = tuple(self._source.shape)
        if len(shape) != 2:
            raise ValueError(f"{what} expected a matrix [n, d], got shape {shape}")
        self.n, self.dim = shape
        if dim is not None and self.dim != dim:
            raise ValueError(f"{what} expected d={dim} columns, got shape {shape}")
        if self.dim < 1:
            raise ValueError(f"{what} expected at least one column, got shape {shape}")

    def __len__(self) -> int:
        return self.n

    @property
    def is_mapped(self) -> bool:
        """Whether the vectors lie in a file that is mapped, and so may be larger than memory."""
        return isinstance(self._source, np.memmap)

    def blocks(self, rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, float32[r, d]) over all rows, C-contiguous and checked."""
        step = rows or max(1, BLOCK_BYTES // (4 * self.dim))
        for start in range(0, self.n, step):
            yield start, self.take(slice(start, min(start + step, self.n)))

    def sample(self, most: int, seed: int) -> np.ndarray:
        """float32[min(n, most), d]: every row, or `most` of them drawn with the seed, in order."""
        if self.n <= most:
            return self.all()
        rng = np.random.Generator(np.random.PCG64(seed))
        return self.take(np.sort(rng.choice(self.n, most, replace=False)))

    def unchecked(self) -> np.ndarray | None:
        """float32[n, d] as it was handed in, whatever its values are; None where it is to be converted or scaled."""
        x = self._source
        plain = isinstance(x, np.ndarray) and x.dtype == np.float32 and x.flags.c_contiguous and x.flags.aligned
        return x if plain and not self.unit else None

    def all(self) -> np.ndarray:
        """float32[n, d]: every row, in one array; without a copy where x already is that and `unit` is off."""
        return self.take(slice(0, self.n))

    def check(self) -> None:
        """Reads every row once, for the errors that reading raises."""
        for _ in self.blocks():
            pass

    def take(self, which: slice | np.ndarray) -> np.ndarray:
        """float32[r, d]: the rows of a slice, or those of int64[r]; C-contiguous and checked."""
        part = _read_torch(self._source, which) if self._torch else self._source[which]
        out = _to_float32(part)
        squares = _sum_of_squares(out)  # of a query, it answers both questions
        if not squares < math.inf and not _is_finite(out):
            row = int(np.flatnonzero(~np.isfinite(out).all(axis=1))[0])
            beyond = np.isfinite(part[row]).all()
            trouble = "a value beyond float32's range" if beyond else "NaN or infinity"
            raise ValueError(f"{self.what} expected finite values, row {self._name(row, which)} has {trouble}")
        if part.dtype.kind in "iu":
            inexact = _inexact(part)
            if inexact.any():
                row = int(np.flatnonzero(inexact.any(axis=1))[0])
                raise ValueError(
                    f"{self.what} expected integers that float32 holds exactly, row {self._name(row, which)} has "
                    f"{part[row][inexact[row]][0]}"
                )
        if self.unit:
            out = unit_rows(out, self.num_threads)
            squares = _sum_of_squares(out)
        largest = self.largest
        if largest < FLOAT32_MAX and squares > largest * largest / 2 and out.size and max(out.max(), -out.min()) > largest:
            row, column = np.argwhere(np.abs(out) > largest)[0]
            raise ValueError(
                f"{self.what} expected absolute values up to {largest:.9g}, row {self._name(int(row), which)} has "
                f"{out[row, column]:.9g}"
            )
        return out

    def _name(self, row: int, which: slice | np.ndarray) -> int:
        return self.first + (which.start + row if isinstance(which, slice) else int(which[row]))


def as_array(x: Any, what: str) -> np.ndarray:
    """x as an array of whatever it holds. Raises TypeError for what is not, ValueError where rows differ in length."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{what} expected a matrix of numbers, got a masked array; fill or drop what is masked")
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, (str, bytes, dict, set)) or x is None:
        raise TypeError(f"{what} expected a matrix of numbers, got {type(x).__name__}")
    if on_device(x):
        return from_device(x, what)
    try:
        if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
            return np.from_dlpack(x)
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{what} expected a matrix of numbers, got {type(x).__name__}: {error}") from None
    except (TypeError, BufferError, RuntimeError) as error:
        raise TypeError(f"{what} expected a matrix of numbers, got {type(x).__name__}: {error}") from None


def unit_rows(x: np.ndarray, num_threads: int | None = None) -> np.ndarray:
    """Rows float32[n, d] scaled to length 1 by the fixed-order norm; zero rows stay zero."""
    length = ops.norms(x, num_threads=num_threads)
    extreme = ((length > LONG) | (length < SHORT)) & (length > 0)
    if extreme.any():  # a power of two first, so that the norm is neither infinite nor rounded to a few bits
        power = np.where(length > 1, np.float32(2.0**-64), np.float32(2.0**64))
        x = x * np.where(extreme, power, np.float32(1))[:, None]
        length = ops.norms(x, num_threads=num_threads)
    return x / np.where(length > 0, length, np.float32(1))[:, None]


def _sum_of_squares(x: np.ndarray) -> float:
    """Of float32[n, d] where these are few: the quickest sum of them. Infinite where they are many.

    Finite only if all of x are, and more than half of every square, whatever is rounded: roundings keep the order of numbers.
    """
    return float(np.vdot(x, x)) if x.size <= FEW else math.inf


def _is_finite(x: np.ndarray) -> bool:
    """Whether all of float32[n, d] are finite. One sum finds what is rare; which row it is costs more."""
    with np.errstate(invalid="ignore", over="ignore"):  # large values may only add up to too much
        return math.isfinite(x.sum(dtype=np.float32)) or math.isfinite(x.sum(dtype=np.float64))


def _is_real_torch(x: Any) -> bool:
    return bool(x.dtype.is_floating_point) or str(x.dtype) in TORCH_INTEGERS


def _read_torch(source: Any, which: slice | np.ndarray) -> np.ndarray:
    torch = sys.modules["torch"]
    part = source[which if isinstance(which, slice) else torch.from_numpy(which).to(source.device)].detach().cpu()
    narrow = part.dtype.is_floating_point and part.dtype not in (torch.float32, torch.float64)
    return (part.float() if narrow else part).numpy()  # NumPy lacks bfloat16; float32 holds all that is narrower


def _to_float32(part: np.ndarray) -> np.ndarray:
    if part.dtype == np.float32 and part.flags.c_contiguous and part.flags.aligned:
        return part  # a single query should not pay for what follows
    with np.errstate(over="ignore", invalid="ignore"):  # found again, and named, by the finite check
        return np.require(part, np.float32, ["C", "ALIGNED"])


def _inexact(part: np.ndarray) -> np.ndarray:
    """Which integers of part [n, d] float32 does not hold, bool[n, d] (or [0, 0] where none can be)."""
    limit = 1 << EXACT_BITS
    if not part.size or (part.max() <= limit and part.min() >= -limit):
        return np.zeros((0, 0), bool)
    size = part.astype(np.uint64)  # two's complement where part is signed
    size = np.where(part < 0, ~size + np.uint64(1), size)
    lowest = size & (~size + np.uint64(1))  # the lowest bit set; a float32 reaches EXACT_BITS bits from it
    return (size >> np.uint64(EXACT_BITS)) >= np.maximum(lowest, np.uint64(1))
