"""The control process's end of one worker: its socket, its tokens, what it was given and has not answered.

Knows messages; decides nothing about where work goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable

from tidemill.executors.frames import Unframer, frame
from tidemill.executors.jobs import JobState
from tidemill.executors.links.supervisor import SupervisorLink
from tidemill.executors.protocol import Define, Do, FromWorker, Revoke, Role
from tidemill.graph.work import Start

Given = tuple[JobState, Start]

_MANY = 16  # outstanding starts from which on answers are read in batches
_BATCH = 0.001  # seconds between two such reads


class WorkerLink:
    """One worker. `heard` gets what it says, batch by batch."""

    def __init__(
        self, id: int, role: Role, by: SupervisorLink, *, heard: Callable[[WorkerLink, list[FromWorker]], None], memory: int | None = None
    ) -> None:
        self.id = id
        self.role = role
        self.by = by
        self.sequential = role in ("warm", "fresh")
        self.given: deque[Given] = deque()  # sequential: in order
        self.running: dict[tuple[int, int, int], Given] = {}  # several: by (index, n, attempt)
        self.retired = False  # gets no more work
        self.revoking = False  # its queue is being taken back
        self.stopping: tuple[int, int, int, str] | None = None  # (index, n, attempt, cause) for which it is being killed
        self.done = 0
        self.progressed()
        self.closed = False
        self.deaf = False  # it says nothing more: its end is on its way
        self._defined: set[int] = set()
        self._heard = heard
        self._sock, self._tokens, self._tokens_back = by.fork(id, role, memory=memory)
        self._unframer: Unframer[FromWorker] = Unframer(FromWorker)
        self._unsent = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def attach(self) -> None:
        """From now on answers are heard, on the running loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._sock, self._readable)
            if self._unsent:
                self._loop.add_writer(self._sock, self._flush)

    @property
    def outstanding(self) -> int:
        return len(self.given) or len(self.running)

    def progressed(self) -> None:
        """What it runs now began about now."""
        self.progress_at = time.monotonic()
        self.began_at = time.time()

    # ------------------------------------------------------------ giving

    def give(self, state: JobState, starts: list[Start]) -> None:
        """Hand over starts of one job."""
        index = state.index
        data = b""
        if index not in self._defined:
            self._defined.add(index)
            data = frame(Define(index, state.job))
        if self.sequential:
            if not self.given:
                self.progressed()
            self.given.extend((state, start) for start in starts)
            # Tokens first: a worker that has a start and finds no token takes it for revoked.
            with contextlib.suppress(OSError):
                os.write(self._tokens, bytes(len(starts)))
        else:
            for start in starts:
                self.running[index, start.n, start.attempt] = (state, start)
        for start in starts:
            state.active[start.n, start.attempt] = self
        self.send(data + frame(Do(index, starts)))

    def take_back(self) -> list[Given]:
        """Revoke what has not begun and return it, in order. Until the worker has said so too, it gets nothing."""
        if self.revoking or self.closed:
            return []
        back = self.unbegun()
        if back:
            self.revoking = True
            self.send(frame(Revoke(len(back))))
        return back

    def unbegun(self) -> list[Given]:
        """Take the tokens that are left and return the starts they stood for."""
        if self.closed:  # its descriptors may be another's by now
            return []
        try:
            count = len(os.read(self._tokens_back, 4096))
        except (BlockingIOError, OSError):
            return []
        back = [self.given.pop() for _ in range(min(count, len(self.given)))]
        back.reverse()
        return back

    def knows(self, index: int) -> bool:
        return index in self._defined

    def undefine(self, indexes: list[int]) -> list[int]:
        """Those of `indexes` that it knew; it is taken not to, from now on."""
        known = [index for index in indexes if index in self._defined]
        self._defined.difference_update(known)
        return known

    def send(self, data: bytes) -> None:
        """Write now, or as soon as there is room."""
        if self.closed:
            return
        if not self._unsent:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # its end will be told by the supervisor
            if sent == len(data):
                return
            data = data[sent:]
        self._unsent += data
        if self._loop is not None:
            self._loop.add_writer(self._sock, self._flush)

    def _flush(self) -> None:
        try:
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = b""
        if not self._unsent and self._loop is not None:
            self._loop.remove_writer(self._sock)

    # ------------------------------------------------------------ hearing

    def _readable(self) -> None:
        self._read()
        if len(self.given) >= _MANY and not self.deaf and self._loop is not None:
            # A wake-up per outcome would cost more than the outcome: while there is plenty to do, look now and then.
            self._loop.remove_reader(self._sock)
            self._timer = self._loop.call_later(_BATCH, self._again)

    def _again(self) -> None:
        self._timer = None
        if self._loop is None:
            return
        self._read()
        if len(self.given) >= _MANY and not self.deaf:
            self._timer = self._loop.call_later(_BATCH, self._again)
        elif not self.deaf:
            self._loop.add_reader(self._sock, self._readable)

    def _read(self) -> bool:
        """Read once; says whether there may be more."""
        try:
            data = self._sock.recv(256 << 10)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._deafen()  # its end is told by the supervisor, who knows how it came about
            return False
        self._heard(self, self._unframer.feed(data))
        return True

    def _deafen(self) -> None:
        self.deaf = True
        if self._loop is not None:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def drain(self) -> None:
        """The worker is dead: hear what it said before, and not what others may still write."""
        while not self.deaf and self._read():
            pass

    def close(self) -> None:
        """Let go. The worker, if it lives, sees the end of its socket and ends."""
        if self.closed:
            return
        self.closed = True
        self._deafen()
        self._sock.close()
        os.close(self._tokens)
        os.close(self._tokens_back)
