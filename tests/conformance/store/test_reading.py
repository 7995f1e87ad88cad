"""Reading: tasks, counts, the log, durations, memos, refs, what is alive, what is forgotten."""

from __future__ import annotations

import threading

import pytest

from conformance.store.rows import GRAPH, begun, claimed, entry, event, failed, handle, memo, ref, run_row, task, whole_run
from tidemill.errors import Unknown
from tidemill.graph.assets import Environment
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph, Node, TaskRef
from tidemill.graph.values import Constant
from tidemill.machine.events import Inherited
from tidemill.machine.states import RunState, TaskState
from tidemill.ports import AttemptRow, Commit, MemoRow, NoteRow, Page, RunChange, RunFilter, Store, TaskFilter
from tidemill.store import page_key


def with_tasks(store: Store) -> None:
    claimed(store)
    rows = [task(place=place, size=3 if place == "b" else None) for place in ("c", "a", "b", "B", "é")]
    rows += [task(place="b", unit=n, state=TaskState.SUCCEEDED if n < 3 else TaskState.FAILED, output=handle()) for n in (3, 1, 2)]
    store.commit([Commit(run="r1", epoch=1, tasks=rows)], durable=False)


def test_tasks_are_the_nodes_in_the_order_of_their_place_page_by_page(store: Store) -> None:
    with_tasks(store)
    seen, page = [], Page(limit=2)
    while rows := store.tasks("r1", TaskFilter(), page):
        seen += [(row.place, row.unit) for row in rows]
        page = Page(limit=2, after=page_key(rows[-1]))
    assert seen == [("B", 0), ("a", 0), ("b", 0), ("c", 0), ("é", 0)]


def test_a_place_opens_to_its_items(store: Store) -> None:
    with_tasks(store)
    first = store.tasks("r1", TaskFilter(place="b"), Page(limit=2))
    assert [row.unit for row in first] == [1, 2]
    assert [row.unit for row in store.tasks("r1", TaskFilter(place="b"), Page(limit=2, after=page_key(first[-1])))] == [3]
    assert store.tasks("r1", TaskFilter(place="a"), Page()) == []
    assert [row.unit for row in store.tasks("r1", TaskFilter(place="b", states=(TaskState.FAILED,)), Page())] == [3]
    assert [row.place for row in store.tasks("r1", TaskFilter(states=(TaskState.FAILED,)), Page())] == []


def test_a_task_that_is_not_there_is_unknown_and_the_nearest_is_named(store: Store) -> None:
    with_tasks(store)
    with pytest.raises(Unknown, match=r"There is no task named 'b\[9\]'"):
        store.task("r1", "b", 9)
    with pytest.raises(Unknown, match="Known: B, a, b, c, é"):
        store.task("r1", "load", 0)


def test_counts_are_of_the_items_where_there_are_any(store: Store) -> None:
    with_tasks(store)
    more = [task(place="empty", size=0), task(place="unopened", state=TaskState.WAITING)]
    store.commit([Commit(run="r1", epoch=1, tasks=more)], durable=False)
    counts = store.counts("r1")
    assert counts["b"] == {"succeeded": 2, "failed": 1}
    assert (counts["a"], counts["empty"], counts["unopened"]) == ({"running": 1}, {}, {"waiting": 1})
    assert store.counts("other") == {}


def test_attempts_are_in_order(store: Store) -> None:
    claimed(store)
    rows = [AttemptRow(run="r1", place="a", unit=0, attempt=n, started_at=1.0, ended_at=2.0, failure=failed()) for n in (2, 10, 1)]
    store.commit([Commit(run="r1", epoch=1, attempts=rows)], durable=False)
    assert [row.attempt for row in store.attempts("r1", "a", 0)] == [1, 2, 10]
    assert store.attempts("r1", "a", 1) == []


