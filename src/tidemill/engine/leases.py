"""The right to drive runs: claimed, prolonged while the engine lives, given up. It does not know what a run does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import msgspec

from tidemill.engine.journal import Journal
from tidemill.errors import Problem
from tidemill.ports import Clock, EngineRow, RunRow, Store

RENEW_EVERY = 1.0  # seconds between renewals of leases, and looks at requests from other processes
LEASE = 15.0  # seconds


class Leases:
    """The leases of the engine `me`. Each lasts `lasting` seconds and is prolonged every `every` seconds."""

    def __init__(self, store: Store, journal: Journal, clock: Clock, me: EngineRow, *, lasting: float, every: float) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self.me = me
        self._lasting = lasting
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._held: set[str] = set()  # runs whose claim was answered, and that were not given up

    async def claim(self, *, limit: int, only: str | None = None, seize: bool = False) -> list[RunRow]:
        """Runs that nobody holds, now held. `seize`: a lease that another engine holds counts as over."""
        now = self._clock.now()
        then, until = math.inf if seize else now, now + self._lasting
        rows = await self._journal.call(lambda: self._store.claim(self.me.id, now=then, until=until, limit=limit, only=only))
        self._held |= {row.id for row in rows}
        return rows

    async def release(self, runs: Sequence[str]) -> None:
        """Give up the leases on `runs`; if the store is away now, as soon as it is there."""
        self._held -= set(runs)
        try:
            await self._journal.call(lambda: self._store.release(self.me.id, runs))
        except Problem:
            return

    def keep(
        self, held: Callable[[list[RunRow]], None], *, trouble: Callable[[Problem], None], broken: Callable[[BaseException], None]
    ) -> None:
        """Prolong all leases from now on, and call `held` with the runs that are still held."""
        self._task = asyncio.create_task(self._keep(held, trouble, broken))

    def close(self) -> None:
        """Prolong no more."""
        if self._task is not None:
            self._task.cancel()

    async def _keep(
        self, held: Callable[[list[RunRow]], None], trouble: Callable[[Problem], None], broken: Callable[[BaseException], None]
    ) -> None:
        while True:
            await asyncio.sleep(self._every)
            now = self._clock.now()
            me = self.me = msgspec.structs.replace(self.me, seen_at=now)
            try:
                rows = await self._journal.call(lambda: self._store.renew(me, until=now + self._lasting))  # noqa: B023 - awaited at once
            except Problem as problem:
                trouble(problem)
            except Exception as error:  # noqa: BLE001 - a defect of the store: those who wait are told
                broken(error)
                return
            else:
                # What was claimed without our hearing of it, or could not be given up, would be prolonged for ever and driven by nobody.
                strays = [row.id for row in rows if row.id not in self._held]
                rows = [row for row in rows if row.id in self._held]
                self._held = {row.id for row in rows}
                held(rows)
                if strays:
                    await self.release(strays)
