"""What must be true of every world when all is over. Reads the store; folds the log once more."""

from collections import Counter

from simulation.graphs import is_steady
from simulation.world import Broken, Faults, World
from tidemill.engine.rows import read_event
from tidemill.machine import events as ev
from tidemill.machine.apply import fold
from tidemill.machine.retry import MAX_LOST
from tidemill.machine.run import Run
from tidemill.machine.states import RUN_ENDS, TASK_ENDS
from tidemill.ports import Page, TaskFilter


def check(world: World) -> None:
    """Raises `Broken` unless every promise was kept."""
    store = world.disk.store
    entries = list(store.events(world.run))
    log = [read_event(entry) for entry in entries]
    run = fold(Run(world.run, world.graph), log)
    _hold([entry.n for entry in entries] == list(range(1, len(entries) + 1)), "the log has holes")
    _hold(store.audit(now=world.clock.now()) == [], f"the auditor found {store.audit(now=world.clock.now())}")
    _tables_are_the_log(world, run)
    _each_once(log)
    _ended_for_good(world, run)
    _nothing_wasted(world, run)


def _hold(true: bool, what: str) -> None:
    if not true:
        raise Broken(what)


def _tables_are_the_log(world: World, run: Run) -> None:
    row = world.row
    _hold(row.state == run.state, f"the table says {row.state}, the log {run.state}")
    _hold(row.counts == run.counts(), f"the table counts {row.counts}, the log {run.counts()}")
    _hold(row.started_at == run.begun_at, f"the table says begun at {row.started_at}, the log {run.begun_at}")
    for place in run.places.values():
        told = {task.unit: task for task in _rows(world, place.path)}
        for n, unit in enumerate(place.units):
            found = told.get(n + 1 if place.mapped else 0)
            if found is None:  # rows are for what ran, not for what might have
                _hold(place.mapped and place.state not in ("succeeded", "reused") and unit.attempt == 0, f"{place.label(n)} has no row")
                continue
            given = (found.state, found.output, found.attempt, found.ended_at)
            _hold(
                given == (unit.state, unit.handle, unit.attempt, unit.ended),
                f"{place.label(n)}: {given} in the table, {unit.state} in the log",
            )
        if place.mapped:
            _hold(0 in told and told[0].state == place.state, f"{place.path}: {told.get(0)} in the table, {place.state} in the log")


def _rows(world: World, path: str) -> list:  # type: ignore[type-arg]
    store, page = world.disk.store, Page(limit=10_000)
    nodes = [task for task in store.tasks(world.run, TaskFilter(), page) if task.place == path]
    return nodes + store.tasks(world.run, TaskFilter(place=path), page)


def _each_once(log: list[ev.Event]) -> None:
    """Each unit ends once, each run begins and ends once."""
    ends = Counter[tuple[str, int]]()
    for event in log:
        if isinstance(event, ev.Settled):
            again = {n for n, _ in event.retries}
            ends.update((event.place, outcome.n) for outcome in event.outcomes if outcome.n not in again)
        elif isinstance(event, (ev.Reused, ev.Ended)):
            ends.update((event.place, n) for n, _ in event.units)
    twice = [unit for unit, times in ends.items() if times > 1]
    _hold(not twice, f"accepted more than once: {twice}")
    _hold(sum(isinstance(event, ev.Finished) for event in log) == 1, "the run did not end once")
    _hold(isinstance(log[-1], ev.Finished), f"{log[-1]} came after the end")


def _ended_for_good(world: World, run: Run) -> None:
    _hold(run.state in RUN_ENDS, f"the run is {run.state}")
    unended = [place.path for place in run.places.values() if place.state not in TASK_ENDS]
    _hold(not unended, f"the run ended before {unended}")
    promised = world.promised
    if promised is not None:
        _hold(promised.state == world.row.state, f"{promised.state} was promised, and it is {world.row.state}")
        _hold(promised.output == world.row.output, "another result was promised")


def _nothing_wasted(world: World, run: Run) -> None:
    """A unit is started again only when an attempt failed, was lost, or its end was."""
    for place in run.places.values():
        for n, unit in enumerate(place.units):
            started = world.starts[place.path, n]
            allowed = unit.attempt - unit.returned + world.restarts + world.before_power_was_lost[place.path, n]
            _hold(started <= allowed, f"{place.label(n)} was started {started} times; {allowed} can be explained")


def same_end(world: World) -> None:
    """Without faults, the run would have ended the same way."""
    log = [read_event(entry) for entry in world.disk.store.events(world.run)]
    run = fold(Run(world.run, world.graph), log)
    if not is_steady(world.graph) or run.stopping or any(unit.lost >= MAX_LOST for place in run.places.values() for unit in place.units):
        return
    calm = World(world.seed, faults=Faults(), parts=world.parts).live()
    other = fold(Run(world.run, world.graph), [read_event(entry) for entry in calm.disk.store.events(world.run)])
    _hold(ends(run) == ends(other), f"it ended with {ends(run)}, and without faults with {ends(other)}")


def ends(run: Run) -> dict[str, str]:
    """How each unit ended, and with what. A result that was remembered is as good as a new one."""
    found = {"": str(run.state)}
    for place in run.places.values():
        found[place.path] = str(place.state).replace("reused", "succeeded")
        if place.called_by is not None and "~" in place.path:
            continue
        for n, unit in enumerate(place.units):
            state = str(unit.state).replace("reused", "succeeded")
            found[place.label(n)] = f"{state} {unit.handle.digest if unit.handle else ''}"
    return found
