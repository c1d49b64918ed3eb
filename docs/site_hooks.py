"""What mkdocs needs to know to make a site of pages that are also read where they lie: its hooks, and docstrings as Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

DOCS = Path(__file__).parent
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
NAME = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.*)$")


def on_config(config: Any) -> Any:
    """A folder in the nav becomes its pages; a page that is not there falls away; pages that it does not name come last."""
    nav = [entry for entry in map(_expanded, config.nav) if entry is not None]
    named = set(_targets(nav))
    rest = [p.name for p in sorted(DOCS.glob("*.md")) if p.name not in named]
    config.nav = [*nav, {"More": rest}] if rest else nav
    return config


def _expanded(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, target),) = entry.items()
    if isinstance(target, str) and target.endswith("/"):
        return {title: [target + name for name in _pages(DOCS / target)]}
    return entry if isinstance(target, list) or (DOCS / target).exists() else None


def _targets(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for one in entry.values() if isinstance(entry, dict) else entry:
            yield from _targets(one)


def _pages(folder: Path) -> list[str]:
    """The names of a folder's pages, README first."""
    names = [p.name for p in sorted(folder.glob("*.md"))]
    return sorted(names, key=lambda name: name != "README.md")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A link to a file outside docs/ becomes its text; one to a folder leads to its first page."""

    def replaced(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        place = Path(os.path.normpath(DOCS / Path(page.file.src_uri).parent / target))
        if ":" in target:
            return match[0]
        if not place.is_relative_to(DOCS):
            return text
        return f"[{text}]({target.rstrip('/')}/{_pages(place)[0]})" if place.is_dir() else match[0]

    return LINK.sub(replaced, markdown)


class Lists(griffe.Extension):
    """Docstrings whose lines `name : what it is` are lists, and whose underlined words are headings, as Markdown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """`name : what it is` becomes an item of a list, lines behind it that are indented its own; other lines stay."""
    out: list[str] = []
    item = False  # whether the line before is of an item
    for line in text.splitlines():
        if re.fullmatch(r"-{3,}", line) and out and out[-1]:
            out[-1] = f"**{out[-1]}**\n"
            continue
        match = NAME.match(line)
        if match and not item and out and out[-1]:
            out.append("")
        if not match and item and line and not line.startswith(" "):
            out.append("")
        out.append(f"- `{match[1]}`: {match[2]}" if match else line)
        item = bool(match) or (item and line.startswith(" "))
    return "\n".join(out)
