"""How tests compile the CUDA library: csrc/cuda/build.py, which is no part of the package, once for all processes."""

from __future__ import annotations

import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_builder():
    """csrc/cuda/build.py, which is no part of the package."""
    specification = importlib.util.spec_from_file_location("build_cuda", ROOT / "csrc" / "cuda" / "build.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["build_cuda"] = module
    specification.loader.exec_module(module)
    return module


builder = load_builder()


class locked:
    """A lock among processes."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        self.file = self.path.open("w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


# ---- what the compiler says of kernels


@dataclass
class Usage:
    """What a kernel takes on one architecture."""

    registers: int = 0
    stack: int = 0
    spills: int = 0
    shared: int = 0


def usages(text: str) -> dict[tuple[str, str], Usage]:
    """(architecture, kernel) -> what `ptxas -v` printed."""
    out: dict[tuple[str, str], Usage] = {}
    now = Usage()
    for line in text.splitlines():
        if found := re.search(r"Compiling entry function '(\w+)' for 'sm_(\w+)'", line):
            now = out[found[2], found[1]] = Usage()
        elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            now.stack, now.spills = int(found[1]), int(found[2]) + int(found[3])
        elif found := re.search(r"Used (\d+) registers", line):
            now.registers = int(found[1])
            if shared := re.search(r"(\d+) bytes smem", line):
                now.shared = int(shared[1])
    return out


def disassembler() -> str | None:
    """cuobjdump: on the path, beside nvcc, or in Triton's wheel."""
    places = [Path(nvcc).resolve().parent / "cuobjdump"] if (nvcc := builder.nvcc()) else []
    triton = importlib.util.find_spec("triton")
    if triton is not None and triton.origin:
        places.append(Path(triton.origin).parent / "backends" / "nvidia" / "bin" / "cuobjdump")
    return shutil.which("cuobjdump") or next((str(place) for place in places if place.exists()), None)


def instructions(library: Path, architecture: str) -> dict[str, str]:
    """kernel -> its machine code as text."""
    tool = disassembler()
    assert tool is not None
    command = [tool, "--dump-sass", "--gpu-architecture", f"sm_{architecture}", str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = re.split(r"^\s*Function : (\w+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
