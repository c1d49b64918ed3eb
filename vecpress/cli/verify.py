"""vecpress verify: checks files whole, every checksum and every code."""

from __future__ import annotations

from typing import Annotated

from .. import io
from ..errors import CorruptFileError
from .command import Arg, Result, command
from .console import Console


@command("Check codec and index files whole.")
def verify(
    files: Annotated[list[str], Arg("FILE", "files to check")],
    *,
    console: Console,
) -> Result:
    found = []
    with console.progress("verify", len(files)) as advance:
        for path in files:
            try:
                io.verify(path)
                found.append({"file": path, "state": "ok", "error": None})
            except CorruptFileError as error:
                found.append({"file": path, "state": "corrupt", "error": str(error)})
            except OSError as error:
                found.append({"file": path, "state": "unreadable", "error": str(error)})
            advance(1)
    states = {file["state"] for file in found}
    code = 1 if "corrupt" in states else 2 if "unreadable" in states else 0
    lines = [f"{f['file']}: {f['state']}" + (f" ({f['error']})" if f["error"] else "") for f in found]
    return Result({"ok": code == 0, "files": found}, "\n".join(lines), code)
