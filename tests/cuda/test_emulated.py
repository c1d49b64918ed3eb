"""The suites of the device on the processor: every kernel's source, compiled by a C++ compiler, its threads as fibres.

`pytest -m gpu` runs the same on a device. What this cannot show: races between blocks, and what only hardware does.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cuda_builds import ROOT

EQUALITY = "tests/ops/test_equality.py"
# the smallest workspace: rows 32 at a time, so that all but the first have a bar to reach, and screens something to skip
IN_PIECES = {"VECPRESS_CUDA_WORKSPACE": "1"}


def run(library, tests: list[str], **environment: str) -> None:
    env = os.environ | {"VECPRESS_CUDA_LIBRARY": str(library), "OMP_NUM_THREADS": "1"} | environment
    env = {name: value for name, value in env.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "-n0", "-x", *tests]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_scans_and_row_operations(emulated):
    run(emulated, [EQUALITY, "tests/ops/test_cuda_batches.py", "-k", "batches or long_payloads or ]-3 or ]-33 or ]-130"])


def test_screens_in_pieces(emulated):
    some = "(bounds and negative) or (many_rows and (negative or both) and (steep or ties))"
    run(emulated, [EQUALITY, "-k", some], **IN_PIECES)


def test_indexes_and_screens(emulated):
    run(emulated, ["tests/cuda", "tests/ops/test_cuda_rows.py", "tests/bench/test_gpu_bench.py"])


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, IN_PIECES], ids=["whole", "in pieces"])
def test_everything(emulated, environment):
    run(emulated, [EQUALITY, "tests/ops/test_cuda_batches.py"], **environment)
