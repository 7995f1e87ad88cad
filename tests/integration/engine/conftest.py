"""A real engine on a real store, with real workers, driven from a plain test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tidemill.clock import SystemClock
from tidemill.engine.engine import Engine
from tidemill.executors.pool import ProcessExecutor
from tidemill.executors.protocol import Spec
from tidemill.graph.keys import graph_digest
from tidemill.ports import RunRow
from tidemill.store import open_store

PROJECT = Path(__file__).parent / "project"
PATIENCE = 60.0


class Mill:
    """Store, workers and engine over one home."""

    def __init__(self, url: str, home: Path) -> None:
        self.clock = SystemClock()
        self.store = open_store(url)
        self.executor = ProcessExecutor(Spec(project=str(PROJECT), home=str(home), artifacts=str(home / "values"), grace=1.0), slots=2)
        self.engine = Engine(self.store, self.executor, self.clock, cpus=2, renew_every=0.2)

    async def create(self, flow: str, **params: object) -> str:
        graph, _ = await self.executor.build(flow, params)
        run = self.clock.token()
        self.store.create_run(RunRow(id=run, key=run, flow=flow, graph=graph_digest(graph), created_at=self.clock.now()), graph)
        return run

    async def until(self, true) -> None:
        """Wait for something that engine events bring about."""
        async with asyncio.timeout(PATIENCE):
            while not true():  # noqa: ASYNC110 - some of it is a file that another process writes
                await asyncio.sleep(0)


@asynccontextmanager
async def mill(url: str, home: Path) -> AsyncIterator[Mill]:
    one = Mill(url, home)
    one.executor.spawn()
    await one.engine.start()
    try:
        yield one
    finally:
        await one.engine.close(grace=2.0)
        one.store.close()
