"""What the two databases have in common: a `Session` to say statements in, a `Database` to get sessions from.

Statements are SQLAlchemy values, compiled once per database and then executed by the driver itself with tuples.
The differences are in `sqlite.py` and `postgres.py`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Boolean, ColumnElement, Dialect, Executable, Select, Table, Text, bindparam, column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.functions import FunctionElement

from tidemill.store.databases.tables import SCHEMA, metadata, version

T = TypeVar("T")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Bulk:
    """Many rows of one table at once, as tuples in the order of its columns. A row that is there already is replaced."""

    table: Table
    leave_out: tuple[str, ...] = ()  # columns that the database fills
    replace: bool = True  # False: a row that is there is an error

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.columns if column.name not in self.leave_out)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key.columns)


class Session(Protocol):
    """One transaction on one connection."""

    again: bool  # the same work was begun before, and its connection was lost: it may have been done

    def rows(self, statement: Executable, **values: Any) -> Rows:
        """What a query finds, or what a change returns."""

    def many(self, statement: Executable, asked: Sequence[dict[str, Any]]) -> Rows:
        """What a query finds for each of these values, one after the other."""

    def each(self, asked: Sequence[tuple[Executable, dict[str, Any]]]) -> list[int]:
        """Make changes, in order, and say how many rows each changed."""

    def put(self, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert or replace rows."""

    def in_order(self) -> None:
        """From here to the end of this transaction no other one adds events: numbers are given out in commit order."""


class Database(Protocol):
    """Connections to one database. Raises only `Problem`s."""

    where: str  # for people, without a password

    def read(self, work: Callable[[Session], T]) -> T:
        """Do `work` on a snapshot. It may be done again after a lost connection."""

    def write(self, work: Callable[[Session], T], *, durable: bool) -> T:
        """Do `work` in one transaction: whole, or not at all. It may be done again, so it must not mind."""

    def check(self) -> list[str]:
        """What the database itself finds wrong with its files, and what it has lost."""

    def close(self) -> None:
        """Let go of connections and locks."""


class Ready(NamedTuple):
    """A statement as the driver takes it."""

    sql: str
    names: tuple[str, ...]
    given: dict[str, Any]  # values that the statement brings along

    def values(self, asked: dict[str, Any]) -> tuple[Any, ...]:
        return tuple([asked[name] if name in asked else self.given[name] for name in self.names])


class Compiler:
    """Statements → text, once each. Statements are module-level or cached values, so they outlive this table."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._ready: dict[int, tuple[Executable, Ready]] = {}

    def __call__(self, statement: Executable) -> Ready:
        found = self._ready.get(id(statement))
        if found is None:
            # The statement is kept beside its text: an id is unique only among the living.
            found = self._ready[id(statement)] = (statement, self.compile(statement))
        return found[1]

    def compile(self, statement: Executable) -> Ready:
        compiled = statement.compile(dialect=self._dialect)  # type: ignore[attr-defined]
        return Ready(str(compiled), tuple(compiled.positiontup or ()), dict(compiled.params))

    def schema(self) -> list[str]:
        """The statements that make an empty database a store, and stamp it."""
        made: list[ExecutableDDLElement] = [CreateTable(table) for table in metadata.sorted_tables]
        made += [CreateIndex(index) for table in metadata.sorted_tables for index in sorted(table.indexes, key=lambda i: str(i.name))]
        texts = [str(step.compile(dialect=self._dialect)) for step in made]
        return [*texts, f"INSERT INTO {version.name} VALUES ('{SCHEMA}')"]  # noqa: S608 - both are constants of ours


class _Each(FunctionElement[Any]):
    name = "each"
    inherit_cache = True


@compiles(_Each, "sqlite")
def _each_in_sqlite(element: Any, compiler: Any, **told: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **told)})"


@compiles(_Each, "postgresql")
def _each_in_postgres(element: Any, compiler: Any, **told: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **told)} AS json))"


class _IsOneOf(ColumnElement[bool]):
    inherit_cache = True
    type = Boolean()

    def __init__(self, searched: ColumnElement[Any], texts: ColumnElement[Any]) -> None:
        self.searched = searched
        self.texts = texts

    def self_group(self, against: Any = None) -> _IsOneOf:  # noqa: ARG002 - it needs no parentheses
        return self


@compiles(_IsOneOf, "sqlite")
def _is_one_of_in_sqlite(element: Any, compiler: Any, **told: Any) -> str:
    searched, texts = compiler.process(element.searched, **told), compiler.process(element.texts, **told)
    return f"{searched} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - compiled from values of ours


@compiles(_IsOneOf, "postgresql")
def _is_one_of_in_postgres(element: Any, compiler: Any, **told: Any) -> str:
    # As an array it is a condition on the index; as a query it would be a join, whose plan depends on a guess at its size.
    texts = f"json_array_elements_text(CAST({compiler.process(element.texts, **told)} AS json))"
    return f"{compiler.process(element.searched, **told)} = ANY (ARRAY(SELECT {texts}))"


def is_one_of(searched: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Whether a column is one of the texts in the value `name`, a JSON list: each is looked up in the column's index."""
    return _IsOneOf(searched, bindparam(name))


def each_text(name: str) -> Select[Any]:
    """The texts in the value `name`, which is a JSON list: `column.in_(each_text("ids"))` is one statement for any number."""
    return select(_Each(bindparam(name)).table_valued(column("value", Text)).c.value)
