"""python -m bench.report FILE.jsonl... -o report.html"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import write


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description="Make one HTML file of the suite's results.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.jsonl")
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"))
    arguments = parser.parse_args()
    try:
        write(arguments.files, arguments.output)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(arguments.output)


if __name__ == "__main__":
    main()
