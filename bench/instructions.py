"""Instructions that a call takes, counted by valgrind: the same number at every run, so that a change of 3 % is one.

    python -m bench.instructions [-k WORDS] [--json]        of this clone's vecpress
    python -m bench.compare BASE --instructions             two commits, fails above 3 % growth

callgrind runs every case at a small size (its n in the name) on every backend that valgrind can run, which does not know AVX-512:
what an AVX-512 kernel costs only a timing says. Counted is a whole call of the operation, its checks in Python among it, less an
empty call; the least of three, as Python fills its caches in the first. There is no stored baseline: counts depend on the
compiler, NumPy and Python, so both sides of a comparison are counted in one environment.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .builds import ROOT

SOURCE = Path(__file__).with_name("callgrind.c")
REPEATS = 3
EMPTY = "empty"  # the name of a call of nothing, whose count is taken off every other


class CountError(Exception):
    """Valgrind is not there, or what it ran failed; the message is for the user."""


def unavailable() -> str:
    """Why instructions cannot be counted here, "" if they can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if shutil.which(_compiler()) is None:
        return f"there is no C compiler {_compiler()!r}"
    found = subprocess.run([_compiler(), "-E", "-x", "c", "-"], input=b"#include <valgrind/callgrind.h>\n", capture_output=True)
    return "valgrind's header callgrind.h is not installed" if found.returncode else ""


def _compiler() -> str:
    return (os.environ.get("CC") or "cc").split()[-1]


def count(folder: Path, words: str = "") -> dict[str, int]:
    """Instructions by "case backend" of the vecpress in `folder`; only cases whose names hold every one of `words`.

    Raises CountError. Cost: about 10 s to start, and three to four minutes for every case.
    """
    from .worker import environment

    if why := unavailable():
        raise CountError(f"counting instructions: {why}")
    with tempfile.TemporaryDirectory(prefix="vecpress-count-") as name:
        scratch = Path(name)
        helper, result = scratch / "callgrind.so", scratch / "done"
        compiler = [_compiler(), "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(helper)]
        _succeed(f"compiling {SOURCE.name}", subprocess.run(compiler, capture_output=True, text=True))
        command = [
            "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={scratch / 'out'}",
            sys.executable, "-P", "-m", "bench.instructions", "--count-in", str(folder), str(helper), str(result), words,
        ]  # fmt: skip
        done = subprocess.run(command, env=environment(folder), cwd=folder, capture_output=True, text=True)
        _succeed("counting instructions", done, result)
        return least(path.read_text() for path in scratch.glob("out.*"))


def _succeed(what: str, done: subprocess.CompletedProcess[str], result: Path | None = None) -> None:
    if done.returncode or (result is not None and not result.exists()):
        raise CountError(f"{what} failed, the last lines are\n" + "\n".join(done.stderr.splitlines()[-20:]))


def least(dumps: Iterable[str]) -> dict[str, int]:
    """callgrind's files as texts to the least count of each name, less that of an empty call."""
    counts: dict[str, int] = {}
    for text in dumps:
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
        total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
        if name and total:
            counts[name[1]] = min(int(total[1]), counts.get(name[1], int(total[1])))
    empty = counts.pop(EMPTY, 0)
    return {name: each - empty for name, each in sorted(counts.items())}


def matches(name: str, words: str) -> bool:
    """Whether a case's name holds every word, of one of the alternatives where "|" stands between them."""
    return any(all(word in name for word in each.split()) for each in words.split("|"))


def count_here(folder: Path, helper: str, words: str) -> None:
    """Runs under valgrind: every case on every backend, and an empty call. What this vecpress lacks is left out."""
    import numpy as np

    import vecpress as vp

    from .micro.library import all_cases
    from .worker import imported_from

    imported_from(folder)
    library = ctypes.CDLL(helper)
    library.count_stop.argtypes = [ctypes.c_char_p]
    if not library.counted():
        sys.exit("expected to run under valgrind")

    def measure(name: str, run: Callable[[], Any]) -> None:
        run()
        gc.collect()
        gc.disable()
        for _ in range(REPEATS):
            library.count_start()
            run()
            library.count_stop(name.encode())
        gc.enable()

    measure(EMPTY, lambda: None)
    cases = {case.at(case.counted): case for case in all_cases() if case.counted is not None}
    backends = [name for name, why in vp.backends().items() if why == "ok" and name != "reference"]
    for name, case in cases.items():
        for backend in backends:
            if not matches(f"{name} {backend}", words):
                continue
            with vp.use(backend):
                try:
                    call = case.call(np.random.default_rng(0), case.counted)
                    call.run()
                except Exception:  # an older vecpress without it: the comparison lists what one side lacks
                    continue
                measure(f"{name} {backend}", call.run)


def main() -> None:
    if sys.argv[1:2] == ["--count-in"]:  # the process under valgrind
        folder, helper, result, words = sys.argv[2:]
        count_here(Path(folder), helper, words)
        Path(result).touch()
        return
    parser = argparse.ArgumentParser(prog="bench.instructions", description=__doc__.splitlines()[0])
    parser.add_argument("-k", metavar="WORDS", default="", help="only cases whose names hold every word, e.g. 'lut4 avx2|norms'")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    try:
        counts = count(ROOT, options.k)
    except CountError as error:
        sys.exit(str(error))
    if options.json:
        json.dump(counts, sys.stdout, indent=1)
        print()
    else:
        for name, number in counts.items():
            print(f"{number:14,d}  {name}")


if __name__ == "__main__":
    main()
