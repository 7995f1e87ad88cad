"""What can go wrong with stored values, in words for people. Knows no codec and no place."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.errors import Problem

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Arrow and Polars write from C++ and Rust and tell the errno in their text only.
_FULL_TEXT = re.compile(r"(?:os error|errno) (?:{})\b".format("|".join(str(code) for code in sorted(_FULL))), re.IGNORECASE)


class Missing(Problem):
    """A value whose bytes are not where they were put."""

    code = "artifact-missing"

    def __init__(self, digest: str, where: str) -> None:
        super().__init__(
            f"The stored value {digest[:12]}… is not there any more.",
            why=f"There is no {digest} in {where}: the file was deleted, or another artifact folder is set than when it was written.",
            mend="Run the task that made it again, or point TIDEMILL_ARTIFACTS at the folder that has it.",
        )


class NoSpace(Problem):
    """The place for values is full. Nothing half-written stays."""

    code = "no-space"

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"There is no room left for a value in {where}.",
            why=f"The system said: {cause}. Nothing of the value was kept.",
            mend="Make room (`tidemill gc` deletes values that nothing names), or move the artifacts with TIDEMILL_ARTIFACTS; then retry.",
        )


class CannotStore(Problem):
    """A value that no codec can write."""

    code = "cannot-store"


class CannotRead(Problem):
    """Stored bytes that are whole, but that this process cannot turn into a value."""

    code = "cannot-read"


class LibraryMissing(Problem):
    """A value needs a library that is not installed here."""

    code = "library-missing"

    def __init__(self, library: str, extra: str, kind: str) -> None:
        super().__init__(
            f"Reading this value needs {library}, which is not installed here.",
            why=f"It was stored as {kind} by a process that had {library}.",
            mend=f"Install it: pip install {extra}",
        )


class BadPath(Problem):
    """A part that the value does not have."""

    code = "bad-path"


class BadDigest(Problem):
    """Text that is not a BLAKE3 digest, where one was asked for. It never becomes a path."""

    code = "bad-digest"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:80]!r} is not the digest of a stored value.",
            why="A digest is 64 characters of 0-9 and a-f.",
            mend="Take the digest from `tidemill show`, without changing it.",
        )


def is_full(error: BaseException) -> bool:
    """Whether `error`, from whatever library, tells of a full disk, quota or file-size limit."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return _FULL_TEXT.search(str(error)) is not None


@contextmanager
def room_in(where: str) -> Iterator[None]:
    """Turn the many ways in which libraries say "disk full" into `NoSpace`."""
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        if is_full(error):
            raise NoSpace(where, str(error)) from error
        raise
