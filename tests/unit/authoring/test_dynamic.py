"""Dynamic flows: plain Python without an engine, nodes found again by content with one."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tidemill import Problem, Submitted, TaskFailed, flow, task
from tidemill.authoring.building import build
from tidemill.authoring.dynamic import error_of, run_driver
from tidemill.graph.nodes import Node
from tidemill.graph.values import Handle
from tidemill.graph.work import Failure
from unit.authoring.user_tasks import add, double, quadruple


class Engine:
    """A session over real functions: what it answered once it answers again without a call. Knows values by their digest."""

    def __init__(self) -> None:
        self.tasks: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        self.log: dict[str, Any] = {}
        self.calls: list[str] = []

    def keep(self, value: object) -> Handle:
        digest = hashlib.sha256(pickle.dumps(value)).hexdigest()
        self.values[digest] = value
        return Handle(codec="pickle", digest=digest, size=0)

    def call(self, node: Node) -> object:
        if node.key not in self.log:
            self.calls.append(node.key)
            given = {name: self.values[expr.handle.digest] for name, expr in node.args.items()}  # type: ignore[union-attr]
            result = self.tasks[node.task.name].function(**given)
            self.log[node.key] = asyncio.run(result) if asyncio.iscoroutine(result) else result
        return self.log[node.key]

    def submit(self, node: Node) -> Future[object]:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.call, node)

    def run(self, body: Any, **values: object) -> object:
        return run_driver(body, values, session=self, keep=self.keep, key="body", tasks=self.tasks)


@task
async def fetch(page: int) -> int:
    return page * 10


@task
def fragile(x: int) -> int:
    if x == 2:
        raise ValueError("two is too much")
    return x


@flow(dynamic=True)
def body(n: int) -> list[int]:
    found = []
    while (last := double(n)) < 20:
        found.append(last)
        n = last
    return found + fragile.map([3, 4])


@flow(dynamic=True)
async def async_body() -> list[int]:
    first = await fetch(1)  # type: ignore[misc]
    rest = await asyncio.gather(fetch.submit(2), fetch.submit(3))
    many = await fetch.map([4, 5])  # type: ignore[misc]
    return [first, *rest, *many, add(1, 1)]


def test_without_an_engine_a_dynamic_flow_is_plain_python() -> None:
    assert body(3) == [6, 12, 3, 4]
    assert async_body() == [10, 20, 30, 40, 50, 2]


def test_without_an_engine_async_tasks_give_values_to_a_plain_body() -> None:
    @flow(dynamic=True)
    def mixed() -> int:
        return fetch(1) + fetch.submit(2).result() + sum(fetch.map([3]))

    assert mixed() == 60


def test_a_dynamic_flow_in_a_graph_is_its_driver() -> None:
    @flow
    def outer() -> list[int]:
        return body(double(1))

    graph = build(outer).graph
    driver = graph.by_key()["body"]
    assert (driver.role, driver.policy.executor, driver.returns) == ("driver", "thread", "list[int]")
    assert [node.role for node in build(body, {"n": 1}).graph.nodes] == ["driver"]


def test_a_dynamic_flow_can_be_mapped_in_a_graph() -> None:
    @flow
    def outer() -> list[list[int]]:
        return body.map([1, 2])

    (node,) = build(outer).graph.nodes
    assert (node.role, node.over) == ("driver", ("n",))


def test_the_driver_asks_for_nodes_and_gets_values() -> None:
    engine = Engine()
    assert engine.run(body, n=3) == [6, 12, 3, 4]
    assert [re.sub(r"[0-9a-f]{16}", "#", key) for key in engine.calls] == ["body/double-#"] * 3 + ["body/fragile-#"] * 2
    assert len(set(engine.calls)) == 5


def test_after_a_crash_finished_calls_are_found_again() -> None:
    engine = Engine()
    engine.run(body, n=3)
    engine.calls.clear()
    assert engine.run(body, n=3) == [6, 12, 3, 4]
    assert engine.calls == []


def test_a_changed_body_only_makes_the_calls_that_are_new() -> None:
    engine = Engine()

    @flow(dynamic=True)
    def first() -> int:
        return double(1) + double(2)

    @flow(dynamic=True)
    def changed() -> int:
        return double(3) + double(2) + double(1)

    engine.run(first)
    engine.calls.clear()
    assert engine.run(changed) == 12
    assert len(engine.calls) == 1


def test_equal_calls_are_told_apart_by_their_number() -> None:
    engine = Engine()

    @flow(dynamic=True)
    def twice() -> int:
        return double(1) + double(x=1)

    assert engine.run(twice) == 4
    assert engine.calls[1] == engine.calls[0] + "-2"


def test_async_bodies_run_on_a_loop_of_their_own() -> None:
    engine = Engine()
    assert engine.run(async_body) == [10, 20, 30, 40, 50, 2]
    assert len(engine.calls) == 6


def test_errors_can_be_caught_by_their_own_type() -> None:
    @flow(dynamic=True)
    def careful() -> str:
        try:
            fragile.map([1, 2, 3])
        except ValueError as error:
            return f"caught {error}"
        return "not caught"

    assert Engine().run(careful) == careful() == "caught two is too much"


def test_submitted_calls_are_waited_for() -> None:
    @flow(dynamic=True)
    def together() -> int:
        started: list[Submitted[int]] = [double.submit(n) for n in range(3)]
        return sum(one.result() for one in started)

    assert Engine().run(together) == together() == 6


def test_flows_inside_a_dynamic_flow() -> None:
    @flow(dynamic=True)
    def inner(n: int) -> int:
        return double(n)

    @flow(dynamic=True)
    async def async_inner(n: int) -> int:
        return await fetch(n)  # type: ignore[misc]

    @flow(dynamic=True)
    def outer() -> list[object]:
        return [inner(1), async_inner(2), inner.map([3, 4])]

    engine = Engine()
    assert engine.run(outer) == outer() == [2, 20, [6, 8]]
    assert [key.split("-")[0] for key in engine.calls] == ["body/double", "body/fetch", "body/double", "body/double"]


def test_a_static_flow_inside_a_dynamic_one_is_one_node() -> None:
    seen: list[Node] = []

    class Watching(Engine):
        def call(self, node: Node) -> object:
            seen.append(node)
            return 8

    @flow(dynamic=True)
    def outer() -> list[object]:
        return [quadruple(2), quadruple.map([1])]

    assert Watching().run(outer) == [8, [8]]
    assert [(node.task.qualname, node.policy.executor, node.role) for node in seen] == [("quadruple", "process", "task")] * 2


def test_submit_in_a_graph_says_that_it_is_not_needed() -> None:
    @flow
    def static() -> None:
        double.submit(1)

    with pytest.raises(Problem, match=r"(?s)double.submit\(\) was called in a flow that is not dynamic.*Write double\(…\)"):
        build(static)


def test_wrong_calls_in_the_body_have_the_same_text() -> None:
    @flow(dynamic=True)
    def wrong() -> None:
        add(z=1)

    with pytest.raises(Problem, match=r"add\(\) has no parameter 'z'"):
        Engine().run(wrong)


class NeedsTwo(Exception):
    def __init__(self, a: str, b: str) -> None:
        super().__init__(a, b)


@pytest.mark.parametrize(
    ("failure", "kind", "text"),
    [
        (Failure(cause="error", type="builtins.KeyError", message="'k'"), KeyError, "k"),
        (
            Failure(cause="error", type="json.decoder.JSONDecodeError", message="x"),
            TaskFailed,
            r"'load' failed: json.decoder.JSONDecodeError: x",
        ),
        (Failure(cause="error", type="builtins.OSError", message="no disk", exception=b"broken"), OSError, "no disk"),
        (Failure(cause="error", type="x.Y", exception=pickle.dumps(ValueError("v"))), ValueError, "v"),
        (Failure(cause="error", type="nowhere.Gone", message="m"), TaskFailed, "The task 'load' failed: nowhere.Gone: m"),
        (Failure(cause="timeout", message="2 s were up"), TimeoutError, "2 s were up"),
        (Failure(cause="memory"), TaskFailed, "(?s)The task 'load' failed.*killed for its memory"),
        (Failure(cause="error", type="x", problem=Problem("what", mend="do").report()), Problem, "(?s)what.*do"),
        (Failure(cause="error", type="builtins.SystemExit", message="3"), TaskFailed, "SystemExit: 3"),
    ],
)
def test_a_recorded_failure_becomes_an_error_again(failure: Failure, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        raise error_of(failure, "load")
