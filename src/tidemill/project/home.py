"""The folder where a project's state lives: private, and ignored by git. Knows paths and nothing of what is in them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tidemill.errors import Problem

__all__ = ["NoHome", "make_home"]


class NoHome(Problem):
    """The state folder cannot be made or written."""

    code = "no-home"


def make_home(home: Path) -> None:
    """Make `home` (0700, with a `.gitignore` of its own) unless it is there. Raises `NoHome`."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(home))
    except OSError as error:
        raise NoHome(
            f"The state folder {home} cannot be used.",
            why=f"The system said: {error.strerror or error}.",
            mend="Make the folder writable, or name another: export TIDEMILL_HOME=/some/folder",
        ) from error
    with contextlib.suppress(OSError):  # somebody else's folder that we may write: theirs to protect
        home.chmod(0o700)
