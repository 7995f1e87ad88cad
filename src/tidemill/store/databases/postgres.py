"""PostgreSQL through psycopg: one connection to write on, some to read on, all opened again when the server comes back.

An ordinary commit does not wait for the disk. If the server crashes, those since the last durable one may be gone: they are
kept here until then, and written again. What may or may not have happened is found out by doing it again: each work says
what is to be, and finds what is there already.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, Full, LifoQueue
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from sqlalchemy import Executable, LargeBinary, Text, bindparam, cast, column, func, make_url, select
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.dialects.postgresql.psycopg import dialect

from tidemill.errors import BadSetting, Problem
from tidemill.store.databases.connect import Bulk, Compiler, Ready, Rows, Session
from tidemill.store.databases.tables import metadata, runs, tasks, version
from tidemill.store.problems import Foreign, StoreAway, StoreBusy, StoreFailed, StoreFull, StoreReadOnly
from tidemill.store.versions import check_version

T = TypeVar("T")

WAITS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0)  # seconds before each further attempt to reach the server: 9 s in all
COLLISIONS = 20  # times that a transaction is begun again because another one was in its way
UNSYNCED = 256  # ordinary commits after which one waits for the disk
ROWS_AT_ONCE = 2000
IDLE_READERS = 4
_LOG_LOCK = 7_046_029_254_386_353  # advisory: who adds events
_SCHEMA_LOCK = 7_046_029_254_386_354  # advisory: who makes the tables
_SETTINGS = (
    "SET lock_timeout = '10s'; SET statement_timeout = '10min'; SET idle_in_transaction_session_timeout = '2min';"
    " SET synchronous_commit = off; SET client_encoding = 'UTF8'"
)
for _table, _full in ((runs, 70), (tasks, 80)):  # per cent: rows that are updated get room for it on their page
    _table.dialect_options["postgresql"]["with"] = {"fillfactor": _full}
for _index in (index for table in metadata.sorted_tables for index in table.indexes):
    _index.dialect_options["postgresql"]["where"] = _index.dialect_options["sqlite"]["where"]

_LOST = (errors.OperationalError, errors.InterfaceError)
_HUNG_UP = (errors.AdminShutdown, errors.CrashShutdown, errors.IdleInTransactionSessionTimeout)
_COLLIDED = (errors.SerializationFailure, errors.DeadlockDetected)


class PostgresDatabase:
    """One database of a server. `waits`: seconds before each further attempt to reach it."""

    def __init__(self, url: str, *, waits: Sequence[float] = WAITS) -> None:
        self._waits = (*waits, None)
        self._dialect = dialect(paramstyle="format")  # type: ignore[no-untyped-call]
        try:
            parsed = make_url(url)
            _, self._arguments = self._dialect.create_connect_args(parsed)  # type: ignore[no-untyped-call]
        except Exception as error:  # whatever the parser finds
            raise BadSetting(
                "The store's URL cannot be read.", why=str(error), mend="Write postgresql+psycopg://user:password@host:5432/database."
            ) from error
        self.where = parsed.render_as_string(hide_password=True)
        self._compile = Compiler(self._dialect)
        self._bulk: dict[int, tuple[Bulk, str, bool]] = {}
        self._mutex = threading.Lock()
        self._writer: psycopg.Connection[Any] | None = None
        self._readers: LifoQueue[psycopg.Connection[Any]] = LifoQueue(IDLE_READERS)
        self._unsynced: list[Callable[[Session], object]] = []
        self._prepare()

    def _prepare(self) -> None:
        """Make the tables in an empty database, and look which version there is. Whoever opens wants an answer: no patience here."""
        try:
            connection = self._connect()
        except psycopg.Error as error:
            raise problem(error, self.where) from error
        try:
            found = self._found_version(connection)
            if found is None:
                # Before the transaction: within one, the server would remember that the tables were not there.
                connection.execute("SELECT pg_advisory_lock(%s)", (_SCHEMA_LOCK,))
                with connection.transaction():
                    found = self._found_version(connection)
                    if found is None:
                        self._create(connection)
                        found = self._found_version(connection)
                connection.execute("SELECT pg_advisory_unlock(%s)", (_SCHEMA_LOCK,))
            check_version(found, self.where)
        except BaseException as error:
            connection.close()
            if isinstance(error, psycopg.Error):
                raise problem(error, self.where) from error
            raise
        self._readers.put(connection)

    def _found_version(self, connection: psycopg.Connection[Any]) -> str | None:
        if connection.execute("SELECT to_regclass(%s)", (version.name,)).fetchone() == (None,):
            return None
        row = connection.execute(f"SELECT version_num FROM {version.name}").fetchone()  # noqa: S608 - a constant of ours
        return str(row[0]) if row else ""

    def _create(self, connection: psycopg.Connection[Any]) -> None:
        # A database may be shared with others; only tables with our names are in the way.
        names = [table.name for table in metadata.sorted_tables]
        if connection.execute("SELECT 1 FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL", (names,)).fetchone():
            raise Foreign(self.where)
        for step in self._compile.schema():
            connection.execute(step)

    def _connect(self) -> psycopg.Connection[Any]:
        told = {"connect_timeout": 5, "application_name": "tidemill", **self._arguments}
        connection: psycopg.Connection[Any] = psycopg.connect(autocommit=True, **told)
        connection.execute(_SETTINGS)
        return connection

    def read(self, work: Callable[[Session], T]) -> T:
        for wait in self._waits:
            reader: psycopg.Connection[Any] | None = None
            try:
                reader = self._reader()
                reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                done = work(PostgresSession(reader, self, None, again=False))
                reader.execute("COMMIT")
            except BaseException as error:
                lost = isinstance(error, _LOST) and (reader is None or is_lost(error, reader))
                if reader is not None:
                    reader.close()
                if lost and wait is not None:
                    self._drop_readers()
                    time.sleep(wait)
                    continue
                if isinstance(error, psycopg.Error):
                    raise problem(error, self.where) from error
                raise
            try:
                self._readers.put_nowait(reader)
            except Full:
                reader.close()
            return done
        raise AssertionError("the last round returns or raises")

    def _reader(self) -> psycopg.Connection[Any]:
        try:
            return self._readers.get_nowait()
        except Empty:
            return self._connect()

    def _drop_readers(self) -> None:
        while True:
            try:
                self._readers.get_nowait().close()
            except Empty:
                return

    def write(self, work: Callable[[Session], T], *, durable: bool) -> T:
        with self._mutex:
            again = False
            for wait in self._waits:
                try:
                    return self._write(work, durable=durable, again=again)
                except _LOST as error:
                    if self._writer is not None and not is_lost(error, self._writer):
                        self._roll_back()
                        raise problem(error, self.where) from error
                    if self._writer is not None:
                        self._writer.close()
                    self._writer = None
                    if wait is None:
                        raise problem(error, self.where) from error
                    again = True
                    time.sleep(wait)
                except psycopg.Error as error:
                    self._roll_back()
                    raise problem(error, self.where) from error
                except BaseException:
                    self._roll_back()
                    raise
        raise AssertionError("the last round returns or raises")

    def _write(self, work: Callable[[Session], T], *, durable: bool, again: bool) -> T:
        if self._writer is None or self._writer.closed:
            self._writer = self._connect()
            for earlier in self._unsynced:  # the server may have crashed and lost them; those that are there are found
                self._transact(self._writer, earlier, durable=True, again=True)
            self._unsynced.clear()
        durable = durable or len(self._unsynced) >= UNSYNCED
        done = self._transact(self._writer, work, durable=durable, again=again)
        if durable:
            self._unsynced.clear()
        else:
            self._unsynced.append(work)
        return done

    def _transact(self, writer: psycopg.Connection[Any], work: Callable[[Session], T], *, durable: bool, again: bool) -> T:
        for left in range(COLLISIONS, -1, -1):
            try:
                with writer.pipeline() as pipeline:
                    writer.execute("BEGIN")
                    if durable:
                        writer.execute("SET LOCAL synchronous_commit = on")
                    done = work(PostgresSession(writer, self, pipeline, again=again))
                    writer.execute("COMMIT")
                return done
            except _COLLIDED:
                self._roll_back()
                if not left:
                    raise
        raise AssertionError("the last round returns or raises")

    def _roll_back(self) -> None:
        writer = self._writer
        if writer is None:
            return
        try:
            if writer.info.transaction_status != TransactionStatus.IDLE:
                writer.execute("ROLLBACK")
        except psycopg.Error:
            self._writer = None
            writer.close()

    def check(self) -> list[str]:
        """The server checks its files itself."""
        return []

    def close(self) -> None:
        with self._mutex:
            self._drop_readers()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def compiled(self, statement: Executable) -> Ready:
        return self._compile(statement)

    def bulk_sql(self, bulk: Bulk) -> tuple[str, bool]:
        """The statement for many rows, and whether it takes them all as one JSON text."""
        found = self._bulk.get(id(bulk))
        if found is None:
            whole = not any(isinstance(column.type, LargeBinary) for column in bulk.table.columns)
            statement = _from_json(bulk) if whole else insert(bulk.table).values(dict.fromkeys(bulk.columns))
            found = self._bulk[id(bulk)] = (bulk, self._compile.compile(statement).sql, whole)
        return found[1:]


class PostgresSession:
    """A transaction on one connection. What needs no answer is sent without waiting for one (`pipeline`)."""

    __slots__ = ("_connection", "_database", "_pipeline", "again")

    def __init__(
        self, connection: psycopg.Connection[Any], database: PostgresDatabase, pipeline: psycopg.Pipeline | None, *, again: bool
    ) -> None:
        self._connection = connection
        self._database = database
        self._pipeline = pipeline
        self.again = again

    def rows(self, statement: Executable, **values: Any) -> Rows:
        ready = self._database.compiled(statement)
        return self._connection.execute(ready.sql, ready.values(values), binary=True).fetchall()

    def many(self, statement: Executable, asked: Sequence[dict[str, Any]]) -> Rows:
        ready = self._database.compiled(statement)
        cursors = [self._connection.execute(ready.sql, ready.values(values), binary=True) for values in asked]
        return [row for cursor in cursors for row in cursor.fetchall()]

    def each(self, asked: Sequence[tuple[Executable, dict[str, Any]]]) -> list[int]:
        cursors = []
        for statement, values in asked:
            ready = self._database.compiled(statement)
            cursors.append(self._connection.execute(ready.sql, ready.values(values)))
        if self._pipeline is not None and cursors:
            self._pipeline.sync()
        return [cursor.rowcount for cursor in cursors]

    def put(self, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
        sql, whole = self._database.bulk_sql(bulk)
        if not whole:
            for row in rows:
                self._connection.execute(sql, row)
            return
        names = bulk.columns
        unique = list(rows)
        if bulk.replace:  # one statement may not touch a row twice: the last one counts
            places = [names.index(key) for key in bulk.keys]
            unique = list({tuple([row[place] for place in places]): row for row in rows}.values())
        for start in range(0, len(unique), ROWS_AT_ONCE):
            told = msgspec.json.encode([dict(zip(names, row, strict=True)) for row in unique[start : start + ROWS_AT_ONCE]])
            self._connection.execute(sql, (told.decode(),))

    def in_order(self) -> None:
        # A sequence alone is no order of commits: two transactions may draw 1 and 2, and commit 2 first.
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOG_LOCK,))


def _from_json(bulk: Bulk) -> Executable:
    """Insert (or replace) the rows of one JSON text: the server reads it faster than it takes so many values one by one."""
    columns = [bulk.table.c[name] for name in bulk.columns]
    kinds = [column(c.name, Text() if isinstance(c.type, Text) else c.type) for c in columns]
    told = func.json_to_recordset(cast(bindparam("rows"), JSON)).table_valued(*kinds).render_derived(with_types=True)
    statement = insert(bulk.table).from_select(list(bulk.columns), select(*[told.c[name] for name in bulk.columns]))
    if not bulk.replace:
        return statement
    changed = {name: statement.excluded[name] for name in bulk.columns if name not in bulk.keys}
    return statement.on_conflict_do_update(index_elements=list(bulk.keys), set_=changed)


def is_lost(error: psycopg.Error, connection: psycopg.Connection[Any]) -> bool:
    """Whether the connection has to be made anew."""
    # A server that hangs up in the middle of a pipeline is not noticed at once: the driver then complains of its own state,
    # without the code that every refusal of the server has.
    return connection.broken or error.sqlstate is None or isinstance(error, _HUNG_UP)


def problem(error: psycopg.Error, where: str) -> Problem:
    """What the driver said, in words for people."""
    cause = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory)):
        return StoreFull(where, cause)
    if isinstance(error, (errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege)):
        return StoreReadOnly(where, cause)
    if isinstance(error, (errors.LockNotAvailable, errors.QueryCanceled, *_COLLIDED)):
        return StoreBusy(where, cause)
    if isinstance(error, _LOST):
        return StoreAway(where, cause)
    return StoreFailed(where, cause)
