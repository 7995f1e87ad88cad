"""Why: one causal chain for a run or a task, from its log alone. Pure; the command line and the API show the same text.

Reads the machine's folded run and its events. It knows no store, no clock and no screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tidemill.graph.policy import Policy
from tidemill.graph.values import At, Constant, Expr, Nothing, Ref, Several, refs
from tidemill.graph.work import Failure, Instant
from tidemill.machine import events as ev
from tidemill.machine.resolve import resolve, truth
from tidemill.machine.retry import matches
from tidemill.machine.run import Place, Run, Unit
from tidemill.machine.states import BAD_ENDS, RUN_ENDS, RunState, TaskState
from tidemill.ports import RunRow
from tidemill.project.values import preview

__all__ = ["Explanation", "Input", "Moment", "of_run", "of_task"]

_MOST = 50


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """One argument: where it came from, and what it was."""

    name: str
    source: str  # "extract", "region[2]", "given when the run was made"
    digest: str = ""
    bytes: int | None = None
    preview: str = ""


class Moment(msgspec.Struct, frozen=True):
    """Something that happened, and when."""

    at: Instant
    what: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`because` is the chain, most important first; `story` is in the order of time."""

    subject: str
    state: str
    because: list[str]
    inputs: list[Input] = []
    story: list[Moment] = []


# ---------------------------------------------------------------- a run


def of_run(row: RunRow, run: Run, log: Sequence[ev.Event], *, driver: str = "") -> Explanation:
    """Why a run is as it is. `driver` says which process drives it, if one does."""
    because = [_origin(row)]
    if row.state in RUN_ENDS:
        because += _ended_run(row, run)
    else:
        because += _waiting_run(run, driver)
    return Explanation(subject=f"run {row.id} of {row.flow}", state=str(row.state), because=because, story=list(_run_story(log)))


def _origin(row: RunRow) -> str:
    if row.retry_of:
        return f"It was made as a retry of run {row.retry_of}."
    why = row.because if row.state not in RUN_ENDS and row.because else ""
    origins = {"cli": "on the command line", "python": "by Python code"}
    return f"It was {why or 'asked for ' + origins.get(row.origin, f'by {row.origin}')}."


def _ended_run(row: RunRow, run: Run) -> Iterator[str]:
    if row.state is RunState.SUCCEEDED:
        kept = sum(len(units) for units in run.inherited.values())
        yield "All its tasks that had to run succeeded." + (f" {kept:,} results were taken over from the run before." if kept else "")
        skipped = [place.path for place in run.places.values() if place.state is TaskState.SKIPPED]
        if skipped:
            yield f"Skipped: {_list(skipped)}."
        return
    if row.state is RunState.CANCELLED:
        yield f"It was cancelled: {row.because or run.because}."
    if run.failure is not None:
        label, failure = run.failure
        yield f"{label} failed first: {_failure(failure)}"
    failed = [place.path for place in run.places.values() if place.state in (TaskState.FAILED, TaskState.LOST) and not place.called_by]
    if len(failed) > 1:
        yield f"Failed: {_list(failed)}."
    blocked = [f"{place.path} ({place.because})" for place in run.places.values() if place.state is TaskState.BLOCKED]
    if blocked:
        yield f"Blocked by that: {_list(blocked)}."


def _waiting_run(run: Run, driver: str) -> Iterator[str]:
    yield driver or "No process drives it: the next `tidemill run` of its project continues it."
    if run.stopping is not None:
        yield f"It is being stopped: {run.stopping}."
    running = [place.label(n) for place in run.places.values() for n, unit in enumerate(place.units) if unit.state is TaskState.RUNNING]
    if running:
        yield f"Running: {_list(running)}."
    retrying = [place.label(n) for place in run.places.values() for n, unit in enumerate(place.units) if unit.state is TaskState.RETRYING]
    if retrying:
        yield f"Waiting to be tried again: {_list(retrying)}."
    ready = sum(1 for place in run.places.values() for unit in place.units if unit.state is TaskState.READY)
    if ready:
        yield f"{ready:,} ready, waiting for a free worker or pool."


