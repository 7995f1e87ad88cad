"""How runs are stopped and what still runs then: cancellation, failing fast, setups, teardowns, hooks."""

import msgspec
import pytest

from tidemill.graph.nodes import Group
from tidemill.graph.policy import Backoff, Policy
from tidemill.graph.values import Item, Ref
from tidemill.graph.work import Failure
from tidemill.machine.resolve import job
from tidemill.testing.graphs import call, each, flow
from tidemill.testing.play import Play


def test_a_cancelled_run_starts_nothing_new_and_stops_what_runs() -> None:
    play = Play(flow(call("runs"), call("ready"), call("waits", Ref("runs")))).begin()
    play.launch("runs")
    play.cancel(because="wrong day")
    assert play.states() == {"runs": "running", "ready": "cancelled", "waits": "cancelled"}
    assert [(stop.place, stop.cause) for stop in play.stops] == [("runs", "cancelled")]
    assert play.run.state == "cancelling"
    play.stopped()
    assert (play.run.state, play.run.because) == ("cancelled", "wrong day")


def test_what_ends_by_itself_while_it_is_stopped_keeps_its_result() -> None:
    play = Play(flow(call("a"))).begin()
    play.launch("a")
    play.cancel()
    play.end("a")
    assert (play.states(), play.run.state) == ({"a": "succeeded"}, "cancelled")


def test_what_fails_while_it_is_stopped_is_not_tried_again() -> None:
    play = Play(flow(call("a", policy=Policy(retries=3)))).begin()
    play.launch("a")
    play.cancel()
    play.end("a", result=Failure("error"))
    assert play.states() == {"a": "failed"}


def test_a_task_that_waits_for_its_next_attempt_can_be_cancelled() -> None:
    play = Play(flow(call("a", policy=Policy(retries=1, backoff=Backoff("list", waits=(60.0,)))))).begin()
    play.fail("a")
    play.cancel()
    play.wait(100)
    assert (play.states(), play.ready, play.run.state) == ({"a": "cancelled"}, [], "cancelled")


def test_a_question_that_is_open_does_not_keep_a_run_from_being_cancelled() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")))).begin()
    play.succeed("list", [1], shaped=False)
    play.cancel()
    play.answer("m", lengths=(1,), keys=(None,))
    assert (play.states(), play.run.state) == ({"list": "succeeded", "m": "cancelled"}, "cancelled")


def test_cancelling_twice_is_cancelling_once() -> None:
    play = Play(flow(call("a"))).begin()
    play.launch("a")
    play.cancel()
    before = len(play.log)
    play.cancel()
    assert len(play.log) == before
    play.stopped()
    play.cancel()
    assert play.run.state == "cancelled"


def test_a_lost_worker_of_a_cancelled_run_is_not_replaced() -> None:
    play = Play(flow(call("a"))).begin()
    play.launch("a")
    play.cancel()
    play.end("a", result=Failure("lost"))
    assert (play.states(), play.run.state) == ({"a": "cancelled"}, "cancelled")


def test_a_flow_that_fails_fast_is_stopped_by_its_first_failure() -> None:
    play = Play(flow(call("a"), call("b"), call("c", Ref("b")), fail_fast=True)).begin()
    play.launch("b")
    play.fail("a", message="no")
    play.stopped()
    assert play.states() == {"a": "failed", "b": "cancelled", "c": "cancelled"}
    assert (play.run.state, play.run.because) == ("failed", "a: no")


def test_a_failure_that_is_tried_again_does_not_stop_a_flow_that_fails_fast() -> None:
    play = Play(flow(call("a", policy=Policy(retries=1)), call("b"), fail_fast=True)).begin()
    play.fail("a")
    assert play.run.stopping is None


def test_who_cancels_a_run_that_fails_fast_sees_it_cancelled() -> None:
    play = Play(flow(call("a"), call("b"), fail_fast=True)).begin()
    play.launch("b")
    play.fail("a")
    play.cancel()
    play.stopped()
    assert play.run.state == "cancelled"


# ---------------------------------------------------------------- setups and teardowns


def with_cluster(**policy: object) -> Play:
    up = call("up", role="setup")
    down = call("down", Ref("up"), role="teardown", setup="up", guards=("work",), policy=Policy(**policy))
    return Play(flow(up, call("work", Ref("up")), down, call("after", Ref("work")))).begin()


@pytest.mark.parametrize("ends", ["succeeded", "failed"])
def test_a_teardown_runs_however_the_work_ended(ends: str) -> None:
    play = with_cluster()
    play.succeed("up")
    play.succeed("work") if ends == "succeeded" else play.fail("work")
    play.succeed("down")
    play.finish()
    assert play.states()["down"] == "succeeded"
    assert play.run.state == ends


