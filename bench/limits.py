"""What this machine allows, for comparison with what the kernels reach: `python -m bench.limits [--json]`.

| limit | unit | how |
|---|---|---|
| dram_read, l2_read | bytes/s, one core | the best of several read loops: 1 to 8 streams, with or without prefetch |
| int8_mac | byte multiply-accumulates/s, one core | independent vpdpbusd (AVX-512) or vpmaddubsw chains (AVX2) |
| shuffle | bytes looked up/s in 16-entry tables, one core | independent vpshufb or tbl |
| permute | bytes looked up/s in a 64-entry table, one core | independent vpermb (AVX-512 VBMI) |
| sgemm | float32 multiply-adds/s, one thread | NumPy's matrix product at 1024^3 |

Each is the best of several passes: a limit is what the machine can do, not what it did while disturbed. The loops are compiled
when they are first needed, by CXX or c++, into the user's cache folder. LimitsError where that cannot be done.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("limits.cpp")
L2_BYTES = 256 << 10  # fits the L2 cache of every current core, not its L1
STEP_BYTES = 32 << 10  # whole pages for each of 8 streams


def last_level_cache() -> int:
    """Bytes of the largest cache that Linux tells of; 0 where it does not."""
    sizes = (path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    return max((int(size[:-1]) << {"K": 10, "M": 20}[size[-1]] for size in sizes if size[-1] in "KM"), default=0)


DRAM_BYTES = max(512 << 20, 2 * last_level_cache())


class LimitsError(Exception):
    """The loops cannot be compiled or run here; the message is for the user."""


@functools.cache
def library() -> ctypes.CDLL:
    """limits.cpp, compiled once per version of its text, and again in each process where there is no cache folder to write to."""
    name = f"limits-{platform.machine()}-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"
    cache = cache_folder()
    # A folder of this process's own: in a shared one another user could put something in the library's place.
    with tempfile.TemporaryDirectory(prefix="vecpress-limits-", dir=cache) as own:
        path = (cache or Path(own)) / name
        if not path.exists():
            _compile(Path(own) / "partial.so")
            (Path(own) / "partial.so").replace(path)
        try:
            lib = ctypes.CDLL(str(path))  # stays loaded when its file goes
        except OSError as error:
            raise LimitsError(f"{path}: {error}") from None
    lib.make_buffer.restype = ctypes.c_void_p
    lib.make_buffer.argtypes = [ctypes.c_int64]
    lib.free_buffer.argtypes = [ctypes.c_void_p]
    for name in ("read_avx512", "read_avx2", "read_neon"):
        if hasattr(lib, name):
            getattr(lib, name).restype = ctypes.c_double
            getattr(lib, name).argtypes = [ctypes.c_void_p] + [ctypes.c_int64] * 4
    for name in ("int8_avx512", "int8_avx2", "permute_avx512", "shuffle_avx512", "shuffle_avx2", "shuffle_neon"):
        if hasattr(lib, name):
            getattr(lib, name).restype = ctypes.c_double
            getattr(lib, name).argtypes = [ctypes.c_int64]
    return lib


def cache_folder() -> Path | None:
    """The user's folder for what can be made again, made if need be; None where there is none to write to."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "vecpress"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None


def _compile(target: Path) -> None:
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    command = [*compiler, "-O3", "-shared", "-fPIC", "-std=c++17", str(SOURCE), "-o", str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise LimitsError(f"there is no C++ compiler {command[0]!r}, which CXX names: {error}") from None
    if done.returncode or not target.exists():
        raise LimitsError(f"{command[0]} cannot compile {SOURCE.name}:\n" + "\n".join(done.stderr.splitlines()[-20:]))


def isa() -> str:
    """The widest instruction set that the loops have a form for. Raises LimitsError where that is none."""
    for name in ("avx512", "avx2", "neon"):
        if library().cpu_has(name.encode()):
            return name
    raise LimitsError(f"there are no loops for this processor ({platform.machine()})")


def read_rate(size: int, passes: int = 5) -> float:
    """Bytes per second of the best read loop over `size` bytes, down to whole STEP_BYTES, on the calling thread.

    Raises LimitsError, also where there is no memory for them.
    """
    lib, read = library(), getattr(library(), f"read_{isa()}")
    size = max(size // STEP_BYTES, 1) * STEP_BYTES  # the loops would read beyond the end of others
    repeats = max(1, (64 << 20) // size)
    buffer = lib.make_buffer(size)
    if not buffer:
        raise LimitsError(f"there is no memory for {size} bytes")
    try:
        loops = [(streams, ahead) for streams in (1, 2, 4, 8) for ahead in (0, 512, 2048)]
        best = min(read(buffer, size, *loop, repeats) for _ in range(passes) for loop in loops)
    finally:
        lib.free_buffer(buffer)
    return size * repeats / best


def instruction_rate(name: str, bytes_each: int, passes: int = 5) -> float | None:
    """Bytes that instruction loop `name` handles per second, None where this machine lacks it."""
    loop = getattr(library(), name, None)
    if loop is None or not library().cpu_has(name.rsplit("_", 1)[1].encode()):
        return None
    count = 2_000_000
    return 12 * count * bytes_each / min(loop(count) for _ in range(passes))


def sgemm_rate(size: int = 1024, passes: int = 7) -> float:
    """float32 multiply-adds per second of NumPy's matrix product, one thread where threadpoolctl is installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        from contextlib import nullcontext as threadpool_limits  # then NumPy's default, which the report says
    a = np.ones((size, size), np.float32)
    times = []
    with threadpool_limits(1):
        for _ in range(passes):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
    return size**3 / min(times)


def measure() -> dict[str, float | str | None]:
    """Every limit by name."""
    width = {"avx512": 64, "avx2": 32, "neon": 16}[isa()]
    return {
        "isa": isa(),
        "dram_read": read_rate(DRAM_BYTES, passes=2),
        "l2_read": read_rate(L2_BYTES),
        "int8_mac": instruction_rate(f"int8_{isa()}", width),
        "shuffle": instruction_rate(f"shuffle_{isa()}", width),
        "permute": instruction_rate("permute_avx512", 64),
        "sgemm": sgemm_rate(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    as_json = parser.parse_args().json
    try:
        limits = measure()
    except LimitsError as error:
        sys.exit(f"bench.limits: {error}")
    if as_json:
        json.dump(limits, sys.stdout)
        print()
        return
    for name, value in limits.items():
        print(f"{name:10s} {value if isinstance(value, str) else 'not here' if value is None else f'{value / 1e9:8.1f} G/s'}")


if __name__ == "__main__":
    main()
