"""What each environment shows, and every move of a pointer since there are any. Moving pointers is one transaction.

Whoever moves pointers does so one after the other (`Session.in_order`): what is read before a move still holds when it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, select

from tidemill.graph.assets import RefRow
from tidemill.ports import Page
from tidemill.store import encoding
from tidemill.store.databases.connect import Bulk, Session, is_one_of
from tidemill.store.databases.tables import environments, publications, refs
from tidemill.store.pages import after_version
from tidemill.store.pointers import Part, Pointer, differing, moves, pointer
from tidemill.store.problems import Moved

REFS = Bulk(refs)
PUBLICATIONS = Bulk(publications, leave_out=("seq",), replace=False)

OF_ENVIRONMENT = select(refs).where(refs.c.environment == bindparam("environment")).order_by(refs.c.asset, refs.c.partition)
OF_ASSETS = OF_ENVIRONMENT.where(is_one_of(refs.c.asset, "assets"))
# One by one: a query for many of them has a plan that was good when the table was small.
ONE = select(refs).where(
    refs.c.environment == bindparam("environment"), refs.c.asset == bindparam("asset"), refs.c.partition == bindparam("partition")
)
PARENT = select(environments.c.parent).where(environments.c.name == bindparam("name"))


def values(ref: RefRow) -> tuple[Any, ...]:
    """The tuple of a pointer, or of a move."""
    said = (ref.at, ref.run, ref.place, ref.because, ref.before)
    return (ref.environment, ref.asset, ref.partition, ref.version, ref.key, encoding.to_json(ref.handle), *said)


def row(told: Sequence[Any], seq: int = 0) -> RefRow:
    """The pointer of a tuple."""
    environment, asset, partition, version, key, handle, at, run, place, because, before = told
    return RefRow(
        environment=environment,
        asset=asset,
        partition=partition,
        version=version,
        key=key,
        handle=encoding.handle(handle),
        at=at,
        run=run,
        place=place,
        because=because,
        before=before,
        seq=seq,
    )


def _line(session: Session, environment: str) -> Iterator[str]:
    """The environment, and those that it stands on, nearest first."""
    name = environment
    while name:
        yield name
        found = session.rows(PARENT, name=name)
        name = found[0][0] if found else ""


def shown(session: Session, environment: str, assets: Collection[str] | None) -> list[RefRow]:
    """What the environment and those behind it show, in the order of asset and partition."""
    found: dict[Part, tuple[Any, ...]] = {}
    for name in reversed(list(_line(session, environment))):  # the nearest one speaks last
        if assets is None:
            told = session.rows(OF_ENVIRONMENT, environment=name)
        else:
            told = session.rows(OF_ASSETS, environment=name, assets=msgspec.json.encode(sorted(assets)).decode())
        found |= {(one[1], one[2]): one for one in told}
    return [row(found[part]) for part in sorted(found)]


def _said(session: Session, environment: str, parts: Collection[Part]) -> dict[Part, RefRow]:
    """What the environment says itself of these."""
    asked = [{"environment": environment, "asset": asset, "partition": partition} for asset, partition in sorted(parts)]
    return {(ref.asset, ref.partition): ref for ref in map(row, session.many(ONE, asked))}


def _seen(session: Session, environment: str, parts: Collection[Part]) -> dict[Part, RefRow]:
    """What the environment shows of these: itself, or one behind it. Asks no further than it must."""
    found: dict[Part, RefRow] = {}
    missing = set(parts)
    for name in _line(session, environment) if missing else ():
        found |= _said(session, name, missing)
        missing -= set(found)
        if not missing:
            break
    return found


def move(session: Session, moved: Sequence[RefRow]) -> list[RefRow]:
    """Move pointers, note each move, and return what the environments now say."""
    session.in_order()
    now: dict[Pointer, RefRow] = {}
    inherited: dict[Pointer, str] = {}
    for environment in sorted({ref.environment for ref in moved}):
        parts = {(ref.asset, ref.partition) for ref in moved if ref.environment == environment}
        for (asset, partition), ref in _seen(session, environment, parts).items():
            if ref.environment == environment:
                now[pointer(ref)] = ref
            else:
                inherited[environment, asset, partition] = ref.version
    if rows := [values(ref) for ref in moves(moved, now, inherited)]:
        session.put(REFS, rows)
        session.put(PUBLICATIONS, rows)
    return [now[pointer(ref)] for ref in moved]


def publish(session: Session, moved: Sequence[RefRow], expected: Mapping[Part, str] | None) -> list[RefRow]:
    """Move pointers if all is as `expected`. Raises `Moved`."""
    session.in_order()
    if session.again and (done := _done(session, moved)) is not None:
        return done
    for environment in sorted({ref.environment for ref in moved}) if expected else ():
        seen = {part: ref.version for part, ref in _seen(session, environment, expected or ()).items()}
        if wrong := differing(expected or {}, seen):
            raise Moved(environment, wrong)
    return move(session, moved)


def _done(session: Session, moved: Sequence[RefRow]) -> list[RefRow] | None:
    """The pointers, if they are just as they were to be: then only the answer was lost with the connection."""
    found: list[RefRow] = []
    for ref in moved:
        said = _said(session, ref.environment, [(ref.asset, ref.partition)]).get((ref.asset, ref.partition))
        if said is None or (said.version, said.key, said.at, said.run) != (ref.version, ref.key, ref.at, ref.run):
            return None
        found.append(said)
    return found


@cache
def _history(names: frozenset[str]) -> Select[Any]:
    asked = {
        "environment": publications.c.environment == bindparam("environment"),
        "partition": publications.c.partition == bindparam("partition"),
        "before": publications.c.seq < bindparam("before"),
    }
    where = [publications.c.asset == bindparam("asset"), *[asked[name] for name in sorted(names)]]
    return select(publications).where(*where).order_by(publications.c.seq.desc()).limit(bindparam("most"))


def history(asset: str, page: Page, *, environment: str | None, partition: str | None) -> tuple[Select[Any], dict[str, Any]]:
    """The query for a page of an asset's moves, and its values."""
    before = None if page.after is None else after_version(page.after)
    given = {"environment": environment, "partition": partition, "before": before}
    given = {name: value for name, value in given.items() if value is not None}
    return _history(frozenset(given)), {**given, "asset": asset, "most": page.limit}
