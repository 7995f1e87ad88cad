"""Tasks, their earlier attempts, and what their code said: rows and queries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import median
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy import literal_column as literal

from tidemill.errors import Unknown
from tidemill.machine.states import TaskState
from tidemill.ports import AttemptRow, NoteRow, Page, TaskFilter, TaskRow
from tidemill.store import encoding
from tidemill.store.databases.connect import Bulk, Session
from tidemill.store.databases.tables import NODE, attempts, notes, runs, tasks
from tidemill.store.pages import after_task

TASKS = Bulk(tasks)
ATTEMPTS = Bulk(attempts)
NOTES = Bulk(notes)
DURATION_ROWS = 50_000  # most rows that a median is taken over

_ONE = select(tasks).where(tasks.c.run == bindparam("run"), tasks.c.place == bindparam("place"), tasks.c.unit == bindparam("unit"))
_places = select(tasks.c.place).where(tasks.c.run == bindparam("run"), NODE).order_by(tasks.c.place).limit(1000)
_is_node, _opened = (tasks.c.unit == literal("0")).label("node"), tasks.c.size.is_not(None).label("opened")
COUNTS = (
    select(tasks.c.place, tasks.c.state, _is_node, _opened, func.count().label("units"))
    .where(tasks.c.run == bindparam("run"))
    .group_by(tasks.c.place, tasks.c.state, _is_node, _opened)
)
_of_task = [attempts.c.run == bindparam("run"), attempts.c.place == bindparam("place"), attempts.c.unit == bindparam("unit")]
_ATTEMPTS = select(attempts).where(*_of_task).order_by(attempts.c.attempt)
_STATES = {state.value: state for state in TaskState}
_text, _json = encoding.text, encoding.to_json


def values(row: TaskRow) -> tuple[Any, ...]:
    """The tuple of a task."""
    # The hot path: 200 of these per commit. Most names are ASCII, most becauses empty, most failures None.
    name, because, output, failure = row.name, row.because, row.output, row.failure
    return (
        row.run,
        row.place,
        row.unit,
        row.task,
        row.state._value_,
        name and _text(name),
        row.attempt,
        row.size,
        because and _text(because),
        row.ready_at,
        row.started_at,
        row.ended_at,
        row.cpu,
        row.memory,
        None if output is None else _json(output),
        None if failure is None else _json(failure),
    )


def row(found: Sequence[Any]) -> TaskRow:
    """The task of a tuple."""
    run, place, unit, task, state, name, attempt, size, because, ready, started, ended, cpu, memory, output, failure = found
    return TaskRow(
        run=run,
        place=place,
        unit=unit,
        task=task,
        state=_STATES[state],
        name=name,
        attempt=attempt,
        size=size,
        because=because,
        ready_at=ready,
        started_at=started,
        ended_at=ended,
        cpu=cpu,
        memory=memory,
        output=encoding.some_handle(output),
        failure=encoding.some_failure(failure),
    )


def attempt_values(row: AttemptRow) -> tuple[Any, ...]:
    """The tuple of an attempt."""
    failure = encoding.some_json(row.failure)
    return (row.run, row.place, row.unit, row.attempt, row.started_at, row.ended_at, failure, row.cpu, row.memory)


def attempt_row(found: Sequence[Any]) -> AttemptRow:
    """The attempt of a tuple."""
    run, place, unit, attempt, started, ended, failure, cpu, memory = found
    return AttemptRow(
        run=run,
        place=place,
        unit=unit,
        attempt=attempt,
        started_at=started,
        ended_at=ended,
        failure=encoding.some_failure(failure),
        cpu=cpu,
        memory=memory,
    )


def note_values(row: NoteRow) -> tuple[Any, ...]:
    """The tuple of a note."""
    slot = 0.0 if row.kind == "progress" else row.at
    value, handle = encoding.number_or_text(row.value), encoding.some_json(row.handle)
    return (row.run, row.place, row.unit, row.attempt, row.kind, encoding.text(row.name), slot, row.at, value, handle)


def note_row(found: Sequence[Any]) -> NoteRow:
    """The note of a tuple."""
    run, place, unit, attempt, kind, name, _, at, value, handle = found
    return NoteRow(
        run=run,
        place=place,
        unit=unit,
        attempt=attempt,
        kind=kind,
        name=name,
        at=at,
        value=encoding.from_number_or_text(value),
        handle=encoding.some_handle(handle),
    )


@cache
def _list(*, of_place: bool, states: int, later: bool) -> Select[Any]:
    where = [tasks.c.run == bindparam("run")]
    if of_place:
        where += [tasks.c.place == bindparam("place"), tasks.c.unit > bindparam("unit")]
    else:
        where += [NODE, *([tasks.c.place > bindparam("place")] if later else [])]
    if states:
        where.append(tasks.c.state.in_([bindparam(f"state{n}") for n in range(states)]))
    return select(tasks).where(*where).order_by(tasks.c.place, tasks.c.unit).limit(bindparam("most"))


def listing(run: str, which: TaskFilter, page: Page) -> tuple[Select[Any], dict[str, Any]]:
    """The query for a page of tasks, and its values."""
    given: dict[str, Any] = {"run": run, "most": page.limit}
    place, unit = ("", 0) if page.after is None else after_task(page.after)
    if which.place is not None:
        given |= {"place": which.place, "unit": unit}
    elif page.after is not None:
        given["place"] = place
    given |= {f"state{n}": state.value for n, state in enumerate(which.states)}
    return _list(of_place=which.place is not None, states=len(which.states), later=page.after is not None), given


def one(session: Session, run: str, place: str, unit: int) -> TaskRow:
    """One task. Raises `Unknown`."""
    if found := session.rows(_ONE, run=run, place=place, unit=unit):
        return row(found[0])
    name = place if unit == 0 else f"{place}[{unit}]"
    raise Unknown("task", name, known=[r[0] for r in session.rows(_places, run=run)], see=f"tidemill show {run}")


def counts(session: Session, run: str) -> dict[str, dict[str, int]]:
    """Units by state, per place."""
    nodes: dict[str, dict[str, int]] = {}
    items: dict[str, dict[str, int]] = {}
    for place, state, is_node, opened, units in session.rows(COUNTS, run=run):
        if not is_node:
            items.setdefault(place, {})[state] = units
        else:
            nodes[place] = {} if opened else {state: units}
    return {place: items.get(place, nodes.get(place, {})) for place in sorted({*nodes, *items})}


def earlier(session: Session, run: str, place: str, unit: int) -> list[AttemptRow]:
    """Attempts of a task that another one followed."""
    return [attempt_row(found) for found in session.rows(_ATTEMPTS, run=run, place=place, unit=unit)]


_NOTE_ORDER = [notes.c.at, notes.c.place, notes.c.unit, notes.c.attempt, notes.c.kind, notes.c.name]
_NOTES = select(notes).where(notes.c.run == bindparam("run")).order_by(*_NOTE_ORDER)
_NOTES_OF = select(notes).where(notes.c.run == bindparam("run"), notes.c.place == bindparam("place")).order_by(*_NOTE_ORDER)


def said(session: Session, run: str, place: str | None) -> list[NoteRow]:
    """Notes of a run, or of one place in it, in order."""
    found = session.rows(_NOTES, run=run) if place is None else session.rows(_NOTES_OF, run=run, place=place)
    return [note_row(told) for told in found]


LAST_RUNS = (
    select(runs.c.id, (runs.c.ended_at - runs.c.started_at).label("seconds"))
    .where(runs.c.flow == bindparam("flow"), runs.c.state == literal("'succeeded'"))
    .order_by(runs.c.created_at.desc(), runs.c.id.desc())
    .limit(bindparam("most"))
)
SPANS = (
    select(tasks.c.place, (tasks.c.ended_at - tasks.c.started_at).label("seconds"))
    .where(tasks.c.run == bindparam("run"), NODE, tasks.c.state == literal("'succeeded'"))
    .where(tasks.c.started_at.is_not(None), tasks.c.ended_at.is_not(None))
    .limit(bindparam("most"))
)


def durations(session: Session, flow: str, most: int) -> dict[str, float]:
    """Median seconds per place over the last succeeded runs of `flow`."""
    spans: dict[str, list[float]] = {}
    room = DURATION_ROWS
    for run, seconds in session.rows(LAST_RUNS, flow=flow, most=most):
        if seconds is not None:
            spans.setdefault("", []).append(seconds)
        if room > 0:
            found = session.rows(SPANS, run=run, most=room)
            room -= len(found)
            for place, span in found:
                spans.setdefault(place, []).append(span)
    return {place: median(found) for place, found in spans.items()}
