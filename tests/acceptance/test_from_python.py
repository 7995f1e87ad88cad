"""A project run from a script, a test or a notebook: the same runs, recorded in the same place."""

from __future__ import annotations

import asyncio

import pytest

from command_line import Folder
from tidemill import Problem, Project
from tidemill.machine.states import RunState


@pytest.fixture
def project(three: Folder) -> Project:
    return Project(three.path / "pipeline.py", env={})


def test_a_run_from_python_returns_its_value_and_is_recorded(project: Project, three: Folder) -> None:
    result = project.run("nightly", bonus=1)
    assert (result.value(), result.state, result.succeeded) == (60, RunState.SUCCEEDED, True)
    assert [task.place for task in result.tasks] == ["extract", "load", "total"]
    assert [item.name for item in result.items("load")] == ["load[0]", "load[1]", "load[2]"]
    (run,) = three.tidemill("runs", "--json").json["runs"]
    assert (run["id"], run["origin"]) == (result.id, "python")


def test_a_run_that_fails_is_returned_and_has_no_value(folder: Folder) -> None:
    folder.write(
        "from tidemill import flow, task\n\n@task\ndef a() -> int:\n    raise ValueError('no')\n\n@flow\ndef f():\n    return a()\n"
    )
    result = Project(folder.path / "pipeline.py", env={}).run()
    assert not result.succeeded
    assert result.failure is not None
    assert result.failure.type == "builtins.ValueError"
    with pytest.raises(Problem, match="is failed, so it has no value"):
        result.value()


def test_inside_a_running_loop_the_same_call_works(project: Project) -> None:
    async def cell() -> object:
        return project.run().value()

    assert asyncio.run(cell()) == 60


def test_the_same_key_gives_the_same_run(project: Project) -> None:
    async def twice() -> tuple[str, str]:
        first = await project.run_flow("nightly", key="2026-01-31")
        second = await project.run_flow("nightly", key="2026-01-31")
        return first.id, second.id

    first, second = asyncio.run(twice())
    assert first == second


def test_what_is_wrong_is_raised_as_a_problem(project: Project) -> None:
    with pytest.raises(Problem, match="There is no flow named 'nightli'"):
        project.run("nightli")
    with pytest.raises(Problem, match="has no parameter 'day'"):
        project.run("nightly", day=1)


def test_flows_are_described_and_planned_without_running(project: Project, three: Folder) -> None:
    assert [flow["name"] for flow in project.describe()["flows"]] == ["nightly"]
    assert [step.key for step in project.plan("nightly").steps] == ["extract", "load", "total"]
    assert three.tidemill("runs", code=2)
