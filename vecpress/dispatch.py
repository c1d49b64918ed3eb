"""Which implementation of an operation runs: registration, choice by rank, forcing, explaining.

An *operation* is defined by its NumPy reference (vecpress/ops). A *kernel* is one more implementation of it; its *backend*
is the kernel's name ("scalar", "avx2", "avx512", "neon"). Choice happens once per call: the forced backend if there is
one, else the runnable kernel of highest rank. An automatic choice may fall back, a forced one that cannot run raises.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import BackendError

__all__ = ["Backend", "backends", "empty", "explain", "reference", "register", "register_backend", "run", "use"]

MAX_THREADS = 1024  # as many as the pool holds (csrc/core/pool.cpp)


@dataclass(frozen=True)
class Backend:
    """A way to run operations: its name, its rank (the highest that runs is chosen), and what says why it cannot run.

    Asking may start a device, so only what wants to know it does.
    """

    name: str
    rank: int
    ask: Callable[[], str] = str  # "", which is no reason

    @property
    def why_not(self) -> str:
        """Why it cannot run here, "" if it can."""
        return self.ask()


_backends: dict[str, Backend] = {"reference": Backend("reference", 0)}
_kernels: dict[str, dict[str, Callable[..., None]]] = {}
_forced: str | None = None
_forced_by = ""  # begins the errors about `_forced`: "VECPRESS_ISA: " where the environment named it
_preferred: ContextVar[str | None] = ContextVar("_preferred", default=None)
_chosen: dict[str, Callable[..., None]] = {}  # what `run` has looked up; a new one whenever the answers may change


def register_backend(name: str, rank: int, why_not: str | Callable[[], str] = "") -> None:
    """Adds a backend; below rank 0, the reference's, it runs only where it is forced.

    why_not : "" or the reason, or what finds it out
    """
    _backends[name] = Backend(name, rank, why_not if callable(why_not) else lambda: why_not)
    _forget_choices()


def register(op: str, backend: str, kernel: Callable[..., None]) -> None:
    """Adds `kernel` to `op`: called as kernel(*outputs, *inputs, num_threads), it writes the outputs and returns None."""
    _kernels.setdefault(op, {})[backend] = kernel
    _forget_choices()


def _forget_choices() -> None:
    global _chosen
    _chosen = {}  # not emptied: what a thread is just choosing goes into the old one


def reference(op: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers the decorated NumPy function as the definition of `op`."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        def kernel(*args: Any) -> None:
            function(*args[:-1])  # the definition needs no num_threads

        register(op, "reference", kernel)
        return function

    return add


_allocate: Callable[..., np.ndarray] = np.empty  # tests replace it with one that poisons what must be overwritten


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Allocates an output whose every element will be written: the one place that does."""
    return _allocate(shape, dtype)


def _native() -> None:
    from . import native  # registers the compiled kernels on first use, so that the ops can be read and tested without them

    native.load()


def _check(name: str, op: str | None = None) -> None:
    if name not in _backends:
        raise BackendError(f"backend {name!r} is unknown; there are {', '.join(sorted(_backends))}")
    if why_not := _backends[name].why_not:
        raise BackendError(f"backend {name!r} cannot run here: {why_not}")
    if op is not None and name not in _kernels[op]:
        raise BackendError(f"operation {op!r} has no {name!r} kernel; it has {', '.join(sorted(_kernels[op]))}")


def _choose(op: str) -> str:
    if _forced is not None:
        try:
            _check(_forced, op)
        except BackendError as error:
            raise BackendError(f"{_forced_by}{error}") from None
        return _forced
    return next(b for b in backends_of(op) if not _backends[b].why_not)


def run(op: str, *args: Any, num_threads: int | None = None) -> None:
    """Runs operation `op` on (outputs, inputs) with the kernel that the rules of this module choose.

    num_threads: None means VECPRESS_NUM_THREADS, or else the processors this process may use.
    Raises BackendError if the forced backend cannot run, and what `check_threads` raises.
    """
    kernel = _chosen.get(op)
    if kernel is None:
        _native()
        chosen = _chosen
        kernel = chosen[op] = _kernels[op][_choose(op)]
    preferred = _preferred.get()
    if preferred is not None and _forced is None:
        kernel = _kernels[op].get(preferred, kernel)
    kernel(*args, check_threads(num_threads))


def run_on(backend: str, op: str, *args: Any) -> None:
    """Runs the kernel of a backend that is known to run here, whatever is forced; the last argument is the number of threads."""
    _kernels[op][backend](*args)


