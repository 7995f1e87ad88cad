"""Which ready units go next: priority, age, pools, limits, big tasks."""

from tidemill.engine.dispatch import Dispatcher
from tidemill.graph.policy import Policy


class Desk:
    """A dispatcher and what it launched, with `room` for so many more."""

    def __init__(self, room: int = 100, **limits: object) -> None:
        self.dispatcher = Dispatcher(**{"pools": {"api": 2}, "cpus": 4.0, "gpus": 1.0, **limits})
        self.room = room
        self.policies: dict[str, Policy] = {}

    def add(self, path: str, units: int = 1, *, run: str = "r", driver: bool = False, **policy: object) -> None:
        given = self.policies[path] = Policy(**policy)
        self.dispatcher.add(run, path, given, "task", range(units), driver=driver)

    def pump(self) -> list[str]:
        launched: list[str] = []

        def launch(ready, units) -> None:
            launched.extend([ready.path] * len(units))
            self.room -= len(units)

        self.dispatcher.pump(lambda _policy, _task: self.room, launch)
        return launched

    def ended(self, path: str, count: int = 1, run: str = "r") -> None:
        self.dispatcher.ended(run, self.policies[path], count)
        self.room += count


def test_the_oldest_goes_first() -> None:
    desk = Desk(room=2)
    desk.add("a")
    desk.add("b")
    desk.add("c")
    assert desk.pump() == ["a", "b"]


def test_the_highest_priority_goes_first() -> None:
    desk = Desk(room=2)
    desk.add("low")
    desk.add("high", priority=5)
    desk.add("higher", priority=9)
    assert desk.pump() == ["higher", "high"]


def test_priority_counts_over_pools_and_executors() -> None:
    desk = Desk(room=1)
    desk.add("many", 1000)
    desk.add("urgent", priority=5, pool="api")
    desk.add("fresh", priority=3, isolation="fresh")
    assert desk.pump() == ["urgent"]
    desk.room = 2
    assert desk.pump() == ["fresh", "many"]


def test_a_pool_is_never_overfull_and_does_not_hold_up_others() -> None:
    desk = Desk()
    desk.add("call", 5, pool="api")
    desk.add("other")
    assert desk.pump() == ["call", "call", "other"]
    assert desk.pump() == []
    assert desk.dispatcher.why_waiting("r", "call") == "pool 'api' is full (2 slots)"
    desk.ended("call")
    assert desk.pump() == ["call"]


def test_a_run_keeps_to_its_own_limit_and_does_not_hold_up_others() -> None:
    desk = Desk()
    desk.dispatcher.limit("r", 1)
    desk.add("a", 2)
    desk.add("b", run="s")
    assert desk.pump() == ["a", "b"]
    assert desk.dispatcher.why_waiting("r", "a") == "the run already has 1 tasks running, its max_active"
    desk.ended("a")
    assert desk.pump() == ["a"]


def test_a_driver_holds_no_slot_that_its_calls_need() -> None:
    desk = Desk()
    desk.dispatcher.limit("r", 1)
    desk.add("driver", driver=True, pool="api", cpus=4.0)
    desk.add("called", pool="api", cpus=4.0)
    assert desk.pump() == ["driver", "called"]


def test_a_task_that_needs_more_processors_waits_until_they_are_free() -> None:
    desk = Desk()
    desk.add("small", 3)
    desk.add("big", cpus=2.0)
    desk.add("behind")
    assert desk.pump() == ["small", "small", "small"]
    assert desk.dispatcher.why_waiting("r", "big") == "it needs 2 cpus and 0 gpus, and they are in use"
    desk.ended("small")
    assert desk.pump() == ["big"]
    desk.ended("small")
    assert desk.pump() == ["behind"]


def test_a_task_that_needs_more_than_there_is_runs_alone() -> None:
    desk = Desk()
    desk.add("small")
    desk.add("huge", cpus=64.0)
    assert desk.pump() == ["small"]
    desk.ended("small")
    assert desk.pump() == ["huge"]


def test_the_one_gpu_is_used_by_one() -> None:
    desk = Desk()
    desk.add("train", 2, gpus=1.0)
    assert desk.pump() == ["train"]
    desk.ended("train")
    assert desk.pump() == ["train"]


def test_what_is_withdrawn_is_not_launched() -> None:
    desk = Desk()
    desk.add("a", 3)
    desk.dispatcher.withdraw("r", "a")
    assert desk.pump() == []
    desk.add("a", 1)
    assert desk.pump() == ["a"]


def test_what_still_runs_of_a_forgotten_run_counts_until_it_has_ended() -> None:
    desk = Desk()
    desk.dispatcher.limit("r", 1)
    desk.add("a", 2, pool="api")
    assert desk.pump() == ["a"]
    desk.dispatcher.forget("r")
    desk.dispatcher.limit("r", 1)
    desk.add("a", 1, pool="api")
    assert desk.pump() == []
    desk.ended("a")
    assert desk.pump() == ["a"]


def test_while_paused_nothing_is_launched_and_the_reason_is_told() -> None:
    desk = Desk()
    desk.add("a")
    desk.dispatcher.paused = "the disk is full"
    assert desk.pump() == []
    assert desk.dispatcher.why_waiting("r", "a") == "the disk is full"
    assert desk.dispatcher.waiting() == {"": 1}


def test_a_task_that_wants_more_gpus_than_there_are_goes_alone_instead_of_waiting_for_ever() -> None:
    dispatcher = Dispatcher(pools={}, cpus=4.0, gpus=1.0)
    launched: list[tuple[str, int]] = []
    policy = Policy(gpus=2.0)
    dispatcher.add("r", "train", policy, "m:train", [0, 1])
    dispatcher.pump(lambda _policy, _task: 10, lambda ready, units: launched.extend((ready.path, n) for n in units))
    assert launched == [("train", 0)]
    dispatcher.ended("r", policy, 1)
    dispatcher.pump(lambda _policy, _task: 10, lambda ready, units: launched.extend((ready.path, n) for n in units))
    assert launched == [("train", 0), ("train", 1)]
