"""The loop: stimuli in (reports, alarms, requests), decisions from the machine, rows to the journal, deeds to the ports.

Ordinary attempts are launched while their record is being written: whatever a crash then loses was not told to anybody
and is done again. What is promised waits for its record: the end of a run, and the start of what may start only once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidemill.engine.alarms import Alarm, Alarms
from tidemill.engine.dispatch import Dispatcher, Ready
from tidemill.engine.journal import Journal
from tidemill.engine.memo import Memory
from tidemill.engine.rows import commit_of, read_event
from tidemill.errors import Problem
from tidemill.graph.values import Handle
from tidemill.graph.work import Answer, CallMade, Done, Instant, Job, Note, Question, Report, Returned
from tidemill.machine import advance
from tidemill.machine import effects as fx
from tidemill.machine.apply import fold
from tidemill.machine.resolve import job as make_job
from tidemill.machine.resolve import spread
from tidemill.machine.resolve import start as make_start
from tidemill.machine.run import Place, Run
from tidemill.machine.states import RUN_ENDS, RunState
from tidemill.ports import Clock, EngineRow, Executor, NoteRow, RunRow, Store

MAX_BACKLOG = 50_000  # rows that may wait to be written before nothing new is launched
BUSY = "the store is busy writing"
RENEW_EVERY = 1.0  # seconds between looks at requests from other processes, and renewals of leases
LEASE = 15.0  # seconds


class Fenced(Problem):
    """Another engine has taken the run over."""

    code = "fenced"

    def __init__(self, run: str) -> None:
        super().__init__(
            f"Run {run} is now driven by another engine.",
            why="This engine's lease on it was over, perhaps because the machine slept or the database was away for long.",
            mend=f"Nothing is lost. Watch it with: tidemill show {run}",
        )


class Driven:
    """A run that this engine drives."""

    def __init__(self, row: RunRow, run: Run, done: asyncio.Future[RunRow]) -> None:
        self.row = row
        self.run = run
        self.epoch = row.epoch
        self.done = done
        self.jobs: dict[str, Job] = {}
        self.spreads: dict[str, Any] = {}


Listener = Callable[[Run, advance.Step], None]


class Engine:
    """Drives runs of one store on one executor. Use `start`, `drive`, `cancel`, `close`; everything else happens by itself."""

    def __init__(
        self, store: Store, executor: Executor, clock: Clock, *, command: str = "", pools: dict[str, int] | None = None,
        cpus: float = 2.0, gpus: float = 0.0, host: str = "", pid: int = 0, lease: float = LEASE, renew_every: float = RENEW_EVERY,
    ) -> None:  # fmt: skip
        self._store = store
        self._executor = executor
        self._clock = clock
        self._me = EngineRow(id=f"e{clock.token()}", host=host, pid=pid, started_at=clock.now(), seen_at=clock.now(), command=command)
        self._lease, self._renew_every = lease, renew_every
        self._driven: dict[str, Driven] = {}
        self._dispatcher = Dispatcher(pools=pools or {}, cpus=cpus, gpus=gpus)
        self._journal = Journal(store, trouble=self._on_trouble, fenced=self._on_fenced, broken=self._on_broken, written=self._on_written)
        self._memory = Memory()
        self._alarms = Alarms(clock, self._on_alarm)
        self._renewal: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._pump_planned = False
        self.listeners: list[Listener] = []
        self.trouble: Problem | None = None  # why the store cannot be written now
        self.refused = 0  # reports that came too late

    @property
    def id(self) -> str:
        return self._me.id

    # ---------------------------------------------------------------- from outside

    async def start(self) -> None:
        """Begin to listen and to write."""
        self._journal.start()
        await self._executor.start(self._on_report)
        self._renewal = asyncio.create_task(self._keep_leases())

    async def drive(self, run_id: str, *, inherited: Any = None, seize: bool = False) -> asyncio.Future[RunRow]:
        """Take up run `run_id`: from its beginning, or from where its log ends. The future is done when it has ended, durably.

        `seize`: the caller knows that the engine which holds a lease on it is gone, so the lease counts as over.
        """
        now = self._clock.now()
        then, until = math.inf if seize else now, now + self._lease
        rows = await self._journal.call(lambda: self._store.claim(self.id, now=then, until=until, limit=1, only=run_id))
        if not rows:
            raise Fenced(run_id)
        return await self._take_up(rows[0], inherited)

    async def take_up_orphans(self, limit: int = 100) -> list[asyncio.Future[RunRow]]:
        """Take up unfinished runs that nobody drives any more."""
        now = self._clock.now()
        rows = await self._journal.call(lambda: self._store.claim(self.id, now=now, until=now + self._lease, limit=limit))
        return [await self._take_up(row, None) for row in rows]

    def cancel(self, run_id: str, *, by: str, because: str = "") -> None:
        """Ask a run of this engine to end. Repeating it is harmless."""
        driven = self._driven.get(run_id)
        if driven is not None:
            self._perform(driven, advance.cancel(driven.run, by, because, self._clock.now()), durable=True)

    def run(self, run_id: str) -> Run | None:
        """The state of a run that this engine drives. To be read only."""
        driven = self._driven.get(run_id)
        return driven.run if driven else None

    def why_waiting(self, run_id: str, path: str) -> str:
        """What keeps ready units of a place from being launched."""
        return self._dispatcher.why_waiting(run_id, path)

    async def close(self, *, grace: float = 10.0) -> None:
        """Stop what runs, write what is left, give up the leases. Unfinished runs can be taken up again."""
        for task in (self._renewal, *self._background):
            if task is not None:
                task.cancel()
        self._alarms.close()
        self._dispatcher.paused = "the engine is closing"
        await self._executor.close(grace=grace)
        held = [held_id for held_id, driven in self._driven.items() if driven.run.state not in RUN_ENDS]
        if held and self.trouble is None:
            await self._journal.call(lambda: self._store.release(self.id, held))
        await self._journal.close(patience=grace)

    # ---------------------------------------------------------------- taking runs up

    async def _take_up(self, row: RunRow, inherited: Any) -> asyncio.Future[RunRow]:
        graph, log = await self._journal.call(lambda: (self._store.graph(row.graph), list(self._store.events(row.id))))
        run = Run(row.id, graph)
        done: asyncio.Future[RunRow] = asyncio.get_running_loop().create_future()
        driven = self._driven[row.id] = Driven(row, run, done)
        self._dispatcher.limit(row.id, graph.max_active)
        now = self._clock.now()
        fold(run, (read_event(entry) for entry in log))
        if inherited is not None and not log:
            self._perform(driven, advance.inherit(run, inherited))
        if run.state is RunState.QUEUED:
            self._perform(driven, advance.begin(run, now))
        elif run.state in RUN_ENDS:
            self._driven.pop(row.id)
            done.set_result(row)
        else:
            self._perform(driven, advance.recover(run, self.id, now), durable=True)
            self._perform(driven, advance.outstanding(run, now))
        if row.cancel is not None and run.state not in RUN_ENDS:
            self._cancel_as_asked(driven, row.cancel)
        return done

    def _cancel_as_asked(self, driven: Driven, request: str) -> None:
        by, _, because = request.partition(": ")
        self._perform(driven, advance.cancel(driven.run, by, because, self._clock.now()), durable=True)

    # ---------------------------------------------------------------- stimuli

    def _on_report(self, report: Report) -> None:
        now = self._clock.now()
        if isinstance(report, Done):
            self._on_done(report, now)
        elif isinstance(report, Answer):
            run_id, _, _ = report.id.partition("/")
            if driven := self._driven.get(run_id):
                self._perform(driven, advance.answer(driven.run, report, now))
        elif isinstance(report, Returned):
            driven, path = self._of(report.job)
            if driven is not None:
                step = advance.returned(driven.run, path, report.starts, now)
                self._freed(driven, path, len(report.starts))
                self._perform(driven, step)
        elif isinstance(report, Note):
            self._on_note(report, now)
        elif isinstance(report, CallMade):
            driven, path = self._of(report.job)
            if driven is not None:
                self._perform(driven, advance.call(driven.run, path, report.node, now))
        self._plan_pump()

    def _on_done(self, report: Done, now: Instant) -> None:
        driven, path = self._of(report.job)
        if driven is None:
            return
        step = advance.settle(driven.run, path, report.outcomes, now)
        self.refused += step.refused
        self._freed(driven, path, len(report.outcomes) - step.refused)
        place = driven.run.places.get(path)
        memos = None
        if place is not None and place.policy.cache is not None:
            memos = self._memory.rows(driven.run, place, report.outcomes, now)
        self._perform(driven, step, memos=memos)

    def _on_note(self, note: Note, now: Instant) -> None:
        driven, path = self._of(note.job)
        if driven is None:
            return
        place = driven.run.places.get(path)
        unit = note.n + 1 if place is not None and place.mapped else 0
        commit = commit_of(driven.run, driven.epoch, [])
        commit.notes.append(
            NoteRow(run=driven.run.id, place=path, unit=unit, attempt=note.attempt, kind=note.kind, name=note.name, at=now,
                    value=note.value, handle=note.handle)
        )  # fmt: skip
        self._journal.add(commit)

    def _of(self, job: str) -> tuple[Driven | None, str]:
        run_id, _, path = job.partition("/")
        return self._driven.get(run_id), path

    def _freed(self, driven: Driven, path: str, count: int) -> None:
        place = driven.run.places.get(path)
        if place is not None and count > 0:
            self._dispatcher.ended(driven.run.id, place.policy, count)

    # ---------------------------------------------------------------- performing

    def _perform(self, driven: Driven, step: advance.Step, *, durable: bool = False, memos: Sequence[Any] | None = None) -> None:
        """Write the events of `step`, and do what it says. The one function that acts."""
        concluding = next((effect for effect in step.effects if isinstance(effect, fx.Conclude)), None)
        if step.events or memos:
            commit = commit_of(driven.run, driven.epoch, step.events)
            if memos:
                commit.memos += memos
            then = (lambda: self._concluded(driven)) if concluding is not None else None
            self._journal.add(commit, durable=durable or concluding is not None, then=then)
        for effect in step.effects:
            self._do(driven, effect)
        for listener in self.listeners:
            listener(driven.run, step)
        if self._journal.backlog > MAX_BACKLOG and self._dispatcher.paused is None:
            self._dispatcher.paused = BUSY
        self._plan_pump()

    def _do(self, driven: Driven, effect: fx.Effect) -> None:
        run = driven.run
        if isinstance(effect, fx.MakeReady):
            self._make_ready(driven, run.places[effect.place], effect.units)
        elif isinstance(effect, (fx.WakeAt, fx.WakeRun)):
            self._alarms.set(run.id, effect)
        elif isinstance(effect, fx.Ask):
            self._executor.ask(Question(id=f"{run.id}/{effect.place}", want=effect.want, of=effect.of))
        elif isinstance(effect, fx.Stop):
            self._executor.stop(f"{run.id}/{effect.place}", effect.n, effect.attempt, cause=effect.cause)
        elif isinstance(effect, fx.Withdraw):
            self._dispatcher.withdraw(run.id, effect.place)
        elif isinstance(effect, fx.Reply):
            self._executor.reply(f"{run.id}/{effect.place}", _asked_as(effect.node.key), effect.result, effect.failure)

    def _make_ready(self, driven: Driven, place: Place, units: range | tuple[int, ...]) -> None:
        if place.policy.cache is not None:
            task = asyncio.create_task(self._look_up(driven, place, tuple(units)))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            return
        assert place.node is not None
        self._dispatcher.add(driven.run.id, place.path, place.policy, place.node.task.name, units)

    async def _look_up(self, driven: Driven, place: Place, units: tuple[int, ...]) -> None:
        """Take remembered results for units of a task with `cache=`; the others are launched."""
        keys = self._memory.keys(driven.run, place, units)
        now = self._clock.now()
        found = await self._journal.call(lambda: self._store.recall(list(set(keys.values())), now=now))
        hits: list[tuple[int, Handle]] = [(n, found[key].handle) for n, key in keys.items() if key in found]
        missing = [n for n in units if keys.get(n) not in found]
        if missing and place.node is not None:
            self._dispatcher.add(driven.run.id, place.path, place.policy, place.node.task.name, missing)
        if hits:
            why = f"computed before, in run {found[keys[hits[0][0]]].run}"
            self._perform(driven, advance.reused(driven.run, place.path, hits, why, now))
        self._plan_pump()

    def _concluded(self, driven: Driven) -> None:
        """The end of the run is durable: tell those who wait."""
        run = driven.run
        self._driven.pop(run.id, None)
        self._dispatcher.forget(run.id)
        self._memory.forget(run.id)
        self._executor.forget(run.id)
        if not driven.done.done():
            driven.done.set_result(driven.row)

    # ---------------------------------------------------------------- launching

    def _plan_pump(self) -> None:
        if not self._pump_planned:
            self._pump_planned = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_planned = False
        self._dispatcher.pump(self._executor.room, self._launch)

    def _launch(self, ready: Ready, units: list[int]) -> None:
        driven = self._driven[ready.run]
        run = driven.run
        place = run.places[ready.path]
        job = driven.jobs.get(ready.path)
        if job is None:
            job = driven.jobs[ready.path] = make_job(run, place, environment=driven.row.environment)
            driven.spreads[ready.path] = spread(run, place)
        over = driven.spreads[ready.path]
        starts = [make_start(place, n, over) for n in units]
        step = advance.launched(run, ready.path, [(start.n, start.attempt) for start in starts], self._clock.now())
        if place.policy.at_most_once:
            commit = commit_of(run, driven.epoch, step.events)
            self._journal.add(commit, durable=True, then=lambda: self._executor.launch(job, starts))
            step.events = []
            self._perform(driven, step)
            return
        self._perform(driven, step)
        self._executor.launch(job, starts)

    def _on_alarm(self, run_id: str, alarm: Alarm) -> None:
        driven = self._driven.get(run_id)
        if driven is not None:
            now = self._clock.now()
            step = advance.run_out(driven.run, now) if isinstance(alarm, fx.WakeRun) else advance.wake(driven.run, alarm, now)
            self._perform(driven, step)

    # ---------------------------------------------------------------- the store and its leases

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            now = self._clock.now()
            me = self._me = msgspec.structs.replace(self._me, seen_at=now)
            try:
                rows = await self._journal.call(lambda: self._store.renew(me, until=now + self._lease))  # noqa: B023 - awaited at once
            except Problem as problem:
                self._on_trouble(problem)
                continue
            if self.trouble is not None and self._journal.backlog == 0:
                self._on_trouble(None)
            held = {row.id: row for row in rows}
            for driven in list(self._driven.values()):
                row = held.get(driven.row.id)
                if row is not None and row.cancel is not None:
                    self._cancel_as_asked(driven, row.cancel)

    def _on_written(self) -> None:
        if self._dispatcher.paused == BUSY and self._journal.backlog < MAX_BACKLOG // 2:
            self._dispatcher.paused = None
            self._plan_pump()

    def _on_trouble(self, problem: Problem | None) -> None:
        """The store cannot be written (again): running tasks go on, nothing new is launched."""
        self.trouble = problem
        if problem is not None:
            self._dispatcher.paused = f"the store cannot be written: {problem.what}"
        elif self._dispatcher.paused is not None and self._dispatcher.paused.startswith("the store cannot"):
            self._dispatcher.paused = None
            self._plan_pump()

    def _on_fenced(self, run_id: str) -> None:
        driven = self._driven.pop(run_id, None)
        if driven is None:
            return
        for place in driven.run.places.values():
            for n, unit in enumerate(place.units):
                if unit.state == "running":
                    self._executor.stop(f"{run_id}/{place.path}", n, unit.attempt, cause="cancelled")
        self._dispatcher.forget(run_id)
        if not driven.done.done():
            driven.done.set_exception(Fenced(run_id))

    def _on_broken(self, error: BaseException) -> None:
        for driven in list(self._driven.values()):
            if not driven.done.done():
                driven.done.set_exception(error)


def _asked_as(key: str) -> str:
    """The key under which a driver asked: without the number of its attempt."""
    stem, mark, number = key.rpartition("~")
    return stem if mark and number.isdigit() else key
