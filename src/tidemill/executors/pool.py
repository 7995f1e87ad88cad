"""The executor of one machine: attempts to workers, and what becomes of them back to the engine.

Knows attempts and workers. Imports, unpickles and evaluates nothing of the project's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from tidemill.errors import BadSetting, Problem
from tidemill.executors import ends
from tidemill.executors.dispatch import Dispatch
from tidemill.executors.frames import frame
from tidemill.executors.jobs import Jobs, lane_of
from tidemill.executors.depth import alone
from tidemill.executors.protocol import (
    Ask, Build, Built, Describe, Described, Did, Exited, Forget, FromWorker, Reply, Revoked, Role, Spec, Stop, Tired, Told,
)  # fmt: skip
from tidemill.executors.supervisor_link import SupervisorLink
from tidemill.executors.worker_link import Given, WorkerLink
from tidemill.graph.nodes import Graph
from tidemill.graph.policy import Policy
from tidemill.graph.values import Expr
from tidemill.graph.work import Answer, Done, Failure, Job, Outcome, Question, Report, Room, Start

_STUCK = 0.05  # seconds without progress after which a queue is taken back for idle workers
_RESTARTS = 5  # supervisors lost in a row, with nothing done in between, until we give up
_EARLY_DEATHS = 5  # the same for workers


class ProcessExecutor:
    """`ports.Executor` and `ports.Loader` over one supervisor and its workers.

    `spawn` first, as early as possible; then `start` on the event loop. `slots` processes are busy at most.
    """

    def __init__(self, spec: Spec, *, slots: int | None = None, recycle_after: int = 10_000, load_timeout: float = 60.0) -> None:
        self.spec = spec
        self._recycle_after = recycle_after
        self._load_timeout = load_timeout
        self._dispatch = Dispatch(slots or os.cpu_count() or 1, self._new_worker)
        self._jobs = Jobs()
        self._supervisor: SupervisorLink | None = None
        self._old: list[SupervisorLink] = []
        self._links: dict[int, WorkerLink] = {}
        self._builder: WorkerLink | None = None
        self._report: Callable[[Report], None] = _unheard
        self._loop: asyncio.AbstractEventLoop | None = None
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._asked: dict[str, tuple[Question, int]] = {}
        self._next = 0
        self._stuck_timer: asyncio.TimerHandle | None = None
        self._lost_in_a_row = 0
        self._early_deaths = 0
        self._closing = False

    # ------------------------------------------------------------ life

    def spawn(self) -> None:
        """Start the supervisor, and ask it for a builder. Quick: all else of the start can happen meanwhile."""
        if self._supervisor is None:
            self._supervisor = SupervisorLink(self.spec)
            self._builder = self._make("builder", None, self._supervisor)

    async def start(self, report: Callable[[Report], None]) -> None:
        """From now on every outcome is reported, on this event loop. Does not wait for the project to be loaded."""
        self._report = report
        self._loop = asyncio.get_running_loop()
        self.spawn()
        assert self._supervisor is not None
        self._attach(self._supervisor)
        for link in self._links.values():
            link.attach()
        asyncio.ensure_future(self._announce(self._supervisor))

    async def _announce(self, supervisor: SupervisorLink) -> None:
        try:
            await supervisor.ready()
        except Problem as problem:
            self._refuse_all(problem)
        else:
            self._report(Room())

    def _attach(self, supervisor: SupervisorLink) -> None:
        supervisor.attach(load_timeout=self._load_timeout, forked=lambda _worker, _pid: None, exited=self._exited, gone=self._gone)

    async def reload(self) -> None:
        """Take the project's code anew. What runs ends on the code it began with. Raises the `Problem` of the new code, and keeps the old."""
        fresh = SupervisorLink(self.spec)
        self._attach(fresh)
        try:
            await fresh.ready()
        except Problem:
            fresh.kill_all()
            raise
        old, self._supervisor = self._supervisor, fresh
        if old is not None and old.alive:
            self._old.append(old)
        for link in list(self._links.values()):
            if link.by is old:
                self._retire(link)
        self._dispatch.single.clear()
        self._builder = None
        self._sweep()
        self._pump()

    async def close(self, *, grace: float) -> None:
        """End everything that runs, within `grace` seconds, and leave no process behind."""
        self._closing = True
        supervisors = [one for one in (self._supervisor, *self._old) if one is not None]
        for one in supervisors:
            one.bye(grace)
        until = time.monotonic() + grace + 2.0
        for one in supervisors:
            while one.process.poll() is None and time.monotonic() < until and one.alive:
                await one.ended(until - time.monotonic())
            one.finish()
        for link in list(self._links.values()):
            link.close()
        if self._stuck_timer is not None:
            self._stuck_timer.cancel()
        for future in self._futures.values():
            future.cancel()

    # ------------------------------------------------------------ ports.Executor

    def room(self, policy: Policy, task: str) -> int:
        """How many starts of `task` it would take now without letting them wait long."""
        return self._dispatch.room(lane_of(policy), task, alone=alone(policy))

    def launch(self, job: Job, starts: Sequence[Start]) -> None:
        """Run attempts. Launching the same attempt twice starts it once."""
        state = self._jobs.of(job)
        new = [start for start in starts if (start.n, start.attempt) not in state.active]
        if not new:
            return
        if self._supervisor is not None and self._supervisor.problem is not None:
            self._end([(state, start) for start in new], ends.not_loaded(self._supervisor.problem))
            return
        self._dispatch.add(state, new)
        self._pump()

    def stop(self, job: str, n: int, attempt: int, *, cause: Literal["cancelled", "timeout"]) -> None:
        """End an attempt, first gently, then by force. It is reported with that cause when it is seen dead."""
        state = self._jobs.get(job)
        if state is None or (n, attempt) not in state.active:
            return
        link = state.active[n, attempt]
        if link is None:
            if self._dispatch.drop(state, n, attempt):
                self._end([(state, Start(n, attempt))], ends.never_began(cause))
            return
        if not link.sequential:
            link.send(frame(Stop(state.index, n, attempt, cause)))
            return
        back = link.take_back()
        mine = [given for given in back if given[0] is state and given[1].n == n and given[1].attempt == attempt]
        self._dispatch.put_back([given for given in back if given not in mine])
        if mine:
            self._end(mine, ends.never_began(cause))
        elif link.stopping is None:
            link.stopping = (state.index, n, attempt, cause)
            link.retired = True
            link.by.kill(link.id, self.spec.grace)
        self._pump()

    def ask(self, question: Question) -> None:
        """Have a question about values answered."""
        self._asked[question.id] = (question, self._asked.get(question.id, (question, 0))[1])
        link = self._builder_link()
        if link is not None:
            link.send(frame(Ask(question)))

    def reply(self, job: str, node: str, result: Expr | None, failure: Failure | None) -> None:
        """Answer the call for `node` that the driver `job` made."""
        state = self._jobs.get(job)
        link = next(iter(state.active.values()), None) if state else None
        if state is not None and link is not None:
            link.send(frame(Reply(state.index, node, result, failure)))

    def forget(self, run: str) -> None:
        """A run has ended: nothing of it is needed any more."""
        indexes = [state.index for state in self._jobs.forget(run)]
        for link in self._links.values():
            if known := link.undefine(indexes):
                link.send(frame(Forget(known)))

    # ------------------------------------------------------------ ports.Loader

    async def build(self, flow: str | None, raw: Mapping[str, object]) -> tuple[Graph, str]:
        """The graph of `flow` (None: the only one) for these parameters, and where it was defined. Raises `Problem`."""
        built: Built = await self._consult(lambda id: Build(id, flow, dict(raw)))
        if built.problem is not None:
            raise Problem.of(built.problem)
        assert built.graph is not None
        return built.graph, built.place

    async def describe(self) -> dict[str, Any]:
        """What the project defines: flows with their parameters, tasks, resources. Raises `Problem`."""
        told: Described = await self._consult(Describe)
        if told.problem is not None:
            raise Problem.of(told.problem)
        return told.definitions

    async def _consult(self, message: Callable[[int], msgspec.Struct]) -> Any:
        """Ask the builder, and wait for its answer."""
        self._next += 1
        id = self._next
        try:
            data = frame(message(id))
        except TypeError as error:
            raise BadSetting("A parameter of the run cannot be handed to the project's process.", why=str(error)) from error
        assert self._loop is not None
        link = self._builder_link()
        if link is None:
            raise ends.NoWorker("there is no process to build the graph in")
        future = self._futures[id] = self._loop.create_future()
        link.send(data)
        supervisor = self._supervisor
        assert supervisor is not None
        try:
            await supervisor.ready()
            return await asyncio.wait_for(future, self._load_timeout)
        except TimeoutError:
            link.by.kill(link.id, 0.0)
            raise ends.BuildTimeout(self._load_timeout) from None
        finally:
            self._futures.pop(id, None)

    def _builder_link(self) -> WorkerLink | None:
        if self._builder is None or self._builder.closed or self._builder.retired:
            self._builder = self._new_worker("builder", None)
        return self._builder

    # ------------------------------------------------------------ workers

    def _new_worker(self, role: Role, memory: int | None) -> WorkerLink | None:
        supervisor = self._supervisor
        if supervisor is None or not supervisor.alive or supervisor.problem is not None or self._closing:
            return None
        link = self._make(role, memory, supervisor)
        if self._loop is not None:
            link.attach()
        return link

    def _make(self, role: Role, memory: int | None, supervisor: SupervisorLink) -> WorkerLink:
        self._next += 1
        link = self._links[self._next] = WorkerLink(self._next, role, supervisor, heard=self._heard, memory=memory)
        return link

    def _retire(self, link: WorkerLink) -> None:
        """No new work; it ends once it has none."""
        link.retired = True
        if not link.outstanding and not link.revoking:
            link.close()

    def _pump(self) -> None:
        self._dispatch.pump()
        if self._loop is None:
            return
        if self._stuck_timer is None and any(len(link.given) > 1 for link in self._links.values()):
            self._stuck_timer = self._loop.call_later(_STUCK, self._look_for_stuck)
        if self._supervisor is not None:
            self._supervisor.watch(busy=lambda: any(link.outstanding for link in self._links.values()))

    def _look_for_stuck(self) -> None:
        self._stuck_timer = None
        now = time.monotonic()
        if self._dispatch.free_slots() > 0:
            for link in list(self._dispatch.warm):
                if len(link.given) > 1 and now - link.progress_at >= _STUCK:
                    self._dispatch.put_back(link.take_back())
        self._pump()

    # ------------------------------------------------------------ what workers say

    def _heard(self, link: WorkerLink, messages: list[FromWorker]) -> None:
        done: dict[int, list[Outcome]] = {}
        for message in messages:
            if type(message) is Did:
                done.setdefault(message.index, []).extend(message.outcomes)
            else:
                self._other(link, message)
        if done:
            self._early_deaths = self._lost_in_a_row = 0
            link.progress_at = time.monotonic()
            for index, outcomes in done.items():
                self._settle(link, index, outcomes)
            if link.role == "fresh":
                self._leave(link)
            elif link.sequential and link.done >= self._recycle_after and not link.retired:
                self._retire_warm(link)
            elif link.retired and link.stopping is None:
                self._retire(link)
            self._pump()

    def _settle(self, link: WorkerLink, index: int, outcomes: list[Outcome]) -> None:
        state = self._jobs.at(index)
        current: list[Outcome] = []
        for outcome in outcomes:
            if link.sequential:
                # In order; what was taken back in the meantime cannot have run, as its token was gone.
                if link.given and link.given[0][1].n == outcome.n:
                    link.given.popleft()
            else:
                link.running.pop((index, outcome.n, outcome.attempt), None)
            if state is not None and state.active.get((outcome.n, outcome.attempt), self) is link:
                del state.active[outcome.n, outcome.attempt]
                current.append(outcome)
        link.done += len(outcomes)
        if state is None or not current:
            return
        if link.sequential:
            taken = (current[-1].ended - current[0].started) / len(current)
            self._dispatch.durations.learn(state.task, max(taken, 0.0))
        self._report(Done(state.job.id, current))

    def _other(self, link: WorkerLink, message: FromWorker) -> None:
        match message:
            case Told(report):
                if isinstance(report, Answer):
                    self._asked.pop(report.id, None)
                self._report(report)
            case Revoked():
                link.revoking = False
                if link.retired and link.stopping is None:
                    self._retire(link)
                self._pump()
                self._report(Room())
            case Built(id) | Described(id):
                future = self._futures.get(id)
                if future is not None and not future.done():
                    future.set_result(message)
            case Tired():
                self._retire_warm(link)

    def _retire_warm(self, link: WorkerLink) -> None:
        if self._dispatch.single.get("inline") is link:
            del self._dispatch.single["inline"]
        self._retire(link)

    # ------------------------------------------------------------ ends

    def _leave(self, link: WorkerLink) -> None:
        """It takes no slot any more."""
        link.close()
        for links in (self._dispatch.warm, self._dispatch.fresh):
            if link in links:
                links.remove(link)
        for lane, one in list(self._dispatch.single.items()):
            if one is link:
                del self._dispatch.single[lane]

    def _exited(self, exited: Exited) -> None:
        link = self._links.pop(exited.worker, None)
        if link is None:
            return
        link.drain()
        unbegun = link.unbegun()
        held: list[Given] = [*link.given, *link.running.values()]
        link.given.clear()
        link.running.clear()
        self._leave(link)
        if unbegun and not held and not link.done:
            self._early_deaths += 1
            if self._early_deaths >= _EARLY_DEATHS:
                held, unbegun = unbegun, []
        for given in held:
            self._end([given], ends.of_worker(exited, given, stopping=link.stopping, among=len(held)))
        self._dispatch.put_back(unbegun)
        if link is self._builder:
            self._builder = None
            self._rebuild(exited)
        self._sweep()
        self._pump()
        self._report(Room())

    def _rebuild(self, exited: Exited) -> None:
        """The builder is gone: what it was building fails, and questions are asked once more."""
        for future in self._futures.values():
            if not future.done():
                future.set_exception(ends.BuilderEnded(exited))
        for id, (question, tries) in list(self._asked.items()):
            if tries:
                del self._asked[id]
                self._report(Answer(id=id, failure=Failure(cause="lost", message="the process that read the values ended twice")))
            else:
                self._asked[id] = (question, 1)
                self.ask(question)

    def _gone(self, supervisor: SupervisorLink) -> None:
        """A supervisor is no more: nobody will tell of its workers."""
        for link in [link for link in self._links.values() if link.by is supervisor]:
            self._exited(Exited(link.id, why="killed", detail="the process that looks after the workers ended"))
        if supervisor in self._old:
            self._old.remove(supervisor)
        if supervisor is not self._supervisor or self._closing:
            return
        if supervisor.problem is not None:
            self._refuse_all(supervisor.problem)
            return
        self._lost_in_a_row += 1
        if self._lost_in_a_row > _RESTARTS:
            supervisor.problem = ends.NoSupervisor(_RESTARTS)
            self._refuse_all(supervisor.problem)
            return
        assert self._loop is not None
        wait = 0.0 if self._lost_in_a_row == 1 else 0.25 * 2**self._lost_in_a_row
        self._loop.call_later(wait, self._restart)

    def _restart(self) -> None:
        if self._closing:
            return
        self._supervisor = SupervisorLink(self.spec)
        self._attach(self._supervisor)
        asyncio.ensure_future(self._announce(self._supervisor))
        for question, _ in list(self._asked.values()):
            self.ask(question)
        self._pump()

    def _sweep(self) -> None:
        """Supervisors of earlier code end with their last worker."""
        for old in list(self._old):
            if not any(link.by is old for link in self._links.values()):
                old.bye(0.0)

    def _refuse_all(self, problem: Problem) -> None:
        for backlog in self._dispatch.backlog.values():
            waiting = list(backlog)
            backlog.clear()
            self._end(waiting, ends.not_loaded(problem))
        for id in list(self._asked):
            del self._asked[id]
            self._report(Answer(id=id, failure=ends.not_loaded(problem)))

    def _end(self, given: Sequence[Given], failure: Failure) -> None:
        """Report attempts that ended without a word of their own."""
        now = time.time()
        outcomes: dict[str, list[Outcome]] = {}
        for state, start in given:
            if state.active.pop((start.n, start.attempt), self) is self:
                continue
            outcomes.setdefault(state.job.id, []).append(Outcome(start.n, start.attempt, now, now, None, failure))
        for job, ended in outcomes.items():
            self._report(Done(job, ended))


def _unheard(_report: Report) -> None:
    return None


