"""The engine on virtual time: what waits for its record, what is stopped, what is taken up."""

import asyncio
from functools import partial
from random import Random
from typing import Any

import pytest

from tidemill.engine.driven import Fenced
from tidemill.engine.engine import Engine
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph
from tidemill.graph.policy import Policy, Timeout
from tidemill.graph.values import Ref
from tidemill.graph.work import Failure, Note
from tidemill.ports import Page, RunRow, TaskFilter
from tidemill.store.memory import MemoryStore
from tidemill.testing.clock import VirtualClock
from tidemill.testing.executor import SimulatedExecutor
from tidemill.testing.faults import EngineStore, PowerStore, SteppedJournal
from tidemill.testing.graphs import call, each, flow, value
from tidemill.testing.loop import let_pass, run_virtually, until


class House:
    """A store, a clock, and engines on them. `pace`: seconds that each commit takes."""

    def __init__(self, graph: Graph, pace: float = 0.001) -> None:
        self.clock = VirtualClock()
        self.disk = PowerStore(MemoryStore)
        self.pace = pace
        self.started: list[tuple[str, int]] = []
        row = RunRow(id="r1", key="r1", flow="flow", graph=graph_digest(graph), created_at=self.clock.now())
        self.disk.write("create_run", (row, graph), {}, durable=True)

    def engine(self, behave: Any = None, **options: Any) -> Engine:
        def does(job, start, args):
            self.started.append((job.place, start.n))
            return value(sorted(args.items())) if behave is None else behave(job, start, args)

        self.executor = SimulatedExecutor(does, Random(1), self.clock)
        self.store = EngineStore(self.disk)
        journal = partial(SteppedJournal, pace=lambda: self.pace, crashed=lambda: None)
        return Engine(self.store, self.executor, self.clock, journal=journal, **options)

    @property
    def row(self) -> RunRow:
        return self.disk.store.run("r1")

    def states(self) -> dict[str, str]:
        rows = self.disk.store.tasks("r1", TaskFilter(), Page(limit=1000))
        return {row.name: str(row.state) for row in rows}

    def run(self, main: Any) -> Any:
        return run_virtually(main, self.clock)


def test_who_waits_for_a_run_gets_its_row_as_it_is_stored() -> None:
    house = House(flow(call("a", 1), output=Ref("a")))

    async def main() -> RunRow:
        engine = house.engine()
        await engine.start()
        return await (await engine.drive("r1"))

    row = house.run(main())
    assert row.state == "succeeded"
    assert (row.counts, row.output, row.ended_at) == (house.row.counts, house.row.output, house.row.ended_at)
    assert row.output is not None
    assert house.row.started_at is not None


def test_what_starts_only_once_starts_after_its_record_is_durable() -> None:
    house = House(flow(call("a", policy=Policy(at_most_once=True))), pace=5.0)

    async def main() -> None:
        engine = house.engine()
        await engine.start()
        done = await engine.drive("r1")
        seen = []
        house.executor.launched.append(lambda job, start: seen.append(house.disk.store.task("r1", "a", 0).state))
        await done
        assert seen == ["running"]

    house.run(main())


def test_what_starts_only_once_is_not_started_when_the_run_is_cancelled_before() -> None:
    house = House(flow(call("a", policy=Policy(at_most_once=True))), pace=5.0)

    async def main() -> None:
        engine = house.engine()
        await engine.start()
        done = await engine.drive("r1")
        await until(lambda: engine.run("r1").places["a"].units[0].state == "running")
        engine.cancel("r1", by="ada")
        assert (await done).state == "cancelled"

    house.run(main())
    assert house.started == []
    assert house.states() == {"a": "cancelled"}


def test_units_that_ran_out_of_time_while_they_were_offered_are_not_launched() -> None:
    house = House(flow(call("first", policy=Policy(pool="one")), call("second", policy=Policy(pool="one", timeout=Timeout(queue=0.01)))))

    async def main() -> RunRow:
        engine = house.engine(pools={"one": 1})
        await engine.start()
        return await (await engine.drive("r1"))

    assert house.run(main()).because == "second: it waited longer than 0.01 s to be started"
    assert house.started == [("first", 0)]


def test_an_engine_that_lost_its_lease_stops_what_it_runs() -> None:
    house = House(flow(call("a")))

    async def main() -> None:
        engine = house.engine(lambda *_: forever(), lease=10.0, renew_every=1.0)
        await engine.start()
        done = await engine.drive("r1")
        await let_pass(2)
        house.store.away = True
        await let_pass(20)
        house.disk.write("claim", ("other",), {"now": house.clock.now(), "until": house.clock.now() + 99, "limit": 1}, durable=True)
        house.store.away = False
        with pytest.raises(Fenced) as caught:
            await done
        assert caught.value.what == "Run r1 is now driven by another engine."
        assert "tidemill show r1" in caught.value.mend
        await let_pass(5)
        assert house.executor.running == {}

    house.run(main())


