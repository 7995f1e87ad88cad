"""`tidemill db upgrade`: the revisions make what a new store is, and nothing is upgraded that should not be."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

import tidemill.store.migrations
from conformance.store.rows import whole_run
from tidemill.errors import BadSetting
from tidemill.store import open_store, upgrade
from tidemill.store.databases.tables import SCHEMA
from tidemill.store.problems import Foreign, InUse, SchemaNewer, StoreAway, StoreDamaged
from tidemill.store.versions import REVISIONS


def in_sqlite(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    connection.close()
    return {name: " ".join((sql or "").split()) for name, sql in found}


def direct(url: str) -> psycopg.Connection:
    parsed = make_url(url)
    return psycopg.connect(f"host={parsed.query['host']} user=postgres dbname={parsed.database}", autocommit=True)


def in_postgres(url: str) -> dict[str, list[Any]]:
    asked = {
        "columns": "SELECT table_name, column_name, data_type, collation_name, is_nullable, is_identity, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
        "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
        "options": "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname",
        "constraints": "SELECT conname, contype FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY conname",
    }
    with direct(url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in asked.items()}


def test_the_revisions_make_the_tables_of_a_new_sqlite_store(tmp_path: Path) -> None:
    assert upgrade(f"sqlite:///{tmp_path}/upgraded.db") == list(REVISIONS)
    open_store(f"sqlite:///{tmp_path}/new.db").close()
    assert in_sqlite(tmp_path / "upgraded.db") == in_sqlite(tmp_path / "new.db")


def test_the_revisions_make_the_tables_of_a_new_postgres_store(fresh_postgres: str) -> None:
    assert upgrade(fresh_postgres) == list(REVISIONS)
    made = in_postgres(fresh_postgres)
    with direct(fresh_postgres) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    open_store(fresh_postgres).close()
    assert in_postgres(fresh_postgres) == made
    assert {len(found) > 5 for found in made.values()} == {True}


def test_the_code_knows_every_revision_and_the_last_is_its_own() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(tidemill.store.migrations.__file__).parent))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS
    assert REVISIONS[-1] == SCHEMA


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_store_that_is_current_is_left_as_it_is(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("fresh_postgres") if kind == "postgres" else f"sqlite:///{tmp_path}/store.db"
    store = open_store(url)
    whole_run(store)
    store.close()
    assert upgrade(url) == []
    again = open_store(url)
    assert again.run("r1").state == "succeeded"
    assert again.audit(now=1.0) == []
    again.close()


def test_a_store_in_use_is_not_upgraded_under_its_driver(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(InUse):
        upgrade(f"sqlite:///{tmp_path}/store.db")
    store.close()


def test_a_newer_store_is_not_touched(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/store.db").close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE tidemill_version SET version_num = '9999'")
    connection.close()
    before = in_sqlite(tmp_path / "store.db")
    with pytest.raises(SchemaNewer):
        upgrade(f"sqlite:///{tmp_path}/store.db")
    assert in_sqlite(tmp_path / "store.db") == before


def test_tables_of_ours_without_a_version_are_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE runs (name)")
    connection.close()
    with pytest.raises(Foreign):
        upgrade(f"sqlite:///{tmp_path}/store.db")
    assert set(in_sqlite(tmp_path / "store.db")) == {"runs"}


def test_what_cannot_be_upgraded_is_said_as_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("today\n" * 300)
    with pytest.raises(StoreDamaged):
        upgrade(f"sqlite:///{tmp_path}/diary")
    with pytest.raises(StoreAway):
        upgrade(f"postgresql+psycopg://ada@/db?host={tmp_path}")
    with pytest.raises(BadSetting):
        upgrade("mysql://h/d")
    assert upgrade("memory://") == []
