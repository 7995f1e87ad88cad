"""One task in a process of the user's terminal: `python -m tidemill.project.replay.foreground FOLDER`. What a worker does, in the open.

Reads the task from FOLDER and writes the answer there. Values are read from the project's store and written to a place
that is thrown away, so nothing that is stored changes. Limits of time and memory are not enforced here.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from tidemill.artifacts.local import LocalFolder
from tidemill.artifacts.location import open_location
from tidemill.artifacts.store import Artifacts
from tidemill.authoring import context
from tidemill.authoring.masking import Masker
from tidemill.authoring.resources.secret import Secrets, use_secrets
from tidemill.authoring.types.signatures import call_with
from tidemill.clock import SystemClock
from tidemill.errors import Problem, ProblemReport
from tidemill.executors.far.attempts import Failed, Toolbox, Work
from tidemill.executors.far.importing import import_project
from tidemill.executors.far.problems import is_users
from tidemill.executors.far.project import Project
from tidemill.executors.protocol import Spec
from tidemill.graph.values import Handle
from tidemill.graph.work import Job, Start

__all__ = ["Replayed", "Task"]


class Task(msgspec.Struct, frozen=True):
    """What is to be run: a project, a job, and one start of it."""

    spec: Spec
    job: Job
    start: Start


class Replayed(msgspec.Struct, frozen=True):
    """How it ended: with a result, or with an error whose traceback was shown."""

    result: Handle | None = None
    error: str = ""  # "ValueError: no such row"
    problem: ProblemReport | None = None  # what kept it from being run


class _Prepared(NamedTuple):
    work: Work
    project: Project
    results: Artifacts


def main(words: list[str]) -> None:
    """Run the task in the folder `words[0]`; `--debug` opens the debugger where it fails."""
    folder = Path(words[0])
    task = msgspec.msgpack.decode((folder / "task").read_bytes(), type=Task)
    try:
        answer = _run(task, folder, debug="--debug" in words)
    except Problem as problem:
        answer = Replayed(problem=problem.report())
    sys.stdout.flush()
    (folder / "answer").write_bytes(msgspec.msgpack.encode(answer))


def _run(task: Task, folder: Path, *, debug: bool) -> Replayed:
    ready = _prepared(task, folder)
    token = None
    try:
        try:
            values = ready.work.arguments(task.start)
        except Failed as failed:
            raise failed.error from None
        token = context.enter(ready.work.context(task.start))
        result = _called(ready.work, values)
        return Replayed(result=ready.results.keep(result, declared=task.job.returns))
    except Problem:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is what the person wants to see
        _show(error)
        if debug:
            _debug(error)
        return Replayed(error=f"{type(error).__name__}: {error}".rstrip(": "))
    finally:
        if token is not None:
            context.leave(token)
        ready.project.close()


def _prepared(task: Task, folder: Path) -> _Prepared:
    spec, masker = task.spec, Masker()
    use_secrets(Secrets(os.environ, _folder(spec.project), told=masker.add))
    modules = import_project(spec.project, spec.modules)
    stored = Artifacts(open_location(spec.artifacts, cache=Path(spec.home) / "cache", clock=_now), mask=masker.text)
    project = Project(modules, spec.settings)
    tools = Toolbox(stored, masker, resource=project.resource, tell=lambda _note: None)
    return _Prepared(Work(0, task.job, tools), project, Artifacts(LocalFolder(folder / "results"), mask=masker.text))


def _folder(project: str) -> Path:
    """Where a project's `.env` is, as in a worker."""
    path = Path(project)
    return path if path.is_dir() else path.parent if path.is_file() else Path.cwd()


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now(), UTC)


def _called(work: Work, values: dict[str, Any]) -> Any:
    function = work.function
    result = function(**values) if work.job.calls_with == "keywords" else call_with(function, values, "bind")
    if inspect.iscoroutine(result):
        import asyncio  # lazily: only for `async def` tasks

        return asyncio.run(result)
    return result


def _show(error: BaseException) -> None:
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if is_users(frame.filename)])
    sys.stderr.write("".join(told.format()))


def _debug(error: BaseException) -> None:
    import pdb  # noqa: T100 - it was asked for

    pdb.post_mortem(_users(error.__traceback__))


def _users(trace: TracebackType | None) -> TracebackType | None:
    """From the first frame of the user's on."""
    first = trace
    while first is not None and not is_users(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    return first or trace


if __name__ == "__main__":
    main(sys.argv[1:])
