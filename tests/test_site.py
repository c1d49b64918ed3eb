"""The pages of docs/ as a site: examples run, every public name is in the interface, mkdocs builds all without a warning."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vecpress as vp

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ADAPTERS = ROOT / "vecpress" / "integrations"


@pytest.mark.parametrize("name", ["start", "choose", "recall", "threads", "faiss"])
def test_the_page_runs_when_pasted(name, tmp_path, monkeypatch):
    if name == "threads" and not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    if name == "faiss":
        pytest.importorskip("faiss")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / f"{name}.md").read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    scope: dict = {}
    for block in blocks:
        exec(compile(block, f"{name}.md", "exec"), scope)


def test_what_faiss_calls_otherwise_is_there():
    """The table of docs/faiss.md: codecs as they are written there, and names of methods."""
    table = (DOCS / "faiss.md").read_text().partition("## From faiss")[2].partition("```")[0]
    codecs = re.findall(r"`(vp\.[A-Z]\w*\([^`]*\))`", table)
    assert len(codecs) > 12
    for one in codecs:
        if "store=" not in one and "Index(codec)" not in one:
            assert isinstance(eval(one, {"vp": vp}), vp.Codec), one
    ours = " ".join(row.split("|")[2] for row in table.splitlines() if row.startswith("|"))
    for name in re.findall(r"index\.(\w+)\(", ours):
        assert hasattr(vp.Index, name), name


def test_every_public_name_is_in_the_interface():
    text = (DOCS / "api.md").read_text()
    shown = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    adapters = {f"vecpress.integrations.{file.stem}.{name}" for file in ADAPTERS.glob("*.py") for name in offered(file)}
    assert adapters == {name for name in shown if ".integrations." in name}
    for name in set(shown) - adapters:  # each leads somewhere
        module, _, last = name.rpartition(".")
        assert (
            importlib.util.find_spec(name) if name.islower() and _module(name) else hasattr(importlib.import_module(module), last)
        )
    names = {name.rpartition(".")[2] for name in shown}
    for name in vp.__all__:
        assert name in names or f"vp.{name}" in text or f"`vp.{name}." in text, f"docs/api.md does not show {name}"


def offered(file: Path) -> list[str]:
    """`__all__` of a module, which is not imported: its packages may be missing."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def _module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    for package in ("mkdocs", "material", "mkdocstrings", "griffe"):
        pytest.importorskip(package)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md")}
    for page in pages:
        name = re.sub(r"(^|/)(README|index)$", "", page)
        assert (tmp_path / name / "index.html").is_file(), f"{page} is no page of the site"
    interface = (tmp_path / "api" / "index.html").read_text()
    assert "<li><code>rerank</code>: candidates, at least k" in interface
    assert not re.search(r"<p>[^<]*\n-{3,}", interface)
