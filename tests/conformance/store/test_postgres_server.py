"""PostgreSQL: a server that restarts, crashes, hangs up or says no costs time, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from conformance.store.rows import GRAPH, claimed, entry, handle, ref, run_row, task, whole_run
from private_postgres import Cluster
from tidemill.errors import BadSetting
from tidemill.graph.assets import Environment
from tidemill.ports import Commit, MemoRow, NoteRow, Page, RunFilter, TaskFilter
from tidemill.store import open_store
from tidemill.store.databases.postgres import PostgresDatabase, is_lost
from tidemill.store.problems import Foreign, SchemaNewer, StoreAway, StoreReadOnly
from tidemill.store.sql.store import SqlStore

OURS = "FROM pg_stat_activity WHERE application_name = 'tidemill' AND datname = current_database()"


def direct(url: str) -> psycopg.Connection:
    """A connection of our own, behind the store's back."""
    parsed = make_url(url)
    return psycopg.connect(f"host={parsed.query['host']} user=postgres dbname={parsed.database}", autocommit=True)


def commit(n: int, run: str = "r1", **more: object) -> Commit:
    return Commit(run=run, epoch=1, events=[entry(run, n)], tasks=[task(run, unit=n)], **more)


def test_a_restart_of_the_server_is_waited_out(own_postgres: Cluster) -> None:
    store = open_store(own_postgres.url())
    claimed(store)
    store.commit([commit(1)], durable=False)
    own_postgres.stop("fast")
    own_postgres.start()
    assert [row.n for row in store.events("r1")] == [1]
    own_postgres.stop("fast")
    own_postgres.start()
    assert store.commit([commit(2)], durable=False) == []
    assert [row.n for row in store.events("r1")] == [1, 2]
    store.close()


def test_a_server_that_comes_back_late_is_waited_for(own_postgres: Cluster) -> None:
    store = open_store(own_postgres.url())
    claimed(store)
    own_postgres.stop("fast")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(store.commit, [commit(1)], durable=True)
        own_postgres.start()
        assert answer.result() == []
    assert [row.n for row in store.events("r1")] == [1]
    store.close()


def test_ordinary_commits_that_a_crash_of_the_server_took_are_written_again(own_postgres: Cluster) -> None:
    with psycopg.connect(own_postgres.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")  # what is not synced stays unsynced
        connection.execute("ALTER SYSTEM SET bgwriter_lru_maxpages = 0")
    own_postgres.stop("fast")
    own_postgres.start()
    store = open_store(own_postgres.url())
    claimed(store)
    store.commit([commit(1)], durable=True)
    for n in range(2, 8):
        note = NoteRow(run="r1", place="load", unit=0, attempt=1, kind="metric", name="x", at=float(n), value=1.0)
        store.commit([commit(n, notes=[note])], durable=False)
    own_postgres.stop("immediate")
    own_postgres.start()
    with psycopg.connect(own_postgres.dsn(), autocommit=True) as connection:
        left = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    assert left < 7  # or this test would prove nothing
    assert store.commit([commit(8)], durable=False) == []
    assert [row.n for row in store.events("r1")] == list(range(1, 9))
    assert len(store.notes("r1")) == 6
    assert store.counts("r1") == {"load": {"running": 8}}
    assert store.audit(now=1.0) == []
    store.close()


def test_a_terminated_connection_is_opened_again(fresh_postgres: str) -> None:
    store = open_store(fresh_postgres)
    claimed(store)
    with direct(fresh_postgres) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
    assert store.commit([commit(1)], durable=False) == []
    with direct(fresh_postgres) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
    assert [row.n for row in store.events("r1")] == [1]
    store.close()


def test_a_connection_that_is_terminated_in_the_middle_of_a_commit_is_opened_again(fresh_postgres: str) -> None:
    store = open_store(fresh_postgres)
    claimed(store)
    for n in range(1, 6):
        with direct(fresh_postgres) as other, direct(fresh_postgres) as watch, ThreadPoolExecutor(1) as pool:
            with other.transaction():
                other.execute("LOCK TABLE tasks IN SHARE MODE")
                answer = pool.submit(store.commit, [commit(n)], durable=False)
                while not watch.execute(f"SELECT 1 {OURS} AND wait_event_type = 'Lock'").fetchone():
                    pass
                watch.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
            assert answer.result() == []
    assert [row.n for row in store.events("r1")] == [1, 2, 3, 4, 5]
    store.close()


def test_what_the_driver_says_without_the_server_means_that_the_connection_is_lost(fresh_postgres: str) -> None:
    with direct(fresh_postgres) as connection:
        assert is_lost(psycopg.OperationalError("cannot exit pipeline mode while busy"), connection)
        assert is_lost(psycopg.errors.AdminShutdown("terminating connection"), connection)
        assert not is_lost(psycopg.errors.LockNotAvailable("lock timeout"), connection)
        assert not is_lost(psycopg.errors.DiskFull("no space"), connection)


class Wire:
    """A stand-in for the server's socket that can swallow the answer to a COMMIT and hang up."""

    def __init__(self, folder: Path, url: str) -> None:
        parsed = make_url(url)
        self._behind = f"{parsed.query['host']}/.s.PGSQL.5432"
        self.url = parsed.set(query={"host": str(folder)}).render_as_string()
        self.swallow = threading.Event()
        self.swallowed = 0
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(f"{folder}/.s.PGSQL.5432")
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._behind)
            hang_up = threading.Event()
            threading.Thread(target=self._ask, args=(near, far, hang_up), daemon=True).start()
            threading.Thread(target=self._answer, args=(near, far, hang_up), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket, hang_up: threading.Event) -> None:
        while data := self._read(near):
            if b"COMMIT" in data and self.swallow.is_set():
                self.swallow.clear()
                hang_up.set()
            with suppress(OSError):
                far.sendall(data)
        with suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)
        far.close()

    def _answer(self, near: socket.socket, far: socket.socket, hang_up: threading.Event) -> None:
        while data := self._read(far):
            if hang_up.is_set():
                if b"COMMIT\x00" not in data:
                    continue  # the server is not done yet
                self.swallowed += 1
                break
            try:
                near.sendall(data)
            except OSError:  # the client has gone
                break
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)
        near.close()

    @staticmethod
    def _read(end: socket.socket) -> bytes:
        try:
            return end.recv(65536)
        except OSError:
            return b""

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def wire(fresh_postgres: str, tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path, fresh_postgres)
    yield made
    made.close()


