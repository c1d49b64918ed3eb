"""Device kernels in Triton, one file an operation, installed as vecpress.kernels: the only place that imports triton.

    from vecpress.kernels.pack_bits import pack_bits     # or any other of OPERATIONS
    bits = pack_bits(x, thresholds)                      # torch tensors on a CUDA device in, torch tensors out

Importing this package loads neither torch nor triton; importing a module of it loads both. Every kernel gives what the
operation of the same name in `vecpress.ops` gives, bit for bit, but where its docstring says otherwise. Results are ordered
after what the current stream of the tensors' device was given before; no call waits for the device.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch import Spec

__all__ = ["OPERATIONS", "interpreted", "specs", "why_not"]

OPERATIONS = (  # one module each
    "assign", "decode_codes", "decode_pq", "encode_grid", "encode_pq", "label_sums", "norms", "pack_bits", "pack_codes",
    "project", "recurrent",
)  # fmt: skip
OLDEST = (8, 0)  # compute capability: bfloat16 and tf32 products


def interpreted() -> bool:
    """Whether kernels that are imported now run in Triton's interpreter, on tensors of the CPU: TRITON_INTERPRET=1."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "yes", "on", "y")


def why_not() -> str:
    """Why no kernel of this package can run here, "" if they can."""
    for name in ("torch", "triton"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    return "" if interpreted() else _no_device()


@functools.cache  # for asking torch takes a while
def _no_device() -> str:
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    capability = torch.cuda.get_device_capability()
    if capability < OLDEST:
        return f"the device has compute capability {capability[0]}.{capability[1]}, kernels need {OLDEST[0]}.{OLDEST[1]}"
    return ""


def specs(capability: int) -> list[Spec]:
    """Every compilation of a kernel that a device of a compute capability (80, 90, ...) may ask for, but for dtypes.

    That is what the compile gate compiles (tests/kernels): argument types, constants, which arguments are multiples of 16.
    Needs triton, and no device.
    """
    found: list[Spec] = []
    for op in OPERATIONS:
        found += importlib.import_module(f"{__name__}.{op}").specs(capability)
    return found
