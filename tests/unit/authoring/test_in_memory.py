"""A flow called plainly runs its whole graph in memory, on the real state machine."""

from __future__ import annotations

import pytest

from tidemill import flow, setup, task, when
from unit.authoring.test_resources import pull, shop
from unit.authoring.user_tasks import add, anything, double, extract, is_big, pair, quadruple, sizes, total


@task
async def later(x: int) -> int:
    return x + 1


@flow
def region(n: int, by: int = 1) -> int:
    return total([double(n), by])


@flow(dynamic=True)
def growing(n: int) -> list[int]:
    found = []
    while n < 10:
        n = double(n)
        found.append(n)
    return found


def test_a_plain_call_returns_the_value() -> None:
    @flow
    def nightly() -> int:
        return total(extract())

    assert nightly() == 6


def test_parameters_defaults_and_structures_come_through() -> None:
    @flow
    def several(n: int, m: int = 4) -> object:
        low, name = pair()
        return {"n": n, "m": [m, double(n)], "low": low, "name": (name, sizes()["a"])}

    assert several(2) == {"n": 2, "m": [4, 4], "low": 1, "name": ("a", 1)}


def test_maps_of_tasks_flows_and_dynamic_flows() -> None:
    @flow
    def maps() -> list[object]:
        return [
            double.map(extract()),
            later.map({"a": 1, "b": 2}),
            double.map([]),
            region.partial(by=3).map(double.map([1, 2])),
            total(region.map(extract())),
            add.map([1, 2], [3, 4]),
            growing.map([3, 8]),
        ]

    assert maps() == [[2, 4, 6], {"a": 2, "b": 3}, [], [7, 11], 15, [4, 6], [[6, 12], [16]]]


def test_a_skipped_branch_reads_as_none_where_the_branches_join() -> None:
    @flow
    def choose(n: int) -> object:
        big = is_big(n)
        with when(big):
            left = double(n)
        with when(~big):
            right = quadruple(n)
        return anything.options(run_if="all_done")([left, right])

    assert choose(5) == [10, None]
    assert choose(1) == [None, 4]


def test_a_pair_runs_around_its_block_and_order_is_kept() -> None:
    log: list[str] = []

    @task
    def note(text: str) -> str:
        log.append(text)
        return text

    @task
    def close(cluster: str) -> None:
        log.append(f"close {cluster}")

    @flow
    def paired() -> None:
        with setup(note("open"), teardown=close):
            note("b") >> note("a") >> note("c")  # type: ignore[operator]

    paired()
    assert log == ["open", "b", "a", "c", "close open"]


def test_hooks_are_told_what_happened() -> None:
    told: list[object] = []

    @task
    def broken() -> None:
        raise ValueError("mine")

    @task
    def alarm(what: dict[str, object]) -> None:
        told.append((what["flow"], what["state"], what["failed"]))

    @task
    def bye() -> None:
        told.append("bye")

    @flow(on_failure=alarm, on_exit=bye)
    def watched(fails: bool) -> None:
        if fails:
            broken()

    watched(False)
    assert told == ["bye"]
    with pytest.raises(ValueError, match="mine"):
        watched(True)
    assert told == ["bye", ("watched", "failed", ["broken"]), "bye"]


def test_a_resource_is_handed_over_by_name() -> None:
    @flow
    def load() -> list[int]:
        return [pull(), pull(shop, page=4)]  # type: ignore[call-arg]

    assert load() == [1, 4]


def test_a_flow_called_inside_a_task_runs_there() -> None:
    @task
    def nested(n: int) -> int:
        return region(n)

    @flow
    def outer() -> int:
        return nested(2)

    assert outer() == 5
