"""What a retry is made of: today's graph, the parameters of then, and the results that still fit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tidemill.artifacts.local import LocalFolder
from tidemill.artifacts.store import Artifacts
from tidemill.errors import BadSetting, Unknown
from tidemill.graph.nodes import Graph
from tidemill.machine.states import RunState
from tidemill.ports import RunRow
from tidemill.project.rerun import NothingToRetry, Rerun, plain_parameter, rerun
from tidemill.testing.graphs import call, flow, value
from tidemill.testing.play import NOON, Play


def graph(*, start: int = 1, version: str = "", **rest: object) -> Graph:
    a = call("a", start)
    a = msgspec.structs.replace(a, task=msgspec.structs.replace(a.task, version=version))
    b = call("b", a)
    return flow(a, b, call("c", b), **rest)


def failed(**rest: object) -> Play:
    play = Play(graph(**rest)).begin()
    play.succeed("a")
    play.succeed("b")
    play.fail("c")
    return play


def retry(before: Play, new: Graph | None = None, state: RunState = RunState.FAILED, **asked: object) -> tuple[Rerun, dict[str, object]]:
    given: dict[str, object] = {}

    async def build(_flow: str, params: Mapping[str, object]) -> Graph:
        given.update(params)
        return new or before.graph

    row = RunRow(id="r1", key="k", flow="flow", graph="g", state=state)
    return asyncio.run(rerun(row, before.run, build, at=NOON, **asked)), given


def test_what_succeeded_is_taken_over() -> None:
    made, _ = retry(failed())
    assert sorted(made.inherited.units) == ["a", "b"]


def test_a_named_task_runs_again_with_all_after_it() -> None:
    made, _ = retry(failed(), again=["b"])
    assert sorted(made.inherited.units) == ["a"]


def test_a_task_that_is_given_something_else_runs_again_with_all_after_it() -> None:
    made, _ = retry(failed(), graph(start=2))
    assert made.changed == ["a"]
    assert not made.inherited.units


def test_a_result_is_kept_though_its_code_changed_and_that_is_said() -> None:
    made, _ = retry(failed(), graph(version="2"))
    assert made.older == ["a"]
    assert sorted(made.inherited.units) == ["a", "b"]


def test_the_parameters_of_then_are_given_to_the_flow_again() -> None:
    made, given = retry(failed(params={"day": value("2026-01-31"), "limit": value(3)}), params={"limit": "5"})
    assert given == {"day": "2026-01-31", "limit": "5"}
    assert made.graph.flow == "flow"


def test_a_run_that_goes_on_and_one_that_succeeded_are_refused() -> None:
    with pytest.raises(NothingToRetry, match="it has not ended"):
        retry(failed(), state=RunState.RUNNING)
    with pytest.raises(NothingToRetry, match="there is nothing to retry"):
        retry(failed(), state=RunState.SUCCEEDED)
    assert retry(failed(), state=RunState.SUCCEEDED, again=["c"])


def test_an_unknown_task_is_named_with_the_nearest_guess() -> None:
    with pytest.raises(Unknown) as caught:
        retry(failed(), again=["bb"])
    assert caught.value.what == "There is no task named 'bb'."


@dataclass
class Region:
    name: str


def test_parameters_of_pythons_own_types_become_what_a_caller_would_give(tmp_path: Path) -> None:
    artifacts = Artifacts(LocalFolder(tmp_path))

    def plain(one: object) -> object:
        return plain_parameter(artifacts.keep(one, paths="name"))

    assert plain({"day": date(2026, 1, 31), "price": Decimal("1.10")}) == {"day": "2026-01-31", "price": "1.10"}
    assert plain((1, {2})) == [1, [2]]
    assert plain(timedelta(minutes=2)) == 120.0
    assert plain(Path("a/b")) == "a/b"


def test_a_parameter_of_a_type_of_the_users_keeps_the_stored_graph(tmp_path: Path) -> None:
    handle = Artifacts(LocalFolder(tmp_path)).keep(Region("x"))
    before = failed(params={"region": handle})
    made, given = retry(before, flow(call("other")))
    assert made.graph is before.graph
    assert not given
    with pytest.raises(BadSetting, match="cannot be made again with other parameters") as caught:
        retry(before, params={"limit": "5"})
    assert "--region" in caught.value.mend
