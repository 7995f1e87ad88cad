"""What was decided, as rows: the log entries and the tables that are its index. Reads the run; writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from tidemill.graph.work import Failure, Note, Outcome
from tidemill.machine import events as ev
from tidemill.machine.resolve import output
from tidemill.machine.run import Place, Run
from tidemill.machine.states import RunState, TaskState
from tidemill.ports import AttemptRow, Commit, EventRow, NoteRow, RunChange, TaskRow

_json = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[ev.Event] = msgspec.json.Decoder(ev.Event)
KINDS: dict[type, str] = {kind: str(kind.__struct_config__.tag) for kind in ev.Event.__args__}


def read_event(row: EventRow) -> ev.Event:
    """The machine's event again."""
    return _decoder.decode(row.body)


def commit_of(run: Run, epoch: int, events: list[ev.Event]) -> Commit:
    """The commit for `events`, which were just applied to `run`."""
    commit = Commit(run=run.id, epoch=epoch)
    n = run.entries - len(events)
    for event in events:
        n += 1
        kind = type(event)
        commit.events.append(EventRow(run=run.id, n=n, kind=KINDS[kind], at=event.at, body=_json.encode(event)))
        write = _ROWS.get(kind)
        if write is not None:
            write(run, event, commit)
    return commit


def note_row(run: Run, path: str, note: Note, at: float) -> NoteRow | None:
    """What running code said of itself. None when it is not the current attempt: only that speaks for its task."""
    place = run.places.get(path)
    if place is None or not 0 <= note.n < len(place.units) or place.units[note.n].attempt != note.attempt:
        return None
    return NoteRow(
        run=run.id, place=path, unit=note.n + 1 if place.mapped else 0, attempt=note.attempt, kind=note.kind, name=note.name, at=at,
        value=note.value, handle=note.handle,
    )  # fmt: skip


# ---------------------------------------------------------------- rows of tasks


def _summary(run: Run, place: Place, at: float) -> TaskRow:
    """The row of the node itself, when it is mapped."""
    state = place.state
    if state is TaskState.READY and any(unit.started for unit in place.units):
        state = TaskState.RUNNING
    started = min((unit.started for unit in place.units if unit.started is not None), default=None)
    return TaskRow(
        run=run.id,
        place=place.path,
        unit=0,
        task=place.node.task.name if place.node else place.group.flow if place.group else "",
        name=place.path,
        state=state,
        size=place.size,
        because=place.because,
        ready_at=place.units[0].first_ready if place.units else at,
        started_at=started,
        ended_at=at if place.ended else None,
        failure=place.failure,
    )


def _row(run: Run, place: Place, n: int) -> TaskRow:
    unit = place.units[n]
    node = place.node
    return TaskRow(
        run=run.id,
        place=place.path,
        unit=n + 1 if place.mapped else 0,
        task=node.task.name if node else "",
        name=place.label(n),
        state=unit.state,
        attempt=unit.attempt,
        because=place.because,
        ready_at=unit.first_ready,
        started_at=unit.started,
        ended_at=unit.ended,
        output=unit.handle,
        failure=unit.failure if unit.handle is None else None,
    )


def _opened(run: Run, event: ev.Opened, commit: Commit) -> None:
    place = run.places[event.place]
    if place.mapped:
        commit.tasks.append(_summary(run, place, event.at))
    for n, unit in enumerate(place.units):
        if unit.state is TaskState.REUSED:
            commit.tasks.append(_row(run, place, n))
    _containers(run, place, event.at, commit)


def _closed(run: Run, event: ev.Closed, commit: Commit) -> None:
    place = run.places[event.place]
    if place.mapped:
        commit.tasks.append(_summary(run, place, event.at))
    else:
        commit.tasks.append(_row(run, place, 0))
    _containers(run, place, event.at, commit)


def _launched(run: Run, event: ev.Launched, commit: Commit) -> None:
    place = run.places[event.place]
    commit.tasks += [_row(run, place, n) for n, _ in event.starts]
    if place.mapped and event.starts[0][0] == 0:
        commit.tasks.append(_summary(run, place, event.at))


