"""The suites of the device on the processor: every kernel's source, compiled by a C++ compiler, its threads as fibres.

`pytest -m gpu` runs the same on a device. What this cannot show: races between blocks, and what only hardware does.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cuda_builds import ROOT, builder

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


@pytest.mark.slow
def test_no_kernel_leaves_its_memory(tmp_path, monkeypatch):
    """Under sanitizers of addresses and of what the language leaves undefined: memory of the device, shared memory, shifts."""
    compiler = os.environ.get("CXX", "g++").split()[0]
    found = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(found):
        pytest.skip(f"{compiler} has no sanitizers")
    options = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    monkeypatch.setenv("VECPRESS_EMULATE_OPTIONS", options)
    builder.build(tmp_path / builder.FILE, emulate=True)
    some = "]-3 or ]-33 or ]-130 or batches or device_index or cuda_rows or (long_payloads and one)"
    tests = [EQUALITY, "tests/ops/test_cuda_batches.py", "tests/ops/test_cuda_rows.py", "tests/cuda/test_device_index.py"]
    # fibres change stacks, which the check of returned frames takes for errors
    quiet = "detect_leaks=0:detect_stack_use_after_return=0"
    run(tmp_path / builder.FILE, [*tests, "-k", some], LD_PRELOAD=found, ASAN_OPTIONS=quiet)
