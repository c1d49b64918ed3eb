"""Device kernels without a device: Triton's interpreter on tensors of the CPU; or, with VECPRESS_TEST_DEVICE=cuda, on a device.

Kernels are made for one of the two when they are imported, which happens here; triton itself is imported by tests/conftest.py.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

DEVICE = os.environ.get("VECPRESS_TEST_DEVICE", "cpu")
WHY_NOT = next((f"{name} is not installed" for name in ("torch", "triton") if find_spec(name) is None), "")


def _patch_old_interpreter() -> None:
    """What interpreters of triton before 3.8 lack: a fused multiply-add that rounds once; loop bounds with NumPy from 2.4 on."""
    from triton.runtime import interpreter

    from vecpress.ops.numerics import fma32

    class Builder(interpreter.InterpreterBuilder):
        def create_fma(self, x, y, z):
            if x.data.dtype != np.float32:
                return super().create_fma(x, y, z)
            with np.errstate(all="ignore"):
                return interpreter.TensorHandle(fma32(x.data, y.data, z.data), z.dtype.scalar)

    interpreter.InterpreterBuilder.create_fma = Builder.create_fma
    interpreter.interpreter_builder.create_fma = Builder.create_fma.__get__(interpreter.interpreter_builder)
    patch = interpreter._patch_lang_tensor

    def patched(tensor, scope):
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(np.asarray(self.handle.data).reshape(-1)[0]))

    interpreter._patch_lang_tensor = patched


def _load() -> SimpleNamespace:
    from vecpress import kernels

    before = os.environ.get("TRITON_INTERPRET")
    if DEVICE == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"
    try:
        import triton

        if DEVICE == "cpu" and tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 8):
            _patch_old_interpreter()
        modules = {op: importlib.import_module(f"vecpress.kernels.{op}") for op in kernels.OPERATIONS}
    finally:  # what tests start gets no interpreter unasked
        if before is None:
            os.environ.pop("TRITON_INTERPRET", None)
        else:
            os.environ["TRITON_INTERPRET"] = before
    return SimpleNamespace(**modules)


MODULES = None if WHY_NOT else _load()


@pytest.fixture(scope="session")
def modules() -> SimpleNamespace:
    """The modules of vecpress.kernels by name."""
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    return MODULES


@pytest.fixture(scope="session")
def put(modules):
    """A NumPy array as a tensor where kernels run; with a name of a dtype, converted by torch."""
    import torch

    def to_tensor(array, dtype=None):
        tensor = torch.from_numpy(np.array(array)).to(DEVICE)
        return tensor if dtype is None else tensor.to(getattr(torch, dtype))

    return to_tensor


@pytest.fixture(autouse=True)
def interpreting(monkeypatch):
    """As when kernels were made: parts of Triton are imported at the first launch, and ask again."""
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
