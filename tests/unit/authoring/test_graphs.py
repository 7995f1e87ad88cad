"""How a flow becomes a graph: calls, literals, parts of results, groups."""

from __future__ import annotations

import msgspec
import pytest

from tidemill import Problem, flow, task
from tidemill.authoring.building import Built, build
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Handle
from unit.authoring.user_tasks import add, anything, double, extract, pair, plain, quadruple, report, row, sizes, total, two, where


def args(built: Built) -> dict[str, object]:
    return {node.key: {name: plain(expr, built.values) for name, expr in node.args.items()} for node in built.graph.nodes if node.args}


def test_a_call_is_a_node_and_its_result_a_reference() -> None:
    @flow
    def nightly() -> int:
        return total(extract())

    built = build(nightly)
    assert [node.key for node in built.graph.nodes] == ["extract", "total"]
    assert args(built) == {"total": {"xs": "extract"}}
    assert plain(built.graph.output, built.values) == "total"
    assert built.graph.by_key()["total"].returns == "int"


def test_repeated_calls_get_numbers() -> None:
    @flow
    def again() -> None:
        for _ in range(3):
            double(1)

    assert [node.key for node in build(again).graph.nodes] == ["double", "double-2", "double-3"]


def test_a_number_that_a_name_has_taken_is_passed_over() -> None:
    @flow
    def clash() -> None:
        double.options(name="double-2")(1)
        double(1)
        double(1)

    assert [node.key for node in build(clash).graph.nodes] == ["double-2", "double", "double-3"]


def test_parameters_are_real_values() -> None:
    @flow
    def choose(full: bool, n: int = 2) -> None:
        if full:
            double(n)

    assert len(build(choose, {"full": True}).graph.nodes) == 1
    built = build(choose, {"full": False})
    assert not built.graph.nodes
    assert {name: built.values[handle.digest] for name, handle in built.graph.params.items()} == {"full": False, "n": 2}


def test_literals_are_kept_once_and_told_apart_by_type() -> None:
    @flow
    def literals() -> None:
        anything(1)
        anything(True)
        anything(1)
        anything("1")

    built = build(literals)
    digests = [node.args["value"].handle.digest for node in built.graph.nodes]  # type: ignore[union-attr]
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3
    assert [args(built)[node.key] for node in built.graph.nodes] == [{"value": ("constant", v)} for v in (1, True, 1, "1")]


def test_a_list_changed_between_two_calls_is_kept_as_it_was_at_each() -> None:
    kept: list[object] = []

    def keep(value: object) -> Handle:
        kept.append(list(value) if isinstance(value, list) else value)
        return Handle(codec="json", digest=str(len(kept)), size=0)

    @flow
    def growing() -> None:
        some = [1]
        anything(some)
        some.append(2)
        anything(some)

    build(growing, keep=keep, resources={})
    assert [one for one in kept if isinstance(one, list)] == [[1], [1, 2]]


def test_results_pass_inside_lists_tuples_sets_and_dicts() -> None:
    @flow
    def nested() -> None:
        a, b = double(1), double(2)
        anything([a, (b, 3), {"k": a, "l": [b]}])
        anything({a})

    assert args(build(nested))["anything"] == {"value": ["double", ("double-2", ("constant", 3)), {"k": "double", "l": ["double-2"]}]}
    assert args(build(nested))["anything-2"] == {"value": {"double"}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (lambda ref: {1: ref}, "has the key 1, which is not text"),
        (lambda ref: ~ref, "~ before a result makes a condition"),
        (lambda ref: frozenset([ref]), "a frozenset with results of tasks inside"),
    ],
)
def test_what_cannot_be_filled_in_later_is_refused(value: object, text: str) -> None:
    @flow
    def wrong() -> None:
        anything(value(double(1)))  # type: ignore[operator]

    with pytest.raises(Problem, match=text):
        build(wrong)


def test_parts_of_results_are_paths() -> None:
    @flow
    def parts() -> None:
        double(extract()[0])
        anything(sizes()["a"])
        anything(row()["shop"])
        anything(pair().right)
        anything(report().sizes[0])  # a field, then an item
        anything(where().name)  # a property
        anything(extract()[-1])

    found = [value for node in args(build(parts)).values() for value in node.values()]  # type: ignore[attr-defined]
    assert found == ["extract[0]", "sizes['a']", "row['shop']", "pair.right", "report.sizes[0]", "where.name", "extract-2[-1]"]


