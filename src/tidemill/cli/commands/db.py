"""`tidemill db`: the metadata store itself."""

from __future__ import annotations

import click

from tidemill.cli.options import in_project, opened


@click.group("db")
def command() -> None:
    """The metadata store."""


@command.command("upgrade")
@in_project
def upgrade(project: str) -> int:
    """Bring the store to the version of this Tidemill. Make a backup before."""
    from tidemill.store import upgrade as apply  # lazily: SQLAlchemy and Alembic are not needed for --help

    done = apply(opened(project).settings.database_url)
    for revision in done:
        click.echo(revision)
    click.echo(f"{len(done)} revisions were applied." if done else "It is up to date.", err=True)
    return 0
