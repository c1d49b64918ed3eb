"""What a measurement ran on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, dispatch, native


def cpu_name() -> str:
    """The processor's marketing name where the system tells it, else its architecture.

    Virtual machines may hide the model ("AMD EPYC"): then family and model number tell generations apart.
    """
    about: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            about.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    name = about.get("model name", "")
    if name and not any(c.isdigit() for c in name) and "cpu family" in about:
        name += f" (family {about['cpu family']}, model {about.get('model', '?')})"
    return name or platform.processor() or platform.machine()


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
