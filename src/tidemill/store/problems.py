"""What can go wrong with the metadata store, in words for people. Knows no SQL and no driver."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.errors import Corrupt, Problem

__all__ = [
    "DriverMissing",
    "EnvironmentNeeded",
    "EnvironmentTaken",
    "Foreign",
    "InUse",
    "LostWrites",
    "Moved",
    "OutOfStep",
    "SchemaNewer",
    "SchemaOlder",
    "StoreAway",
    "StoreBusy",
    "StoreDamaged",
    "StoreFailed",
    "StoreFull",
    "StoreReadOnly",
    "StoreUnreachable",
]


class InUse(Problem):
    """Another process drives runs on this SQLite file."""

    code = "store-in-use"

    def __init__(self, where: str, *, pid: int, command: str, since: str, host: str) -> None:
        who = f"process {pid} ({command})" if command else f"process {pid}"
        super().__init__(
            f"{where} is in use by {who} on {host} since {since}.",
            why="A SQLite store is driven by one process at a time, so that no two of them run the same task.",
            mend=f"Wait until it ends, or stop it with: kill {pid}. For several at a time use PostgreSQL.",
        )


class StoreFull(Problem):
    """There is no room for another row. Nothing half-written stays."""

    code = "store-full"

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"There is no room left in {where}.",
            why=f"The database said: {cause}. The change was taken back as a whole; what was stored before is safe.",
            mend="Make room on that disk (`tidemill gc` deletes what nothing needs); the same change then succeeds.",
        )


class StoreReadOnly(Problem):
    """The database may be read but not written."""

    code = "store-read-only"

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"{where} cannot be written.",
            why=f"The database said: {cause}.",
            mend="Give this user the right to write the file and its folder (PostgreSQL: connect to the primary, as the tables' owner).",
        )


class StoreDamaged(Problem):
    """The file is not a database any more, or not a whole one."""

    code = "store-damaged"

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"{where} is damaged, or is not a database.",
            why=f"The database said: {cause}.",
            mend="Restore it from a backup, or move the file and the files beside it away to begin with an empty store.",
        )


class StoreBusy(Problem):
    """Another connection held the database for too long."""

    code = "store-busy"

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"{where} was busy for too long; nothing was changed.",
            why=f"Another process held a lock on it: {cause}.",
            mend="Try again. If it lasts, look for a program that keeps the database open in a transaction (a backup, an SQL shell).",
        )


class StoreUnreachable(Problem):
    """The place named by the URL cannot be opened."""

    code = "store-unreachable"


class StoreAway(Problem):
    """The database server does not answer."""

    code = "store-away"

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"The database {where} does not answer.",
            why=f"The driver said: {cause}.",
            mend="Start the server, or check host, port, user and password in the store's URL. Nothing that was stored is lost.",
        )


class StoreFailed(Problem):
    """The database refused for a reason that has no name of its own here."""

    code = "store-failed"

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"The database {where} refused; nothing was changed.",
            why=f"It said: {cause}.",
            mend="See `tidemill doctor`. If disk and server are healthy, please report this text.",
        )


class Foreign(Problem):
    """A database with tables, none of which say that it is a store."""

    code = "store-foreign"

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} is not a Tidemill store.",
            why="It has tables, but none that says which version of the store they are.",
            mend="Name another file or an empty database.",
        )


class SchemaOlder(Problem):
    """The store was made by an older Tidemill."""

    code = "store-schema-older"

    def __init__(self, where: str, *, found: str, wanted: str) -> None:
        super().__init__(
            f"{where} was made by an older Tidemill.",
            why=f"Its tables are of version {found}; this Tidemill needs {wanted}.",
            mend="Make a backup, stop what runs on it, then: tidemill db upgrade",
        )


class SchemaNewer(Problem):
    """The store was made by a newer Tidemill."""

    code = "store-schema-newer"

    def __init__(self, where: str, *, found: str, wanted: str) -> None:
        super().__init__(
            f"{where} was made by a newer Tidemill.",
            why=f"Its tables are of version {found}, which this Tidemill does not know; it knows {wanted}.",
            mend="Install the newer version again: pip install --upgrade tidemill",
        )


class DriverMissing(Problem):
    """PostgreSQL is asked for, and its driver is not installed."""

    code = "store-driver-missing"

    def __init__(self) -> None:
        super().__init__(
            "PostgreSQL needs the driver psycopg, which is not installed here.",
            why="It comes with an extra of Tidemill.",
            mend="pip install 'tidemill[postgres]'",
        )


class OutOfStep(Corrupt):
    """Entries that do not follow the last one in the log. Nothing was changed."""

    code = "store-out-of-step"

    def __init__(self, run: str, *, last: int, given: int) -> None:
        super().__init__(
            f"The log of run {run} ends with entry {last}, and other entries from {given} on were to be added.",
            why="The engine's memory of this run and the log disagree: one of them has lost something.",
            mend="Let another engine take the run up: it reads the log. If this comes again, please report it.",
        )


class LostWrites(Problem):
    """Entries that were on disk once are gone."""

    code = "store-lost-writes"

    def __init__(self, where: str, *, had: int, has: int, lock: str) -> None:
        super().__init__(
            f"{where} has lost the last {had - has} entries of its log.",
            why=f"Entry {had} was stored durably, and the last one there now is {has}: the file, or its -wal file, was cut or replaced.",
            mend=f"Restore the database from a backup. To go on with what is left, delete {lock}.",
        )


class Moved(Problem):
    """What an environment shows is not what it was when the change was decided. No pointer was moved."""

    code = "refs-moved"

    def __init__(self, environment: str, wrong: Sequence[tuple[str, str, str, str]]) -> None:
        """`wrong`: asset, partition, the version that was expected, the one that is shown ("": none)."""
        told = [f"{_named(asset, part)} shows {_short(found)}, not {_short(thought)}" for asset, part, thought, found in wrong]
        more = f"; and {len(told) - 8} more" if len(told) > 8 else ""
        super().__init__(
            f"Nothing was published: {len(wrong)} of the assets of {environment!r} changed in the meantime.",
            why=f"{'; '.join(told[:8])}{more}.",
            mend="Look at what is shown now, and if you still want the change, ask for it again.",
        )
        self.wrong = tuple(wrong)


def _named(asset: str, partition: str) -> str:
    return f"{asset} [{partition}]" if partition else asset


def _short(version: str) -> str:
    return version[:12] if version else "nothing"


class EnvironmentTaken(Problem):
    """An environment of that name stands on another parent."""

    code = "environment-taken"

    def __init__(self, name: str, *, parent: str, asked: str) -> None:
        def on(it: str) -> str:
            return f"stands on {it!r}" if it else "stands on none"

        super().__init__(
            f"There is an environment {name!r} already, and it {on(parent)}.",
            why=f"It was to be made so that it {on(asked)}. What it stands on is never changed, since all that it shows would change.",
            mend="Take another name, or drop the one that is there first.",
        )


class EnvironmentNeeded(Problem):
    """An environment that must stay."""

    code = "environment-needed"

    def __init__(self, name: str, *, children: Sequence[str] = ()) -> None:
        names = ", ".join(children[:8]) + (" …" if len(children) > 8 else "")
        super().__init__(
            f"The environment {name!r} cannot be dropped.",
            why=f"These stand on it, and show what it shows: {names}." if children else "It is always there.",
            mend="Drop those first." if children else "",
        )
