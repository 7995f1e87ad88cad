"""`with when`, `with setup`, `>>`: conditions, pairs and order in the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidemill import Problem, flow, setup, task, when
from tidemill.authoring.building import build
from unit.authoring.user_tasks import add, anything, double, extract, is_big, plain, quadruple, sizes


@task
def stop(cluster: object, force: bool = False) -> None: ...


@task
def sweep_up() -> None: ...


def conditions(graph: Any, key: str) -> list[tuple[object, bool]]:
    place = next(one for one in (*graph.nodes, *graph.groups) if one.key == key)
    return [(plain(one.of, {}), one.is_) for one in place.when]


def after(graph: Any) -> dict[str, tuple[str, ...]]:
    return {one.key: one.after for one in (*graph.nodes, *graph.groups) if one.after}


def test_conditions_add_up() -> None:
    @flow
    def choose() -> None:
        big = is_big(1)
        with when(big):
            double(1)
            with when(~sizes()["a"]):
                double(2)
        with when(~big):
            double(3)
        double(4)

    graph = build(choose).graph
    assert conditions(graph, "double") == [("is_big", True)]
    assert conditions(graph, "double-2") == [("is_big", True), ("sizes['a']", False)]
    assert conditions(graph, "double-3") == [("is_big", False)]
    assert conditions(graph, "double-4") == []


def test_inverting_twice_is_the_condition_itself() -> None:
    @flow
    def choose() -> None:
        with when(~~is_big(1)):  # type: ignore[operator]
            double(1)

    assert conditions(build(choose).graph, "double") == [("is_big", True)]


def test_a_condition_reaches_into_groups_and_stands_on_mapped_ones() -> None:
    @flow
    def inner(n: int) -> None:
        with when(is_big(n)):
            double(n)

    @flow
    def choose() -> None:
        with when(is_big(1)):
            inner(1)
            inner.map([1])

    graph = build(choose).graph
    assert conditions(graph, "inner.double") == [("is_big", True), ("inner.is_big", True)]
    assert conditions(graph, "inner-2") == [("is_big", True)]
    assert conditions(graph, "inner-2.double") == [("inner-2.is_big", True)]


def test_the_block_ends_when_the_users_code_fails() -> None:
    @flow
    def choose() -> None:
        try:
            with when(is_big(1)):
                raise KeyError
        except KeyError:
            double(1)

    assert conditions(build(choose).graph, "double") == []


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda: when(True), "when\\(\\) was given True, which is known already(?s:.*)plain `if`"),
        (lambda: when(is_big), "when\\(\\) was given <task is_big"),
        (lambda: setup(3, teardown=stop), "setup\\(\\) was given 3, which is not the call of a task"),
        (lambda: setup(sizes()["a"], teardown=stop), "which is not the call of a task"),
        (lambda: setup(quadruple(1), teardown=stop), "which is not the call of a task"),
        (lambda: setup(double.map([1]), teardown=stop), "given the mapped task 'double'(?s:.*)into a flow"),
        (lambda: setup(double(1), teardown=print), "teardown=.* is not a task"),  # type: ignore[arg-type]
        (lambda: setup(double(1), teardown=double(2)), "teardown=<result of double-2.* is not a task"),  # type: ignore[arg-type]
    ],
)
def test_each_mistake_in_a_block_has_its_text(use: Callable[[], Any], text: str) -> None:
    @flow
    def wrong() -> None:
        with use():
            double(1)

    with pytest.raises(Problem, match=text):
        build(wrong)


def test_blocks_outside_a_flow_say_where_they_belong() -> None:
    with pytest.raises(Problem, match=r"(?s)when\(\) was used where no flow is being built.*inside a @flow"), when(1):
        pass

    @flow(dynamic=True)
    def body() -> None:
        with when(True):
            pass

    with pytest.raises(Problem, match=r"(?s)when\(\) was used.*real values.*plain `if`"):
        body()


def test_a_setup_and_its_teardown_stand_around_the_block() -> None:
    @flow
    def paired() -> None:
        double(0)
        with setup(extract(), teardown=stop) as cluster:
            add(cluster[0])
            double(1)
            quadruple.map(extract())
        double(2)

    graph = build(paired).graph
    nodes = graph.by_key()
    assert nodes["extract"].role == "setup"
    closer = nodes["stop"]
    assert (closer.role, closer.setup) == ("teardown", "extract")
    assert closer.guards == ("add", "double-2", "extract-2", "quadruple")
    assert plain(closer.args["cluster"], {}) == "extract"
    assert after(graph) == {"double-2": ("extract",), "extract-2": ("extract",), "quadruple": ("extract",)}


def test_a_teardown_may_take_nothing_or_fixed_arguments() -> None:
    @flow
    def paired() -> None:
        with setup(extract(), teardown=sweep_up):
            double(1)
        with setup(extract(), teardown=stop.partial(force=True)):
            pass

    built = build(paired)
    assert built.graph.by_key()["sweep_up"].args == {}
    args = {name: plain(expr, built.values) for name, expr in built.graph.by_key()["stop"].args.items()}
    assert args == {"cluster": "extract-2", "force": ("constant", True)}


def test_a_setup_under_a_condition_has_its_teardown_under_it_too() -> None:
    @flow
    def paired() -> None:
        with when(is_big(1)), setup(extract(), teardown=stop):
            double(1)

    assert conditions(build(paired).graph, "stop") == [("is_big", True)]


def test_an_arrow_orders_and_hands_on_its_right_side() -> None:
    @flow
    def ordered() -> None:
        a, b, c, d = (double(n) for n in range(4))
        assert (a >> b) is b  # type: ignore[operator]
        a >> [c, d]  # type: ignore[operator]
        [b, c] >> d  # type: ignore[operator]

    assert after(build(ordered).graph) == {"double-2": ("double",), "double-3": ("double",), "double-4": ("double", "double-2", "double-3")}


def test_chains_of_arrows_order_each_pair() -> None:
    @flow
    def ordered() -> None:
        double(0) >> double(1) >> double(2)  # type: ignore[operator]

    assert after(build(ordered).graph) == {"double-2": ("double",), "double-3": ("double-2",)}


def test_following_orders_as_an_arrow_does() -> None:
    @flow
    def ordered() -> None:
        double.following(double(0), double(1))(2)

    assert after(build(ordered).graph) == {"double-3": ("double", "double-2")}


def test_an_arrow_orders_whole_flows() -> None:
    @flow
    def both() -> None:
        double(double(1))
        double(3)

    @flow
    def ordered() -> None:
        anything(1) >> both() >> anything(2)  # type: ignore[operator, func-returns-value]

    assert after(build(ordered).graph) == {
        "both.double": ("anything",),
        "both.double-2": ("anything",),
        "both.double-3": ("anything",),
        "anything-2": ("both.double-2", "both.double-3"),
    }


def test_an_arrow_orders_mapped_flows_as_a_whole() -> None:
    @flow
    def ordered() -> None:
        anything(1) >> quadruple.map([1]) >> anything(2)  # type: ignore[operator]

    assert after(build(ordered).graph) == {"quadruple": ("anything",), "anything-2": ("quadruple",)}


def test_arrows_in_a_circle_are_refused_with_the_path() -> None:
    @flow
    def circle() -> None:
        a = double(1)
        b = add(a)
        b >> a  # type: ignore[operator]

    with pytest.raises(Problem, match=r"wait for one another: (add → double → add|double → add → double)"):
        build(circle)


def test_a_circle_through_a_mapped_flow_is_seen() -> None:
    @flow
    def circle() -> None:
        a = double(1)
        mapped = quadruple.map([a])
        mapped >> a  # type: ignore[operator]

    with pytest.raises(Problem, match="wait for one another"):
        build(circle)


def test_an_arrow_to_something_else_is_refused() -> None:
    @flow
    def wrong() -> None:
        double(1) >> 3

    with pytest.raises(Problem, match="`>>` was given 3, which is not a call"):
        build(wrong)
