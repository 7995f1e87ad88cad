"""Remembered results: key of a computation → handle, until it expires."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy import literal_column as literal

from tidemill.ports import MemoRow
from tidemill.store import encoding
from tidemill.store.databases.connect import Bulk, Session, each_text, is_one_of
from tidemill.store.databases.tables import memos

MEMOS = Bulk(memos)
AT_ONCE = 1000  # keys asked for in one query

OF_KEYS = select(memos).where(is_one_of(memos.c.key, "keys"))
RECALL = OF_KEYS.where(or_(memos.c.expires_at.is_(None), memos.c.expires_at > bindparam("now")))

# Of each asset the time of its `last` but one newest, and then from there on: an asset with a long past costs no more than others.
_asked = each_text("assets").subquery()
_since = (
    select(memos.c.at)
    .where(memos.c.node == _asked.c.value)
    .order_by(memos.c.at.desc())
    .limit(1)
    .offset(bindparam("skip"))
    .correlate(_asked)
    .scalar_subquery()
)
_from = select(_asked.c.value.label("node"), func.coalesce(_since, literal("-1e308")).label("since")).subquery()
LAST = (
    select(memos.c.node, memos.c.seconds)
    .select_from(_from.join(memos, (memos.c.node == _from.c.node) & (memos.c.at >= _from.c.since)))
    .order_by(memos.c.node, memos.c.at.desc())
)


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
    return _found(session, keys, RECALL, now=now)


def of_keys(session: Session, keys: Sequence[str]) -> dict[str, MemoRow]:
    """Those of `keys` that were remembered, expired or not."""
    return _found(session, keys, OF_KEYS)


def _found(session: Session, keys: Sequence[str], statement: Select[Any], **given: Any) -> dict[str, MemoRow]:
    found: dict[str, MemoRow] = {}
    for start in range(0, len(keys), AT_ONCE):
        asked = msgspec.json.encode(list(keys[start : start + AT_ONCE])).decode()
        found |= {memo.key: memo for told in session.rows(statement, keys=asked, **given) for memo in (row(told),)}
    return found


def history(session: Session, assets: Sequence[str], last: int) -> dict[str, tuple[float, ...]]:
    """Seconds of the last computations of each asset, newest first."""
    found: dict[str, list[float]] = {}
    for start in range(0, len(assets) if last > 0 else 0, AT_ONCE):
        asked = msgspec.json.encode(list(dict.fromkeys(assets[start : start + AT_ONCE]))).decode()
        for node, seconds in session.rows(LAST, assets=asked, skip=last - 1):
            found.setdefault(node, []).append(seconds)
    return {node: tuple(seconds[:last]) for node, seconds in found.items()}
