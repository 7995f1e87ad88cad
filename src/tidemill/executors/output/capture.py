"""In a worker: whose output the bytes are. Marks before each attempt, `logging` and streams as records.

Knows the marks; the supervisor on the other end of the pipe writes the files.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from contextvars import ContextVar

from tidemill.executors.output.marks import BEGIN, announcement, records, secret, start_of

_HELD = 1 << 16  # characters of an unfinished line that a stream holds

who: ContextVar[tuple[int, int, int] | None] = ContextVar("tidemill_attempt", default=None)
"""(index of the job, n, attempt), where several run at once."""


class Capture:
    """The output of this process."""

    def __init__(self, out: int, token: bytes, *, several: bool) -> None:
        self._out = out
        self._token = token
        self._begin = start_of(token) + BEGIN
        self._several = several
        self._streams: list[Lines] = []
        self._stdout: io.TextIOWrapper | None = None

    def install(self) -> None:
        """Take over file descriptors 1 and 2, `sys.stdout`, `sys.stderr` and, if nobody has, `logging`."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os.dup2(self._out, 1)
        os.dup2(self._out, 2)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        if self._several:
            sys.stdout = Lines(self, "out", 1)
            self._streams.append(sys.stdout)
        else:
            self._stdout = sys.stdout = io.TextIOWrapper(
                io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8", errors="backslashreplace", line_buffering=True
            )
        sys.stderr = Lines(self, "err", 2)
        self._streams.append(sys.stderr)
        root = logging.getLogger()
        if not root.handlers:
            root.addHandler(Records(self))
            if root.level == logging.WARNING:
                root.setLevel(logging.INFO)

    def announce(self, index: int, run: str, place: str) -> None:
        """`index` stands for this place from now on."""
        self._write(announcement(self._token, index, run, place))

    def begin(self, index: int, n: int, attempt: int) -> None:
        """What is written from now on belongs to this attempt."""
        body = b"%d %d %d" % (index, n, attempt)
        os.write(self._out, b"%b%04x%b" % (self._begin, len(body), body))

    def end(self) -> None:
        """The attempt has ended: nothing of it stays in buffers."""
        if self._stdout is not None:
            self._stdout.flush()
        for stream in self._streams:
            if stream.held:
                stream.finish()

    def hide(self, value: str) -> None:
        """This value is a secret: it is masked from now on."""
        self._write(secret(self._token, value.encode(errors="surrogateescape")))

    def record(self, label: str, text: str) -> None:
        """Lines with a label of their own."""
        if self._stdout is not None:
            self._stdout.flush()
        for part in records(self._token, who.get(), label, text.encode(errors="backslashreplace")):
            self._write(part)

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._out, data)
        except OSError:
            return  # the supervisor is gone, and so are we in a moment


class Lines(io.TextIOBase):
    """A text stream that hands over whole lines, each attempt's apart."""

    def __init__(self, capture: Capture, label: str, fd: int) -> None:
        self._capture = capture
        self._label = label
        self._fd = fd
        self.held: dict[tuple[int, int, int] | None, str] = {}
        self._lock = threading.Lock()
        self.buffer = io.FileIO(fd, "w", closefd=False)

    encoding = "utf-8"
    errors = "backslashreplace"

    def write(self, text: str) -> int:
        mine = who.get()
        with self._lock:
            whole = self.held.pop(mine, "") + text
            end = whole.rfind("\n") + 1
            if len(whole) - end > _HELD:
                end = len(whole)
            if end < len(whole):
                self.held[mine] = whole[end:]
        if end:
            self._capture.record(self._label, whole[:end])
        return len(text)

    def finish(self) -> None:
        """Hand over the unfinished line of the running attempt."""
        with self._lock:
            rest = self.held.pop(who.get(), "")
        if rest:
            self._capture.record(self._label, rest)

    def flush(self) -> None:
        return None

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class Records(logging.Handler):
    """`logging` into the same stream: level, logger, message."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._capture.record(record.levelname.replace(" ", "_"), f"{record.name}: {self.format(record)}")
        except Exception:  # noqa: BLE001 - a log line that cannot be formatted must not fail the task
            self.handleError(record)
