"""Other processes that use a store, so that they can be killed, and the URL of a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `script`, with the rows of these tests at hand."""
    setting = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [
        sys.executable,
        "-c",
        "import sys\nfrom conformance.store.rows import *\nfrom tidemill.ports import Page\nfrom tidemill.store import open_store\n"
        + script,
    ]
    return subprocess.Popen([*command, *map(str, arguments)], env=setting, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
