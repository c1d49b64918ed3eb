"""The suites of the device on the processor: every kernel's source, compiled by a C++ compiler, its threads as fibres.

`pytest -m gpu` runs the same on a device. What this cannot show: races between blocks, and what only hardware does.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cuda_builds import ROOT

EVERYTHING = ["tests/ops/test_equality.py", "tests/cuda"]


def run(library, tests: list[str], **environment: str) -> None:
    env = os.environ | {"VECPRESS_CUDA_LIBRARY": str(library), "OMP_NUM_THREADS": "1"} | environment
    env = {name: value for name, value in env.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-n0", "-x", *tests]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("tests", EVERYTHING)
def test_on_the_processor(emulated, tests):
    run(emulated, [tests])


def test_in_pieces(emulated):
    """The smallest workspace: rows 32 at a time, so that every piece but the first has a bar to reach."""
    run(emulated, ["tests/ops/test_equality.py", "-k", "many_rows or long_payloads"], VECPRESS_CUDA_WORKSPACE="1")
