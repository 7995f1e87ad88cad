"""Alarms in the order of their time, on one timer of the event loop. Knows when, and for which run; not what for."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from tidemill.graph.work import Instant
from tidemill.machine import effects as fx
from tidemill.ports import Clock

Alarm = fx.WakeAt | fx.WakeRun


class Alarms:
    """Calls `ring(run, alarm)` when the time of an alarm has come, by `clock`."""

    def __init__(self, clock: Clock, ring: Callable[[str, Alarm], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._heap: list[tuple[Instant, int, str, Alarm]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: Instant | None = None

    def set(self, run: str, alarm: Alarm) -> None:
        """Ring for `alarm` of `run` at `alarm.at`."""
        self._order += 1
        heapq.heappush(self._heap, (alarm.at, self._order, run, alarm))
        if self._timer_at is None or alarm.at < self._timer_at:
            self._arm(alarm.at)

    def close(self) -> None:
        """Ring no more."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, at: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - self._clock.now()), self._due)

    def _due(self) -> None:
        now = self._clock.now()
        self._timer = self._timer_at = None
        while self._heap and self._heap[0][0] <= now:
            _, _, run, alarm = heapq.heappop(self._heap)
            self._ring(run, alarm)
        if self._heap:
            self._arm(self._heap[0][0])
