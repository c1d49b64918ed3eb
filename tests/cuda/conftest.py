"""Tests of the CUDA half: those marked `gpu` want a device, or the library that runs kernels on the processor."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cuda_builds import builder, locked

import vecpress as vp


@pytest.fixture(scope="session")
def emulated(tmp_path_factory, worker_id) -> Path:
    """The library whose kernels run on the processor; compiled once, by whichever process comes first."""
    compiler = os.environ.get("CXX", "g++").split()[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not there to compile the library with")
    folder = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    made = folder / builder.FILE
    with locked(folder / "emulated.lock"):
        if not made.exists():
            builder.build(made, emulate=True)
    return made


@pytest.fixture(scope="session")
def compiled(tmp_path_factory, worker_id) -> tuple[Path, str]:
    """The library for sm_90 by nvcc, and what the compiler printed; compiled once."""
    if builder.nvcc() is None:
        pytest.skip("nvcc is not there")
    folder = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    made, said = folder / "sm_90" / builder.FILE, folder / "sm_90.txt"
    with locked(folder / "compiled.lock"):
        if not made.exists():
            said.write_text(builder.build(made, architectures=("90",), check=True))
    return made, said.read_text()


@pytest.fixture
def device() -> str:
    """A device to keep an index on; the test is skipped where there is none."""
    if vp.backends()["cuda"] != "ok":
        pytest.skip(vp.backends()["cuda"])
    return "cuda"
