"""A run that an engine drives, with what the engine keeps beside the machine's state of it. Decides and writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from tidemill.engine.rows import given
from tidemill.errors import Problem
from tidemill.graph.policy import Policy
from tidemill.graph.work import Job
from tidemill.machine.decide import Step
from tidemill.machine.run import Run
from tidemill.ports import RunChange, RunRow

Attempt = tuple[str, int, int]  # job, unit, attempt
Listener = Callable[[Run, Step], None]  # hears of every step of every run


class Fenced(Problem):
    """Another engine has taken the run over."""

    code = "fenced"

    def __init__(self, run: str) -> None:
        super().__init__(
            f"Run {run} is now driven by another engine.",
            why="This engine's lease on it was over, perhaps because the machine slept or the database was away for long.",
            mend=f"Nothing is lost. Watch it with: tidemill show {run}",
        )


class Driven:
    """A run that this engine drives."""

    def __init__(self, row: RunRow, run: Run, done: asyncio.Future[RunRow]) -> None:
        self.row = row
        self.run = run
        self.epoch = row.epoch
        self.done = done
        self.jobs: dict[str, Job] = {}
        self.spreads: dict[str, Any] = {}

    def changed(self, change: RunChange | None) -> None:
        """Let the row show what is being written."""
        if change is not None:
            self.row = msgspec.structs.replace(self.row, **given(change))

    def running(self) -> dict[Attempt, Policy]:
        """The attempts that were launched and have not ended."""
        places = self.run.places.values()
        return {
            (f"{self.run.id}/{place.path}", n, unit.attempt): place.policy
            for place in places
            if place.role != "driver"  # it holds no slot
            for n, unit in enumerate(place.units)
            if unit.state == "running"
        }


def asked_as(key: str) -> str:
    """The key under which a driver asked: without the number of its attempt."""
    stem, mark, number = key.rpartition("~")
    return stem if mark and number.isdigit() else key
