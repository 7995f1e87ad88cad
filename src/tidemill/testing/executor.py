"""A place to run that needs no process: attempts take virtual time, and end as a given function says. Seeded hazards befall them.

It keeps the promises of the `Executor` port, and breaks the ones that a network breaks: reports come late, twice, out of order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any, Literal, NamedTuple

import msgspec

from tidemill.graph.nodes import Node
from tidemill.graph.policy import Policy
from tidemill.graph.values import At, Constant, Expr, Handle, PathStep, Several
from tidemill.graph.work import Answer, CallMade, Cause, Done, Failure, Job, Outcome, Question, Report, Returned, Start
from tidemill.ports import Clock

Key = tuple[str, int, int]  # job, unit, attempt
Body = Generator[Node, Handle | Failure | None, Handle | Failure]
"""The body of a dynamic flow: yields the calls it makes, is sent their outcomes, returns its own."""


class Hazards(NamedTuple):
    """How likely what is, from 0 to 1, and how long things take, in seconds."""

    twice: float = 0.0  # a report is told again, later
    dies: float = 0.0  # the worker of an attempt dies
    returns: float = 0.0  # an attempt is taken and not started
    slow: float = 0.1  # the longest that a report is under way
    work: float = 1.0  # the longest that an attempt takes


NO_HAZARDS = Hazards()


class SimulatedExecutor:
    """`tidemill.ports.Executor` on virtual time. `behave(job, start, arguments)` says how an attempt ends, or gives a driver's body."""

    def __init__(
        self, behave: Callable[[Job, Start, dict[str, Any]], Handle | Failure | Body], chance: Random, clock: Clock, *,
        hazards: Hazards = NO_HAZARDS, slots: int = 4,
    ) -> None:  # fmt: skip
        self._behave = behave
        self._chance = chance
        self._clock = clock
        self._hazards = hazards
        self._slots = slots
        self._tell: Callable[[Report], None] = lambda _report: None
        self.running: dict[Key, tuple[Job, asyncio.TimerHandle | None]] = {}
        self._began: dict[Key, float] = {}
        self._calls: dict[tuple[str, str], list[tuple[Key, Body]]] = {}
        self.launched: list[Callable[[Job, Start], None]] = []  # who wants to see every start

    async def start(self, report: Callable[[Report], None]) -> None:
        """From now on outcomes go to `report`: also those of attempts that another engine launched."""
        self._tell = report

    def room(self, _policy: Policy, _task: str) -> int:
        return self._slots - sum(not job.driver for job, _ in self.running.values())

    def launch(self, job: Job, starts: Sequence[Start]) -> None:
        for given in starts:
            key = (job.id, given.n, given.attempt)
            if key in self.running:
                continue
            if self._happens(self._hazards.returns):
                self._report(Returned(job.id, [(given.n, given.attempt)]))
                continue
            self._begin(key, job, given)

    def stop(self, job: str, n: int, attempt: int, *, cause: Literal["cancelled", "timeout"]) -> None:
        if (job, n, attempt) in self.running:
            self._later(self._chance.random() * self._hazards.slow, self._ended, (job, n, attempt), Failure(cause))

    def ask(self, question: Question) -> None:
        answer = answered(question)
        self._report(answer)
        if self._happens(self._hazards.twice):
            self._report(answer)

    def reply(self, job: str, node: str, result: Expr | None, failure: Failure | None) -> None:
        handle = result.handle if isinstance(result, (At, Constant)) else None
        for key, body in self._calls.pop((job, node), []):
            if key in self.running:
                self._later(0.0, self._drive, key, body, failure or handle)

    def forget(self, run: str) -> None:
        for key in [key for key in self._calls if key[0].startswith(f"{run}/")]:
            del self._calls[key]

    async def close(self, *, grace: float) -> None:  # noqa: ARG002 - nothing here takes long to end
        for key in [*self.running]:
            self._ended(key, Failure("cancelled"), at_once=True)

    # ---------------------------------------------------------------- what becomes of attempts

    def die(self, *, orphans: bool) -> None:
        """The engine that launched all this is gone: so are its workers, unless they go on as `orphans`."""
        self._tell = lambda _report: None
        self._calls.clear()
        for key, (job, timer) in [*self.running.items()]:
            if not orphans or job.driver:  # a driver talks to its engine all the time, and notices
                if timer is not None:
                    timer.cancel()
                del self.running[key]

    def _begin(self, key: Key, job: Job, given: Start) -> None:
        for look in self.launched:
            look(job, given)
        self._began[key] = self._clock.now()
        self.running[key] = (job, None)
        outcome = self._behave(job, given, arguments(job, given))
        if isinstance(outcome, Generator):
            self._later(0.0, self._drive, key, outcome, None)
            if not self._happens(self._hazards.dies):
                return
        took = self._chance.random() * self._hazards.work
        if self._happens(self._hazards.dies) or isinstance(outcome, Generator):
            outcome = Failure("lost", "its worker died")
        self.running[key] = (job, self._later(took, self._ended, key, outcome))

    def _drive(self, key: Key, body: Body, got: Handle | Failure | None) -> None:
        if key not in self.running:
            return
        try:
            node = body.send(got)
        except StopIteration as stop:
            self._ended(key, stop.value)
            return
        self._calls.setdefault((key[0], node.key), []).append((key, body))
        self._report(CallMade(key[0], node))

    def _ended(self, key: Key, outcome: Handle | Failure, *, at_once: bool = False) -> None:
        known = self.running.pop(key, None)
        if known is None:
            return
        if known[1] is not None:
            known[1].cancel()
        handle, failure = (None, outcome) if isinstance(outcome, Failure) else (outcome, None)
        report = Done(key[0], [Outcome(key[1], key[2], self._began.pop(key), self._clock.now(), handle, failure)])
        self._report(report, at_once=at_once)
        if self._happens(self._hazards.twice):
            self._report(report)

    # ---------------------------------------------------------------- time and chance

    def _report(self, report: Report, *, at_once: bool = False) -> None:
        if at_once:
            self._tell(report)
        else:
            self._later(self._chance.random() * self._hazards.slow, lambda: self._tell(report))

    def _later(self, seconds: float, do: Callable[..., None], *args: Any) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, do, *args)

    def _happens(self, likely: float) -> bool:
        return likely > 0 and self._chance.random() < likely


