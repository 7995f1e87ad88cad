"""What can be wrong with checks, and with what they looked at."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.errors import Problem
from tidemill.graph.assets import CheckResult

__all__ = ["BadCheck", "ChecksFailed"]


class BadCheck(Problem):
    """A check that cannot be what it says."""

    code = "bad-check"


class ChecksFailed(Problem):
    """A result that did not pass its checks. It was kept, and is not published."""

    code = "checks-failed"

    def __init__(self, asset: str, results: Iterable[CheckResult]) -> None:
        found = tuple(results)
        failed = [one for one in found if not one.passed and one.severity == "error"]
        super().__init__(
            f"{asset!r} did not pass {'its check' if len(found) == 1 else f'{len(failed)} of its {len(found)} checks'}: "
            + "; ".join(f"{one.name}: {one.message}" for one in failed),
            why="A result is published only when every check of severity 'error' has passed. The version before stays in place.",
            mend="Mend the data or the code that made it; a check that asks too much takes mostly=0.99, where='…' or severity='warn'.",
        )
