"""What would run, and why."""

from __future__ import annotations

import pytest

from tidemill.errors import Unknown
from tidemill.graph.nodes import CyclicGraph
from tidemill.plan.keys import difference, key_of
from tidemill.plan.plan import make_plan
from tidemill.plan.values import Defined, History, Known, Remembered, Shown, State


def asset(name: str, *inputs: str, **words: object) -> Defined:
    code = str(words.pop("code", "1"))
    return Defined(name=name, inputs={one: one for one in inputs}, parts={f"code shop.{name}": code}, **words)  # type: ignore[arg-type]


def chain(**codes: str) -> dict[str, Defined]:
    """raw (a source) → orders → revenue → report"""
    return {
        "raw": Defined(name="raw", source=True),
        "orders": asset("orders", "raw", code=codes.get("orders", "1")),
        "revenue": asset("revenue", "orders", code=codes.get("revenue", "1")),
        "report": asset("report", "revenue", code=codes.get("report", "1")),
    }


def built(assets: dict[str, Defined], history: dict[str, History] | None = None) -> Known:
    """Everything was computed once, as it is defined here."""
    shown = {"raw": Shown(version="v-raw")}
    memos = {}
    for name, one in assets.items():
        if one.source:
            continue
        parts = {**one.parts, **{f"input {p}": f"v-{up}" for p, up in one.inputs.items()}}
        key = key_of(name, parts)
        memos[key] = Remembered(version=f"v-{name}", parts=parts)
        shown[name] = Shown(version=f"v-{name}", key=key)
    return Known(shown=shown, memos=memos, history=history or {})


def states(plan) -> dict[str, str]:
    return {one.name: str(one.state) for one in plan.decisions}


def test_nothing_built_means_everything_runs_because_it_was_never_built() -> None:
    plan = make_plan(chain(), Known(shown={"raw": Shown(version="v-raw")}))
    assert states(plan) == {"raw": "ok", "orders": "run", "revenue": "run", "report": "run"}
    assert plan.of("orders").because == ("it was never built here",)


def test_nothing_changed_means_nothing_runs() -> None:
    plan = make_plan(chain(), built(chain()))
    assert set(states(plan).values()) == {"ok"}
    assert plan.to_run == ()
    assert plan.cost.most == 0.0


def test_changed_code_runs_its_asset_and_makes_what_follows_a_maybe() -> None:
    plan = make_plan(chain(orders="2"), built(chain()))
    assert states(plan) == {"raw": "ok", "orders": "run", "revenue": "maybe", "report": "maybe"}
    assert plan.of("orders").because == ("the code of shop.orders changed",)
    assert plan.of("revenue").because == ("input orders may change",)
    assert plan.of("revenue").likely == pytest.approx(0.5)
    assert plan.of("report").likely == pytest.approx(0.25)


def test_code_changed_behind_an_unknown_input_is_reason_enough_to_run() -> None:
    plan = make_plan(chain(orders="2", revenue="2"), built(chain()))
    assert plan.of("revenue").state is State.RUN
    assert plan.of("revenue").because == ("the code of shop.revenue changed",)


def test_a_new_version_of_an_input_is_named() -> None:
    known = built(chain())
    known.shown["raw"] = Shown(version="w-raw")
    assert make_plan(chain(), known).of("orders").because == ("input raw has a new version (v-raw → w-raw)",)


def test_a_result_that_is_there_already_is_linked() -> None:
    known = built(chain())
    parts = {"code shop.orders": "2", "input raw": "v-raw"}
    known.memos[key_of("orders", parts)] = Remembered(version="other", parts=parts)
    plan = make_plan(chain(orders="2"), known)
    assert plan.of("orders").state is State.LINK
    assert plan.of("orders").version == "other"
    assert plan.of("revenue").state is State.RUN, "its input is known, and it is another one"