def test_a_commit_whose_answer_was_lost_is_found_to_be_done(wire: Wire) -> None:
    store = open_store(wire.url)
    claimed(store)
    note = NoteRow(run="r1", place="load", unit=0, attempt=1, kind="metric", name="x", at=1.0, value=1.0)
    for n, durable in ((1, True), (2, False)):
        wire.swallow.set()
        assert store.commit([commit(n, notes=[note])], durable=durable) == []
    assert wire.swallowed == 2
    assert [row.n for row in store.events("r1")] == [1, 2]
    assert len(store.notes("r1")) == 1
    assert [row.n for row in store.stream(after=0, limit=9)] == [1, 2]
    store.close()


def test_a_creation_whose_answer_was_lost_is_one_run(wire: Wire) -> None:
    store = open_store(wire.url)
    wire.swallow.set()
    assert store.create_run(run_row(), GRAPH, [entry("r1", 1)]).id == "r1"
    assert wire.swallowed == 1
    assert len(store.runs(RunFilter(), Page())) == 1
    store.close()


def test_a_claim_whose_answer_was_lost_is_still_told(wire: Wire) -> None:
    store = open_store(wire.url)
    for n in range(3):
        store.create_run(run_row(f"r{n}", created_at=float(n)), GRAPH)
    wire.swallow.set()
    taken = store.claim("ada", now=1.0, until=100.0, limit=2)
    assert wire.swallowed == 1
    assert [(run.id, run.epoch) for run in taken] == [("r0", 1), ("r1", 1)]
    assert [run.id for run in store.claim("ada", now=1.0, until=100.0, limit=2)] == ["r2"]
    store.close()


def test_a_publication_whose_answer_was_lost_is_found_to_be_done(wire: Wire) -> None:
    store = open_store(wire.url)
    wire.swallow.set()
    (first,) = store.publish([ref("a", "1")], expected={("a", ""): ""})
    wire.swallow.set()
    (second,) = store.publish([ref("a", "2")], expected={("a", ""): first.version})
    assert wire.swallowed == 2
    assert (second.before, second.version) == (first.version, ref("a", "2").version)
    assert len(store.versions("a", Page())) == 2
    store.close()


def test_an_environment_whose_making_or_dropping_was_not_answered_is_made_or_dropped(wire: Wire) -> None:
    store = open_store(wire.url)
    wire.swallow.set()
    made = store.create_environment(Environment(name="prod", created_at=1.0))
    assert store.environments()[1:] == [made]
    wire.swallow.set()
    store.drop_environment("prod")
    assert wire.swallowed == 2
    assert store.environments()[1:] == []
    store.close()


