"""Compiles the CUDA library: by nvcc for devices, or with `--emulate` by a C++ compiler for tests on the processor.

    python csrc/cuda/build.py OUT.so [--emulate] [--arch 90a ...] [--jobs N] [--check]

Each source is compiled for every architecture, warnings are errors, cudart is linked statically. nvcc is what the variable NVCC
says, or the one on the path. `--check` prints registers, spills and shared memory of every kernel.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = "libvecpress_cuda.so"
# what each slice of the library is for; of the last there is PTX too, which later devices compile
ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
COMMON = ["-std=c++17", f"-I{HERE}"]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-fno-strict-aliasing"]


def sources() -> list[Path]:
    return sorted(HERE.rglob("*.cu"))


def newest() -> float:
    """When a source or a header was changed last."""
    files = [p for kind in ("*.cu", "*.cuh", "*.h", "*.hpp", "build.py") for p in HERE.rglob(kind)]
    return max(p.stat().st_mtime for p in files)


def nvcc() -> str | None:
    return os.environ.get("NVCC") or shutil.which("nvcc")


def architecture_options(architectures: tuple[str, ...]) -> list[str]:
    options = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures]
    plain = [a for a in architectures if a.isdigit()]
    return options + ([f"-gencode=arch=compute_{plain[-1]},code=compute_{plain[-1]}"] if plain else [])


def compile_commands(emulate: bool, architectures: tuple[str, ...], check: bool) -> tuple[list[str], list[str]]:
    """The beginnings of what compiles a source (source and `-o OBJECT` follow) and what links objects."""
    if emulate:
        compiler = os.environ.get("CXX", "g++").split()
        extra = os.environ.get("VECPRESS_EMULATE_OPTIONS", "-O2").split()
        # kernels ask for their multiply-adds; the compiler may make none of its own
        options = [*COMMON, "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-DVECPRESS_EMULATE", *WARNINGS, *extra]
        return [*compiler, *options, "-c", "-x", "c++"], [*compiler, "-shared", *extra]
    compiler_path = nvcc()
    if compiler_path is None:
        raise FileNotFoundError("nvcc was not found: set NVCC, or add it to the path")
    options = [*COMMON, "-O3", "-fmad=false", "-Xcompiler", "-fPIC,-fvisibility=hidden,-Wall", "-Werror", "all-warnings"]
    options += ["-Xptxas", "--warn-on-spills", "--compress-mode=size", "-cudart", "static", *architecture_options(architectures)]
    if check:
        options += ["-Xptxas", "-v"]
    link = [compiler_path, "-shared", "-cudart", "static", "-Xlinker", "--exclude-libs,ALL", *architecture_options(architectures)]
    return [compiler_path, *options, "-c"], link


def build(
    out: Path,
    *,
    emulate: bool = False,
    architectures: tuple[str, ...] = ARCHITECTURES,
    jobs: int | None = None,
    check: bool = False,
) -> str:
    """Writes the library; returns what the compiler printed. Raises RuntimeError with its output where it fails."""
    compile_, link = compile_commands(emulate, architectures, check)
    with tempfile.TemporaryDirectory() as scratch:

        def one(source: Path) -> tuple[Path, str]:
            made = Path(scratch) / (str(source.relative_to(HERE)).replace(os.sep, "_") + ".o")
            return made, _run([*compile_, str(source), "-o", str(made)])

        with concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            made = list(pool.map(one, sources()))
        part = Path(scratch) / "library"
        text = "".join(text for _, text in made) + _run([*link, *(str(path) for path, _ in made), "-o", str(part)])
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part, out.with_suffix(".part"))
        out.with_suffix(".part").replace(out)  # whole or not at all
    return text


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    text = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{text}")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--emulate", action="store_true")
    parser.add_argument("--arch", nargs="+", default=list(ARCHITECTURES))
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    try:
        text = build(given.out, emulate=given.emulate, architectures=tuple(given.arch), jobs=given.jobs, check=given.check)
        print(text, end="")
    except (RuntimeError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
