"""`check`: how checks are written. `check.unique("id")` in `checks=[…]`, or `@check(asset)` on a function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

from tidemill.errors import nearest
from tidemill.graph.assets import Severity
from tidemill.graph.durations import seconds
from tidemill.quality import checks
from tidemill.quality.checks import ColumnCheck, FunctionCheck, TableCheck
from tidemill.quality.problems import BadCheck
from tidemill.quality.tables import Table, as_kind

__all__ = ["check"]

F = TypeVar("F", bound=Callable[..., Any])


class WholeWords(TypedDict, total=False):
    """Options of every check."""

    severity: Severity
    name: str
    where: str


class RowWords(WholeWords, total=False):
    """Options of checks on rows. `mostly`: the share of rows, 0 to 1, that must be right."""

    mostly: float


class _Checks:
    """Makes checks. Each takes `severity` ("error" keeps a result from being published, "warn" only tells), `name`,
    and `where`, an SQL condition on the rows that are looked at; those on rows take `mostly`, the share that must be right.
    Missing values are looked at by `not_null` only.
    """

    def __call__(self, asset: Any, *, severity: Severity = "error", name: str = "") -> Callable[[F], F]:
        """A function as a check of an asset: it takes the result, and returns True or False, or (False, "what is wrong").

        Raises `BadCheck`.
        """
        if not callable(getattr(asset, "add_check", None)):
            raise BadCheck(
                f"@check was given {asset!r:.60}, which is not an asset.",
                why="A check belongs to what it looks at.",
                mend="Write: @check(orders) / def amounts_are_positive(orders): return …",
            )
        _severity(severity)

        def made(function: F) -> F:
            asset.add_check(_of_function(function, severity, name))
            return function

        return made

    def unique(self, *columns: str, **words: Unpack[RowWords]) -> ColumnCheck:
        """No two rows have the same value; of several columns, the same combination."""
        _columns("unique", columns)
        return _rows(f"unique({', '.join(columns)})", columns, lambda table: table.duplicates(columns), "is not unique", words)

    def not_null(self, *columns: str, **words: Unpack[RowWords]) -> ColumnCheck:
        """No value is missing: null, None or NaN. Of several columns, all must be there."""
        _columns("not_null", columns)

        return _rows(f"not_null({', '.join(columns)})", columns, lambda table: table.nulls(columns), "is missing", words)

    def values(self, column: str, allowed: Collection[Any], **words: Unpack[RowWords]) -> ColumnCheck:
        """Every value is one of `allowed`."""
        _columns("values", (column,))
        known = frozenset(allowed)
        some = ", ".join(sorted(map(repr, known))[:5]) + (", …" if len(known) > 5 else "")
        return _rows(f"values({column})", (column,), lambda table: table.strangers(column, known), f"is none of {some}", words)

    def between(self, column: str, least: Any = None, most: Any = None, **words: Unpack[RowWords]) -> ColumnCheck:
        """Every value is at least `least` and at most `most`; None is no limit."""
        _columns("between", (column,))
        if least is None and most is None:
            raise BadCheck(f"check.between({column!r}) has no limit.", mend=f"Write, for example, check.between({column!r}, 0, 100).")
        name = f"between({column}, {least}, {most})"
        return _rows(name, (column,), lambda table: table.outside(column, least, most), "is outside", words)

    def regex(self, column: str, pattern: str, **words: Unpack[RowWords]) -> ColumnCheck:
        """Every value, as text, matches the pattern as a whole."""
        _columns("regex", (column,))
        compiled = checks.pattern_of(pattern)
        return _rows(f"regex({column})", (column,), lambda table: table.unlike(column, compiled), f"does not match {pattern!r}", words)

    def rows(self, *, min: int | None = None, max: int | None = None, **words: Unpack[WholeWords]) -> TableCheck:
        """There are at least `min` and at most `max` rows. Of a list: items."""
        if min is None and max is None:
            raise BadCheck("check.rows() has no limit.", mend="Write, for example, check.rows(min=1).")
        return _whole(f"rows({_limits(min, max)})", checks.rows_between(min, max), words)

    def columns(self, names: Sequence[str], *, exactly: bool = False, **words: Unpack[WholeWords]) -> TableCheck:
        """These columns are there; with `exactly`, and no others."""
        _columns("columns", tuple(names) if not isinstance(names, str) else ())
        return _whole(f"columns({', '.join(names)})", checks.has_columns(tuple(names), exactly=exactly), words)

    def types(self, types: Mapping[str, Any], **words: Unpack[WholeWords]) -> TableCheck:
        """These columns are there and of these types: `int`, `str`, `datetime`, …, or a type's own name, "Int64"."""
        _columns("types", tuple(types))
        return _whole(f"types({', '.join(types)})", checks.has_types(dict(types)), words)

    def fresh(self, column: str, age: Any, **words: Unpack[WholeWords]) -> TableCheck:
        """The latest time in the column is at most so long ago ("6h"), as seen when the result was made."""
        _columns("fresh", (column,))
        return _whole(f"fresh({column}, {age})", checks.newer_than(column, seconds(age, name="age"), age), words)


