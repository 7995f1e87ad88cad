"""The oracle: what must hold of a run's row, its tasks and its log, as questions about rows. Knows no database.

The log is read twice over: by the run machine, which refuses illegal moves, and by a count of outcomes that owes it nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from tidemill.errors import Problem
from tidemill.graph.nodes import Graph
from tidemill.machine.apply import apply
from tidemill.machine.events import Ended, Event, Reused, Settled
from tidemill.machine.run import Run
from tidemill.machine.states import GOOD_ENDS, RUN_ENDS, TASK_ENDS, RunState, TaskState
from tidemill.ports import EventRow, RunRow, TaskRow, Violation
from tidemill.store.chain import Head, link

LATE = 300.0  # seconds after the end of a lease within which somebody must have taken the run up

_read = msgspec.json.Decoder(Event).decode


def audit_run(
    run: RunRow, graph: Graph | None, head: Head, *, tasks: Iterable[TaskRow], events: Iterable[EventRow], now: float
) -> Iterator[Violation]:
    """Every promise that this run breaks. `events` in order; without a `graph` the moves in them are not checked."""
    yield from _of_run(run, now)
    log = _Log(run.id, graph)
    for entry in events:
        yield from log.read(entry)
    if (log.n, log.chain) != head:
        yield _broken("log-ends-elsewhere", run.id, f"its row says that the log ends with entry {head.n}, and the last one is {log.n}")
    machine = log.machine
    if machine is not None and log.n and RUN_ENDS & {machine.state, run.state} and machine.state is not run.state:
        yield _broken("run-differs-from-log", run.id, f"its row says {run.state}, and its log {machine.state}")
    for task in tasks:
        yield from _of_task(run, task, machine)


def ref_without(what: Literal["memo", "move"], environment: str, asset: str, partition: str) -> Violation:
    """A pointer of which it is not known what its version was computed from, or when it was moved."""
    missing = "nothing is remembered of what that was computed from" if what == "memo" else "its history does not say so"
    name = f"{asset} [{partition}]" if partition else asset
    return Violation(rule=f"ref-without-{what}", detail=f"environment {environment}: {name} shows a version, and {missing}")


def without_parent(environment: str, parent: str) -> Violation:
    """An environment that stands on one that is not there."""
    return Violation(rule="environment-without-parent", detail=f"environment {environment}: it stands on {parent}, which is not there")


def _broken(rule: str, run: str, detail: str) -> Violation:
    return Violation(rule=rule, detail=f"run {run}: {detail}")


def _of_run(run: RunRow, now: float) -> Iterator[Violation]:
    if run.state in RUN_ENDS:
        if run.ended_at is None:
            yield _broken("ended-without-time", run.id, f"it is {run.state}, and nothing says since when")
        return
    if run.owner is None and run.state is not RunState.QUEUED and run.epoch == 0:
        yield _broken("unfinished-without-owner", run.id, f"it is {run.state}, and no engine ever drove it")
    if run.owner is not None and (run.lease_until is None or run.lease_until < now - LATE):
        silent = "for ever" if run.lease_until is None else f"for {now - run.lease_until:.0f} s"
        yield _broken("lease-over", run.id, f"it is {run.state}; its engine {run.owner} has been silent {silent}, and none took it up")


def _of_task(run: RunRow, task: TaskRow, machine: Run | None) -> Iterator[Violation]:
    name = f"task {task.place}[{task.unit}]"
    if run.state in RUN_ENDS and task.state not in TASK_ENDS:
        yield _broken("unfinished-in-ended-run", run.id, f"{name} is {task.state}, and the run is {run.state}")
    if task.state in GOOD_ENDS and task.output is None and task.size is None:
        yield _broken("success-without-result", run.id, f"{name} is {task.state}, and has no result")
    logged = None if machine is None else _in_log(machine, task)
    if logged is not None and logged is not task.state and TASK_ENDS & {logged, task.state}:
        yield _broken("task-differs-from-log", run.id, f"{name} is {task.state}, and its log says {logged}")


def _in_log(machine: Run, task: TaskRow) -> TaskState | None:
    place = machine.places.get(task.place)
    if place is None:
        return TaskState.WAITING  # the log knows nothing of it
    if task.unit == 0:
        return place.units[0].state if place.units and not place.mapped else place.state
    return place.units[task.unit - 1].state if task.unit <= len(place.units) else TaskState.WAITING


class _Log:
    """What the log of one run says, as it is read."""

    def __init__(self, run: str, graph: Graph | None) -> None:
        self.run = run
        self.n = 0
        self.chain = ""
        self.machine = None if graph is None else Run(run, graph)
        self._outcomes: set[tuple[str, int]] = set()

    def read(self, entry: EventRow) -> Iterator[Violation]:
        if entry.n != self.n + 1:
            yield _broken("hole-in-log", self.run, f"entry {self.n + 1} is missing; the next one there is {entry.n}")
            self.machine = None  # what follows from a missing entry proves nothing
        elif entry.chain != link(self.chain, entry.n, entry.kind, entry.body):
            yield _broken("hash-does-not-fit", self.run, f"entry {entry.n} is not what was written")
        self.n, self.chain = entry.n, entry.chain
        try:
            event = _read(entry.body)
        except msgspec.MsgspecError as error:
            yield _broken("unreadable-entry", self.run, f"entry {entry.n} ({entry.kind}) cannot be read: {error}")
            self.machine = None
            return
        yield from self._count(entry, event)
        if self.machine is not None:
            try:
                apply(self.machine, event)
            except (Problem, LookupError, ValueError) as error:
                what = error.what if isinstance(error, Problem) else f"it names {error}, which is not there"
                yield _broken("illegal-move", self.run, f"entry {entry.n} ({entry.kind}): {what}")
                self.machine = None

    def _count(self, entry: EventRow, event: Any) -> Iterator[Violation]:
        """More than one accepted outcome of a unit."""
        for n in _ended_by(event):
            unit = (event.place, n)
            if unit in self._outcomes:
                yield _broken("two-outcomes", self.run, f"entry {entry.n} ({entry.kind}) ends {event.place}[{n}], which had ended")
            self._outcomes.add(unit)


def _ended_by(event: Any) -> list[int]:
    if isinstance(event, Settled):
        again = {n for n, _ in event.retries}
        return [outcome.n for outcome in event.outcomes if outcome.n not in again]
    return [n for n, _ in event.units] if isinstance(event, Reused | Ended) else []
