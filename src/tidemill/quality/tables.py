"""Tables of any library, asked the same few questions: how many rows are wrong. Two answers: Polars, or plain Python.

Libraries are told by the names of their modules, and imported only for a table of theirs, or for `where=`.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Protocol

from tidemill.quality.problems import BadCheck

__all__ = ["Table", "as_kind", "table_of"]


class Table(Protocol):
    """What checks ask. Missing values are null, None and NaN; they are wrong only where that is the question."""

    def columns(self) -> dict[str, str]:
        """Column → type, as its library calls it."""

    def count(self) -> int:
        """Rows."""

    def where(self, condition: str) -> Table:
        """The rows for which an SQL condition holds. Raises `BadCheck`."""

    def nulls(self, columns: Sequence[str]) -> int:
        """Rows in which one of them is missing."""

    def duplicates(self, columns: Sequence[str]) -> int:
        """Rows that share their values with another; those in which one is missing do not count."""

    def strangers(self, column: str, known: Collection[Any]) -> int:
        """Rows whose value is not among `known`."""

    def outside(self, column: str, least: Any, most: Any) -> int:
        """Rows below `least` or above `most` (None: no limit)."""

    def unlike(self, column: str, pattern: re.Pattern[str]) -> int:
        """Rows whose value, as text, does not match as a whole."""

    def latest(self, column: str) -> Any:
        """The greatest value, or None."""


def table_of(value: Any, *, sql: bool = False) -> Table | None:
    """`value` as a table, or None if it is none. `sql`: a condition will be asked, for which plain Python has no answer."""
    library = _library(value)
    if library == "polars":
        return Frame(_collected(value))
    if library in ("pandas", "pyarrow"):
        return _of_other(value, library)
    if isinstance(value, (list, tuple)) and all(isinstance(row, Mapping) for row in value):
        if sql and _has("polars"):
            import polars as pl  # lazily: only a condition needs it

            return Frame(pl.from_dicts([dict(row) for row in value], infer_schema_length=None) if value else pl.DataFrame())
        return Rows([dict(row) for row in value])
    return None


def as_kind(value: Any, want: Any) -> Any:
    """`value` as the kind of table that a check function asks for; anything else as it is."""
    wanted, have = getattr(want, "__module__", "").partition(".")[0], _library(value)
    if not have or (wanted == have and isinstance(value, want)) or wanted not in ("polars", "pandas", "pyarrow"):
        return value
    if have == "polars" and not _has_rows(value):
        value = value.collect()
    if wanted == "polars":
        frame = value if have == "polars" else _polars_of(value, have)
        return frame.lazy() if want.__name__ == "LazyFrame" else frame
    if wanted == "pandas":
        return value.to_pandas()
    return value.to_arrow() if have == "polars" else _arrow_of(value)


class Frame:
    """A table in Polars."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def columns(self) -> dict[str, str]:
        return {name: str(kind) for name, kind in self._frame.schema.items()}

    def count(self) -> int:
        return int(self._frame.height)

    def where(self, condition: str) -> Frame:
        try:
            return Frame(self._frame.sql(f"SELECT * FROM self WHERE {condition}"))  # noqa: S608 - the user's own condition, on a value in memory
        except Exception as error:
            raise _bad_condition(condition, error, self.columns()) from error

    def nulls(self, columns: Sequence[str]) -> int:
        return int((~_all(self._there(column) for column in columns)).sum())

    def duplicates(self, columns: Sequence[str]) -> int:
        whole = self._frame.select(columns).filter(_all(self._there(column) for column in columns))
        return int(whole.is_duplicated().sum()) if columns else 0

    def strangers(self, column: str, known: Collection[Any]) -> int:
        counts = self._counts(column)
        return sum(count for value, count in counts if value not in known)

    def outside(self, column: str, least: Any, most: Any) -> int:
        series = self._frame[column].filter(self._there(column))
        wrong = 0
        if least is not None:
            wrong += int((series < least).sum())
        if most is not None:
            wrong += int((series > most).sum())
        return wrong

    def unlike(self, column: str, pattern: re.Pattern[str]) -> int:
        return sum(count for value, count in self._counts(column) if not pattern.fullmatch(str(value)))

    def latest(self, column: str) -> Any:
        return self._frame[column].max()

    def _there(self, column: str) -> Any:
        series = self._frame[column]
        return series.is_not_null() & series.is_not_nan().fill_null(value=True) if series.dtype.is_float() else series.is_not_null()

    def _counts(self, column: str) -> list[tuple[Any, int]]:
        """The different values, each looked at once: a Python answer is affordable even for millions of rows."""
        found = self._frame[column].filter(self._there(column)).value_counts(name="how many")
        return list(found.iter_rows())


