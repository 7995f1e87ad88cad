"""What can be wrong with a project when it is imported, in words for people. Knows no process."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from tidemill.errors import Problem

_OURS = str(Path(__file__).parents[2]) + "/"


class CannotImport(Problem):
    """A module of the project that raises when it is imported."""

    code = "cannot-import"

    def __init__(self, module: str, error: BaseException) -> None:
        frames = user_frames(error)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        mend = "Mend it and load the project again; `python -c 'import …'` shows the same error."
        if isinstance(error, SyntaxError):
            where = f"{error.filename}:{error.lineno}"
            what = f"{type(error).__name__}: {error.msg}"
        elif isinstance(error, ModuleNotFoundError):
            mend = f"Install {(error.name or '').partition('.')[0]!r} into the environment of {sys.executable}, or correct the import."
        elif isinstance(error, SystemExit):
            what, mend = f"it called exit({error.code!r})", "Put what is to run only as a script under: if __name__ == '__main__':"
        super().__init__(f"The module {module!r} cannot be imported: {what}", why=_chain(frames), mend=mend, where=where)


class EndedWhileLoading(Problem):
    """A project whose import ends the process itself."""

    code = "load-exit"

    def __init__(self, project: str, how: str) -> None:
        super().__init__(
            f"Importing {project} ended the process: {how}.",
            why="A module calls os._exit(), or code that it imports crashes.",
            mend="Import its modules one by one with `python -c 'import …'` to find which, and keep work inside tasks.",
        )


class LoadTimeout(Problem):
    """A project whose import does not come to an end."""

    code = "load-timeout"

    def __init__(self, project: str, seconds: float, *, where: str = "", line: str = "") -> None:
        at = f" It stands at {line}." if line else ""
        super().__init__(
            f"Importing {project} did not end within {seconds:g} s.",
            why=f"Modules are imported to find their tasks; what takes long there is waited for each time.{at}",
            mend="Move connections, downloads and loops into tasks or resources.",
            where=where,
        )


class NoProject(Problem):
    """Nothing to import where the project should be."""

    code = "no-project"


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of a traceback that are not ours nor the import machinery's, outermost first."""
    return [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]


def is_users(filename: str) -> bool:
    """Whether a frame of that file means something to who wrote the project."""
    return not filename.startswith(_OURS) and not filename.startswith("<frozen")


def _chain(frames: list[traceback.FrameSummary]) -> str:
    lines = [f"{frame.filename}:{frame.lineno} {(frame.line or '').strip()}" for frame in frames[-5:]]
    return "Imported by way of: " + " → ".join(lines) if len(lines) > 1 else ""
