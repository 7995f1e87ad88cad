"""The supervisors of one executor: the one whose code is current, those of earlier code, and what follows when one is lost.

Knows supervisors; of workers only their numbers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from tidemill.errors import Problem
from tidemill.executors import ends
from tidemill.executors.links.supervisor import SupervisorLink
from tidemill.executors.protocol import Exited, Spec

_RESTARTS = 5  # supervisors lost in a row, with nothing done in between, until we give up


class Owner(Protocol):
    """Who hears of it: the executor."""

    def exited(self, exited: Exited) -> None:
        """A worker is gone."""

    def bereft(self, supervisor: SupervisorLink) -> None:
        """That supervisor is gone: nobody will tell of its workers."""

    def loaded(self) -> None:
        """The current supervisor has imported the project."""

    def restarted(self) -> None:
        """There is a new supervisor in place of a lost one."""

    def refused(self, problem: Problem) -> None:
        """No work can be done, and this is why."""


class Supervision:
    """At most one current supervisor. `spawn` first; `attach` on the event loop."""

    def __init__(self, spec: Spec, owner: Owner, *, load_timeout: float) -> None:
        self.current: SupervisorLink | None = None
        self._spec = spec
        self._owner = owner
        self._load_timeout = load_timeout
        self._old: list[SupervisorLink] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost_in_a_row = 0
        self.closing = False

    @property
    def problem(self) -> Problem | None:
        """Why there is nobody to make workers, for good."""
        return self.current.problem if self.current is not None else None

    @property
    def usable(self) -> SupervisorLink | None:
        """Who can be asked for workers now."""
        one = self.current
        return one if one is not None and one.alive and one.problem is None and not self.closing else None

    def spawn(self) -> SupervisorLink:
        """Start the first one. Quick."""
        self.current = SupervisorLink(self._spec)
        return self.current

    def attach(self) -> None:
        """From now on it is heard, on the running loop."""
        assert self.current is not None
        self._attach(self.current)
        self._announce(self.current)

    def proven(self) -> None:
        """Something was done: what was lost before does not count any more."""
        self._lost_in_a_row = 0

    async def renew(self) -> None:
        """Take the code anew. Raises the `Problem` of the new code, and keeps the old."""
        fresh = SupervisorLink(self._spec)
        self._attach(fresh)
        try:
            await fresh.ready()
        except Problem:
            fresh.kill_all()
            raise
        old, self.current = self.current, fresh
        if old is not None and old.alive:
            self._old.append(old)

    def sweep(self, *, used: Callable[[SupervisorLink], bool]) -> None:
        """Supervisors of earlier code end with their last worker."""
        for old in self._old:
            if not used(old):
                old.bye(0.0)

    async def close(self, *, grace: float) -> None:
        """End all, gently within `grace` seconds, then by force."""
        self.closing = True
        all_of_them = [one for one in (self.current, *self._old) if one is not None]
        for one in all_of_them:
            one.bye(grace)
        until = time.monotonic() + grace + 2.0
        for one in all_of_them:
            if one.alive:
                await one.ended(until - time.monotonic())
            one.finish()

    def _attach(self, supervisor: SupervisorLink) -> None:
        supervisor.attach(load_timeout=self._load_timeout, exited=self._owner.exited, gone=self._gone)

    def _announce(self, supervisor: SupervisorLink) -> None:
        async def tell() -> None:
            try:
                await supervisor.ready()
            except Problem as problem:
                self._owner.refused(problem)
            else:
                self._owner.loaded()

        task = asyncio.ensure_future(tell())
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)

    def _gone(self, supervisor: SupervisorLink) -> None:
        self._owner.bereft(supervisor)
        if supervisor in self._old:
            self._old.remove(supervisor)
        if supervisor is not self.current or self.closing or supervisor.problem is not None:
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row > _RESTARTS:
            supervisor.problem = ends.NoSupervisor(_RESTARTS)
            self._owner.refused(supervisor.problem)
            return
        wait = 0.0 if self._lost_in_a_row == 1 else 0.25 * 2**self._lost_in_a_row
        asyncio.get_running_loop().call_later(wait, self._restart)

    def _restart(self) -> None:
        if not self.closing:
            self.spawn()
            self.attach()
            self._owner.restarted()
