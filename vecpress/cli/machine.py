"""What a measurement ran on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, dispatch, native


def cpu_name() -> str:
    """The processor's marketing name where the system tells it, else its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe(threads: int | None) -> dict[str, Any]:
    """The machine and the versions that belong beside a figure."""
    backend = dispatch.chosen("flat")
    return {
        "cpu": cpu_name(),
        "platform": platform.platform(),
        "threads": threads or native.default_threads(),
        "backend": backend,
        "vecpress": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
