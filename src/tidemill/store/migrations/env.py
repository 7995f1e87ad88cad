"""Run by Alembic: applies revisions on the connection it is given. Knows no URL: `upgrade.py` opens the database."""

from alembic import context

from tidemill.store.databases.tables import metadata, version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=version.name,
    transaction_per_migration=False,
)
context.run_migrations()