def _settled(run: Run, event: ev.Settled, commit: Commit) -> None:
    place = run.places[event.place]
    task = place.node.task.name if place.node else ""
    mapped, units, run_id, path = place.mapped, place.units, run.id, place.path
    for o in event.outcomes:
        n = o.n
        unit = units[n]
        commit.tasks.append(
            TaskRow(
                run=run_id,
                place=path,
                unit=n + 1 if mapped else 0,
                task=task,
                name=place.label(n),
                state=unit.state,
                attempt=o.attempt,
                ready_at=unit.first_ready,
                started_at=o.started,
                ended_at=o.ended,
                cpu=o.cpu,
                memory=o.memory,
                output=o.handle,
                failure=o.failure,
            )
        )
        if unit.state is TaskState.RETRYING:
            commit.attempts.append(_attempt(run, place, o))
    if place.ended:
        _place_over(run, place, event.at, commit)


def _handed(run: Run, event: ev.Handed, commit: Commit) -> None:
    place = run.places[event.place]
    for n, why in event.units:
        commit.tasks.append(_row(run, place, n))
        if why:
            unit = place.units[n]
            gone = Outcome(n, unit.attempt, unit.started or event.at, event.at, None, Failure("lost", why))
            commit.attempts.append(_attempt(run, place, gone))


def _ended_otherwise(run: Run, event: ev.Reused | ev.Ended, commit: Commit) -> None:
    """Units that no attempt ended: their result was there already, or they were cancelled, lost, or out of time."""
    place = run.places[event.place]
    for n, _ in event.units:
        row = _row(run, place, n)
        row.because = event.because
        commit.tasks.append(row)
    if place.ended:
        _place_over(run, place, event.at, commit)


def _woken(run: Run, event: ev.Woken, commit: Commit) -> None:
    place = run.places[event.place]
    commit.tasks += [_row(run, place, n) for n in event.units]


def _place_over(run: Run, place: Place, at: float, commit: Commit) -> None:
    if place.mapped:
        commit.tasks.append(_summary(run, place, at))
    _containers(run, place, at, commit)


def _containers(run: Run, place: Place, at: float, commit: Commit) -> None:
    around = place.container
    while around is not None and around.ended:
        commit.tasks.append(_summary(run, around, at))
        around = around.container


def _attempt(run: Run, place: Place, ended: Outcome) -> AttemptRow:
    return AttemptRow(
        run=run.id,
        place=place.path,
        unit=ended.n + 1 if place.mapped else 0,
        attempt=ended.attempt,
        started_at=ended.started,
        ended_at=ended.ended,
        failure=ended.failure,
        cpu=ended.cpu,
        memory=ended.memory,
    )


# ---------------------------------------------------------------- the run's own columns


def _begun(_run: Run, event: ev.Begun, commit: Commit) -> None:
    commit.change = later(commit.change, RunChange(state=RunState.RUNNING, started_at=event.at))


def _cancel_asked(run: Run, event: ev.CancelAsked, commit: Commit) -> None:
    # A rule of the flow does not answer what a person may have asked in the meantime.
    cancel = UNSET if event.by in ("fail_fast", "timeout") else None
    commit.change = later(commit.change, RunChange(state=run.state, cancel=cancel))


def _finished(run: Run, event: ev.Finished, commit: Commit) -> None:
    end = RunChange(
        state=event.state,
        because=event.because,
        ended_at=event.at,
        counts=run.counts(),
        output=output(run) if event.state is RunState.SUCCEEDED else None,
        failure=run.failure[1] if run.failure and event.state is not RunState.SUCCEEDED else None,
        cancel=None,
    )
    commit.change = later(commit.change, end)


def later(before: RunChange | None, change: RunChange) -> RunChange:
    """Both changes in one: `change` came after `before`."""
    return change if before is None else msgspec.structs.replace(before, **given(change))


def given(change: RunChange) -> dict[str, Any]:
    """The columns that `change` sets."""
    return {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}


_ROWS: dict[type, Callable[[Run, Any, Commit], None]] = {
    ev.Begun: _begun,
    ev.Opened: _opened,
    ev.Closed: _closed,
    ev.Launched: _launched,
    ev.Settled: _settled,
    ev.Handed: _handed,
    ev.Reused: _ended_otherwise,
    ev.Ended: _ended_otherwise,
    ev.Woken: _woken,
    ev.CancelAsked: _cancel_asked,
    ev.Finished: _finished,
}
