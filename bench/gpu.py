"""What a CUDA device reaches: `python -m bench.gpu`, at most eight minutes: builds, checks, measures, writes and prints.

    python -m bench.gpu [-o bench/results/gpu-DEVICE.json] [--minutes 8] [--only hamming ...]

The library is compiled for the device that is here, unless VECPRESS_CUDA_LIBRARY names one. Before anything is timed, every
scan and encoder must equal the processor's bit for bit on random input. Each row is one piece of work with its rate, beside the
device's own limit of the same run (copying memory, multiplying whole numbers or bfloat16 by PyTorch) and the peers that are
installed: PyTorch (matrix product and topk) and CuPy doing the same job. Times are medians of calls that are put into the stream
together and waited for once; "end to end" rows take NumPy arrays and give NumPy arrays. The file has the hash of the sources that
it covers; a test warns where they have changed since.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .run_one import commit

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"


@dataclass
class Row:
    """One measurement. rate: `amount` of `unit` a second; limit: of the same unit, what the device can do."""

    work: str
    shape: str
    seconds: float
    rate: float
    unit: str
    limit: float | None = None
    beside: str = ""  # what the limit is
    need: str = ""  # what is aimed at, in words; met says whether it is
    met: bool | None = None
    peers: dict[str, float] = field(default_factory=dict)  # name -> our rate divided by theirs


def sources_hash() -> str:
    """Of everything that a device runs or that calls it."""
    kinds = {"csrc/cuda": (".cu", ".cuh", ".h", ".hpp"), "vecpress/cuda": (".py",), "kernels": (".py",)}
    digest = hashlib.sha256()
    for folder, suffixes in kinds.items():
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes:
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(folder: Path) -> Path:
    """The library for the device that is here, compiled into `folder`."""
    specification = importlib.util.spec_from_file_location("build_cuda", ROOT / "csrc" / "cuda" / "build.py")
    assert specification is not None and specification.loader is not None
    builder = importlib.util.module_from_spec(specification)
    sys.modules["build_cuda"] = builder
    specification.loader.exec_module(builder)
    asked = subprocess.run(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"], capture_output=True, text=True)
    wanted = tuple(asked.stdout.split()[0].replace(".", "").split()) if asked.returncode == 0 else builder.ARCHITECTURES
    out = folder / builder.FILE
    builder.build(out, architectures=wanted)
    return out


class Timer:
    """Seconds of work that a device does, and the time that is left for all of it."""

    def __init__(self, wait: Callable[[], None], minutes: float, least: float = 0.05, rounds: int = 7):
        self.wait, self.end, self.least, self.rounds = wait, time.monotonic() + 60 * minutes, least, rounds

    @property
    def over(self) -> bool:
        return time.monotonic() > self.end

    def __call__(self, run: Callable[[], Any]) -> float:
        """The median of rounds of as many calls as take `least` seconds, divided by their number."""
        run()
        self.wait()
        start = time.perf_counter()
        run()
        self.wait()
        once = time.perf_counter() - start
        calls = max(1, min(1000, int(self.least / max(once, 1e-6))))
        times = []
        for _ in range(self.rounds if once < 1 else 3):
            start = time.perf_counter()
            for _ in range(calls):
                run()
            self.wait()
            times.append((time.perf_counter() - start) / calls)
        return sorted(times)[len(times) // 2]


def table(rows: list[Row]) -> str:
    lines = ["| work | shape | rate | of the limit | aimed at | beside peers |", "|---|---|--:|--:|---|---|"]
    for row in rows:
        share = "" if row.limit is None else f"{row.rate / row.limit:.2f} of {row.beside}"
        need = row.need + ("" if row.met is None else ": holds" if row.met else ": missed")
        peers = ", ".join(f"{name} {ratio:.2f}" for name, ratio in row.peers.items())
        rate = f"{row.rate:.3g} {row.unit}/s" if row.unit else f"{1e3 * row.seconds:.3g} ms"
        lines.append(f"| {row.work} | {row.shape} | {rate} | {share} | {need} | {peers} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--only", nargs="+", default=[])
    given = parser.parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if not os.environ.get("VECPRESS_CUDA_LIBRARY"):
            os.environ["VECPRESS_CUDA_LIBRARY"] = str(build(Path(folder)))
        built = time.monotonic() - start
        from vecpress.cuda import library

        if why := library.why_not():
            print(f"nothing is measured: {why}", file=sys.stderr)
            return 1
        from . import gpu_cases

        device = library.devices()[0]
        checked = gpu_cases.check()
        rows = gpu_cases.measure(device, given.minutes - (time.monotonic() - start) / 60, given.only)
        result = {
            "device": asdict(device),
            "emulated": library.emulated(),
            "commit": commit(),
            "sources": sources_hash(),
            "date": datetime.date.today().isoformat(),
            "build_seconds": round(built, 1),
            "seconds": round(time.monotonic() - start, 1),
            "equal_to_the_processor": checked,
            "rows": [asdict(row) for row in rows],
        }
    name = device.name.lower().replace(" ", "-").removeprefix("nvidia-")
    out = given.out or RESULTS / f"gpu-{name}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
