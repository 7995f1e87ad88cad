"""The words of `@task(...)` to a `Policy`. Knows no function but a backoff callable, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypedDict, get_args

import msgspec

from tidemill.errors import BadSetting, Unknown, nearest
from tidemill.graph.durations import seconds
from tidemill.graph.policy import RUN_IF_WORDS, Backoff, ExecutorName, Isolation, Policy, RunIf, Timeout
from tidemill.graph.sizes import byte_count

__all__ = ["BackoffCallable", "Duration", "RetryOn", "TaskOptions", "policy_from"]

Duration: TypeAlias = str | float | timedelta
BackoffCallable: TypeAlias = Callable[[int, BaseException], float]
Causes: TypeAlias = Literal["memory", "timeout", "signal"]
RetryOn: TypeAlias = type[BaseException] | str | Sequence[type[BaseException] | str]

CAUSES: tuple[str, ...] = get_args(Causes)


class TimeoutWords(TypedDict, total=False):
    """`timeout=dict(queue="1h", run="2m", total="3h")`."""

    queue: Duration
    run: Duration
    total: Duration


class TaskOptions(TypedDict, total=False):
    """Every keyword of `@task(...)` and `task.options(...)`."""

    name: str
    version: str
    retries: int
    backoff: Literal["exponential", "none"] | Backoff | Sequence[Duration] | BackoffCallable
    retry_on: RetryOn
    memory_growth: float
    timeout: Duration | Timeout | TimeoutWords
    cache: bool | Duration | None
    pool: str | None
    priority: int
    executor: ExecutorName
    isolation: Isolation
    cpus: float
    memory: int | str | None
    gpus: float
    tags: str | Sequence[str]
    run_if: RunIf
    at_most_once: bool


NOT_POLICY = frozenset({"name", "version"})
OPTION_NAMES = frozenset(TaskOptions.__annotations__)


def policy_from(options: Mapping[str, Any], *, start: Policy, task: str) -> tuple[Policy, BackoffCallable | None]:
    """`start` changed by `options`, and the backoff callable if one was given. Raises `Unknown` or `BadSetting`."""
    for name in options:
        if name not in OPTION_NAMES:
            raise Unknown("task option", name, known=OPTION_NAMES)
    changes: dict[str, Any] = {}
    ask: BackoffCallable | None = None
    for name, value in options.items():
        if name == "backoff":
            changes["backoff"], ask = _backoff(value)
        elif name not in NOT_POLICY:
            changes[name] = _READERS[name](name, value)
    policy = msgspec.structs.replace(start, **changes)
    if policy.at_most_once and policy.retries:
        raise BadSetting(
            f"The task {task!r} says at_most_once=True and retries={policy.retries}.",
            why="A task that may start at most once is never started again after a failure.",
            mend="Take one of the two away.",
        )
    if policy.memory_growth > 1.0 and policy.memory is None:
        raise BadSetting(
            f"The task {task!r} says memory_growth={policy.memory_growth} and no memory=.",
            why="Growth multiplies the memory limit after a kill for memory; without a limit there is nothing to grow.",
            mend="Give a limit as well, for example memory='300MB'.",
        )
    return policy, ask


def _backoff(value: Any) -> tuple[Backoff, BackoffCallable | None]:
    if isinstance(value, Backoff):
        return value, None
    if value in ("exponential", "none", None):
        return Backoff(kind=value or "none"), None
    if isinstance(value, (list, tuple)) and value:
        return Backoff(kind="list", waits=tuple(seconds(wait, name="backoff") for wait in value)), None
    if isinstance(value, (int, float, timedelta)) and not isinstance(value, bool):
        return Backoff(kind="list", waits=(seconds(value, name="backoff"),)), None
    if callable(value):
        return Backoff(kind="callable"), value
    raise BadSetting(
        f"backoff={value!r} is not a way to wait.",
        why="It is 'exponential', a list of waits such as [1, '10s', '1m'], a Backoff, or a function (attempt, error) -> seconds.",
        mend="Write, for example, backoff='exponential'.",
    )


def _whole(name: str, value: Any, *, least: int | None = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        raise BadSetting(f"{name}={value!r} is not a whole number{'' if least is None else f' of at least {least}'}.")
    return value


def _number(name: str, value: Any, *, least: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
        raise BadSetting(f"{name}={value!r} is not a number of at least {least:g}.")
    return float(value)


def _word(name: str, value: Any, known: Sequence[str]) -> str:
    if value not in known:
        guess = nearest(str(value), known)
        raise BadSetting(
            f"{name}={value!r} is not known.",
            why=f"Known: {', '.join(repr(word) for word in known)}.",
            mend=f"Did you mean {guess!r}?" if guess else "",
        )
    return str(value)


def _yes(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadSetting(f"{name}={value!r} is neither True nor False.")
    return value


def _pool(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise BadSetting(f"{name}={value!r} is not the name of a pool.", mend="Write, for example, pool='api'.")


def _retry_on(name: str, value: Any) -> tuple[str, ...]:
    several = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    return tuple(_one_retry_on(name, one) for one in several)


def _one_retry_on(name: str, value: Any) -> str:
    if isinstance(value, type) and issubclass(value, BaseException):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, str) and "." in value:
        return value  # the qualified name of an exception that is not imported here
    if isinstance(value, str) and value in CAUSES:
        return value
    guess = nearest(value, CAUSES) if isinstance(value, str) else None
    raise BadSetting(
        f"{name}={value!r} is neither an exception class nor a cause.",
        why=f"The causes are {', '.join(repr(cause) for cause in CAUSES)}.",
        mend=f"Did you mean {guess!r}?" if guess else f"Write, for example, {name}=TimeoutError or {name}='memory'.",
    )


def _timeout(name: str, value: Any) -> Timeout:
    if value is None or isinstance(value, Timeout):
        return value or Timeout()
    if isinstance(value, Mapping):
        for word in value:
            if word not in Timeout.__struct_fields__:
                raise Unknown("time limit", str(word), known=Timeout.__struct_fields__)
        return Timeout(**{word: seconds(limit, name=f"timeout {word}") for word, limit in value.items()})
    return Timeout(run=seconds(value, name=name))


def _cache(name: str, value: Any) -> float | None:
    if value is None or value is False:
        return None
    return -1.0 if value is True else seconds(value, name=name)


def _tags(name: str, value: Any) -> tuple[str, ...]:
    several = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(tag, str) and tag for tag in several):
        raise BadSetting(f"{name}={value!r} are not tags.", mend="Tags are words: tags=['finance', 'daily'].")
    return several


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "retries": _whole,
    "retry_on": _retry_on,
    "memory_growth": lambda name, value: _number(name, value, least=1.0),
    "timeout": _timeout,
    "cache": _cache,
    "pool": _pool,
    "priority": lambda name, value: _whole(name, value, least=None),
    "executor": lambda name, value: _word(name, value, get_args(ExecutorName)),
    "isolation": lambda name, value: _word(name, value, get_args(Isolation)),
    "cpus": _number,
    "memory": lambda name, value: None if value is None else byte_count(value, name=name),
    "gpus": _number,
    "tags": _tags,
    "run_if": lambda name, value: _word(name, value, RUN_IF_WORDS),
    "at_most_once": _yes,
}