def forever():
    yield call("never")


def test_a_run_that_could_not_be_read_is_given_up_and_can_be_taken_up_later() -> None:
    house = House(flow(call("a")))

    async def main() -> str:
        engine = house.engine(renew_every=1.0)
        await engine.start()
        claim = asyncio.ensure_future(engine.take_up_orphans())
        await until(lambda: house.store.writes)
        house.store.away = True
        (failed,) = await claim
        assert getattr(failed.exception(), "code", "") == "store-away"
        house.store.away = False
        await let_pass(2)
        assert house.row.owner is None
        (done,) = await engine.take_up_orphans()
        return str((await done).state)

    assert house.run(main()) == "succeeded"


def test_while_the_store_is_away_nothing_new_is_launched_and_what_runs_goes_on() -> None:
    house = House(flow(call("a"), call("b", Ref("a"))))

    async def main() -> None:
        engine = house.engine(renew_every=0.001)
        await engine.start()
        done = await engine.drive("r1")
        await until(lambda: house.executor.running)
        house.store.away = True
        await until(lambda: engine.trouble)
        await let_pass(30)
        assert engine.why_waiting("r1", "b") == "the store cannot be written: The database of the test does not answer."
        assert house.started == [("a", 0)]
        house.store.away = False
        assert (await done).state == "succeeded"

    house.run(main())
    assert house.started == [("a", 0), ("b", 0)]


def test_a_request_to_cancel_from_another_process_is_seen() -> None:
    house = House(flow(call("a")))

    async def main() -> RunRow:
        engine = house.engine(lambda *_: forever())
        await engine.start()
        done = await engine.drive("r1")
        house.disk.write("ask_cancel", ("r1",), {"by": "ada", "because": "wrong day", "now": 0.0}, durable=True)
        return await done

    row = house.run(main())
    assert (row.state, row.because, house.row.cancel) == ("cancelled", "wrong day", None)


def test_a_closed_engine_leaves_its_run_to_the_next() -> None:
    house = House(flow(call("a"), call("b", Ref("a"))))

    async def main() -> RunRow:
        first = house.engine()
        await first.start()
        await first.drive("r1")
        await until(lambda: house.executor.running)
        await first.close(grace=1)
        assert (house.row.state, house.row.owner) == ("running", None)
        second = house.engine()
        await second.start()
        (done,) = await second.take_up_orphans()
        return await done

    assert house.run(main()).state == "succeeded"
    assert house.started == [("a", 0), ("a", 0), ("b", 0)]


def test_a_remembered_result_is_taken_and_of_a_refused_report_nothing_is_remembered() -> None:
    policy = Policy(cache=-1.0)
    house = House(flow(call("a", 1, policy=policy), call("b", Ref("a")), call("c", 1, after=("b",), policy=policy)))

    async def main() -> RunRow:
        engine = house.engine()
        await engine.start()
        return await (await engine.drive("r1"))

    assert house.run(main()).state == "succeeded"
    assert house.started == [("a", 0), ("b", 0)]
    assert house.states()["c"] == "reused"
    assert house.disk.store.task("r1", "c", 0).because == "computed before, in run r1"


def test_only_the_current_attempt_speaks_for_its_task() -> None:
    house = House(flow(call("list"), each("m", Ref("list"), policy=Policy(retries=1))))

    async def main() -> None:
        engine = house.engine(lambda job, start, args: value([1, 2]) if job.place == "list" else fails_first(start))
        await engine.start()
        done = await engine.drive("r1")

        def speak(job, start) -> None:
            for attempt in (1, 2):
                engine._on_report(Note(job.id, start.n, attempt, "metric", f"told in {start.attempt} of {attempt}", 1.0))

        house.executor.launched.append(speak)
        await done

    house.run(main())
    notes = {(note.place, note.unit, note.attempt, note.name) for note in house.disk.store.notes("r1", "m")}
    assert notes == {("m", n, at, f"told in {at} of {at}") for n in (1, 2) for at in (1, 2)}


def fails_first(start: Any) -> Any:
    return Failure("error") if start.attempt == 1 else value(1)


def test_a_dynamic_flow_whose_run_may_do_one_thing_at_a_time_gets_done() -> None:
    house = House(flow(call("d", role="driver", policy=Policy(executor="thread", pool="one")), max_active=1))

    def body():
        first = yield call("d/x", 1, policy=Policy(pool="one"))
        second = yield call("d/y", 2, policy=Policy(pool="one"))
        return value([first.digest, second.digest])

    async def main() -> RunRow:
        engine = house.engine(lambda job, start, args: body() if job.driver else value(args), pools={"one": 1})
        await engine.start()
        return await (await engine.drive("r1"))

    assert house.run(main()).state == "succeeded"
