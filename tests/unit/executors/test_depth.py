from __future__ import annotations

import pytest

from tidemill.executors.depth import DEEPEST, QUEUED_SECONDS, Durations, alone
from tidemill.graph.policy import Policy, Timeout


def test_what_never_ran_is_not_queued():
    assert Durations().depth("new") == 1


@pytest.mark.parametrize(("seconds", "depth"), [(0.0, DEEPEST), (1e-6, DEEPEST), (0.001, 15), (0.005, 3), (0.02, 1), (60.0, 1)])
def test_a_queue_holds_little_work_whatever_a_task_takes(seconds, depth):
    durations = Durations()
    durations.learn("t", seconds)
    assert durations.depth("t") == depth
    assert durations.depth("t") * seconds <= max(QUEUED_SECONDS, seconds) + 1e-9


def test_one_long_attempt_makes_the_queue_shorter():
    durations = Durations()
    durations.learn("t", 0.0001)
    durations.learn("t", 1.0)
    assert durations.depth("t") == 1


@pytest.mark.parametrize(
    "policy", [Policy(timeout=Timeout(run=1.0)), Policy(timeout=Timeout(total=1.0)), Policy(memory=1), Policy(at_most_once=True)]
)
def test_what_has_a_limit_or_may_start_once_waits_behind_nobody(policy):
    assert alone(policy)
    assert not alone(Policy())
