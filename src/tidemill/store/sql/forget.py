"""Deleting old runs, and saying which values are still named. It deletes no value: that is garbage collection's business."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, delete, func, select, tuple_

from tidemill.store.databases.connect import Database, Session, each_text
from tidemill.store.databases.tables import ENDED, among, attempts, events, graphs, memos, notes, refs, runs, tasks

AT_ONCE = 100  # runs deleted in one transaction
PAGE = 500

_newest = func.row_number().over(partition_by=runs.c.flow, order_by=[runs.c.created_at.desc(), runs.c.id.desc()])
_ranked = select(runs.c.id, runs.c.ended_at, _newest.label("place")).where(among(runs.c.state, ENDED)).subquery()
_OLD = (
    select(_ranked.c.id)
    .where(_ranked.c.ended_at < bindparam("before"), _ranked.c.place > bindparam("keep"))
    .order_by(_ranked.c.ended_at, _ranked.c.id)
    .limit(AT_ONCE)
)
_DELETE = [delete(table).where(table.c.run.in_(each_text("ids"))) for table in (tasks, attempts, notes, events)]
_DELETE_RUNS = delete(runs).where(runs.c.id.in_(each_text("ids")))
_DELETE_GRAPHS = delete(graphs).where(graphs.c.digest.not_in(select(runs.c.graph)))

_DIGEST = re.compile(rb'"digest":"([^"\\]+)"')


def forget_some(session: Session, *, ended_before: float, keep_per_flow: int) -> list[str]:
    """Delete the oldest of such runs, at most `AT_ONCE`, each with all that belongs to it; return their ids."""
    ids = [old for (old,) in session.rows(_OLD, before=ended_before, keep=keep_per_flow)]
    if ids:
        asked = {"ids": msgspec.json.encode(ids).decode()}
        session.each([(statement, asked) for statement in (*_DELETE, _DELETE_RUNS)])
        session.each([(_DELETE_GRAPHS, {})])
    return ids


def _pages(keys: list[Any], texts: list[Any]) -> tuple[Select[Any], Select[Any]]:
    """Two queries for the columns `texts`: the first page in the order of `keys`, and the one after given keys."""
    first = select(*keys, *texts).order_by(*keys).limit(PAGE)
    after = [bindparam(f"key{n}", type_=key.type) for n, key in enumerate(keys)]
    return first, first.where(tuple_(*keys) > tuple_(*after))


_T, _N = tasks.c, notes.c
_NAMED = [
    _pages([graphs.c.digest], [graphs.c.body]),
    _pages([runs.c.id], [runs.c.output]),
    _pages([_T.run, _T.place, _T.unit], [_T.output]),
    _pages([_N.run, _N.place, _N.unit, _N.attempt, _N.kind, _N.name, _N.slot], [_N.handle]),
    _pages([memos.c.key], [memos.c.handle]),
    _pages([events.c.seq], [events.c.body]),
]
_SHOWN = select(refs.c.version).distinct()


def live(database: Database) -> Iterator[str]:
    """Digests that rows name, each once. Found by their name in the JSON, so that no kind of event can be overlooked."""
    seen: set[str] = set()
    for first, later in _NAMED:
        count = len(first.selected_columns) - 1
        statement: Select[Any] = first
        values: dict[str, Any] = {}
        while found := database.read(lambda session, s=statement, v=values: session.rows(s, **v)):  # type: ignore[misc]
            for told in found:
                text = told[-1]
                for digest in _DIGEST.findall(text.encode() if isinstance(text, str) else bytes(text or b"")):
                    if (name := digest.decode()) not in seen:
                        seen.add(name)
                        yield name
            if len(found) < PAGE:
                break
            statement, values = later, {f"key{n}": found[-1][n] for n in range(count)}
    for (version,) in database.read(lambda session: session.rows(_SHOWN)):
        if version not in seen:
            seen.add(version)
            yield version
