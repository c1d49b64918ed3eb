"""Kernels compiled for devices that are not there: what a device has is not exceeded, nothing spills, tensor cores are used."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from vecpress import kernels

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("compile_ahead.py")
WHY_NOT = next((f"{name} is not installed" for name in ("torch", "triton") if find_spec(name) is None), "")
# by default one compilation of every operation, on the device that tables are made for
SOME = ("assign, screen tf32 ", "assign, listed", "decode_codes, 2 bits ", "decode_pq, 256", "encode_grid, 2 bits",
        "encode_pq, 256", "label_sums", "norms", "pack_bits ", "pack_codes, 3", "project ", "recurrent, last of 3")  # fmt: skip
compiles = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def compiled(capability: int, *arguments: str) -> list[dict]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, str(SCRIPT), str(capability), *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def check(found: list[dict]) -> None:
    for one in found:
        what = f"{one['name']} for {one['capability']}"
        assert one["shared"] <= one["most_shared"], f"{what}: {one['shared']} bytes of shared memory of {one['most_shared']}"
        assert one["spills"] == one["stack"] == one["local"] == 0, f"{what}: spills"
        assert one["registers"] <= 255
        assert not one["wanted"] or one["has"], f"{what}: none of the instructions {one['wanted']}"
        assert not one["inexact"] or "screen" in one["name"], f"{what}: {one['inexact']}"  # which allows for it in its bound
        assert not one["narrow"], f"{what}: offsets of less than 64 bits: {one['narrow']}"


@compiles
def test_some_of_every_operation():
    found = compiled(90, *SOME)
    check(found)
    assert {one["name"].split(",")[0] for one in found} >= set(kernels.OPERATIONS)


@pytest.mark.slow
@compiles
@pytest.mark.parametrize("capability", [80, 90, 100])
def test_everything(capability):
    found = compiled(capability)
    check(found)
    assert len(found) > 40


@pytest.mark.slow
@compiles
def test_sizes_of_one():
    """Triton makes constants of sizes that are 1."""
    found = compiled(90, "--ones")
    check([{**one, "wanted": []} for one in found])
    assert len(found) > 40


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, vecpress.kernels as k; print(k.why_not()); print([m for m in ('torch', 'triton') if m in sys.modules])"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd="/")
    assert run.returncode == 0, run.stderr
    why_not, loaded = run.stdout.splitlines()
    if find_spec("torch") is None or find_spec("triton") is None:
        assert why_not.endswith("is not installed") and loaded == "[]"
    else:
        assert re.fullmatch("|torch .* is built without CUDA|torch sees no CUDA device|the device has compute .*", why_not)
        assert "triton" not in loaded


def test_every_module_is_listed_and_named_as_its_operation():
    folder = ROOT / "kernels"
    shared = {"__init__", "launch", "chains"}
    assert {path.stem for path in folder.glob("*.py")} - shared == set(kernels.OPERATIONS)
    own = {"decode_codes", "decode_pq", "recurrent"}  # no operations on the CPU: decoding is NumPy's, networks are codecs'
    for op in set(kernels.OPERATIONS) - own:
        assert (ROOT / "vecpress" / "ops" / f"{op}.py").is_file()


def test_triton_is_imported_here_alone():
    for folder in ("vecpress", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert "triton" not in {name.split(".")[0] for name in names}, path


def test_programs_count_rows_in_64_bits():
    for path in (ROOT / "kernels").glob("*.py"):
        for line in path.read_text().splitlines():
            wide = re.search(r"tl\.program_id\(\d\)\.to\(tl\.int64\)", line)
            assert "tl.program_id(" not in line or wide, f"{path.name}: {line}"


def test_nothing_is_tuned_when_it_is_called():
    for path in (ROOT / "kernels").glob("*.py"):
        assert "autotune" not in path.read_text(), path.name
