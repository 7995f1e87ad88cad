"""Commits: whole or not at all, only under the run's epoch, and the same one twice is one."""

from __future__ import annotations

import math

import msgspec
import pytest

from conformance.store.rows import GRAPH, begun, claimed, entry, event, failed, handle, ref, run_row, task
from tidemill.graph.values import Constant, Handle
from tidemill.graph.work import Failure
from tidemill.machine.events import Begun
from tidemill.machine.states import RunState, TaskState
from tidemill.ports import AttemptRow, Commit, MemoRow, NoteRow, Page, RunChange, Store, TaskFilter, TaskRow
from tidemill.store.problems import OutOfStep

HANDLE = handle()


def everything(run: str = "r1", epoch: int = 1, n: int = 1) -> Commit:
    return Commit(
        run=run,
        epoch=epoch,
        events=[entry(run, n), entry(run, n + 1)],
        tasks=[task(run), task(run, "clean", state=TaskState.READY)],
        attempts=[AttemptRow(run=run, place="load", unit=0, attempt=1, started_at=1.0, ended_at=2.0, failure=failed(), cpu=0.5, memory=9)],
        notes=[NoteRow(run=run, place="load", unit=0, attempt=1, kind="metric", name="rows", at=1.0, value=3.5)],
        memos=[MemoRow(key="k", node="load", handle=HANDLE, at=1.0, run=run, parts={"code": "c1"}, seconds=2.0, expires_at=50.0)],
        change=RunChange(state=RunState.RUNNING, started_at=1.0),
    )


def everything_read(store: Store, run: str = "r1") -> list[object]:
    rows = [store.tasks(run, TaskFilter(), Page()), store.attempts(run, "load", 0), store.notes(run), store.recall(["k"], now=2.0)]
    return [*rows, [(e.n, e.kind, e.at, e.body) for e in store.events(run)], store.run(run).state]


@pytest.mark.parametrize("durable", [False, True])
def test_a_commit_reads_as_it_was_written(store: Store, durable: bool) -> None:
    claimed(store)
    commit = everything()
    assert store.commit([commit], durable=durable) == []
    assert store.tasks("r1", TaskFilter(), Page()) == [commit.tasks[1], commit.tasks[0]]
    assert store.attempts("r1", "load", 0) == commit.attempts
    assert store.notes("r1") == commit.notes
    assert store.recall(["k", "unknown"], now=2.0) == {"k": commit.memos[0]}
    assert [(e.n, e.kind, e.at, e.body) for e in store.events("r1")] == [(e.n, e.kind, e.at, e.body) for e in commit.events]
    assert (store.run("r1").state, store.run("r1").started_at) == (RunState.RUNNING, 1.0)


def test_a_commit_under_another_epoch_is_left_out_whole_and_named(store: Store) -> None:
    claimed(store, "r1")
    claimed(store, "r2")
    assert store.commit([everything("r1", epoch=0), Commit(run="r2", epoch=1, tasks=[task("r2")])], durable=True) == ["r1"]
    assert everything_read(store) == [[], [], [], {}, [], RunState.QUEUED]
    assert len(store.tasks("r2", TaskFilter(), Page())) == 1


def test_the_engine_before_is_fenced_once_another_one_has_claimed(store: Store) -> None:
    claimed(store)
    assert store.commit([Commit(run="r1", epoch=1, events=[begun()])], durable=False) == []
    (taken,) = store.claim("bob", now=1000.0, until=2000.0, limit=1)
    assert taken.epoch == 2
    late = Commit(run="r1", epoch=1, events=[entry("r1", 2)], tasks=[task()])
    assert store.commit([late], durable=True) == ["r1"]
    assert store.commit([Commit(run="r1", epoch=2, events=[entry("r1", 2)])], durable=False) == []
    assert len(list(store.events("r1"))) == 2
    assert store.tasks("r1", TaskFilter(), Page()) == []


def test_a_commit_for_a_run_that_is_not_there_is_left_out(store: Store) -> None:
    assert store.commit([everything("gone")], durable=False) == ["gone"]
    assert store.stream(after=0, limit=10) == []


def test_the_same_commit_twice_is_one(store: Store) -> None:
    claimed(store)
    assert store.commit([everything()], durable=False) == []
    once = everything_read(store)
    assert store.commit([everything()], durable=True) == []
    assert everything_read(store) == once


def test_a_repeated_commit_is_known_even_after_the_epoch_has_moved_on(store: Store) -> None:
    claimed(store)
    store.commit([everything()], durable=False)
    store.claim("bob", now=1000.0, until=2000.0, limit=1)
    assert store.commit([everything()], durable=False) == []


def test_commits_of_one_run_in_one_call_follow_each_other(store: Store) -> None:
    claimed(store)
    first = Commit(run="r1", epoch=1, events=[entry("r1", 1)], tasks=[task(state=TaskState.READY)])
    second = Commit(run="r1", epoch=1, events=[entry("r1", 2)], tasks=[task(state=TaskState.RUNNING)])
    third = Commit(run="r1", epoch=1, tasks=[task(state=TaskState.SUCCEEDED, output=HANDLE)])
    assert store.commit([first, second, third], durable=False) == []
    assert [e.n for e in store.events("r1")] == [1, 2]
    assert store.task("r1", "load", 0).state is TaskState.SUCCEEDED


