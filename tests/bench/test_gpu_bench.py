"""The benchmark of devices: that it runs and writes what it says; that committed results are of these sources."""

from __future__ import annotations

import json
import warnings

import pytest

import vecpress as vp
from vecpress.bench import gpu


@pytest.mark.gpu
def test_it_checks_measures_and_writes(tmp_path, capsys):
    if vp.backends()["cuda"] != "ok":
        pytest.skip(vp.backends()["cuda"])
    from vecpress.cuda import library

    if not library.emulated():
        pytest.skip("on a device it takes minutes: python -m bench.gpu")
    assert gpu.main(["-o", str(tmp_path / "gpu.json")]) == 0
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["emulated"] and result["sources"] == gpu.sources_hash()
    wanted = {"hamming", "lut8", "sdc", "dot", "encode_pq", "encode_trellis", "beam_step"}
    wanted |= {"search_labels", "assign", "Index.search"}
    assert {row["work"] for row in result["rows"]} >= wanted
    assert all(row["rate"] > 0 for row in result["rows"])
    assert "encode_pq" in result["equal_to_the_processor"]
    printed = capsys.readouterr().out
    assert printed.count("\n") == len(result["rows"]) + 2 and "at most" not in printed  # limits in time are of full sizes


def test_without_a_device_it_says_why(monkeypatch, capsys):
    from vecpress.cuda import library

    monkeypatch.setenv("VECPRESS_CUDA_LIBRARY", "/nowhere/library.so")
    monkeypatch.setattr(library, "why_not", lambda: "there is no NVIDIA driver")
    assert gpu.main([]) == 1
    assert "nothing is measured: there is no NVIDIA driver" in capsys.readouterr().err


def test_committed_results_are_of_these_sources():
    """A warning, for who changes a kernel may have no device to measure on."""
    for path in sorted(gpu.RESULTS.glob("gpu-*.json")):
        if json.loads(path.read_text())["sources"] != gpu.sources_hash():
            warnings.warn(f"{path.name} is older than the kernels: run python -m bench.gpu on that device", stacklevel=1)


def test_the_hash_changes_with_a_kernel(tmp_path, monkeypatch):
    for folder, name in (("csrc/cuda", "a.cu"), ("vecpress/cuda", "b.py"), ("kernels", "c.py")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_text("1")
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    before = gpu.sources_hash()
    (tmp_path / "csrc/cuda/a.cu").write_text("2")
    assert gpu.sources_hash() != before


def test_the_table_says_what_was_aimed_at():
    rows = [gpu.Row("w", "s", 0.5, 2e9, "bytes", 4e9, "copying", "at least 0.9 of it", False, {"PyTorch": 3.0})]
    assert "| w | s | 2e+09 bytes/s | 0.50 of copying | at least 0.9 of it: missed | PyTorch 3.00 |" in gpu.table(rows)