check = _Checks()


def _rows(name: str, columns: tuple[str, ...], count: Callable[[Table], int], fault: str, words: Any) -> ColumnCheck:
    _known(words, RowWords)
    mostly = words.get("mostly", 1.0)
    if isinstance(mostly, bool) or not isinstance(mostly, (int, float)) or not 0.0 <= mostly <= 1.0:
        raise BadCheck(f"mostly={mostly!r} is not a share.", why="It is the share of rows that must be right, from 0 to 1.")
    return ColumnCheck(
        name=words.get("name") or name, columns=columns, count=count, fault=fault, severity=_severity(words.get("severity", "error")),
        mostly=float(mostly), where=words.get("where", ""),
    )  # fmt: skip


def _whole(name: str, ask: Any, words: Any) -> TableCheck:
    _known(words, WholeWords)
    severity = _severity(words.get("severity", "error"))
    return TableCheck(name=words.get("name") or name, ask=ask, severity=severity, where=words.get("where", ""))


def _of_function(function: Any, severity: Severity, name: str) -> FunctionCheck:
    try:
        parameters = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    except (TypeError, ValueError):
        parameters = []
    if len(parameters) != 1 or inspect.iscoroutinefunction(function):
        raise BadCheck(
            f"@check was put on {getattr(function, '__name__', function)!r}, which is not a plain function of one argument.",
            why="A check gets the result that it looks at, and nothing else.",
            mend="Write: @check(orders) / def amounts_are_positive(orders): return …",
        )
    parameter = parameters[0].name

    def read(value: Any) -> Any:
        return as_kind(value, _hint(function, parameter))

    return FunctionCheck(name=name or function.__name__, function=function, read=read, severity=severity)


def _hint(function: Any, parameter: str) -> Any:
    try:
        return typing.get_type_hints(function).get(parameter)
    except Exception:  # noqa: BLE001 - annotations may hold anything; without one the value is taken as it is
        return None


def _known(words: Mapping[str, Any], kind: Any) -> None:
    for word in words:
        if word not in kind.__annotations__:
            guess = nearest(word, kind.__annotations__)
            raise BadCheck(
                f"A check has no option {word!r}.",
                why=f"It has {', '.join(sorted(kind.__annotations__))}.",
                mend=f"Did you mean {guess!r}?" if guess else "",
            )


def _severity(value: Any) -> Severity:
    if value in ("warn", "error"):
        return value  # type: ignore[no-any-return]
    raise BadCheck(f"severity={value!r} is not known.", why="Known: 'error' keeps a result from being published, 'warn' only tells.")


def _columns(word: str, names: tuple[str, ...]) -> None:
    given: tuple[object, ...] = names
    if not given or not all(isinstance(name, str) and name for name in given):
        mend = f'Write the names of columns, as in check.{word}("id").'
        raise BadCheck(f"check.{word}() was not told which columns to look at.", mend=mend)


def _limits(least: int | None, most: int | None) -> str:
    return ", ".join([f"min={least}"] * (least is not None) + [f"max={most}"] * (most is not None))
