"""The loop: stimuli in (reports, alarms, requests), decisions from the machine, rows to the journal, deeds to the ports.

Ordinary attempts are launched while their record is being written: whatever a crash then loses was not told to anybody
and is done again. What is promised waits for its record: the end of a run, and the start of what may start only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tidemill.engine.alarms import Alarm, Alarms
from tidemill.engine.dispatch import Dispatcher, Ready
from tidemill.engine.driven import Attempt, Driven, Fenced, Listener, asked_as
from tidemill.engine.journal import BUSY, MAX_BACKLOG, Journal
from tidemill.engine.leases import LEASE, RENEW_EVERY, Leases
from tidemill.engine.memo import Memory
from tidemill.engine.rows import commit_of, note_row, read_event
from tidemill.errors import Problem
from tidemill.graph.policy import Policy
from tidemill.graph.work import Answer, CallMade, Done, Instant, Job, Note, Question, Report, Returned, Start
from tidemill.machine import advance
from tidemill.machine import effects as fx
from tidemill.machine.apply import fold
from tidemill.machine.resolve import job as make_job
from tidemill.machine.resolve import spread
from tidemill.machine.resolve import start as make_start
from tidemill.machine.run import AFTERMATH, Place, Run
from tidemill.machine.states import RUN_ENDS, RunState, TaskState
from tidemill.ports import Clock, Commit, EngineRow, Executor, RunRow, Store


class Engine:
    """Drives runs of one store on one executor. Use `start`, `drive`, `cancel`, `close`; everything else happens by itself."""

    def __init__(
        self, store: Store, executor: Executor, clock: Clock, *, command: str = "", pools: dict[str, int] | None = None,
        cpus: float = 2.0, gpus: float = 0.0, host: str = "", pid: int = 0, lease: float = LEASE, renew_every: float = RENEW_EVERY,
        journal: Callable[..., Journal] = Journal,
    ) -> None:  # fmt: skip
        self._store = store
        self._executor = executor
        self._clock = clock
        self._driven: dict[str, Driven] = {}
        self._dispatcher = Dispatcher(pools=pools or {}, cpus=cpus, gpus=gpus)
        self._journal = journal(store, trouble=self._on_trouble, fenced=self._on_fenced, broken=self._on_broken, written=self._on_written)
        me = EngineRow(id=f"e{clock.token()}", host=host, pid=pid, started_at=clock.now(), seen_at=clock.now(), command=command)
        self._leases = Leases(store, self._journal, clock, me, lasting=lease, every=renew_every)
        self._memory = Memory()
        self._alarms = Alarms(clock, self._on_alarm)
        self._background: set[asyncio.Task[None]] = set()
        self._leftover: dict[Attempt, Policy] = {}  # attempts of runs that were fenced: they hold their slots until they are seen to end
        self._closing = False
        self._pump_planned = self._pumping = False
        self.listeners: list[Listener] = []
        self.trouble: Problem | None = None  # why the store cannot be written now
        self.refused = 0  # reports that came too late

    @property
    def id(self) -> str:
        return self._leases.me.id

    # ---------------------------------------------------------------- from outside

    async def start(self) -> None:
        """Begin to listen and to write."""
        self._journal.start()
        await self._executor.start(self._on_report)
        self._leases.keep(self._on_leases, trouble=self._on_trouble, broken=self._on_broken)

    async def drive(self, run_id: str, *, inherited: Any = None, seize: bool = False) -> asyncio.Future[RunRow]:
        """Take up run `run_id`: from its beginning, or from where its log ends. The future is done when it has ended, durably.

        `seize`: the caller knows that the engine which holds a lease on it is gone, so the lease counts as over.
        """
        rows = await self._leases.claim(limit=1, only=run_id, seize=seize)
        if not rows:
            raise Fenced(run_id)
        return await self._take_up(rows[0], inherited)

    async def take_up_orphans(self, limit: int = 100) -> list[asyncio.Future[RunRow]]:
        """Take up unfinished runs that nobody drives any more."""
        return [await self._taken_up(row) for row in await self._leases.claim(limit=limit)]

    async def _taken_up(self, row: RunRow) -> asyncio.Future[RunRow]:
        try:
            return await self._take_up(row, None)
        except Exception as error:  # noqa: BLE001 - one run that cannot be read does not keep others from going on
            failed: asyncio.Future[RunRow] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

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
        self._closing = True
        self._leases.close()
        for task in self._background:
            task.cancel()
        self._alarms.close()
        self._dispatcher.paused = "the engine is closing"
        await self._executor.close(grace=grace)
        held = [held_id for held_id, driven in self._driven.items() if driven.run.state not in RUN_ENDS]
        if held and self.trouble is None:
            await self._leases.release(held)
        await self._journal.close(patience=grace)

    # ---------------------------------------------------------------- taking runs up

    async def _take_up(self, row: RunRow, inherited: Any) -> asyncio.Future[RunRow]:
        if row.id in self._driven:  # its lease was over, and nobody else took it
            self._on_fenced(row.id)
        try:
            graph, log = await self._journal.call(lambda: (self._store.graph(row.graph), list(self._store.events(row.id))))
            run = fold(Run(row.id, graph), map(read_event, log))
        except Exception:
            await self._leases.release([row.id])
            raise
        done: asyncio.Future[RunRow] = asyncio.get_running_loop().create_future()
        driven = self._driven[row.id] = Driven(row, run, done)
        self._dispatcher.limit(row.id, graph.max_active)
        now = self._clock.now()
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
                self._freed(driven, path, len(report.starts) - step.refused)
                self._perform(driven, step)
            self._let_go(report.job, report.starts)
        elif isinstance(report, Note):
            self._on_note(report, now)
        elif isinstance(report, CallMade):
            driven, path = self._of(report.job)
            if driven is not None:
                self._perform(driven, advance.call(driven.run, path, report.node, now))
        if isinstance(report, Done) and not self._pumping:
            self._pump()  # at once: what follows in a chain should not wait for the loop to come round
        else:
            self._plan_pump()

    def _on_done(self, report: Done, now: Instant) -> None:
        driven, path = self._of(report.job)
        if self._leftover:
            self._let_go(report.job, [(outcome.n, outcome.attempt) for outcome in report.outcomes])
        if driven is None:
            return
        step = advance.settle(driven.run, path, report.outcomes, now)
        self.refused += step.refused
        self._freed(driven, path, len(report.outcomes) - step.refused)
        place = driven.run.places.get(path)
        self._perform(driven, step, results_of=place)

    def _on_note(self, note: Note, now: Instant) -> None:
        driven, path = self._of(note.job)
        if driven is None:
            return
        row = note_row(driven.run, path, note, now)
        if row is not None:
            self._journal.add(Commit(run=driven.run.id, epoch=driven.epoch, notes=[row]))

    def _of(self, job: str) -> tuple[Driven | None, str]:
        run_id, _, path = job.partition("/")
        return self._driven.get(run_id), path

    def _freed(self, driven: Driven, path: str, count: int) -> None:
        place = driven.run.places.get(path)
        if place is not None and count > 0:
            self._dispatcher.ended(driven.run.id, place.policy, count, driver=place.role == "driver")

    def _let_go(self, job: str, attempts: Iterable[tuple[int, int]]) -> None:
        for n, attempt in attempts:
            policy = self._leftover.pop((job, n, attempt), None)
            if policy is not None:
                self._dispatcher.ended(job.partition("/")[0], policy, 1, driver=False)

    # ---------------------------------------------------------------- performing

    def _perform(
        self, driven: Driven, step: advance.Step, *, durable: bool = False, results_of: Place | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Write the events of `step`, and do what it says. `then` is done once they are written. The one function that acts."""
        concluding = next((effect for effect in step.effects if isinstance(effect, fx.Conclude)), None)
        if step.events:
            commit = commit_of(driven.run, driven.epoch, step.events)
            if results_of is not None and self._memory.concerns(results_of):
                durable |= self._memory.write(driven.run, results_of, commit, step.events, (driven.row.environment, self._clock.now()))
            driven.changed(commit.change)
            if concluding is not None:
                then = partial(self._concluded, driven)
            self._journal.add(commit, durable=durable or concluding is not None, then=then)
        for effect in step.effects:
            self._do(driven, effect)
        for listener in self.listeners:
            listener(driven.run, step)
        if self._journal.backlog > MAX_BACKLOG and self._dispatcher.paused is None:
            self._dispatcher.paused = BUSY

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
            self._executor.reply(f"{run.id}/{effect.place}", asked_as(effect.node.key), effect.result, effect.failure)

    def _make_ready(self, driven: Driven, place: Place, units: range | tuple[int, ...]) -> None:
        if self._memory.concerns(place):
            task = asyncio.create_task(self._look_up(driven, place, tuple(units)))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            return
        self._offer(driven, place, units)

    def _offer(self, driven: Driven, place: Place, units: Iterable[int]) -> None:
        assert place.node is not None
        self._dispatcher.add(driven.run.id, place.path, place.policy, place.node.task.name, units, driver=place.role == "driver")
        self._plan_pump()

    async def _look_up(self, driven: Driven, place: Place, units: tuple[int, ...]) -> None:
        """Take remembered results for units of an asset, or of a task with `cache=`; the others are launched."""
        now = self._clock.now()
        keys = self._memory.keys(driven.run, place, units)
        wanted = [] if self._memory.forced(place) else list(set(keys.values()))
        try:
            found = await self._journal.call(lambda: self._store.recall(wanted, now=now)) if wanted else {}
        except Problem as problem:
            self._on_trouble(problem)
            found = {}  # then they are computed, once the store is there again
        if self._driven.get(driven.run.id) is not driven:
            return
        self._offer(driven, place, [n for n in units if keys[n] not in found and place.units[n].state is TaskState.READY])
        hits = [(n, found[key]) for n, key in keys.items() if key in found]
        if hits:
            why = f"computed before, in run {hits[0][1].run}"
            step = advance.reused(driven.run, place.path, [(n, memo.handle) for n, memo in hits], why, self._clock.now())
            self._perform(driven, step, results_of=place)
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

    def _plan_pump(self) -> None:
        if not self._pump_planned:
            self._pump_planned = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        if self._closing:
            return
        self._pumping, self._pump_planned = True, False
        try:
            self._dispatcher.pump(self._executor.room, self._launch)
        finally:
            self._pumping = False

    def _launch(self, ready: Ready, offered: list[int]) -> None:
        driven = self._driven[ready.run]
        run = driven.run
        place = run.places[ready.path]
        # Since they were offered, some may have run out of time.
        units = [n for n in offered if place.units[n].state is TaskState.READY]
        self._freed(driven, ready.path, len(offered) - len(units))
        if not units:
            return
        job = driven.jobs.get(ready.path)
        if job is None:
            job = driven.jobs[ready.path] = make_job(run, place, environment=driven.row.environment)
            driven.spreads[ready.path] = spread(run, place)
        over = driven.spreads[ready.path]
        starts = [make_start(place, n, over) for n in units]
        step = advance.launched(run, ready.path, [(start.n, start.attempt) for start in starts], self._clock.now())
        if place.policy.at_most_once:
            self._perform(driven, step, durable=True, then=lambda: self._launch_recorded(driven, place, job, starts))
            return
        self._perform(driven, step)
        self._executor.launch(job, starts)

    def _launch_recorded(self, driven: Driven, place: Place, job: Job, starts: list[Start]) -> None:
        """The start of what is started at most once is durable: start it, unless the run was stopped in the meantime."""
        if self._driven.get(driven.run.id) is not driven:
            return
        limit = place.policy.timeout.run
        overdue = limit is not None and self._clock.now() >= (place.units[starts[0].n].started or 0.0) + limit
        if overdue or self._closing or (driven.run.stopping is not None and place.role not in AFTERMATH):
            self._on_report(Returned(job.id, [(start.n, start.attempt) for start in starts]))
        else:
            self._executor.launch(job, starts)

    def _on_alarm(self, run_id: str, alarm: Alarm) -> None:
        driven = self._driven.get(run_id)
        if driven is not None:
            now = self._clock.now()
            step = advance.run_out(driven.run, now) if isinstance(alarm, fx.WakeRun) else advance.wake(driven.run, alarm, now)
            self._perform(driven, step)

    # ---------------------------------------------------------------- the store and its leases

    def _on_leases(self, rows: list[RunRow]) -> None:
        """These runs are still ours, and perhaps somebody asked to cancel one."""
        if self.trouble is not None and self._journal.backlog == 0:
            self._on_trouble(None)
        held = {row.id: row for row in rows}
        for driven in list(self._driven.values()):
            row = held.get(driven.row.id)
            if row is None and driven.run.state not in RUN_ENDS:
                self._on_fenced(driven.row.id)
            elif row is not None and row.cancel is not None:
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
        running = driven.running()
        self._leftover |= running
        for job, n, attempt in running:
            self._executor.stop(job, n, attempt, cause="cancelled")
        self._memory.forget(run_id)
        self._dispatcher.forget(run_id)
        if not driven.done.done():
            driven.done.set_exception(Fenced(run_id))

    def _on_broken(self, error: BaseException) -> None:
        self._on_trouble(error if isinstance(error, Problem) else Problem(f"The store failed: {error}", mend="Please report this."))
        for driven in list(self._driven.values()):
            if not driven.done.done():
                driven.done.set_exception(error)
