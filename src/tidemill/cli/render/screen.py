"""Lines that are drawn over one another at the end of a terminal. Knows escape sequences and nothing of what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

__all__ = ["Screen"]


class Screen:
    """The last lines of a terminal. `draw` replaces what was drawn before; `keep` leaves it there for good."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`, each no wider than the terminal, in place of those before."""
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        # One write, cleared line by line: nothing flickers.
        body = "".join(f"\x1b[2K{line}\n" for line in lines)
        self._stream.write(f"\x1b[?25l{up}{body}\x1b[J\x1b[?25h")
        self._stream.flush()
        self._drawn = len(lines)

    def keep(self) -> None:
        """What is drawn stays; the next drawing begins below it."""
        self._drawn = 0
