"""Group commit: order, one row a task, another try of the same batch, answers even after the end. With the real thread."""

import asyncio
import threading

import pytest

from tidemill.engine.journal import Journal, merged
from tidemill.errors import Problem
from tidemill.graph.assets import RefRow
from tidemill.graph.values import Handle
from tidemill.machine.states import RunState, TaskState
from tidemill.ports import Commit, EventRow, RunChange, TaskRow
from tidemill.store.memory import MemoryStore
from tidemill.store.problems import StoreAway


def row(place: str, state: TaskState) -> TaskRow:
    return TaskRow(run="r", place=place, unit=0, task="t", state=state)


def entry(n: int) -> EventRow:
    return EventRow(run="r", n=n, kind="k", at=float(n), body=b"{}")


def test_of_each_task_only_the_last_row_is_written_and_every_event() -> None:
    first = Commit(run="r", epoch=1, events=[entry(1)], tasks=[row("a", TaskState.RUNNING), row("b", TaskState.RUNNING)])
    second = Commit(run="r", epoch=1, events=[entry(2)], tasks=[row("a", TaskState.SUCCEEDED)])
    other = Commit(run="s", epoch=4)
    one, two = merged([first, other, second])
    assert [event.n for event in one.events] == [1, 2]
    assert {task.place: task.state for task in one.tasks} == {"a": "succeeded", "b": "running"}
    assert (two.run, two.epoch) == ("s", 4)


def test_changes_of_a_run_add_up_and_the_later_one_wins() -> None:
    begun = Commit(run="r", epoch=1, change=RunChange(state=RunState.RUNNING, started_at=5.0))
    ended = Commit(run="r", epoch=1, change=RunChange(state=RunState.FAILED, cancel=None))
    (one,) = merged([begun, ended])
    assert one.change == RunChange(state=RunState.FAILED, started_at=5.0, cancel=None)


class Disk(MemoryStore):
    """Notes what is committed; fails as often as it is told to."""

    def __init__(self, *faults: Exception) -> None:
        super().__init__()
        self.faults = list(faults)
        self.tried: list[list[Commit]] = []
        self.durable: list[bool] = []
        self.go = threading.Event()
        self.go.set()

    def commit(self, commits, *, durable):
        self.go.wait(30)
        self.tried.append(commits)
        if self.faults:
            raise self.faults.pop(0)
        self.durable.append(durable)
        return ["fenced"] if any(commit.run == "fenced" for commit in commits) else []


class Desk:
    """A journal and what it told."""

    def __init__(self, disk: Disk) -> None:
        self.told: list[object] = []
        self.journal = Journal(
            disk, trouble=lambda problem: self.told.append(("trouble", problem and problem.code)), fenced=self.told.append,
            broken=self.told.append, written=lambda: None,
        )  # fmt: skip
        self.journal.start()

    async def settled(self) -> None:
        await self.journal.call(lambda: None)
        await asyncio.sleep(0)


def test_who_waits_is_told_after_the_commit_in_order_and_durably_where_one_asked() -> None:
    async def main() -> None:
        disk = Disk()
        disk.go.clear()
        desk = Desk(disk)
        for n in range(3):
            desk.journal.add(Commit(run="r", epoch=1, events=[entry(n + 1)]), durable=n == 2, then=lambda n=n: desk.told.append(n))
        assert desk.journal.backlog == 3
        disk.go.set()
        await desk.settled()
        assert desk.told == [0, 1, 2]
        assert desk.journal.backlog == 0
        assert disk.durable[-1]
        assert [event.n for commits in disk.tried for commit in commits for event in commit.events] == [1, 2, 3]
        await desk.journal.close(patience=5)

    asyncio.run(main())


def test_while_the_store_is_away_the_same_batch_is_tried_again_and_nothing_is_given_up() -> None:
    async def main() -> None:
        disk = Disk(StoreAway("x", "y"), StoreAway("x", "y"))
        desk = Desk(disk)
        desk.journal.add(Commit(run="r", epoch=1, events=[entry(1)]), then=lambda: desk.told.append("written"))
        desk.journal.add(Commit(run="r", epoch=1, events=[entry(2)]))
        await desk.settled()
        assert desk.told == [("trouble", "store-away"), ("trouble", "store-away"), ("trouble", None), "written"]
        assert disk.tried[0] == disk.tried[1] == disk.tried[2]
        await desk.journal.close(patience=5)

    asyncio.run(main())


def test_a_run_of_another_engine_is_told_and_its_writers_are_not() -> None:
    async def main() -> None:
        desk = Desk(Disk())
        desk.journal.add(Commit(run="fenced", epoch=1), then=lambda: desk.told.append("written"))
        await desk.settled()
        assert desk.told == ["fenced"]
        await desk.journal.close(patience=5)

    asyncio.run(main())


def test_after_a_fault_of_the_store_questions_are_answered_with_it() -> None:
    async def main() -> None:
        fault = RuntimeError("a defect")
        desk = Desk(Disk(fault))
        desk.journal.add(Commit(run="r", epoch=1, events=[entry(1)]))
        for _ in range(2):  # one that may be in the queue already, and one that comes later
            with pytest.raises(RuntimeError, match="a defect"):
                await desk.journal.call(lambda: 1)
        assert desk.told == [fault]
        await desk.journal.close(patience=5)

    asyncio.run(main())


def test_a_closed_journal_has_written_everything_and_says_that_it_is_closed() -> None:
    async def main() -> None:
        disk = Disk()
        desk = Desk(disk)
        desk.journal.add(Commit(run="r", epoch=1, events=[entry(1)]))
        await desk.journal.close(patience=5)
        assert len(disk.durable) == 1
        with pytest.raises(Problem, match="The engine is closed"):
            await desk.journal.call(lambda: 1)

    asyncio.run(main())


def test_a_question_that_fails_fails_for_who_asked_only() -> None:
    async def main() -> None:
        desk = Desk(Disk())

        def fails() -> None:
            raise ValueError("no such run")

        with pytest.raises(ValueError, match="no such run"):
            await desk.journal.call(fails)
        assert await desk.journal.call(lambda: 7) == 7
        await desk.journal.close(patience=5)

    asyncio.run(main())


def test_commits_of_a_run_are_merged_with_every_kind_of_row() -> None:
    """A kind of row that `merged` forgot would be lost only when commits come together: now and then."""
    row = RefRow(environment="default", asset="a", version="v", key="k", handle=Handle("json", "d", 1), at=1.0)
    lists = [name for name in Commit.__struct_fields__ if isinstance(getattr(Commit(run="r", epoch=1), name), list)]
    assert set(lists) == {"events", "tasks", "attempts", "notes", "memos", "refs"}
    (both,) = merged([Commit(run="r", epoch=1, refs=[row]), Commit(run="r", epoch=1, refs=[row])])
    assert both.refs == [row, row]
