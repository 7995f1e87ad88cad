"""Logs of attempts, read: which there are, their lines, the last ones, and what is being added. Writes nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tidemill.executors.places import AttemptId, log_file, run_folder, safe

_LINE = re.compile(rb"(\d{4}-\d\d-\d\dT[\d:.]+Z) (\S+) ?(.*)", re.DOTALL)
_NAME = re.compile(r"(.+)\.(\d+)\.(\d+)\.log")
_BLOCK = 64 << 10
_LOOK_EVERY = 0.2  # seconds between looks at a file that is followed


class LogLine(msgspec.Struct, frozen=True):
    """One line: when (ISO 8601, UTC), from where ("out", "err", a level of `logging`, or "gap"), and what."""

    at: str
    source: str
    text: str


class LogOf(msgspec.Struct, frozen=True):
    """An attempt that has a log. `place` is its name as the file has it: see `places.safe`."""

    place: str
    n: int
    attempt: int
    size: int  # bytes


def attempts_with_logs(home: Path, run: str) -> list[LogOf]:
    """All logs of a run, by place, unit and attempt."""
    folder = run_folder(home, run)
    if not folder.is_dir():
        return []
    found = [(match, entry.stat().st_size) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name))]
    return sorted(
        (LogOf(match[1], int(match[2]), int(match[3]), size) for match, size in found), key=lambda log: (log.place, log.n, log.attempt)
    )


def logs_of(home: Path, run: str, place: str) -> list[LogOf]:
    """The logs of one place of a run."""
    name = safe(place)
    return [log for log in attempts_with_logs(home, run) if log.place == name]


def read(home: Path, id: AttemptId, *, tail: int | None = None) -> Iterator[LogLine]:
    """The lines of an attempt, or the last `tail` of them. None if it was silent.

    Bytes that are no UTF-8 are spelled in hexadecimal, control characters too, so that a log cannot take a terminal over.
    """
    path = log_file(home, id)
    if not path.exists():
        return
    with path.open("rb") as file:
        if tail is not None:
            file.seek(_start_of_last(path, tail))
        for line in file:
            yield parsed(line)


def follow(
    home: Path, id: AttemptId, *, ended: Callable[[], bool], tail: int | None = None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[LogLine]:
    """The lines as `read`, and those that come, until `ended()` and nothing is left."""
    path, at, rest, first = log_file(home, id), 0, b"", True
    while True:
        over = ended()  # asked before the last look, so that what was written before the end is seen
        if path.exists():
            with path.open("rb") as file:
                if first:
                    at = 0 if tail is None else _start_of_last(path, tail)
                    first = False
                file.seek(at)
                while data := file.read(_BLOCK):
                    at += len(data)
                    *lines, rest = (rest + data).split(b"\n")
                    yield from map(parsed, lines)
        if over:
            if rest:
                yield parsed(rest)
            return
        sleep(_LOOK_EVERY)


def parsed(line: bytes) -> LogLine:
    """One line of a log file."""
    match = _LINE.fullmatch(line.rstrip(b"\n"))
    if match is None:
        return LogLine("", "out", _shown(line.rstrip(b"\n")))
    return LogLine(match[1].decode(), match[2].decode(errors="replace"), _shown(match[3]))


def _shown(text: bytes) -> str:
    shown = text.decode(errors="backslashreplace")
    # Colours may stay: they are what people print. All other control characters are spelled out.
    return re.sub(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[\d;]*m)", lambda found: f"\\x{ord(found.group()):02x}", shown)


def _start_of_last(path: Path, lines: int) -> int:
    """Where the last `lines` lines begin; read from the end, so that a log of a gigabyte opens at once."""
    if lines <= 0:
        return path.stat().st_size
    with path.open("rb") as file:
        end = file.seek(0, 2)
        at, seen = end, 0
        while at > 0:
            size = min(_BLOCK, at)
            at -= size
            file.seek(at)
            block = file.read(size)
            if at + size == end and block.endswith(b"\n"):
                block = block[:-1]
            count = block.count(b"\n")
            if seen + count >= lines:
                cut = len(block)
                for _ in range(lines - seen):
                    cut = block.rfind(b"\n", 0, cut)
                return at + cut + 1
            seen += count
    return 0
