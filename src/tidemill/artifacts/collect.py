"""Garbage collection: deletes what nothing names and what is older than a grace period. Knows no database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from tidemill.artifacts.codecs.files import blobs_in, remove
from tidemill.artifacts.location import TREE, Location
from tidemill.artifacts.problems import Missing
from tidemill.errors import Corrupt


class Swept(msgspec.Struct, frozen=True):
    """How much a sweep deleted, or would delete."""

    count: int
    bytes: int


def sweep(location: Location, live: Iterable[str], *, older_than: timedelta, now: datetime, dry_run: bool = False) -> Swept:
    """Delete blobs that `live` (digests) does not name, directly or through a tree, and that were put before `now - older_than`.

    Drafts, views and cached copies that old go too. `now` has a zone. The grace period must be longer than a task
    can take from writing its result to its commit: what is written meanwhile is protected by its age alone.
    """
    limit = now - older_than
    kept = set(live)
    for blob in location.blobs():
        if blob.key.endswith(TREE) and (blob.key[:64] in kept or blob.modified >= limit):
            kept.update(_named(location, blob.key))
    count = size = 0
    for blob in location.blobs():
        if blob.key[:64] in kept or blob.modified >= limit:
            continue
        if dry_run or location.delete_if_older(blob.key, limit):
            count, size = count + 1, size + blob.size
    for path, length in location.leftovers(limit):
        if not dry_run:
            remove(path)
        count, size = count + 1, size + length
    return Swept(count, size)


def _named(location: Location, key: str) -> list[str]:
    """The blobs of a tree. A damaged one, or one deleted meanwhile, cannot be read by anybody and so protects nothing."""
    try:
        return blobs_in(location.local_path(key).read_bytes())
    except (Corrupt, Missing):
        return []
