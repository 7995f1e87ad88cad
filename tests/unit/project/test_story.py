"""Why something ran, did not, failed, or waits: one chain, from the log alone."""

from __future__ import annotations

from tidemill.graph.nodes import When
from tidemill.graph.policy import Policy
from tidemill.graph.values import Ref
from tidemill.machine.inherit import inheritance
from tidemill.machine.states import RunState
from tidemill.ports import RunRow
from tidemill.project.story import Explanation, of_run, of_task
from tidemill.testing.graphs import call, each, flow
from tidemill.testing.play import NOON, Play


def task(play: Play, path: str, n: int | None = None) -> Explanation:
    return of_task(play.run, play.log, path, n)


def run(play: Play, *, driver: str = "", **row: object) -> Explanation:
    row = {"id": "r1", "key": "k", "flow": "flow", "graph": "g", "state": play.run.state, "because": play.run.because, **row}
    return of_run(RunRow(**row), play.run, play.log, driver=driver)


def chain() -> Play:
    a = call("a")
    b = call("b", a)
    return Play(flow(a, b, call("c", b))).begin()


def test_a_blocked_task_names_the_task_that_failed_far_above_it() -> None:
    play = chain()
    play.fail("a", type="builtins.ValueError", message="no such row")
    assert task(play, "c").because == ["It could not run: b was blocked.", "The cause is a: ValueError: no such row (error)"]


def test_a_skipped_task_names_the_condition_and_its_value() -> None:
    big = call("big")
    play = Play(flow(big, call("alert", when=(When(Ref("big"), True),)))).begin()
    play.succeed("big", False)
    told = task(play, "alert")
    assert told.state == "skipped"
    assert told.because[0].startswith("It was skipped: it runs only when big is true, and it was ")


def test_a_waiting_task_says_what_it_waits_for() -> None:
    play = chain()
    play.launch("a")
    assert task(play, "b").because == ["It waits for a (running)."]
    assert task(play, "c").because == ["It waits for b (waiting)."]


def test_a_ready_task_waits_for_a_slot_of_its_pool() -> None:
    play = Play(flow(call("fetch", policy=Policy(pool="api")))).begin()
    assert task(play, "fetch").because == ["All it needs is there; it waits for a free slot in the pool 'api'."]


def test_a_task_that_ran_says_after_what_and_with_which_inputs() -> None:
    play = chain()
    play.succeed("a", 41)
    play.succeed("b")
    told = task(play, "b")
    assert told.because == ["It ran because all it waits for had ended: a succeeded."]
    assert [(one.name, one.source) for one in told.inputs] == [("a", "a")]
    assert told.inputs[0].digest == play.unit("a").handle.digest
    assert [moment.what for moment in told.story] == ["all it needs is there", "attempt 1 was handed to a worker", "attempt 1 succeeded"]


def test_a_failed_task_says_why_it_was_not_tried_again() -> None:
    policy = Policy(retries=2, retry_on=("builtins.TimeoutError",))
    play = Play(flow(call("fetch", policy=policy))).begin()
    play.fail("fetch", type="builtins.ValueError", mro=("builtins.ValueError",), message="bad")
    assert task(play, "fetch").because == [
        "It ran because it waits for nothing.",
        "Its attempt failed: ValueError: bad (error)",
        "It was not tried again: its retry_on is builtins.TimeoutError.",
    ]


def test_a_task_that_used_its_retries_up_says_so() -> None:
    play = Play(flow(call("fetch", policy=Policy(retries=1)))).begin()
    play.fail("fetch", message="1")
    play.wait(1)
    play.fail("fetch", message="2")
    told = task(play, "fetch")
    assert told.because[-1] == "It was tried 2 times, and has 1 retries."
    assert "attempt 1 failed: 1 (error); the next one after 0.0 s" in [moment.what for moment in told.story]


def test_a_mapped_task_is_explained_as_a_whole_and_item_by_item() -> None:
    play = Play(flow(each("load", ["x", "y"]))).begin()
    play.succeed("load", n=0)
    play.fail("load", 1, message="gone")
    assert task(play, "load").because[-1] == "It has 2 items: 1 good, 1 not, 0 to come."
    assert task(play, "load", 1).state == "failed"
    assert task(play, "load", 1).subject == "task load[1] of run r1"
    assert task(play, "load", 1).inputs[0].source == "item 1 of given when the run was made"


def test_a_result_of_the_run_before_says_so() -> None:
    before = chain()
    before.succeed("a")
    before.fail("b")
    play = Play(before.graph, id="r2").begin(inheritance(before.run, NOON))
    assert task(play, "a").because == ["It had succeeded in run r1, of which this is a retry, and was given the same."]


def test_a_failed_run_names_the_first_failure_and_who_was_blocked() -> None:
    play = chain()
    play.fail("a", type="builtins.ValueError", message="no such row")
    told = run(play)
    assert told.because[1:] == [
        "a failed first: ValueError: no such row (error)",
        "Blocked by that: b (a failed), c (b was blocked).",
    ]
    assert told.story[-1].what.startswith("it ended: failed")


def test_an_unfinished_run_says_who_drives_it_and_what_runs() -> None:
    play = chain()
    play.launch("a")
    assert run(play, driver="It is driven by process 7.").because[1:] == ["It is driven by process 7.", "Running: a."]
    assert "the next `tidemill run` of its project continues it" in run(play).because[1]


def test_a_cancelled_run_says_who_wanted_it() -> None:
    play = chain()
    play.cancel("ada", "wrong day")
    told = run(play)
    assert told.state == RunState.CANCELLED
    assert "It was cancelled: wrong day." in told.because


def test_a_retry_says_of_which_run() -> None:
    play = chain().finish()
    assert run(play, retry_of="r0").because[0] == "It was made as a retry of run r0."
