"""Plug-ins of the suite: one file = one library, found by being there; a folder of one's own may hold more.

A plug-in is a module with

    NAME : str, the library as it is installed
    version() -> str | None : the installed version, None where it is not installed
    contenders(profile, budgets) -> list[Contender] : its configurations that fit one of the budgets (bytes a vector)
    DEPENDS : names of other packages that its figures depend on, where there are any

`contenders` neither imports the library nor looks at vectors, so that a plan can be shown where the library is missing, and
gives the same list for the same arguments, so that the process that measures finds the contender again.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..contender import Contender, Profile
from ..rules import LEAST, MOST

FOLDER = Path(__file__).parent


class Plugin(Protocol):
    """What a plug-in's module has."""

    __file__: str | None
    NAME: str

    def version(self) -> str | None: ...

    def contenders(self, profile: Profile, budgets: Sequence[int]) -> list[Contender]: ...


def fits(code_size: float, budget: int) -> bool:
    """Whether a configuration of code_size bytes a vector is one for the budget: neither more nor much less."""
    return LEAST * budget <= code_size <= budget


def budget_of(code_size: float, budgets: Sequence[int]) -> int | None:
    """The smallest of the budgets that the configuration fits, else the largest that it exceeds a little, else None."""
    fitting = min((budget for budget in budgets if fits(code_size, budget)), default=None)
    return fitting or max((budget for budget in budgets if budget < code_size <= MOST * budget), default=None)


def found(folders: Sequence[Path] = ()) -> list[Plugin]:
    """Every plug-in, of this folder and of those given, by the library's name. ValueError names a file that is none."""
    paths = [path for folder in (FOLDER, *folders) for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]
    plugins = [load(path) for path in paths]
    for plugin, path in zip(plugins, paths, strict=True):
        missing = [name for name in ("NAME", "version", "contenders") if not hasattr(plugin, name)]
        if missing:
            raise ValueError(f"{path}: a plug-in expected NAME, version and contenders, has no {', '.join(missing)}")
    names = [plugin.NAME for plugin in plugins]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"plug-ins: one file a library, got two for {twice!r}")
    return sorted(plugins, key=lambda plugin: plugin.NAME)


def load(path: Path) -> Plugin:
    """The module in a file, a member of this package wherever it lies: `from ..contender import ...` works in it."""
    path = path.resolve()
    if path.parent == FOLDER.resolve():
        return importlib.import_module(f"{__name__}.{path.stem}")
    name = f"{__name__}.{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
