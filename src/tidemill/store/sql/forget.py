"""Deleting old runs, and saying which values are still named. It deletes no value: that is garbage collection's business.

Of assets all that an environment shows stays alive, and of each partition its last versions (`pointers.KEPT`), so that one can
go back to them. The history of moves is never deleted: of an older version it says what it was, and its bytes may be gone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Select, and_, bindparam, delete, func, select, tuple_

from tidemill.store.databases.connect import Database, Session, each_text
from tidemill.store.databases.tables import ENDED, among, attempts, events, graphs, memos, notes, publications, refs, runs, tasks
from tidemill.store.pointers import KEPT

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

_P = publications.c
_ages = select(_P.key, func.row_number().over(partition_by=[_P.asset, _P.partition], order_by=_P.seq.desc()).label("age")).subquery()
_DELETE_MEMOS = delete(memos).where(
    memos.c.expires_at < bindparam("before"),
    ~select(refs.c.key).where(refs.c.key == memos.c.key).exists(),
    # What a kept version was computed from stays known.
    ~select(_ages.c.key).where(and_(_ages.c.key == memos.c.key, _ages.c.age <= KEPT)).exists(),
)

_DIGEST = re.compile(rb'"digest":"([^"\\]+)"')


def forget_some(session: Session, *, ended_before: float, keep_per_flow: int) -> list[str]:
    """Delete the oldest of such runs, at most `AT_ONCE`, each with all that belongs to it; return their ids."""
    ids = [old for (old,) in session.rows(_OLD, before=ended_before, keep=keep_per_flow)]
    if ids:
        asked = {"ids": msgspec.json.encode(ids).decode()}
        session.each([(statement, asked) for statement in (*_DELETE, _DELETE_RUNS)])
        session.each([(_DELETE_GRAPHS, {})])
    return ids


def forget_memos(session: Session, *, expired_before: float) -> None:
    """Delete results that expired before that instant, except those of versions that are kept."""
    session.each([(_DELETE_MEMOS, {"before": expired_before})])


def _pages(keys: list[Any], texts: list[Any]) -> tuple[Select[Any], Select[Any]]:
    """Two queries for the columns `texts`: the first page in the order of `keys`, and the one after given keys."""
    first = select(*keys, *texts).order_by(*keys).limit(PAGE)
    after = [bindparam(f"key{n}", type_=key.type) for n, key in enumerate(keys)]
    return first, first.where(tuple_(*keys) > tuple_(*after))


_T, _N, _R = tasks.c, notes.c, refs.c
_NAMED = [
    _pages([graphs.c.digest], [graphs.c.body]),
    _pages([runs.c.id], [runs.c.output]),
    _pages([_T.run, _T.place, _T.unit], [_T.output]),
    _pages([_N.run, _N.place, _N.unit, _N.attempt, _N.kind, _N.name, _N.slot], [_N.handle]),
    _pages([memos.c.key], [memos.c.handle]),
    _pages([_R.environment, _R.asset, _R.partition], [_R.handle]),
    _pages([events.c.seq], [events.c.body]),
]
_MOVES = _pages([_P.asset, _P.partition, _P.seq], [_P.handle])


def live(database: Database) -> Iterator[str]:
    """Digests that rows name, each once. Found by their name in the JSON, so that no kind of event can be overlooked."""
    seen: set[str] = set()
    for text in _texts(database):
        for digest in _DIGEST.findall(text.encode() if isinstance(text, str) else bytes(text or b"")):
            if (name := digest.decode()) not in seen:
                seen.add(name)
                yield name


def _texts(database: Database) -> Iterator[Any]:
    for pages in _NAMED:
        for told in _each(database, *pages):
            yield told[-1]
    for _, moved in groupby(_each(database, *_MOVES), lambda told: told[:2]):
        for told in deque(moved, maxlen=KEPT):
            yield told[-1]


def _each(database: Database, first: Select[Any], later: Select[Any]) -> Iterator[tuple[Any, ...]]:
    statement: Select[Any] = first
    values: dict[str, Any] = {}
    while found := database.read(lambda session, s=statement, v=values: session.rows(s, **v)):  # type: ignore[misc]
        yield from found
        if len(found) < PAGE:
            return
        statement, values = later, {f"key{n}": one for n, one in enumerate(found[-1][:-1])}
