"""What nvcc makes of the kernels, without a device: no warnings, no spills, the instructions that they are written for."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cuda_builds import ROOT, builder, disassembler, instructions, usages

MOST_SHARED = 48 << 10  # bytes that every device gives a block unasked; more is asked for at the launch
WHEEL = 30 << 20  # bytes that a wheel may have


def named(kernels, *parts: str) -> list[str]:
    """The kernels whose mangled names have all of these parts."""
    found = [name for name in kernels if all(part in name for part in parts)]
    assert found, f"no kernel has {parts} in its name"
    return found


def check_usages(text: str, architectures: tuple[str, ...]) -> None:
    found = usages(text)
    assert {architecture for architecture, _ in found} == set(architectures)
    for (architecture, name), usage in found.items():
        what = f"sm_{architecture} {name}: {usage}"
        assert usage.spills == 0 and usage.shared <= MOST_SHARED and 0 < usage.registers <= 255, what


def test_kernels_keep_to_registers(compiled):
    check_usages(compiled[1], ("90",))


@pytest.fixture(scope="session")
def code(compiled) -> dict[str, str]:
    if disassembler() is None:
        pytest.skip("cuobjdump is not there")
    return instructions(compiled[0], "90")


def test_hamming_multiplies_bits(code):
    for name in named(code, "tiles_kernel", "hamming"):
        assert code[name].count("BMMA.168256.AND.POPC") >= 16, name


def test_batches_multiply_by_tensor_cores(code):
    """Every operation's batches: 16 products a step, for 32 rows and 64 queries."""
    for name in named(code, "tiles_kernel"):
        assert code[name].count("IMMA.16832.S8.S8") + code[name].count("BMMA.168256") >= 16, name
    for name in [*named(code, "13screen_kernel"), *named(code, "products_kernel")]:  # nearest centroids; labels
        assert "HMMA" in code[name], name


def test_few_queries_multiply_four_numbers_at_once(code):
    for op in ("dot_cu", "trellis_cu"):
        for name in named(code, "rows_kernel", op):
            assert "IDP.4A" in code[name], name


def test_rows_are_read_in_pieces_of_16_bytes(code):
    for name in named(code, "rows_kernel", "hamming"):
        assert "LDG.E.128" in code[name], name
        assert "LDL" not in code[name] and "STL" not in code[name], name


def test_hamming_counts_half_of_the_words(code):
    """Carry-save adders: four counts for eight words. Plain ones would be eight, unrolled more often."""
    (one,) = [name for name in named(code, "rows_kernel", "hamming") if "Li1E" in name]
    assert code[one].count("POPC") <= 4 + 4  # and those that find places for candidates


def test_trellis_ways_compete_in_registers(code):
    """A step is 64 multiply-adds: for costs alone once, with how states were reached twice, with windows of 8 bits four times."""
    for name in named(code, "encode_trellis_kernel"):
        walks = 5 if "ILi8E" in name else 3
        assert "LDL" not in code[name] and "STL" not in code[name], name
        assert code[name].count("FFMA") >= walks * 64 and code[name].count("LDS.128") <= walks * 32, name


def test_labels_are_products_of_four_bytes(code):
    """Two words of entries of four labels with those of eight rows, and nothing between them that is not in registers."""
    for name in named(code, "search_labels_kernel"):
        assert code[name].count("IDP.4A") == 64 and "LDL" not in code[name] and "STL" not in code[name], name


# ---- no driver: what a machine without a device sees


