"""The log and the state: folding one gives the other; any part of it can be taken up; what does not fit is refused whole."""

import msgspec
import pytest

from tidemill.graph.nodes import When
from tidemill.graph.policy import Policy
from tidemill.graph.values import Ref
from tidemill.graph.work import Failure, Outcome
from tidemill.machine import events as ev
from tidemill.machine.apply import apply, fold
from tidemill.machine.run import IllegalMove, Run
from tidemill.machine.states import TaskState
from tidemill.testing.graphs import call, each, flow, value
from tidemill.testing.play import NOON, Play, dump

GRAPH = flow(
    call("list"), call("yes"), call("up", role="setup"),
    each("m", Ref("list"), policy=Policy(retries=1)),
    call("no", when=(When(Ref("yes"), is_=False),)),
    call("work", Ref("up"), Ref("m"), policy=Policy(run_if="all_done")),
    call("down", Ref("up"), role="teardown", setup="up", guards=("work",)),
    call("bye", role="on_exit", hook="facts"),
)  # fmt: skip


def some_fail(path: str, n: int, attempt: int) -> object:
    if path == "m" and n != 1 and attempt == 1:
        return Failure("error")
    if path == "list":
        return value([1, 2, 3])
    return value(True)


def whole() -> Play:
    return Play(GRAPH).begin().finish(some_fail)


def test_the_log_read_again_gives_the_same_state() -> None:
    play = whole()
    assert play.run.state == "succeeded"
    assert dump(fold(Run("r1", GRAPH), play.log)) == dump(play.run)


def test_the_log_survives_json() -> None:
    play = whole()
    decoder = msgspec.json.Decoder(ev.Event)
    assert [decoder.decode(msgspec.json.encode(event)) for event in play.log] == play.log


def test_every_beginning_of_a_log_can_be_taken_up_and_ends_the_same() -> None:
    play = whole()
    for upto in range(len(play.log) + 1):
        other = play.recovered(upto).finish(some_fail)
        assert other.states() == play.states(), upto
        assert other.run.state == "succeeded", upto


@pytest.mark.parametrize("by", ["ada", "fail_fast"])
def test_every_beginning_of_the_log_of_a_stopped_run_can_be_taken_up_and_ends_the_same(by: str) -> None:
    play = Play(GRAPH).begin()
    play.succeed("list", [1, 2])
    play.succeed("up")
    play.launch("m", 0)
    play.cancel(by)
    play.end("m", 0, Failure("cancelled"))
    play.finish()
    asked = next(at for at, event in enumerate(play.log) if isinstance(event, ev.CancelAsked))
    for upto in range(asked + 1, len(play.log) + 1):
        other = play.recovered(upto).finish()
        assert other.states() == play.states(), upto
        assert other.run.state == play.run.state, upto


def test_a_run_that_ends_with_its_recovery_is_concluded() -> None:
    play = Play(flow(call("once", policy=Policy(at_most_once=True)))).begin()
    play.launch("once")
    other = play.recovered()
    assert other.states() == {"once": "lost"}
    assert other.run.state == "failed"
    assert other.concluded is not None


def test_a_second_recovery_of_an_ended_run_does_nothing() -> None:
    play = whole()
    assert play.recovered().log == play.log


ILLEGAL = [
    ev.Begun(NOON),
    ev.Opened(NOON, "m", 3),
    ev.Closed(NOON, "m", TaskState.SKIPPED, ""),
    ev.Launched(NOON, "m", [(1, 1), (0, 3)]),
    ev.Launched(NOON, "m", [(2, 1), (2, 2)]),
    ev.Settled(NOON, "m", [Outcome(0, 1, NOON, NOON, value(1)), Outcome(1, 1, NOON, NOON, value(1))]),
    ev.Settled(NOON, "m", [Outcome(0, 1, NOON, NOON, value(1)), Outcome(0, 1, NOON, NOON, value(1))]),
    ev.Handed(NOON, "m", [(0, "gone"), (1, "gone")]),
    ev.Reused(NOON, "m", [(1, value(1)), (0, value(1))]),
    ev.Ended(NOON, "m", [(1, TaskState.CANCELLED), (0, TaskState.LOST), (2, TaskState.LOST)], "no"),
    ev.Woken(NOON, "m", [0]),
    ev.Finished(NOON, "cancelled"),
]


@pytest.mark.parametrize("event", ILLEGAL, ids=lambda event: type(event).__name__)
def test_an_event_that_does_not_fit_is_refused_and_changes_nothing(event: ev.Event) -> None:
    play = Play(GRAPH).begin()
    play.succeed("list", [1, 2, 3])
    play.launch("m", 0)  # m[0] runs, m[1] and m[2] are ready
    before = dump(play.run)
    with pytest.raises(IllegalMove):
        apply(play.run, event)
    assert dump(play.run) == before


def test_an_illegal_move_tells_what_was_to_be_moved_and_from_where() -> None:
    play = Play(flow(call("a"))).begin()
    with pytest.raises(IllegalMove) as caught:
        apply(play.run, ev.Woken(NOON, "a", [0]))
    assert caught.value.what == "Task a is ready and cannot wake."
    assert "tidemill doctor" in caught.value.mend
