"""What becomes of a run when something happens to it: the public face of the machine.

Each function takes one stimulus, lets it be true, follows it to its end, and returns the events to be logged and the
effects to be performed. A stimulus that comes too late, twice, or from a fenced attempt changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from tidemill.graph.nodes import Node
from tidemill.graph.values import Handle, Ref
from tidemill.graph.work import Answer, Failure, Instant, Outcome
from tidemill.machine import effects as fx
from tidemill.machine import events as ev
from tidemill.machine.apply import apply
from tidemill.machine.decide import Step, conclude, consider, limits, stop_early
from tidemill.machine.resolve import resolve
from tidemill.machine.retry import lost_too_often, retry_at
from tidemill.machine.run import AFTERMATH, Place, Run
from tidemill.machine.states import BAD_ENDS, RUN_ENDS, TaskState

__all__ = [
    "Step", "answer", "begin", "call", "cancel", "inherit", "launched", "outstanding", "recover", "returned", "reused", "run_out", "settle",
    "wake",
]  # fmt: skip


_WENT_AWAY = ("lost", "cancelled")  # stopped though nobody cancelled it: with its engine, as with its worker


def begin(run: Run, at: Instant) -> Step:
    """An engine takes the run up for the first time."""
    step = Step(at)
    _follow(run, step, ev.Begun(at))
    if run.graph.timeout is not None:
        step.effects.append(fx.WakeRun(at + run.graph.timeout))
    return step


def inherit(run: Run, event: ev.Inherited) -> Step:
    """Before the beginning of a retry: what it takes over."""
    step = Step(event.at)
    _follow(run, step, event)
    return step


def launched(run: Run, path: str, starts: Sequence[tuple[int, int]], at: Instant) -> Step:
    """Attempts were handed to a worker."""
    step = Step(at)
    place = run.places[path]
    _follow(run, step, ev.Launched(at, path, list(starts)))
    limit = place.policy.timeout.run
    if limit is not None:
        step.effects += [fx.WakeAt(at + limit, path, n, "run", attempt) for n, attempt in starts]
    return step


def settle(run: Run, path: str, outcomes: Sequence[Outcome], at: Instant) -> Step:
    """Attempts ended. Those that are not the current attempt of a running unit are refused."""
    step = Step(at)
    place = run.places.get(path)
    if place is None:
        step.refused = len(outcomes)
        return step
    accepted: list[Outcome] = []
    lost: list[tuple[int, str]] = []
    retries: list[tuple[int, Instant]] = []
    stopped = run.stopping is not None and place.role not in AFTERMATH
    told: set[int] = set()  # one report may tell of the same attempt twice
    units = place.units
    for outcome in outcomes:
        if not is_current(place, outcome.n, outcome.attempt) or outcome.n in told:
            step.refused += 1
            continue
        told.add(outcome.n)
        failure = outcome.failure
        if failure is not None and not stopped:
            if failure.cause in _WENT_AWAY and not place.policy.at_most_once and not lost_too_often(units[outcome.n]):
                lost.append((outcome.n, failure.message or "its worker was lost"))
                continue
            again = retry_at(run, place.policy, units[outcome.n], outcome, place.path)
            if again is not None:
                retries.append((outcome.n, again))
        accepted.append(outcome)
    if accepted:
        _follow(run, step, ev.Settled(at, path, accepted, retries))
        step.effects += [fx.WakeAt(when, path, n, "retry", units[n].attempt) for n, when in retries]
    if lost:
        _hand_back(run, step, place, lost)
    return step


def returned(run: Run, path: str, starts: Iterable[tuple[int, int]], at: Instant) -> Step:
    """Attempts were taken and never started. Those that are not current are refused."""
    step = Step(at)
    place = run.places.get(path)
    given = dict.fromkeys(starts)
    back = [(n, "") for n, attempt in given if is_current(place, n, attempt)] if place is not None else []
    step.refused = len(given) - len(back)
    if place is not None and back:
        _hand_back(run, step, place, back)
    return step


def reused(run: Run, path: str, units: Iterable[tuple[int, Handle]], because: str, at: Instant) -> Step:
    """Results that were there already are taken for ready units."""
    step = Step(at)
    place = run.places[path]
    ready = [(n, handle) for n, handle in units if place.units[n].state is TaskState.READY]
    if ready:
        _follow(run, step, ev.Reused(at, path, ready, because))
    return step


def answer(run: Run, answered: Answer, at: Instant) -> Step:
    """A question about values was answered."""
    step = Step(at)
    path = answered.id.removeprefix(f"{run.id}/")
    place = run.places.get(path)
    if place is None or place.asked is None or place.ended:
        return step
    if answered.failure is not None:
        _follow(run, step, ev.Closed(at, path, TaskState.FAILED, answered.failure.message, answered.failure))
    elif place.asked == "truth":
        wanted = [when.is_ for when in (place.node or place.group).when]  # type: ignore[union-attr]
        if len(answered.truths) == len(wanted):  # else it answers a question that was asked before
            _follow(run, step, ev.Judged(at, path, all(bool(truth) == is_ for truth, is_ in zip(answered.truths, wanted, strict=True))))
    elif answered.lengths:
        step.shapes[path] = (answered.lengths, answered.keys)
        place.asked = None
        _drain(run, step, [place])
    return step


def wake(run: Run, alarm: fx.WakeAt, at: Instant) -> Step:
    """The time of `alarm` has come."""
    step = Step(at)
    place = run.places.get(alarm.place)
    if place is None or alarm.n >= len(place.units):
        return step
    unit = place.units[alarm.n]
    if alarm.why == "retry":
        if unit.state is TaskState.RETRYING and unit.attempt == alarm.attempt:
            _follow(run, step, ev.Woken(at, place.path, [alarm.n]))
            step.effects.append(fx.MakeReady(place.path, (alarm.n,)))
            limits(step, place, [alarm.n], "queue")
    elif alarm.why == "queue":
        if unit.state is TaskState.READY and unit.ready_at is not None and unit.ready_at + (place.policy.timeout.queue or 0.0) <= at:
            _out_of_time(run, step, place, alarm.n, f"it waited longer than {place.policy.timeout.queue:g} s to be started")
    elif unit.state is TaskState.RUNNING and (alarm.why == "total" or unit.attempt == alarm.attempt):
        step.effects.append(fx.Stop(place.path, alarm.n, unit.attempt, "timeout"))
    elif alarm.why == "total" and unit.state in (TaskState.READY, TaskState.RETRYING):
        _out_of_time(run, step, place, alarm.n, f"it was not done within {place.policy.timeout.total:g} s in all")
    return step


def run_out(run: Run, at: Instant) -> Step:
    """The time of the whole run is up."""
    if run.state in RUN_ENDS or run.stopping is not None:
        return Step(at)
    return cancel(run, "timeout", f"the run was not done within {run.graph.timeout:g} s", at)


def cancel(run: Run, by: str, because: str, at: Instant) -> Step:
    """Somebody, or a rule, wants the run to end. Nothing new starts but what must follow: teardowns and on_exit."""
    step = Step(at)
    if run.state in RUN_ENDS or (run.stopping is not None and run.stopped_by not in ("fail_fast", "timeout")):
        return step
    _follow(run, step, ev.CancelAsked(at, by, because))
    return step


def call(run: Run, driver_path: str, node: Node, at: Instant) -> Step:
    """The body of a dynamic flow asks for `node`. Asking again for what was asked before is answered, not done again."""
    step = Step(at)
    driver = run.places.get(driver_path)
    if driver is None or driver.ended or not any(unit.state is TaskState.RUNNING for unit in driver.units):
        return step
    node, known = _latest(run, node, driver)
    if known is None:
        _follow(run, step, ev.Called(at, driver_path, node))
    elif known.ended:
        step.effects.append(_reply(run, known))
    return step


def recover(run: Run, by: str, at: Instant) -> Step:
    """Another engine takes the run up: attempts that were running are lost. Follow with `outstanding`."""
    step = Step(at)
    _follow(run, step, ev.Recovered(at, by))
    for place in list(run.places.values()):
        running = [n for n, unit in enumerate(place.units) if unit.state is TaskState.RUNNING]
        if not running:
            continue
        why = "the engine that ran it went away"
        if place.policy.at_most_once:
            failure = Failure("lost", f"{why}; it is started at most once, so somebody has to look")
            _follow(run, step, ev.Ended(at, place.path, [(n, TaskState.LOST) for n in running], why, failure))
        else:
            _hand_back(run, step, place, [(n, why) for n in running])
    # `outstanding` says all of it again, and more; but of a run that has ended with this it says nothing.
    step.effects = [effect for effect in step.effects if isinstance(effect, fx.Conclude)]
    return step


def outstanding(run: Run, at: Instant) -> Step:
    """Everything that is to be done now for a run whose state was read from the log."""
    step = Step(at)
    if run.state in RUN_ENDS:
        return step
    for place in list(run.places.values()):
        place.asked = None
        ready = tuple(n for n, unit in enumerate(place.units) if unit.state is TaskState.READY)
        if ready and (run.stopping is None or place.role in AFTERMATH):
            step.effects.append(fx.MakeReady(place.path, ready))
            limits(step, place, ready, "queue")
        limits(step, place, [n for n, unit in enumerate(place.units) if unit.first_ready is not None and unit.ended is None], "total")
        for n, unit in enumerate(place.units):
            if unit.state is TaskState.RETRYING:
                step.effects.append(fx.WakeAt(at if unit.ready_at is None else unit.ready_at, place.path, n, "retry", unit.attempt))
    _drain(run, step, [place for place in run.places.values() if _wants_a_look(run, place)])
    if run.graph.timeout is not None and run.begun_at is not None:
        step.effects.append(fx.WakeRun(run.begun_at + run.graph.timeout))
    return step


# ---------------------------------------------------------------- following things to their end


def _follow(run: Run, step: Step, event: ev.Event) -> None:
    step.events.append(event)
    _drain(run, step, apply(run, event))


def _drain(run: Run, step: Step, touched: Iterable[Place]) -> None:
    agenda = deque(touched)
    while True:
        while agenda:
            place = agenda.popleft()
            if place.ended and place.called_by is not None:
                step.effects.append(_reply(run, place))
            for event in consider(run, step, place):
                step.events.append(event)
                agenda.extend(apply(run, event))
        for decide in (stop_early, conclude):
            for event in decide(run, step):
                step.events.append(event)
                agenda.extend(apply(run, event))
        if not agenda:
            return


def _hand_back(run: Run, step: Step, place: Place, units: list[tuple[int, str]]) -> None:
    if run.stopping is not None and place.role not in AFTERMATH:
        _follow(run, step, ev.Handed(step.at, place.path, units))
        _follow(run, step, ev.Ended(step.at, place.path, [(n, TaskState.CANCELLED) for n, _ in units], run.stopping))
        return
    _follow(run, step, ev.Handed(step.at, place.path, units))
    numbers = [n for n, _ in units]
    step.effects.append(fx.MakeReady(place.path, tuple(numbers)))
    limits(step, place, numbers, "queue")


def _out_of_time(run: Run, step: Step, place: Place, n: int, why: str) -> None:
    _follow(run, step, ev.Ended(step.at, place.path, [(n, TaskState.FAILED)], why, Failure("timeout", why)))


def _wants_a_look(run: Run, place: Place) -> bool:
    if place.state is TaskState.WAITING:
        return place.waits == 0 or run.stopping is not None
    return run.stopping is not None and not place.ended and place.role not in AFTERMATH


def is_current(place: Place, n: int, attempt: int) -> bool:
    """Whether attempt `attempt` of unit `n` is the one that runs now."""
    return 0 <= n < len(place.units) and place.units[n].state is TaskState.RUNNING and place.units[n].attempt == attempt


def _latest(run: Run, node: Node, driver: Place) -> tuple[Node, Place | None]:
    """The call as it was last asked for, and its place.

    What failed under an earlier try of the driver is asked for anew, under the number of the present try.
    """
    tries = max(unit.tries for unit in driver.units)
    named = [node, *(replace(node, key=f"{node.key}~{n}") for n in range(2, tries + 1))]
    for asked_by in range(tries, 0, -1):
        known = run.places.get(named[asked_by - 1].key)
        if known is not None and (known.state not in BAD_ENDS or asked_by == tries):
            return named[asked_by - 1], known
        if known is not None:
            break
    else:
        return node, None
    return named[-1], None


def _reply(run: Run, place: Place) -> fx.Reply:
    driver, node = place.called_by, place.node
    assert driver is not None
    assert node is not None
    if place.state in BAD_ENDS:
        failure = place.failure or next((unit.failure for unit in place.units if unit.failure), None)
        return fx.Reply(driver.path, node, None, failure or Failure("error", place.because or f"{place.path} {place.state}"))
    return fx.Reply(driver.path, node, resolve(run, Ref(node.key), place.scope), None)
