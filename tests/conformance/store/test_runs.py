"""Runs: created once per key, found by the beginning of an id, listed newest first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance.store.rows import DIGEST, GRAPH, begun, claimed, failed, handle, run_row, whole_run
from tidemill.errors import BadSetting, Corrupt, Unknown
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Constant
from tidemill.machine.states import RunState
from tidemill.ports import Commit, Page, RunChange, RunFilter, Store
from tidemill.store import page_key


def test_a_run_reads_as_it_was_written(store: Store) -> None:
    full = run_row(
        state=RunState.RUNNING, because="asked", origin="python", environment="prod", project="/jobs", params={"day": "2026-01-01"},
        retry_of="r0", started_at=1.5, ended_at=2.5, owner="ada", epoch=7, lease_until=9.25, recoveries=2, cancel="bob: enough",
        counts={"succeeded": 3}, output=Constant(handle()), failure=failed(),
    )  # fmt: skip
    assert store.create_run(full, GRAPH) == full
    assert store.run("r1") == full


def test_a_second_creation_with_a_key_finds_the_first_and_changes_nothing(store: Store) -> None:
    first = store.create_run(run_row("r1", key="nightly 2026-01-01"), GRAPH)
    again = store.create_run(run_row("r2", key="nightly 2026-01-01", because="again"), GRAPH, [begun("r2")])
    assert again == first
    assert store.stream(after=0, limit=10) == []
    with pytest.raises(Unknown):
        store.run("r2")


def test_many_threads_with_one_key_get_one_run(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: store.create_run(run_row(f"r{n}", key="once"), GRAPH), range(32)))
    assert len({run.id for run in made}) == 1
    assert len(store.runs(RunFilter(), Page())) == 1


def test_a_graph_is_found_by_its_digest(store: Store) -> None:
    store.create_run(run_row(), GRAPH)
    store.create_run(run_row("r2"), GRAPH)
    assert store.graph(DIGEST) == GRAPH
    with pytest.raises(Unknown, match="There is no graph named 'abc'"):
        store.graph("abc")


def test_a_graph_is_never_stored_under_another_ones_digest(store: Store) -> None:
    with pytest.raises(Corrupt, match="was to be stored as"):
        store.create_run(run_row(), Graph(flow="other", nodes=()))
    assert store.runs(RunFilter(), Page()) == []


def test_a_run_is_found_by_a_unique_beginning_of_its_id(store: Store) -> None:
    for run in ("01ABC", "01ABD", "02XYZ"):
        store.create_run(run_row(run), GRAPH)
    assert store.run("02").id == "02XYZ"
    assert store.run("01ABD").id == "01ABD"
    with pytest.raises(Unknown, match="Known: 01ABC, 01ABD"):
        store.run("01A")


def test_a_whole_id_is_meant_even_if_another_one_begins_with_it(store: Store) -> None:
    store.create_run(run_row("a"), GRAPH)
    store.create_run(run_row("ab"), GRAPH)
    assert store.run("a").id == "a"


@pytest.mark.parametrize("id", ["", "zz", "%", "_", "r1' OR '1'='1"])
def test_an_id_that_no_run_has_is_unknown_and_the_error_names_runs(store: Store, id: str) -> None:
    store.create_run(run_row("r1"), GRAPH)
    with pytest.raises(Unknown, match="Known: r1"):
        store.run(id)


def test_runs_are_listed_newest_first_page_by_page(store: Store) -> None:
    for n in range(7):
        store.create_run(run_row(f"r{n}", created_at=100.0 + n // 2), GRAPH)
    seen, page = [], Page(limit=3)
    while rows := store.runs(RunFilter(), page):
        seen += [run.id for run in rows]
        page = Page(limit=3, after=page_key(rows[-1]))
    assert seen == ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]


def test_a_page_begins_where_the_last_one_ended_though_runs_were_added(store: Store) -> None:
    for n in range(4):
        store.create_run(run_row(f"r{n}", created_at=float(n)), GRAPH)
    first = store.runs(RunFilter(), Page(limit=2))
    store.create_run(run_row("r9", created_at=9.0), GRAPH)
    assert [run.id for run in store.runs(RunFilter(), Page(limit=2, after=page_key(first[-1])))] == ["r1", "r0"]


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (RunFilter(flow="hourly"), ["r2"]),
        (RunFilter(environment="prod"), ["r3"]),
        (RunFilter(states=(RunState.SUCCEEDED,)), ["r1"]),
        (RunFilter(states=(RunState.SUCCEEDED, RunState.QUEUED), flow="nightly"), ["r3", "r1"]),
        (RunFilter(created_after=100.0, created_before=300.0), ["r2"]),
        (RunFilter(flow="hourly", environment="prod"), []),
    ],
)
def test_a_filter_holds_in_all_it_says(store: Store, which: RunFilter, found: list[str]) -> None:
    whole_run(store, "r1")
    store.create_run(run_row("r2", flow="hourly", created_at=200.0), GRAPH)
    store.create_run(run_row("r3", environment="prod", created_at=300.0), GRAPH)
    assert [run.id for run in store.runs(which, Page())] == found


def test_a_page_key_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(BadSetting, match="does not name a place in this list"):
        store.runs(RunFilter(), Page(after="nonsense"))


def test_only_what_a_change_names_changes(store: Store) -> None:
    before = claimed(store, because="asked")
    change = RunChange(state=RunState.FAILED, ended_at=7.0, failure=failed(), counts={"failed": 1}, cancel=None)
    store.commit([Commit(run="r1", epoch=1, change=change)], durable=False)
    after = store.run("r1")
    assert (after.state, after.ended_at, after.failure, after.counts) == (RunState.FAILED, 7.0, failed(), {"failed": 1})
    assert (after.because, after.owner, after.started_at) == (before.because, "ada", None)


def test_what_a_caller_does_to_a_row_changes_nothing_that_is_stored(store: Store) -> None:
    mine = run_row(params={"a": "1"})
    store.create_run(mine, GRAPH).params["a"] = "2"
    mine.params["a"] = "3"
    store.run("r1").params["a"] = "4"
    assert store.run("r1").params == {"a": "1"}