def test_a_log_is_read_from_any_entry_on(store: Store) -> None:
    claimed(store)
    store.commit([Commit(run="r1", epoch=1, events=[entry("r1", n) for n in range(1, 501)])], durable=False)
    assert [e.n for e in store.events("r1")] == list(range(1, 501))
    assert [e.n for e in store.events("r1", after=498)] == [499, 500]
    assert [e.n for e in store.events("r1", after=10, limit=205)] == list(range(11, 216))
    assert list(store.events("r1", after=500)) == []
    assert list(store.events("r1", limit=0)) == []


def test_a_hash_depends_on_all_entries_before_it(store: Store) -> None:
    claimed(store, "r1")
    claimed(store, "r2")
    store.commit([Commit(run="r1", epoch=1, events=[entry("r1", 1), entry("r1", 2)])], durable=False)
    store.commit([Commit(run="r2", epoch=1, events=[begun("r2"), entry("r2", 2)])], durable=False)
    one, two = list(store.events("r1")), list(store.events("r2"))
    assert one[1].body == two[1].body
    assert len({e.chain for e in (*one, *two)}) == 4


def test_the_stream_is_all_logs_in_commit_order(store: Store) -> None:
    claimed(store, "r1")
    claimed(store, "r2")
    for run, n in (("r1", 1), ("r2", 1), ("r2", 2), ("r1", 2)):
        store.commit([Commit(run=run, epoch=1, events=[entry(run, n)])], durable=False)
    seen = store.stream(after=0, limit=3)
    assert [(e.run, e.n) for e in seen] == [("r1", 1), ("r2", 1), ("r2", 2)]
    assert [(e.run, e.n) for e in store.stream(after=seen[-1].seq, limit=3)] == [("r1", 2)]


def test_a_reader_of_the_stream_misses_nothing_while_several_write(store: Store) -> None:
    for n in range(4):
        claimed(store, f"r{n}")

    def write(run: str) -> None:
        for n in range(1, 51):
            store.commit([Commit(run=run, epoch=1, events=[entry(run, n)])], durable=False)

    threads = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    seen, last = [], 0
    while len(seen) < 200:
        writing = any(thread.is_alive() for thread in threads)
        found = store.stream(after=last, limit=7)
        for row in found:
            assert row.seq > last
            last = row.seq
            seen.append((row.run, row.n))
        if not found and not writing:
            break
    for thread in threads:
        thread.join()
    assert len(set(seen)) == len(seen) == 200
    assert [n for run, n in seen if run == "r1"] == list(range(1, 51))


def test_a_number_is_not_given_out_again_after_its_entry_was_forgotten(store: Store) -> None:
    whole_run(store, "r1")
    last = store.stream(after=0, limit=100)[-1].seq
    assert store.forget(ended_before=1e9, keep_per_flow=0) == ["r1"]
    whole_run(store, "r2")
    assert store.stream(after=last, limit=1)[0].run == "r2"


def test_durations_are_medians_over_the_last_succeeded_runs(store: Store) -> None:
    for n, run in enumerate(("r1", "r2", "r3")):
        whole_run(store, run, at=100.0 * (n + 1))
    claimed(store, "r4", created_at=900.0)
    store.commit([Commit(run="r4", epoch=1, tasks=[task("r4", state=TaskState.SUCCEEDED, started_at=0.0, ended_at=99.0)])], durable=False)
    whole_run(store, "other", flow="other")
    assert store.durations("nightly") == {"": 6.0, "load": 2.0, "clean": 4.0}
    assert store.durations("unheard of") == {}


def test_the_oldest_runs_do_not_count_for_durations(store: Store) -> None:
    for n, seconds in enumerate((50.0, 1.0, 3.0)):
        run = f"r{n}"
        claimed(store, run, created_at=float(n))
        rows = [task(run, size=1, state=TaskState.SUCCEEDED, started_at=10.0, ended_at=10.0 + seconds), task(run, unit=1, started_at=10.0)]
        change = RunChange(state=RunState.SUCCEEDED, started_at=0.0, ended_at=seconds)
        store.commit([Commit(run=run, epoch=1, tasks=rows, change=change)], durable=False)
    assert store.durations("nightly", runs=2) == {"": 2.0, "load": 2.0}


