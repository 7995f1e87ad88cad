"""The door to the store: a URL → the store behind it. Knows what kinds there are, and nothing of how they work.

Each adapter is imported when it is asked for: SQLAlchemy costs more than most commands do, and the store in memory needs none.
"""

from __future__ import annotations

import re
from pathlib import Path

from tidemill.errors import BadSetting
from tidemill.ports import Store
from tidemill.store.problems import DriverMissing

_FORMS = "sqlite:///folder/store.db, postgresql+psycopg://user@host/database or memory://"


def open_store(url: str, *, lock: bool = True, command: str = "") -> Store:
    """The store at `url`, made if it is not there yet.

    `lock`: this process will drive runs; of a SQLite file only one may (`command` is what the others are told of it).
    Without it the store is for reading, and for small writes such as `ask_cancel`.
    Raises a `Problem` that says how to mend it: `BadSetting`, or one of `tidemill.store.problems`.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme == "memory":
        from tidemill.store.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite":
        from tidemill.store.databases.sqlite import SqliteDatabase
        from tidemill.store.sql.store import SqlStore

        return SqlStore(SqliteDatabase(sqlite_path(url), lock=lock, command=command))
    if scheme in ("postgresql", "postgres"):
        try:
            from tidemill.store.databases.postgres import PostgresDatabase
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in ("psycopg", "psycopg_binary", "psycopg_c"):
                raise
            raise DriverMissing from error
        from tidemill.store.sql.store import SqlStore

        return SqlStore(PostgresDatabase(url))
    raise _bad(url)


def upgrade(url: str) -> list[str]:
    """Bring the tables at `url` to the version of this code, and return the revisions that were applied (`tidemill db upgrade`)."""
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme == "memory":
        return []
    if scheme not in ("sqlite", "postgresql", "postgres"):
        raise _bad(url)
    from tidemill.store.migrations.upgrade import upgrade as apply  # Alembic is for this command alone

    return apply(url, None if scheme != "sqlite" else sqlite_path(url))


def sqlite_path(url: str) -> Path:
    """The file that a SQLite URL names: three slashes and a relative path, or four for an absolute one. Raises `BadSetting`."""
    head, slashes, path = url.partition(":///")
    if not slashes or head not in ("sqlite", "sqlite+pysqlite") or not path or "?" in path or ":memory:" in path:
        raise _bad(url)
    return Path(path).absolute()


def _bad(url: str) -> BadSetting:
    return BadSetting(
        f"store={_hidden(url)!r} does not name a store.",
        why="A store is a SQLite file, a PostgreSQL database, or the memory of this process.",
        mend=f"Write {_FORMS}.",
    )


def _hidden(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(://[^:@/]*:)[^@/]*@", r"\1***@", url)
