"""Dynamic flows through the real engine and real workers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tidemill.machine.states import RunState

from .conftest import PATIENCE, mill


def test_drivers_of_a_mapped_dynamic_flow_do_not_take_each_others_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with mill(f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "home") as one:
            run = await one.create("many_sums")
            async with asyncio.timeout(PATIENCE):
                await (await one.engine.drive(run))
            assert one.store.run(run).state is RunState.SUCCEEDED
            output = one.store.task(run, "total", 0).output
            assert output is not None
            assert output.preview == str(5 + 14 + 30)

    asyncio.run(scenario())
