"""A past task, run again in a process of this terminal with its exact stored inputs. Changes nothing that is stored.

This side finds the task and its inputs and compares results; the user's code runs in `foreground`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tidemill.errors import Problem
from tidemill.executors.protocol import Spec
from tidemill.graph.values import Handle
from tidemill.graph.work import Start
from tidemill.machine.resolve import job as make_job
from tidemill.machine.resolve import spread
from tidemill.machine.resolve import start as make_start
from tidemill.machine.run import Run
from tidemill.machine.states import TASK_ENDS, TaskState
from tidemill.ports import RunRow, TaskRow
from tidemill.project.project import Project
from tidemill.project.replay.foreground import Replayed, Task

__all__ = ["CannotReplay", "Replayed", "prepare", "replay", "same"]


class CannotReplay(Problem):
    """A task that never had what it needs, or whose inputs are not stored."""

    code = "cannot-replay"


def prepare(project: Project, run: Run, row: RunRow, task: TaskRow) -> Task:
    """Everything a process needs to run that task again. Raises `CannotReplay`."""
    place = run.places[task.place]
    if place.node is None or (place.mapped and task.unit == 0):
        raise CannotReplay(
            f"{task.name or task.place} is many tasks.",
            why=f"It was mapped over {task.size} items." if task.size is not None else "",
            mend=f"Name one of them: tidemill replay {row.id} '{task.place}[0]'",
        )
    if place.role == "driver":
        raise CannotReplay(
            f"{task.name} is the body of a dynamic flow.",
            why="It asks for other tasks while it runs.",
            mend=f"Replay one of these: tidemill show {row.id}",
        )
    n = max(0, task.unit - 1)
    unit = place.units[n] if n < len(place.units) else None
    if unit is None or unit.state in (TaskState.WAITING, TaskState.BLOCKED, TaskState.SKIPPED) or not _complete(run, task):
        raise CannotReplay(
            f"{task.name or task.place} never ran in run {row.id}: it is {task.state}.",
            why=task.because,
            mend=f"See why: tidemill explain {row.id} '{task.name or task.place}'",
        )
    job = make_job(run, place, environment=row.environment)
    start = make_start(place, n, spread(run, place))
    start = Start(start.n, max(1, unit.attempt), start.args, start.memory)
    return Task(_spec(project, row), job, start)


def replay(task: Task, *, debug: bool) -> Replayed:
    """Run it, with this terminal's input and output. Raises `CannotReplay` when its process ended without a word."""
    with tempfile.TemporaryDirectory(prefix="tidemill-replay-") as folder:
        order, answer = Path(folder) / "task", Path(folder) / "answer"
        order.touch(mode=0o600)
        order.write_bytes(msgspec.msgpack.encode(task))
        words = [sys.executable, "-P", "-m", "tidemill.project.replay.foreground", folder, *(["--debug"] if debug else [])]
        process = subprocess.Popen(words)
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                continue  # the terminal told it as well: its word counts
        if not answer.exists():
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise CannotReplay(f"The replay of {task.job.place} ended with {how}.", why="Its process ended before the function returned.")
        return msgspec.msgpack.decode(answer.read_bytes(), type=Replayed)


def same(found: Handle | None, stored: Handle | None) -> bool:
    """Whether two results are the same bytes."""
    return found is not None and stored is not None and (found.codec, found.digest) == (stored.codec, stored.digest)


def _complete(run: Run, task: TaskRow) -> bool:
    return all(one.state in TASK_ENDS for one in run.places[task.place].upstream)


def _spec(project: Project, row: RunRow) -> Spec:
    spec = project.spec()
    target = row.project or spec.project
    if os.sep in target and not Path(target).exists():
        raise CannotReplay(
            f"The definitions of run {row.id} are gone.",
            why=f"There is no {target} any more.",
            mend="Bring it back, or give its new place with --project.",
        )
    return msgspec.structs.replace(spec, project=target, modules=spec.modules if Path(target).is_dir() else ())
