"""The SQLite file: whose it is, who drives it, and what becomes of it when disk, process or bytes fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.store.rows import GRAPH, claimed, entry, run_row, whole_run
from tidemill.errors import BadSetting, Problem
from tidemill.ports import Commit, Page, RunFilter, TaskFilter
from tidemill.store import open_store
from tidemill.store.databases.sqlite import SqliteDatabase, problem
from tidemill.store.problems import (
    Foreign,
    InUse,
    LostWrites,
    SchemaNewer,
    StoreBusy,
    StoreDamaged,
    StoreReadOnly,
    StoreUnreachable,
)
from tidemill.store.sql.store import SqlStore

TESTS = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store.db"


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `script`, with the rows of these tests at hand."""
    setting = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", "import sys\nfrom conformance.store.rows import *\nfrom tidemill.store import open_store\n" + script]
    return subprocess.Popen([*command, *map(str, arguments)], env=setting, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


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
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE birds (name)")
    connection.close()
    with pytest.raises(Foreign, match=r"store\.db is not a Tidemill store"):
        open_store(url(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("birds",)]
    connection.close()


def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    open_store(url(path)).close()
    with sqlite3.connect(path) as connection:
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


# ---------------------------------------------------------------- faults


def test_what_cannot_be_written_is_read_only(path: Path) -> None:
    open_store(url(path)).close()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as refused:
        connection.execute("DELETE FROM runs")
    connection.close()
    told = problem(refused.value, str(path))
    assert isinstance(told, StoreReadOnly)
    assert "Give this user the right to write the file and its folder" in told.mend


def test_a_writer_that_waits_too_long_says_so_and_loses_nothing(path: Path) -> None:
    open_store(url(path)).close()
    store = SqlStore(SqliteDatabase(path, lock=True, patience=0.01))
    claimed(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    commit = Commit(run="r1", epoch=1, events=[entry("r1", 1)])
    with pytest.raises(StoreBusy, match="was busy for too long; nothing was changed"):
        store.commit([commit], durable=False)
    assert [run.id for run in store.runs(RunFilter(), Page())] == ["r1"]
    other.execute("ROLLBACK")
    other.close()
    assert store.commit([commit], durable=False) == []
    assert len(list(store.events("r1"))) == 1
    store.close()


def test_an_error_in_the_middle_leaves_nothing_half_done(path: Path) -> None:
    database = SqliteDatabase(path, lock=True)

    def half(session: object) -> None:
        session.connection.execute("INSERT INTO graphs VALUES ('d', 'x')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.write(half, durable=False)
    left = database.write(lambda session: session.connection.execute("SELECT * FROM graphs").fetchall(), durable=False)
    assert left == []
    database.close()


FULL = """
import resource
from tidemill.store.problems import StoreFull
s = open_store(sys.argv[1])
claimed(s)
room = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, room[1]))
done, commit, told = 0, None, None
while told is None:
    commit = Commit(run="r1", epoch=1, events=[entry("r1", done + 1, 50_000)], tasks=[task(unit=done + 1)])
    try:
        s.commit([commit], durable=done % 2 == 0)
        done += 1
    except StoreFull as problem:
        told = problem.what
assert len(list(s.events("r1"))) == done and done > 5
assert s.counts("r1")["load"] == {"running": done}
try:
    s.commit([commit], durable=True)
    raise SystemExit("there was room after all")
except StoreFull:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, room)
assert s.commit([commit], durable=True) == []
assert len(list(s.events("r1"))) == done + 1
assert s.audit(now=1.0) == []
s.close()
print(told)
"""


def test_when_the_disk_is_full_nothing_is_lost_and_the_same_commit_succeeds_once_there_is_room(path: Path) -> None:
    out, _ = child(FULL, url(path)).communicate(timeout=100)
    assert out == f"There is no room left in {path}.\n"


LOOP = """
s = open_store(sys.argv[1])
claimed(s)
n = 0
while True:
    n += 1
    s.commit([Commit(run="r1", epoch=1, events=[entry("r1", n, n % 7 * 500)], tasks=[task(unit=n)])], durable=n % 5 == 0)
    print(n, flush=True)
"""


@pytest.mark.parametrize("stop", [1, 4, 5, 23, 120, 700])
def test_a_killed_process_leaves_a_log_with_all_that_was_returned(path: Path, stop: int) -> None:
    process = child(LOOP, url(path))
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == stop:
            process.send_signal(signal.SIGKILL)
            break
    last = max([stop, *(int(line) for line in process.communicate()[0].split("\n")[:-1])])
    store = open_store(url(path))
    entries = [row.n for row in store.events("r1")]
    assert entries == list(range(1, len(entries) + 1))
    assert last <= len(entries) <= last + 1  # the one that was under way may be there, whole
    assert store.counts("r1") == {"load": {"running": len(entries)}}
    assert store.audit(now=1.0) == []
    assert store.claim("bob", now=1e6, until=2e6, limit=1)[0].epoch == 2
    assert store.commit([Commit(run="r1", epoch=2, events=[entry("r1", len(entries) + 1)])], durable=True) == []
    store.close()


def power_lost(path: Path, copy: Path) -> Path:
    """What is on disk of a store whose log was not yet moved into the file."""
    store = open_store(url(path))
    for n in range(20):
        whole_run(store, f"r{n:02}")
    shutil.copytree(path.parent, copy)
    store.close()
    return copy / path.name


def cut(wal: Path) -> None:
    os.truncate(wal, wal.stat().st_size // 2)


def flip(wal: Path) -> None:
    data = bytearray(wal.read_bytes())
    data[len(data) // 3] ^= 0x40
    wal.write_bytes(data)


def test_a_store_is_whole_after_power_was_lost(path: Path, tmp_path: Path) -> None:
    store = open_store(url(power_lost(path, tmp_path / "copy")))
    assert len(store.runs(RunFilter(), Page())) == 20
    assert store.audit(now=1.0) == []
    store.close()


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_a_log_file_that_lost_its_end_is_noticed_when_the_store_is_opened(path: Path, tmp_path: Path, damage: object) -> None:
    there = power_lost(path, tmp_path / "copy")
    damage(there.with_name("store.db-wal"))
    if damage is Path.unlink:
        with pytest.raises((LostWrites, StoreDamaged)):
            open_store(url(there))
        return
    with pytest.raises(LostWrites) as refused:
        open_store(url(there))
    assert "has lost the last " in refused.value.what
    assert "Entry 160 was stored durably" in refused.value.why
    assert f"delete {there}.lock" in refused.value.mend
    looking = open_store(url(there), lock=False)
    assert looking.audit(now=1.0)[0].rule == "database"
    looking.close()


def test_what_is_left_after_a_loss_can_be_used_once_the_user_says_so(path: Path, tmp_path: Path) -> None:
    there = power_lost(path, tmp_path / "copy")
    cut(there.with_name("store.db-wal"))
    with pytest.raises(LostWrites):
        open_store(url(there))
    there.with_name("store.db.lock").unlink()
    store = open_store(url(there))
    assert store.audit(now=1.0) == []
    assert 0 < len(store.runs(RunFilter(), Page())) < 20
    whole_run(store, "new")
    store.close()


def test_a_damaged_file_is_named_and_not_served(path: Path) -> None:
    store = open_store(url(path))
    for n in range(50):
        whole_run(store, f"r{n:02}")
    store.close()
    data = bytearray(path.read_bytes())
    for page in range(4, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)

    def read_all() -> None:
        damaged = open_store(url(path))
        try:
            for n in range(50):
                list(damaged.events(f"r{n:02}"))
        finally:
            damaged.close()

    with pytest.raises(Problem) as told:
        read_all()
    assert told.value.report().code in ("store-damaged", "corrupt")
    assert "Restore" in told.value.mend


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
