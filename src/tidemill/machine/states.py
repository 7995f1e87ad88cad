"""The states of tasks and runs, and the one table of the moves between them.

The diagram in the documentation is drawn from these tables. A move that is not in them raises `IllegalMove`.
"""

from __future__ import annotations

from enum import StrEnum


class TaskState(StrEnum):
    """Where one unit of work stands. Every state says what was true on entering it."""

    WAITING = "waiting"  # something it reads or follows has not ended
    READY = "ready"  # all it needs is there; it waits for a place to run
    RUNNING = "running"  # an attempt was handed to a worker
    RETRYING = "retrying"  # an attempt failed; the next waits for its time
    SUCCEEDED = "succeeded"  # its result is stored and linked
    REUSED = "reused"  # a result that was there already was taken
    FAILED = "failed"  # its last attempt failed
    SKIPPED = "skipped"  # its condition or its rule said no
    BLOCKED = "blocked"  # something it needs failed
    CANCELLED = "cancelled"  # the run was cancelled before it ended
    LOST = "lost"  # it was started at most once, and nobody knows how it ended


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"  # it is recorded; no engine has begun it
    RUNNING = "running"
    CANCELLING = "cancelling"  # a cancellation is recorded; attempts are being ended
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """What can happen to a task."""

    OPEN = "open"
    LAUNCH = "launch"
    SUCCEED = "succeed"
    REUSE = "reuse"
    FAIL = "fail"
    RETRY = "retry"
    WAKE = "wake"
    RETURN = "return"
    SKIP = "skip"
    BLOCK = "block"
    CANCEL = "cancel"
    LOSE = "lose"


class RunMove(StrEnum):
    """What can happen to a run."""

    BEGIN = "begin"
    CANCEL = "cancel"
    SUCCEED = "succeed"
    FAIL = "fail"
    END_CANCELLED = "end cancelled"


_T, _M = TaskState, Move

TASK_MOVES: dict[TaskState, dict[Move, TaskState]] = {
    _T.WAITING: {_M.OPEN: _T.READY, _M.SKIP: _T.SKIPPED, _M.BLOCK: _T.BLOCKED, _M.CANCEL: _T.CANCELLED, _M.FAIL: _T.FAILED},
    _T.READY: {_M.LAUNCH: _T.RUNNING, _M.REUSE: _T.REUSED, _M.FAIL: _T.FAILED, _M.CANCEL: _T.CANCELLED},
    _T.RUNNING: {
        _M.SUCCEED: _T.SUCCEEDED,
        _M.FAIL: _T.FAILED,
        _M.RETRY: _T.RETRYING,
        _M.RETURN: _T.READY,
        _M.CANCEL: _T.CANCELLED,
        _M.LOSE: _T.LOST,
    },
    _T.RETRYING: {_M.WAKE: _T.READY, _M.FAIL: _T.FAILED, _M.CANCEL: _T.CANCELLED},
    _T.SUCCEEDED: {},
    _T.REUSED: {},
    _T.FAILED: {},
    _T.SKIPPED: {},
    _T.BLOCKED: {},
    _T.CANCELLED: {},
    _T.LOST: {},
}

RUN_MOVES: dict[RunState, dict[RunMove, RunState]] = {
    RunState.QUEUED: {RunMove.BEGIN: RunState.RUNNING, RunMove.CANCEL: RunState.CANCELLING},
    RunState.RUNNING: {RunMove.CANCEL: RunState.CANCELLING, RunMove.SUCCEED: RunState.SUCCEEDED, RunMove.FAIL: RunState.FAILED},
    RunState.CANCELLING: {RunMove.END_CANCELLED: RunState.CANCELLED, RunMove.CANCEL: RunState.CANCELLING},
    RunState.SUCCEEDED: {},
    RunState.FAILED: {},
    RunState.CANCELLED: {},
}

TASK_ENDS = frozenset(state for state, moves in TASK_MOVES.items() if not moves)
RUN_ENDS = frozenset(state for state, moves in RUN_MOVES.items() if not moves)
GOOD_ENDS = frozenset({TaskState.SUCCEEDED, TaskState.REUSED})
BAD_ENDS = frozenset({TaskState.FAILED, TaskState.BLOCKED, TaskState.LOST, TaskState.CANCELLED})
