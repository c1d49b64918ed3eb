"""The command line: `vecpress demo | auto | fit | encode | search | merge | export | import | inspect | inspect-data | verify |
bench | doctor`.

Each command is a file here with one typed function; command.py says how it becomes a command. A command
returns a Result. This file alone prints it, turns errors into one line on standard error, and chooses the
exit code:

| code | meaning |
|---|---|
| 0 | done |
| 1 | a file is corrupt, or a check failed |
| 2 | wrong usage, bad input, or a file that cannot be read or written |
| 70 | a fault in vecpress itself; VECPRESS_DEBUG=1 shows where |
| 130 | interrupted by Ctrl-C |
| 141 | the reader of standard output went away |
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from typing import Any

from .. import __version__
from ..errors import BackendError, CorruptFileError

from . import demo, auto, fit, encode, search, merge, export, import_, inspect, inspect_data, verify, bench, doctor  # noqa: F401  # isort: skip  the help's order
from .command import Call, UsageError
from .console import Console, fancy, to_json

__all__ = ["main"]

ABOUT = "Compress embedding vectors to a few bytes each and search the bytes directly."
CORRUPT, BAD_INPUT, FAULT, INTERRUPTED, BROKEN_PIPE = 1, 2, 70, 130, 141
EXPECTED = (ValueError, TypeError, OSError, ImportError, MemoryError, BackendError)


def main(argv: list[str] | None = None) -> int:
    """Runs the command line `argv` (default: this process's) and returns the exit code."""
    try:
        parsed = _parse(sys.argv[1:] if argv is None else argv)
        code = parsed if isinstance(parsed, int) else _run(parsed)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        return BROKEN_PIPE
    except CorruptFileError as error:
        return _fail(str(error), CORRUPT)
    except UsageError as error:
        return _fail(f"{error} (see --help)", BAD_INPUT, prefix="")
    except EXPECTED as error:
        return _fail(_words(error), BAD_INPUT)
    except Exception as error:
        return _fail(f"fault: {type(error).__name__}: {error} (VECPRESS_DEBUG=1 shows where)", FAULT)


def _parse(argv: list[str]) -> Call | int:
    if fancy():
        from .typer_front import parse
    else:
        from .argparse_front import parse
    return parse(argv, ABOUT, f"vecpress {__version__}")


def _run(call: Call) -> int:
    console = Console()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        console.note(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        result = call.command.function(**call.arguments, console=console)
    print(to_json({"command": call.command.name, **result.data}) if call.as_json else result.text)
    return result.code


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"  # as other programs say it, without the number
    return str(error) or type(error).__name__


def _fail(message: str, code: int, prefix: str = "vecpress: ") -> int:
    if os.environ.get("VECPRESS_DEBUG", "") not in ("", "0"):
        traceback.print_exc()
    print(prefix + " ".join(message.split()), file=sys.stderr, flush=True)
    return code
