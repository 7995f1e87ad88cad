"""`@task`: a plain call is a call; every word of the policy; every mistake has its text."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tidemill import Backoff, Problem, Timeout, task
from tidemill.graph.policy import Policy


@task
def total(xs: list[int]) -> int:
    """Add them up."""
    return sum(xs)


@task
async def later(x: int) -> int:
    return x + 1


def test_outside_a_flow_a_task_is_its_function() -> None:
    assert total([1, 2]) == 3
    assert total(xs=[4]) == 4


def test_outside_a_flow_an_async_task_is_its_coroutine() -> None:
    assert asyncio.run(later(1)) == 2


def test_a_task_keeps_the_name_and_docstring_of_its_function() -> None:
    assert (total.__name__, total.__doc__, total.name) == ("total", "Add them up.", "total")


def test_async_functions_run_on_the_event_loop_unless_told_otherwise() -> None:
    assert later.policy.executor == "async"
    assert total.policy.executor == "process"

    @task(executor="thread")
    async def elsewhere() -> None: ...

    assert elsewhere.policy.executor == "thread"


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"retries": 3}, "retries", 3),
        ({"backoff": "exponential"}, "backoff", Backoff(kind="exponential")),
        ({"backoff": Backoff(kind="exponential", first=2, jitter=1)}, "backoff", Backoff(kind="exponential", first=2, jitter=1)),
        ({"backoff": [1, "10s", timedelta(minutes=1)]}, "backoff", Backoff(kind="list", waits=(1, 10, 60))),
        ({"backoff": 5}, "backoff", Backoff(kind="list", waits=(5,))),
        ({"backoff": lambda attempt, error: attempt}, "backoff", Backoff(kind="callable")),
        ({"retry_on": TimeoutError}, "retry_on", ("builtins.TimeoutError",)),
        ({"retry_on": [OSError, "memory"]}, "retry_on", ("builtins.OSError", "memory")),
        ({"retry_on": "requests.exceptions.Timeout"}, "retry_on", ("requests.exceptions.Timeout",)),
        ({"timeout": "2m"}, "timeout", Timeout(run=120)),
        ({"timeout": {"queue": "1h", "run": 5, "total": timedelta(days=1)}}, "timeout", Timeout(queue=3600, run=5, total=86400)),
        ({"timeout": Timeout(total=9)}, "timeout", Timeout(total=9)),
        ({"cache": True}, "cache", -1.0),
        ({"cache": "2d"}, "cache", 172800.0),
        ({"cache": False}, "cache", None),
        ({"pool": "api"}, "pool", "api"),
        ({"priority": -2}, "priority", -2),
        ({"executor": "inline"}, "executor", "inline"),
        ({"isolation": "fresh"}, "isolation", "fresh"),
        ({"cpus": 0.5}, "cpus", 0.5),
        ({"memory": "300MB"}, "memory", 300_000_000),
        ({"gpus": 1}, "gpus", 1.0),
        ({"tags": "finance"}, "tags", ("finance",)),
        ({"tags": ["a", "b"]}, "tags", ("a", "b")),
        ({"run_if": "all_done"}, "run_if", "all_done"),
        ({"at_most_once": True}, "at_most_once", True),
    ],
)
def test_each_word_becomes_policy(options: dict[str, object], field: str, value: object) -> None:
    @task(**options)  # type: ignore[arg-type]
    def work() -> None: ...

    assert getattr(work.policy, field) == value


def test_memory_can_grow_when_it_has_a_limit() -> None:
    @task(retry_on="memory", memory="1GiB", memory_growth=2, retries=1)
    def work() -> None: ...

    assert (work.policy.memory, work.policy.memory_growth) == (2**30, 2.0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"retrys": 3}, "There is no task option named 'retrys'.*Did you mean 'retries'?"),
        ({"retries": -1}, "retries=-1 is not a whole number of at least 0"),
        ({"retries": True}, "retries=True is not a whole number"),
        ({"backoff": "slowly"}, "backoff='slowly' is not a way to wait.*backoff='exponential'"),
        ({"backoff": ["soon"]}, "backoff='soon' is not a duration"),
        ({"retry_on": "memry"}, "retry_on='memry' is neither an exception class nor a cause.*Did you mean 'memory'"),
        ({"retry_on": 3}, "retry_on=3 is neither an exception class nor a cause"),
        ({"memory_growth": 2}, "says memory_growth=2.0 and no memory=.*memory='300MB'"),
        ({"timeout": "2 fortnights"}, "timeout='2 fortnights' is not a duration.*timeout='2m'"),
        ({"timeout": {"wait": 3}}, "There is no time limit named 'wait'.*queue, run, total"),
        ({"cache": "ever"}, "cache='ever' is not a duration"),
        ({"pool": ""}, "pool='' is not the name of a pool"),
        ({"executor": "proces"}, "executor='proces' is not known.*Did you mean 'process'"),
        ({"isolation": "cold"}, "isolation='cold' is not known"),
        ({"cpus": "two"}, "cpus='two' is not a number of at least 0"),
        ({"memory": "much"}, "memory='much' is not an amount of bytes"),
        ({"tags": [3]}, "tags=.* are not tags"),
        ({"run_if": "all_succeded"}, "run_if='all_succeded' is not known.*Did you mean 'all_succeeded'"),
        ({"at_most_once": 1}, "at_most_once=1 is neither True nor False"),
        ({"at_most_once": True, "retries": 2}, "at_most_once=True and retries=2.*never started again"),
        ({"name": "a/b"}, "'a/b' cannot be the name of a task"),
        ({"executor": "async"}, "says executor='async' and is a plain `def`.*async def"),
    ],
)
def test_each_mistake_says_what_is_known(options: dict[str, object], text: str) -> None:
    with pytest.raises(Problem, match=f"(?s){text}"):

        @task(**options)  # type: ignore[arg-type]
        def work() -> None: ...


def test_options_change_one_call_and_keep_the_rest() -> None:
    @task(retries=1, pool="api")
    def fetch(page: int) -> int:
        return page

    other = fetch.options(retries=5)
    assert (other.policy.retries, other.policy.pool, fetch.policy.retries) == (5, "api", 1)
    assert other(3) == 3
    with pytest.raises(Problem, match="There is no task option named 'retires'"):
        fetch.options(retires=5)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (3, "@task was given 3, which is not a function"),
        (dict, "@task was given <class 'dict'>, which is not a function"),
    ],
)
def test_only_functions_become_tasks(thing: object, text: str) -> None:
    with pytest.raises(Problem, match=text):
        task(thing)  # type: ignore[call-overload]


def test_a_generator_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(Problem, match=r"(?s)'pages' uses `yield`.*Return a list"):

        @task
        def pages() -> object:
            yield 1


def test_a_method_is_refused_when_it_is_reached_through_an_object() -> None:
    class Reader:
        @task
        def read(self) -> int:
            return 1

    with pytest.raises(Problem, match=r"(?s)The task 'read' is a method.*function of the module"):
        _ = Reader().read


def test_a_task_of_a_task_has_the_options_of_both() -> None:
    assert task(pool="x")(task(retries=2)(lambda: None)).policy == Policy(retries=2, pool="x")


def test_outside_a_flow_map_calls_one_after_the_other() -> None:
    @task
    def scaled(x: int, by: int = 1) -> int:
        return x * by

    assert scaled.map([1, 2]) == [1, 2]
    assert scaled.partial(by=3).map({"a": 1, "b": 2}) == {"a": 3, "b": 6}
    assert scaled.map(range(2), by=[5, 6]) == [0, 6]
    assert scaled.map([]) == []
    assert scaled.partial(by=3)(2) == 6
    assert scaled.partial(2).partial(by=4)() == 8


def test_submit_outside_a_flow_calls_at_once_and_tells_later() -> None:
    @task
    def half(x: int) -> float:
        return 1 / x

    assert half.submit(2).result() == 0.5
    failed = half.submit(0)
    assert failed.done()
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert later.submit(1).result() == 2