def test_a_deadlock_is_tried_again(fresh_postgres: str) -> None:
    store = open_store(fresh_postgres)
    claimed(store)

    def memo(key: str) -> MemoRow:
        return MemoRow(key=key, node="load", handle=handle(), at=1.0, run="r1")

    store.commit([Commit(run="r1", epoch=1, memos=[memo("a"), memo("b")])], durable=False)
    with direct(fresh_postgres) as other, direct(fresh_postgres) as watch, ThreadPoolExecutor(1) as pool:
        other.execute("SET deadlock_timeout = '1min'")  # so that not this one is given up, but the store's
        other.execute("BEGIN")
        other.execute("UPDATE memos SET node = 'b' WHERE key = 'b'")
        both = Commit(run="r1", epoch=1, memos=[memo("a"), memo("b")], events=[entry("r1", 1)])
        answer = pool.submit(store.commit, [both], durable=False)
        waits = f"SELECT 1 {OURS} AND wait_event_type = 'Lock'"
        while not watch.execute(waits).fetchone():
            pass
        other.execute("UPDATE memos SET node = 'a' WHERE key = 'a'")
        other.execute("COMMIT")
        assert answer.result() == []
    assert {memo.node for memo in store.recall(["a", "b"], now=1.0).values()} == {"load"}
    assert len(list(store.events("r1"))) == 1
    store.close()


def test_several_may_make_the_tables_at_once(fresh_postgres: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(open_store, [fresh_postgres] * 6))
    whole_run(stores[0])
    assert stores[5].run("r1").id == "r1"
    for store in stores:
        store.close()


def test_an_ordinary_commit_does_not_wait_for_the_disk_and_a_durable_one_does(fresh_postgres: str) -> None:
    database = PostgresDatabase(fresh_postgres)
    for durable, level in ((False, "off"), (True, "on"), (False, "off")):
        told = database.write(lambda session: session._connection.execute("SHOW synchronous_commit").fetchone(), durable=durable)
        assert told == (level,)
    database.close()


# ---------------------------------------------------------------- the server says no


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreAway) as refused:
        open_store(f"postgresql+psycopg://ada:secret@/db?host={tmp_path}")
    assert "ada:***@" in refused.value.what
    assert "secret" not in str(refused.value)
    assert "No such file or directory" in refused.value.why
    assert refused.value.mend.startswith("Start the server, or check host, port, user and password")


def test_a_url_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(BadSetting, match="The store's URL cannot be read"):
        open_store("postgresql://host:port/db")


def test_a_server_that_stays_away_is_reported_and_the_same_commit_succeeds_later(own_postgres: Cluster) -> None:
    open_store(own_postgres.url()).close()
    store = SqlStore(PostgresDatabase(own_postgres.url(), waits=(0.0,)))
    claimed(store)
    store.commit([commit(1)], durable=False)
    own_postgres.stop("fast")
    with pytest.raises(StoreAway, match="does not answer"):
        store.commit([commit(2)], durable=True)
    with pytest.raises(StoreAway):
        store.run("r1")
    own_postgres.start()
    assert store.commit([commit(2)], durable=True) == []
    assert [row.n for row in store.events("r1")] == [1, 2]
    store.close()


def test_a_database_that_is_read_only_says_so_and_is_written_again_when_it_is_not(fresh_postgres: str) -> None:
    store = open_store(fresh_postgres)
    claimed(store)
    name = make_url(fresh_postgres).database
    with direct(fresh_postgres) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        connection.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
    with pytest.raises(StoreReadOnly) as refused:
        store.commit([commit(1)], durable=False)
    assert "connect to the primary" in refused.value.mend
    with direct(fresh_postgres) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')
        connection.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
    assert store.commit([commit(1)], durable=False) == []
    store.close()


def test_tables_of_others_stay_and_a_name_of_ours_is_not_taken_over(fresh_postgres: str) -> None:
    with direct(fresh_postgres) as connection:
        connection.execute("CREATE TABLE birds (name text)")
        open_store(fresh_postgres).close()
        connection.execute("DROP TABLE tidemill_version")
        with pytest.raises(Foreign, match="is not a Tidemill store"):
            open_store(fresh_postgres)
        assert connection.execute("SELECT count(*) FROM birds").fetchone() == (0,)


def test_a_store_of_a_newer_version_is_refused(fresh_postgres: str) -> None:
    open_store(fresh_postgres).close()
    with direct(fresh_postgres) as connection:
        connection.execute("UPDATE tidemill_version SET version_num = '9999'")
    with pytest.raises(SchemaNewer, match="was made by a newer Tidemill"):
        open_store(fresh_postgres)


def test_two_stores_write_their_runs_side_by_side_and_the_log_is_in_commit_order(fresh_postgres: str) -> None:
    stores = [open_store(fresh_postgres) for _ in range(3)]
    for n, store in enumerate(stores):
        claimed(store, f"r{n}")

    def write(n: int) -> None:
        for k in range(1, 101):
            stores[n].commit([commit(k, f"r{n}")], durable=k % 10 == 0)

    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(write, n) for n in range(3)]
        seen, last = 0, 0
        while True:
            over = all(future.done() for future in done)
            rows = stores[0].stream(after=last, limit=50)
            seen, last = seen + len(rows), rows[-1].seq if rows else last
            if over and not rows:
                break
    assert seen == 300  # none appeared at or below a number that had been read
    assert len(stores[1].tasks("r2", TaskFilter(place="load"), Page(limit=1000))) == 100
    for store in stores:
        store.close()
