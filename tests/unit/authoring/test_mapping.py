"""`.map` and `.partial` while a flow is built: tasks and whole flows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidemill import Problem, flow
from tidemill.authoring.building import Built, build
from unit.authoring.user_tasks import add, anything, double, extract, name_of, nothing, plain, quadruple, sizes, total


def node(built: Built, key: str) -> dict[str, object]:
    return {name: plain(expr, built.values) for name, expr in built.graph.by_key()[key].args.items()}


def test_map_over_a_result_is_one_node() -> None:
    @flow
    def load() -> int:
        return total(double.map(extract()))

    built = build(load)
    assert [(one.key, one.over) for one in built.graph.nodes] == [("extract", ()), ("double", ("x",)), ("total", ())]
    assert node(built, "double") == {"x": "extract"}
    assert node(built, "total") == {"xs": "double"}


def test_fixed_arguments_are_not_mapped() -> None:
    @flow
    def load() -> None:
        add.partial(y=5).map(extract())
        add.partial(5).map(extract())  # the parameter left open is mapped

    built = build(load)
    assert node(built, "add") == {"x": "extract", "y": ("constant", 5)}
    assert built.graph.by_key()["add"].over == ("x",)
    assert node(built, "add-2") == {"x": ("constant", 5), "y": "extract-2"}
    assert built.graph.by_key()["add-2"].over == ("y",)


def test_several_mapped_parameters_are_zipped() -> None:
    @flow
    def load() -> None:
        add.map(extract(), y=[1, 2, 3])

    built = build(load)
    assert built.graph.by_key()["add"].over == ("x", "y")
    assert node(built, "add")["y"] == ("constant", [1, 2, 3])


@pytest.mark.parametrize("over", [[], (), {}, [1, 2], (1, 2), {"a": 1}])
def test_known_things_are_mapped_as_they_are(over: object) -> None:
    @flow
    def load() -> None:
        double.map(over)  # type: ignore[call-overload]

    assert node(build(load), "double") == {"x": ("constant", over)}


def test_other_iterables_become_lists() -> None:
    @flow
    def load() -> None:
        double.map(range(3))
        double.map(x for x in (1, 2))

    assert node(build(load), "double") == {"x": ("constant", [0, 1, 2])}
    assert node(build(load), "double-2") == {"x": ("constant", [1, 2])}


def test_known_lists_and_dicts_may_hold_results() -> None:
    @flow
    def load() -> None:
        double.map([double(1), 2])
        double.map({"a": double(3)})

    assert node(build(load), "double-2") == {"x": ["double", ("constant", 2)]}
    assert node(build(load), "double-4") == {"x": {"a": "double-3"}}


def test_a_mapped_result_can_be_mapped_and_indexed() -> None:
    @flow
    def load() -> None:
        first = double.map(extract())
        double.map(first)
        double(first[0])
        double(double.map(sizes())["a"])

    built = build(load)
    assert node(built, "double-2") == {"x": "double"}
    assert node(built, "double-3") == {"x": "double[0]"}
    assert node(built, "double-5") == {"x": "double-4['a']"}


def test_a_mapped_flow_is_a_group_whose_parameter_is_the_item() -> None:
    @flow
    def load() -> int:
        return total(quadruple.map(extract()))

    built = build(load)
    (group,) = built.graph.groups
    assert (group.key, group.mapped, plain(group.output, built.values)) == ("quadruple", True, "quadruple.double-2")
    assert {name: plain(expr, built.values) for name, expr in group.over.items()} == {"n": "extract"}
    assert node(built, "quadruple.double") == {"x": "item quadruple:n"}
    assert node(built, "total") == {"xs": "quadruple"}


def test_fixed_arguments_of_a_mapped_flow_are_real_values_or_outer_results() -> None:
    @flow
    def region(name: str, factor: int, base: int) -> int:
        return add(base, factor) if factor > 1 else double(base)

    @flow
    def load() -> None:
        region.partial(factor=2, base=double(1)).map(["fr", "de"])

    built = build(load)
    assert node(built, "region.add") == {"x": "double", "y": ("constant", 2)}


def test_mapped_flows_nest() -> None:
    @flow
    def inner(n: int, by: int) -> int:
        return add(n, by)

    @flow
    def middle(k: int) -> list[int]:
        return inner.partial(by=k).map(extract())

    @flow
    def outer() -> list[list[int]]:
        return middle.map([1, 2])

    built = build(outer)
    assert [(group.key, group.parent) for group in built.graph.groups] == [("middle", ""), ("middle.inner", "middle")]
    assert node(built, "middle.inner.add") == {"x": "item middle.inner:n", "y": "item middle:k"}
    assert plain(built.graph.groups[0].output, built.values) == "middle.inner"


def test_a_result_inside_a_mapped_flow_cannot_be_used_outside() -> None:
    kept: list[int] = []

    @flow
    def leaky(n: int) -> None:
        kept.append(double(n))

    @flow
    def load() -> None:
        leaky.map([1])
        double(kept[-1])

    with pytest.raises(Problem, match=r"(?s)used outside the mapped flow.*one such result per item.*Return it from the mapped flow"):
        build(load)


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (double.map, r"\.map\(\) was given nothing to map over"),
        (lambda: double.map("abc"), r"double\.map\(\) cannot map 'x' over 'abc'(?s:.*)\.partial\(x=…\)"),
        (lambda: double.map(3), r"cannot map 'x' over 3"),
        (lambda: double.map({1, 2}), r"over a set, whose order differs(?s:.*)sorted"),
        (lambda: double.map(double(1)), "over the result of 'double', declared as int"),
        (lambda: double.map(name_of("x")), "over the result of 'name_of', declared as str"),
        (lambda: double.map(nothing()), "over the result of 'nothing', declared as None"),
        (lambda: add.map([1, 2], [1]), "things of different lengths: x has 2, y has 1"),
        (lambda: double.map([1], [2]), "given 2 things to map over by position, and 1 parameters are left"),
        (lambda: double.map([1], x=[2]), "'x' was given twice"),
        (lambda: add.partial(y=1).map(y=[2], x=[1]), "'y' was given twice"),
        (lambda: double.map(z=[1]), "has no parameter 'z'"),
        (lambda: double.partial(z=1), "has no parameter 'z'"),
        (lambda: add.map(y=[1]), r"add\(\) needs 'x'"),
        (lambda: quadruple.map("abc"), r"quadruple\.map\(\) cannot map 'n' over 'abc'"),
    ],
)
def test_each_mistake_has_its_text(use: Callable[[], object], text: str) -> None:
    @flow
    def load() -> None:
        use()

    with pytest.raises(Problem, match=text):
        build(load)


def test_a_partial_in_a_flow_can_be_called() -> None:
    @flow
    def load() -> None:
        anything(add.partial(y=2)(double(1)))
        quadruple.partial(n=2)()

    built = build(load)
    assert node(built, "add") == {"x": "double", "y": ("constant", 2)}
    assert node(built, "quadruple.double") == {"x": ("constant", 2)}
