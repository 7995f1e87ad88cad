"""Exceptions of user code as `Failure`s: named, masked, with the user's frames only. Decides no retry."""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Callable
from typing import Any

from tidemill.errors import Problem
from tidemill.executors.far.problems import is_users
from tidemill.graph.work import Cause, Failure

_EXCEPTION_LIMIT = 16 << 10  # bytes of a pickled exception
_MESSAGE_LIMIT = 10_000  # characters
_TRACEBACK_LIMIT = 50_000

Mask = Callable[[str], str]


def failure_of(error: BaseException, cause: Cause, *, mask: Mask, ship: bool = False, retry_after: float | None = None) -> Failure:
    """What `error` tells. `ship`: with the exception itself, for a driver that may catch it."""
    kind = type(error)
    return Failure(
        cause=cause,
        message=_short(mask(_text(error)), _MESSAGE_LIMIT),
        type=_name(kind),
        mro=tuple(_name(one) for one in kind.__mro__ if one is not object),
        traceback=_short(mask(_traceback(error)), _TRACEBACK_LIMIT),
        exit_code=_exit_code(error),
        retry_after=retry_after,
        problem=_masked(error, mask) if isinstance(error, Problem) else None,
        exception=_pickled(error) if ship else None,
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - an exception whose own __str__ fails
        return f"(its text cannot be made: {type(broken).__name__})"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _exit_code(error: BaseException) -> int | None:
    if not isinstance(error, SystemExit):
        return None
    return error.code if isinstance(error.code, int) else int(error.code is not None)


def _traceback(error: BaseException) -> str:
    try:
        return "".join(_trimmed(traceback.TracebackException.from_exception(error, limit=-200, compact=True)).format())
    except Exception:  # noqa: BLE001 - an exception whose own __str__ fails, or a source that cannot be read
        return ""


def _trimmed(told: traceback.TracebackException) -> traceback.TracebackException:
    """Without our frames, there and in what it was raised from."""
    queue, seen = [told], set()
    while queue:
        one = queue.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([frame for frame in one.stack if is_users(frame.filename)])
        queue += [found for found in (one.__cause__, one.__context__, *(one.exceptions or ())) if found is not None]
    return told


def _masked(problem: Problem, mask: Mask) -> Any:
    report = problem.report()
    return type(report)(report.code, mask(report.what), mask(report.why), mask(report.mend), report.where)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit // 2] + "\n…\n" + text[-limit // 2 :]


def _pickled(error: BaseException) -> bytes | None:
    import cloudpickle  # lazily: only tasks of dynamic flows need it

    try:
        bare = error.with_traceback(None)
        bare.__cause__ = bare.__context__ = None
        sink = io.BytesIO()
        cloudpickle.dump(bare, sink)
        data = sink.getvalue()
        if len(data) > _EXCEPTION_LIMIT:
            return None
        pickle.loads(data)  # some can be written and not read
    except Exception:  # noqa: BLE001 - whatever it holds on to: the text is told anyway
        return None
    return data