class Rows:
    """A table as a list of dicts."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def columns(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for row in self._rows:
            for name, value in row.items():
                if not _missing(value):
                    found[name] = _wider(found.get(name, ""), type(value).__name__)
                else:
                    found.setdefault(name, "")
        return found

    def count(self) -> int:
        return len(self._rows)

    def where(self, condition: str) -> Rows:
        raise BadCheck(
            f"where={condition!r} cannot be asked here.",
            why="Conditions are answered by Polars, and it is not installed.",
            mend="Install it: pip install 'tidemill[polars]'. Or filter in a @check function.",
        )

    def nulls(self, columns: Sequence[str]) -> int:
        return sum(any(_missing(row.get(column)) for column in columns) for row in self._rows)

    def duplicates(self, columns: Sequence[str]) -> int:
        keys = [tuple(row.get(column) for column in columns) for row in self._rows]
        counts = Counter(_hashable(key) for key in keys if not any(map(_missing, key)))
        return sum(count for count in counts.values() if count > 1)

    def strangers(self, column: str, known: Collection[Any]) -> int:
        return sum(value not in known for value in self._there(column))

    def outside(self, column: str, least: Any, most: Any) -> int:
        return sum((least is not None and value < least) or (most is not None and value > most) for value in self._there(column))

    def unlike(self, column: str, pattern: re.Pattern[str]) -> int:
        return sum(pattern.fullmatch(str(value)) is None for value in self._there(column))

    def latest(self, column: str) -> Any:
        return max(self._there(column), default=None)

    def _there(self, column: str) -> list[Any]:
        return [row[column] for row in self._rows if not _missing(row.get(column))]


def instant_of(value: Any) -> float | None:
    """A date, time stamp, number or ISO text as seconds since 1970; without a zone it is UTC. None for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC).timestamp()
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _library(value: Any) -> str:
    for kind in type(value).__mro__:
        module = kind.__module__.partition(".")[0]
        if (module, kind.__name__) in _TABLES:
            return module
    return ""


_TABLES = frozenset(
    {("polars", "DataFrame"), ("polars", "LazyFrame"), ("pandas", "DataFrame"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch")}
)


def _has_rows(value: Any) -> bool:
    return type(value).__name__ != "LazyFrame"


def _collected(value: Any) -> Any:
    return value if _has_rows(value) else value.collect()


def _polars_of(value: Any, library: str) -> Any:
    import polars as pl  # lazily: another library's table is given, and this one is installed

    return pl.from_pandas(value) if library == "pandas" else pl.from_arrow(value)


def _arrow_of(value: Any) -> Any:
    import pyarrow as pa  # lazily: a check function asks for it

    return pa.Table.from_pandas(value, preserve_index=False)


def _of_other(value: Any, library: str) -> Table:
    if _has("polars") and (library == "pyarrow" or _has("pyarrow")):
        try:
            return Frame(_polars_of(value, library))
        except Exception:  # noqa: BLE001 - columns of mixed objects, which only Python can look at
            return Rows(_rows_of(value, library))
    return Rows(_rows_of(value, library))


def _rows_of(value: Any, library: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = value.to_dict("records") if library == "pandas" else value.to_pylist()
    return found


def _has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _all(masks: Any) -> Any:
    whole = None
    for mask in masks:
        whole = mask if whole is None else whole & mask
    return whole


def _missing(value: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return type(value).__name__ in ("NaTType", "NAType")


def _wider(known: str, seen: str) -> str:
    if known in ("", seen):
        return seen
    return "float" if {known, seen} == {"int", "float"} else "mixed"


def _hashable(key: tuple[Any, ...]) -> Any:
    try:
        hash(key)
    except TypeError:
        return repr(key)
    return key


def _bad_condition(condition: str, error: Exception, columns: Mapping[str, str]) -> BadCheck:
    return BadCheck(
        f"where={condition!r} is not a condition on this table.",
        why=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}. It has the columns {', '.join(columns)}.",
        mend="Write it as after WHERE in SQL: where=\"country = 'FR'\".",
    )
