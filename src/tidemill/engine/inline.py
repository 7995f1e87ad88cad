"""A whole graph run in memory, in this thread: what calling a flow plainly does. The real machine, no store, no process.

Time is virtual: a wait before a retry takes no time. Limits of time and memory are not enforced, and nothing is recorded.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from tidemill.authoring.assembly.memory import InMemory, shape_of
from tidemill.authoring.building import Built
from tidemill.authoring.context import TaskContext, enter, leave
from tidemill.authoring.dynamic.failures import TaskFailed
from tidemill.authoring.dynamic.plain import finished, run_plainly
from tidemill.authoring.types.signatures import call_with
from tidemill.graph.values import At, Constant, Expr, Handle, PathStep, Several
from tidemill.graph.work import Answer, Failure, Outcome
from tidemill.machine import advance
from tidemill.machine import effects as fx
from tidemill.machine.resolve import job as make_job
from tidemill.machine.resolve import spread
from tidemill.machine.retry import retry_at
from tidemill.machine.run import Run
from tidemill.machine.states import RunState

__all__ = ["run_in_memory"]


def run_in_memory(built: Built) -> object:
    """Run the graph and return what the flow returns. Raises what the first failed task raised."""
    inline = _Inline(built)
    try:
        return inline.run_to_end()
    finally:
        inline.close()


class _Inline:
    def __init__(self, built: Built) -> None:
        self.built = built
        self.keep = InMemory()
        self.keep.values = built.values  # tickets go on where the graph's own constants end
        self.run = Run("local", built.graph)
        self.now = 0.0
        self.ready: deque[tuple[str, int]] = deque()
        self.alarms: list[tuple[float, int, fx.WakeAt]] = []
        self.error: BaseException | None = None
        self.output: Expr | None = None
        self._scope: Any = None

    def run_to_end(self) -> object:
        self._do(advance.begin(self.run, self.now))
        while self.ready or self.alarms:
            if self.ready:
                self._attempt(*self.ready.popleft())
            else:
                at, _, alarm = heapq.heappop(self.alarms)
                self.now = max(self.now, at)
                self._do(advance.wake(self.run, alarm, self.now))
        if self.run.state is not RunState.SUCCEEDED:
            raise self.error or self._failed()
        return None if self.output is None else self._value(self.output)

    def close(self) -> None:
        if self._scope is not None:
            self._scope.close_all()

    # ---------------------------------------------------------------- effects

    def _do(self, step: advance.Step) -> None:
        for effect in step.effects:
            if isinstance(effect, fx.MakeReady):
                self.ready.extend((effect.place, n) for n in effect.units)
            elif isinstance(effect, fx.WakeAt) and effect.why == "retry":
                heapq.heappush(self.alarms, (effect.at, len(self.alarms), effect))
            elif isinstance(effect, fx.Withdraw):
                self.ready = deque(item for item in self.ready if item[0] != effect.place)
            elif isinstance(effect, fx.Ask):
                self._do(advance.answer(self.run, self._answer(effect), self.now))
            elif isinstance(effect, fx.Conclude):
                self.output = effect.output

    def _answer(self, ask: fx.Ask) -> Answer:
        asked = f"{self.run.id}/{ask.place}"
        values = [self._value(expr) for expr in ask.of]
        if ask.want == "truth":
            try:
                return Answer(id=asked, truths=tuple(bool(value) for value in values))
            except Exception as error:  # noqa: BLE001 - whatever bool() of the user's value raises is the answer
                self.error = self.error or error
                return Answer(id=asked, failure=Failure("input", f"a condition has no truth: {error}"))
        shapes = [shape_of(value) for value in values]
        for value, shape in zip(values, shapes, strict=True):
            if shape.length is None:
                self.error = TypeError(f"{ask.place} is mapped over a {type(value).__name__}; .map takes a list, a tuple or a dict")
                return Answer(id=asked, failure=Failure("input", str(self.error)))
        keys = tuple(tuple(map(str, value)) if isinstance(value, dict) else None for value in values)
        return Answer(id=asked, lengths=tuple(shape.length or 0 for shape in shapes), keys=keys)

    # ---------------------------------------------------------------- one attempt

    def _attempt(self, path: str, n: int) -> None:
        run, place = self.run, self.run.places[path]
        job = make_job(run, place)
        attempt = place.units[n].attempt + 1
        self._do(advance.launched(run, path, [(n, attempt)], self.now))
        handle, failure = None, None
        context = TaskContext(run.id, place.label(n), attempt, f"local-{path}-{n}", lambda _kind, _body: None)
        token = enter(context)
        try:
            values = {name: self._value(expr) for name, expr in job.args.items()}
            for name, at in job.over.items():
                values[name] = self._at(at.handle, (*at.path, ("nth", n)))
            for name, items in spread(run, place).items():
                values[name] = self._value(items.items[n])
            for name in job.resources:
                values[name] = self._resource(name)
            handle = self.keep(self._call(job.task.name, values, driver=job.driver, style=job.calls_with))
        except Exception as error:  # noqa: BLE001 - a task's error becomes its failure
            failure = _failure(error)
            if failure.cause == "error" and self.error is None and not self._tried_again(path, n, attempt, failure):
                self.error = error
        finally:
            leave(token)
        self._do(advance.settle(run, path, [Outcome(n, attempt, self.now, self.now, handle, failure)], self.now))

    def _tried_again(self, path: str, n: int, attempt: int, failure: Failure) -> bool:
        place = self.run.places[path]
        outcome = Outcome(n, attempt, self.now, self.now, None, failure)
        return retry_at(self.run, place.policy, place.units[n], outcome, path) is not None

    def _call(self, name: str, values: Mapping[str, Any], *, driver: bool, style: Any) -> object:
        task = self.built.tasks[name]
        if driver:
            return run_plainly(task, (), dict(values))
        result = call_with(task.function, values, style)
        return finished(result) if task.is_async else result

    def _resource(self, name: str) -> Any:
        if self._scope is None:
            from tidemill.authoring.resources.resource import ResourceScope  # lazily: it imports pydantic, which few graphs need

            self._scope = ResourceScope(self.built.resources)
        return self._scope.get(name)

    # ---------------------------------------------------------------- values

    def _value(self, expr: Expr) -> Any:
        if isinstance(expr, At):
            return self._at(expr.handle, expr.path)
        if isinstance(expr, Constant):
            return self._at(expr.handle, ())
        if isinstance(expr, Several):
            values = [self._value(item) for item in expr.items]
            if expr.kind == "dict":
                return dict(zip(expr.names, values, strict=True))
            return {"list": list, "tuple": tuple, "set": set}[expr.kind](values)
        return None

    def _at(self, handle: Handle, path: tuple[PathStep, ...]) -> Any:
        value = self.keep.values[handle.digest] if handle.codec == "memory" else self._plain(handle)
        for kind, key in path:
            if kind == "attr":
                value = getattr(value, str(key))
            elif kind == "nth" and isinstance(value, Mapping):
                value = list(value.values())[int(key)]
            else:
                value = value[key]
        return value

    def _plain(self, handle: Handle) -> Any:
        return msgspec.json.decode(handle.data or b"null")  # what the machine itself wrote: the facts for a hook

    def _failed(self) -> BaseException:
        label, failure = self.run.failure or ("", Failure("error", self.run.because))
        return TaskFailed(label or self.built.graph.flow, failure)


def _failure(error: Exception) -> Failure:
    kind = type(error)
    names = tuple(f"{one.__module__}.{one.__qualname__}" for one in kind.__mro__)
    return Failure("memory" if isinstance(error, MemoryError) else "error", str(error), names[0], names)
