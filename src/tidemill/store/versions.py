"""Which versions of the tables there are, and whether a database has the one that this code is for. Knows no SQL."""

from __future__ import annotations

from tidemill.store.databases.tables import SCHEMA
from tidemill.store.problems import Foreign, SchemaNewer, SchemaOlder

REVISIONS = ("0001",)  # all, oldest first; the last is SCHEMA


def check_version(found: str | None, where: str) -> None:
    """Raise `SchemaOlder`, `SchemaNewer` or `Foreign` unless `found` is the version of this code."""
    if found == SCHEMA:
        return
    if found is None:
        raise Foreign(where)
    if found in REVISIONS or not found:
        raise SchemaOlder(where, found=found or "none", wanted=SCHEMA)
    raise SchemaNewer(where, found=found, wanted=SCHEMA)