def _run_story(log: Sequence[ev.Event]) -> Iterator[Moment]:
    for event in log:
        if isinstance(event, ev.Begun):
            yield Moment(event.at, "an engine took it up")
        elif isinstance(event, ev.Inherited):
            count = sum(len(units) for units in event.units.values())
            yield Moment(event.at, f"{count:,} results were taken over from run {event.run}")
        elif isinstance(event, ev.Recovered):
            yield Moment(event.at, f"another engine ({event.by}) took it up: the one before was gone")
        elif isinstance(event, ev.CancelAsked):
            yield Moment(event.at, f"{event.by} asked for its end{f': {event.because}' if event.because else ''}")
        elif isinstance(event, ev.Closed) and event.state in BAD_ENDS:
            yield Moment(event.at, f"{event.place} was {event.state}: {event.because}")
        elif isinstance(event, ev.Settled):
            for outcome in event.outcomes[:_MOST]:
                if outcome.failure is not None:
                    yield Moment(outcome.ended, f"{event.place} failed in attempt {outcome.attempt}: {_failure(outcome.failure)}")
        elif isinstance(event, ev.Finished):
            yield Moment(event.at, f"it ended: {event.state}{f' ({event.because})' if event.because else ''}")


# ---------------------------------------------------------------- a task


def of_task(run: Run, log: Sequence[ev.Event], path: str, n: int | None = None) -> Explanation:
    """Why a task is as it is. `n`: the item of a mapped one; None: the node itself."""
    place = run.places[path]
    single = n if n is not None else (0 if place.units and not place.mapped else None)
    unit = place.units[single] if single is not None and single < len(place.units) else None
    state = unit.state if unit is not None else place.state
    label = place.label(single) if single is not None else place.path
    because = list(_why(run, place, unit, state, log, single))
    return Explanation(
        subject=f"task {label} of run {run.id}", state=str(state), because=because, inputs=list(_inputs(run, place, single)),
        story=list(_task_story(log, place, single)),
    )  # fmt: skip


def _why(run: Run, place: Place, unit: Unit | None, state: TaskState, log: Sequence[ev.Event], n: int | None) -> Iterator[str]:
    if state is TaskState.WAITING:
        yield from _what_it_waits_for(run, place)
    elif state is TaskState.READY:
        yield _why_ready(place)
    elif state is TaskState.SKIPPED:
        yield f"It was skipped: {_condition(run, place) or place.because}."
    elif state is TaskState.BLOCKED:
        yield f"It could not run: {place.because}."
        yield from _root_causes(place)
    elif state is TaskState.CANCELLED:
        yield f"It was cancelled: {place.because or run.stopping or run.because}."
    elif state is TaskState.REUSED:
        yield _why_reused(place, log, n)
    else:
        yield _why_it_ran(place)
    failure = unit.failure if unit is not None else place.failure
    if failure is not None and state in (TaskState.FAILED, TaskState.LOST, TaskState.RETRYING):
        yield f"Its attempt failed: {_failure(failure)}" if unit is not None and unit.attempt else f"It failed: {_failure(failure)}"
        if unit is not None and unit.attempt:
            yield _why_no_more(place.policy, unit, failure, state)
    if unit is None and place.mapped and place.size is not None:
        yield f"It has {place.size:,} items: {place.good:,} good, {place.bad:,} not, {place.pending:,} to come."


def _what_it_waits_for(run: Run, place: Place) -> Iterator[str]:
    open_ = [f"{one.path} ({_stands(one)})" for one in place.upstream if not one.ended]
    if open_:
        yield f"It waits for {_list(open_)}."
    elif place.asked:
        yield f"A worker is asked for the {place.asked} of a value it depends on."
    elif run.is_flow_hook(place):
        yield "It runs when everything else has ended."
    else:
        yield "All it needs is there; it is next."


def _why_ready(place: Place) -> str:
    where = f"the pool {place.policy.pool!r}" if place.policy.pool else "a worker"
    return f"All it needs is there; it waits for a free slot in {where}."


def _why_it_ran(place: Place) -> str:
    if not place.upstream:
        return "It ran because it waits for nothing."
    rule = place.policy.run_if
    ended = _list([f"{one.path} {one.state}" for one in place.upstream])
    return f"It ran because all it waits for had ended: {ended}." + (f" Its rule is {rule}." if rule != "all_succeeded" else "")


def _why_reused(place: Place, log: Sequence[ev.Event], n: int | None) -> str:
    for event in log:
        if isinstance(event, ev.Reused) and event.place == place.path and event.because:
            if n is not None and all(unit != n for unit, _ in event.units):
                continue
            return f"Its result was taken: {event.because}."
        if isinstance(event, ev.Inherited) and place.path in event.units:
            return f"It had succeeded in run {event.run}, of which this is a retry, and was given the same."
    return "Its result was there already."


def _why_no_more(policy: Policy, unit: Unit, failure: Failure, state: TaskState) -> str:
    if state is TaskState.RETRYING:
        return f"Attempt {unit.attempt + 1} follows: it has {policy.retries} retries."
    if policy.at_most_once:
        return "It is to be started at most once, so it was not tried again."
    if not policy.retries:
        return "It has no retries."
    if not matches(policy.retry_on, failure):
        return f"It was not tried again: its retry_on is {', '.join(policy.retry_on)}."
    return f"It was tried {unit.attempt} times, and has {policy.retries} retries."


