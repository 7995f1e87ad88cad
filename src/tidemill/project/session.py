"""An engine at work for one command: store, executor and engine of a project, from start to close, and runs through them.

Joins ports; decides nothing about a run. Everything a person may want to be told comes back as a value.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from tidemill.engine.engine import Engine
from tidemill.engine.rows import read_event
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph
from tidemill.graph.work import Note, Report
from tidemill.machine.apply import fold
from tidemill.machine.events import Inherited
from tidemill.machine.run import Run
from tidemill.machine.states import RUN_ENDS, RunState
from tidemill.ports import Clock, EngineRow, Executor, Loader, MemoRow, Page, RunFilter, RunRow, Store
from tidemill.settings import Settings

__all__ = ["LeftOver", "Session", "Tap", "folded", "lives"]

UNFINISHED = tuple(state for state in RunState if state not in RUN_ENDS)


class LeftOver(NamedTuple):
    """An unfinished run whose process is gone. `because` says why it cannot be continued here, if so."""

    run: RunRow
    because: str = ""


class Tap:
    """An executor that lets others hear what running code says of itself. Everything else passes through."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.hears: list[Callable[[Note], None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    async def start(self, report: Callable[[Report], None]) -> None:
        def heard(what: Report) -> None:
            report(what)
            if isinstance(what, Note):
                for hear in self.hears:
                    hear(what)

        await self._executor.start(heard)


class _Refreshing:
    """A store that remembers no result, so that all is computed again; what is computed is stored as ever."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def recall(self, keys: Sequence[str], *, now: float) -> dict[str, MemoRow]:  # noqa: ARG002 - the port's
        return {}


class Session:
    """An engine with all it needs. `async with` starts it; leaving stops what still runs and leaves no process behind."""

    def __init__(
        self,
        *,
        store: Callable[[], Store],
        executor: Executor,
        loader: Loader,
        clock: Clock,
        settings: Settings,
        target: str,
        command: str,
        refresh: bool = False,
    ) -> None:
        self._open = store
        self._refresh = refresh
        self.executor = Tap(executor)
        self._loader = loader
        self._clock = clock
        self._settings = settings
        self._target = target
        self._command = command
        self._grace: float | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        try:
            self.store = self._open()
        except BaseException:
            # The supervisor runs already, and must not outlive us.
            await self.executor.start(lambda _: None)
            await self.executor.close(grace=0.0)
            raise
        seen: Any = _Refreshing(self.store) if self._refresh else self.store
        self.engine = Engine(
            seen, self.executor, self._clock, command=self._command, pools=dict(settings.pools),
            cpus=float(settings.workers or os.cpu_count() or 1), gpus=float(settings.gpus),
            host=os.uname().nodename, pid=os.getpid(), lease=settings.lease,
        )  # fmt: skip
        try:
            await self.engine.start()
        except BaseException:
            await self.close(grace=0.0)
            raise
        self._announced = asyncio.create_task(asyncio.to_thread(self._announce))
        return self

    def _announce(self) -> None:
        """Let other processes know at once who this engine is; the engine itself says it again every second."""
        now = self._clock.now()
        me = EngineRow(id=self.engine.id, host=os.uname().nodename, pid=os.getpid(), started_at=now, seen_at=now, command=self._command)
        self.store.renew(me, until=now + self._settings.lease)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close(grace=self._settings.grace if self._grace is None else self._grace)

    def hurry(self) -> None:
        """Leave nothing time to end gently when the session is closed."""
        self._grace = 0.0

    async def close(self, *, grace: float) -> None:
        await self.engine.close(grace=grace)
        self.store.close()

    # ---------------------------------------------------------------- runs

    async def build(self, flow: str | None, params: Mapping[str, object]) -> Graph:
        """The graph of a flow, which reads what the environment shows. Raises the `Problem` of the project, flow or parameters."""
        refs = await asyncio.to_thread(self.store.refs, self._settings.environment)
        shown = {ref.asset: ref.handle for ref in refs if not ref.partition}
        graph, _where = await self._loader.build(flow, params, shown=shown)
        return graph

    async def create(
        self, graph: Graph, *, key: str | None = None, origin: str = "cli", because: str = "", retry_of: str | None = None
    ) -> RunRow:
        """Record a run of `graph`, durably. With the key of an earlier run it is that run."""
        run = self._clock.token()
        row = RunRow(
            id=run,
            key=key or run,
            flow=graph.flow,
            graph=graph_digest(graph),
            because=because,
            origin=origin,
            environment=self._settings.environment,
            project=self._target,
            params={name: handle.preview or f"<{handle.type}>" for name, handle in graph.params.items()},
            retry_of=retry_of,
            created_at=self._clock.now(),
        )
        return await asyncio.to_thread(self.store.create_run, row, graph)

    async def drive(self, row: RunRow, *, inherited: Inherited | None = None) -> RunRow:
        """Drive a run to its end, and return its row as it is then."""
        if row.state in RUN_ENDS:
            return row
        await asyncio.wait([self._announced])
        return await self.ended(row.id, await self.engine.drive(row.id, inherited=inherited))

    async def ended(self, run_id: str, done: asyncio.Future[RunRow]) -> RunRow:
        """The row of a run once it has ended."""
        await done
        return await asyncio.to_thread(self.store.run, run_id)

    async def left_over(self, *, but: str = "") -> list[LeftOver]:
        """Unfinished runs whose process is gone, except `but`, oldest first."""
        rows = await asyncio.to_thread(self.store.runs, RunFilter(states=UNFINISHED), Page(limit=100))
        found = []
        for row in reversed(rows):
            if row.id == but:
                continue
            if row.lease_until is not None and row.lease_until > self._clock.now() and not await self._gone(row.owner):
                continue  # its engine lives
            if (row.project, row.environment) != (self._target, self._settings.environment):
                found.append(LeftOver(row, f"its definitions are in {row.project}, environment {row.environment}"))
            else:
                found.append(LeftOver(row))
        return found

    async def go_on(self, row: RunRow) -> RunRow:
        """Drive on a run that was left over, to its end. Raises `Fenced` when another engine was faster."""
        return await self.ended(row.id, await self.engine.drive(row.id, seize=True))

    async def _gone(self, owner: str | None) -> bool:
        """Whether an engine that holds a lease cannot live any more."""
        if self._settings.database_url.startswith("sqlite"):
            return True  # one process at a time drives runs on a file, and it is this one
        here = os.uname().nodename
        for engine in await asyncio.to_thread(self.store.engines):
            if engine.id == owner:
                return engine.host == here and not lives(engine.pid)
        return False


def lives(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def folded(store: Store, row: RunRow) -> Run:
    """The state of a run, read from its log. Raises `Corrupt`."""
    return fold(Run(row.id, store.graph(row.graph)), (read_event(entry) for entry in store.events(row.id)))
