"""Pointers move with the commit they belong to, or published by hand: together or not at all, and every move is on record."""

from __future__ import annotations

import threading

import msgspec
import pytest

from conformance.store.rows import begun, claimed, entry, memo, read, ref, task
from tidemill.errors import BadSetting
from tidemill.graph.assets import Environment, RefRow
from tidemill.ports import Commit, Page, Store, TaskFilter
from tidemill.store import open_store, page_key
from tidemill.store.problems import Moved, OutOfStep


def shows(store: Store, environment: str = "prod") -> dict[str, str]:
    return {found.asset + (f" {found.partition}" if found.partition else ""): read(found.version) for found in store.refs(environment)}


def moves(store: Store, asset: str, **which: str) -> list[tuple[str, str]]:
    """Every move, oldest first: from, to."""
    return [(read(found.before), read(found.version)) for found in reversed(store.versions(asset, Page(), **which))]


def committed(store: Store, n: int, *refs: RefRow, epoch: int = 1) -> list[str]:
    return store.commit([Commit(run="r1", epoch=epoch, events=[entry("r1", n)], refs=list(refs))], durable=True)


def test_a_pointer_reads_as_it_was_written(store: Store) -> None:
    claimed(store)
    wanted = ref("shop.clean", "v1", partition="2026-11-23", at=7.25, place="shop/clean", because="its code changed: –")
    assert committed(store, 1, wanted) == []
    assert store.refs("prod") == [wanted]
    assert store.versions("shop.clean", Page()) == [msgspec.structs.replace(wanted, seq=store.versions("shop.clean", Page())[0].seq)]


def test_a_commit_moves_its_pointers(store: Store) -> None:
    claimed(store)
    committed(store, 1, ref("b", "1"), ref("a", "1"))
    committed(store, 2, ref("a", "2"), ref("c", "1", environment="dev"))
    assert shows(store) == {"a": "2", "b": "1"}
    assert shows(store, "dev") == {"c": "1"}
    assert moves(store, "a") == [("", "1"), ("1", "2")]


def test_a_fenced_commit_moves_nothing_and_the_others_beside_it_do(store: Store) -> None:
    claimed(store, "r1")
    claimed(store, "r2")
    old = Commit(run="r1", epoch=0, events=[entry("r1", 1)], refs=[ref("a", "old")])
    new = Commit(run="r2", epoch=1, events=[entry("r2", 1)], refs=[ref("b", "1")])
    assert store.commit([old, new], durable=True) == ["r1"]
    assert shows(store) == {"b": "1"}
    assert store.versions("a", Page()) == []


def test_a_commit_that_fails_moves_nothing(store: Store) -> None:
    claimed(store, "r1")
    claimed(store, "r2")
    good = Commit(run="r2", epoch=1, events=[entry("r2", 1)], refs=[ref("a", "1")])
    bad = Commit(run="r1", epoch=1, events=[entry("r1", 9)], refs=[ref("b", "1")])
    with pytest.raises(OutOfStep):
        store.commit([good, bad], durable=True)
    assert (shows(store), store.versions("a", Page()), store.versions("b", Page())) == ({}, [], [])


def test_the_same_commit_again_moves_nothing_even_if_the_pointer_has_moved_on(store: Store) -> None:
    claimed(store)
    first = Commit(run="r1", epoch=1, events=[begun()], refs=[ref("a", "1")])
    store.commit([first], durable=True)
    store.publish([ref("a", "2")])
    assert store.commit([first], durable=True) == []
    assert shows(store) == {"a": "2"}
    assert moves(store, "a") == [("", "1"), ("1", "2")]


def test_a_pointer_that_shows_version_and_key_already_does_not_move(store: Store) -> None:
    claimed(store)
    committed(store, 1, ref("a", "1", at=1.0))
    committed(store, 2, ref("a", "1", at=2.0, run="later", because="again"))
    assert [found.at for found in store.refs("prod")] == [1.0]
    assert store.publish([ref("a", "1", at=3.0)]) == [ref("a", "1", at=1.0)]
    assert moves(store, "a") == [("", "1")]


def test_the_same_version_computed_from_something_else_is_a_move(store: Store) -> None:
    store.publish([ref("a", "1", key="k1")])
    store.publish([ref("a", "1", key="k2", at=5.0)])
    assert [(found.key, found.at) for found in store.refs("prod")] == [("k2", 5.0)]
    assert [found.key for found in store.versions("a", Page())] == ["k2", "k1"]


def test_several_moves_of_one_pointer_at_once_are_each_on_record(store: Store) -> None:
    claimed(store)
    one = Commit(run="r1", epoch=1, events=[entry("r1", 1)], refs=[ref("a", "1"), ref("a", "2")])
    two = Commit(run="r1", epoch=1, events=[entry("r1", 2)], refs=[ref("a", "1")])
    store.commit([one, two], durable=True)
    assert moves(store, "a") == [("", "1"), ("1", "2"), ("2", "1")]
    assert shows(store) == {"a": "1"}


