"""SQLite: one writer connection, which alone moves the log into the file (WAL), and readers beside it.

An ordinary commit survives the death of the process, a durable one also the loss of power: `synchronous` is set
between transactions, and one synced commit takes all earlier ones with it, since they are in the same log before it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, Full, LifoQueue
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Executable
from sqlalchemy.dialects.sqlite import dialect, insert

from tidemill.errors import Problem
from tidemill.store.databases.connect import Bulk, Compiler, Ready, Rows, Session
from tidemill.store.databases.filelock import FileLock
from tidemill.store.problems import (
    Foreign,
    LostWrites,
    StoreBusy,
    StoreDamaged,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreUnreachable,
)
from tidemill.store.versions import check_version

T = TypeVar("T")

BUSY_SECONDS = 20.0  # how long to wait for another process's short write
IDLE_READERS = 4  # connections kept open for reading
CHECKPOINT_PAGES = 4000  # 16 MB of log between two checkpoints


class SqliteDatabase:
    """One database file. `lock`: this process drives runs on it, and no other does. `patience`: seconds to wait for another's write."""

    def __init__(self, path: Path, *, lock: bool, command: str = "", patience: float = BUSY_SECONDS) -> None:
        self._patience = patience
        self.where = str(path)
        self.path = path
        self._compile = Compiler(dialect())
        self._bulk: dict[int, tuple[Bulk, str]] = {}
        self._mutex = threading.Lock()
        self._full: bool | None = None
        self._writer: sqlite3.Connection | None = None
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue(IDLE_READERS)
        self._drives = lock
        prepare_file(path)
        self._lock = FileLock(path, command=command) if lock else None
        try:
            self._open()
        except sqlite3.Error as error:
            self.close()
            raise problem(error, self.where) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        with self._mutex:
            writer = self._writing()
            found = _found_version(writer)
            if found is None:
                found = self._create(writer)
            check_version(found, self.where)
            has = _last_seq(writer)
        if self._lock and (had := self._lock.witnessed()) > has:
            raise LostWrites(self.where, had=had, has=has, lock=str(self._lock.path))

    def _create(self, writer: sqlite3.Connection) -> str | None:
        writer.execute("BEGIN IMMEDIATE")
        try:
            found = _found_version(writer)  # another process may have been faster
            if found is None:
                if writer.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                    raise Foreign(self.where)
                for step in self._compile.schema():
                    writer.execute(step)
                found = _found_version(writer)
            writer.execute("COMMIT")
        finally:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        return found

    def _connect(self) -> sqlite3.Connection:
        # The schema decides about creation: a file that was deleted meanwhile is not silently made anew.
        uri = f"file:{quote(str(self.path))}?mode=rw"
        connection = sqlite3.connect(
            uri, uri=True, timeout=self._patience, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES if self._drives else 0}")
        return connection

    def _writing(self) -> sqlite3.Connection:
        if self._writer is None:
            writer = self._connect()
            self._writer, self._full = writer, None
            if writer.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                writer.execute("PRAGMA journal_mode=WAL")
            writer.execute("PRAGMA journal_size_limit=67108864")
        return self._writer

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.get_nowait()
        except Empty:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            return connection

    def read(self, work: Callable[[Session], T]) -> T:
        reader: sqlite3.Connection | None = None
        try:
            reader = self._reader()
            reader.execute("BEGIN")
            done = work(SqliteSession(reader, self))
            reader.execute("COMMIT")
        except BaseException as error:
            if reader is not None:
                reader.close()
            if isinstance(error, sqlite3.Error):
                raise problem(error, self.where) from error
            raise
        try:
            self._readers.put_nowait(reader)
        except Full:
            reader.close()
        return done

    def write(self, work: Callable[[Session], T], *, durable: bool) -> T:
        with self._mutex:
            try:
                writer = self._writing()
                if durable is not self._full:
                    writer.execute("PRAGMA synchronous=FULL" if durable else "PRAGMA synchronous=NORMAL")
                    self._full = durable
                writer.execute("BEGIN IMMEDIATE")
                done = work(SqliteSession(writer, self))
                last = _last_seq(writer) if durable else 0
                writer.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    raise problem(error, self.where) from error
                raise
            if durable and self._lock:
                self._lock.witness(last)
        return done

    def _roll_back(self) -> None:
        """Whatever went wrong, the next call finds a connection in no transaction, or a new one."""
        writer = self._writer
        if writer is None or not writer.in_transaction:
            return
        try:
            writer.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer = None
            writer.close()

    def check(self) -> list[str]:
        def ask(session: Session) -> tuple[Rows, int]:
            connection = session.connection  # type: ignore[attr-defined]
            return connection.execute("PRAGMA quick_check(20)").fetchall(), _last_seq(connection)

        # The witness first: what is written while we look may only be more.
        had = FileLock.last_witness(self.path)
        found, has = self.read(ask)
        wrong = [str(row[0]) for row in found if row[0] != "ok"]
        return [*wrong, f"entry {had} of the log was stored durably, and the last one now is {has}"] if had > has else wrong

    def close(self) -> None:
        with self._mutex:
            while not self._readers.empty():
                self._readers.get_nowait().close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._lock:
                self._lock.release()
                self._lock = None

    def compiled(self, statement: Executable) -> Ready:
        return self._compile(statement)

    def bulk_sql(self, bulk: Bulk) -> str:
        found = self._bulk.get(id(bulk))
        if found is None:
            found = self._bulk[id(bulk)] = (bulk, self._compile.compile(_upsert(bulk)).sql)
        return found[1]


