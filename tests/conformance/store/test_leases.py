"""Leases: who drives a run, until when, and what becomes of it after."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance.store.rows import GRAPH, begun, claimed, engine, run_row, whole_run
from tidemill.errors import Unknown
from tidemill.machine.states import RunState
from tidemill.ports import Commit, RunChange, Store
from tidemill.store import open_store


def test_claims_take_free_runs_oldest_first_up_to_the_limit(store: Store) -> None:
    for n in (3, 1, 2):
        store.create_run(run_row(f"r{n}", created_at=float(n)), GRAPH)
    taken = store.claim("ada", now=10.0, until=40.0, limit=2)
    assert [(run.id, run.owner, run.epoch, run.lease_until, run.recoveries) for run in taken] == [
        ("r1", "ada", 1, 40.0, 0),
        ("r2", "ada", 1, 40.0, 0),
    ]
    assert [run.id for run in store.claim("bob", now=10.0, until=40.0, limit=2)] == ["r3"]
    assert store.claim("bob", now=10.0, until=40.0, limit=2) == []


def test_a_claim_of_nothing_takes_nothing(store: Store) -> None:
    store.create_run(run_row(), GRAPH)
    assert store.claim("ada", now=1.0, until=2.0, limit=0) == []
    assert store.claim("ada", now=1.0, until=2.0, limit=5, only="other") == []
    assert store.run("r1").owner is None


def test_a_run_whose_lease_is_over_is_taken_with_the_next_epoch_and_counted_as_recovered(store: Store) -> None:
    claimed(store)
    assert store.claim("bob", now=999.0, until=2000.0, limit=1) == []
    (taken,) = store.claim("bob", now=1000.0, until=2000.0, limit=1)
    assert (taken.owner, taken.epoch, taken.recoveries) == ("bob", 2, 1)


def test_a_released_run_is_free_at_once_and_was_not_lost(store: Store) -> None:
    claimed(store)
    store.release("bob", ["r1"])
    assert store.claim("bob", now=100.0, until=2000.0, limit=1) == []
    store.release("ada", ["r1", "never heard of"])
    (taken,) = store.claim("bob", now=100.0, until=2000.0, limit=1)
    assert (taken.owner, taken.epoch, taken.recoveries) == ("bob", 2, 0)


def test_an_ended_run_is_never_claimed(store: Store) -> None:
    whole_run(store)
    assert store.claim("bob", now=1e9, until=2e9, limit=9) == []


def test_renewing_prolongs_all_that_the_engine_holds_and_shows_what_was_asked(store: Store) -> None:
    claimed(store, "r1")
    claimed(store, "r2")
    store.ask_cancel("r2", by="bob", because="wrong day", now=5.0)
    held = store.renew(engine("ada", seen_at=7.0, command="tidemill run"), until=3000.0)
    assert [(run.id, run.lease_until, run.cancel) for run in held] == [("r1", 3000.0, None), ("r2", 3000.0, "bob: wrong day")]
    assert store.claim("bob", now=1500.0, until=4000.0, limit=2) == []
    assert store.engines() == [engine("ada", seen_at=7.0, command="tidemill run")]


def test_an_engine_that_lost_a_run_is_not_told_that_it_holds_it(store: Store) -> None:
    claimed(store)
    store.claim("bob", now=1000.0, until=2000.0, limit=1)
    assert store.renew(engine("ada"), until=3000.0) == []
    assert store.run("r1").lease_until == 2000.0


def test_engines_are_listed_newest_first_each_once(store: Store) -> None:
    for n in (1, 3, 2):
        store.renew(engine(f"e{n}", started_at=float(n)), until=9.0)
    store.renew(engine("e1", started_at=1.0, seen_at=50.0), until=9.0)
    assert [(row.id, row.seen_at) for row in store.engines()] == [("e3", 2.0), ("e2", 2.0), ("e1", 50.0)]


def test_a_cancellation_is_remembered_until_an_engine_has_seen_it(store: Store) -> None:
    claimed(store)
    assert store.ask_cancel("r1", by="ada", because="", now=1.0).cancel == "ada"
    assert store.ask_cancel("r1", by="bob", because="too", now=2.0).cancel == "ada"
    store.commit([Commit(run="r1", epoch=1, change=RunChange(state=RunState.CANCELLING, cancel=None))], durable=True)
    assert store.run("r1").cancel is None


def test_asking_an_ended_run_to_end_is_harmless(store: Store) -> None:
    whole_run(store)
    before = store.run("r1")
    assert store.ask_cancel("r1", by="ada", because="", now=1.0) == before


def test_asking_for_a_run_that_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(Unknown, match="There is no run named 'nope'"):
        store.ask_cancel("nope", by="ada", because="", now=1.0)


def test_engines_that_claim_at_once_never_get_the_same_run(database_url: str) -> None:
    stores = [open_store(database_url, lock=n == 0) for n in range(4)]
    for n in range(40):
        stores[0].create_run(run_row(f"r{n:02}", created_at=float(n)), GRAPH)

    def take(n: int) -> list[str]:
        taken: list[str] = []
        while some := stores[n].claim(f"engine {n}", now=1.0, until=100.0, limit=3):
            taken += [run.id for run in some]
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [run for some in pool.map(take, range(4)) for run in some]
    assert sorted(taken) == [f"r{n:02}" for n in range(40)]
    assert {stores[0].run(run).epoch for run in taken} == {1}
    for store in stores:
        store.close()


def test_a_small_write_reaches_an_engine_that_holds_the_store(database_url: str) -> None:
    driving, looking = open_store(database_url), open_store(database_url, lock=False)
    claimed(driving)
    looking.ask_cancel("r1", by="bob", because="", now=1.0)
    assert driving.renew(engine(), until=5000.0)[0].cancel == "bob"
    assert driving.commit([Commit(run="r1", epoch=1, events=[begun()])], durable=False) == []
    assert [e.n for e in looking.events("r1")] == [1]
    looking.close()
    driving.close()
