"""The SQLite file: whose it is, who drives it, and which places are none."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conformance.store.processes import child, url
from conformance.store.rows import GRAPH, claimed, entry, run_row, whole_run
from tidemill.errors import BadSetting
from tidemill.ports import Commit, Page, RunFilter, TaskFilter
from tidemill.store import open_store
from tidemill.store.databases.sqlite import SqliteDatabase
from tidemill.store.problems import (
    Foreign,
    InUse,
    SchemaNewer,
    StoreDamaged,
    StoreUnreachable,
)
from tidemill.store.sql.store import SqlStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store.db"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that drives the store at `path` until it is killed."""
    process = child("s = open_store(sys.argv[1], command='tidemill run nightly')\nprint('open', flush=True)\nsys.stdin.read()", url(path))
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


# ---------------------------------------------------------------- whose it is


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277])
def test_the_file_and_its_folder_are_the_users_alone_whatever_the_umask(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        store = open_store(url(path))
        whole_run(store)
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["store.db", "store.db-wal", "store.db-shm", "store.db.lock"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()


def test_a_folder_that_was_there_keeps_its_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    open_store(url(tmp_path / "store.db")).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


# ---------------------------------------------------------------- who drives it


def test_a_second_driver_is_refused_and_told_who_holds_the_store(path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(InUse) as refused:
        open_store(url(path))
    assert refused.value.what.startswith(f"{path} is in use by process {holder.pid} (tidemill run nightly) on ")
    assert f"kill {holder.pid}" in refused.value.mend
    assert " since 20" in refused.value.what


def test_a_second_driver_in_the_same_process_is_refused(path: Path) -> None:
    first = open_store(url(path))
    with pytest.raises(InUse, match=f"process {os.getpid()}"):
        open_store(url(path))
    first.close()
    open_store(url(path)).close()


def test_a_killed_driver_holds_nothing(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    store = open_store(url(path))
    whole_run(store)
    store.close()


def test_those_who_only_look_are_let_in(path: Path, holder: subprocess.Popen[str]) -> None:
    looking = open_store(url(path), lock=False)
    assert looking.runs(RunFilter(), Page()) == []
    looking.close()


FORKED = """
import os
s = open_store(sys.argv[1])
if not os.fork():
    print("forked", flush=True)
    sys.stdin.read()
os._exit(0)
"""


def test_a_forked_child_does_not_keep_the_store_shut(path: Path) -> None:
    process = child(FORKED, url(path))
    assert process.stdout is not None
    assert process.stdout.readline() == "forked\n"
    process.wait()
    open_store(url(path)).close()
    process.communicate()


def test_only_the_driver_moves_the_log_into_the_file(path: Path) -> None:
    driving = open_store(url(path))
    looking = open_store(url(path), lock=False)
    claimed(driving)
    size = path.stat().st_size
    big = [entry("r1", n, size=4_000_000) for n in range(1, 7)]
    looking.commit([Commit(run="r1", epoch=1, events=big)], durable=True)
    looking.ask_cancel("r1", by="bob", because="", now=1.0)
    assert path.stat().st_size == size
    driving.commit([Commit(run="r1", epoch=1, events=[entry("r1", 7)])], durable=False)
    assert path.stat().st_size > 20_000_000
    looking.close()
    driving.close()


def test_an_ordinary_commit_does_not_wait_for_the_disk_and_a_durable_one_does(path: Path) -> None:
    database = SqliteDatabase(path, lock=True)
    for durable, level in ((False, 1), (True, 2), (False, 1)):
        told = database.write(lambda session: session.connection.execute("PRAGMA synchronous").fetchone(), durable=durable)
        assert told == (level,)
    database.close()


# ---------------------------------------------------------------- places that are none


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable) as refused:
        open_store(url(tmp_path / "a" / "b" / "store.db"))
    assert str(tmp_path / "a" / "b" / "store.db") in refused.value.what
    assert "No such file or directory" in refused.value.why
    assert refused.value.mend.startswith("Make the folder first")


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="is not a file"):
        open_store(url(tmp_path))


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("a diary\n" * 500)
    with pytest.raises(StoreDamaged, match="is damaged, or is not a database"):
        open_store(url(path))
    assert path.read_text() == "a diary\n" * 500


def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE birds (name)")
    connection.close()
    with pytest.raises(Foreign, match=r"store\.db is not a Tidemill store"):
        open_store(url(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("birds",)]
    connection.close()


def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    open_store(url(path)).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tidemill_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaNewer) as refused:
        open_store(url(path))
    assert "Its tables are of version 9999, which this Tidemill does not know" in refused.value.why
    assert "pip install --upgrade tidemill" in refused.value.mend


NO_STORES = ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "mysql://u:secret@h/d", "store.db", ""]


@pytest.mark.parametrize("text", NO_STORES)
def test_a_url_that_names_no_store_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(BadSetting) as refused:
        open_store(text)
    assert "does not name a store" in refused.value.what
    assert "sqlite:///folder/store.db" in refused.value.mend
    assert "secret" not in str(refused.value)


def test_the_lock_file_says_who_in_plain_text(path: Path, holder: subprocess.Popen[str]) -> None:
    lines = path.with_name("store.db.lock").read_text().splitlines()
    assert lines[0].strip() == "0"
    told = json.loads(lines[1])
    assert (told["pid"], told["command"]) == (holder.pid, "tidemill run nightly")
    assert set(told) == {"pid", "command", "host", "since"}


def test_readers_see_what_was_committed_while_a_writer_is_at_work(path: Path) -> None:
    database = SqliteDatabase(path, lock=True)
    store = SqlStore(database)
    store.create_run(run_row(), GRAPH)

    def look(session: object) -> int:
        session.connection.execute("DELETE FROM runs")
        return len(store.runs(RunFilter(), Page()))

    assert database.write(look, durable=False) == 1
    assert store.runs(RunFilter(), Page()) == []
    assert store.tasks("r1", TaskFilter(), Page()) == []
    store.close()