def test_declared_tuples_unpack() -> None:
    @flow
    def unpacked() -> None:
        number, text = two()
        left, _right = pair()
        anything([number, text, left])

    assert args(build(unpacked))["anything"] == {"value": ["two[0]", "two[1]", "pair[0]"]}


def test_a_flow_may_return_any_structure_of_results() -> None:
    @flow
    def several(n: int = 3) -> object:
        return {"t": double(1), "n": n, "both": [extract(), (double(2), None)]}

    built = build(several)
    expected = {"t": "double", "n": ("constant", 3), "both": ["extract", ("double-2", ("constant", None))]}
    assert plain(built.graph.output, built.values) == expected


def test_a_flow_that_returns_nothing_has_no_output() -> None:
    @flow
    def silent() -> None:
        double(1)

    assert build(silent).graph.output is None


def test_a_flow_inside_a_flow_is_a_group() -> None:
    @flow
    def outer() -> int:
        return add(quadruple(1), quadruple(2))

    built = build(outer)
    assert [node.key for node in built.graph.nodes] == [
        "quadruple.double", "quadruple.double-2", "quadruple-2.double", "quadruple-2.double-2", "add",
    ]  # fmt: skip
    assert args(built)["add"] == {"x": "quadruple.double-2", "y": "quadruple-2.double-2"}
    assert [(group.key, group.flow, group.parent, group.mapped) for group in built.graph.groups] == [
        ("quadruple", "quadruple", "", False), ("quadruple-2", "quadruple", "", False),
    ]  # fmt: skip
    assert built.graph.nodes[0].group == "quadruple"


def test_groups_nest() -> None:
    @flow
    def middle(n: int) -> int:
        return quadruple(n)

    @flow
    def outer() -> None:
        middle(1)

    built = build(outer)
    assert built.graph.nodes[0].key == "middle.quadruple.double"
    assert [(group.key, group.parent) for group in built.graph.groups] == [("middle", ""), ("middle.quadruple", "middle")]


def test_a_flow_that_calls_itself_is_refused_with_the_path() -> None:
    @flow
    def ping() -> None:
        pong()

    @flow
    def pong() -> None:
        ping()

    with pytest.raises(Problem, match=r"(?s)The flow 'ping' calls itself: ping → pong → ping.*Map over a list"):
        build(ping)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (add, r"add\(\) needs 'x', and nothing was given for it"),
        (lambda: add(1, 2, 3), r"add\(\) takes 2 positional arguments, and 3 were given"),
        (lambda: add(1, z=2), r"add\(\) has no parameter 'z'"),
        (lambda: add(1, x=2), r"add\(\) was given 'x' twice: by position and by name"),
        (lambda: total(xss=[1]), r"total\(\) has no parameter 'xss'(?s:.*)Did you mean 'xs'"),
        (quadruple, r"quadruple\(\) needs 'n'"),
    ],
)
def test_a_wrong_call_shows_the_signature_and_both_places(call: object, text: str) -> None:
    @flow
    def wrong() -> None:
        call()  # type: ignore[operator]

    with pytest.raises(Problem, match=text) as caught:
        build(wrong)
    assert "It is defined as " in caught.value.why
    assert "user_tasks.py:" in caught.value.why
    assert "test_graphs.py:" in caught.value.where


def test_missing_and_unknown_parameters_of_the_flow_are_named() -> None:
    with pytest.raises(Problem, match=r"quadruple\(\) needs 'n'"):
        build(quadruple)
    with pytest.raises(Problem, match=r"(?s)quadruple\(\) has no parameter 'm'"):
        build(quadruple, {"m": 1})


