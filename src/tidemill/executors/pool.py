"""The executor of one machine: attempts to workers, and what becomes of them back to the engine.

Knows attempts and workers. Imports, unpickles and evaluates nothing of the project's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from tidemill.authoring.assets.entries import AssetEntry
from tidemill.errors import Problem
from tidemill.executors import ends
from tidemill.executors.consulting import Consulting
from tidemill.executors.depth import alone
from tidemill.executors.dispatch import Dispatch
from tidemill.executors.frames import frame
from tidemill.executors.jobs import Jobs, lane_of
from tidemill.executors.links.supervisor import SupervisorLink
from tidemill.executors.links.worker import Given, WorkerLink
from tidemill.executors.protocol import (
    Built,
    Described,
    Did,
    Exited,
    Forget,
    FromWorker,
    Listed,
    Reply,
    Revoked,
    Role,
    Spec,
    Stop,
    Tired,
    Told,
)  # fmt: skip
from tidemill.executors.supervision import Supervision
from tidemill.graph.nodes import Graph
from tidemill.graph.policy import Policy
from tidemill.graph.values import Expr, Handle
from tidemill.graph.work import Answer, Done, Failure, Job, Outcome, Question, Report, Room, Start

_STUCK = 0.05  # seconds without progress after which a queue is taken back for idle workers
_EARLY_DEATHS = 5  # workers lost in a row that had not done anything, until what waits is blamed


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
        self._supervision = Supervision(spec, self, load_timeout=load_timeout)
        self._links: dict[int, WorkerLink] = {}
        self._report: Callable[[Report], None] = _unheard
        self._loop: asyncio.AbstractEventLoop | None = None
        self._consulting = Consulting(lambda: self._new_worker("builder", None), self._pass_on)
        self._next = 0
        self._stuck_timer: asyncio.TimerHandle | None = None
        self._early_deaths = 0

    # ------------------------------------------------------------ life

    def spawn(self) -> None:
        """Start the supervisor, and ask it for a builder. Quick: all else of the start can happen meanwhile."""
        if self._supervision.current is None:
            self._consulting.link = self._make("builder", None, self._supervision.spawn())

    async def start(self, report: Callable[[Report], None]) -> None:
        """From now on every outcome is reported, on this event loop. Does not wait for the project to be loaded."""
        self._report = report
        self._loop = asyncio.get_running_loop()
        self.spawn()
        self._supervision.attach()
        for link in self._links.values():
            link.attach()

    async def reload(self) -> None:
        """Take the project's code anew; what runs ends on the code it began with.

        Raises the `Problem` of the new code, and keeps the old.
        """
        await self._supervision.renew()
        for link in list(self._links.values()):
            if link.by is not self._supervision.current:
                self._retire(link)
        self._dispatch.single.clear()
        self._consulting.link = None
        self._sweep()
        self._pump()

    async def close(self, *, grace: float) -> None:
        """End everything that runs, within `grace` seconds, and leave no process behind."""
        await self._supervision.close(grace=grace)
        for link in list(self._links.values()):
            link.close()
        if self._stuck_timer is not None:
            self._stuck_timer.cancel()
        self._consulting.cancel()

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
        if (problem := self._supervision.problem) is not None:
            state.active.update(((start.n, start.attempt), None) for start in new)
            self._end([(state, start) for start in new], ends.not_loaded(problem))
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
            if link.role == "fresh":
                self._leave(link)  # it was made for this one
        elif link.stopping is None:
            link.stopping = (state.index, n, attempt, cause)
            link.retired = True
            link.by.kill(link.id, self.spec.grace)
        self._pump()

    def ask(self, question: Question) -> None:
        """Have a question about values answered."""
        if (problem := self._supervision.problem) is not None:
            self._report(Answer(id=question.id, failure=ends.not_loaded(problem)))
        else:
            self._consulting.ask(question)

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

    async def build(self, flow: str | None, raw: Mapping[str, object], *, shown: Mapping[str, Handle] | None = None) -> tuple[Graph, str]:
        """The graph of `flow` (None: the only one), which may read what is `shown`, and where it was defined. Raises `Problem`."""
        return await self._unbroken.build(flow, raw, shown or {}, within=self._load_timeout)

    async def catalog(self, params: Mapping[str, object] | None = None) -> list[AssetEntry]:
        """Every asset and source that the project defines, for runs with these parameters. Raises `Problem`."""
        return await self._unbroken.catalog(params or {}, within=self._load_timeout)

    async def build_assets(
        self, targets: Collection[str], *, shown: Mapping[str, Handle], forced: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> Graph:  # fmt: skip
        """The graph that makes a version of each target; what else these read has its version in `shown`. Raises `Problem`."""
        return await self._unbroken.build_assets(targets, shown, forced or {}, params or {}, within=self._load_timeout)

    async def describe(self) -> dict[str, Any]:
        """What the project defines: flows with their parameters, tasks, resources. Raises `Problem`."""
        return await self._unbroken.describe(within=self._load_timeout)

    @property
    def _unbroken(self) -> Consulting:
        if (problem := self._supervision.problem) is not None:
            raise problem
        return self._consulting

    # ------------------------------------------------------------ workers

    def _new_worker(self, role: Role, memory: int | None) -> WorkerLink | None:
        supervisor = self._supervision.usable
        if supervisor is None:
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
        if self._supervision.current is not None:
            self._supervision.current.watch(busy=lambda: any(link.outstanding for link in self._links.values()))

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
            self._early_deaths = 0
            self._supervision.proven()
            link.progressed()
            settled = [self._settle(link, index, outcomes) for index, outcomes in done.items()]
            if link.role == "fresh":
                self._leave(link)
            elif link.sequential and link.done >= self._recycle_after and not link.retired:
                self._retire_warm(link)
            elif link.retired and link.stopping is None:
                self._retire(link)
            self._pump()
            for report in settled:  # last, since whoever hears it may launch more at once
                if report is not None:
                    self._report(report)

    def _settle(self, link: WorkerLink, index: int, outcomes: list[Outcome]) -> Done | None:
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
            return None
        if link.sequential:
            taken = (current[-1].ended - current[0].started) / len(current)
            self._dispatch.durations.learn(state.task, max(taken, 0.0))
        return Done(state.job.id, current)

    def _other(self, link: WorkerLink, message: FromWorker) -> None:
        match message:
            case Told(report):
                if isinstance(report, Answer):
                    self._consulting.answered(report)
                else:
                    self._report(report)
            case Revoked():
                link.revoking = False
                if link.retired and link.stopping is None:
                    self._retire(link)
                self._pump()
                self._report(Room())
            case Built() | Described() | Listed():
                self._consulting.heard(message)
            case Tired():
                self._retire_warm(link)

    def _retire_warm(self, link: WorkerLink) -> None:
        if self._dispatch.single.get("inline") is link:
            del self._dispatch.single["inline"]
        self._retire(link)

    def _leave(self, link: WorkerLink) -> None:
        """It takes no slot any more."""
        link.close()
        for links in (self._dispatch.warm, self._dispatch.fresh):
            if link in links:
                links.remove(link)
        for lane, one in list(self._dispatch.single.items()):
            if one is link:
                del self._dispatch.single[lane]

    def exited(self, exited: Exited) -> None:
        """A worker is gone (`supervision.Owner`)."""
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
            failure = ends.of_worker(exited, given, stopping=link.stopping, among=len(held))
            self._end([given], failure, began=link.began_at if link.sequential else None, exited=exited)
        self._dispatch.put_back(unbegun)
        if link is self._consulting.link:
            self._consulting.ended(exited)
        self._sweep()
        self._pump()
        self._report(Room())

    def bereft(self, supervisor: SupervisorLink) -> None:
        """A supervisor is gone, and so are its workers."""
        for link in [link for link in self._links.values() if link.by is supervisor]:
            self.exited(Exited(link.id, why="killed", detail="the process that looks after the workers ended"))

    def loaded(self) -> None:
        """The project is there."""
        self._report(Room())

    def restarted(self) -> None:
        """Work can go on."""
        self._consulting.ask_again()
        self._pump()

    def refused(self, problem: Problem) -> None:
        """What waits will never run."""
        for backlog in self._dispatch.backlog.values():
            waiting = list(backlog)
            backlog.clear()
            self._end(waiting, ends.not_loaded(problem))
        self._consulting.refuse(problem)

    def _sweep(self) -> None:
        self._supervision.sweep(used=lambda one: any(link.by is one for link in self._links.values()))

    def _pass_on(self, answer: Answer) -> None:
        self._report(answer)

    def _end(self, given: Sequence[Given], failure: Failure, *, began: float | None = None, exited: Exited | None = None) -> None:
        """Report attempts that ended without a word of their own."""
        now = time.time()
        outcomes: dict[str, list[Outcome]] = {}
        for state, start in given:
            if state.active.pop((start.n, start.attempt), self) is self:
                continue
            fresh = state.lane == "fresh" and exited is not None  # of others the process did more than this one attempt
            outcome = Outcome(
                start.n,
                start.attempt,
                began or now,
                now,
                None,
                failure,
                exited.cpu if fresh and exited else 0.0,
                exited.memory if fresh and exited else 0,
            )
            outcomes.setdefault(state.job.id, []).append(outcome)
        for job, ended in outcomes.items():
            self._report(Done(job, ended))


def _unheard(_report: Report) -> None:
    return None
