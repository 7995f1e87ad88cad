"""What is to happen with one place that may go, or with a run in which nothing is left to do. Decides; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from tidemill.graph.values import Expr
from tidemill.graph.work import Failure, Instant
from tidemill.machine import effects as fx
from tidemill.machine import events as ev
from tidemill.machine.resolve import output, resolve, shape, truth
from tidemill.machine.rules import judge
from tidemill.machine.run import AFTERMATH, Place, Run
from tidemill.machine.states import RUN_ENDS, RunState, TaskState

MAX_ITEMS = 1_000_000  # that one node may be mapped over


class Step:
    """What one stimulus led to: events for the log, effects for the engine. `refused` counts reports that came too late."""

    __slots__ = ("at", "effects", "events", "offered", "refused", "shapes")

    def __init__(self, at: Instant) -> None:
        self.at = at
        self.events: list[ev.Event] = []
        self.effects: list[fx.Effect] = []
        self.refused = 0
        self.offered: set[str] = set()  # places whose units were made ready
        self.shapes: dict[str, tuple[tuple[int, ...], tuple[tuple[str, ...] | None, ...]]] = {}


def consider(run: Run, step: Step, place: Place) -> Iterator[ev.Event]:
    """The events that follow for `place` now; effects go straight into `step`."""
    if place.state is TaskState.WAITING:
        yield from _waiting(run, step, place)
    elif place.state is TaskState.READY and place.units:
        yield from _open(run, step, place)


def stop_early(run: Run, step: Step) -> Iterator[ev.Event]:
    """A flow that fails fast is stopped by its first failure."""
    if run.graph.fail_fast and run.failure is not None and run.stopping is None and run.state is RunState.RUNNING:
        yield ev.CancelAsked(step.at, "fail_fast", f"{run.failure[0]} failed, and the flow is to fail fast")


def conclude(run: Run, step: Step) -> Iterator[ev.Event]:
    """When nothing of the run is left to do: the hooks' turn, then the end."""
    if run.body_open or run.state in (RunState.QUEUED, *RUN_ENDS):
        return
    if run.hooks_open:
        for place in list(run.places.values()):
            if run.is_flow_hook(place) and place.state is TaskState.WAITING and place.asked is None:
                yield from _waiting(run, step, place)
        return
    state, because = verdict(run)
    step.effects.append(fx.Conclude(state, output(run) if state is RunState.SUCCEEDED else None))
    yield ev.Finished(step.at, state, because)


def verdict(run: Run) -> tuple[RunState, str]:
    """How a run ends in which everything has ended."""
    if run.state is RunState.CANCELLING:
        return RunState.CANCELLED, run.because
    bad = [place.path for place in run.bad_places()]
    if run.failure is not None or bad:
        label, failure = run.failure or (bad[0], Failure("error", run.places[bad[0]].because))
        return RunState.FAILED, f"{label}: {failure.message or failure.cause}"[:500]
    return RunState.SUCCEEDED, ""


# ---------------------------------------------------------------- a place nobody has to wait for any more


def _waiting(run: Run, step: Step, place: Place) -> Iterator[ev.Event]:
    stopped = run.stopping is not None and place.role not in AFTERMATH
    if stopped:
        yield ev.Closed(step.at, place.path, TaskState.CANCELLED, run.stopping or "")
        return
    if place.waits or place.asked or (run.is_flow_hook(place) and run.body_open):
        return
    state, because = judge(run, place)
    if state is not None:
        yield ev.Closed(step.at, place.path, state, because)
        return
    held = _conditions(run, step, place)
    if held is None:
        return
    if not held:
        yield ev.Closed(step.at, place.path, TaskState.SKIPPED, "its condition does not hold")
        return
    yield from _opening(run, step, place)


