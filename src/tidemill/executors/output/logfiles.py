"""The output of one worker, masked, line by line into the files of its attempts, with quotas and marked gaps.

Lives in the supervisor. Nothing here waits for anything but the disk, and what is held in memory is bounded.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path

from tidemill.authoring.masking import Masker
from tidemill.errors import BadSetting
from tidemill.executors.output.marks import ANNOUNCE, BEGIN, RECORD, SECRET, Mark, MarkReader, read_announcement, read_record
from tidemill.executors.places import AttemptId, log_file

LINE_LIMIT = 1 << 20  # bytes; a longer line is split
_OPEN_LIMIT = 32  # log files of one worker that are written to at once
_HELD_JOBS = 10_000


class LogFile:
    """The log of one attempt. It appears with its first line."""

    def __init__(self, path: Path, quota: int) -> None:
        self._path = path
        self._quota = quota
        self._fd: int | None = None
        self._size = 0
        self._over = 0  # bytes beyond the quota
        self._unwritten = 0  # bytes that the disk did not take

    def write(self, lines: bytes, stamp: bytes) -> None:
        """Append whole lines, or count what could not be."""
        if self._size + len(lines) > self._quota:
            if not self._over:
                cut = lines.rfind(b"\n", 0, max(0, self._quota - self._size)) + 1
                self._put(lines[:cut])
                self._put(b"%b gap the log quota of %d bytes is used up: what follows is dropped\n" % (stamp, self._quota))
                lines = lines[cut:]
            self._over += len(lines)
            return
        if self._unwritten and self._put(b"%b gap %d bytes could not be written\n" % (stamp, self._unwritten)):
            self._unwritten = 0
        if self._unwritten or not self._put(lines):
            self._unwritten += len(lines)

    def close(self, stamp: bytes) -> None:
        """Say what is missing, and let go."""
        missing = self._over + self._unwritten
        if missing:
            self._put(b"%b gap %d bytes are missing here\n" % (stamp, missing))
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._over = self._unwritten = 0

    def _put(self, data: bytes) -> bool:
        try:
            if self._fd is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                self._size = os.fstat(self._fd).st_size
            written = os.write(self._fd, data)
            self._size += written
            if written < len(data):  # the disk took a part: end its line, so that the next one is readable
                with contextlib.suppress(OSError):
                    os.write(self._fd, b"\n")
                self._unwritten += len(data) - written
        except OSError:
            return False
        return True


class Attribution:
    """One worker's stream: whose bytes are whose."""

    def __init__(self, home: Path, token: bytes, quota: int) -> None:
        self._home = home
        self._quota = quota
        self._marks = MarkReader(token)
        self._jobs: OrderedDict[int, tuple[str, str]] = OrderedDict()
        self._files: OrderedDict[AttemptId, LogFile] = OrderedDict()
        self._masker = Masker()
        self._now: AttemptId | None = None
        self._line = b""  # the beginning of a line, until its end comes
        self._record = b""  # the same of a log record that came in several marks
        self._line_since = 0.0

    @property
    def unfinished(self) -> float | None:
        """Since when (monotonic) the beginning of a line has been waiting for its end."""
        return self._line_since if self._line else None

    def feed(self, data: bytes) -> bool:
        """Take what was read. Says whether there was anything but the marks of attempts."""
        heard = False
        for part in self._marks.feed(data):
            if isinstance(part, Mark):
                if part.kind == BEGIN:
                    self._begin(part.payload)
                else:
                    heard = True
                    self._obey(part)
            else:
                heard = True
                self._output(part)
        return heard

    def flush(self, *, whole: bool) -> None:
        """Write the beginning of a line as it is. Unless `whole`, what may be the beginning of a secret stays."""
        line, self._line = (self._line, b"") if whole else self._masker.split(self._line)
        self._line_since = time.monotonic()
        if line:
            self._write(self._now, b"out", line + b"\n")

    def close(self) -> None:
        """The stream has ended."""
        self._output(self._marks.rest())
        self.flush(whole=True)
        for log in self._files.values():
            log.close(_stamp())
        self._files.clear()

    def _begin(self, payload: bytes) -> None:
        if self._line:
            self.flush(whole=True)
        index, n, attempt = map(int, payload.split())
        # A sequential worker has left the attempt before: its log is complete.
        if self._now is not None and (log := self._files.pop(self._now, None)) is not None:
            log.close(_stamp())
        job = self._jobs.get(index)
        self._now = AttemptId(*job, n, attempt) if job else None

    def _obey(self, found: Mark) -> None:
        if found.kind == ANNOUNCE:
            index, run, place = read_announcement(found.payload)
            self._jobs[index] = (run, place)
            while len(self._jobs) > _HELD_JOBS:
                self._jobs.popitem(last=False)
        elif found.kind == SECRET:
            self._learn(found.payload)
        elif found.kind == RECORD:
            if self._line:
                self.flush(whole=True)
            who, label, text, more = read_record(found.payload)
            self._record += text
            if more and len(self._record) < LINE_LIMIT:
                return
            text, self._record = self._record, b""
            job = self._jobs.get(who[0]) if who else None
            whose = AttemptId(*job, who[1], who[2]) if who and job else self._now
            self._write(whose, label, text if text.endswith(b"\n") else text + b"\n")

    def _learn(self, value: bytes) -> None:
        text = value.decode(errors="surrogateescape")
        for part in {text, *text.splitlines()}:
            with contextlib.suppress(BadSetting):  # a line of it that is too short to be told from ordinary text
                self._masker.add(part)

    def _output(self, data: bytes) -> None:
        if not self._line:
            self._line_since = time.monotonic()
        end = data.rfind(b"\n") + 1
        if end:
            self._write(self._now, b"out", self._line + data[:end])
            self._line = data[end:]
        else:
            self._line += data
        if len(self._line) > LINE_LIMIT:
            self.flush(whole=False)

    def _write(self, id: AttemptId | None, label: bytes, lines: bytes) -> None:
        if id is None:
            return  # printed outside of any attempt: while a worker starts or ends
        lines = self._masker.data(lines)
        stamp = _stamp()
        prefix = b"%b %b " % (stamp, label)
        text = prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n"
        log = self._files.get(id)
        if log is None:
            log = self._files[id] = LogFile(log_file(self._home, id), self._quota)
            while len(self._files) > _OPEN_LIMIT:
                self._files.popitem(last=False)[1].close(stamp)
        else:
            self._files.move_to_end(id)
        log.write(text, stamp)


def _stamp() -> bytes:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3].encode() + b"Z"
