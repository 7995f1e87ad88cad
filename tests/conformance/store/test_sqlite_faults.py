"""The SQLite store when disk, process, power or bytes fail: nothing is lost, or the loss is named."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from conformance.store.processes import child, url
from conformance.store.rows import claimed, entry, read, whole_run
from tidemill.errors import Problem
from tidemill.ports import Commit, Page, RunFilter
from tidemill.store import open_store
from tidemill.store.databases.sqlite import SqliteDatabase, problem
from tidemill.store.problems import (
    LostWrites,
    StoreBusy,
    StoreDamaged,
    StoreReadOnly,
)
from tidemill.store.sql.store import SqlStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store.db"


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
    commit.memos, commit.refs = [memo(f"key of {done + 1}")], [ref("a", str(done + 1))]
    try:
        s.commit([commit], durable=done % 2 == 0)
        done += 1
    except StoreFull as problem:
        told = problem.what
assert len(list(s.events("r1"))) == done and done > 5
assert s.counts("r1")["load"] == {"running": done}
assert [read(found.version) for found in s.versions("a", Page())] == [str(n) for n in range(done, 0, -1)]
assert [read(found.version) for found in s.refs("prod")] == [str(done)]
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
    commit = Commit(run="r1", epoch=1, events=[entry("r1", n, n % 7 * 500)], tasks=[task(unit=n)])
    commit.memos, commit.refs = [memo(f"key of {n}")], [ref("a", str(n))]
    s.commit([commit], durable=n % 5 == 0)
    print(n, flush=True)
"""


@pytest.mark.parametrize("stop", [1, 4, 5, 23, 120, 700])
def test_a_killed_process_leaves_a_log_with_all_that_was_returned(path: Path, stop: int) -> None:
    process = child(LOOP, url(path))
    assert process.stdout is not None
    while int(process.stdout.readline()) < stop:
        pass
    process.send_signal(signal.SIGKILL)
    last = max([stop, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
    process.communicate()
    store = open_store(url(path))
    entries = [row.n for row in store.events("r1")]
    assert entries == list(range(1, len(entries) + 1))
    assert last <= len(entries) <= last + 1  # the one that was under way may be there, whole
    assert store.counts("r1") == {"load": {"running": len(entries)}}
    assert [read(found.version) for found in store.refs("prod")] == [str(len(entries))]
    assert len(store.versions("a", Page(limit=10_000))) == len(entries)
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
