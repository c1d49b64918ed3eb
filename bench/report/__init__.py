"""One HTML file of the suite's JSON lines: which codec for N bytes, what it costs, how sure that is, where a peer is better.

python -m bench.report FILE.jsonl... -o report.html
"""

from __future__ import annotations

import os
from pathlib import Path

from .. import records

__all__ = ["write"]


def write(jsonl_paths: list[Path], html: Path) -> None:
    """Writes the report of these files, whole or not at all. It refers to nothing outside itself and needs no script.

    Of two runs of the same contender, data set and seed the later counts. Raises FileNotFoundError for a file that is not
    there, and ValueError, which names file and line, for one that is not of the suite's. About a second for a thousand runs.
    """
    from .page import page
    from .summary import summarise

    found = []
    for path in map(Path, jsonl_paths):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected a file of the suite's JSON lines, there is none")
        found += records.read(path)
    text = page(summarise(found), [Path(path).name for path in jsonl_paths])
    html = Path(html)
    part = html.with_name(html.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, html)