def test_every_kind_of_parameter_is_bound_by_name() -> None:
    @task
    def odd(a: int, /, b: int, *rest: int, c: int = 1, **more: int) -> None: ...

    @task
    def named(a: int, *, b: int, **more: int) -> None: ...

    @flow
    def calls() -> None:
        odd(1, 2, 3, 4, c=5, d=6)
        named(1, b=2, z=3)

    built = build(calls)
    assert [node.calls_with for node in built.graph.nodes] == ["bind", "keywords"]
    values = [{name: built.values[expr.handle.digest] for name, expr in node.args.items()} for node in built.graph.nodes]  # type: ignore[union-attr]
    assert values == [{"a": 1, "b": 2, "rest": (3, 4), "c": 5, "d": 6}, {"a": 1, "b": 2, "z": 3}]


def test_a_result_kept_from_another_build_is_refused() -> None:
    kept: list[object] = []

    @flow
    def leaky() -> None:
        kept.append(double(1))
        double(kept[0])  # type: ignore[arg-type]

    build(leaky)
    with pytest.raises(
        Problem, match=r"(?s)The result of 'double' belongs to another building of the flow 'leaky'.*do not keep it in a global"
    ):
        build(leaky)


def test_results_inside_other_objects_are_refused_when_they_are_stored() -> None:
    import pickle

    class Box:
        def __init__(self, held: object) -> None:
            self.held = held

    def keep(value: object) -> Handle:
        pickle.dumps(getattr(value, "held", None))
        return Handle(codec="pickle", digest="", size=0)

    @flow
    def boxed() -> None:
        anything(Box(double(1)))

    with pytest.raises(Problem, match="The result of 'double' is inside an object that has to be stored"):
        build(boxed, keep=keep)


def test_options_of_the_flow_are_in_the_graph() -> None:
    @flow(fail_fast=True, timeout="1h", max_active=4, name="Nightly load")
    def load() -> None: ...

    graph = build(load).graph
    assert (graph.flow, graph.fail_fast, graph.timeout, graph.max_active) == ("Nightly load", True, 3600.0, 4)


def test_a_graph_survives_json() -> None:
    graph = build(quadruple, {"n": 1}).graph
    assert msgspec.json.decode(msgspec.json.encode(graph), type=Graph) == graph


def test_hooks_are_nodes_and_say_where_their_facts_go() -> None:
    @task
    def alarm(what: dict[str, object]) -> None: ...

    @task
    def bye() -> None: ...

    @flow(on_failure=alarm, on_exit=bye)
    def watched() -> None:
        double(1)

    nodes = build(watched).graph.nodes
    assert [(node.key, node.role, node.hook, node.args) for node in nodes[1:]] == [
        ("alarm", "on_failure", "what", {}), ("bye", "on_exit", "", {}),
    ]  # fmt: skip

    @flow
    def outer() -> None:
        watched()

    assert [(node.key, node.guards) for node in build(outer).graph.nodes[1:]] == [
        ("watched.alarm", ("watched.double",)), ("watched.bye", ("watched.double",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fail_fsat": True}, "There is no flow option named 'fail_fsat'.*Did you mean 'fail_fast'"),
        ({"fail_fast": "yes"}, "fail_fast='yes' is neither True nor False"),
        ({"timeout": "soon"}, "timeout='soon' is not a duration"),
        ({"max_active": 0}, "max_active=0 is not a whole number of at least 1"),
        ({"on_failure": print}, "on_failure=.* is not a task.*Put @task"),
        ({"on_exit": task(lambda a, b: None)}, "on_exit='lambda' takes 2 arguments.*a dict with run, flow, state and failed"),
        ({"description": 3}, "description=3 is not text"),
    ],
)
def test_each_mistake_in_the_words_of_a_flow_is_named(options: dict[str, object], text: str) -> None:
    with pytest.raises(Problem, match=f"(?s){text}"):
        flow(**options)  # type: ignore[call-overload]


def test_a_flow_is_a_plain_function() -> None:
    with pytest.raises(Problem, match=r"(?s)'nightly' is `async def`.*nothing to await"):

        @flow
        async def nightly() -> None: ...

    with pytest.raises(Problem, match=r"(?s)'pages' uses `yield`"):

        @flow
        def pages() -> object:
            yield 1

    with pytest.raises(Problem, match=r"(?s)@flow was given <task double.*not both"):
        flow(double)


def test_a_resource_or_task_error_in_the_users_code_is_left_as_it_is() -> None:
    @flow
    def broken() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        build(broken)
    assert add(1, 2) == 3  # and nothing of the failed building is left behind
