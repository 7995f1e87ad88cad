"""The only place where a run changes: one event at a time, live and when the log is read again.

Decides nothing. Returns the places that may have to be considered now. An event that does not fit the tables raises
`IllegalMove` before it has changed anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tidemill.graph.values import Handle
from tidemill.graph.work import Failure, Instant, Outcome
from tidemill.machine import events as ev
from tidemill.machine.run import AFTERMATH, IllegalMove, Place, Run, Unit
from tidemill.machine.states import GOOD_ENDS, RUN_MOVES, TASK_MOVES, Move, RunMove, RunState, TaskState

RUNNING, SUCCEEDED = TaskState.RUNNING, TaskState.SUCCEEDED

_FROM = {move: frozenset(state for state, moves in TASK_MOVES.items() if move in moves) for move in Move}


def apply(run: Run, event: ev.Event) -> list[Place]:
    """Let `event` be true of `run`. Returns the places that it touched so that they want a look."""
    touched = _HANDLERS[type(event)](run, event)
    run.entries += 1
    return touched


def fold(run: Run, log: Iterable[ev.Event]) -> Run:
    """`run`, fresh from its graph, after everything in `log`."""
    for event in log:
        apply(run, event)
    return run


# ---------------------------------------------------------------- moves


def _move(place: Place, unit: Unit, move: Move) -> TaskState:
    to = TASK_MOVES[unit.state].get(move)
    if to is None:
        raise IllegalMove(f"Task {place.path}", unit.state, move, f"attempt {unit.attempt}, {place.because}")
    unit.state = to
    return to


def _check(place: Place, numbers: Sequence[int], move: Move) -> None:
    """Raise before the first of several moves when one of them is illegal."""
    units = place.units
    start = _FROM[move]
    for n in numbers:
        if units[n].state not in start:
            raise IllegalMove(f"Task {place.label(n)}", units[n].state, move, f"attempt {units[n].attempt}, {place.because}")
    if len(numbers) > 1 and len(set(numbers)) != len(numbers):
        raise IllegalMove(f"Task {place.path}", "to be moved once", f"{move} twice in one event")


def _run_move(run: Run, move: RunMove) -> None:
    to = RUN_MOVES[run.state].get(move)
    if to is None:
        raise IllegalMove(f"Run {run.id}", run.state, move, run.because)
    run.state = to


def _unit_ended(place: Place, unit: Unit, touched: list[Place], run: Run) -> None:
    place.pending -= 1
    if unit.state in GOOD_ENDS:
        place.good += 1
    else:
        place.bad += 1
    if place.pending == 0:
        _end(run, place, place.aggregate() if place.mapped else unit.state, touched)


def _end(run: Run, place: Place, state: TaskState, touched: list[Place]) -> None:
    """The place is over: count it, and let those who wait for it know."""
    stack = [(place, state)]
    while stack:
        here, final = stack.pop()
        here.state = final
        run.note_end(here)
        touched.append(here)
        for reader in here.readers:
            reader.waits -= 1
            if reader.waits == 0:
                touched.append(reader)
        container = here.container
        if container is not None:
            container.pending -= 1
            if final in GOOD_ENDS or final is TaskState.SKIPPED:
                container.good += 1
            else:
                container.bad += 1
            if container.pending == 0:
                stack.append((container, container.aggregate()))


def _first_failure(run: Run, place: Place, label: str, failure: Failure | None) -> None:
    if run.failure is None and failure is not None and place.called_by is None:
        run.failure = (label, failure)


# ---------------------------------------------------------------- one handler an event


def _begun(run: Run, event: ev.Begun) -> list[Place]:
    _run_move(run, RunMove.BEGIN)
    run.begun_at = event.at
    return [place for place in run.places.values() if place.waits == 0]


def _inherited(run: Run, event: ev.Inherited) -> list[Place]:
    run.inherited = {path: dict(units) for path, units in event.units.items()}
    return []


def _opened(run: Run, event: ev.Opened) -> list[Place]:
    place = run.places[event.place]
    if place.state is not TaskState.WAITING:
        raise IllegalMove(f"Task {place.path}", place.state, Move.OPEN)
    touched: list[Place] = []
    place.asked = None
    place.size, place.keys = event.size, event.keys
    if place.group is not None:
        _open_group(run, place, event.size or 0, touched)
        return touched
    if place.mapped:
        place.units = [Unit() for _ in range(event.size or 0)]
        place.pending = len(place.units)
    place.state = TaskState.READY
    if not place.units:
        _end(run, place, SUCCEEDED, touched)
        return touched
    inherited = run.inherited.get(place.path)
    for n, unit in enumerate(place.units):
        _move(place, unit, Move.OPEN)
        unit.ready_at = unit.first_ready = event.at
        if inherited and n in inherited:
            _reuse(run, place, unit, inherited[n], event.at, touched)
    if not place.ended:
        touched.append(place)
    return touched


def _open_group(run: Run, place: Place, size: int, touched: list[Place]) -> None:
    group = place.group
    assert group is not None
    place.state = TaskState.READY
    for n in range(size):
        place.children += run.add(run.inside(group.key), (*place.scope, (group.key, n)), place)
    place.pending = len(place.children)
    run.link(place.children)
    if not place.children:
        _end(run, place, SUCCEEDED, touched)
    touched += [child for child in place.children if child.waits == 0]


def _reuse(run: Run, place: Place, unit: Unit, handle: Handle, at: Instant, touched: list[Place]) -> None:
    _move(place, unit, Move.REUSE)
    unit.handle = handle
    unit.ended = at
    _unit_ended(place, unit, touched, run)


def _judged(run: Run, event: ev.Judged) -> list[Place]:
    place = run.places[event.place]
    place.held = event.held
    place.asked = None
    return [place]


def _closed(run: Run, event: ev.Closed) -> list[Place]:
    place = run.places[event.place]
    move = {TaskState.SKIPPED: Move.SKIP, TaskState.BLOCKED: Move.BLOCK, TaskState.CANCELLED: Move.CANCEL}.get(event.state, Move.FAIL)
    if TASK_MOVES[place.state].get(move) is None:
        raise IllegalMove(f"Task {place.path}", place.state, move)
    place.because, place.failure, place.asked = event.because, event.failure, None
    touched: list[Place] = []
    for unit in place.units:
        unit.state = event.state
        unit.ended = event.at
        unit.failure = event.failure
    place.pending = 0
    _first_failure(run, place, place.path, event.failure)
    _end(run, place, event.state, touched)
    return touched


def _launched(run: Run, event: ev.Launched) -> list[Place]:
    place = run.places[event.place]
    units, at = place.units, event.at
    _check(place, [n for n, _ in event.starts], Move.LAUNCH)
    for n, attempt in event.starts:
        unit = units[n]
        unit.state = RUNNING
        unit.attempt = attempt
        unit.started = at
    return []


def _settled(run: Run, event: ev.Settled) -> list[Place]:
    place = run.places[event.place]
    units = place.units
    touched: list[Place] = []
    good = 0
    retries = dict(event.retries)
    _check(place, [outcome.n for outcome in event.outcomes], Move.SUCCEED)
    for outcome in event.outcomes:
        unit = units[outcome.n]
        if outcome.failure is None:
            unit.state = SUCCEEDED
            unit.handle = outcome.handle
            unit.started = outcome.started
            unit.ended = outcome.ended
            good += 1
        else:
            _failed_attempt(run, place, outcome, retries, touched)
    if good:
        place.good += good
        place.pending -= good
        if place.pending == 0:
            _end(run, place, place.aggregate() if place.mapped else SUCCEEDED, touched)
    return touched


def _failed_attempt(run: Run, place: Place, outcome: Outcome, retries: dict[int, Instant], touched: list[Place]) -> None:
    n, failure = outcome.n, outcome.failure
    assert failure is not None
    unit = place.units[n]
    unit.failure = failure
    if failure.cause == "memory":
        unit.grown += 1
    if n in retries:
        _move(place, unit, Move.RETRY)
        unit.ready_at = retries[n]
        return
    unit.ended = outcome.ended
    stopped = run.stopping is not None and place.role not in AFTERMATH
    if place.policy.at_most_once and (failure.cause == "lost" or (failure.cause == "cancelled" and not stopped)):
        _move(place, unit, Move.LOSE)
        _first_failure(run, place, place.label(n), failure)
    elif failure.cause == "cancelled" or (failure.cause == "lost" and stopped):
        _move(place, unit, Move.CANCEL)
    else:
        _move(place, unit, Move.FAIL)
        _first_failure(run, place, place.label(n), failure)
    _unit_ended(place, unit, touched, run)


def _handed(run: Run, event: ev.Handed) -> list[Place]:
    place = run.places[event.place]
    _check(place, [n for n, _ in event.units], Move.RETURN)
    for n, why in event.units:
        unit = place.units[n]
        _move(place, unit, Move.RETURN)
        if why:
            unit.lost += 1
        else:
            unit.returned += 1
        unit.ready_at = event.at
    return []


def _reused(run: Run, event: ev.Reused) -> list[Place]:
    place = run.places[event.place]
    touched: list[Place] = []
    _check(place, [n for n, _ in event.units], Move.REUSE)
    for n, handle in event.units:
        _reuse(run, place, place.units[n], handle, event.at, touched)
    return touched


_ENDING = {TaskState.CANCELLED: Move.CANCEL, TaskState.LOST: Move.LOSE, TaskState.FAILED: Move.FAIL}


def _ended(run: Run, event: ev.Ended) -> list[Place]:
    place = run.places[event.place]
    touched: list[Place] = []
    for n, state in event.units:
        _check(place, [n], _ENDING[state])
    place.because = place.because or event.because
    for n, state in event.units:
        unit = place.units[n]
        _move(place, unit, _ENDING[state])
        unit.ended = event.at
        unit.failure = event.failure or unit.failure
        if state is not TaskState.CANCELLED:
            _first_failure(run, place, place.label(n), event.failure)
        _unit_ended(place, unit, touched, run)
    return touched


def _woken(run: Run, event: ev.Woken) -> list[Place]:
    place = run.places[event.place]
    _check(place, event.units, Move.WAKE)
    for n in event.units:
        _move(place, place.units[n], Move.WAKE)
        place.units[n].ready_at = event.at
    return []


def _called(run: Run, event: ev.Called) -> list[Place]:
    driver = run.places[event.place]
    # The key of a call begins with the path of its driver: it is unique in the run as it is, also within mapped groups.
    (place,) = run.add([event.node], (), None)
    place.called_by = driver
    run.link([place])
    return [place] if place.waits == 0 else []


def _cancel_asked(run: Run, event: ev.CancelAsked) -> list[Place]:
    if event.by not in ("fail_fast", "timeout"):
        _run_move(run, RunMove.CANCEL)
        run.because = event.because or f"cancelled by {event.by}"
    if run.stopping is None or event.by not in ("fail_fast", "timeout"):
        run.stopping, run.stopped_by = event.because or f"cancelled by {event.by}", event.by
    if event.by == "timeout" and run.failure is None:
        run.failure = (run.graph.flow, Failure("timeout", event.because))
    # What may still start after a cancellation goes on as it is, if it is open.
    return [place for place in run.places.values() if place.state is TaskState.WAITING or not (place.ended or place.role in AFTERMATH)]


def _recovered(_run: Run, _event: ev.Recovered) -> list[Place]:
    return []


_FINISH = {RunState.SUCCEEDED: RunMove.SUCCEED, RunState.FAILED: RunMove.FAIL, RunState.CANCELLED: RunMove.END_CANCELLED}


def _finished(run: Run, event: ev.Finished) -> list[Place]:
    _run_move(run, _FINISH[event.state])
    run.because = event.because
    return []


_HANDLERS: dict[type, Callable[[Run, Any], list[Place]]] = {
    ev.Begun: _begun,
    ev.Inherited: _inherited,
    ev.Opened: _opened,
    ev.Judged: _judged,
    ev.Closed: _closed,
    ev.Launched: _launched,
    ev.Settled: _settled,
    ev.Handed: _handed,
    ev.Reused: _reused,
    ev.Ended: _ended,
    ev.Woken: _woken,
    ev.Called: _called,
    ev.CancelAsked: _cancel_asked,
    ev.Recovered: _recovered,
    ev.Finished: _finished,
}
