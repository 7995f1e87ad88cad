"""The log: entries in commit order, each with a hash over all before it in its run (`chain.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from tidemill.ports import EventRow
from tidemill.store.chain import verified
from tidemill.store.databases.connect import Bulk, Database
from tidemill.store.databases.tables import events

EVENTS = Bulk(events, leave_out=("seq",), replace=False)
PAGE = 200  # entries read at once

_FIELDS = [events.c.run, events.c.n, events.c.kind, events.c.at, events.c.body, events.c.seq, events.c.chain]
OF_RUN = (
    select(*_FIELDS).where(events.c.run == bindparam("run"), events.c.n > bindparam("after")).order_by(events.c.n).limit(bindparam("most"))
)
OF_ALL = select(*_FIELDS).where(events.c.seq > bindparam("after")).order_by(events.c.seq).limit(bindparam("most"))


def row(found: Sequence[Any]) -> EventRow:
    """The entry of a tuple with the columns `_FIELDS`."""
    run, n, kind, at, body, seq, chain = found
    told = body.encode() if isinstance(body, str) else bytes(body)  # text, when somebody wrote it by hand
    return EventRow(run=run, n=n, kind=kind, at=at, body=told, seq=seq, chain=chain)


def of_run(database: Database, run: str, *, after: int, limit: int | None) -> Iterator[EventRow]:
    """The entries of a run, page by page. Raises `Corrupt` where one is missing or is not what was written."""
    chain: str | None = None  # of the entry before; unknown for the first one of a later part
    while limit is None or limit > 0:
        most = PAGE if limit is None else min(PAGE, limit)
        found = database.read(lambda session, after=after, most=most: session.rows(OF_RUN, run=run, after=after, most=most))  # type: ignore[misc]
        for told in found:
            entry = row(told)
            chain = verified(entry, after, "" if entry.n == 1 else chain)
            after = entry.n
            yield entry
        if limit is not None:
            limit -= len(found)
        if len(found) < most:
            return
