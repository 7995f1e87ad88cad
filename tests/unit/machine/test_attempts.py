"""Attempts: retries, limits of time, lost workers, reports that come late or twice."""

import pytest

from tidemill.graph.policy import Backoff, Policy, Timeout
from tidemill.graph.values import Ref
from tidemill.graph.work import Failure, Outcome
from tidemill.machine import advance
from tidemill.machine.resolve import start
from tidemill.machine.retry import MAX_LOST, delay
from tidemill.testing.graphs import call, each, flow, value
from tidemill.testing.play import NOON, Play, dump


def one(**policy: object) -> Play:
    return Play(flow(call("a", policy=Policy(**policy)))).begin()


def test_a_task_is_tried_again_as_often_as_it_says() -> None:
    play = one(retries=2)
    for _ in range(3):
        assert play.run.state == "running"
        play.fail("a")
        play.wait(0)
    assert (play.unit("a").attempt, play.run.state) == (3, "failed")


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (Backoff(), [0, 0]),
        (Backoff("list", waits=(5.0, 60.0)), [5, 60]),
        (Backoff("exponential", first=2.0, jitter=0.0), [2, 4]),
        (Backoff("exponential", first=2.0, cap=3.0, jitter=0.0), [2, 3]),
    ],
)
def test_the_wait_before_the_next_attempt_follows_the_backoff(backoff: Backoff, waits: list[int]) -> None:
    play = one(retries=2, backoff=backoff)
    for seconds in waits:
        play.fail("a")
        if seconds:
            play.wait(seconds - 0.5)
            assert play.ready == []
        play.wait(0.5)
        assert play.ready == [("a", 0)]


def test_what_the_tasks_own_backoff_answers_is_waited_for() -> None:
    play = one(retries=1, backoff=Backoff("callable"))
    play.fail("a", retry_after=33.0)
    assert play.unit("a").ready_at == NOON + 33


def test_jitter_takes_a_share_off_and_is_the_same_for_the_same_attempt() -> None:
    backoff = Backoff("exponential", first=8.0, jitter=0.5)
    found = {delay(backoff, 1, f"run/{n}") for n in range(50)}
    assert len(found) > 10
    assert min(found) >= 4
    assert max(found) <= 8
    assert delay(backoff, 1, "run/1") == delay(backoff, 1, "run/1")


@pytest.mark.parametrize(
    ("retry_on", "failure", "again"),
    [
        (("builtins.OSError",), Failure("error", type="builtins.OSError", mro=("builtins.OSError",)), True),
        (("builtins.OSError",), Failure("error", type="builtins.TimeoutError", mro=("builtins.TimeoutError", "builtins.OSError")), True),
        (("builtins.OSError",), Failure("error", type="builtins.ValueError", mro=("builtins.ValueError",)), False),
        (("memory",), Failure("memory"), True),
        (("builtins.MemoryError",), Failure("memory"), True),
        (("memory",), Failure("signal", signal=9), False),
        (("builtins.TimeoutError",), Failure("timeout"), True),
        ((), Failure("exit", exit_code=3), True),
        ((), Failure("input"), False),
    ],
)
def test_only_what_retry_on_names_is_tried_again(retry_on: tuple[str, ...], failure: Failure, again: bool) -> None:
    play = one(retries=1, retry_on=retry_on)
    play.launch("a")
    play.end("a", result=failure)
    assert (play.unit("a").state == "retrying") is again


def test_after_a_kill_for_memory_the_limit_is_raised() -> None:
    play = one(retries=2, retry_on=("memory",), memory=1000, memory_growth=1.5)
    limits = []
    for _ in range(3):
        limits.append(start(play.run.places["a"], 0, {}).memory)
        play.fail("a", cause="memory")
        play.wait(0)
    assert limits == [1000, 1500, 2250]


# ---------------------------------------------------------------- limits of time


def test_who_waits_too_long_to_be_started_fails() -> None:
    play = one(timeout=Timeout(queue=10))
    play.wait(9.9)
    assert play.states() == {"a": "ready"}
    play.wait(0.1)
    assert play.run.because == "a: it waited longer than 10 s to be started"


def test_the_time_to_be_started_begins_anew_with_each_attempt() -> None:
    play = one(retries=1, backoff=Backoff("list", waits=(8.0,)), timeout=Timeout(queue=10))
    play.fail("a")
    play.wait(12)
    assert play.states() == {"a": "ready"}
    play.wait(6)
    assert play.states() == {"a": "failed"}


def test_an_attempt_that_runs_too_long_is_stopped_and_may_be_tried_again() -> None:
    play = one(retries=1, timeout=Timeout(run=10))
    play.launch("a")
    play.wait(10)
    assert [(stop.place, stop.attempt, stop.cause) for stop in play.stops] == [("a", 1, "timeout")]
    play.stopped()
    play.wait(0)
    assert play.ready == [("a", 0)]


def test_the_time_of_an_attempt_that_was_never_started_does_not_count_for_the_next() -> None:
    play = one(timeout=Timeout(run=10))
    play.launch("a")
    play.take(advance.returned(play.run, "a", [(0, 1)], play.now))
    play.wait(8)
    play.launch("a")
    play.wait(5)
    assert play.stops == []


