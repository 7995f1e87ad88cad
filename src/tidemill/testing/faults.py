"""A store that fails when it is told to, and a journal without a thread. They change nothing of what the real ones do.

`PowerStore` is the disk: it can lose what was not yet durable. `EngineStore` is one engine's way to it: it can be cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidemill.engine.journal import Journal
from tidemill.errors import Problem
from tidemill.graph.assets import Environment, RefRow
from tidemill.graph.nodes import Graph
from tidemill.ports import Commit, EngineRow, EventRow, RunRow, Store
from tidemill.store.problems import StoreAway


class Crash(BaseException):
    """The process of an engine ends here and now."""


class PowerStore:
    """Stores made by `fresh`, of which a loss of power keeps a prefix: all that was durable, and perhaps more."""

    def __init__(self, fresh: Callable[[], Any]) -> None:
        self._fresh = fresh
        self.store = fresh()
        self._done: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._durable = 0  # so many of them survive anything

    def write(self, name: str, args: tuple[Any, ...], given: dict[str, Any], *, durable: bool) -> Any:
        """Let the store do it, and remember that it was done."""
        found = getattr(self.store, name)(*args, **given)
        self._done.append((name, args, given))
        if durable:
            self._durable = len(self._done)
        return found

    @property
    def undurable(self) -> int:
        """How many changes a loss of power may take."""
        return len(self._done) - self._durable

    def lose_power(self, kept: int) -> None:
        """Everything durable stays, and the first `kept` of the changes after."""
        del self._done[self._durable + kept :]
        self._durable = len(self._done)
        self.store = self._fresh()
        for name, args, given in self._done:
            getattr(self.store, name)(*args, **given)


class EngineStore:
    """One engine's way to the store. After `crash_after` more changes the engine crashes: before the change is done, or after."""

    def __init__(self, disk: PowerStore) -> None:
        self._disk = disk
        self.writes = 0
        self.crash_after: float | None = None  # n: before change n + 1; n + 0.5: after it, before the engine hears of it
        self.dead = False
        self.away = False

    def commit(self, commits: Sequence[Commit], *, durable: bool) -> list[str]:
        return self._write("commit", list(commits), durable=durable)  # type: ignore[no-any-return]

    def claim(self, engine: str, *, now: float, until: float, limit: int, only: str | None = None) -> list[RunRow]:
        return self._write("claim", engine, now=now, until=until, limit=limit, only=only)  # type: ignore[no-any-return]

    def renew(self, engine: EngineRow, *, until: float) -> list[RunRow]:
        return self._write("renew", engine, until=until)  # type: ignore[no-any-return]

    def release(self, engine: str, runs: Sequence[str]) -> None:
        self._write("release", engine, list(runs))

    def create_run(self, run: RunRow, graph: Graph, events: Sequence[EventRow] = ()) -> RunRow:
        return self._disk.write("create_run", (run, graph, list(events)), {}, durable=True)  # type: ignore[no-any-return]

    def publish(self, refs: Sequence[RefRow], *, expected: Mapping[tuple[str, str], str] | None = None) -> list[RefRow]:
        return self._write("publish", list(refs), expected=expected)  # type: ignore[no-any-return]

    def create_environment(self, environment: Environment) -> Environment:
        return self._write("create_environment", environment)  # type: ignore[no-any-return]

    def drop_environment(self, name: str) -> None:
        self._write("drop_environment", name)

    def __getattr__(self, name: str) -> Any:
        """Everything else only reads."""
        if self.dead:
            raise Crash
        if self.away:
            raise StoreAway("of the test", "it was cut")
        return getattr(self._disk.store, name)

    def _write(self, name: str, *args: Any, **given: Any) -> Any:
        durable = bool(given.get("durable", True))  # all but ordinary commits are
        if self.dead or self.crash_after == self.writes:
            raise Crash
        if self.away:
            raise StoreAway("of the test", "it was cut")
        done = self._disk.write(name, args, given, durable=durable)
        self.writes += 1
        if self.crash_after is not None and self.crash_after < self.writes:
            raise Crash
        return done


class SteppedJournal(Journal):
    """The real journal, whose turns are taken by the event loop, each `pace()` seconds after the one before."""

    def __init__(self, store: Store, *, pace: Callable[[], float], crashed: Callable[[], None], **told: Callable[..., None]) -> None:
        super().__init__(store, **told)
        self._pace = pace
        self._crashed = crashed
        self._planned = False

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def _put(self, item: Any) -> None:
        super()._put(item)
        self._plan(self._pace())

    def _plan(self, seconds: float) -> None:
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(seconds, self._take)

    def _take(self) -> None:
        self._planned = False
        try:
            pause = self.turn()
        except Crash:
            self._crashed()
            return
        if pause is not None:
            self._plan(pause or self._pace())

    async def close(self, *, patience: float) -> None:
        """Write what is left, for at most `patience` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while loop.time() < until:
            try:
                pause = self.turn()
            except Crash:
                self._crashed()
                return
            if pause is None:
                break
            await asyncio.sleep(pause)
        self._end(Problem("The engine is closed."))
