"""Assets in real processes: catalogued, built, observed, checked before they count."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tidemill.errors import Problem
from tidemill.graph.nodes import Node
from tidemill.graph.values import At, Constant, Expr, Handle, Ref, Several, rewrite
from tidemill.graph.work import Job, Outcome

PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def shop(tmp_path: Path, make_driver: Callable[..., Driver]) -> Driver:  # noqa: F821 - the fixture's own class
    folder = tmp_path / "project"
    (folder / "inbox").mkdir(parents=True)
    shutil.copy(PROJECT / "goods.py", folder / "goods.py")
    (folder / "inbox" / "a.csv").write_text("x")
    return make_driver(folder / "goods.py")


def resolved(expr: Expr, known: Mapping[str, Handle]) -> Expr:
    return rewrite(expr, lambda leaf: At(known[leaf.node], leaf.path) if isinstance(leaf, Ref) else leaf)


def job_of(node: Node, known: Mapping[str, Handle], number: int) -> Job:
    return Job(
        id=f"run/{node.key}-{number}", run="run", flow="assets", place=node.key, task=node.task, policy=node.policy,
        args={name: resolved(expr, known) for name, expr in node.args.items()}, resources=node.resources,
        asset=node.publishes.asset if node.publishes else "", returns=node.returns,
    )  # fmt: skip


def built(driver, *targets: str, shown: Mapping[str, Handle] | None = None, **params: object) -> dict[str, Outcome]:
    """Each node's outcome, one after the other as the engine would."""
    graph = driver.run(driver.pool.build_assets(targets, shown=shown or {}, forced={}, params=params))
    known: dict[str, Handle] = dict(shown or {})
    outcomes: dict[str, Outcome] = {}
    for node in graph.nodes:
        if any(isinstance(expr, Ref) and expr.node not in known for expr in node.args.values()):
            continue
        driver.number += 1
        job = job_of(node, known, driver.number)
        driver.launch(job)
        outcome = outcomes[node.key] = driver.ended(job)[0]
        if outcome.handle is not None:
            known[node.key] = outcome.handle
    return outcomes


def test_the_catalog_names_every_asset_with_what_its_key_is_made_of(shop) -> None:
    entries = {entry.name: entry for entry in shop.run(shop.pool.catalog())}
    assert sorted(entries) == ["feed", "grand", "halves", "high", "inbox", "lenient", "low", "orders", "strict", "table"]
    orders = entries["orders"]
    assert (orders.inputs, orders.owner, orders.tags, orders.doc) == ({"inbox": "inbox"}, "shop", ("daily",), "All orders.")
    assert orders.parts["setting limit"] == "100"
    assert "code goods.orders" in orders.parts
    assert "package polars" in orders.parts
    assert "code goods.total" in entries["grand"].parts  # what the body of a flow calls counts
    assert [one.name for one in entries["strict"].checks] == ["unique(id)", "never_judges"]
    assert entries["table"].resources == ("shelf",)
    assert entries["inbox"].observes == "files inbox/*.csv"


def test_all_assets_are_built_from_their_sources(shop) -> None:
    outcomes = built(shop, "grand", "low", "high", "halves", "feed", "table", factor="4")
    assert shop.value(outcomes["grand"]) == 0 + 1 + 5 + 4
    assert shop.value(outcomes["low"]) == [0, 1]


def test_a_result_that_fails_a_check_has_no_handle_and_says_why(shop) -> None:
    outcome = built(shop, "inbox", "orders", "strict")["strict"]
    assert outcome.handle is None
    assert outcome.failure.cause == "check"
    assert "'strict' did not pass 2 of its 2 checks" in outcome.failure.message
    assert "unique(id): 2 of 3 rows: 'id' is not unique" in outcome.failure.message
    assert "never_judges: the check itself failed: ZeroDivisionError: no" in outcome.failure.message
    assert outcome.failure.problem.code == "checks-failed"
    assert [(one.name, one.passed, one.failed_rows) for one in outcome.checks] == [("unique(id)", False, 2), ("never_judges", False, None)]


def test_a_warning_publishes_and_is_told(shop) -> None:
    outcome = built(shop, "inbox", "orders", "lenient")["lenient"]
    assert outcome.failure is None
    assert shop.value(outcome).height == 3
    assert [(one.passed, one.severity) for one in outcome.checks] == [(False, "warn")]


def test_files_have_the_version_that_they_had_until_one_changes(shop) -> None:
    first = built(shop, "inbox")["inbox"].handle
    again = built(shop, "inbox", shown={"inbox": first})["inbox"].handle
    assert again.digest == first.digest
    (shop.scratch / "project" / "inbox" / "b.csv").write_text("y")
    outcomes = built(shop, "inbox", "orders", shown={"inbox": first})
    assert outcomes["inbox"].handle.digest != first.digest
    assert shop.value(outcomes["orders"])["files"][0] == 2


def test_a_source_with_a_cursor_goes_on_from_its_last_token(shop) -> None:
    first = built(shop, "feed")["feed"]
    assert (shop.value(first).value, shop.value(first).token) == ([0, 1], "2")
    second = built(shop, "feed", shown={"feed": first.handle})["feed"]
    assert (shop.value(second).value, shop.value(second).token) == ([2, 3], "4")


def test_a_flow_reads_the_version_that_is_shown(shop) -> None:
    handle = shop.artifacts.keep(7)
    graph, _ = shop.run(shop.pool.build("reads", {}, shown={"grand": handle}))
    assert graph.nodes[0].args == {"xs": Several("list", (Constant(handle), Constant(handle)))}
    with pytest.raises(Problem, match="'grand' has no version yet, and the flow 'reads' reads it"):
        shop.run(shop.pool.build("reads", {}))


def test_a_target_whose_input_has_no_version_is_refused_by_name(shop) -> None:
    with pytest.raises(Problem, match="'orders' has no version yet, and 'strict' reads it") as caught:
        shop.run(shop.pool.build_assets(["strict"], shown={}))
    assert "tidemill run +orders" in str(caught.value)


def test_an_input_is_not_loaded_where_only_the_flow_needs_it(shop) -> None:
    gone = Handle(codec="json", digest="0" * 64, size=5000)  # nobody has its bytes
    graph = shop.run(shop.pool.build_assets(["grand"], shown={"low": gone, "high": gone}))
    node = graph.by_key()["grand"]
    job = job_of(node, {"grand.flow.total-3": shop.artifacts.keep(9)}, 1)
    shop.launch(job)
    assert shop.value(shop.ended(job)[0]) == 9


def test_a_run_parameter_reaches_the_asset_that_has_it(shop) -> None:
    inbox = built(shop, "inbox")["inbox"].handle
    graph = shop.run(shop.pool.build_assets(["orders"], shown={"inbox": inbox}, params={"limit": 1}))
    job = job_of(graph.nodes[0], {}, 99)
    shop.launch(job)
    assert shop.value(shop.ended(job)[0]).height == 1
