"""Wide instructions stand only in the kernels of their instruction set: everything else must run on the baseline machine.

The extension is disassembled as it is installed. A function's source file is known from the symbol table, where the local symbols
of each object follow its file's name; a function without one is shared between objects (inline, template) and must be baseline.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections import defaultdict

import pytest

from vecpress import _native

pytestmark = [
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="a machine without wider registers to look for"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed"),
]

SYMBOL = re.compile(r"^([0-9a-f]+) (.{7}) \S+\s+[0-9a-f]+\s+(?:\.\w+ )?(.*)$")
FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+(\w+)\s*(.*)$")
# AVX and later: names in v or k (mask registers); what a region's other features add; nothing of it in the baseline
AVX = re.compile(r"^(v|k(mov|or|xor|and|not|unpck|shift|test|add)|popcnt|andn |bextr|bls|bzhi|mulx|pdep|pext|rorx|s(ar|hl|hr)x)")
AVX512 = re.compile(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]|\{1to\d+\}")
# what the kernels of an instruction set are called
KERNELS = (
    "assign_rows", "encode_rows", "get_block_rows", "norms_of", "pack_code_rows", "pack_rows", "project_rows", "put_blocks",
    "quantize_values", "rotate_rows", "scan_flat", "scan_hamming", "scan_lut4", "scan_lut8", "tables_rows", "unpack_code_rows",
)  # fmt: skip
# of the others, gcc and clang put the loops into functions of different names
WIDE_UNDER_THEIR_NAME = ("assign_rows", "encode_rows", "norms_of", "pack_rows", "scan_hamming")


def objdump(*options: str) -> list[str]:
    return subprocess.run(["objdump", *options, _native.__file__], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def files() -> dict[int, str]:
    """The source file of every local function, by address."""
    out, current = {}, ""
    for line in objdump("-t"):
        found = SYMBOL.match(line)
        if not found:
            continue
        address, flags, name = found.groups()
        if "f" in flags:
            current = name
        elif "F" in flags and flags.startswith("l"):
            out[int(address, 16)] = current
    if not any(name.endswith(".cpp") for name in out.values()):
        pytest.skip("the extension is stripped: nothing tells whose a function is")
    return out


@pytest.fixture(scope="module")
def functions(files) -> dict[tuple[str, str], list[str]]:
    """Instructions by (source file or "", function)."""
    out: dict[tuple[str, str], list[str]] = defaultdict(list)
    key = ("", "")
    for line in objdump("-d", "--no-show-raw-insn"):
        if found := FUNCTION.match(line):
            key = (files.get(int(found[1], 16), ""), found[2])
        elif found := INSTRUCTION.match(line):
            out[key].append(f"{found[1]} {found[2]}")
    return out


def first(instructions: list[str], pattern: re.Pattern[str]) -> str:
    return next((i for i in instructions if pattern.search(i)), "")


def at_start(name: str) -> bool:
    """Whether a function runs when the extension is loaded, on whatever machine."""
    return "_GLOBAL__sub_I" in name or "__cxx_global" in name or "static_initialization" in name


def test_only_the_wide_files_have_wide_instructions(functions):
    wrong = {
        f"{file or 'shared'}: {name}": instruction
        for (file, name), code in functions.items()
        if (file not in ("avx2.cpp", "avx512.cpp") or at_start(name)) and (instruction := first(code, AVX))
    }
    assert not wrong


def test_avx2_kernels_have_nothing_of_avx512(functions):
    wrong = {
        name: instruction
        for (file, name), code in functions.items()
        if file == "avx2.cpp" and (instruction := first(code, AVX512))
    }
    assert not wrong


def test_the_kernels_were_seen(functions):
    """The tests above say nothing if the disassembly was not understood."""
    for file, register in (("avx2.cpp", "%ymm"), ("avx512.cpp", "%zmm")):
        wide = {name: first(code, re.compile(register)) for (where, name), code in functions.items() if where == file}
        for kernel in KERNELS:
            assert any(kernel in name for name in wide), (file, kernel)
        for kernel in WIDE_UNDER_THEIR_NAME:
            assert any(kernel in name and instruction for name, instruction in wide.items()), (file, kernel)
    assert any(at_start(name) for _, name in functions)
