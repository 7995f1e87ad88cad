"""Graphs of assets: one node per target, in order of their inputs; and assets inside flows."""

from __future__ import annotations

import msgspec
import pytest

from tidemill import asset, flow, source, task
from tidemill.authoring.assets.assemble import OBSERVED, assemble
from tidemill.authoring.assets.current import Versions
from tidemill.authoring.assets.problems import NotBuilt
from tidemill.authoring.building import Built, build
from tidemill.authoring.definitions import scan
from tidemill.authoring.definitions.params import BadParameter, schema, validate
from tidemill.authoring.problems import BadCall, BadDefinition, LazyResult, TypeMismatch
from tidemill.engine.inline import run_in_memory
from tidemill.graph.nodes import CyclicGraph
from tidemill.graph.values import Constant, Handle, Ref
from unit.authoring.test_assets import Split, defined, module_of
from unit.authoring.test_dynamic import Engine

HANDLE = Handle(codec="json", digest="d", size=1, data=b"7")


@source
def feed() -> list[int]:
    return [1, 2, 3]


@asset(fresh="1h")
def clean(feed: list[int], least: int = 2) -> list[int]:
    return [x for x in feed if x >= least]


@asset
def split(clean: list[int]) -> Split:
    return Split(clean[:1], clean[1:])


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def add(a: int, b: int) -> int:
    return a + b


@asset
@flow
def score(train: list[int], test: list[int], weight: int = 1) -> int:
    return add(total(train), add(total(test), weight))


@asset
def report(score: int) -> str:
    return f"score {score}"


ALL = {"feed": feed, "clean": clean, "split": split, "score": score, "report": report}
EVERY = ["report", "score", "train", "test", "split", "clean", "feed"]


def result(built: Built, node: str) -> object:
    built.graph = msgspec.structs.replace(built.graph, output=Ref(node))
    return run_in_memory(built)


def test_all_targets_are_made_in_order_of_their_inputs() -> None:
    built = assemble(defined(**ALL), EVERY)
    keys = [node.key for node in built.graph.nodes]
    assert keys == ["feed", "clean", "split", "train", "test", "score.flow.total", "score.flow.total-2", "score.flow.add",
                    "score.flow.add-2", "score", "report"]  # fmt: skip
    assert result(built, "report") == "score 6"


def test_a_node_publishes_its_asset_with_parts_and_inputs() -> None:
    node = assemble(defined(**ALL), EVERY, forced={"clean": "asked for"}).graph.by_key()["clean"]
    assert node.publishes is not None
    assert (node.publishes.asset, node.publishes.inputs, node.publishes.expires_after) == ("clean", {"feed": "feed"}, 3600.0)
    assert node.publishes.forced == "asked for"
    assert node.publishes.parts["setting least"] == "2"
    assert node.task.version == node.publishes.parts[f"code {clean.module}.clean"]
    assert node.args == {"feed": Ref("feed")}


def test_what_is_not_a_target_is_read_as_it_is_shown() -> None:
    built = assemble(defined(**ALL), ["report"], shown={"score": HANDLE})
    (node,) = built.graph.nodes
    assert node.args == {"score": Constant(HANDLE)}


def test_what_has_no_version_is_named_with_how_to_build_it() -> None:
    with pytest.raises(NotBuilt, match="'score' has no version yet, and 'report' reads it") as caught:
        assemble(defined(**ALL), ["report"])
    assert caught.value.mend == "Build it first: tidemill run +score"


def test_a_source_is_looked_at_whatever_is_remembered() -> None:
    (node,) = assemble(defined(**ALL), ["feed"], shown={"feed": HANDLE}, keep=lambda _value: HANDLE).graph.nodes
    assert node.publishes is not None
    assert node.publishes.forced == OBSERVED
    assert node.args == {"previous": Constant(HANDLE)}


def test_a_run_parameter_is_read_as_its_type_and_is_part_of_the_key() -> None:
    built = assemble(defined(**ALL), EVERY, params={"least": "3", "weight": "10"})
    assert result(built, "report") == "score 13"
    node = built.graph.by_key()["clean"]
    assert node.publishes is not None
    assert node.publishes.parts["setting least"] == "3"


def test_a_parameter_that_no_target_has_is_refused() -> None:
    with pytest.raises(BadParameter, match="No asset that is built here has a parameter 'most'") as caught:
        assemble(defined(**ALL), EVERY, params={"most": 3})
    assert caught.value.why == "They take: least, weight."


def test_a_parameter_of_another_type_is_refused() -> None:
    with pytest.raises(BadParameter, match="The parameter 'least' of the asset 'clean' takes int"):
        assemble(defined(**ALL), EVERY, params={"least": "many"})


