"""Compiles csrc/ into the one extension module vecpress._native; all metadata is in pyproject.toml.

No -march and no per-file flags: each instruction set is switched on inside its own source file (csrc/core/target.hpp).
-ffp-contract=off keeps a*b+c two roundings unless a kernel asks for a fused one, so that results never depend on the
compiler. Parallel compile; a rebuild recompiles only what changed (any header change recompiles all).

On Windows clang-cl compiles and Microsoft's linker links (docs/decisions/004-compilers.md).

VECPRESS_CUDA=1 also compiles csrc/cuda into vecpress/cuda/libvecpress_cuda.so, a library with a C interface (csrc/cuda/build.py),
by nvcc; VECPRESS_CUDA_ARCHITECTURES="90 100" for these devices alone. Without it nothing looks for nvcc.
"""

import importlib.util
import os
import shutil
from glob import glob
from pathlib import Path

from pybind11.setup_helpers import WIN, ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup
from setuptools.errors import CompileError

CUDA = os.path.join("csrc", "cuda")  # a library of its own, see below
HEADERS = [path for kind in ("hpp", "inl", "def") for path in glob(f"csrc/**/*.{kind}", recursive=True)]
HEADERS = [path for path in HEADERS if not path.startswith(CUDA)]
NEWEST_HEADER = max(os.path.getmtime(path) for path in HEADERS)
COMPILE = ["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-pthread"]
LINK = ["-pthread"]
COMPILE_CLANG_CL = [f"/clang:{option}" for option in COMPILE[:-1]]
LLVM = r"C:\Program Files\LLVM\bin"  # where LLVM's installer puts it, as on GitHub's machines


def needs_recompile(obj: str, src: str) -> bool:
    if not os.path.exists(obj):
        return True
    return os.path.getmtime(obj) < max(os.path.getmtime(src), NEWEST_HEADER)


class BuildExt(build_ext):
    """build_ext, with clang-cl in the place of Microsoft's compiler."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            clang = shutil.which("clang-cl", path=os.pathsep.join((os.environ.get("PATH", ""), LLVM)))
            if clang is None:
                raise CompileError("on Windows vecpress is compiled by clang-cl: install LLVM, or a wheel instead of the source")
            self.compiler.initialize(self.plat_name)  # finds the linker and the system's headers
            self.compiler.cc = clang
            self.compiler.compile_options.remove("/GL")  # Microsoft's format of object files
        super().build_extensions()

    def run(self) -> None:
        super().run()  # to the build folder, from where it is copied where the package is built in place
        if os.environ.get("VECPRESS_CUDA", "0") not in ("", "0"):
            self.build_cuda()

    def build_cuda(self) -> None:
        specification = importlib.util.spec_from_file_location("build_cuda", Path(CUDA, "build.py"))
        builder = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(builder)
        package = Path("vecpress" if self.inplace else Path(self.build_lib, "vecpress"))
        wanted = os.environ.get("VECPRESS_CUDA_ARCHITECTURES", "").split()
        try:
            builder.build(package / "cuda" / builder.FILE, architectures=tuple(wanted) or builder.ARCHITECTURES)
        except (FileNotFoundError, RuntimeError) as error:
            raise CompileError(f"VECPRESS_CUDA=1: {error}") from None


ParallelCompile("VECPRESS_BUILD_JOBS", default=os.cpu_count() or 1, needs_recompile=needs_recompile).install()

setup(
    ext_modules=[
        Pybind11Extension(
            "vecpress._native",
            sorted(glob("csrc/**/*.cpp", recursive=True)),
            include_dirs=["csrc"],
            cxx_std=17,
            depends=HEADERS,
            extra_compile_args=COMPILE_CLANG_CL if WIN else COMPILE,
            extra_link_args=[] if WIN else LINK,
        )
    ],
    cmdclass={"build_ext": BuildExt},
)