def test_the_first_of_two_commits_may_have_been_stored_before(store: Store) -> None:
    claimed(store)
    first = Commit(run="r1", epoch=1, events=[entry("r1", 1)])
    store.commit([first], durable=False)
    assert store.commit([first, Commit(run="r1", epoch=1, events=[entry("r1", 2)])], durable=False) == []
    assert [e.n for e in store.events("r1")] == [1, 2]


@pytest.mark.parametrize("n", [1, 4])
def test_entries_that_do_not_follow_the_log_are_refused_and_nothing_is_stored(store: Store, n: int) -> None:
    claimed(store, "r1")
    claimed(store, "r2")
    store.commit([Commit(run="r1", epoch=1, events=[begun(), entry("r1", 2)])], durable=False)
    other = Commit(run="r1", epoch=1, events=[event("r1", n, Begun(77.0))], tasks=[task()])
    with pytest.raises(OutOfStep, match=f"The log of run r1 ends with entry 2, and other entries from {n} on were to be added"):
        store.commit([Commit(run="r2", epoch=1, events=[begun("r2")]), other], durable=False)
    assert list(store.events("r2")) == []
    assert store.tasks("r1", TaskFilter(), Page()) == []
    assert store.commit([Commit(run="r1", epoch=1, events=[entry("r1", 3)])], durable=False) == []


def test_another_store_on_the_same_database_may_have_moved_the_log(database_url: str) -> None:
    from tidemill.store import open_store

    one, two = open_store(database_url), open_store(database_url, lock=False)
    claimed(one)
    one.commit([Commit(run="r1", epoch=1, events=[begun()])], durable=False)
    two.commit([Commit(run="r1", epoch=1, events=[entry("r1", 2)])], durable=False)
    assert one.commit([Commit(run="r1", epoch=1, events=[entry("r1", 3)])], durable=False) == []
    assert [e.n for e in one.events("r1")] == [1, 2, 3]
    one.close()
    two.close()


def test_later_rows_of_a_task_replace_earlier_ones(store: Store) -> None:
    claimed(store)
    rows = [task(state=TaskState.READY), task(state=TaskState.RUNNING), task(state=TaskState.RETRYING, attempt=1, because="again")]
    store.commit([Commit(run="r1", epoch=1, tasks=rows)], durable=False)
    assert store.task("r1", "load", 0) == rows[2]
    store.commit([Commit(run="r1", epoch=1, tasks=[task(state=TaskState.READY)])], durable=False)
    assert store.task("r1", "load", 0) == task(state=TaskState.READY)


def test_of_progress_only_the_last_is_kept_and_metrics_stay_in_order(store: Store) -> None:
    claimed(store)

    def note(kind: str, at: float, value: float | str | None) -> NoteRow:
        return NoteRow(run="r1", place="load", unit=0, attempt=1, kind=kind, name="x", at=at, value=value)

    store.commit([Commit(run="r1", epoch=1, notes=[note("metric", 2.0, 0.5), note("progress", 1.0, 0.1)])], durable=False)
    more = [note("metric", 3.0, "text"), note("progress", 4.0, 0.9), note("link", 5.0, None)]
    store.commit([Commit(run="r1", epoch=1, notes=more)], durable=False)
    assert [(n.kind, n.value) for n in store.notes("r1")] == [("metric", 0.5), ("metric", "text"), ("progress", 0.9), ("link", None)]
    assert store.notes("r1", "clean") == []
    assert len(store.notes("r1", "load")) == 4


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.1 + 0.2, -0.0, 5e-324, 1e308])
def test_numbers_come_back_as_they_went(store: Store, value: float) -> None:
    claimed(store)
    note = NoteRow(run="r1", place="load", unit=0, attempt=1, kind="metric", name="x", at=1.0000001, value=value)
    store.commit([Commit(run="r1", epoch=1, notes=[note])], durable=False)
    (found,) = store.notes("r1")
    assert math.copysign(1, found.value) == math.copysign(1, value)
    assert (found.value, found.at) == (value, 1.0000001)


def test_not_a_number_comes_back_as_one(store: Store) -> None:
    claimed(store)
    note = NoteRow(run="r1", place="load", unit=0, attempt=1, kind="metric", name="loss", at=1.0, value=math.nan)
    store.commit([Commit(run="r1", epoch=1, notes=[note])], durable=False)
    assert math.isnan(store.notes("r1")[0].value)


STRANGE = "naïve – 日本 🌊 \u202e \n\t'\"\\ %s :x \x01"


