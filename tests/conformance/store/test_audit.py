"""The oracle: a broken promise is found, and named with ids; a store that is whole has none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conformance.store.rows import GRAPH, begun, claimed, event, handle, memo, ref, run_row, task, whole_run
from tidemill.errors import Corrupt
from tidemill.graph.assets import Environment
from tidemill.graph.work import Outcome
from tidemill.machine.events import Finished, Launched, Opened, Settled
from tidemill.machine.states import RunState, TaskState
from tidemill.ports import Commit, RunChange, Store
from tidemill.store import open_store


def broken(store: Store, now: float = 100.0) -> list[tuple[str, str]]:
    return [(found.rule, found.detail) for found in store.audit(now=now)]


def test_a_store_that_is_whole_breaks_nothing(store: Store) -> None:
    for n in range(3):
        whole_run(store, f"r{n}")
    claimed(store, "open")
    store.create_run(run_row("waiting"), GRAPH)
    assert broken(store) == []


def test_an_ended_run_leaves_no_task_open(store: Store) -> None:
    claimed(store)
    change = RunChange(state=RunState.FAILED, ended_at=5.0)
    store.commit([Commit(run="r1", epoch=1, tasks=[task()], change=change)], durable=True)
    assert ("unfinished-in-ended-run", "run r1: task load[0] is running, and the run is failed") in broken(store)


def test_a_success_has_a_result(store: Store) -> None:
    claimed(store)
    store.commit([Commit(run="r1", epoch=1, tasks=[task(state=TaskState.SUCCEEDED)])], durable=True)
    assert ("success-without-result", "run r1: task load[0] is succeeded, and has no result") in broken(store)


def test_an_ended_run_says_when_it_ended(store: Store) -> None:
    claimed(store)
    store.commit([Commit(run="r1", epoch=1, change=RunChange(state=RunState.CANCELLED))], durable=True)
    assert broken(store) == [("ended-without-time", "run r1: it is cancelled, and nothing says since when")]


def test_a_lease_is_not_over_for_long(store: Store) -> None:
    claimed(store)
    assert broken(store, now=1299.0) == []
    (found,) = broken(store, now=1400.0)
    assert found == ("lease-over", "run r1: it is queued; its engine ada has been silent for 400 s, and none took it up")


def test_a_running_run_has_or_had_an_engine(store: Store) -> None:
    store.create_run(run_row(state=RunState.RUNNING), GRAPH)
    assert broken(store) == [("unfinished-without-owner", "run r1: it is running, and no engine ever drove it")]


def test_a_unit_has_one_outcome(store: Store) -> None:
    claimed(store)
    done = [Outcome(0, 1, 1.0, 2.0, handle())]
    log = [begun(), event("r1", 2, Opened(1.0, "load")), event("r1", 3, Launched(1.0, "load", [(0, 1)]))]
    log += [event("r1", 4, Settled(2.0, "load", done)), event("r1", 5, Settled(3.0, "load", done))]
    store.commit([Commit(run="r1", epoch=1, events=log)], durable=True)
    rules = dict(broken(store))
    assert rules["two-outcomes"] == "run r1: entry 5 (task.settled) ends load[0], which had ended"
    assert rules["illegal-move"].startswith("run r1: entry 5 (task.settled): Task load is succeeded and cannot ")


def test_nothing_leaves_a_final_state(store: Store) -> None:
    claimed(store)
    log = [begun(), event("r1", 2, Finished(2.0, RunState.FAILED)), event("r1", 3, Finished(3.0, RunState.SUCCEEDED))]
    change = RunChange(state=RunState.SUCCEEDED, ended_at=3.0)
    store.commit([Commit(run="r1", epoch=1, events=log, change=change)], durable=True)
    assert broken(store)[0] == ("illegal-move", "run r1: entry 3 (run.finished): Run r1 is failed and cannot succeed.")


def test_an_event_about_a_place_that_is_not_in_the_graph_is_found(store: Store) -> None:
    claimed(store)
    store.commit([Commit(run="r1", epoch=1, events=[begun(), event("r1", 2, Opened(1.0, "nowhere"))])], durable=True)
    assert broken(store) == [("illegal-move", "run r1: entry 2 (task.opened): it names 'nowhere', which is not there")]


def test_tables_and_log_agree(store: Store) -> None:
    claimed(store)
    commit = Commit(run="r1", epoch=1, events=[begun()], tasks=[task(state=TaskState.FAILED)])
    commit.change = RunChange(state=RunState.FAILED, ended_at=2.0)
    store.commit([commit], durable=True)
    assert broken(store) == [
        ("run-differs-from-log", "run r1: its row says failed, and its log running"),
        ("task-differs-from-log", "run r1: task load[0] is failed, and its log says waiting"),
    ]


def test_a_pointer_whose_version_nobody_remembers_computing_is_found(store: Store) -> None:
    claimed(store)
    store.commit([Commit(run="r1", epoch=1, memos=[memo("known")], refs=[ref("a", "1", key="known")])], durable=True)
    store.publish([ref("b", "1", key="")])  # from outside: it has no key
    assert broken(store) == []
    store.publish([ref("c", "1", partition="x", key="unknown")])
    detail = "environment prod: c [x] shows a version, and nothing is remembered of what that was computed from"
    assert broken(store) == [("ref-without-memo", detail)]


@pytest.mark.parametrize(
    ("statement", "rule", "detail"),
    [
        ("DELETE FROM publications", "ref-without-move", "a shows a version, and its history does not say so"),
        ("UPDATE refs SET version = 'x'", "ref-without-move", "a shows a version, and its history does not say so"),
        ("DELETE FROM environments WHERE name = 'prod'", "environment-without-parent", "it stands on prod, which is not there"),
    ],
)
def test_pointers_and_environments_changed_behind_our_back_are_found(tmp_path: Path, statement: str, rule: str, detail: str) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    store.create_environment(Environment(name="prod", parent="default"))
    store.create_environment(Environment(name="dev", parent="prod"))
    store.publish([ref("a", "1", key="", environment="dev")])
    assert broken(store) == []
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute(statement)
    connection.close()
    assert broken(store) == [(rule, f"environment dev: {detail}")]
    store.close()


def tampered(path: Path, *statements: str) -> Store:
    """A store with one whole run, changed behind its back."""
    store = open_store(f"sqlite:///{path}/store.db")
    whole_run(store)
    store.close()
    with closing(sqlite3.connect(path / "store.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return open_store(f"sqlite:///{path}/store.db")


@pytest.mark.parametrize(
    ("statement", "rule", "detail"),
    [
        ("UPDATE events SET body = replace(body, '102', '103') WHERE n = 4", "hash-does-not-fit", "entry 4 is not what was written"),
        ("UPDATE events SET chain = 'x' WHERE n = 4", "hash-does-not-fit", "entry 4 is not what was written"),
        ("UPDATE events SET body = '{' WHERE n = 4", "unreadable-entry", "entry 4 (task.settled) cannot be read: "),
        ("DELETE FROM events WHERE n = 4", "hole-in-log", "entry 4 is missing; the next one there is 5"),
        ("DELETE FROM events WHERE n = 8", "log-ends-elsewhere", "its row says that the log ends with entry 8, and the last one is 7"),
        ("DELETE FROM events", "log-ends-elsewhere", "its row says that the log ends with entry 8, and the last one is 0"),
        ("UPDATE runs SET state = 'failed'", "run-differs-from-log", "its row says failed, and its log succeeded"),
        ("UPDATE tasks SET state = 'lost' WHERE unit = 0", "task-differs-from-log", "task load[0] is lost, and its log says succeeded"),
        ("DELETE FROM graphs", "graph-missing", "its graph is not there"),
        ("DELETE FROM runs", "row-without-run", "it is not there, and rows of tasks belong to it"),
    ],
)
def test_what_was_changed_behind_our_back_is_found(tmp_path: Path, statement: str, rule: str, detail: str) -> None:
    store = tampered(tmp_path, statement)
    found = broken(store)
    assert any(one == rule and text.startswith(f"run r1: {detail}") for one, text in found), found
    store.close()


def test_two_runs_with_one_key_are_found(tmp_path: Path) -> None:
    copies = ["CREATE TABLE more AS SELECT * FROM runs", "UPDATE more SET id = 'r2'", "DELETE FROM tasks", "DROP TABLE runs"]
    store = tampered(tmp_path, *copies, "CREATE TABLE runs AS SELECT * FROM more", "INSERT INTO runs SELECT * FROM runs")
    assert ("key-twice", "2 runs have the key 'key of r1'") in broken(store)
    store.close()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE events SET body = '{}' WHERE n = 3", "The log of run r1 is damaged: entry 3 is not what was written"),
        ("DELETE FROM events WHERE n = 3", "The log of run r1 is damaged: entry 3 is missing; the next one there is 4"),
    ],
)
def test_a_damaged_log_is_never_read_as_if_it_were_whole(tmp_path: Path, statement: str, text: str) -> None:
    store = tampered(tmp_path, statement)
    read: Callable[[], object] = lambda: list(store.events("r1"))  # noqa: E731
    with pytest.raises(Corrupt, match=text):
        read()
    store.close()