def _condition(run: Run, place: Place) -> str:
    what = place.node or place.group
    if what is None or any(one.state is TaskState.SKIPPED for one in place.upstream):
        return ""
    for when in what.when:
        of, found = next(refs(when.of), None), resolve(run, when.of, place.scope)
        known = truth(found)
        if of is not None and (known is not None or place.held is False) and known is not when.is_:
            return f"it runs only when {of.node} is {'true' if when.is_ else 'false'}, and it was {preview(found)}"
    return ""


def _stands(place: Place) -> TaskState:
    """The state of a place as people see it: one with a running unit is running."""
    if place.ended or not place.units:
        return place.state
    states = {unit.state for unit in place.units}
    return next((state for state in (TaskState.RUNNING, TaskState.RETRYING) if state in states), place.state)


def _root_causes(place: Place) -> Iterator[str]:
    seen, stack = set(), [place]
    while stack:
        one = stack.pop()
        if one.path in seen:
            continue
        seen.add(one.path)
        if one.state in (TaskState.FAILED, TaskState.LOST):
            failure = one.failure or next((unit.failure for unit in one.units if unit.failure and unit.state in BAD_ENDS), None)
            yield f"The cause is {one.path}: {_failure(failure) if failure else one.because}"
            continue
        stack.extend(before for before in one.upstream if before.state in BAD_ENDS)


def _inputs(run: Run, place: Place, n: int | None) -> Iterator[Input]:
    for name, expr in place.node.args.items() if place.node is not None else ():
        found = resolve(run, expr, place.scope)
        source = _list(list(dict.fromkeys(ref.node for ref in refs(expr)))) or "given when the run was made"
        if name in (place.node.over if place.node else ()) and n is not None:
            yield _input(name, f"item {n} of {source}", _nth(found, n))
        else:
            yield _input(name, source, found)


def _nth(expr: Expr, n: int) -> Expr:
    if isinstance(expr, Several):
        return expr.items[n] if n < len(expr.items) else Nothing()
    if isinstance(expr, (At, Constant)):
        return At(expr.handle, (*getattr(expr, "path", ()), ("nth", n)))
    return expr


def _input(name: str, source: str, expr: Expr) -> Input:
    if isinstance(expr, Nothing):
        return Input(name, source, preview="(nothing: it was skipped, or has not ended)")
    if isinstance(expr, (Several, Ref)) or not isinstance(expr, (At, Constant)):
        return Input(name, source, preview=preview(expr, most=5)[:200] if isinstance(expr, Several) else "")
    handle = expr.handle
    return Input(name, source, handle.digest, handle.size, preview(expr)[:200])


def _task_story(log: Sequence[ev.Event], place: Place, n: int | None) -> Iterator[Moment]:
    for event in log:
        if getattr(event, "place", None) != place.path:
            continue
        if isinstance(event, ev.Opened):
            yield Moment(event.at, "all it needs is there" if event.size is None else f"mapped over {event.size:,} items")
        elif isinstance(event, ev.Closed):
            yield Moment(event.at, f"{event.state}: {event.because}")
        elif isinstance(event, ev.Settled):
            again = dict(event.retries)
            for outcome in event.outcomes:
                if outcome.n == n:
                    yield Moment(outcome.ended, _settled(outcome.attempt, outcome.failure, again.get(outcome.n), outcome.ended))
        else:
            yield from _unit_moments(event, n)


def _unit_moments(event: ev.Event, n: int | None) -> Iterator[Moment]:
    if isinstance(event, ev.Launched):
        yield from (Moment(event.at, f"attempt {attempt} was handed to a worker") for unit, attempt in event.starts if unit == n)
    elif isinstance(event, ev.Handed):
        yield from (Moment(event.at, f"given back: {why or 'never started'}") for unit, why in event.units if unit == n)
    elif isinstance(event, (ev.Reused, ev.Ended)):
        yield from (Moment(event.at, event.because or "its result was there already") for unit, *_ in event.units if unit == n)


def _settled(attempt: int, failure: Failure | None, again: Instant | None, ended: Instant) -> str:
    if failure is None:
        return f"attempt {attempt} succeeded"
    after = f"; the next one after {again - ended:.1f} s" if again is not None else ""
    return f"attempt {attempt} failed: {_failure(failure)}{after}"


def _failure(failure: Failure) -> str:
    kind = failure.type.removeprefix("builtins.")
    what = ": ".join(text for text in (kind, failure.message.splitlines()[0] if failure.message else "") if text)
    return f"{what or failure.cause} ({failure.cause})"


def _list(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
