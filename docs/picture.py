"""Draws docs/images/run.svg: what a terminal shows of a run of the example. Runs the real command on a terminal of its own.

Usage: python docs/picture.py
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "birdstrikes" / "birdstrikes.py"
COLUMNS = 92


def recorded(command: list[str], folder: str) -> str:
    """Everything that `command` wrote to its terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(COLUMNS=str(COLUMNS), LINES="30", TERM="xterm-256color", TIDEMILL_HOME=f"{folder}/home")
        os.environ.pop("NO_COLOR", None)
        os.execv(command[0], command)  # noqa: S606 - our own command, and no shell
    said = bytearray()
    with contextlib.suppress(OSError):  # Linux's way of saying that the other end is closed
        while data := os.read(terminal, 4096):
            said += data
    os.waitpid(child, 0)
    return said.decode()


def last_frame(said: str) -> str:
    """What stands on the screen at the end: the last drawing of the board, and all after it."""
    frames = re.split(r"\x1b\[\d+F", said)
    text = frames[-1].replace("\r", "")
    return re.sub(r"\x1b\[(\?25[lh]|\d*[KJ])", "", text).strip("\n")


def main() -> None:
    """Run the example and draw its end."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", str(EXAMPLE), "--folder", f"{folder}/published"]
        said = recorded([sys.executable, "-m", "tidemill", *words], folder)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi("\x1b[2m$\x1b[0m tidemill run examples/birdstrikes/birdstrikes.py"))
    console.print(Text.from_ansi(last_frame(said)))
    svg = console.export_svg(title="tidemill", theme=MONOKAI)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace, Menlo, Consolas")
    picture = ROOT / "docs" / "images" / "run.svg"
    picture.parent.mkdir(exist_ok=True)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    picture.write_text(re.sub(r"[ \t]+\n", "\n", svg))


if __name__ == "__main__":
    main()
