"""`tidemill` and `python -m tidemill`: as little as possible before the command is known."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line and return its exit code."""
    # What is imported lives until the end: looking through it for garbage only takes time. The commands turn this on again.
    gc.disable()
    from tidemill.cli.app import run_command  # lazily: after the line above

    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
