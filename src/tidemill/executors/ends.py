"""How attempts end when nobody says a word: the end of a worker as the cause of its attempt, in words. Decides no retry."""

from __future__ import annotations

from typing import Literal

from tidemill.errors import Problem
from tidemill.executors.far.kinship import signal_name
from tidemill.executors.links.worker import Given
from tidemill.executors.protocol import Exited
from tidemill.graph.work import Failure


class NoSupervisor(Problem):
    """The process that looks after the workers does not stay alive."""

    code = "no-supervisor"

    def __init__(self, times: int) -> None:
        super().__init__(
            f"The process that runs the project's workers ended {times + 1} times in a row.",
            why="Each time it had imported the project, and then something ended it before any task was done.",
            mend="See logs/project.log in the state folder, and whether the machine runs out of memory.",
        )


class NoWorker(Problem):
    """There is no process for what was asked."""

    code = "no-worker"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The project's workers are not there: {what}.", mend="Start again; logs/project.log in the state folder may say why."
        )


class BuildTimeout(Problem):
    """A flow whose body does not come to an end."""

    code = "build-timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The graph was not built within {seconds:g} s.",
            why="A flow's body is called to build the graph of a run; this one waits, or computes, for too long.",
            mend="Move what takes long into a task.",
        )


class BuilderEnded(Problem):
    """A flow whose body ends its process."""

    code = "build-exit"

    def __init__(self, exited: Exited) -> None:
        super().__init__(
            f"The process that built the graph ended: {how(exited)}.",
            why="The body of a flow is called there to build the graph of a run.",
            mend="Keep os._exit() and native code that may crash inside tasks.",
        )


def how(exited: Exited) -> str:
    """How a process ended: "SIGSEGV (signal 11)", "exit code 3"."""
    if exited.signal is not None:
        core = ", and left a core dump" if exited.core else ""
        return f"{signal_name(exited.signal)} (signal {exited.signal}){core}"
    if exited.code is not None:
        return f"exit code {exited.code}"
    return exited.detail or "it went away"


def of_worker(exited: Exited, given: Given, *, stopping: tuple[int, int, int, str] | None, among: int) -> Failure:
    """Why an attempt that was running in a worker has ended with it."""
    state, start = given
    if stopping is not None and stopping[:3] == (state.index, start.n, start.attempt):
        cause: Literal["timeout", "cancelled"] = "timeout" if stopping[3] == "timeout" else "cancelled"
        what = "its time was up" if cause == "timeout" else "it was cancelled"
        return Failure(cause=cause, message=f"{what}; its process ended with {how(exited)}", signal=exited.signal, exit_code=exited.code)
    if exited.why == "memory":
        return Failure(cause="memory", message=f"it was killed for its memory: {exited.detail}", signal=exited.signal)
    if exited.why in ("lease", "unstarted", "killed"):
        return Failure(cause="lost", message=f"its process was lost: {exited.detail or how(exited)}", signal=exited.signal)
    if among > 1:
        return Failure(cause="lost", message=f"the process that ran it and {among - 1} others ended: {how(exited)}", signal=exited.signal)
    if exited.signal is not None:
        unexplained = " Nobody here sent it: perhaps the kernel's out-of-memory killer, or a person." if exited.signal == 9 else ""
        return Failure(cause="signal", message=f"its process was ended by {how(exited)}.{unexplained}", signal=exited.signal)
    return Failure(
        cause="exit",
        message=f"its process ended before the function returned: {how(exited)}",
        exit_code=exited.code,
    )


def never_began(cause: Literal["cancelled", "timeout"]) -> Failure:
    """An attempt that was stopped while it was waiting for a worker."""
    what = "its time was up" if cause == "timeout" else "it was cancelled"
    return Failure(cause=cause, message=f"{what} before it began")


def not_loaded(problem: Problem) -> Failure:
    """An attempt of a project that cannot be imported."""
    return Failure(cause="error", message=problem.what, type="tidemill.errors.Problem", problem=problem.report())