def _conditions(run: Run, step: Step, place: Place) -> bool | None:
    """Whether all conditions hold; None when a worker had to be asked."""
    if place.held is not None:
        return place.held
    what = place.node or place.group
    if what is None or not what.when:
        return True
    exprs = tuple(resolve(run, when.of, place.scope) for when in what.when)
    truths = [truth(expr) for expr in exprs]
    if any(known is not None and known != when.is_ for known, when in zip(truths, what.when, strict=True)):
        return False
    if all(known is not None for known in truths):
        return True
    _ask(step, place, "truth", exprs)
    return None


def _ask(step: Step, place: Place, want: str, exprs: tuple[Expr, ...]) -> None:
    place.asked = want
    step.effects.append(fx.Ask(place.path, "truth" if want == "truth" else "shape", exprs))


def _opening(run: Run, step: Step, place: Place) -> Iterator[ev.Event]:
    if not place.mapped:
        yield ev.Opened(step.at, place.path)
        return
    sources = _mapped_over(place)
    exprs = tuple(resolve(run, expr, place.scope) for expr in sources.values())
    answered = step.shapes.get(place.path)
    if answered is not None:
        lengths, keys = answered
    else:
        shapes = [shape(expr) for expr in exprs]
        if any(known is None for known in shapes):
            _ask(step, place, "shape", exprs)
            return
        lengths = tuple(known.length or 0 for known in shapes if known is not None)
        keys = tuple(known.keys for known in shapes if known is not None)
    yield _expanded(step, place, list(sources), lengths, keys)


def _mapped_over(place: Place) -> dict[str, Expr]:
    if place.group is not None:
        return place.group.over
    assert place.node is not None
    return {name: place.node.args[name] for name in place.node.over}


def _expanded(
    step: Step, place: Place, names: list[str], lengths: tuple[int, ...], keys: tuple[tuple[str, ...] | None, ...]
) -> ev.Opened | ev.Closed:
    size = lengths[0]
    trouble = ""
    if len(set(lengths)) > 1:
        trouble = "mapped over lists of different lengths: " + ", ".join(f"{name} has {n}" for name, n in zip(names, lengths, strict=True))
    elif size > MAX_ITEMS:
        trouble = f"mapped over {size:,} items; at most {MAX_ITEMS:,} are allowed"
    if trouble:
        return ev.Closed(step.at, place.path, TaskState.FAILED, trouble, Failure("input", trouble))
    return ev.Opened(step.at, place.path, size, next((one for one in keys if one is not None), None))


def _open(run: Run, step: Step, place: Place) -> Iterator[ev.Event]:
    """A place was opened just now, or the run is being stopped while it is open."""
    if run.stopping is not None and place.role not in AFTERMATH:
        idle = [n for n, unit in enumerate(place.units) if unit.state in (TaskState.READY, TaskState.RETRYING)]
        step.effects.append(fx.Withdraw(place.path))
        for n, unit in enumerate(place.units):
            if unit.state is TaskState.RUNNING:
                step.effects.append(fx.Stop(place.path, n, unit.attempt, "cancelled"))
        if idle:
            yield ev.Ended(step.at, place.path, [(n, TaskState.CANCELLED) for n in idle], run.stopping)
        return
    units = [n for n, unit in enumerate(place.units) if unit.state is TaskState.READY]
    if not units or place.path in step.offered:  # one step may come by a place twice
        return
    step.offered.add(place.path)
    whole = len(units) == len(place.units)
    step.effects.append(fx.MakeReady(place.path, range(len(units)) if whole else tuple(units)))
    limits(step, place, units, "queue")
    limits(step, place, units, "total")


def limits(step: Step, place: Place, units: Sequence[int], why: Literal["queue", "total"]) -> None:
    """Set the alarms for how long units may wait to be started, or take in all."""
    timeout = place.policy.timeout
    seconds = timeout.queue if why == "queue" else timeout.total
    if seconds is None:
        return
    for n in units:
        since = place.units[n].ready_at if why == "queue" else place.units[n].first_ready
        step.effects.append(fx.WakeAt((since if since is not None else step.at) + seconds, place.path, n, why))
