"""Tables, figures and paragraphs in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from .svg import Drawing


class Markup(str):
    """Text that is HTML already, and is not escaped."""


def bold(text: str) -> Markup:
    """A first cell like this marks a row of ours."""
    return Markup(f"<b>{escape(text)}</b>")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), css: str = "") -> str:
    """A table; `numbers`: columns that hold numbers. Cells are text, but for Markup."""
    kind = lambda i: ' class="n"' if i in numbers else ""  # noqa: E731
    cell = lambda text: text if isinstance(text, Markup) else escape(text)  # noqa: E731
    lines = ["<tr>" + "".join(f"<th{kind(i)}>{escape(h)}</th>" for i, h in enumerate(head)) + "</tr>"]
    lines = [f"<thead>{lines[0]}</thead><tbody>"]
    for row in rows:
        ours = ' class="ours"' if row and isinstance(row[0], Markup) and row[0].startswith("<b>") else ""
        lines.append(f"<tr{ours}>" + "".join(f"<td{kind(i)}>{cell(text)}</td>" for i, text in enumerate(row)) + "</tr>")
    return f'<div class="scroll"><table class="{css}">' + "\n".join(lines) + "</tbody></table></div>"


def figure(drawing: Drawing, caption: str) -> str:
    return f"<figure>{drawing.render()}<figcaption>{escape(caption)}</figcaption></figure>"


def paragraph(text: str, css: str = "") -> str:
    kind = f' class="{css}"' if css else ""
    return f"<p{kind}>{escape(text)}</p>"
