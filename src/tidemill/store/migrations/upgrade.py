"""`tidemill db upgrade`: bring a database to the version of this code. The only file that imports Alembic.

All pending revisions are one transaction, so that a killed upgrade has done nothing, and is simply begun again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from tidemill.store.databases.filelock import FileLock
from tidemill.store.databases.sqlite import prepare_file
from tidemill.store.databases.sqlite import problem as sqlite_problem
from tidemill.store.databases.tables import SCHEMA, metadata, version
from tidemill.store.problems import DriverMissing, Foreign, SchemaNewer
from tidemill.store.versions import REVISIONS

_ONE_AT_A_TIME = 7_046_029_254_386_354  # advisory: the lock under which tables are made


def upgrade(url: str, path: Path | None) -> list[str]:
    """Apply what is missing at `url` (of a SQLite URL `path` is the file), and return those revisions."""
    if path is None:
        return _on_postgres(url)
    prepare_file(path)
    lock = FileLock(path, command="tidemill db upgrade")
    try:
        return _on_sqlite(path)
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise sqlite_problem(error.orig, str(path)) from error
        raise
    finally:
        lock.release()


def _on_sqlite(path: Path) -> list[str]:
    # The driver would not begin a transaction for DDL; we begin it.
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(path, isolation_level=None), poolclass=sa.pool.NullPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with _begun(engine) as connection:
        return _apply(connection, str(path))


def _on_postgres(url: str) -> list[str]:
    try:
        import psycopg  # an optional extra
    except ModuleNotFoundError as error:
        raise DriverMissing from error
    from tidemill.store.databases.postgres import problem  # it needs the extra

    parsed = sa.make_url(url).set(drivername="postgresql+psycopg")
    where = parsed.render_as_string(hide_password=True)
    try:
        with _begun(sa.create_engine(parsed, poolclass=sa.pool.NullPool)) as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ONE_AT_A_TIME})
            return _apply(connection, where)
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise problem(error.orig, where) from error
        raise


@contextmanager
def _begun(engine: sa.Engine) -> Iterator[sa.Connection]:
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _apply(connection: sa.Connection, where: str) -> list[str]:
    before = MigrationContext.configure(connection, opts={"version_table": version.name}).get_current_revision()
    if before is None and set(sa.inspect(connection).get_table_names()) & set(metadata.tables) - {version.name}:
        raise Foreign(where)
    if before is not None and before not in REVISIONS:
        raise SchemaNewer(where, found=before, wanted=SCHEMA)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    done = REVISIONS.index(before) + 1 if before is not None else 0
    return list(REVISIONS[done:])
