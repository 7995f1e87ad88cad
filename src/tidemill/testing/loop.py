"""An event loop on virtual time: where every other loop waits, this one lets its clock advance. It has no files and sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tidemill.testing.clock import VirtualClock

T = TypeVar("T")


class Stuck(AssertionError):
    """Everything waits, and nothing is going to happen any more."""


class _Waiting:
    """What the loop takes for its selector: waiting for `timeout` seconds is to let them pass."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("everything waits, and nothing is going to happen any more")
        if timeout > 0:
            self._clock.advance(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """A single-threaded loop whose time is `clock`. What runs on it is deterministic as long as it asks nobody else."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self._selector = _Waiting(clock)
        self.faults: list[BaseException] = []  # what callbacks raised and nobody caught
        self.set_exception_handler(self._on_fault)

    def time(self) -> float:
        return self._clock.monotonic()

    def _process_events(self, _events: list[Any]) -> None:
        """There are none: nothing from outside reaches this loop."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in `select` who would have to be woken."""

    def _on_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException) and "never retrieved" not in context.get("message", ""):
            self.faults.append(error)


def run_virtually(main: Coroutine[Any, Any, T], clock: VirtualClock) -> T:
    """Run `main` to its end on virtual time. Raises `Stuck` when it waits for nothing, and what a callback raised."""
    loop = VirtualLoop(clock)
    try:
        result = loop.run_until_complete(main)
        if loop.faults:
            raise loop.faults[0]
        return result
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def let_pass(seconds: float) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(seconds)


async def until(true: Callable[[], object], *, longest: float = 60.0) -> None:
    """Let virtual time pass, a little at a time, until `true()`. Raises `Stuck` after `longest` seconds."""
    end = asyncio.get_running_loop().time() + longest
    while not true():
        if asyncio.get_running_loop().time() > end:
            raise Stuck(f"it did not become true within {longest:g} s")
        await asyncio.sleep(0.0001)