def test_text_of_any_script_comes_back(store: Store) -> None:
    claimed(store, "r1", params={STRANGE: STRANGE}, because=STRANGE)
    row = task(place=STRANGE, name=STRANGE, because=STRANGE, failure=failed(STRANGE))
    note = NoteRow(run="r1", place=STRANGE, unit=0, attempt=1, kind="metric", name=STRANGE, at=1.0, value=STRANGE)
    store.commit([Commit(run="r1", epoch=1, tasks=[row], notes=[note])], durable=False)
    assert (store.run("r1").params, store.run("r1").because) == ({STRANGE: STRANGE}, STRANGE)
    assert store.task("r1", STRANGE, 0) == row
    assert store.notes("r1") == [note]


def test_a_nul_in_text_becomes_its_sign_and_in_json_it_stays(store: Store) -> None:
    claimed(store, "r1", because="a\0b", params={"x": "a\0b"})
    store.commit([Commit(run="r1", epoch=1, tasks=[task(name="l\0", because="b\0", failure=failed("m\0"))])], durable=False)
    found = store.task("r1", "load", 0)
    assert (found.name, found.because) == ("l␀", "b␀")
    assert found.failure == failed("m\0")
    assert (store.run("r1").because, store.run("r1").params) == ("a␀b", {"x": "a\0b"})


def test_half_a_surrogate_pair_in_text_is_replaced(store: Store) -> None:
    claimed(store)
    store.commit([Commit(run="r1", epoch=1, tasks=[task(because="file \udcff")])], durable=False)
    assert store.task("r1", "load", 0).because == "file ?"


HALF = "file \udcff – ü"  # what Python makes of a name that is no UTF-8
HEALED = "file ? – ü"


def test_half_a_surrogate_pair_in_json_is_replaced_and_the_rest_stays(store: Store) -> None:
    def of(text: str) -> tuple[Handle, Failure]:
        return msgspec.structs.replace(HANDLE, preview=text, schema=((text, "int"),), note="ü"), failed(text)

    output, failure = of(HALF)
    claimed(store, params={HALF: HALF})
    commit = Commit(
        run="r1",
        epoch=1,
        tasks=[task(state=TaskState.FAILED, output=output, failure=failure)],
        attempts=[AttemptRow(run="r1", place="load", unit=0, attempt=1, started_at=1.0, ended_at=2.0, failure=failure)],
        notes=[NoteRow(run="r1", place="load", unit=0, attempt=1, kind="report", name="n", at=1.0, handle=output)],
        memos=[MemoRow(key="k", node="load", handle=output, at=1.0, run="r1", parts={HALF: HALF})],
        refs=[msgspec.structs.replace(ref("a", "1"), handle=output, because=HALF)],
        change=RunChange(output=Constant(output), failure=failure),
    )
    assert store.commit([commit], durable=True) == []
    healed = of(HEALED)
    row, run, (kept,), (shown,) = store.task("r1", "load", 0), store.run("r1"), store.memos(["k"]).values(), store.refs("prod")
    assert (row.output, row.failure) == healed
    assert (run.output, run.failure, run.params) == (Constant(healed[0]), healed[1], {HEALED: HEALED})
    assert (kept.handle, kept.parts) == (healed[0], {HEALED: HEALED})
    assert (shown.handle, shown.because) == (healed[0], HEALED)
    assert store.attempts("r1", "load", 0)[0].failure == healed[1]
    assert store.notes("r1")[0].handle == healed[0]
    assert store.versions("a", Page())[0].handle == healed[0]


def test_a_huge_entry_and_a_huge_row_are_no_matter(store: Store) -> None:
    claimed(store)
    big = entry("r1", 1, size=20_000_000)
    row: TaskRow = task(failure=failed("x" * 3_000_000))
    store.commit([Commit(run="r1", epoch=1, events=[big], tasks=[row], change=RunChange(output=Constant(HANDLE)))], durable=True)
    assert [e.body for e in store.events("r1")] == [big.body]
    assert store.task("r1", "load", 0) == row
    assert store.run("r1").output == Constant(HANDLE)


def test_a_hundred_thousand_tasks_are_counted_and_paged(store: Store) -> None:
    claimed(store)
    rows = [task(place="load", unit=n, name=f"load[{n}]") for n in range(1, 100_001)]
    store.commit([Commit(run="r1", epoch=1, tasks=[task(place="load", size=100_000), task(place="clean"), *rows])], durable=False)
    assert store.counts("r1") == {"clean": {"running": 1}, "load": {"running": 100_000}}
    assert [row.place for row in store.tasks("r1", TaskFilter(), Page(limit=10))] == ["clean", "load"]
    last = store.tasks("r1", TaskFilter(place="load"), Page(limit=3, after='["load",99998]'))
    assert [row.unit for row in last] == [99_999, 100_000]


def test_a_run_created_with_entries_goes_on_after_them(store: Store) -> None:
    store.create_run(run_row(), GRAPH, [begun()])
    store.claim("ada", now=1.0, until=2.0, limit=1)
    assert store.commit([Commit(run="r1", epoch=1, events=[entry("r1", 2)])], durable=False) == []
    assert [e.n for e in store.events("r1")] == [1, 2]
