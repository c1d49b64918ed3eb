"""How busy the machine is: work of others is seen and our own is not; what is not known is not quiet."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from vecpress.bench import load

SPIN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


@pytest.mark.parametrize(
    "before, beside, quiet",
    [
        (0.0, 0.0, True),
        (0.2, 0.49, True),
        (0.0, 0.5, False),
        (0.5, 0.0, False),
        (1.3, 0.1, False),
        (None, 0.0, False),
        (0.0, None, False),
        (float("nan"), 0.0, False),
        (0.0, float("nan"), False),
    ],
)
def test_both_loads_must_be_known_and_low(before, beside, quiet):
    assert load.is_quiet({"load_before": before, "load_beside": beside}) is quiet


def test_a_machine_of_which_nothing_is_known_is_not_quiet():
    assert not load.is_quiet({}) and not load.is_quiet({"load_before": 0.0}) and not load.is_quiet({"load_beside": 0.0})


def counters(monkeypatch, busy: list[float | None], own: list[float], times: list[float]) -> None:
    for module, name, values in ((load, "busy_seconds", busy), (load, "own_seconds", own), (load.time, "perf_counter", times)):
        left = iter(values)
        monkeypatch.setattr(module, name, lambda left=left: next(left))


def test_ours_is_taken_off(monkeypatch):
    counters(monkeypatch, [100.0, 107.0], [10.0, 14.0], [0.0, 2.0])
    assert load.Load().others() == 1.5
    counters(monkeypatch, [100.0, 101.0], [10.0, 11.2], [0.0, 2.0])  # what the counters' steps make of none
    assert load.Load().others() == 0


def test_the_load_average_stands_in(monkeypatch):
    counters(monkeypatch, [None, None], [0.0, 0.0], [0.0, 1.0])
    monkeypatch.setattr(load.os, "getloadavg", lambda: (0.7, 0.0, 0.0))
    assert load.Load().others() == 0.7


@pytest.mark.skipif(load.busy_seconds() is None, reason="this system does not say how long its processors worked")
def test_a_process_of_others_is_seen():
    """It is a child, but counts as ours only when it has ended; a busy test machine adds to what is seen."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        time.sleep(0.3)  # Python has started
        begun = time.perf_counter()
        seen = load.before()
        assert time.perf_counter() - begun >= load.SAMPLE_SECONDS - 0.01
    finally:
        process.kill()
        process.wait()
    assert seen > 0.3


@pytest.mark.skipif(load.busy_seconds() is None, reason="this system does not say how long its processors worked")
def test_our_own_work_counts_as_ours():
    """Compared with all work, as others may use this machine: two thirds of ours at least are taken off."""
    busy, own, found = load.busy_seconds(), load.own_seconds(), load.Load()
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        pass
    worked = load.own_seconds() - own
    others = found.others() * (time.perf_counter() - end + 0.5)
    assert others <= load.busy_seconds() - busy - 2 / 3 * worked + 0.05
