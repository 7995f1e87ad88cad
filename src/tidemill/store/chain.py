"""The hash chain of a run's log: each entry carries a hash over all before it. Knows no database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from blake3 import blake3

from tidemill.errors import Corrupt
from tidemill.ports import EventRow


class Head(NamedTuple):
    """The end of a run's log."""

    n: int
    chain: str


START = Head(0, "")


class Chained(NamedTuple):
    """Entries ready to be stored, and the end of the log with them."""

    head: Head
    rows: list[tuple[Any, ...]]


def link(chain: str, n: int, kind: str, body: bytes) -> str:
    """The hash of an entry over the one before: BLAKE3, 64 hex digits."""
    return blake3(b"%b %d %b\n%b" % (chain.encode(), n, kind.encode(), body)).hexdigest()


def extend(head: Head, run: str, entries: Sequence[EventRow]) -> Chained:
    """`entries` as rows after `head`. Raises `ValueError` when they do not follow it."""
    n, chain = head
    rows = []
    for entry in entries:
        if entry.n != n + 1 or entry.run != run:
            raise ValueError(f"entry {entry.n} of run {entry.run} does not follow entry {n} of run {run}")
        n, body = entry.n, bytes(entry.body)
        chain = link(chain, n, entry.kind, body)
        rows.append((run, n, entry.kind, entry.at, body, chain))
    return Chained(Head(n, chain), rows)


def verified(entry: EventRow, last: int, chain: str | None) -> str:
    """The entry's hash, if it follows entry `last` and (where that is known) the hash `chain`. Raises `Corrupt`."""
    if entry.n != last + 1:
        raise _broken(entry.run, f"entry {last + 1} is missing; the next one there is {entry.n}")
    if chain is not None and entry.chain != link(chain, entry.n, entry.kind, entry.body):
        raise _broken(entry.run, f"entry {entry.n} is not what was written: its hash does not fit")
    return entry.chain


def _broken(run: str, what: str) -> Corrupt:
    return Corrupt(
        f"The log of run {run} is damaged: {what}.",
        why="Each entry carries a hash over all before it, and this one was changed or lost outside Tidemill.",
        mend="Restore the database from a backup, and see `tidemill doctor` for what else is damaged.",
    )
