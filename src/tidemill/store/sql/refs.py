"""What each environment shows: name → version. Moving names is one transaction."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, select

from tidemill.store.databases.connect import Bulk, Session
from tidemill.store.databases.tables import refs

_REFS = Bulk(refs)
_SHOWN = select(refs.c.name, refs.c.version).where(refs.c.environment == bindparam("environment")).order_by(refs.c.name)


def move(session: Session, environment: str, shown: Mapping[str, str], *, run: str, now: float) -> None:
    """Let names show versions."""
    # In the order of names, so that two who move the same ones wait for each other instead of locking each other out.
    session.put(_REFS, [(environment, name, version, run, now) for name, version in sorted(shown.items())])


def shown(session: Session, environment: str) -> dict[str, str]:
    """What every name shows."""
    return {name: version for name, version in session.rows(_SHOWN, environment=environment)}  # noqa: C416 - rows are tuples, and typed so
