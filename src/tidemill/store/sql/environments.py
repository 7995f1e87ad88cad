"""Environments: one row each, whatever they show. Made only on a parent that is there, so that they form no circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select

from tidemill.graph.assets import Environment
from tidemill.store.databases.connect import Bulk, Session
from tidemill.store.databases.tables import environments, refs
from tidemill.store.pointers import DEFAULT, droppable, standing

_ENVIRONMENTS = Bulk(environments, replace=False)
_ALL = select(environments).order_by(environments.c.name)
_ONE = select(environments).where(environments.c.name == bindparam("name"))
_DROP = delete(environments).where(environments.c.name == bindparam("name"))
DROP_REFS = delete(refs).where(refs.c.environment == bindparam("name"))


def row(told: Sequence[Any]) -> Environment:
    """The environment of a tuple."""
    name, parent, created, protected = told
    return Environment(name=name, parent=parent, created_at=created, protected=bool(protected))


def every(session: Session) -> list[Environment]:
    """All, "default" first, then by name."""
    return [Environment(name=DEFAULT), *map(row, session.rows(_ALL))]


def create(session: Session, wanted: Environment) -> Environment:
    """Record an environment, or find it. Raises `Unknown`, `EnvironmentTaken`, `BadSetting`."""
    session.in_order()  # nobody drops the parent meanwhile
    found = standing(wanted, every(session))
    if found is not None:
        return found
    session.put(_ENVIRONMENTS, [(wanted.name, wanted.parent, wanted.created_at, int(wanted.protected))])
    return row(session.rows(_ONE, name=wanted.name)[0])


def drop(session: Session, name: str) -> None:
    """Delete the row and the pointers; the history stays. Raises `Unknown`, `EnvironmentNeeded`."""
    session.in_order()
    there = every(session)
    if session.again and name not in [one.name for one in there]:
        return  # it was done, and only the answer was lost
    droppable(name, there)
    session.each([(DROP_REFS, {"name": name}), (_DROP, {"name": name})])
