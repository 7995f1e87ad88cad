"""Numbers, times and states as people read them, and what the terminal can show of them. Knows no run."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

__all__ = ["Style", "ago", "clip", "counted", "duration", "instant", "json_text", "plural", "size", "style_of", "table", "when", "width"]

_ORDER = ("succeeded", "reused", "running", "retrying", "ready", "waiting", "skipped", "failed", "lost", "blocked", "cancelled")
_COLOURS = {
    "succeeded": "32", "reused": "36", "running": "34", "cancelling": "33", "retrying": "33", "failed": "31", "lost": "31",
    "blocked": "35", "cancelled": "33", "skipped": "2", "waiting": "2", "ready": "2", "queued": "2",
}  # fmt: skip
_SIGNS = {
    "succeeded": "✓", "reused": "↺", "running": "●", "retrying": "↻", "failed": "✗", "lost": "?", "blocked": "⊘", "cancelled": "■",
    "cancelling": "■", "skipped": "–", "waiting": "·", "ready": "○", "queued": "○",
}  # fmt: skip
_TYPOGRAPHY = str.maketrans({"…": "~", "→": "->", "×": "x", "–": "-"})
_PLAIN_SIGNS = {
    "succeeded": "+", "reused": "=", "running": ">", "retrying": "~", "failed": "x", "lost": "?", "blocked": "!", "cancelled": "#",
    "cancelling": "#", "skipped": "-", "waiting": ".", "ready": ".", "queued": ".",
}  # fmt: skip


class Style:
    """What a stream can show: colours, and characters beyond ASCII."""

    def __init__(self, *, colour: bool, unicode: bool, columns: int = 80) -> None:
        self.colour = colour
        self.unicode = unicode
        self.columns = columns

    def paint(self, text: str, state: str) -> str:
        """`text` in the colour of a state."""
        code = _COLOURS.get(state)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code else text

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text

    def dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.colour else text

    def text(self, line: str) -> str:
        """A line of ours as this stream can show it: typography becomes ASCII where it must. The user's own words stay."""
        return line if self.unicode else line.translate(_TYPOGRAPHY)

    def sign(self, state: str) -> str:
        """One character for a state."""
        return (_SIGNS if self.unicode else _PLAIN_SIGNS).get(state, " ")


def style_of(stream: TextIO, env: Mapping[str, str] | None = None) -> Style:
    """The style for a stream: colours only on a terminal, unless NO_COLOR is set or TERM is dumb."""
    env = os.environ if env is None else env
    terminal = stream.isatty()
    colour = terminal and not env.get("NO_COLOR") and env.get("TERM", "") != "dumb"
    if env.get("FORCE_COLOR") and not env.get("NO_COLOR"):
        colour = True
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    columns = shutil.get_terminal_size((100, 24)).columns if terminal else 10_000
    return Style(colour=colour, unicode=encoding.startswith("utf"), columns=max(20, columns))


def err_style() -> Style:
    """The style of standard error."""
    return style_of(sys.stderr)


# ---------------------------------------------------------------- words


def plural(count: int, one: str, many: str = "") -> str:
    """A count in words: "1 task", "2,000 tasks"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """Seconds in words: "0.04 s", "12.3 s", "3 m 20 s", "2 h 05 m"."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{max(0.0, seconds):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def size(count: int) -> str:
    """Bytes: "812 B", "1.2 MB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def when(at: float | None) -> str:
    """A time as this machine's clock shows it."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def instant(at: float | None) -> str | None:
    """A time for machines: ISO 8601, UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(at: float, now: float) -> str:
    """How long ago: "3 m ago"."""
    past = max(0.0, now - at)
    if past < 90:
        return f"{past:.0f} s ago"
    if past < 5400:
        return f"{past / 60:.0f} m ago"
    if past < 48 * 3600:
        return f"{past / 3600:.0f} h ago"
    return f"{past / 86400:.0f} d ago"


def counted(counts: Mapping[str, int]) -> str:
    """Counts in words: "3 succeeded, 1 failed", in the order of `_ORDER`."""
    known = [(state, counts[state]) for state in _ORDER if counts.get(state)]
    return ", ".join(f"{count:,} {state}" for state, count in known) or "no tasks"


# ---------------------------------------------------------------- columns


def width(text: str) -> int:
    """How many columns a terminal takes for `text`."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def clip(text: str, columns: int) -> str:
    """`text` on one line, in at most `columns`."""
    text = " ".join(text.split()) if "\n" in text else text
    if width(text) <= columns:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > columns - 1:
            break
        kept += char
    return kept + "…"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], style: Style, *, states: int | None = None) -> list[str]:
    """Columns, left-aligned; the last one is cut where the terminal ends. `states`: the column to paint by what it says."""
    body = [[" ".join(cell.split("\n")) for cell in row] for row in rows]
    widths = [max(width(row[n]) for row in [list(head), *body]) for n in range(len(head))]
    lines = []
    for number, row in enumerate([list(head), *body]):
        cells, used = [], 0
        for n, cell in enumerate(row):
            last = n == len(row) - 1
            room = max(8, style.columns - used)
            shown = clip(cell, room) if last else cell + " " * (widths[n] - width(cell))
            used += widths[n] + 2
            if number == 0:
                shown = style.bold(shown)
            elif n == states:
                shown = style.paint(shown, cell.split(" ")[0])
            cells.append(shown)
        lines.append("  ".join(cells).rstrip())
    return lines


def json_text(value: Any) -> str:
    """A value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value, order=None), indent=2).decode()