def test_a_missing_blob_is_a_reason() -> None:
    known = built(chain())
    key = known.shown["orders"].key
    known.memos[key] = Remembered(version="v-orders", parts=known.memos[key].parts, gone=True)
    assert make_plan(chain(), known).of("orders").because == ("its stored result is missing",)


def test_forced_held_and_expired() -> None:
    assets = chain()
    assets["orders"] = asset("orders", "raw", forced="asked for with --refresh")
    assets["report"] = asset("report", "revenue", held="frozen by ada")
    plan = make_plan(assets, built(chain()))
    assert plan.of("orders").because == ("asked for with --refresh",)
    assert plan.of("report").state is State.HELD
    assets = chain()
    assets["orders"] = asset("orders", "raw", expires_after=60.0)
    known = built(chain())
    late = Known(shown=known.shown, memos=known.memos, history={}, now=100.0)
    assert make_plan(assets, late).of("orders").because == ("it is older than 60 s",)


def test_a_source_that_was_never_observed_blocks_all_that_needs_it() -> None:
    plan = make_plan(chain(), Known())
    assert states(plan) == {"raw": "blocked", "orders": "blocked", "revenue": "blocked", "report": "blocked"}
    assert plan.of("orders").because == ("input raw has no version: it was never observed",)


def test_incomplete_data_waits_and_so_does_what_needs_it() -> None:
    assets = chain()
    assets["raw"] = Defined(name="raw", source=True, waits="22 of 24 hours are there")
    plan = make_plan(assets, built(chain()))
    assert plan.of("raw").because == ("22 of 24 hours are there",)
    assert plan.of("orders").state is State.WAIT


def test_only_targets_are_computed_and_others_count_as_they_are_shown() -> None:
    plan = make_plan(chain(orders="2", revenue="2"), built(chain()), ["revenue"])
    assert states(plan) == {"revenue": "run"}
    never = make_plan(chain(), Known(shown={"raw": Shown(version="v-raw")}), ["revenue"])
    assert never.of("revenue").state is State.BLOCKED


def test_cost_and_the_longest_path() -> None:
    history = {
        "orders": History(seconds=10.0, slow_seconds=20.0, reruns=8, changed=4),
        "revenue": History(seconds=4.0, slow_seconds=5.0),
        "report": History(seconds=2.0),
    }
    plan = make_plan(chain(orders="2"), built(chain(), history))
    assert plan.cost.least == 10.0
    assert plan.cost.expected == pytest.approx(10.0 + 0.5 * 4.0 + 0.25 * 2.0)
    assert plan.cost.most == 20.0 + 5.0 + 2.0
    assert plan.critical == ("orders", "revenue", "report")
    assert plan.critical_seconds == 16.0


def test_cycles_and_unknown_names_are_told() -> None:
    with pytest.raises(CyclicGraph, match=r"wait for one another: .*a"):
        make_plan({"a": asset("a", "b"), "b": asset("b", "a")}, Known())
    with pytest.raises(Unknown, match="Did you mean 'orders'"):
        make_plan({"orders": asset("orders"), "report": asset("report", "order")}, Known())
    with pytest.raises(Unknown, match="no asset named 'x'"):
        make_plan(chain(), Known(), ["x"])


def test_differences_are_told_code_first() -> None:
    before = {"code shop.f": "1", "package polars": "2.0", "input a": "aaaaaaaaaa", "setting x": "1"}
    now = {"code shop.f": "2", "package polars": "2.1", "input a": "bbbbbbbbbb", "setting y": "1"}
    assert difference(before, now) == (
        "the code of shop.f changed",
        "package polars changed from 2.0 to 2.1",
        "setting x is gone",
        "setting y is new",
        "input a has a new version (aaaaaaaa → bbbbbbbb)",
    )


def test_a_key_does_not_depend_on_the_order_of_its_parts() -> None:
    assert key_of("n", {"a": "1", "b": "2"}) == key_of("n", {"b": "2", "a": "1"})
    assert key_of("n", {"a": "1"}) != key_of("m", {"a": "1"})
