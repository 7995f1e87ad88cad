"""Remembered results: key of a computation → handle, until it expires."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, or_, select

from tidemill.ports import MemoRow
from tidemill.store import encoding
from tidemill.store.databases.connect import Bulk, Session, each_text
from tidemill.store.databases.tables import memos

MEMOS = Bulk(memos)
AT_ONCE = 1000  # keys asked for in one query

RECALL = select(memos).where(memos.c.key.in_(each_text("keys")), or_(memos.c.expires_at.is_(None), memos.c.expires_at > bindparam("now")))


def values(row: MemoRow) -> tuple[Any, ...]:
    """The tuple of a memo."""
    handle, parts = encoding.to_json(row.handle), encoding.to_json(row.parts)
    return (row.key, row.node, handle, row.at, row.run, parts, row.seconds, row.expires_at)


def row(found: Sequence[Any]) -> MemoRow:
    """The memo of a tuple."""
    key, node, handle, at, run, parts, seconds, expires = found
    return MemoRow(
        key=key,
        node=node,
        handle=encoding.handle(handle),
        at=at,
        run=run,
        parts=encoding.texts(parts),
        seconds=seconds,
        expires_at=expires,
    )


def recall(session: Session, keys: Sequence[str], *, now: float) -> dict[str, MemoRow]:
    """Those of `keys` that are remembered at `now`."""
    found: dict[str, MemoRow] = {}
    for start in range(0, len(keys), AT_ONCE):
        asked = msgspec.json.encode(list(keys[start : start + AT_ONCE])).decode()
        found |= {memo.key: memo for told in session.rows(RECALL, keys=asked, now=now) for memo in (row(told),)}
    return found
