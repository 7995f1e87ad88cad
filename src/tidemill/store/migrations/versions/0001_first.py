"""The first tables. Never changed after a release: what comes later is a revision of its own.

Frozen: it repeats what `tables.py` said then, and tests/migration holds that both make the same database.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNFINISHED = sa.text("state IN ('cancelling', 'queued', 'running')")
NODE = sa.text("unit = 0")


def text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def maybe(kind: sa.types.TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]


def need(kind: sa.types.TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def upgrade() -> None:
    make_runs()
    make_tasks()
    make_log()
    make_assets()
    make_others()


def make_runs() -> None:
    op.create_table("graphs", *text("digest"), *need(sa.LargeBinary(), "body"), sa.PrimaryKeyConstraint("digest"))
    op.create_table(
        "runs",
        *text("id", "key", "flow", "graph", "state", "because", "origin", "environment", "project", "params"),
        *maybe(TEXT, "retry_of"),
        *need(sa.Double(), "created_at"),
        *maybe(sa.Double(), "started_at", "ended_at"),
        *maybe(TEXT, "owner"),
        *need(LONG, "epoch"),
        *maybe(sa.Double(), "lease_until"),
        *need(sa.Integer(), "recoveries"),
        *maybe(TEXT, "cancel"),
        *text("counts"),
        *maybe(TEXT, "output", "failure"),
        *need(sa.Integer(), "n"),
        *text("chain"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("runs_newest", "runs", ["created_at", "id"])
    op.create_index("runs_of_flow", "runs", ["flow", "created_at", "id"])
    op.create_index("runs_unfinished", "runs", ["created_at", "id"], sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)


def make_tasks() -> None:
    op.create_table(
        "tasks",
        *text("run", "place"),
        *need(sa.Integer(), "unit"),
        *text("task", "state", "name"),
        *need(sa.Integer(), "attempt"),
        *maybe(sa.Integer(), "size"),
        *text("because"),
        *maybe(sa.Double(), "ready_at", "started_at", "ended_at"),
        *need(sa.Double(), "cpu"),
        *need(LONG, "memory"),
        *maybe(TEXT, "output", "failure"),
        sa.PrimaryKeyConstraint("run", "place", "unit"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("tasks_nodes", "tasks", ["run", "place"], sqlite_where=NODE, postgresql_where=NODE)
    op.create_table(
        "attempts",
        *text("run", "place"),
        *need(sa.Integer(), "unit", "attempt"),
        *need(sa.Double(), "started_at", "ended_at"),
        *maybe(TEXT, "failure"),
        *need(sa.Double(), "cpu"),
        *need(LONG, "memory"),
        sa.PrimaryKeyConstraint("run", "place", "unit", "attempt"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "notes",
        *text("run", "place"),
        *need(sa.Integer(), "unit", "attempt"),
        *text("kind", "name"),
        *need(sa.Double(), "slot", "at"),
        *maybe(TEXT, "value", "handle"),
        sa.PrimaryKeyConstraint("run", "place", "unit", "attempt", "kind", "name", "slot"),
        sqlite_with_rowid=False,
    )


def make_log() -> None:
    op.create_table(
        "events",
        sa.Column("seq", LONG, sa.Identity(), primary_key=True),
        *text("run"),
        *need(sa.Integer(), "n"),
        *text("kind"),
        *need(sa.Double(), "at"),
        *need(sa.LargeBinary(), "body"),
        *text("chain"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_run", "events", ["run", "n"], unique=True)


def make_assets() -> None:
    op.create_table(
        "memos",
        *text("key", "node", "handle"),
        *need(sa.Double(), "at"),
        *text("run", "parts"),
        *need(sa.Double(), "seconds"),
        *maybe(sa.Double(), "expires_at"),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
    op.create_index("memos_of_node", "memos", ["node", "at", "seconds"])
    op.create_table(
        "refs",
        *text("environment", "asset", "partition", "version", "key", "handle"),
        *need(sa.Double(), "at"),
        *text("run", "place", "because", "before"),
        sa.PrimaryKeyConstraint("environment", "asset", "partition"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "publications",
        sa.Column("seq", LONG, sa.Identity(), primary_key=True),
        *text("environment", "asset", "partition", "version", "key", "handle"),
        *need(sa.Double(), "at"),
        *text("run", "place", "because", "before"),
    )
    op.create_index("publications_of_asset", "publications", ["asset", "seq", "environment"])
    op.create_index("publications_of_part", "publications", ["asset", "partition", "seq", "environment"])
    op.create_table(
        "environments",
        *text("name", "parent"),
        *need(sa.Double(), "created_at"),
        *need(sa.Integer(), "protected"),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )


def make_others() -> None:
    op.create_table(
        "engines",
        *text("id", "host"),
        *need(sa.Integer(), "pid"),
        *need(sa.Double(), "started_at", "seen_at"),
        *text("command"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
