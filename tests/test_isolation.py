"""Wide instructions stand only in the kernels of their instruction set: everything else must run on the baseline machine.

The extension is disassembled as it is installed. A function's source file is known from the symbol table, where the local symbols
of each object follow its file's name; a function without one is shared between objects (inline, template) and must be baseline.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vecpress import _native

pytestmark = [
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="a machine without wider registers to look for"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed"),
]

SYMBOL = re.compile(r"^([0-9a-f]+) (.{7}) \S+\s+[0-9a-f]+\s+(?:\.\w+ )?(.*)$")
SECTION = re.compile(r"^\s*\d+ \.init_array\s+([0-9a-f]+)\s+([0-9a-f]+)")
RELOCATION = re.compile(r"^([0-9a-f]+) R_X86_64_RELATIVE\s+\*ABS\*\+0x([0-9a-f]+)")
FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+(\w+)\s*(.*)$")
BRANCH = re.compile(r"^(?:call|j\w+)\s+([0-9a-f]+) <")
# AVX and later: names in v or k (mask registers); what a region's other features add; nothing of it in the baseline
AVX = re.compile(r"^(v|k(mov|or|xor|and|not|unpck|shift|test|add)|popcnt|andn |bextr|bls|bzhi|mulx|pdep|pext|rorx|s(ar|hl|hr)x)")
AVX512 = re.compile(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]|\{1to\d+\}")
WIDE = ("avx2.cpp", "avx512.cpp")
CSRC = Path(__file__).parents[1] / "csrc"


@dataclass
class Function:
    name: str
    file: str  # its source file, "" for one that objects share
    object: int  # number of the object that it came from
    code: list[str] = field(default_factory=list)

    def first(self, pattern: re.Pattern[str]) -> str:
        """Its first instruction that matches, "" if none does."""
        return next((i for i in self.code if pattern.search(i)), "")


def objdump(*options: str) -> list[str]:
    return subprocess.run(["objdump", *options, _native.__file__], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def functions() -> dict[int, Function]:
    """Every function by address."""
    sources: dict[int, tuple[str, int]] = {}
    file, number = "", 0
    for line in objdump("-t"):
        if found := SYMBOL.match(line):
            address, flags, name = found.groups()
            if "f" in flags:
                file, number = name, number + 1
            elif "F" in flags and flags.startswith("l"):
                sources[int(address, 16)] = file, number
    if not any(name.endswith(".cpp") for name, _ in sources.values()):
        pytest.skip("the extension is stripped: nothing tells whose a function is")
    out: dict[int, Function] = {}
    current = Function("", "", 0)
    for line in objdump("-d", "--no-show-raw-insn"):
        if found := FUNCTION.match(line):
            address = int(found[1], 16)
            current = out[address] = Function(found[2], *sources.get(address, ("", 0)))
        elif found := INSTRUCTION.match(line):
            current.code.append(f"{found[1]} {found[2]}")
    return out


@pytest.fixture(scope="module")
def at_start(functions) -> list[Function]:
    """What runs when the extension is loaded, on whatever machine: its initialisers, and all that they call directly."""
    first, size = next((int(found[2], 16), int(found[1], 16)) for line in objdump("-h") if (found := SECTION.match(line)))
    relocations = [(int(found[1], 16), int(found[2], 16)) for line in objdump("-R") if (found := RELOCATION.match(line))]
    todo = [target for where, target in relocations if first <= where < first + size]
    seen: set[int] = set()
    while todo:
        if (address := todo.pop()) in functions and address not in seen:
            seen.add(address)
            todo += [int(found[1], 16) for line in functions[address].code if (found := BRANCH.match(line))]
    return [functions[address] for address in seen]


def wrong(functions, pattern: re.Pattern[str]) -> dict[str, str]:
    return {f"{f.file or 'shared'}: {f.name}": instruction for f in functions if (instruction := f.first(pattern))}


def test_only_the_wide_files_have_wide_instructions(functions):
    assert not wrong((f for f in functions.values() if f.file not in WIDE), AVX)


def test_nothing_wide_runs_when_the_extension_is_loaded(at_start):
    assert not wrong(at_start, AVX)


def test_avx2_kernels_have_nothing_of_avx512(functions):
    assert not wrong((f for f in functions.values() if f.file == "avx2.cpp"), AVX512)


def test_the_kernels_were_seen(functions, at_start):
    """The tests above say nothing if the disassembly was not understood."""
    for file, register in zip(WIDE, ("%ymm", "%zmm"), strict=True):
        objects = {f.object for f in functions.values() if f.file == file}
        wide = {f.object for f in functions.values() if f.file == file and f.first(AVX)}
        assert wide == objects and len(objects) == len(list(CSRC.glob(f"*/{file}"))), (file, objects ^ wide)
        assert any(f.first(re.compile(register)) for f in functions.values() if f.file == file)
        starting = {f.object for f in at_start if f.file == file}
        assert starting == objects, (file, objects ^ starting)
