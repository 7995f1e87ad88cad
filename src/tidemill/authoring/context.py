"""`run`: what a task knows of the attempt it is running in, and what it may tell of itself.

Knows a `TaskContext` that the worker sets; outside a task it is a local stand-in, so that tasks can be tested plainly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from tidemill.errors import BadSetting

__all__ = ["Run", "TaskContext", "enter", "leave", "run"]


class TaskContext:
    """One attempt, as its code may know it. `emit(kind, body)` takes what the code tells: kinds are metric, progress, report, link."""

    __slots__ = ("attempt", "emit", "idempotency_key", "run_id", "task")

    def __init__(self, run_id: str, task: str, attempt: int, idempotency_key: str, emit: Callable[[str, Any], None]) -> None:
        self.run_id = run_id
        self.task = task
        self.attempt = attempt
        self.idempotency_key = idempotency_key
        self.emit = emit


_current: ContextVar[TaskContext | None] = ContextVar("tidemill_task", default=None)


def _nothing(_kind: str, _body: Any) -> None:
    return None


_LOCAL = TaskContext("local", "local", 1, "local", _nothing)


def enter(context: TaskContext) -> Token[TaskContext | None]:
    """For workers: from now on, in this context, `run` is about this attempt."""
    return _current.set(context)


def leave(token: Token[TaskContext | None]) -> None:
    """For workers: undo `enter`."""
    _current.reset(token)


class Run:
    """The running attempt. Outside a task its ids are "local", and what is told goes nowhere, so that plain tests work."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The id of the run."""
        return self._context.run_id

    @property
    def task(self) -> str:
        """The place of the task in its run: "clean", "load[3]"."""
        return self._context.task

    @property
    def attempt(self) -> int:
        """Which attempt this is: 1, 2, …"""
        return self._context.attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this task of this run: hand it to services that drop repeated requests."""
        return self._context.idempotency_key

    def metric(self, name: str, value: float) -> None:
        """Record a number, to be plotted over runs. Raises `BadSetting` for what is no number."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise BadSetting(f"run.metric({name!r}, {value!r:.60}) is not given a number.", mend="Metrics are numbers.") from None
        self._context.emit("metric", (str(name), number))

    def progress(self, fraction: float) -> None:
        """Say how much is done, from 0 to 1; beyond them the nearest of the two is taken. Raises `BadSetting`."""
        if not _is_number(fraction):
            raise BadSetting(f"run.progress({fraction!r:.60}) is not given a number from 0 to 1.")
        self._context.emit("progress", min(1.0, max(0.0, float(fraction))))

    def report(self, content: object, *, title: str = "") -> None:
        """Keep a figure, a table or Markdown text beside the task, for people."""
        self._context.emit("report", (title, content))

    def link(self, url: str, *, title: str = "") -> None:
        """Keep a link beside the task. Only http and https. Raises `BadSetting`."""
        if not str(url).lower().startswith(("http://", "https://")):
            raise BadSetting(f"run.link({url!r:.60}) is not given a web address.", mend="It begins with http:// or https://.")
        self._context.emit("link", (title or url, url))

    @property
    def _context(self) -> TaskContext:
        return _current.get() or _LOCAL

    def __repr__(self) -> str:
        return f"<run {self.id}, task {self.task}, attempt {self.attempt}>"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not math.isnan(value)


run = Run()
