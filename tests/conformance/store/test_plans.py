"""Hot queries walk an index, on both databases, whatever there is in the tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.psycopg import dialect as postgres
from sqlalchemy.engine import make_url

from conformance.store.rows import whole_run
from tidemill.machine.states import RunState
from tidemill.ports import Page, RunFilter, TaskFilter
from tidemill.store import open_store
from tidemill.store.databases.connect import Compiler
from tidemill.store.sql import commits, environments, events, lease, memo, refs, runs, tasks

AFTER_RUN = '[100.0,"r5"]'
HOT: dict[str, tuple[Executable, dict[str, Any]]] = {
    "newest runs": runs.listing(RunFilter(), Page(limit=5)),
    "a later page of runs": runs.listing(RunFilter(), Page(limit=5, after=AFTER_RUN)),
    "runs of a flow": runs.listing(RunFilter(flow="nightly", states=(RunState.FAILED,)), Page(limit=5)),
    "a later page of a flow": runs.listing(RunFilter(flow="nightly"), Page(limit=5, after=AFTER_RUN)),
    "the beginning of an id": (runs._by_start, {"start": "r", "end": "s", "most": 8}),
    "a key": (runs._by_key, {"key": "k"}),
    "nodes": tasks.listing("r1", TaskFilter(), Page(limit=5)),
    "a later page of nodes": tasks.listing("r1", TaskFilter(), Page(limit=5, after='["load",0]')),
    "items": tasks.listing("r1", TaskFilter(place="load"), Page(limit=5)),
    "a later page of items": tasks.listing("r1", TaskFilter(place="load"), Page(limit=5, after='["load",7]')),
    "counts": (tasks.COUNTS, {"run": "r1"}),
    "the log of a run": (events.OF_RUN, {"run": "r1", "after": 3, "most": 10}),
    "the log of all": (events.OF_ALL, {"after": 3, "most": 10}),
    "free runs": (lease.FREE, {"now": 1.0, "most": 5}),
    "runs of an engine": (lease._MINE, {"engine": "ada"}),
    "the fence": runs.fence(None),
    "the end of a log": (commits._END, {"run": "r1"}),
    "remembered results": (memo.RECALL, {"keys": '["a","b"]', "now": 1.0}),
    "memos of keys": (memo.OF_KEYS, {"keys": '["a","b"]'}),
    "last computations of assets": (memo.LAST, {"assets": '["a","b"]', "skip": 19}),
    "what an environment says": (refs.OF_ENVIRONMENT, {"environment": "prod"}),
    "what it says of some assets": (refs.OF_ASSETS, {"environment": "prod", "assets": '["a","b"]'}),
    "one pointer": (refs.ONE, {"environment": "prod", "asset": "a", "partition": ""}),
    "what an environment stands on": (refs.PARENT, {"name": "dev"}),
    "pointers of a dropped environment": (environments.DROP_REFS, {"name": "dev"}),
    "moves of an asset": refs.history("a", Page(limit=5), environment=None, partition=None),
    "a later page of moves": refs.history("a", Page(limit=5, after="[7]"), environment=None, partition=None),
    "moves in an environment": refs.history("a", Page(limit=5, after="[7]"), environment="dev", partition=None),
    "moves of a partition": refs.history("a", Page(limit=5, after="[7]"), environment="dev", partition="x"),
    "last runs of a flow": (tasks.LAST_RUNS, {"flow": "nightly", "most": 20}),
    "spans of a run": (tasks.SPANS, {"run": "r1", "most": 100}),
}
SORTED = ("counts", "last computations of assets")  # what was found is put in order, and there is little of it
FENCE = {"run": "r1", "epoch": 1, "last": 1, "new_n": 2, "new_chain": ""}


def values(name: str) -> dict[str, Any]:
    return FENCE if name == "the fence" else HOT[name][1]


@pytest.mark.parametrize("name", HOT)
def test_sqlite_walks_an_index(name: str, tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/store.db").close()
    ready = Compiler(sqlite.dialect())(HOT[name][0])
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + ready.sql, ready.values(values(name)))]
    walked = [step for step in plan if not step.startswith("SCAN anon_") and "json_each" not in step]
    # A whole index in its order, cut off by LIMIT, is what a list of the newest is; a partial one holds only what is open.
    fine = ("USING INDEX runs_newest", "USING INDEX runs_unfinished")
    assert walked
    assert not [step for step in walked if "SCAN" in step and not step.endswith(fine)], plan
    assert not [step for step in walked if "TEMP B-TREE" in step and name not in SORTED], plan


def steps(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(step for child in node.get("Plans", ()) for step in steps(child))]


@pytest.fixture
def planner(fresh_postgres: str) -> Iterator[psycopg.Connection]:
    store = open_store(fresh_postgres)
    whole_run(store)
    store.close()
    parsed = make_url(fresh_postgres)
    connection = psycopg.connect(f"host={parsed.query['host']} user=postgres dbname={parsed.database}", autocommit=True)
    # Small tables are read whole because that is faster; the question is whether they must be.
    connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    yield connection
    connection.close()


@pytest.mark.parametrize("name", HOT)
def test_postgres_walks_an_index(name: str, planner: psycopg.Connection) -> None:
    ready = Compiler(postgres(paramstyle="format"))(HOT[name][0])
    plan = planner.execute("EXPLAIN (FORMAT JSON) " + ready.sql, ready.values(values(name))).fetchone()[0]
    found = steps((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"])
    assert not [step for step in found if step["Node Type"] == "Seq Scan"], plan
    assert [step for step in found if "Index" in step["Node Type"]], plan