class SqliteSession:
    """A transaction on one SQLite connection."""

    again = False  # a file does not go away in the middle of an answer
    __slots__ = ("_database", "connection")

    def __init__(self, connection: sqlite3.Connection, database: SqliteDatabase) -> None:
        self.connection = connection
        self._database = database

    def rows(self, statement: Executable, **values: Any) -> Rows:
        ready = self._database.compiled(statement)
        return self.connection.execute(ready.sql, ready.values(values)).fetchall()

    def many(self, statement: Executable, asked: Sequence[dict[str, Any]]) -> Rows:
        ready = self._database.compiled(statement)
        return [row for values in asked for row in self.connection.execute(ready.sql, ready.values(values))]

    def each(self, asked: Sequence[tuple[Executable, dict[str, Any]]]) -> list[int]:
        counts = []
        for statement, values in asked:
            ready = self._database.compiled(statement)
            counts.append(self.connection.execute(ready.sql, ready.values(values)).rowcount)
        return counts

    def put(self, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
        sql = self._database.bulk_sql(bulk)
        if len(rows) == 1:
            self.connection.execute(sql, rows[0])
        else:
            self.connection.executemany(sql, rows)

    def in_order(self) -> None:
        """There is one writer at a time: the order of numbers is that of commits."""


def _upsert(bulk: Bulk) -> Executable:
    statement = insert(bulk.table).values(dict.fromkeys(bulk.columns))
    if not bulk.replace:
        return statement
    changed = {name: statement.excluded[name] for name in bulk.columns if name not in bulk.keys}
    return statement.on_conflict_do_update(index_elements=list(bulk.keys), set_=changed)


def _last_seq(connection: sqlite3.Connection) -> int:
    """The highest number that an entry ever had, also if it was forgotten since."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(found[0]) if found else 0


def _found_version(connection: sqlite3.Connection) -> str | None:
    """The revision that the file says it has; None without one."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'tidemill_version'").fetchone():
        return None
    found = connection.execute("SELECT version_num FROM tidemill_version").fetchone()
    return str(found[0]) if found else ""


def prepare_file(path: Path) -> None:
    """Make the file, and its folder, for this user only. Those that exist keep their rights."""
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700)
            path.parent.chmod(0o700)  # whatever the umask took
        if not path.exists():
            handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            os.fchmod(handle, 0o600)
            os.close(handle)
    except OSError as error:
        raise StoreUnreachable(
            f"The store {path} cannot be made.",
            why=f"The system said: {error.strerror}: {error.filename or path}.",
            mend="Make the folder first, or give this user the right to write there, or name another place.",
        ) from error
    if not path.is_file():
        raise StoreUnreachable(
            f"The store {path} is not a file.", why="A SQLite store is one file.", mend="Name a file in the URL: sqlite:///folder/store.db"
        )


_PROBLEMS: dict[str, type[StoreFull | StoreReadOnly | StoreDamaged | StoreBusy]] = {
    "SQLITE_FULL": StoreFull,
    "SQLITE_READONLY": StoreReadOnly,
    "SQLITE_PERM": StoreReadOnly,
    "SQLITE_CORRUPT": StoreDamaged,
    "SQLITE_NOTADB": StoreDamaged,
    "SQLITE_BUSY": StoreBusy,
    "SQLITE_LOCKED": StoreBusy,
}


def problem(error: sqlite3.Error, where: str) -> Problem:
    """What the driver said, in words for people."""
    name = str(getattr(error, "sqlite_errorname", ""))
    cause = f"{error} ({name})" if name else str(error)
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreUnreachable(
            f"The store {where} cannot be opened.",
            why=f"SQLite said: {cause}. The file is gone, or its folder cannot be written (SQLite keeps two files beside it).",
            mend="Check that the file is there and that this user may write its folder.",
        )
    # What cannot be written for size (a quota, a limit of the process) is the same to people as a full disk.
    if name in ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_SHMSIZE"):
        return StoreFull(where, cause)
    for start, kind in _PROBLEMS.items():
        if name.startswith(start):
            return kind(where, cause)
    return StoreFailed(where, cause)