@pytest.mark.parametrize("when", ["ready", "running"])
def test_a_teardown_runs_when_the_run_is_cancelled(when: str) -> None:
    play = with_cluster()
    play.succeed("up")
    if when == "running":
        play.launch("work")
    play.cancel()
    play.stopped()
    play.succeed("down")
    assert play.states() == {"up": "succeeded", "work": "cancelled", "down": "succeeded", "after": "cancelled"}
    assert play.run.state == "cancelled"


def test_a_teardown_that_is_ready_when_the_run_is_cancelled_is_made_ready_once() -> None:
    play = with_cluster()
    play.succeed("up")
    play.succeed("work")
    assert ("down", 0) in play.ready
    play.cancel()
    assert play.ready == [("down", 0)]


def test_a_teardown_is_tried_again_and_survives_its_worker_under_cancellation() -> None:
    play = with_cluster(retries=1)
    play.succeed("up")
    play.cancel()
    play.fail("down", cause="lost")
    play.fail("down")
    play.wait(0)
    play.succeed("down")
    assert play.run.state == "cancelled"


def test_without_its_setup_a_teardown_is_skipped() -> None:
    play = with_cluster()
    play.fail("up")
    assert play.states() == {"up": "failed", "work": "blocked", "down": "skipped", "after": "blocked"}
    assert play.run.places["down"].because == "its setup up did not succeed"


def test_a_teardown_in_a_mapped_group_belongs_to_its_item() -> None:
    group = Group(key="g", flow="inner", over={"x": Ref("list")}, output=Ref("g.work"))
    nodes = [
        call("g.up", Item("g", (), "x"), group="g", role="setup"), call("g.work", Ref("g.up"), group="g"),
        call("g.down", Ref("g.up"), group="g", role="teardown", setup="g.up", guards=("g.work",)),
    ]  # fmt: skip
    play = Play(flow(call("list"), group, *nodes)).begin()
    play.succeed("list", [1, 2])
    play.fail("g[0].up")
    play.succeed("g[1].up")
    play.fail("g[1].work")
    assert play.states()["g[0].down"] == "skipped"
    assert play.ready == [("g[1].down", 0)]


# ---------------------------------------------------------------- hooks


def hooked(**flow_policy: object) -> Play:
    hooks = [call("failed", role="on_failure", hook="facts"), call("bye", role="on_exit", hook="facts")]
    return Play(flow(call("a"), *hooks, **flow_policy)).begin()


def facts(play: Play, hook: str) -> dict[str, object]:
    return msgspec.json.decode(job(play.run, play.run.places[hook]).args["facts"].handle.data)


def test_on_exit_runs_after_all_others_and_on_failure_only_after_a_failure() -> None:
    play = hooked()
    assert play.ready == [("a", 0)]
    play.succeed("a")
    assert play.ready == [("bye", 0)]
    assert play.states()["failed"] == "skipped"
    assert facts(play, "bye") == {"run": "r1", "flow": "flow", "state": "succeeded", "failed": []}
    play.succeed("bye")
    assert play.run.state == "succeeded"


def test_both_hooks_hear_what_failed() -> None:
    play = hooked()
    play.fail("a")
    assert play.ready == [("failed", 0), ("bye", 0)]
    assert facts(play, "failed") == {"run": "r1", "flow": "flow", "state": "failed", "failed": ["a"]}
    play.finish()
    assert play.run.state == "failed"


def test_of_a_cancelled_run_only_on_exit_hears() -> None:
    play = hooked()
    play.cancel()
    assert play.ready == [("bye", 0)]
    assert facts(play, "bye")["state"] == "cancelled"
    play.finish()
    assert play.states() == {"a": "cancelled", "failed": "skipped", "bye": "succeeded"}


def test_a_hook_that_fails_makes_the_run_fail() -> None:
    play = hooked()
    play.succeed("a")
    play.fail("bye", message="no mail")
    assert (play.run.state, play.run.because) == ("failed", "bye: no mail")


def test_a_hook_of_an_inner_flow_hears_of_that_flow_only() -> None:
    hook = call("inner.failed", role="on_failure", hook="facts", guards=("inner.a",))
    play = Play(flow(call("x"), call("inner.a"), hook)).begin()
    play.fail("x")
    play.succeed("inner.a")
    assert play.states()["inner.failed"] == "skipped"
    play = Play(flow(call("x"), call("inner.a"), hook)).begin()
    play.fail("inner.a")
    assert ("inner.failed", 0) in play.ready
    assert facts(play, "inner.failed")["failed"] == ["inner.a"]


def test_a_hook_that_runs_when_its_engine_goes_away_is_run_again_though_the_flow_was_stopped() -> None:
    play = hooked(fail_fast=True)
    play.fail("a")
    play.launch("failed")
    other = play.recovered()
    assert ("failed", 0) in other.ready
    other.finish()
    assert other.states() == {"a": "failed", "failed": "succeeded", "bye": "succeeded"}
