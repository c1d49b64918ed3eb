"""The micro benchmarks: every operation has a row, cases are what they say, rows run, gates catch a wrong kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vecpress as vp
from vecpress import dispatch
from vecpress.bench.micro.cases import IN_CACHE, OPERATIONS, SHAPES, of_operations, scaled
from vecpress.bench.micro.library import all_cases, of_library

ROOT = Path(__file__).parents[2]
CASES = all_cases()


@pytest.mark.parametrize("op", sorted(dispatch.operations()))
def test_every_operation_has_a_row(op):
    assert SHAPES.get(op), f"bench/micro/cases.py has no shape of {op}"


def test_no_row_is_of_an_operation_that_is_not_there():
    assert set(SHAPES) == set(OPERATIONS) == set(dispatch.operations())


def test_names_are_distinct():
    assert len({case.name for case in CASES}) == len(CASES)


def test_scans_are_timed_in_cache_out_of_cache_and_in_batches():
    for op in (name for name, of in OPERATIONS.items() if of.scan):
        shapes = [case for case in of_operations() if case.group == op]
        assert any(case.nbytes <= IN_CACHE and case.shape["nq"] == 1 for case in shapes), op
        assert any(case.nbytes > 64 << 20 and case.shape["nq"] == 1 for case in shapes), op
        assert {32, 100} <= {case.shape["nq"] for case in shapes}, op


@pytest.mark.parametrize("case", of_operations(), ids=lambda case: case.name)
def test_cases_touch_the_bytes_that_they_say(case):
    """At the small shape, against the results themselves."""
    small = case.small
    n = small["n"]
    amount, nbytes, needs = OPERATIONS[case.group].work(**small)
    result = case.call(np.random.default_rng(0), small).run()
    results = sum(array.nbytes for array in (result if isinstance(result, tuple) else (result,)))
    assert amount > 0 and nbytes > 0 and all(value > 0 for value in needs.values())
    if OPERATIONS[case.group].scan:
        assert nbytes >= 64 * n and amount == 64 * n * small["nq"]
    else:
        assert results <= nbytes + 64 * 64 + 40 * n  # a block that is not full, encode_grid's sums
    assert n <= case.shape["n"]


def test_the_bound_is_the_slowest_limit():
    case = next(case for case in of_operations() if case.name == "lut4 n=100000 nq=100")
    fast = {"l2_read": 1e12, "dram_read": 1e12}
    looked_up = 128 * 100_000 * 100
    assert case.bound(fast | {"shuffle": 1e9}) == ("shuffle", looked_up / 1e9)
    assert case.bound({"l2_read": 1e12, "dram_read": 1e3, "shuffle": 1e15}) == ("dram_read", case.nbytes / 1e3)
    assert case.bound(fast | {"shuffle": None})[0] == "dram_read"  # a machine without that limit


def test_the_scalar_backend_gets_less_to_do():
    for case in of_operations():
        less = scaled(case)
        assert less.shape["n"] <= case.shape["n"] and less.amount <= case.amount and less.shape.keys() == case.shape.keys()
    assert scaled(CASES[-1]) is CASES[-1]


def test_qualities_are_those_of_the_result():
    cases = {case.name: case for case in CASES}
    rng = np.random.default_rng(0)
    for name, key, low, high in (
        ("encode_pq n=4096 d=384 m=96 n_bits=4", "distortion", 0.4, 0.6),  # 16 random centroids of 4 numbers
        ("encode_grid n=256 d=384 n_bits=1", "mean_cosine", 0.79, 0.81),  # sqrt(2 / pi)
        ("encode_grid n=256 d=384 n_bits=8", "mean_cosine", 0.9999, 1),
        ("encode_trellis n=4096 rate=1 window=6", "distortion", 0.27, 0.31),
        ("encode_trellis n=4096 rate=4 window=6", "distortion", 0.006, 0.007),
        ("encode_trellis n=4096 rate=4 window=8", "distortion", 0.0053, 0.006),
    ):
        call = cases[name].call(rng, cases[name].small)
        assert low < call.quality(call.run())[key] < high, name
    raw = cases["search codec=Raw-16 n=6000 nq=1"]
    call = raw.build(rng, "Raw-16", 6000, 400)
    found = call.run()
    assert call.quality(found)["recall"] > 0.99
    assert call.quality((found[0], found[1][::-1]))["recall"] < 0.2


def test_whole_codecs_are_timed_with_their_quality():
    assert {"search", "encode", "fit"} == {case.group for case in of_library()}
    assert all(case.build(np.random.default_rng(0), **case.shape).quality for case in of_library() if "Sign" in case.name)


def test_the_gate_stops_a_wrong_kernel(monkeypatch):
    from vecpress.bench.micro.conftest import gate

    case = next(case for case in of_operations() if case.group == "norms")
    backend = dispatch.chosen("norms")
    gate(case, backend)
    right = dispatch._kernels["norms"][backend]

    def wrong(out, *arguments):
        right(out, *arguments)
        out[3] = np.nextafter(out[3], np.float32(np.inf))

    monkeypatch.setitem(dispatch._kernels["norms"], backend, wrong)
    vp.use(None)
    with pytest.raises(AssertionError):
        gate(case, backend)
    monkeypatch.undo()
    vp.use(None)


def test_rows_run_and_say_what_they_measured(tmp_path):
    """One row of each kind with everything that pytest-benchmark stores; the limits of the machine are not measured again."""
    pytest.importorskip("pytest_benchmark")
    plugin = tmp_path / "known_limits.py"
    plugin.write_text(
        "from bench import limits\nlimits.measure = lambda: dict.fromkeys(('l2_read', 'dram_read', 'sgemm'), 1e9)\n"
    )
    words = "(norms and 256) or (tables and 32 and 96) or (search and Sign)"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "known_limits", "-p", "no:cacheprovider", "-k", words, "bench/micro"]
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "VECPRESS_NUM_THREADS": "1"}
    options = ["--benchmark-max-time=0.01", "--benchmark-min-rounds=2", f"--benchmark-json={tmp_path / 'rows.json'}"]
    own = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_XDIST")}  # in a worker it times nothing
    done = subprocess.run(command + options, cwd=ROOT, env=own | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["benchmarks"]
    assert {row["group"] for row in rows} >= {"norms bytes/s", "tables multiply-adds/s", "search queries/s"}
    for row in rows:
        info = row["extra_info"]
        assert info["rate"] > 0 and info["bytes_per_call"] > 0 and info["threads"] == 1
        assert info["ratio_to_read"] == pytest.approx(info["bytes_per_call"] / row["stats"]["median"] / 1e9)
        assert info["limit"] in ("l2_read", "dram_read", "sgemm") and info["ratio_to_limit"] > 0
        assert ("recall" in info) == row["group"].startswith("search")
