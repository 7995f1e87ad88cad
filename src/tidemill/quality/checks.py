"""The checks there are: each a frozen value that looks at a result and says what it found.

Knows tables; neither assets nor clocks: the time is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from tidemill.errors import nearest
from tidemill.graph.assets import CheckResult, Severity
from tidemill.quality.problems import BadCheck
from tidemill.quality.tables import Table, instant_of, table_of

__all__ = ["ColumnCheck", "Finding", "FunctionCheck", "TableCheck", "run_checks"]


class Finding(NamedTuple):
    """What a check found. `wrong` None: it is about the whole, and `ok` says how it went."""

    message: str
    ok: bool = True
    wrong: int | None = None
    of: int | None = None


class TableCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check on a table as a whole."""

    name: str
    ask: Callable[[Any, Table | None, float], Finding]
    severity: Severity = "error"
    where: str = ""

    def run(self, value: Any, *, now: float) -> CheckResult:
        """What it found in `value`, at the time `now` (seconds since 1970). Raises `BadCheck`."""
        table = table_of(value, sql=bool(self.where))
        found = self.ask(value, table.where(self.where) if table is not None and self.where else table, now)
        return CheckResult(name=self.name, passed=found.ok, severity=self.severity, message=found.message)


class ColumnCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check on the rows of a table: at least the share `mostly` of them must be right."""

    name: str
    columns: tuple[str, ...]
    count: Callable[[Table], int]
    fault: str  # "is missing"
    severity: Severity = "error"
    mostly: float = 1.0
    where: str = ""

    def run(self, value: Any, *, now: float) -> CheckResult:  # noqa: ARG002 - as every check
        """What it found in `value`. Raises `BadCheck`, and what comparing its values raises."""
        table = table_of(value, sql=bool(self.where))
        if table is None:
            return self._result(passed=False, message=f"it is a {type(value).__name__}, and not a table")
        known = table.columns()
        for column in self.columns:
            if column not in known and (known or table.count()):
                guess = nearest(column, known)
                hint = f"; did you mean {guess!r}?" if guess else f"; there are {', '.join(known)}"
                return self._result(passed=False, message=f"there is no column {column!r}{hint}")
        if self.where:
            table = table.where(self.where)
        rows = table.count()
        wrong = self.count(table) if rows else 0
        share = wrong / rows if rows else 0.0
        # Shares are compared as people write them: 1 wrong of 100 is not more than mostly=0.99 allows.
        passed = share <= 1.0 - self.mostly + 1e-12
        listed = ", ".join(map(repr, self.columns))
        said = f"{wrong:,} of {rows:,} rows: {listed} {self.fault}" if wrong else f"{rows:,} rows"
        if wrong and self.mostly < 1.0:
            said += f" ({share:.2%}; {1.0 - self.mostly:.2%} may)"
        return self._result(passed=passed, message=said, failed_rows=wrong, of_rows=rows)

    def _result(self, *, passed: bool, message: str, failed_rows: int | None = None, of_rows: int | None = None) -> CheckResult:
        return CheckResult(name=self.name, passed=passed, severity=self.severity, message=message, failed_rows=failed_rows, of_rows=of_rows)


class FunctionCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check that the user wrote. Called, it is the function."""

    name: str
    function: Callable[..., Any]
    read: Callable[[Any], Any]  # the value as the function wants it
    severity: Severity = "error"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def run(self, value: Any, *, now: float) -> CheckResult:  # noqa: ARG002 - as every check
        """What the function says. Raises `BadCheck` when it says nothing that can be understood, and what it raises."""
        said = self.function(self.read(value))
        if isinstance(said, CheckResult):
            return msgspec.structs.replace(said, name=said.name or self.name)
        message = ""
        if isinstance(said, tuple) and len(said) == 2 and isinstance(said[1], str):
            said, message = said
        if isinstance(said, bool) or type(said).__name__ in ("bool_", "bool"):
            message = message or _verdict(self.function, ok=bool(said))
            return CheckResult(name=self.name, passed=bool(said), severity=self.severity, message=message)
        raise BadCheck(
            f"The check {self.name!r} returned {said!r:.60}.",
            why="A check returns True or False, (False, 'what is wrong'), or a CheckResult.",
            mend="Return a bool, for example bool((orders['amount'] > 0).all()).",
        )


def run_checks(value: Any, checks: Sequence[Any], *, now: float) -> tuple[CheckResult, ...]:
    """What each check finds in `value`, in their order. One that raises has failed, and says so.

    `now`, in seconds since 1970 UTC, is what freshness is measured against.
    """
    return tuple(_run(one, value, now) for one in checks)


