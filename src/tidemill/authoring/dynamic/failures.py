"""The error of a task, made again where its caller can catch it. Knows recorded failures, not how they came about."""

from __future__ import annotations

import builtins
import pickle
import sys
from typing import Any

from tidemill.errors import Problem
from tidemill.graph.work import Failure

__all__ = ["TaskFailed", "error_of"]


class TaskFailed(Problem):
    """A task called in a dynamic flow failed, and its own error cannot be made again here."""

    code = "task-failed"

    def __init__(self, task: str, failure: Failure) -> None:
        said = ": ".join(part for part in (failure.type, failure.message) if part)
        super().__init__(
            f"The task {task!r} failed" + (f": {said}" if said else "."),
            why=_CAUSES.get(failure.cause, ""),
            mend="Catch it with `except TaskFailed`; `tidemill logs` shows what the task printed.",
        )
        self.task = task
        self.failure = failure


_CAUSES = {
    "timeout": "Its time was up.",
    "memory": "It was killed for its memory.",
    "signal": "A signal ended its process.",
    "exit": "Its process ended without a result.",
    "lost": "The worker it ran on went away.",
    "result": "What it returned could not be stored.",
    "input": "What it was to be given could not be read.",
    "cancelled": "It was cancelled.",
}


def error_of(failure: Failure, task: str) -> Exception:
    """The exception that `failure` tells of: of its own type where that can be, else `TaskFailed`.

    Unpickles: only for processes that run the user's code anyway.
    """
    made = _unpickled(failure.exception) or _reported(failure) or _constructed(failure)
    if made is None:
        return TaskFailed(task, failure)
    made.add_note(f"In the task {task!r}.")
    return made


def _unpickled(data: bytes | None) -> Exception | None:
    if data is None:
        return None
    try:
        made = pickle.loads(data)
    except Exception:  # noqa: BLE001 - whatever its class does on loading: the text is there as well
        return None
    return made if isinstance(made, Exception) else None


def _reported(failure: Failure) -> Exception | None:
    return Problem.of(failure.problem) if failure.problem is not None else None


def _constructed(failure: Failure) -> Exception | None:
    if failure.cause != "error":
        return TimeoutError(failure.message) if failure.cause == "timeout" else None
    module, _, name = failure.type.rpartition(".")
    kind: Any = getattr(sys.modules.get(module, builtins), name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        made = kind(failure.message)
    except Exception:  # noqa: BLE001 - its constructor wants something else
        return None
    return made if str(made) == failure.message or isinstance(made, KeyError) else None
