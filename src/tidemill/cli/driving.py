"""One command that drives runs: left-over ones first, then its own; Ctrl-C; the end told. Used by `run` and `retry`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable

import click

from tidemill.cli.render.board import Board
from tidemill.cli.render.summary import run_data, summary
from tidemill.cli.render.words import json_text
from tidemill.cli.watching import Watcher, failed_units
from tidemill.machine.events import Inherited
from tidemill.machine.states import RUN_ENDS, RunState
from tidemill.ports import RunRow
from tidemill.project.project import Project
from tidemill.project.result import task_rows
from tidemill.project.session import Session, folded
from tidemill.project.values import preview

__all__ = ["Prepared", "drive"]

Prepared = tuple[RunRow, Inherited | None] | None  # None: there is nothing to do
_EXIT = {RunState.SUCCEEDED: 0, RunState.FAILED: 1, RunState.CANCELLED: 1}


def drive(project: Project, session: Session, prepare: Callable[[Session], Awaitable[Prepared]], *, json_: bool, option: str = "") -> int:
    """Run what `prepare` makes, to its end, and what was left over before it. Returns the exit code.

    `option` is what other commands need to find this project (" --project …").
    """
    # Everything is imported now: from here on garbage is made, and the young generations are all that is looked through.
    gc.freeze()
    gc.enable()
    return asyncio.run(_Driving(project, session, json_=json_, option=option).run(prepare))


class _Driving:
    def __init__(self, project: Project, session: Session, *, json_: bool, option: str) -> None:
        self.project = project
        self.session = session
        self.json = json_
        self.option = option
        self.interrupts = 0
        self.killed = False
        self.driven: list[str] = []

    async def run(self, prepare: Callable[[Session], Awaitable[Prepared]]) -> int:
        main = asyncio.current_task()
        assert main is not None
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signum, self._interrupted, signum, main)
        try:
            async with self.session as session:
                self.watcher = Watcher(session.engine, self.project.clock, quiet=self.json)
                session.executor.hears.append(self.watcher.on_note)
                return await self._all(session, prepare)
        except asyncio.CancelledError:
            if not self.interrupts:
                raise
            self._tell_killed()
            return 130

    async def _all(self, session: Session, prepare: Callable[[Session], Awaitable[Prepared]]) -> int:
        prepared = await prepare(session)
        if prepared is None:
            return await self._only(await self._left_over(session, but=""), session)
        row, inherited = prepared
        others = await self._left_over(session, but=row.id)
        graph = await asyncio.to_thread(session.store.graph, row.graph)
        expected = await asyncio.to_thread(session.store.durations, row.flow) if self.watcher.live else {}
        self.watcher.watch(row.id, Board(graph, expected))
        if not self.watcher.live and not self.json:
            self.watcher.say(f"Run {row.id} of {row.flow}")
        self.driven.append(row.id)
        row = await session.drive(row, inherited=inherited)
        code = await self._told(session, row)
        for done in others:
            ended = await done
            code = max(code, await self._told(session, ended, other=True))
        return 130 if self.interrupts else code

    async def _only(self, others: list[asyncio.Task[RunRow]], session: Session) -> int:
        """Nothing of our own is to be done: only what was left over."""
        code = 0
        for done in others:
            code = max(code, await self._told(session, await done, other=True))
        return 130 if self.interrupts else code

    async def _left_over(self, session: Session, *, but: str) -> list[asyncio.Task[RunRow]]:
        found = []
        for left in await session.left_over(but=but):
            run = left.run
            if left.because:
                self.watcher.say(f"Run {run.id} of {run.flow} is unfinished, and is not continued here: {left.because}.")
                continue
            self.watcher.say(f"Run {run.id} of {run.flow} was left unfinished by a process that ended: it goes on.")
            before = await asyncio.to_thread(folded, session.store, run)
            board = Board(before.graph)
            board.adopt(before)
            self.watcher.watch(run.id, board)
            self.driven.append(run.id)
            found.append(asyncio.ensure_future(session.go_on(run)))
        return found

    async def _told(self, session: Session, row: RunRow, *, other: bool = False) -> int:
        """Say how a run ended; what it returned goes to standard output."""
        failed = failed_units(self.watcher.state(row.id))
        if self.json:
            if not other:
                tasks = await asyncio.to_thread(lambda: list(task_rows(session.store, row.id)))
                click.echo(json_text(run_data(row, tasks, failed)))
            return _EXIT.get(row.state, 1)
        if len(self.driven) == 1:
            self.watcher.close()
        for line in summary(row, failed, self.watcher.style, at=self.option):
            self.watcher.say(line)
        if row.state is RunState.SUCCEEDED and not other and row.output is not None:
            click.echo(preview(row.output))
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        return _EXIT.get(row.state, 1)

    def _tell_killed(self) -> None:
        """All processes are dead; say what that leaves of the runs."""
        store = self.project.store()
        try:
            for row in map(store.run, self.driven):
                then = "" if row.state in RUN_ENDS else ": its cancellation is recorded, and the next `tidemill run` here ends it"
                click.echo(f"Killed. Run {row.id} of {row.flow} is {row.state}{then}.", err=True)
        finally:
            store.close()

    def _interrupted(self, signum: int, main: asyncio.Task[int]) -> None:
        self.interrupts += 1
        if self.interrupts == 1 and self.driven:
            again = " Again kills it at once." if signum == signal.SIGINT else ""
            self.watcher.say(f"Cancelling: what runs is stopped, within {self.project.settings.grace:g} s.{again}")
            for run in self.driven:
                self.session.engine.cancel(run, by=signal.Signals(signum).name, because="")
            return
        self.session.hurry()
        main.cancel()
