"""Compiles csrc/ into the one extension module vecpress._native; all metadata is in pyproject.toml.

No -march and no per-file flags: each instruction set is switched on inside its own source file (csrc/core/target.hpp).
-ffp-contract=off keeps a*b+c two roundings unless a kernel asks for a fused one, so that results never depend on the
compiler. Parallel compile; a rebuild recompiles only what changed (any header change recompiles all).
"""

import os
from glob import glob

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

HEADERS = glob("csrc/**/*.hpp", recursive=True) + glob("csrc/**/*.inl", recursive=True) + glob("csrc/**/*.def", recursive=True)
NEWEST_HEADER = max(os.path.getmtime(path) for path in HEADERS)


def needs_recompile(obj: str, src: str) -> bool:
    if not os.path.exists(obj):
        return True
    return os.path.getmtime(obj) < max(os.path.getmtime(src), NEWEST_HEADER)


ParallelCompile("VECPRESS_BUILD_JOBS", default=os.cpu_count() or 1, needs_recompile=needs_recompile).install()

setup(
    ext_modules=[
        Pybind11Extension(
            "vecpress._native",
            sorted(glob("csrc/**/*.cpp", recursive=True)),
            include_dirs=["csrc"],
            cxx_std=17,
            depends=HEADERS,
            extra_compile_args=["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-pthread"],
            extra_link_args=["-pthread"],
        )
    ],
    cmdclass={"build_ext": build_ext},
)
