"""What a flow would run, and how long, as far as its graph and history tell."""

from __future__ import annotations

from tidemill.graph.nodes import Group
from tidemill.graph.values import Item, Ref
from tidemill.project.forecast import forecast
from tidemill.testing.graphs import call, each, expr, flow


def test_steps_come_after_all_they_wait_for_and_else_as_they_are_written() -> None:
    a = call("a")
    c = call("c", a)
    plan = forecast(flow(call("b", c), a, c, call("d")), {}, {})
    assert [step.key for step in plan.steps] == ["a", "d", "c", "b"]


def test_the_critical_path_is_the_chain_that_takes_longest() -> None:
    a, b = call("a"), call("b")
    plan = forecast(flow(a, b, call("c", a, b), call("d", b)), {"": 9.0, "a": 1.0, "b": 3.0, "c": 2.0, "d": 4.0}, {})
    assert [step.key for step in plan.steps if step.critical] == ["b", "d"]
    assert (plan.critical, plan.seconds) == (7.0, 9.0)


def test_without_history_nothing_is_invented() -> None:
    plan = forecast(flow(call("a")), {}, {})
    assert (plan.critical, plan.seconds, plan.unknown, plan.steps[0].seconds) == (None, None, 1, None)
    assert not plan.steps[0].critical


def test_the_size_of_a_map_is_known_now_or_from_last_time_or_not() -> None:
    a = call("a")
    graph = flow(a, each("now", [1, 2, 3]), each("then", a), each("never", a))
    steps = {step.key: step for step in forecast(graph, {}, {"then": 37}).steps}
    assert [(steps[key].size, steps[key].size_is) for key in ("now", "then", "never")] == [(3, "now"), (37, "last time"), (None, "")]


def test_a_task_in_a_mapped_flow_takes_the_median_of_its_items() -> None:
    group = Group(key="region", flow="region", over={"name": expr(["x", "y", "z"])}, output=Ref("region.load"))
    graph = flow(call("region.load", Item("region"), group="region"), group, call("end", Ref("region")))
    plan = forecast(graph, {"region[0].load": 1.0, "region[1].load": 5.0, "region[2].load": 2.0}, {})
    steps = {step.key: step for step in plan.steps}
    assert steps["region.load"].seconds == 2.0
    assert steps["end"].after == ("region.load",)


def test_hooks_of_the_flow_come_last() -> None:
    graph = flow(call("tell", role="on_failure"), call("a"))
    assert [(step.key, step.because) for step in forecast(graph, {}, {}).steps] == [
        ("a", "it waits for nothing"),
        ("tell", "the run has failed"),
    ]


def test_a_plan_of_ten_thousand_tasks_in_a_chain_keeps_their_order() -> None:
    nodes = [call("t0")]
    for n in range(1, 10_000):
        nodes.append(call(f"t{n}", nodes[-1]))
    assert [step.key for step in forecast(flow(*nodes), {}, {}).steps] == [f"t{n}" for n in range(10_000)]
