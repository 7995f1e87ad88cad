"""The calls of dynamic flows: made once, found again, made anew after a failed try."""

from tidemill.graph.nodes import Group
from tidemill.graph.policy import Policy
from tidemill.graph.values import At, Item, Ref
from tidemill.graph.work import Failure
from tidemill.testing.graphs import call, flow, value
from tidemill.testing.play import Play


def driving(retries: int = 0) -> Play:
    play = Play(flow(call("d", role="driver", policy=Policy(retries=retries)), call("after", Ref("d")))).begin()
    play.launch("d")
    return play


def answers(play: Play) -> list[object]:
    """What the driver was told: the value, or the cause of the failure."""
    told = [(reply.result.handle.data if isinstance(reply.result, At) else reply.failure.cause) for reply in play.replies]
    play.replies.clear()
    return told


def test_a_call_is_run_and_answered() -> None:
    play = driving()
    play.call("d", call("d/x"))
    play.succeed("d/x", 5)
    assert answers(play) == [b"5"]


def test_the_same_call_again_is_answered_and_not_run_again() -> None:
    play = driving()
    play.call("d", call("d/x"))
    play.call("d", call("d/x"))
    assert play.ready == [("d/x", 0)]
    play.succeed("d/x", 5)
    assert answers(play) == [b"5"]
    play.call("d", call("d/x"))
    assert answers(play) == [b"5"]
    assert play.ready == []


def test_a_failed_call_is_the_drivers_business() -> None:
    play = driving()
    play.call("d", call("d/x"))
    play.fail("d/x")
    assert answers(play) == ["error"]
    play.end("d")
    play.succeed("after")
    assert play.run.state == "succeeded"


def test_after_a_crash_finished_calls_are_found_again() -> None:
    play = driving()
    play.call("d", call("d/x"))
    play.succeed("d/x", 5)
    play.call("d", call("d/y"))
    play.launch("d/y")
    other = play.recovered()
    assert sorted(other.ready) == [("d", 0), ("d/y", 0)]
    other.launch("d")
    other.call("d", call("d/x"))
    assert answers(other) == [b"5"]
    other.call("d", call("d/y"))
    other.succeed("d/y", 6)
    assert answers(other) == [b"6"]


def test_a_crash_does_not_make_a_failed_call_be_run_again() -> None:
    play = driving()
    play.call("d", call("d/x"))
    play.fail("d/x")
    other = play.recovered()
    other.launch("d")
    other.call("d", call("d/x"))
    assert answers(other) == ["error"]


def test_a_driver_that_is_tried_again_makes_its_failed_calls_anew_and_keeps_the_others() -> None:
    play = driving(retries=2)
    play.call("d", call("d/good"))
    play.succeed("d/good", 1)
    for attempt in (1, 2):
        play.call("d", call("d/bad"))
        play.fail("d/bad" if attempt == 1 else "d/bad~2")
        play.end("d", result=Failure("error"))
        play.wait(0)
        play.launch("d")
    play.replies.clear()
    play.call("d", call("d/good"))
    assert answers(play) == [b"1"]
    play.call("d", call("d/bad"))
    assert play.ready == [("d/bad~3", 0)]


def test_a_call_that_succeeded_on_a_later_try_is_kept_on_the_try_after() -> None:
    play = driving(retries=2)
    play.call("d", call("d/x"))
    play.fail("d/x")
    play.end("d", result=Failure("error"))
    play.wait(0)
    play.launch("d")
    play.call("d", call("d/x"))
    play.succeed("d/x~2", 7)
    play.end("d", result=Failure("error"))
    play.wait(0)
    play.launch("d")
    play.replies.clear()
    play.call("d", call("d/x"))
    assert answers(play) == [b"7"]
    assert play.ready == []


def test_a_driver_that_has_ended_cannot_call() -> None:
    play = driving()
    play.end("d")
    before = len(play.log)
    play.call("d", call("d/x"))
    assert len(play.log) == before
    assert "d/x" not in play.run.places


def test_a_call_that_is_still_running_keeps_the_run_open_after_its_driver_ended() -> None:
    play = driving()
    play.call("d", call("d/x"))
    play.launch("d/x")
    play.end("d")
    play.succeed("after")
    assert play.run.state == "running"
    play.end("d/x")
    assert play.run.state == "succeeded"


def test_calls_of_a_cancelled_run_are_answered_with_the_cancellation() -> None:
    play = driving()
    play.call("d", call("d/x"))
    play.cancel()
    play.call("d", call("d/y"))
    assert answers(play) == ["error", "error"]
    assert play.states()["d/x"] == play.states()["d/y"] == "cancelled"


def test_a_driver_inside_a_mapped_group_finds_its_calls_again() -> None:
    group = Group(key="g", flow="inner", over={"x": Ref("list")}, output=Ref("g.d"))
    play = Play(flow(call("list"), group, call("g.d", Item("g", (), "x"), group="g", role="driver"))).begin()
    play.succeed("list", [1, 2])
    play.launch("g[1].d")
    node = call("g[1].d/x")
    play.call("g[1].d", node)
    play.succeed("g[1].d/x", 8)
    assert answers(play) == [b"8"]
    play.call("g[1].d", node)
    assert answers(play) == [b"8"]
    assert play.ready == [("g[0].d", 0)]


def test_what_a_retry_of_the_run_inherits_is_answered_once() -> None:
    play = Play(flow(call("d", role="driver")))
    play.run.inherited = {"d/x": {0: value(3)}}
    play.begin()
    play.launch("d")
    play.call("d", call("d/x"))
    assert answers(play) == [b"3"]
    assert play.states()["d/x"] == "reused"
