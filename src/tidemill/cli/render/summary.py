"""The end of a run in words and in JSON: state, counts, what failed and why, what it returned. Reads rows and a board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tidemill.cli.render.words import Style, clip, counted, duration, instant
from tidemill.graph.work import Failure
from tidemill.machine.states import BAD_ENDS, GOOD_ENDS, RunState, TaskState
from tidemill.ports import RunRow, TaskRow
from tidemill.project.values import UNKNOWN, plain_value, preview

__all__ = ["failure_lines", "run_data", "summary", "task_data"]

_SHOWN = 5


def summary(run: RunRow, failed: Sequence[tuple[str, Failure]], style: Style, *, at: str = "") -> list[str]:
    """The last words on a run. `failed`: labels and failures; `at`: the option by which other commands find the project."""
    took = duration(run.ended_at - run.started_at) if run.ended_at is not None and run.started_at is not None else ""
    lines = []
    for label, failure in failed[:_SHOWN]:
        lines += ["", *failure_lines(label, failure, style), f"  its log: tidemill logs {run.id} '{label}'{at}"]
    if len(failed) > _SHOWN:
        lines += ["", f"… and {len(failed) - _SHOWN:,} more failed: tidemill show {run.id}{at}"]
    state = style.paint(str(run.state), run.state)
    lines += [""] if failed else []
    lines.append(f"Run {run.id} of {run.flow} {state}{f' in {took}' if took else ''}: {counted(run.counts)}.")
    if run.state is RunState.CANCELLED and run.because:
        lines.append(f"  {run.because}")
    if run.state is not RunState.SUCCEEDED:
        lines.append(f"  Run again what did not succeed: tidemill retry {run.id}{at}")
    return lines


def failure_lines(label: str, failure: Failure, style: Style) -> list[str]:
    """What failed, why, and the user's own frames."""
    kind = failure.type.removeprefix("builtins.")
    what = f"{kind}: {failure.message}" if kind and failure.message else kind or failure.message or failure.cause
    lines = [style.paint(f"{label} failed", "failed") + f" ({failure.cause}): {clip(what, 500)}"]
    if failure.problem is not None:
        lines = [style.paint(f"{label} failed", "failed") + f" ({failure.cause}): {failure.problem.what}"]
        lines += [f"  {text}" for text in (failure.problem.why, failure.problem.where, failure.problem.mend) if text]
    frames = [line for line in failure.traceback.splitlines() if line.startswith(" ")]
    lines += frames[-12:]
    if failure.signal is not None:
        lines.append(f"  ended by signal {failure.signal}")
    if failure.exit_code is not None:
        lines.append(f"  exit code {failure.exit_code}")
    return lines


def run_data(run: RunRow, tasks: Iterable[TaskRow], failed: Sequence[tuple[str, Failure]]) -> dict[str, Any]:
    """A run for other programs."""
    found: dict[str, Any] = {
        "id": run.id,
        "flow": run.flow,
        "state": run.state,
        "because": run.because,
        "origin": run.origin,
        "environment": run.environment,
        "params": run.params,
        "retry_of": run.retry_of,
        "created_at": instant(run.created_at),
        "started_at": instant(run.started_at),
        "ended_at": instant(run.ended_at),
        "seconds": _seconds(run.started_at, run.ended_at),
        "counts": run.counts,
        "tasks": [task_data(task) for task in tasks],
        "failures": [{"task": label, **failure_data(failure)} for label, failure in failed],
    }
    if run.state is RunState.SUCCEEDED:
        value = plain_value(run.output)
        if value is not UNKNOWN:
            found["output"] = value
        else:
            found["output_preview"] = preview(run.output)
    return found


def task_data(task: TaskRow) -> dict[str, Any]:
    """A task for other programs."""
    found: dict[str, Any] = {
        "name": task.name or task.place,
        "place": task.place,
        "state": task.state,
        "attempt": task.attempt,
        "because": task.because,
        "started_at": instant(task.started_at),
        "ended_at": instant(task.ended_at),
        "seconds": _seconds(task.started_at, task.ended_at),
    }
    if task.unit:
        found["item"] = task.unit - 1
    if task.size is not None:
        found["size"] = task.size
    if task.memory:
        found["memory"] = task.memory
    if task.cpu:
        found["cpu"] = round(task.cpu, 6)
    if task.output is not None and task.state in GOOD_ENDS:
        output = task.output
        found["output"] = {"type": output.type, "codec": output.codec, "bytes": output.size, "digest": output.digest, "rows": output.rows}
        found["output"]["preview"] = output.preview
    if task.failure is not None and task.state in (*BAD_ENDS, TaskState.RETRYING):
        found["failure"] = failure_data(task.failure)
    return found


def failure_data(failure: Failure) -> dict[str, Any]:
    """A failure for other programs."""
    found: dict[str, Any] = {"cause": failure.cause, "type": failure.type, "message": failure.message, "traceback": failure.traceback}
    if failure.signal is not None:
        found["signal"] = failure.signal
    if failure.exit_code is not None:
        found["exit_code"] = failure.exit_code
    if failure.problem is not None:
        found["problem"] = failure.problem
    return found


def _seconds(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(end - start, 6)
