"""The database goes away while a run is in its middle, and comes back. Real PostgreSQL, real workers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from private_postgres import Cluster
from tidemill.machine.states import RunState
from tidemill.ports import Page, TaskFilter

from .conftest import PATIENCE, mill

N = 40


def test_a_run_goes_on_after_the_database_was_away(own_postgres: Cluster, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")

    async def scenario() -> None:
        async with mill(own_postgres.url(), tmp_path / "home") as one:
            run = await one.create("through_an_outage", n=N, scratch=str(tmp_path))
            done = await one.engine.drive(run)
            await one.until(lambda: "10\n" in _traces(tmp_path))
            await asyncio.to_thread(own_postgres.stop, "immediate")
            await one.until(lambda: one.engine.trouble is not None)
            assert not done.done(), "the run did not end while its end could not be recorded"
            (tmp_path / "go").open("w").close()  # the task ends while nobody can write that down
            await asyncio.to_thread(own_postgres.start)
            async with asyncio.timeout(PATIENCE):
                await done
            row = one.store.run(run)
            assert row.state is RunState.SUCCEEDED
            items = one.store.tasks(run, TaskFilter(place="counted"), Page(limit=N + 1))
            assert sorted(item.name for item in items) == sorted(f"counted[{n}]" for n in range(N))
            assert {item.attempt for item in items} == {1}
            assert one.store.audit(now=one.clock.now()) == []
            assert one.engine.trouble is None

    asyncio.run(scenario())
    assert sorted(map(int, _traces(tmp_path).split())) == list(range(N)), "each was executed once, none was lost or killed by the outage"


def _traces(folder: Path) -> str:
    traces = folder / "traces"
    return traces.read_text() if traces.exists() else ""
