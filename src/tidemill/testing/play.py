"""The run machine played by hand: a test says what happens, and sees what was decided. No engine, no store, no time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from tidemill.graph.nodes import Graph, Node
from tidemill.graph.values import Handle
from tidemill.graph.work import Answer, Cause, Failure, Instant, Outcome
from tidemill.machine import advance
from tidemill.machine import effects as fx
from tidemill.machine.apply import fold
from tidemill.machine.events import Event, Inherited
from tidemill.machine.resolve import job, spread, start
from tidemill.machine.run import Run
from tidemill.machine.states import TaskState
from tidemill.testing.graphs import value

NOON: Instant = 43_200.0

Behave = Callable[[str, int, int], Handle | Failure]


def succeeds(path: str, n: int, _attempt: int) -> Handle:
    """Every attempt succeeds; its value names the unit."""
    return value(f"{path}/{n}")


class Play:
    """One run of `graph` in a test's hands. `log` is all that was decided; `ready`, `asked`, `replies`, `stops` are what is to be done."""

    def __init__(self, graph: Graph, *, id: str = "r1", at: Instant = NOON) -> None:
        self.graph = graph
        self.run = Run(id, graph)
        self.now = at
        self.log: list[Event] = []
        self.ready: list[tuple[str, int]] = []
        self.asked: dict[str, fx.Ask] = {}
        self.replies: list[fx.Reply] = []
        self.stops: list[fx.Stop] = []
        self.concluded: fx.Conclude | None = None
        self.refused = 0
        self._alarms: list[tuple[Instant, int, fx.WakeAt | fx.WakeRun]] = []

    def take(self, step: advance.Step) -> advance.Step:
        """Note what `step` decided."""
        self.log += step.events
        self.refused += step.refused
        for effect in step.effects:
            if isinstance(effect, fx.MakeReady):
                fresh = [(effect.place, n) for n in effect.units]
                assert not set(fresh) & set(self.ready), f"made ready twice: {fresh}"
                self.ready += fresh
            elif isinstance(effect, fx.Withdraw):
                self.ready = [unit for unit in self.ready if unit[0] != effect.place]
            elif isinstance(effect, fx.Ask):
                self.asked[effect.place] = effect
            elif isinstance(effect, fx.Reply):
                self.replies.append(effect)
            elif isinstance(effect, fx.Stop):
                self.stops.append(effect)
            elif isinstance(effect, fx.Conclude):
                assert self.concluded is None, "concluded twice"
                self.concluded = effect
            else:
                heapq.heappush(self._alarms, (effect.at, len(self._alarms) + len(self.log) * 1000, effect))
        self.ready = [(path, n) for path, n in self.ready if self.unit(path, n).state is TaskState.READY]
        return step

    # ---------------------------------------------------------------- what happens

    def begin(self, inherited: Inherited | None = None) -> Play:
        """An engine takes the run up."""
        if inherited is not None:
            self.take(advance.inherit(self.run, inherited))
        self.take(advance.begin(self.run, self.now))
        return self

    def launch(self, path: str, n: int = 0) -> int:
        """Hand a ready unit to a worker. Returns the number of the attempt."""
        assert (path, n) in self.ready, f"{path}[{n}] is not ready, but {self.ready}"
        self.ready.remove((path, n))
        place = self.run.places[path]
        job(self.run, place)
        given = start(place, n, spread(self.run, place))
        self.take(advance.launched(self.run, path, [(n, given.attempt)], self.now))
        return given.attempt

    def end(self, path: str, n: int = 0, result: Handle | Failure | None = None, *, attempt: int | None = None) -> advance.Step:
        """A report: attempt `attempt` (by default the current one) ended with `result`."""
        number = self.unit(path, n).attempt if attempt is None else attempt
        given = succeeds(path, n, number) if result is None else result
        handle, failure = (None, given) if isinstance(given, Failure) else (given, None)
        return self.take(advance.settle(self.run, path, [Outcome(n, number, self.now, self.now, handle, failure)], self.now))

    def succeed(self, path: str, data: Any = ..., n: int = 0, *, shaped: bool = True) -> None:
        """Launch a unit, and let it return `data`."""
        self.launch(path, n)
        self.end(path, n, None if data is ... else value(data, shaped=shaped))

    def fail(self, path: str, n: int = 0, cause: Cause = "error", **rest: Any) -> None:
        """Launch a unit, and let it fail."""
        self.launch(path, n)
        self.end(path, n, Failure(cause, **rest))

    def answer(self, path: str, **answers: Any) -> None:
        """A worker answers what was asked for `path`."""
        self.asked.pop(path, None)
        self.take(advance.answer(self.run, Answer(id=f"{self.run.id}/{path}", **answers), self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, and the alarms ring that are due."""
        until = self.now + seconds
        while self._alarms and self._alarms[0][0] <= until:
            at, _, alarm = heapq.heappop(self._alarms)
            self.now = max(self.now, at)
            run_out = isinstance(alarm, fx.WakeRun)
            self.take(advance.run_out(self.run, self.now) if run_out else advance.wake(self.run, alarm, self.now))  # type: ignore[arg-type]
        self.now = until

    def cancel(self, by: str = "ada", because: str = "") -> None:
        """Somebody wants the run to end; what runs is seen dead."""
        self.take(advance.cancel(self.run, by, because, self.now))

    def stopped(self) -> None:
        """All that was to be stopped is seen dead."""
        for stop in [*self.stops]:
            self.end(stop.place, stop.n, Failure(stop.cause), attempt=stop.attempt)
        self.stops.clear()

    def call(self, driver: str, node: Node) -> None:
        """The body of a dynamic flow asks for `node`."""
        self.take(advance.call(self.run, driver, node, self.now))

    def finish(self, behave: Behave = succeeds) -> Play:
        """Run everything that is ready to its end, one after the other, waiting where that is needed."""
        while self.ready or (self._alarms and self.concluded is None):
            if not self.ready:
                self.wait(max(0.0, self._alarms[0][0] - self.now))
                continue
            path, n = self.ready[0]
            self.end(path, n, behave(path, n, self.launch(path, n)))
        return self

    def recovered(self, upto: int | None = None) -> Play:
        """Another engine reads the log (its first `upto` entries) and takes the run up."""
        other = Play(self.graph, id=self.run.id, at=self.now)
        other.log = list(self.log[:upto])
        fold(other.run, other.log)
        if not other.run.begun_at:
            other.take(advance.begin(other.run, other.now))
        elif not other.over:
            other.take(advance.recover(other.run, "e2", other.now))
            other.take(advance.outstanding(other.run, other.now))
        return other

    # ---------------------------------------------------------------- what is

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.run.state in ("succeeded", "failed", "cancelled")

    def unit(self, path: str, n: int = 0) -> Any:
        """A unit, to be read."""
        return self.run.places[path].units[n]

    def states(self) -> dict[str, str]:
        """The state of every unit by its label; of places without units, and of mapped groups, their own."""
        found: dict[str, str] = {}
        for place in self.run.places.values():
            if place.units:
                found.update((place.label(n), str(unit.state)) for n, unit in enumerate(place.units))
            else:
                found[place.path] = str(place.state)
        return found


_RUN = ("state", "body_open", "hooks_open", "stopping", "stopped_by", "failure", "because", "begun_at", "inherited", "entries")
_PLACE = ("state", "waits", "pending", "good", "bad", "size", "keys", "held", "because", "failure")
_UNIT = ("state", "attempt", "lost", "returned", "grown", "handle", "failure", "ready_at", "first_ready", "started", "ended")


def dump(run: Run) -> dict[str, Any]:
    """All that a run is, as plain data: two runs are in the same state exactly when their dumps are equal."""
    places = {
        path: {
            **{name: getattr(place, name) for name in _PLACE},
            "units": [{name: getattr(unit, name) for name in _UNIT} for unit in place.units],
            "upstream": [one.path for one in place.upstream],
            "readers": [one.path for one in place.readers],
            "children": [one.path for one in place.children],
            "called_by": place.called_by.path if place.called_by else None,
        }
        for path, place in run.places.items()
    }
    return {**{name: getattr(run, name) for name in _RUN}, "places": places}
