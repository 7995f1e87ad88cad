"""A worker that runs attempts one after another, in its main thread: warm ones, and fresh ones that run a single attempt.

Knows its socket, its pipe of tokens and `attempts`. Between two attempts it does as little as it can.
"""

from __future__ import annotations

import os
import resource
import time
from collections import deque

import msgspec

from tidemill.executors.far import kinship
from tidemill.executors.far.attempts import Toolbox, Work, run
from tidemill.executors.frames import Wire
from tidemill.executors.output.capture import Capture
from tidemill.executors.protocol import Define, Did, Do, Forget, Revoke, Revoked, Tired, ToWorker
from tidemill.graph.work import Start

_WEIGH_EVERY = 2.0  # seconds between looks at how much this worker has grown


class Sequential:
    """Serves until its socket is closed."""

    def __init__(self, wire: Wire[ToWorker], tokens: int, tools: Toolbox, capture: Capture, *, growth: int, once: bool) -> None:
        self._wire = wire
        self._tokens = tokens
        self._tools = tools
        self._capture = capture
        self._once = once  # this process is for one attempt: its peak of memory is the attempt's
        self._works: dict[int, Work] = {}
        self._queue: deque[tuple[Work, Start]] = deque()
        self._limit = kinship.resident() + growth
        self._weighed_at = time.time()

    def serve(self) -> None:
        """Run what comes. Returns when there will be no more."""
        queue, wire, tokens = self._queue, self._wire, self._tokens
        while True:
            if queue and self._take(tokens):
                work, start = queue.popleft()
                self._capture.begin(work.index, start.n, start.attempt)
                outcome = run(work, start)
                self._capture.end()
                if self._once:
                    outcome = msgspec.structs.replace(outcome, memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
                # At once and one by one: nothing that has ended is lost if this process ends next.
                wire.send(Did(work.index, [outcome]))
                if outcome.ended - self._weighed_at > _WEIGH_EVERY:
                    self._weigh(outcome.ended)
                continue
            message = wire.receive()
            if message is None:
                return
            self._obey(message)

    def _take(self, tokens: int) -> bool:
        """Whether the next start is still ours: the control process may have taken its token back."""
        try:
            return os.read(tokens, 1) != b""
        except BlockingIOError:
            return False

    def _obey(self, message: ToWorker) -> None:
        if isinstance(message, Do):
            work = self._works[message.index]
            self._queue.extend((work, start) for start in message.starts)
        elif isinstance(message, Define):
            self._works[message.index] = Work(message.index, message.job, self._tools)
            self._capture.announce(message.index, message.job.run, message.job.place)
        elif isinstance(message, Revoke):
            for _ in range(message.count):
                self._queue.pop()
            self._wire.send(Revoked())
        elif isinstance(message, Forget):
            for index in message.indexes:
                self._works.pop(index, None)

    def _weigh(self, now: float) -> None:
        self._weighed_at = now
        resident = kinship.resident()
        if resident > self._limit:
            self._limit = resident * 2
            self._wire.send(Tired(resident))
