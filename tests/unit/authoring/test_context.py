"""`run`: what a task knows of its attempt, and what it tells."""

from __future__ import annotations

import pytest

from tidemill import run
from tidemill.authoring.context import TaskContext, enter, leave
from tidemill.errors import BadSetting


@pytest.fixture
def told():
    found: list[tuple[str, object]] = []
    token = enter(TaskContext("r-1", "load[3]", 2, "r-1/load[3]", lambda kind, body: found.append((kind, body))))
    yield found
    leave(token)


def test_inside_a_task_run_is_that_attempt(told: list[object]) -> None:
    assert (run.id, run.task, run.attempt, run.idempotency_key) == ("r-1", "load[3]", 2, "r-1/load[3]")
    assert repr(run) == "<run r-1, task load[3], attempt 2>"


def test_what_is_told_reaches_the_worker(told: list[tuple[str, object]]) -> None:
    run.metric("auc", 0.93)
    run.progress(0.4)
    run.progress(7)
    run.report("# Title", title="Notes")
    run.link("https://x.example", title="X")
    run.link("http://y.example")
    assert told == [
        ("metric", ("auc", 0.93)), ("progress", 0.4), ("progress", 1.0), ("report", ("Notes", "# Title")),
        ("link", ("X", "https://x.example")), ("link", ("http://y.example", "http://y.example")),
    ]  # fmt: skip


def test_outside_a_task_all_is_local_and_harmless() -> None:
    assert (run.id, run.task, run.attempt, run.idempotency_key) == ("local", "local", 1, "local")
    run.metric("n", 1)
    run.progress(1)


@pytest.mark.parametrize(
    ("tell", "text"),
    [
        (lambda: run.metric("m", "many"), r"run.metric\('m', 'many'\) is not given a number"),  # type: ignore[arg-type]
        (lambda: run.progress(float("nan")), r"run.progress\(nan\) is not given a number from 0 to 1"),
        (lambda: run.progress("half"), r"run.progress\('half'\) is not given"),  # type: ignore[arg-type]
        (lambda: run.link("javascript:alert(1)"), "is not given a web address"),
    ],
)
def test_what_makes_no_sense_is_refused(tell: object, text: str) -> None:
    with pytest.raises(BadSetting, match=text):
        tell()  # type: ignore[operator]