def test_a_remembered_result_is_recalled_until_it_expires_and_the_last_one_counts(store: Store) -> None:
    claimed(store)

    def memo(key: str, text: str, until: float | None) -> MemoRow:
        return MemoRow(key=key, node="load", handle=handle(text), at=1.0, run="r1", expires_at=until)

    store.commit([Commit(run="r1", epoch=1, memos=[memo("b", "1", 10.0), memo("a", "1", None)])], durable=False)
    store.commit([Commit(run="r1", epoch=1, memos=[memo("a", "2", None)])], durable=False)
    assert store.recall(["a", "b"], now=9.0) == {"a": memo("a", "2", None), "b": memo("b", "1", 10.0)}
    assert set(store.recall(["a", "b", "a"], now=10.0)) == {"a"}
    assert store.recall([], now=1.0) == {}
    assert set(store.recall([f"k{n}" for n in range(2500)] + ["a"], now=1.0)) == {"a"}


def test_every_value_that_a_row_names_is_alive_once(store: Store) -> None:
    code = handle("code")
    graph = Graph(flow="f", nodes=(Node(key="a", task=TaskRef("m", "a", code=code), args={"x": Constant(handle("constant"))}),))
    store.create_run(run_row(flow="f", graph=graph_digest(graph)), graph)
    store.claim("ada", now=1.0, until=2.0, limit=1)
    commit = Commit(
        run="r1",
        epoch=1,
        events=[event("r1", 1, Inherited(1.0, "r0", {"a": [(0, handle("event"))]}))],
        tasks=[task(unit=n, output=handle(f"out{n % 700}")) for n in range(1500)],
        notes=[NoteRow(run="r1", place="a", unit=0, attempt=1, kind="report", name="n", at=1.0, handle=handle("note"))],
        memos=[MemoRow(key="k", node="a", handle=handle("memo"), at=1.0, run="r1")],
        change=RunChange(output=Constant(handle("output"))),
    )
    store.commit([commit], durable=False)
    named = ("code", "constant", "event", "note", "memo", "output", *(f"out{n}" for n in range(700)))
    alive = list(store.live())
    assert sorted(alive) == sorted(handle(text).digest for text in named)


def test_every_version_that_is_shown_is_alive_and_of_each_partition_the_last_twenty(store: Store) -> None:
    store.create_environment(Environment(name="prod"))
    for n in range(25):
        store.publish([ref("a", f"x{n}", partition="x"), ref("a", f"old{n}", environment="dev", partition="y")])
    store.publish([ref("a", "x0", partition="x", environment="dev")])  # an old one that an environment shows
    for n in range(30):
        store.publish([ref("a", f"y{n}", partition="y", environment="other")])
    kept = [f"x{n}" for n in range(6, 25)] + ["x0"] + [f"y{n}" for n in range(10, 30)] + ["old24"]
    assert sorted(store.live()) == sorted(handle(text).digest for text in kept)


def test_what_a_dropped_environment_showed_stays_alive_while_it_is_among_the_last(store: Store) -> None:
    store.create_environment(Environment(name="dev"))
    store.publish([ref("a", "1", environment="dev")])
    store.drop_environment("dev")
    assert list(store.live()) == [handle("1").digest]
    for n in range(2, 22):
        store.publish([ref("a", str(n))])
    assert handle("1").digest not in set(store.live())