def test_all_attempts_together_have_the_total_time() -> None:
    play = one(retries=9, backoff=Backoff("list", waits=(4.0,)), timeout=Timeout(total=10))
    play.fail("a")
    play.wait(4)
    play.fail("a")
    play.wait(4)
    play.fail("a")  # the next would begin after the end
    assert play.states() == {"a": "failed"}


def test_the_total_time_stops_what_runs_and_fails_what_waits() -> None:
    play = one(timeout=Timeout(total=10))
    play.wait(10)
    assert play.run.because == "a: it was not done within 10 s in all"
    play = one(timeout=Timeout(total=10))
    play.launch("a")
    play.wait(10)
    assert play.stops[0].cause == "timeout"


def test_a_run_that_takes_too_long_fails_and_says_so() -> None:
    play = Play(flow(call("a"), call("b", Ref("a")), call("bye", role="on_exit"), timeout=60.0)).begin()
    play.launch("a")
    play.wait(60)
    play.stopped()
    assert play.states() == {"a": "cancelled", "b": "cancelled", "bye": "ready"}
    play.succeed("bye")
    assert (play.run.state, play.run.because) == ("failed", "flow: the run was not done within 60 s")


# ---------------------------------------------------------------- lost workers


def test_a_lost_attempt_does_not_count_as_a_try() -> None:
    play = one(retries=1)
    play.fail("a", cause="lost")
    play.fail("a")
    play.wait(0)
    play.succeed("a")
    assert (play.unit("a").attempt, play.unit("a").lost, play.run.state) == (3, 1, "succeeded")


def test_a_task_whose_workers_are_lost_again_and_again_is_suspected() -> None:
    play = one()
    for _ in range(MAX_LOST):
        play.fail("a", cause="lost")
        assert play.ready == [("a", 0)]
    play.fail("a", cause="lost", message="its worker died")
    assert play.run.because == "a: its worker died"


def test_an_attempt_that_was_stopped_though_nobody_cancelled_is_made_again() -> None:
    play = one()
    play.fail("a", cause="cancelled")
    assert play.ready == [("a", 0)]


def test_what_may_start_only_once_is_not_started_again() -> None:
    play = one(at_most_once=True, retries=5)
    play.fail("a", cause="lost")
    assert play.states() == {"a": "lost"}
    assert play.run.state == "failed"


def test_what_may_start_only_once_is_lost_even_when_its_run_was_cancelled() -> None:
    play = one(at_most_once=True)
    play.launch("a")
    play.cancel()
    play.end("a", result=Failure("lost"))
    assert play.states() == {"a": "lost"}
    assert play.run.state == "cancelled"


def test_what_was_taken_and_not_started_may_start_even_if_only_once() -> None:
    play = one(at_most_once=True)
    play.launch("a")
    play.take(advance.returned(play.run, "a", [(0, 1)], play.now))
    assert play.ready == [("a", 0)]


# ---------------------------------------------------------------- reports that do not count


def refused(play: Play, path: str, *outcomes: Outcome) -> None:
    before = dump(play.run)
    step = play.take(advance.settle(play.run, path, outcomes, play.now))
    assert step.refused == len(outcomes)
    assert (dump(play.run), step.events, step.effects) == (before, [], [])


def test_a_report_is_accepted_once() -> None:
    play = one()
    play.succeed("a")
    refused(play, "a", Outcome(0, 1, NOON, NOON, value(2)))


def test_one_report_that_tells_the_same_twice_is_accepted_once() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")))).begin()
    play.succeed("list", [1, 2])
    play.launch("m", 0)
    outcome = Outcome(0, 1, NOON, NOON, value(1))
    step = play.take(advance.settle(play.run, "m", [outcome, outcome], NOON))
    assert step.refused == 1
    assert play.run.places["m"].pending == 1


def test_an_older_attempt_is_refused() -> None:
    play = one(retries=1)
    play.fail("a")
    play.wait(0)
    play.launch("a")
    refused(play, "a", Outcome(0, 1, NOON, NOON, value(1)))


def test_reports_about_what_is_not_there_are_refused() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")))).begin()
    refused(play, "m", Outcome(0, 1, NOON, NOON, value(1)))
    refused(play, "list", Outcome(7, 1, NOON, NOON, value(1)), Outcome(-1, 1, NOON, NOON, value(1)))
    refused(play, "nowhere", Outcome(0, 1, NOON, NOON, value(1)))


def test_a_second_return_does_not_take_back_the_attempt_that_runs() -> None:
    play = one()
    play.launch("a")
    play.take(advance.returned(play.run, "a", [(0, 1)], play.now))
    assert play.launch("a") == 2
    step = play.take(advance.returned(play.run, "a", [(0, 1)], play.now))
    assert (step.refused, step.events) == (1, [])
    assert play.unit("a").tries == 1


def test_a_result_after_the_end_of_the_run_changes_nothing() -> None:
    play = one()
    play.launch("a")
    play.cancel()
    play.stopped()
    assert play.run.state == "cancelled"
    refused(play, "a", Outcome(0, 1, NOON, NOON, value(1)))


def test_a_reused_result_takes_the_place_of_an_attempt() -> None:
    play = Play(flow(call("a"), call("b", Ref("a")))).begin()
    play.take(advance.reused(play.run, "a", [(0, value(5))], "computed before", play.now))
    assert play.states() == {"a": "reused", "b": "ready"}