def test_partitions_of_an_asset_move_apart(store: Store) -> None:
    store.publish([ref("a", "1", partition="x"), ref("a", "1", partition="y"), ref("b", "1", partition="y")])
    store.publish([ref("a", "2", partition="y")])
    assert shows(store) == {"a x": "1", "a y": "2", "b y": "1"}
    assert moves(store, "a", partition="y") == [("", "1"), ("1", "2")]
    assert moves(store, "a", partition="x") == [("", "1")]
    assert moves(store, "a", partition="") == []


def test_published_pointers_come_back_as_they_are_now(store: Store) -> None:
    store.publish([ref("a", "1")])
    again = store.publish([ref("b", "1"), ref("a", "2")])
    assert [(found.asset, read(found.before), read(found.version)) for found in again] == [("b", "", "1"), ("a", "1", "2")]
    assert store.publish([]) == []


def test_what_is_expected_and_holds_lets_the_pointers_move(store: Store) -> None:
    store.publish([ref("a", "1", partition="x")])
    expected = {("a", "x"): ref("a", "1").version, ("b", ""): ""}
    store.publish([ref("a", "2", partition="x"), ref("b", "1")], expected=expected)
    assert shows(store) == {"a x": "2", "b": "1"}


def test_what_is_expected_and_does_not_hold_moves_nothing_and_is_named(store: Store) -> None:
    store.publish([ref("a", "1"), ref("c", "1")])
    expected = {("a", ""): ref("a", "0").version, ("b", "x"): ref("b", "9").version, ("c", ""): ""}
    with pytest.raises(Moved) as refused:
        store.publish([ref("a", "2"), ref("d", "1")], expected=expected)
    assert [(asset, part, read(thought), read(found)) for asset, part, thought, found in refused.value.wrong] == [
        ("a", "", "0", "1"),
        ("b", "x", "9", ""),
        ("c", "", "", "1"),
    ]
    assert shows(store) == {"a": "1", "c": "1"}
    assert moves(store, "a") == [("", "1")]


def test_what_is_expected_is_asked_of_all_that_the_environment_stands_on(store: Store) -> None:
    store.create_environment(Environment(name="prod"))
    store.create_environment(Environment(name="dev", parent="prod"))
    store.publish([ref("a", "1")])
    with pytest.raises(Moved):
        store.publish([ref("a", "2", environment="dev")], expected={("a", ""): ""})
    (moved,) = store.publish([ref("a", "2", environment="dev")], expected={("a", ""): ref("a", "1").version})
    assert read(moved.before) == "1"


