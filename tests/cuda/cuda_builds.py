"""How tests compile the CUDA library: csrc/cuda/build.py, which is no part of the package, once for all processes."""

from __future__ import annotations

import fcntl
import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_builder():
    """csrc/cuda/build.py, which is no part of the package."""
    specification = importlib.util.spec_from_file_location("build_cuda", ROOT / "csrc" / "cuda" / "build.py")
    module = importlib.util.module_from_spec(specification)
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
