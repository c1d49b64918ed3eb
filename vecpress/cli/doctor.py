"""vecpress doctor: what is installed here, which kernels run, and whether they compute the right thing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from typing import Any

import numpy as np

from .. import __version__, dispatch, native
from ..errors import BackendError
from .command import Result, command
from .console import Console, table
from .machine import cpu_name
from .selfcheck import self_check


@command("Say what is installed, which kernels run here, and check them.")
def doctor(*, console: Console) -> Result:
    operations = dispatch.operations()
    pairs = [(op, name) for op, names in operations.items() for name in names if dispatch.backends()[name] == "ok"]
    problems, threads = _problems()
    checks = []
    with console.progress("self-check", len(pairs)) as advance:
        for op, backend in pairs:
            error = self_check(op, backend)
            checks.append({"operation": op, "backend": backend, "ok": not error, "error": error or None})
            advance(1)
    ok = not problems and all(check["ok"] for check in checks)
    data: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "backends": dispatch.backends(),
        "operations": operations,
        "extras": _extras(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith("VECPRESS_")},
        "problems": problems,
        "ok": ok,
        "self_check": checks,
    }
    return Result(data, _text(data), 0 if ok else 1)


def _problems() -> tuple[list[str], int | None]:
    """What the environment asks for and cannot have; the threads that calls use, None if they raise instead."""
    problems: list[str] = []
    threads: int | None = None
    try:
        threads = native.default_threads()
    except ValueError as error:
        problems.append(str(error))
    for op in dispatch.operations():
        try:
            dispatch.chosen(op)
        except BackendError as error:
            problems.append(str(error))
    return list(dict.fromkeys(problems)), threads  # a backend that does not exist is the same problem for every operation


def _extras() -> dict[str, dict[str, str | None]]:
    """Per optional extra, the packages that it wants and their installed versions (None: not installed)."""
    try:
        wanted = importlib.metadata.requires("vecpress") or []
    except importlib.metadata.PackageNotFoundError:  # run from a source folder that was never installed
        wanted = []
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in wanted:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", requirement)
        if name and extra and name[0] != "vecpress":  # an extra may include another one
            extras.setdefault(extra[1], {})[name[0]] = _installed(name[0])
    return extras


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _text(data: dict[str, Any]) -> str:
    names = list(data["backends"])
    failed = {(c["operation"], c["backend"]): c["error"] for c in data["self_check"] if not c["ok"]}

    def cell(op: str, backend: str) -> str:
        if backend not in data["operations"][op]:
            return "none"
        if data["backends"][backend] != "ok":
            return "-"
        return "WRONG" if (op, backend) in failed else "ok"

    matrix = table(["operation", *names], [[op, *(cell(op, name) for name in names)] for op in data["operations"]])
    extras = [
        f"[{extra}] " + ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items())
        for extra, packages in data["extras"].items()
    ]
    threads = "threads unknown" if data["threads"] is None else f"{data['threads']} threads used"
    verdict = "SOME KERNELS ARE WRONG: please report this" if failed else "all kernels compute the right thing"
    sections = [
        f"vecpress {data['version']}, Python {data['python']}, NumPy {data['numpy']}, {data['platform']}",
        f"{data['cpu']}: {data['processors']} processors for this process, {threads}",
        "Backends, best first\n" + "\n".join(f"  {name}: {why}" for name, why in data["backends"].items()),
        f"Kernels (ok: equal to the reference, -: cannot run here, none: not written)\n{matrix}",
        "Optional packages\n" + ("\n".join(f"  {line}" for line in extras) or "  unknown: vecpress is not installed"),
        "Environment\n" + ("\n".join(f"  {k}={v}" for k, v in data["environment"].items()) or "  no VECPRESS_ variable set"),
        *(f"{op} with {backend}: {error}" for (op, backend), error in failed.items()),
        verdict,
        *(f"PROBLEM: {problem}" for problem in data["problems"]),
    ]
    return "\n\n".join(sections)