def arguments(job: Job, given: Start) -> dict[str, Any]:
    """What the function is called with: JSON data."""
    found = {name: data(each) for name, each in job.args.items()}
    found |= {name: data(At(at.handle, (*at.path, ("nth", given.n)))) for name, at in job.over.items()}
    return found | {name: data(each) for name, each in (given.args or {}).items()}


def data(expr: Expr) -> Any:
    """The JSON data that a resolved expression stands for."""
    if isinstance(expr, At):
        return _part(_decoded(expr.handle), expr.path)
    if isinstance(expr, Constant):
        return _decoded(expr.handle)
    if isinstance(expr, Several):
        values = [data(item) for item in expr.items]
        return dict(zip(expr.names, values, strict=True)) if expr.kind == "dict" else values
    return None


def _decoded(handle: Handle) -> Any:
    return msgspec.json.decode(handle.data or b"null")


def _part(found: Any, path: tuple[PathStep, ...]) -> Any:
    for kind, key in path:
        found = list(found.values())[int(key)] if kind == "nth" and isinstance(found, dict) else found[key]
    return found


def answered(question: Question) -> Answer:
    """What a worker says to a question about JSON data."""
    values = [data(expr) for expr in question.of]
    if question.want == "truth":
        return Answer(id=question.id, truths=tuple(bool(found) for found in values))
    if any(not isinstance(found, (list, dict)) for found in values):
        cause: Cause = "input"
        return Answer(id=question.id, failure=Failure(cause, "this cannot be mapped over"))
    keys = tuple(tuple(map(str, found)) if isinstance(found, dict) else None for found in values)
    return Answer(id=question.id, lengths=tuple(len(found) for found in values), keys=keys)
