"""What a commit costs, beside the driver alone inserting the same bytes with the same durability. `python bench/store.py [--no-postgres]`.

Ratios are what to watch: they hold on another machine. Medians, so that one slow fsync does not speak for all.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from private_postgres import Cluster, NoPostgres, folder_for
from tidemill.graph.assets import Environment, RefRow
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph, Node, TaskRef
from tidemill.graph.values import Handle
from tidemill.machine.states import TaskState
from tidemill.ports import Commit, EventRow, Page, RunFilter, RunRow, Store, TaskFilter, TaskRow
from tidemill.store import open_store
from tidemill.store.sql import tasks

GRAPH = Graph(flow="bench", nodes=(Node(key="load", task=TaskRef("jobs", "load")),))
# (task rows, bytes of the event, times, durable)
CASES = [(200, 20_000, 200, False), (20, 3_000, 400, False), (1, 500, 1000, False), (1, 20_000, 400, False), (1, 500, 100, True)]


def commit(n: int, rows: int, size: int) -> Commit:
    event = EventRow(run="01BENCH", n=n, kind="task.settled", at=1.0, body=b"x" * size)
    made = [
        TaskRow(
            run="01BENCH", place="load", unit=n * 1000 + i, task="jobs:load", name=f"load[{i}]", state=TaskState.SUCCEEDED, attempt=1,
            ready_at=1.5, started_at=2.5, ended_at=3.25, cpu=0.001, memory=1_000_000,
            output=Handle("json", f"{i:064x}", 2, data=b"12", type="builtins.int", preview="12"),
        )
        for i in range(rows)
    ]  # fmt: skip
    return Commit(run="01BENCH", epoch=1, events=[event], tasks=made)


def timed(do: Callable[[Commit], object], first: int, case: tuple[int, int, int, bool]) -> float:
    rows, size, times, _ = case
    spent = []
    for n in range(first, first + times):
        made = commit(n, rows, size)
        begun = time.perf_counter()
        do(made)
        spent.append(time.perf_counter() - begun)
    return median(spent)


def say(name: str, ours: float, raw: float | None = None, *, bar: str = "") -> None:
    beside = "" if raw is None else f"  driver alone {raw * 1e6:9,.0f} µs  ratio {ours / raw:5.2f}"
    print(f"{name:<44} {ours * 1e6:9,.0f} µs{beside}{'  bar ' + bar if bar else ''}")


def prepared(store: Store) -> Store:
    run = RunRow(id="01BENCH", key="bench", flow="bench", graph=graph_digest(GRAPH), created_at=1.0)
    store.create_run(run, GRAPH)
    store.claim("bench", now=1.0, until=1e9, limit=1)
    return store


# ---------------------------------------------------------------- the driver alone

COLUMNS = "run, place, unit, task, state, name, attempt, size, because, ready_at, started_at, ended_at, cpu, memory, output, failure"
EVENT = "INSERT INTO events (run, n, kind, at, body) VALUES "


def bare_sqlite(path: Path) -> Callable[[Commit, bool], None]:
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA wal_autocheckpoint=4000")
    base.execute(f"CREATE TABLE tasks ({COLUMNS}, PRIMARY KEY (run, place, unit)) WITHOUT ROWID")
    base.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, run, n, kind, at, body)")
    insert = f"INSERT OR REPLACE INTO tasks VALUES ({', '.join('?' * 16)})"

    def write(made: Commit, durable: bool) -> None:
        (event,) = made.events
        base.execute("PRAGMA synchronous=FULL" if durable else "PRAGMA synchronous=NORMAL")
        base.execute("BEGIN IMMEDIATE")
        base.executemany(insert, [tasks.values(row) for row in made.tasks])
        base.execute(EVENT + "(?, ?, ?, ?, ?)", (event.run, event.n, event.kind, event.at, event.body))
        base.execute("COMMIT")

    return write


def bare_postgres(dsn: str) -> Callable[[Commit, bool], None]:
    import psycopg

    base = psycopg.connect(dsn, autocommit=True)
    kinds = ["text"] * 2 + ["int"] + ["text"] * 3 + ["int"] * 2 + ["text"] + ["float"] * 4 + ["bigint"] + ["text"] * 2
    told = ", ".join(map(" ".join, zip(COLUMNS.split(", "), kinds, strict=True)))
    base.execute(f"CREATE TABLE tasks ({told}, PRIMARY KEY (run, place, unit))")
    base.execute("CREATE TABLE events (seq bigserial PRIMARY KEY, run text, n int, kind text, at float, body bytea)")
    insert = f"INSERT INTO tasks VALUES ({', '.join(['%s'] * 16)})"

    def write(made: Commit, durable: bool) -> None:
        (event,) = made.events
        with base.pipeline():
            base.execute("BEGIN")
            base.execute(f"SET LOCAL synchronous_commit = {'on' if durable else 'off'}")
            base.cursor().executemany(insert, [tasks.values(row) for row in made.tasks])
            base.execute(EVENT + "(%s, %s, %s, %s, %s)", (event.run, event.n, event.kind, event.at, event.body))
            base.execute("COMMIT")

    return write


# ---------------------------------------------------------------- what is measured

BARS = {("SQLite", 200): "1,500", ("SQLite", 1): "150", ("PostgreSQL", 200): "10,000", ("PostgreSQL", 1): "1,000"}


def commits(name: str, store: Store, bare: Callable[[Commit, bool], None]) -> None:
    first = 1
    for case in CASES:
        rows, size, times, durable = case
        ours = timed(lambda made, d=durable: store.commit([made], durable=d), first, case)
        raw = timed(lambda made, d=durable: bare(made, d), first, case)
        kind = "durable" if durable else "ordinary"
        bar = "" if durable else BARS.get((name, rows), "")
        say(f"{name}: {kind} commit, 1 event {size // 1000 or 0.5} kB, {rows} tasks", ours, raw, bar=bar)
        first += times
    reads(name, store)


def pointers(n: int) -> list[RefRow]:
    """`n` assets, each a table whose handle carries a short preview."""
    values = [Handle("arrow", f"{i:064x}", 1_000_000, type="polars.DataFrame", rows=1000, preview="x" * 50) for i in range(n)]
    told = {"at": 1.0, "run": "01BENCH", "place": "load", "because": "computed"}
    return [
        RefRow(environment="prod", asset=f"shop.asset_{i:05}", version=value.digest, key=value.digest, handle=value, **told)
        for i, value in enumerate(values)
    ]


def assets(name: str, store: Store) -> None:
    store.create_environment(Environment(name="prod"))
    store.create_environment(Environment(name="dev", parent="prod"))
    made = pointers(10_000)
    begun = time.perf_counter()
    store.publish(made)
    say(f"{name}: publish 10,000 assets, durable", time.perf_counter() - begun)
    median_of(f"{name}: what an environment shows of 10,000", lambda: store.refs("dev"), bar="50,000")
    median_of(f"{name}: what it shows of 20", lambda: store.refs("dev", [ref.asset for ref in made[:20]]))


def median_of(what: str, do: Callable[[], object], *, bar: str = "") -> None:
    spent = []
    for _ in range(15):
        begun = time.perf_counter()
        do()
        spent.append(time.perf_counter() - begun)
    say(what, median(spent), bar=bar)


def reads(name: str, store: Store) -> None:
    asked: dict[str, Callable[[], object]] = {
        "one run": lambda: store.run("01BENCH"),
        "page of 100 runs": lambda: store.runs(RunFilter(), Page()),
        "page of 100 tasks of 48,000": lambda: store.tasks("01BENCH", TaskFilter(place="load"), Page(after='["load",100000]')),
        "counts of 48,000 tasks": lambda: store.counts("01BENCH"),
        "recall of 200 keys": lambda: store.recall([f"key {n}" for n in range(200)], now=1.0),
        "log of 2,100 entries": lambda: list(store.events("01BENCH")),
    }
    for what, do in asked.items():
        median_of(f"{name}: {what}", do)
    assets(name, store)


COLD = """
import time
begun = time.perf_counter()
import sqlalchemy
imported = time.perf_counter()
from tidemill.store import open_store
import tidemill.store.sql.store, tidemill.store.databases.sqlite
loaded = time.perf_counter()
store = open_store({url!r})
opened = time.perf_counter()
from store import prepared
ready = time.perf_counter()
prepared(store)
print(imported - begun, loaded - imported, opened - loaded, time.perf_counter() - ready)
"""


def cold(folder: Path) -> None:
    """From nothing to the first run, in a process of its own: a new file, then one that is there."""
    for what in ("new file", "existing file"):
        spent = []
        for n in range(5):
            url = f"sqlite:///{folder}/cold{n}.db"
            setting = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
            done = subprocess.run([sys.executable, "-c", COLD.format(url=url)], env=setting, capture_output=True, text=True, check=True)
            spent.append([float(word) for word in done.stdout.split()])
        imported, loaded, opened, created = (median(column) for column in zip(*spent, strict=True))
        say(f"SQLite, {what}: import sqlalchemy", imported)
        say(f"SQLite, {what}: import the store besides", loaded)
        say(f"SQLite, {what}: open", opened, bar="15,000")
        say(f"SQLite, {what}: create_run and claim, durable", created)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cold(folder)
        store = prepared(open_store(f"sqlite:///{folder}/store.db"))
        commits("SQLite", store, bare_sqlite(folder / "bare.db"))
        store.close()
    if "--no-postgres" in sys.argv:
        return
    cluster = Cluster(folder_for(os.getpid()))
    try:
        cluster.make()
        cluster.start()
        import psycopg

        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bare")
        store = prepared(open_store(cluster.url()))
        commits("PostgreSQL", store, bare_postgres(cluster.dsn("bare")))
        store.close()
    except NoPostgres as problem:
        print(problem)
    finally:
        cluster.remove()


if __name__ == "__main__":
    main()
