"""The oracle's questions, put to a database: run by run, so that a large store needs little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import bindparam, func, select

from tidemill.errors import Unknown
from tidemill.graph.nodes import Graph
from tidemill.ports import EventRow, TaskRow, Violation
from tidemill.store.audit import audit_run, ref_without, without_parent
from tidemill.store.chain import Head
from tidemill.store.databases.connect import Database, Session
from tidemill.store.databases.tables import attempts as attempts_table
from tidemill.store.databases.tables import environments, graphs, memos, notes, publications, refs
from tidemill.store.databases.tables import events as events_table
from tidemill.store.databases.tables import runs as table
from tidemill.store.databases.tables import tasks as tasks_table
from tidemill.store.pointers import DEFAULT
from tidemill.store.sql import events, runs, tasks

PAGE = 1000

_RUNS = select(*runs.COLUMNS, table.c.n, table.c.chain).where(table.c.id > bindparam("after")).order_by(table.c.id).limit(100)
_TWICE = select(table.c.key, func.count()).group_by(table.c.key).having(func.count() > 1).limit(PAGE)
_NO_GRAPH = select(table.c.id).where(table.c.graph.not_in(select(graphs.c.digest))).limit(PAGE)
_ORPHANS = {
    child.name: select(child.c.run).where(child.c.run.not_in(select(table.c.id))).distinct().limit(PAGE)
    for child in (tasks_table, attempts_table, notes, events_table)
}
_R, _P = refs.c, publications.c
_of_it = [getattr(_P, name) == getattr(_R, name) for name in ("asset", "partition", "environment", "version", "key")]
_NO_MOVE = select(_R.environment, _R.asset, _R.partition).where(~select(_P.seq).where(*_of_it).exists()).limit(PAGE)
_NO_MEMO = (
    select(_R.environment, _R.asset, _R.partition)
    .where(_R.key != bindparam("none"), ~select(memos.c.key).where(memos.c.key == _R.key).exists())
    .limit(PAGE)
)
_parents = environments.alias()
_NO_PARENT = (
    select(environments.c.name, environments.c.parent)
    .where(environments.c.parent.not_in([bindparam("none"), bindparam("default")]))
    .where(~select(_parents.c.name).where(_parents.c.name == environments.c.parent).exists())
    .limit(PAGE)
)
_TASKS = (
    select(tasks_table)
    .where(tasks_table.c.run == bindparam("run"), tasks_table.c.place >= bindparam("place"))
    .where((tasks_table.c.place > bindparam("place")) | (tasks_table.c.unit > bindparam("unit")))
    .order_by(tasks_table.c.place, tasks_table.c.unit)
    .limit(PAGE)
)


def audit(database: Database, *, now: float) -> list[Violation]:
    """Every broken promise, with ids."""
    found = [Violation(rule="database", detail=what) for what in database.check()]
    for key, times in database.read(lambda session: session.rows(_TWICE)):
        found.append(Violation(rule="key-twice", detail=f"{times} runs have the key {key!r}"))
    for (run,) in database.read(lambda session: session.rows(_NO_GRAPH)):
        found.append(Violation(rule="graph-missing", detail=f"run {run}: its graph is not there"))
    for name, orphans in _ORPHANS.items():
        for (run,) in database.read(lambda session, s=orphans: session.rows(s)):  # type: ignore[misc]
            found.append(Violation(rule="row-without-run", detail=f"run {run}: it is not there, and rows of {name} belong to it"))
    found += database.read(_of_assets)
    after = ""
    while page := database.read(lambda session, a=after: session.rows(_RUNS, after=a)):  # type: ignore[misc]
        for told in page:
            run, head = runs.row(told[:-2]), Head(*told[-2:])
            rows, log = _tasks(database, run.id), _events(database, run.id)
            found += audit_run(run, _graph(database, run.graph), head, tasks=rows, events=log, now=now)
        after = page[-1][0]
    return found


def _of_assets(session: Session) -> list[Violation]:
    found = [ref_without("memo", *told) for told in session.rows(_NO_MEMO, none="")]
    found += [ref_without("move", *told) for told in session.rows(_NO_MOVE)]
    return found + [without_parent(*told) for told in session.rows(_NO_PARENT, none="", default=DEFAULT)]


def _graph(database: Database, digest: str) -> Graph | None:
    try:
        return database.read(lambda session: runs.graph(session, digest))
    except Unknown:  # told of by a question of its own
        return None


def _tasks(database: Database, run: str) -> Iterator[TaskRow]:
    place, unit = "", -1
    while page := database.read(lambda session, p=place, u=unit: session.rows(_TASKS, run=run, place=p, unit=u)):  # type: ignore[misc]
        yield from map(tasks.row, page)
        place, unit = page[-1][1], page[-1][2]


def _events(database: Database, run: str) -> Iterator[EventRow]:
    """The entries as they are there, whatever is wrong with them."""
    after: Any = -(2**31)
    while page := database.read(lambda session, a=after: session.rows(events.OF_RUN, run=run, after=a, most=events.PAGE)):  # type: ignore[misc]
        yield from map(events.row, page)
        after = page[-1][1]
