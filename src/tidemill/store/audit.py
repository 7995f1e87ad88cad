"""The oracle: what must hold of a run's row, its tasks and its log, as questions about rows. Knows no database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tidemill.errors import Corrupt
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph
from tidemill.machine.events import Closed, Ended, Event, Finished, Handed, Inherited, Launched, Reused, Settled, Woken
from tidemill.machine.states import GOOD_ENDS, RUN_ENDS, TASK_ENDS, RunState, TaskState
from tidemill.ports import EventRow, RunRow, TaskRow, Violation
from tidemill.store.chain import Head, link

LATE = 300.0  # seconds after the end of a lease within which somebody must have taken the run up

_read = msgspec.json.Decoder(Event).decode


def encoded_graph(digest: str, graph: Graph) -> bytes:
    """The graph as it is stored. Raises `Corrupt` when `digest` is not its own."""
    if (real := graph_digest(graph)) != digest:
        raise Corrupt(
            f"The graph of {graph.flow!r} was to be stored as {digest[:12]}…, and it is {real[:12]}….",
            why="A graph is kept under the digest of what is in it.",
            mend="This is a fault of Tidemill: please report it.",
        )
    return msgspec.json.encode(graph)


def audit_rows(run: RunRow, head: Head, tasks: Iterable[TaskRow], events: Iterable[EventRow], *, now: float) -> Iterator[Violation]:
    """Every promise that this run breaks. `events` in order."""
    yield from _of_run(run, now)
    log = _Log(run.id)
    for entry in events:
        yield from log.read(entry)
    if log.n != head.n or log.chain != head.chain:
        yield _broken("log-ends-elsewhere", run.id, f"its row says that the log ends with entry {head.n}, and the last one there is {log.n}")
    if run.state in RUN_ENDS and log.n and not log.finished:
        yield _broken("ended-without-event", run.id, f"it is {run.state}, and its log does not say that it finished")
    for task in tasks:
        yield from _of_task(run, task, log)


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
        since = "for ever" if run.lease_until is None else f"{now - run.lease_until:.0f} s"
        yield _broken("lease-over", run.id, f"it is {run.state}, its engine {run.owner} has been silent {since}, and none took it up")


def _of_task(run: RunRow, task: TaskRow, log: _Log) -> Iterator[Violation]:
    name = f"task {task.place}[{task.unit}]"
    if run.state in RUN_ENDS and task.state not in TASK_ENDS:
        yield _broken("unfinished-in-ended-run", run.id, f"{name} is {task.state}, and the run is {run.state}")
    if task.state in GOOD_ENDS and task.output is None and task.size is None:
        yield _broken("success-without-result", run.id, f"{name} is {task.state}, and has no result")
    logged = log.ends.get((task.place, task.unit))
    if logged is not None and task.size is None and logged is not task.state:
        yield _broken("row-differs-from-log", run.id, f"{name} is {task.state}, and its log says {logged}")


class _Log:
    """What the log of one run says, as it is read: the end of every unit, and the hash so far."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.n = 0
        self.chain = ""
        self.finished = False
        self.ends: dict[tuple[str, int], TaskState] = {}

    def read(self, entry: EventRow) -> Iterator[Violation]:
        if entry.n != self.n + 1:
            yield _broken("hole-in-log", self.run, f"entry {self.n + 1} is missing; the next one there is {entry.n}")
        elif entry.chain != link(self.chain, entry.n, entry.kind, entry.body):
            yield _broken("hash-does-not-fit", self.run, f"entry {entry.n} is not what was written")
        self.n, self.chain = entry.n, entry.chain
        try:
            event = _read(entry.body)
        except msgspec.MsgspecError as error:
            yield _broken("unreadable-entry", self.run, f"entry {entry.n} ({entry.kind}) cannot be read: {error}")
            return
        if self.finished:
            yield _broken("event-after-end", self.run, f"entry {entry.n} ({entry.kind}) follows the end of the run")
        if isinstance(event, Finished):
            self.finished = True
        for unit, state, outcome in _moves(event):
            key = (event.place, unit) if not isinstance(event, Inherited) else unit
            yield from self._move(entry, key, state, accepted=outcome)

    def _move(self, entry: EventRow, key: Any, state: TaskState | None, *, accepted: bool) -> Iterator[Violation]:
        before = self.ends.get(key)
        if before is not None:
            rule = "two-outcomes" if accepted and state in TASK_ENDS else "left-a-final-state"
            yield _broken(rule, self.run, f"entry {entry.n} ({entry.kind}) moves {key[0]}[{key[1]}], which was {before} for good")
        elif state is not None and state in TASK_ENDS:
            self.ends[key] = state


def _moves(event: Any) -> Iterator[tuple[Any, TaskState | None, bool]]:
    """What an event does to units: (unit, the state it ends in or None, whether it is an accepted outcome)."""
    if isinstance(event, Settled):
        again = {n for n, _ in event.retries}
        for outcome in event.outcomes:
            end = TaskState.SUCCEEDED if outcome.failure is None else None if outcome.n in again else TaskState.FAILED
            yield outcome.n, end, True
    elif isinstance(event, Launched):
        yield from ((n, None, False) for n, _ in event.starts)
    elif isinstance(event, Handed):
        yield from ((n, None, False) for n, _ in event.units)
    elif isinstance(event, Woken):
        yield from ((n, None, False) for n in event.units)
    elif isinstance(event, Reused):
        yield from ((n, TaskState.REUSED, True) for n, _ in event.units)
    elif isinstance(event, Ended):
        yield from ((n, state, False) for n, state in event.units)
    elif isinstance(event, Closed):
        yield 0, event.state, False
    elif isinstance(event, Inherited):
        yield from (((place, n), TaskState.REUSED, True) for place, units in event.units.items() for n, _ in units)
