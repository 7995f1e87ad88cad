"""The tables, as values. Only plain column types, so that both databases take the same tuples.

What only PostgreSQL is told is in `postgres.py`: to name its options here would load its dialect into every command.
Text is ordered by code point everywhere (collation "C"), so that a page ends at the same row in every store.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy import literal_column as literal

from tidemill.machine.states import RUN_ENDS, RunState

SCHEMA = "0001"
"""The revision of these tables: the last one in `migrations/versions`."""

ENDED = ", ".join(f"'{state.value}'" for state in sorted(RUN_ENDS))
UNFINISHED = ", ".join(f"'{state.value}'" for state in sorted(set(RunState) - RUN_ENDS))

metadata = MetaData()
_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Long = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str, **more: object) -> Column[str]:
    return Column(name, _Text, nullable=False, **more)  # type: ignore[arg-type]


def among(column: Column[str], states: str) -> ColumnElement[bool]:
    """`column IN (…)` with the states spelled out: a partial index is used only by a query that repeats its words."""
    return column.in_([literal(state) for state in states.split(", ")])


graphs = Table("graphs", metadata, _text("digest", primary_key=True), Column("body", LargeBinary, nullable=False))

runs = Table(
    "runs",
    metadata,
    _text("id", primary_key=True),
    _text("key", unique=True),
    _text("flow"),
    _text("graph"),
    _text("state"),
    _text("because"),
    _text("origin"),
    _text("environment"),
    _text("project"),
    _text("params"),  # JSON
    Column("retry_of", _Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("owner", _Text),
    Column("epoch", _Long, nullable=False),
    Column("lease_until", Double),
    Column("recoveries", Integer, nullable=False),
    Column("cancel", _Text),
    Column("counts", _Text, nullable=False),  # JSON
    Column("output", _Text),  # JSON
    Column("failure", _Text),  # JSON
    Column("n", Integer, nullable=False),  # the last entry of its log
    _text("chain"),  # and its hash
)
Index("runs_newest", runs.c.created_at, runs.c.id)
Index("runs_of_flow", runs.c.flow, runs.c.created_at, runs.c.id)
_open = among(runs.c.state, UNFINISHED)
Index("runs_unfinished", runs.c.created_at, runs.c.id, sqlite_where=_open)

tasks = Table(
    "tasks",
    metadata,
    _text("run", primary_key=True),
    _text("place", primary_key=True),
    Column("unit", Integer, primary_key=True, autoincrement=False),
    _text("task"),
    _text("state"),
    _text("name"),
    Column("attempt", Integer, nullable=False),
    Column("size", Integer),
    _text("because"),
    Column("ready_at", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("cpu", Double, nullable=False),
    Column("memory", _Long, nullable=False),
    Column("output", _Text),  # JSON
    Column("failure", _Text),  # JSON
    sqlite_with_rowid=False,
)
NODE = tasks.c.unit == literal("0")
# A run's nodes, without walking over a hundred thousand items between two of them.
Index("tasks_nodes", tasks.c.run, tasks.c.place, sqlite_where=NODE)

attempts = Table(
    "attempts",
    metadata,
    _text("run", primary_key=True),
    _text("place", primary_key=True),
    Column("unit", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Column("failure", _Text),  # JSON
    Column("cpu", Double, nullable=False),
    Column("memory", _Long, nullable=False),
    sqlite_with_rowid=False,
)

notes = Table(
    "notes",
    metadata,
    _text("run", primary_key=True),
    _text("place", primary_key=True),
    Column("unit", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    _text("kind", primary_key=True),
    _text("name", primary_key=True),
    Column("slot", Double, primary_key=True),  # when; of progress 0: only the last counts
    Column("at", Double, nullable=False),
    Column("value", _Text),  # "f…" a number, "s…" text
    Column("handle", _Text),  # JSON
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    # Never given out twice, even when the newest entries were forgotten: a reader may hold the number.
    Column("seq", _Long, Identity(), primary_key=True),
    _text("run"),
    Column("n", Integer, nullable=False),
    _text("kind"),
    Column("at", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _text("chain"),
    sqlite_autoincrement=True,
)
Index("events_of_run", events.c.run, events.c.n, unique=True)

memos = Table(
    "memos",
    metadata,
    _text("key", primary_key=True),
    _text("node"),
    _text("handle"),  # JSON
    Column("at", Double, nullable=False),
    _text("run"),
    _text("parts"),  # JSON
    Column("seconds", Double, nullable=False),
    Column("expires_at", Double),
    sqlite_with_rowid=False,
)
Index("memos_of_node", memos.c.node, memos.c.at, memos.c.seconds)


def _move() -> list[Column[Any]]:
    """What is said of a version that a pointer was moved to."""
    texts = [_text(name) for name in ("run", "place", "because", "before")]
    return [_text("version"), _text("key"), _text("handle"), Column("at", Double, nullable=False), *texts]  # handle: JSON


refs = Table(
    "refs",
    metadata,
    _text("environment", primary_key=True),
    _text("asset", primary_key=True),
    _text("partition", primary_key=True),
    *_move(),
    sqlite_with_rowid=False,
)

publications = Table(
    "publications",  # every move of a pointer; never changed, never deleted
    metadata,
    Column("seq", _Long, Identity(), primary_key=True),
    _text("environment"),
    _text("asset"),
    _text("partition"),
    *_move(),
)
# The environment stands last: a history is walked newest first, and what is not asked for is passed over in the index.
Index("publications_of_asset", publications.c.asset, publications.c.seq, publications.c.environment)
Index("publications_of_part", publications.c.asset, publications.c.partition, publications.c.seq, publications.c.environment)

environments = Table(
    "environments",
    metadata,
    _text("name", primary_key=True),
    _text("parent"),
    Column("created_at", Double, nullable=False),
    Column("protected", Integer, nullable=False),  # 0 or 1
    sqlite_with_rowid=False,
)

engines = Table(
    "engines",
    metadata,
    _text("id", primary_key=True),
    _text("host"),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    _text("command"),
    sqlite_with_rowid=False,
)

# As Alembic would make it.
_VERSION = PrimaryKeyConstraint("version_num", name="tidemill_version_pkc")
version = Table("tidemill_version", metadata, Column("version_num", String(32), nullable=False), _VERSION)
