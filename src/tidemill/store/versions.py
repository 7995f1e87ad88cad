"""Which versions of the tables there are, and whether a database has the one that this code is for. Knows no SQL."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.store.databases.tables import SCHEMA
from tidemill.store.problems import Foreign, SchemaNewer, SchemaOlder

REVISIONS = (SCHEMA,)  # all, oldest first


def check_version(found: str | None, where: str, revisions: Sequence[str] = REVISIONS) -> None:
    """Raise `SchemaOlder`, `SchemaNewer` or `Foreign` unless `found` is the last of `revisions`."""
    wanted = revisions[-1]
    if not found:
        raise Foreign(where)
    if found in revisions[:-1]:
        raise SchemaOlder(where, found=found, wanted=wanted)
    if found != wanted:
        raise SchemaNewer(where, found=found, wanted=wanted)
