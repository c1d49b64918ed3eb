"""The pages of docs/integrations: their examples run, a page in order, in a folder of its own, if its packages are there."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from vecpress import integrations

PAGES = Path(__file__).parents[2] / "docs" / "integrations"
ADAPTERS = Path(integrations.__file__).parent


def examples(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def packages(source: str) -> set[str]:
    """What an example imports itself, and what the adapters it takes import when they are loaded."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    adapters = {name for name in found if name.startswith("vecpress.integrations.")}
    return {name.split(".")[0] for name in found if name}.union(*map(needs, adapters))


def needs(adapter: str) -> set[str]:
    """The packages of an adapter's imports outside functions."""
    body = ast.parse((ADAPTERS / f"{adapter.split('.')[2]}.py").read_text()).body
    names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in body if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in names}


def there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def moved(source: str) -> list[str]:
    """Modules that an example takes names from, and that the installed version of their package does not have."""
    names = [node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return [name for name in names if not name.startswith("vecpress") and not there_inside(name)]


def there_inside(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", sorted(p for p in PAGES.glob("*.md") if examples(p)), ids=lambda p: p.stem)
def test_the_page_runs_when_pasted(page, tmp_path, monkeypatch):
    blocks = examples(page)
    missing = [name for name in sorted(set().union(*map(packages, blocks))) if not there(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    elsewhere = [name for block in blocks for name in moved(block)]
    if elsewhere:
        pytest.skip(f"this version has no {', '.join(elsewhere)}")
    monkeypatch.chdir(tmp_path)
    scope: dict = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, page.name, "exec"), scope)