def _run(check: Any, value: Any, now: float) -> CheckResult:
    try:
        found: CheckResult = check.run(value, now=now)
    except Exception as error:  # noqa: BLE001 - whatever a check raises: data that cannot be judged has not passed
        return CheckResult(
            name=check.name, passed=False, severity=check.severity, message=f"the check itself failed: {type(error).__name__}: {error}"
        )
    return found


# ------------------------------------------------------------ questions on the whole


def rows_between(least: int | None, most: int | None) -> Callable[[Any, Table | None, float], Finding]:
    """Whether there are at least and at most so many rows, or items."""

    def ask(value: Any, table: Table | None, _now: float) -> Finding:
        count = table.count() if table is not None else len(value)
        if least is not None and count < least:
            return Finding(f"{count:,} rows, fewer than {least:,}", ok=False)
        if most is not None and count > most:
            return Finding(f"{count:,} rows, more than {most:,}", ok=False)
        return Finding(f"{count:,} rows")

    return ask


def has_columns(names: Sequence[str], *, exactly: bool) -> Callable[[Any, Table | None, float], Finding]:
    """Whether the columns are there, and with `exactly` no others."""

    def ask(value: Any, table: Table | None, _now: float) -> Finding:
        if table is None:
            return _no_table(value)
        known = table.columns()
        lacking = [name for name in names if name not in known]
        extra = [name for name in known if name not in names] if exactly else []
        said = [f"missing: {', '.join(lacking)}"] * bool(lacking) + [f"not expected: {', '.join(extra)}"] * bool(extra)
        return Finding("; ".join(said), ok=False) if said else Finding(f"{len(known)} columns")

    return ask


def has_types(types: dict[str, Any]) -> Callable[[Any, Table | None, float], Finding]:
    """Whether the columns are there and of these types, or kinds of types."""

    def ask(value: Any, table: Table | None, _now: float) -> Finding:
        if table is None:
            return _no_table(value)
        known = table.columns()
        wrong = [
            f"{name} is {known[name] or 'of no known type'}, not {_type_name(want)}" if name in known else f"there is no column {name!r}"
            for name, want in types.items()
            if name not in known or not _is_type(known[name], want)
        ]
        return Finding("; ".join(wrong), ok=False) if wrong else Finding(f"{len(types)} columns")

    return ask


def newer_than(column: str, age: float, said: object) -> Callable[[Any, Table | None, float], Finding]:
    """Whether the latest time in a column is at most `age` seconds ago."""

    def ask(value: Any, table: Table | None, now: float) -> Finding:
        if table is None:
            return _no_table(value)
        if column not in table.columns():
            guess = nearest(column, table.columns())
            return Finding(f"there is no column {column!r}{f'; did you mean {guess!r}?' if guess else ''}", ok=False)
        latest = table.latest(column)
        at = instant_of(latest)
        if at is None:
            said_instead = "has no time in it" if latest is None else f"holds a {type(latest).__name__}, not a time"
            return Finding(f"{column!r} {said_instead}", ok=False)
        if now - at > age:
            return Finding(f"the latest {column!r} is {latest}, more than {said} ago", ok=False)
        return Finding(f"the latest is {latest}")

    return ask


_FAMILIES: tuple[tuple[str, type | str], ...] = (
    ("int", int), ("uint", int), ("float", float), ("double", float), ("bool", bool), ("str", str), ("utf8", str), ("large_str", str),
    ("datetime", "datetime"), ("timestamp", "datetime"), ("date", "date"), ("decimal", "decimal"), ("binary", bytes), ("bytes", bytes),
)  # fmt: skip


def _is_type(found: str, want: Any) -> bool:
    name = _type_name(want).lower()
    found = found.lower()
    if name in (found, found.partition("(")[0]):
        return True
    family = next((family for start, family in _FAMILIES if found.startswith(start)), None)
    return family is not None and name == (family if isinstance(family, str) else family.__name__)


def _type_name(want: Any) -> str:
    return want.__name__ if isinstance(want, type) else str(want)


def _no_table(value: Any) -> Finding:
    return Finding(f"it is a {type(value).__name__}, and not a table", ok=False)


def _verdict(function: Callable[..., Any], *, ok: bool) -> str:
    if ok:
        return ""
    doc = (function.__doc__ or "").strip().splitlines()
    return f"it does not hold: {doc[0]}" if doc else "it returned False"


def pattern_of(pattern: str) -> re.Pattern[str]:
    """A regular expression. Raises `BadCheck`."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BadCheck(f"{pattern!r} is not a regular expression.", why=f"{error}.") from error
