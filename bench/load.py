"""How busy the machine is with other work: speeds are compared only where it is not."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

BUSY = 0.5  # processors used by others, above which speeds are flagged
SAMPLE_SECONDS = 0.5  # the system counts in hundredths of a second for each processor


def cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy_seconds() -> float | None:
    """Seconds that all processors together have worked since the machine started, None where the system does not say."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Load:
    """Processors that others use, from a moment on."""

    def __init__(self) -> None:
        self._busy, self._own, self._time = busy_seconds(), own_seconds(), time.perf_counter()

    def others(self) -> float:
        """On average since this was made; the load average of a minute where the system does not tell."""
        busy, seconds = busy_seconds(), time.perf_counter() - self._time
        if busy is None or self._busy is None:
            return os.getloadavg()[0]
        return round(max(0.0, busy - self._busy - (own_seconds() - self._own)) / max(seconds, 1e-9), 2)


def own_seconds() -> float:
    """Processor seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def is_quiet(machine: dict[str, Any]) -> bool:
    """Whether others left the machine alone before and during a run, by its record's `machine`; unknown is not quiet."""
    found = [machine.get(name) for name in ("load_before", "load_beside")]
    return all(load is not None and load < BUSY for load in found)


def before() -> float:
    """Processors in use by others just now; to be called while nothing of ours runs."""
    load = Load()
    time.sleep(SAMPLE_SECONDS)
    return load.others()