def test_results_that_expired_are_forgotten_unless_a_kept_version_was_computed_from_them(store: Store) -> None:
    claimed(store)
    memos = [memo("late", "late", expires_at=60.0), memo("over", "over", expires_at=40.0), memo("for ever", "for ever")]
    memos += [memo(f"k{n}", f"v{n}", expires_at=40.0) for n in range(22)]
    moves = [ref("a", f"v{n}", key=f"k{n}") for n in range(22)]
    store.commit([Commit(run="r1", epoch=1, memos=memos, refs=moves)], durable=True)
    store.publish([ref("a", "v0", key="k0", environment="dev")])
    store.forget(ended_before=50.0, keep_per_flow=0)
    kept = {"late", "for ever", "k0", *(f"k{n}" for n in range(3, 22))}
    assert set(store.memos([row.key for row in memos])) == kept
    assert {handle("late").digest, handle("for ever").digest, handle("v0").digest} <= set(store.live())
    assert not {handle("over").digest, handle("v1").digest} & set(store.live())
    assert store.audit(now=0.0) == []


def test_runs_that_are_forgotten_leave_what_they_published(store: Store) -> None:
    whole_run(store, "r1")
    claimed(store, "r2", flow="other")
    store.commit([Commit(run="r2", epoch=1, memos=[memo("k", "1")], refs=[ref("a", "1", key="k")])], durable=True)
    store.commit([Commit(run="r2", epoch=1, change=RunChange(state=RunState.SUCCEEDED, ended_at=5.0))], durable=True)
    assert set(store.forget(ended_before=1e9, keep_per_flow=0)) == {"r1", "r2"}
    assert [found.asset for found in store.refs("prod")] == ["a"]
    assert (len(store.versions("a", Page())), set(store.memos(["k"])), list(store.live())) == (1, {"k"}, [handle("1").digest])
    assert store.audit(now=0.0) == []


def test_old_runs_are_forgotten_with_all_that_is_theirs_but_the_newest_of_each_flow_stay(store: Store) -> None:
    for n in range(4):
        whole_run(store, f"r{n}", at=100.0 * n)
    whole_run(store, "other", at=50.0, flow="other")
    claimed(store, "open", created_at=1.0)
    assert store.forget(ended_before=250.0, keep_per_flow=1) == ["r0", "r1", "r2"]
    assert [run.id for run in store.runs(RunFilter(), Page())] == ["r3", "other", "open"]
    assert list(store.events("r0")) == []
    assert store.tasks("r0", TaskFilter(), Page()) == []
    assert store.graph(run_row().graph) == GRAPH
    assert store.audit(now=0.0) == []
    assert store.create_run(run_row("r0"), GRAPH).id == "r0"


def test_runs_that_ended_later_and_runs_that_are_kept_stay(store: Store) -> None:
    whole_run(store, "r1", at=100.0)
    assert store.forget(ended_before=106.0, keep_per_flow=0) == []
    assert store.forget(ended_before=1e9, keep_per_flow=1) == []
    assert store.forget(ended_before=106.5, keep_per_flow=0) == ["r1"]


def test_a_graph_goes_with_the_last_run_that_had_it(store: Store) -> None:
    whole_run(store)
    store.forget(ended_before=1e9, keep_per_flow=0)
    with pytest.raises(Unknown):
        store.graph(run_row().graph)


def test_hundreds_of_runs_are_forgotten_in_one_call(store: Store) -> None:
    for n in range(230):
        whole_run(store, f"r{n:03}", at=float(n))
    assert store.forget(ended_before=1e9, keep_per_flow=10) == [f"r{n:03}" for n in range(220)]


def test_what_was_stored_is_there_when_the_store_is_opened_again(database_url: str) -> None:
    from tidemill.store import open_store

    first = open_store(database_url)
    whole_run(first)
    before = (first.run("r1"), list(first.events("r1")), first.tasks("r1", TaskFilter(), Page()))
    first.close()
    again = open_store(database_url)
    assert (again.run("r1"), list(again.events("r1")), again.tasks("r1", TaskFilter(), Page())) == before
    assert again.audit(now=0.0) == []
    again.close()