def test_of_two_who_publish_on_the_same_expectation_one_succeeds(store: Store) -> None:
    store.publish([ref("a", "0"), ref("b", "0")])
    expected = {("a", ""): ref("a", "0").version, ("b", ""): ref("b", "0").version}
    told: list[str] = []
    ready = threading.Barrier(4)

    def promote(version: str) -> None:
        ready.wait(10)
        try:
            store.publish([ref("a", version), ref("b", version)], expected=expected)
            told.append(version)
        except Moved:
            told.append("refused")

    threads = [threading.Thread(target=promote, args=(str(n),)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (winner,) = [word for word in told if word != "refused"]
    assert told.count("refused") == 3
    assert shows(store) == {"a": winner, "b": winner}
    assert moves(store, "a") == [("", "0"), ("0", winner)]


def test_of_two_stores_on_one_database_that_publish_on_the_same_expectation_one_succeeds(database_url: str) -> None:
    stores = [open_store(database_url), *(open_store(database_url, lock=False) for _ in range(3))]
    told: list[str] = []
    ready = threading.Barrier(len(stores))

    def race(store: Store, number: int) -> None:
        for turn in range(10):
            ready.wait(30)
            try:
                store.publish([ref(f"a{turn}", str(number))], expected={(f"a{turn}", ""): ""})
                told.append(f"a{turn}")
            except Moved:
                pass

    threads = [threading.Thread(target=race, args=one) for one in zip(stores, range(4), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == [f"a{turn}" for turn in range(10)]
    assert sorted(shows(stores[0])) == sorted(told)
    for store in stores:
        store.close()


def test_two_stores_that_move_one_pointer_leave_a_history_without_a_gap(database_url: str) -> None:
    stores = [open_store(database_url), open_store(database_url, lock=False)]
    claimed(stores[0])

    def commit() -> None:
        for n in range(1, 31):
            commit = Commit(run="r1", epoch=1, events=[entry("r1", n)], tasks=[task(unit=n)], refs=[ref("a", f"x{n}")])
            stores[0].commit([commit], durable=n % 2 == 0)

    def publish() -> None:
        for n in range(30):
            stores[1].publish([ref("a", f"y{n}")])

    threads = [threading.Thread(target=commit), threading.Thread(target=publish)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    told = moves(stores[0], "a")
    assert len(told) == 60
    assert [before for before, _ in told] == ["", *[version for _, version in told[:-1]]]
    assert shows(stores[1]) == {"a": told[-1][1]}
    for store in stores:
        store.close()


def test_a_history_is_paged_newest_first_and_moves_made_meanwhile_do_not_shift_it(store: Store) -> None:
    for n in range(7):
        store.publish([ref("a", str(n)), ref("other", str(n))])
    first = store.versions("a", Page(limit=3))
    store.publish([ref("a", "7")])
    second = store.versions("a", Page(limit=3, after=page_key(first[-1])))
    third = store.versions("a", Page(limit=3, after=page_key(second[-1])))
    assert [[read(found.version) for found in page] for page in (first, second, third)] == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert store.versions("a", Page(after=page_key(third[-1]))) == []
    with pytest.raises(BadSetting):
        store.versions("a", Page(after="yesterday"))


def test_a_history_can_be_that_of_one_environment(store: Store) -> None:
    store.publish([ref("a", "1"), ref("a", "2", environment="dev"), ref("a", "3")])
    assert moves(store, "a") == [("", "1"), ("", "2"), ("1", "3")]
    assert moves(store, "a", environment="dev") == [("", "2")]
    assert moves(store, "a", environment="prod", partition="") == [("", "1"), ("1", "3")]
    assert (moves(store, "a", environment="none"), moves(store, "b")) == ([], [])


def test_what_is_returned_can_be_changed_without_changing_the_store(store: Store) -> None:
    (given,) = store.publish([ref("a", "1")])
    for row in (given, *store.refs("prod"), *store.versions("a", Page())):
        row.version = row.asset = "changed"
    assert shows(store) == {"a": "1"}
    assert moves(store, "a") == [("", "1")]


def test_pointers_and_their_history_outlive_the_process(database_url: str) -> None:
    first = open_store(database_url)
    first.create_environment(Environment(name="prod", created_at=3.0, protected=True))
    first.publish([ref("a", "1"), ref("a", "2")])
    before = (first.refs("prod"), first.versions("a", Page()), first.environments())
    first.close()
    again = open_store(database_url)
    assert (again.refs("prod"), again.versions("a", Page()), again.environments()) == before
    again.close()


def test_only_the_assets_that_are_asked_for_are_shown(store: Store) -> None:
    store.publish([ref(asset, "1", partition=part) for asset in ("a", "b", "c") for part in ("x", "y")])
    assert [(found.asset, found.partition) for found in store.refs("prod", ["c", "a", "a", "d"])] == [
        ("a", "x"),
        ("a", "y"),
        ("c", "x"),
        ("c", "y"),
    ]
    assert store.refs("prod", []) == []
    assert len(store.refs("prod", {"b"})) == 2


def test_ten_thousand_pointers_move_and_are_shown_in_order(store: Store) -> None:
    wanted = [ref(f"shop.{n:05}", str(n)) for n in range(10_000)]
    store.publish(wanted[::-1])
    assert store.refs("prod") == wanted
    assert store.publish(wanted) == wanted
    assert len(store.versions("shop.00077", Page())) == 1


def test_what_was_remembered_is_found_by_its_key_also_when_it_has_expired(store: Store) -> None:
    claimed(store)
    rows = [memo("a", parts={"code": "c1"}, expires_at=2.0), memo("b", "2")]
    store.commit([Commit(run="r1", epoch=1, memos=rows)], durable=False)
    assert store.recall(["a", "b"], now=5.0) == {"b": rows[1]}
    assert store.memos(["a", "b", "c", "a"]) == {"a": rows[0], "b": rows[1]}
    assert store.memos([]) == {}


def test_the_last_computations_of_an_asset_come_newest_first(store: Store) -> None:
    claimed(store)
    rows = [memo(f"a{n}", node="a", at=float(n), seconds=n / 10) for n in range(30)]
    rows += [memo("b0", node="b", at=9.0, seconds=3.0), memo("b1", node="b", at=8.0, seconds=4.0), memo("other", node="other", seconds=9.0)]
    store.commit([Commit(run="r1", epoch=1, memos=rows)], durable=False)
    assert store.asset_history(["a", "b", "c", "a"], last=3) == {"a": (2.9, 2.8, 2.7), "b": (3.0, 4.0)}
    assert len(store.asset_history(["a"])["a"]) == 20
    assert (store.asset_history([]), store.asset_history(["a"], last=0)) == ({}, {})


def test_computations_at_one_moment_are_not_more_than_asked_for(store: Store) -> None:
    claimed(store)
    rows = [memo(f"a{n}", node="a", at=1.0, seconds=5.0) for n in range(30)]
    store.commit([Commit(run="r1", epoch=1, memos=rows)], durable=False)
    assert store.asset_history(["a"], last=3) == {"a": (5.0, 5.0, 5.0)}


def test_a_commit_stores_its_pointers_with_everything_else(store: Store) -> None:
    claimed(store)
    commit = Commit(run="r1", epoch=1, events=[begun()], tasks=[task()], memos=[memo("k")], refs=[ref("a", "1", key="k")])
    store.commit([commit], durable=True)
    assert [row.place for row in store.tasks("r1", TaskFilter(), Page())] == ["load"]
    assert store.memos([found.key for found in store.refs("prod")]) == {"k": memo("k")}