def check_threads(num_threads: int | None) -> int:
    """The number of threads that a call asks for, or else VECPRESS_NUM_THREADS, or else the processors this process may use.

    Calls of the library ask once and hand the number on.

    Raises TypeError or ValueError if that is no number of threads, and names whichever it is.
    """
    if num_threads is None:
        environment, processors = _system()
        return _threads_of(environment("VECPRESS_NUM_THREADS")) or min(processors(), MAX_THREADS)
    if type(num_threads) is not int and (isinstance(num_threads, bool) or not isinstance(num_threads, (int, np.integer))):
        raise TypeError(f"num_threads expected an int or None, got {type(num_threads).__name__}")
    if not 1 <= num_threads <= MAX_THREADS:
        raise ValueError(f"num_threads expected 1 to {MAX_THREADS}, got {num_threads}")
    return int(num_threads)


@functools.cache  # the functions; they are asked at every call, for their answers may change
def _system() -> tuple[Callable[[str], str], Callable[[], int]]:
    from . import native

    return native.system()


@functools.lru_cache(maxsize=8)  # the text is nearly always the same
def _threads_of(text: str) -> int:
    """What VECPRESS_NUM_THREADS says, 0 for nothing. Raises ValueError if that is no number of threads."""
    if not text.strip():
        return 0
    try:
        wanted = int(text)
    except ValueError:
        wanted = 0
    if not 1 <= wanted <= MAX_THREADS:
        raise ValueError(f"VECPRESS_NUM_THREADS expected 1 to {MAX_THREADS}, got {text!r}")
    return wanted


@contextlib.contextmanager
def prefer(name: str) -> Iterator[None]:
    """Runs what has a kernel of a backend that can run here with that one, in this block and thread, if none is forced."""
    token = _preferred.set(name)
    try:
        yield
    finally:
        _preferred.reset(token)


class use:
    """Forces a backend for every operation: `vp.use("avx2")` from here on, or `with vp.use("avx2"):` for a block.

    name : "reference", "scalar", "avx2", "avx512", "neon", "cuda" (scans of codes on the host, which are copied to the device and
        back: for checks; `Index(codec, device="cuda")` keeps them there); None returns to the automatic choice.
    Process-wide, not per thread. `VECPRESS_ISA` sets the same at start, until the first `use`.
    Raises BackendError if the backend is unknown or cannot run on this machine.
    """

    def __init__(self, name: str | None):
        _native()
        if name is not None:
            _check(name)
        self._before = _forced, _forced_by
        _force(name)

    def __enter__(self) -> use:
        return self

    def __exit__(self, *_: object) -> None:
        _force(*self._before)


def _force(name: str | None, by: str = "") -> None:
    global _forced, _forced_by
    _forced, _forced_by = name, by
    _forget_choices()


def backends() -> dict[str, str]:
    """Every backend by name: "ok", or the reason why it cannot run on this machine."""
    _native()
    ranked = sorted(_backends.values(), key=lambda b: -b.rank)
    return {b.name: b.why_not or "ok" for b in ranked}


def backends_of(op: str) -> list[str]:
    """The backends that have a kernel for an operation, best first."""
    return sorted(_kernels[op], key=lambda b: -_backends[b].rank)


def operations() -> dict[str, list[str]]:
    """Every operation with the backends that have a kernel for it, best first."""
    _native()
    return {op: backends_of(op) for op in sorted(_kernels)}


def chosen(op: str) -> str:
    """The backend that runs operation `op` now."""
    _native()
    return _choose(op)


def explain(op: str) -> str:
    """Says in words which kernel of operation `op` runs, and why not the others.

    Raises ValueError if there is no such operation.
    """
    _native()
    if op not in _kernels:
        raise ValueError(f"explain: there is no operation {op!r}; there are {', '.join(sorted(_kernels))}")
    lines = []
    try:
        chosen = _choose(op)
        how = "forced" if _forced else "best that runs here"
        lines.append(f"{op}: {chosen} ({how})")
    except BackendError as error:
        chosen = ""
        lines.append(f"{op}: {error}")
    for name in operations()[op]:
        if name != chosen:
            why = _backends[name].why_not or ("another backend is forced" if _forced else "slower")
            lines.append(f"  not {name}: {why}")
    return "\n".join(lines)


def force_from_environment() -> None:
    """Applies VECPRESS_ISA; called once, when the compiled kernels are registered.

    A name that cannot run is an error of every operation that it is to run, not of this call: what only asks (`backends`,
    `explain`, `vecpress doctor`) still gets its answer.
    """
    name = os.environ.get("VECPRESS_ISA", "").strip()
    if name:
        _force(name, "VECPRESS_ISA: ")
