"""A seeded world: real engines, machine, journal and store on virtual time, with everything that can go wrong around them.

One thread, no real clock: the same seed is the same world, instruction by instruction.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

from simulation.graphs import POOLS, outcome, random_graph
from tidemill.engine.engine import Engine
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph
from tidemill.graph.work import Failure, Job, Start
from tidemill.machine.states import RUN_ENDS
from tidemill.ports import RunRow
from tidemill.store.memory import MemoryStore
from tidemill.testing.clock import VirtualClock
from tidemill.testing.executor import Hazards, SimulatedExecutor
from tidemill.testing.faults import EngineStore, PowerStore, SteppedJournal
from tidemill.testing.graphs import call, value
from tidemill.testing.loop import let_pass, run_virtually

LONGEST = 1500.0  # virtual seconds within which every run must end


class Broken(AssertionError):
    """A promise was not kept."""


class Parts(NamedTuple):
    """What the world is made of. A test puts a broken part in to see that it is found."""

    engine: Callable[..., Engine] = Engine
    journal: Callable[..., SteppedJournal] = SteppedJournal
    store: Callable[[], Any] = MemoryStore
    executor: Callable[..., SimulatedExecutor] = SimulatedExecutor


WHOLE = Parts()


class Faults(NamedTuple):
    """What goes wrong in a world, all drawn from its seed."""

    crashes: int = 0  # engines that crash at some write
    power: bool = False  # with the whole machine: what was not durable may be lost
    orphans: bool = False  # attempts outlive their engine, and report to the next
    engines: int = 1
    cut: int = 0  # times that an engine's way to the store is cut, often beyond its lease
    closes: int = 0  # engines that are closed in an orderly way
    cancel: float = 0.0  # seconds after which somebody cancels; 0: nobody does
    jumps: int = 0  # times that the clock is set
    hazards: Hazards = Hazards()

    @staticmethod
    def of(chance: Random) -> Faults:
        if chance.random() < 0.1:
            return Faults()
        engines = chance.choice([1, 1, 2])
        return Faults(
            crashes=chance.choice([0, 1, 1, 2, 3]),
            power=engines == 1 and chance.random() < 0.5,
            orphans=chance.random() < 0.4,
            engines=engines,
            cut=chance.choice([0, 0, 1, 2]),
            closes=chance.choice([0, 0, 1]),
            cancel=chance.random() * 12 if chance.random() < 0.2 else 0.0,
            jumps=chance.choice([0, 0, 1, 2]),
            hazards=Hazards(
                twice=chance.choice([0, 0.3]), dies=chance.choice([0, 0.1]), returns=chance.choice([0, 0.1]),
                slow=chance.choice([0.01, 0.5, 3.0]), work=chance.choice([0.1, 1.0, 5.0]),
            ),
        )  # fmt: skip


class Process:
    """One control process: an engine, its way to the store, and the place where its attempts run."""

    def __init__(self, world: World, executor: SimulatedExecutor, crash_after: float | None) -> None:
        self.world = world
        self.executor = executor
        self.alive = True
        self.store = EngineStore(world.disk)
        self.store.crash_after = crash_after
        self.mine: dict[tuple[str, int, int], Job] = {}
        pace = lambda: world.chance.random() * 0.02  # noqa: E731
        self.engine = world.parts.engine(
            self.store, self, world.clock, pools=POOLS, cpus=3.0, lease=15.0, renew_every=4.0,
            journal=partial(world.parts.journal, pace=pace, crashed=lambda: world.crash(self)),
        )  # fmt: skip
        self.tasks = [asyncio.ensure_future(self._serve())]

    async def _serve(self) -> None:
        await self.engine.start()
        while True:
            try:
                for told in await self.engine.take_up_orphans():
                    told.add_done_callback(partial(self.world.told, self))
            except Exception as problem:
                if getattr(problem, "code", "") != "store-away":
                    self.world.broken.append(f"taking up: {problem!r}")
            await let_pass(3.0)

    def __getattr__(self, name: str) -> Any:
        """As executor of its engine: nothing reaches it after the end of the process."""
        if self.alive:
            return getattr(self.executor, name)
        return lambda *_args, **_given: None

    def room(self, policy: Any, task: str) -> int:
        return self.executor.room(policy, task) if self.alive else 0

    async def start(self, report: Callable[[Any], None]) -> None:
        await self.executor.start(lambda told: report(told) if self.alive else None)

    def launch(self, job: Job, starts: list[Start]) -> None:
        if self.alive:
            self.world.launching = self
            self.executor.launch(job, starts)

    async def close(self, *, grace: float) -> None:
        await self.executor.close(grace=grace)


class World:
    """Everything there is. `live` lets it run until all runs have ended, or raises `Broken`."""

    def __init__(self, seed: int, *, faults: Faults | None = None, parts: Parts = WHOLE, graph: Graph | None = None) -> None:
        self.seed = seed
        self.chance = Random(seed)
        drawn = Faults.of(self.chance)
        self.faults = drawn if faults is None else faults
        self.parts = parts
        self.clock = VirtualClock()
        self.disk = PowerStore(parts.store)
        self.graph = graph or random_graph(Random(seed * 7919 + 1))
        self.run = "r1"
        self.processes: list[Process] = []
        self.launching: Process | None = None
        self.starts = Counter[tuple[str, int]]()
        self.executed = Counter[tuple[str, int]]()
        self.restarts = 0  # crashes, closures and fences: each may cost what was under way
        self.before_power_was_lost = Counter[tuple[str, int]]()
        self.promised: RunRow | None = None
        self.broken: list[str] = []

    def live(self) -> World:
        run_virtually(self._live(), self.clock)
        if self.broken:
            raise Broken("; ".join(self.broken))
        return self

    async def _live(self) -> None:
        row = RunRow(id=self.run, key="k", flow="flow", graph=graph_digest(self.graph), created_at=self.clock.now())
        self.disk.write("create_run", (row, self.graph), {}, durable=True)
        for _ in range(self.faults.engines):
            self.begin()
        loop: Any = asyncio.get_running_loop()
        plan = self.faults
        for fault, times in ((self.cut, plan.cut), (self.close, plan.closes), (self.jump, plan.jumps)):
            for _ in range(times):
                loop.call_later(self.chance.random() * 20, fault)
        if plan.cancel:
            loop.call_later(plan.cancel, self.cancel)
        while self.row.state not in RUN_ENDS:
            await let_pass(5.0)
            if loop.faults:
                raise loop.faults[0]
            if loop.time() > LONGEST:
                raise Broken(f"the run did not end: {self.row.state}, {self._waiting()}")
        await let_pass(20.0)  # what is under way comes too late

    @property
    def row(self) -> RunRow:
        return self.disk.store.run(self.run)

    def _waiting(self) -> list[str]:
        runs = [process.engine.run(self.run) for process in self.processes if process.alive]
        return [f"{place.path} {place.state}" for run in runs if run for place in run.places.values() if not place.ended]

    # ---------------------------------------------------------------- engines come and go

    def begin(self, executor: SimulatedExecutor | None = None) -> None:
        crash_after = None
        if self.restarts < self.faults.crashes:
            crash_after = self.chance.choice([0, 0.5]) + self.chance.choice([self.chance.randint(1, 8), self.chance.randint(1, 30)])
        if executor is None:
            executor = self.parts.executor(self._behave, self.chance, self.clock, hazards=self.faults.hazards, slots=3)
            executor.launched.append(self._on_start)
        self.processes.append(Process(self, executor, crash_after))

    def crash(self, process: Process) -> None:
        if not process.alive:
            return
        self._end(process)
        process.executor.die(orphans=self.faults.orphans)
        if self.faults.power:
            self.before_power_was_lost = self.starts.copy()
            self.disk.lose_power(self.chance.randint(0, self.disk.undurable))
        self._again(process.executor if self.faults.orphans else None)

    def close(self) -> None:
        process = self._one()
        if process is None or process.store.away:
            return

        async def closing() -> None:
            process.tasks[0].cancel()
            await process.engine.close(grace=2.0)
            if process.alive:
                self._end(process)
                self._again(None)

        process.tasks.append(asyncio.ensure_future(closing()))

    def _end(self, process: Process) -> None:
        self.restarts += 1
        process.alive = False
        process.store.dead = True
        for task in process.tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _again(self, executor: SimulatedExecutor | None) -> None:
        asyncio.get_running_loop().call_later(self.chance.random() * 5, self.begin, executor)

    def _one(self) -> Process | None:
        alive = [process for process in self.processes if process.alive]
        return self.chance.choice(alive) if alive else None

    # ---------------------------------------------------------------- what else befalls them

    def cut(self) -> None:
        process = self._one()
        if process is not None:
            process.store.away = True
            self.restarts += 1
            asyncio.get_running_loop().call_later(self.chance.choice([1.0, 10.0, 40.0]), setattr, process.store, "away", False)

    def jump(self) -> None:
        self.clock.jump(self.chance.choice([-30.0, -2.0, 2.0, 30.0]))
        self.restarts += 1

    def cancel(self) -> None:
        self.disk.write("ask_cancel", (self.run,), {"by": "ada", "because": "enough", "now": self.clock.now()}, durable=True)

    # ---------------------------------------------------------------- what tasks do

    def _behave(self, job: Job, start: Start, arguments: dict[str, Any]) -> Any:
        unit = (job.place, start.n)
        executed = self.executed[unit]
        self.executed[unit] += 1
        if job.driver:
            return _body(job.place, Random(int(job.task.qualname.partition("-")[2])))
        return outcome(job.task.qualname, start.n, arguments, executed)

    def _on_start(self, job: Job, start: Start) -> None:
        unit = (job.place, start.n)
        self.starts[unit] += 1
        if job.policy.at_most_once and self.starts[unit] > 1:
            self.broken.append(f"{unit} was started {self.starts[unit]} times, and is to be started at most once")
        process = self.launching
        assert process is not None
        mine = process.mine = {key: one for key, one in process.mine.items() if key in process.executor.running}
        mine[job.id, start.n, start.attempt] = job
        working = [one for one in mine.values() if not one.driver]
        pool = job.policy.pool
        if not job.driver:
            if pool is not None and sum(one.policy.pool == pool for one in working) > POOLS[pool]:
                self.broken.append(f"pool {pool} holds more than {POOLS[pool]}")
            if self.graph.max_active is not None and len(working) > self.graph.max_active:
                self.broken.append(f"more than {self.graph.max_active} at once")

    # ---------------------------------------------------------------- what was promised

    def told(self, process: Process, end: asyncio.Future[RunRow]) -> None:
        """Somebody who waits for the run hears of its end: from now on it is promised."""
        if end.cancelled():
            return
        if end.exception() is None:
            self.promised = end.result()
            if self.promised.state not in RUN_ENDS:
                self.broken.append(f"told of an end that is {self.promised.state}")
            if self.faults.power and self.chance.random() < 0.3:  # the worst moment
                asyncio.get_running_loop().call_soon(self.crash, process)
        elif getattr(end.exception(), "code", "") not in ("fenced", "store-away"):
            self.broken.append(f"the engine failed: {end.exception()!r}")


def _body(key: str, chance: Random) -> Any:
    """A dynamic flow: some calls, some of them twice, some of whose failures it takes upon itself."""
    found: list[object] = []
    for at in range(chance.randint(0, 4)):
        task = chance.choice(["value", "value", "fails"])
        node = call(f"{key}/{task}-{at}", at, task=task)
        careful = chance.random() < 0.7
        result = yield node
        if isinstance(result, Failure) and not careful:
            return Failure("error", f"its call failed: {result.message}")
        found.append(isinstance(result, Failure))
    return value(found)
