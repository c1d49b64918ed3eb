"""`python -m vecpress` is the command `vecpress`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
