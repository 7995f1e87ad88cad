"""How a task is to be run: retries, limits, places. Plain values with their defaults; nothing is decided here."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

RunIf: TypeAlias = Literal["all_succeeded", "all_done", "any_succeeded", "any_failed", "none_failed", "always"]
ExecutorName: TypeAlias = Literal["process", "thread", "async", "inline"]
Isolation: TypeAlias = Literal["warm", "fresh"]

RUN_IF_WORDS: tuple[RunIf, ...] = ("all_succeeded", "all_done", "any_succeeded", "any_failed", "none_failed", "always")


class Backoff(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long to wait before attempt n + 1. Seconds.

    "exponential": `first` × 2^(n-1), at most `cap`, of which a random share up to `jitter` is taken off
    (full jitter is 1.0; A. Brooker, "Exponential backoff and jitter", 2015). "list": `waits`, the last one repeats.
    "callable": the worker asks the task's own function and reports the answer.
    """

    kind: Literal["none", "exponential", "list", "callable"] = "none"
    first: float = 1.0
    cap: float = 300.0
    jitter: float = 0.5
    waits: tuple[float, ...] = ()


class Timeout(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits in seconds: `queue` from ready to start, `run` of one attempt, `total` from first ready to the end."""

    queue: float | None = None
    run: float | None = None
    total: float | None = None


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything `@task(...)` says about running, as plain data."""

    retries: int = 0
    backoff: Backoff = Backoff()
    retry_on: tuple[str, ...] = ()  # qualified names ("builtins.TimeoutError") or causes ("memory", "timeout", "signal"); empty: any
    memory_growth: float = 1.0  # by which the memory limit is multiplied after a kill for memory
    timeout: Timeout = Timeout()
    cache: float | None = None  # seconds a result may be reused; float("inf") is kept as -1.0: for ever
    pool: str | None = None
    priority: int = 0  # higher first
    executor: ExecutorName = "process"
    isolation: Isolation = "warm"
    cpus: float = 1.0
    memory: int | None = None  # bytes
    gpus: float = 0.0
    tags: tuple[str, ...] = ()
    run_if: RunIf = "all_succeeded"
    at_most_once: bool = False
