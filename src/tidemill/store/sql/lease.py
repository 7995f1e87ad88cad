"""Who drives which run, and until when. An engine's epoch fences the writes of the one before it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import and_, bindparam, case, or_, select, update

from tidemill.ports import EngineRow, RunRow
from tidemill.store import encoding
from tidemill.store.databases.connect import Bulk, Session, each_text
from tidemill.store.databases.tables import UNFINISHED, among, engines
from tidemill.store.databases.tables import runs as table
from tidemill.store.sql import runs

_ENGINES = Bulk(engines)

_unfinished = among(table.c.state, UNFINISHED)
_free = or_(table.c.owner.is_(None), table.c.lease_until.is_(None), table.c.lease_until <= bindparam("now"))
_in_order = [table.c.created_at, table.c.id]
FREE = (
    select(table.c.id)
    .where(_unfinished, _free)
    .order_by(*_in_order)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)  # SQLite has one writer at a time, and drops this clause
)
_FREE_ONLY = select(table.c.id).where(table.c.id == bindparam("only"), _unfinished, _free).with_for_update(skip_locked=True)
_TAKEN = (
    select(*runs.COLUMNS)
    .where(_unfinished, table.c.owner == bindparam("engine"), table.c.lease_until == bindparam("until"))
    .order_by(*_in_order)
)
_TAKE = (
    update(table)
    .where(table.c.id.in_(each_text("ids")))
    .values(
        owner=bindparam("engine"),
        lease_until=bindparam("until"),
        epoch=table.c.epoch + 1,
        # An owner that is still named was not there to give the run up.
        recoveries=table.c.recoveries + case((table.c.owner.is_(None), 0), else_=1),
    )
)
_PROLONG = update(table).where(_unfinished, table.c.owner == bindparam("engine")).values(lease_until=bindparam("until"))
_MINE = select(*runs.COLUMNS).where(_unfinished, table.c.owner == bindparam("engine")).order_by(*_in_order)
_LET_GO = (
    update(table)
    .where(table.c.id.in_(each_text("ids")), table.c.owner == bindparam("engine"), _unfinished)
    .values(owner=None, lease_until=None)
)
_ASK = update(table).where(and_(table.c.id == bindparam("run"), table.c.cancel.is_(None)), _unfinished).values(cancel=bindparam("asked"))
_DRIVERS = select(engines).order_by(engines.c.started_at.desc(), engines.c.id.desc()).limit(1000)


def claim(session: Session, engine: str, *, now: float, until: float, limit: int, only: str | None) -> list[RunRow]:
    """Give `engine` free runs, each with the next epoch."""
    if session.again:
        # The answer to a claim may have been lost with the connection: engine and end of the lease say that it was this one.
        before = [run for run in map(runs.row, session.rows(_TAKEN, engine=engine, until=until)) if only in (None, run.id)]
        if before:
            return before
    if limit < 1:
        return []
    found = session.rows(FREE, now=now, most=limit) if only is None else session.rows(_FREE_ONLY, now=now, only=only)
    ids = {free for (free,) in found}
    if not ids:
        return []
    session.each([(_TAKE, {"ids": msgspec.json.encode(sorted(ids)).decode(), "engine": engine, "until": until})])
    return [run for run in map(runs.row, session.rows(_TAKEN, engine=engine, until=until)) if run.id in ids]


def renew(session: Session, engine: EngineRow, *, until: float) -> list[RunRow]:
    """Prolong what `engine` holds, and note that it lives."""
    seen = (engine.id, engine.host, engine.pid, engine.started_at, engine.seen_at, encoding.text(engine.command))
    session.put(_ENGINES, [seen])
    session.each([(_PROLONG, {"engine": engine.id, "until": until})])
    return [runs.row(found) for found in session.rows(_MINE, engine=engine.id)]


def release(session: Session, engine: str, given_up: Sequence[str]) -> None:
    """Take the owner off those of these runs that `engine` holds."""
    session.each([(_LET_GO, {"ids": msgspec.json.encode(list(given_up)).decode(), "engine": engine})])


def ask_cancel(session: Session, run: str, *, by: str, because: str) -> RunRow:
    """The first who asks is remembered; of an ended run nothing is changed."""
    found = runs.find(session, run)
    session.each([(_ASK, {"run": found.id, "asked": encoding.text(f"{by}: {because}" if because else by)})])
    return runs.find(session, found.id)


def drivers(session: Session) -> list[EngineRow]:
    """The thousand newest engines."""
    return [
        EngineRow(id=name, host=host, pid=pid, started_at=started, seen_at=seen, command=command)
        for name, host, pid, started, seen, command in session.rows(_DRIVERS)
    ]