def test_a_parameter_without_a_value_is_asked_for() -> None:
    @asset
    def daily(day: str) -> str:
        return day

    with pytest.raises(BadParameter, match="The asset 'daily' needs a value for 'day'") as caught:
        assemble(defined(daily=daily), ["daily"])
    assert caught.value.mend == "Give it: tidemill run daily --param day=…"
    assert result(assemble(defined(daily=daily), ["daily"], params={"day": "x"}), "daily") == "x"


def test_targets_that_read_one_another_are_a_cycle() -> None:
    @asset
    def first(second: int) -> int:
        return 1

    @asset
    def second(first: int) -> int:
        return 1

    with pytest.raises(CyclicGraph):
        assemble(defined(first=first, second=second), ["first", "second"])


def test_a_flow_asset_that_reads_past_its_parameters_is_refused() -> None:
    @asset
    @flow
    def sly() -> int:
        return total(clean)

    with pytest.raises(BadDefinition, match="The asset 'sly' is a flow that reads 'clean', which is not one of its parameters") as caught:
        assemble(defined(sly=sly, feed=feed, clean=clean), ["sly"], shown={"clean": HANDLE})
    assert "Make 'clean' a parameter" in caught.value.mend


# ------------------------------------------------------------ in flows


@flow
def by_object() -> int:
    return total(clean)


@flow
def by_parameter(clean) -> int:
    return total(clean)


@task
def counted(clean: list[int], train: list[int]) -> int:
    return len(clean) + len(train)


@flow
def by_name() -> int:
    return counted()


def test_in_memory_an_asset_in_a_flow_is_made_of_what_it_is_made_of() -> None:
    assert by_object() == 5
    assert by_parameter() == 5
    assert by_name() == 3


def test_in_memory_an_asset_is_made_once() -> None:
    @flow
    def twice() -> int:
        return add(total(clean), total(clean))

    graph = build(twice).graph
    assert [node.key for node in graph.nodes].count("clean") == 1


def test_in_a_project_an_asset_is_the_version_that_is_shown() -> None:
    found = defined(**ALL)
    assets = Versions(found, {"clean": HANDLE, "train": HANDLE})
    for one, args in (
        (by_object, {"xs": Constant(HANDLE)}),
        (by_parameter, {"xs": Constant(HANDLE)}),
        (by_name, {"clean": Constant(HANDLE), "train": Constant(HANDLE)}),
    ):
        assert build(one, assets=assets).graph.nodes[0].args == args
    assert build(by_parameter, assets=assets).graph.params == {}


def test_an_asset_without_a_version_is_named_by_the_flow() -> None:
    with pytest.raises(NotBuilt, match="'clean' has no version yet, and the flow 'by_object' reads it"):
        build(by_object, assets=Versions(defined(**ALL), {}))


def test_a_list_may_hold_assets() -> None:
    @task
    def several(xs: list[list[int]]) -> int:
        return sum(map(sum, xs))

    @flow
    def listed() -> int:
        return several([clean, clean])

    assert listed() == 10


def test_the_type_of_an_asset_is_checked_in_flows() -> None:
    @flow
    def wrong() -> int:
        return total(report)

    with pytest.raises(TypeMismatch, match="takes list"):
        build(wrong, assets=Versions(defined(**ALL), {"report": HANDLE}))


def test_a_part_of_an_asset_is_taken_in_a_task() -> None:
    @flow
    def partly(clean) -> int:
        return total(clean[0])

    with pytest.raises(LazyResult, match="takes a part of the asset 'clean'"):
        build(partly, assets=Versions(defined(**ALL), {"clean": HANDLE}))


def test_nobody_is_asked_for_a_parameter_that_is_an_asset() -> None:
    found = scan([module_of(**ALL, by_parameter=by_parameter)])
    assert found.schema("by_parameter")["properties"] == {}
    assert schema(by_parameter)["required"] == ["clean"]
    assert validate(by_parameter, {}, filled=found.asset_objects) == {}
    with pytest.raises(BadParameter, match="needs a value"):
        validate(by_parameter, {})


def test_a_dynamic_flow_gets_the_value_as_a_parameter_and_is_refused_otherwise() -> None:
    @flow(dynamic=True)
    def reads(clean) -> int:
        return total(clean)

    @flow(dynamic=True)
    def sly() -> int:
        return total(clean)

    assets = Versions(defined(**ALL), {"clean": HANDLE})
    assert build(reads, assets=assets).graph.nodes[0].args == {"clean": Constant(HANDLE)}
    with pytest.raises(BadCall, match=r"total\(\) was given <asset clean .*> for 'xs', in the body of a dynamic flow") as caught:
        Engine().run(sly)
    assert caught.value.mend.startswith("Make 'clean' a parameter of the flow")
