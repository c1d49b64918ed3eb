"""The tables for the terminal."""

from __future__ import annotations

from vecpress.bench import table
from vecpress.bench.records import Record


def record(**values) -> Record:
    data = {"name": "a set", "n_base": 6000, "dim": 8, "metric": "ip", "n_figures": 400}
    known = {"key": "", "library": "ours", "codec": "PQ", "config": {"m": 2, "metric": "ip"}, "seed": 0, "data": data}
    figures = {"code_size": 2.0, "recall": 0.5, "search_per_second": 1000.0, "latency_p50": 1e-3, "fit_seconds": 0.1}
    quiet = {"machine": {"load_before": 0.0, "load_beside": 0.1}}
    return Record(**{**known, **figures, **quiet, **values})


def test_seeds_of_a_contender_are_one_line():
    text = table.results([record(), record(seed=1, recall=0.7), record(codec="SQ", code_size=8.0)])
    (line,) = (line for line in text.splitlines() if "PQ(m=2)" in line)
    assert "0.600 (0.500)" in line and "6,000 vectors of 8 dimensions" in text and "~" not in text


def test_busy_runs_and_failures_are_marked():
    busy = record(machine={"load_before": 0.1, "load_beside": 1.3})
    text = table.results([busy, record(codec="LSQ", status="failed", error="it broke", recall=None)])
    assert "~1,000" in text and "LSQ(m=2), seed 0: it broke" in text
