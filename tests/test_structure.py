"""The layout's promises: one name everywhere, a purpose in the first line, files short enough to read."""

import ast
from pathlib import Path

import pytest

import vecpress as vp
from vecpress import dispatch

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for folder in ("vecpress", "kernels", "tests", "bench") for p in (ROOT / folder).rglob("*.py"))
KERNELS = sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in (".cpp", ".hpp", ".inl", ".def"))
# two directions of one thing share a home: vecpress/ops/blocks.py, csrc/blocks
HOMES = {"put_rows": "blocks", "get_rows": "blocks", "unpack_codes": "pack_codes"}


def home(op: str) -> str:
    return HOMES.get(op, op)


@pytest.mark.parametrize("op", sorted(dispatch.operations()))
def test_one_name_everywhere(op):
    assert (ROOT / "vecpress" / "ops" / f"{home(op)}.py").is_file()
    assert (ROOT / "csrc" / home(op) / "bind.cpp").is_file()
    assert (ROOT / "tests" / "ops" / f"test_{home(op)}.py").is_file()


@pytest.mark.parametrize("op", sorted(dispatch.operations()))
def test_every_instruction_set_has_a_kernel(op):
    here = {p.stem for p in (ROOT / "csrc" / home(op)).glob("*.cpp")}
    assert {"scalar", "avx2", "avx512", "neon"} <= here


def test_one_file_one_codec():
    for cls in vp.codecs():
        if cls.__module__.startswith("vecpress."):
            assert cls.__module__ == f"vecpress.codecs.{cls.__name__.lower()}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_files_say_their_purpose(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    if path.parts[len(ROOT.parts)] != "tests":  # a suite is searched, not read from top to bottom
        assert len(text.splitlines()) <= 400, "over 400 lines: find a better cut"


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: str(p.relative_to(ROOT)))
def test_native_files_say_their_purpose(path):
    text = path.read_text()
    assert text.startswith("// "), "the first line says nothing"
    assert len(text.splitlines()) <= 400, "over 400 lines: find a better cut"