def without_a_driver(library: Path, program: str) -> str:
    """What a program prints with a library that was compiled for devices."""
    env = os.environ | {"VECPRESS_CUDA_LIBRARY": str(library)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_needs_nothing_of_cuda(compiled):
    wanted = subprocess.run(["readelf", "-d", str(compiled[0])], capture_output=True, text=True, check=True).stdout
    needed = [line.split("[")[1].rstrip("]") for line in wanted.splitlines() if "NEEDED" in line]
    system = {"libc", "libm", "libstdc++", "libgcc_s", "libpthread", "libdl", "librt", "ld"}
    assert {name.split(".")[0].split("-")[0] for name in needed} <= system
    symbols = subprocess.run(["nm", "-D", "--defined-only", str(compiled[0])], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in symbols.splitlines()}
    assert {name for name in exported if not name.startswith("vp_cuda_")} == set()


NO_DRIVER = """
import vecpress as vp
why = vp.backends()["cuda"]
if why == "ok":
    print("a device")
else:
    for call in (lambda: vp.use("cuda"), lambda: vp.Index(vp.Sign().fit([[1.0, 2.0]] * 9), device="cuda")):
        try:
            call()
        except vp.BackendError as error:
            assert why in str(error), error
        else:
            raise AssertionError("no error")
    print(why)
"""


def test_a_machine_without_a_driver_says_so(compiled):
    said = without_a_driver(compiled[0], NO_DRIVER).strip()
    assert said in ("a device", "there is no NVIDIA driver", "the driver sees no device")


ENTRY_POINTS = """
import ctypes
from vecpress.cuda import library
from vecpress.cuda.library import ARGUMENTS, Scan, load
lib = load()
if lib.vp_cuda_emulated() or not library.why_not():
    print("a device")
    raise SystemExit
buffer = ctypes.create_string_buffer(1 << 16)
address = ctypes.addressof(buffer)
address += -address % 256
good_scan = Scan(nq=1, k=1, scores=address, found=address, workspace=address, workspace_bytes=1 << 15)
good_scan.codes.data, good_scan.codes.n, good_scan.codes.code_size, good_scan.codes.stride = address, 1, 8, 8
def value(kind, good):
    if kind is ctypes.c_void_p:
        return address if good else None
    if kind in (ctypes.c_int, ctypes.c_int32, ctypes.c_int64, ctypes.c_size_t):
        return 1 if good else (2**31 - 1 if kind is ctypes.c_size_t else -1)
    if kind is ctypes.c_float:
        return 1.0 if good else float("nan")
    if kind is ctypes.c_char_p:
        return ctypes.create_string_buffer(64) if good else None
    if kind is ctypes.POINTER(Scan):
        return ctypes.byref(good_scan) if good else None
    if hasattr(kind, "contents"):
        return ctypes.byref(kind._type_()) if good else None
    raise TypeError(kind)
for name, kinds in sorted(ARGUMENTS.items()):
    function = getattr(lib, f"vp_cuda_{name}")
    function(*[value(kind, False) for kind in kinds])
    for bad in range(len(kinds)):
        function(*[value(kind, i != bad) for i, kind in enumerate(kinds)])
    code = function(*[value(kind, True) for kind in kinds])
    counts = name.endswith("_workspace") or name in ("abi", "emulated", "driver")
    if function.restype is ctypes.c_int and not counts:
        assert code != 0, f"{name} returned 0 without a driver"
print("all answered", len(ARGUMENTS))
"""


def test_every_entry_point_answers_without_a_driver(compiled):
    said = without_a_driver(compiled[0], ENTRY_POINTS)
    assert said.startswith(("a device", "all answered"))


# ---- all architectures: some minutes


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory) -> tuple[Path, str]:
    if builder.nvcc() is None:
        pytest.skip("nvcc is not there")
    made = tmp_path_factory.mktemp("everywhere") / builder.FILE
    return made, builder.build(made, check=True)


@pytest.mark.slow
def test_every_architecture(everywhere):
    check_usages(everywhere[1], builder.ARCHITECTURES)


@pytest.mark.slow
def test_the_wheel_stays_small(everywhere, tmp_path):
    packed = tmp_path / "wheel.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path in [everywhere[0], *(ROOT / "vecpress").rglob("*")]:
            if (path.is_file() and "__pycache__" not in path.parts and path.name != builder.FILE) or path == everywhere[0]:
                file.write(path, path.name)
    assert packed.stat().st_size < WHEEL


@pytest.mark.slow
def test_older_devices_have_no_products_of_bits(everywhere):
    if disassembler() is None:
        pytest.skip("cuobjdump is not there")
    assert not any("BMMA" in text for text in instructions(everywhere[0], "75").values())
    assert any("BMMA" in text for text in instructions(everywhere[0], "80").values())
