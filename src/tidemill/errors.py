"""Every error a user can meet: a code, what happened, why, and the mend.

A `Problem` is for people: it is printed without a traceback, and it travels between processes as a
`Report` (plain data). Rooms define their own problems beside the code that raises them; only the
base and those that several rooms share live here. This room knows nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

__all__ = ["BadSetting", "Corrupt", "Problem", "ProblemReport", "Unknown", "nearest"]


class ProblemReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `Problem` as data: what crosses a process or the API."""

    code: str
    what: str
    why: str = ""
    mend: str = ""
    where: str = ""  # "file.py:12", when a place in the user's code is known


class Problem(Exception):
    """Something the user can mend. `what` happened, `why`, and the `mend`.

    Subclasses set `code`, a stable kebab-case word that the documentation and the API share.
    """

    code: ClassVar[str] = "problem"

    def __init__(self, what: str, *, why: str = "", mend: str = "", where: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.mend = mend
        self.where = where
        self._code = type(self).code

    def __str__(self) -> str:
        lines = [self.what, self.why, f"at {self.where}" if self.where else "", self.mend]
        return "\n".join(line for line in lines if line)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_from_report, (self.report(),))

    def report(self) -> ProblemReport:
        """This problem as plain data."""
        return ProblemReport(self._code, self.what, self.why, self.mend, self.where)

    @staticmethod
    def of(report: ProblemReport) -> Problem:
        """The problem that `report` tells of. Its class is `Problem`; its code is kept."""
        return _from_report(report)


def _from_report(report: ProblemReport) -> Problem:
    problem = Problem(report.what, why=report.why, mend=report.mend, where=report.where)
    problem._code = report.code
    return problem


class Unknown(Problem):
    """A name that nothing answers to, with the nearest guess."""

    code = "unknown-name"

    def __init__(self, kind: str, name: str, *, known: Iterable[str], see: str = "") -> None:
        names = sorted(known)
        guess = nearest(name, names)
        known_text = f"Known: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}." if names else f"There is no {kind} yet."
        super().__init__(
            f"There is no {kind} named {name!r}.",
            why=known_text,
            mend=f"Did you mean {guess!r}?" if guess else (f"See them with: {see}" if see else ""),
        )


class BadSetting(Problem):
    """A setting or argument whose value cannot be used."""

    code = "bad-setting"


class Corrupt(Problem):
    """Stored bytes that are not what was written: never served, always named."""

    code = "corrupt"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` most likely meant, or None."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
