"""`tidemill gc`: old runs, and values and logs that nothing needs, are deleted."""

from __future__ import annotations

import click

from tidemill.cli.options import as_json, in_project, opened
from tidemill.cli.render.words import duration, json_text, plural, size
from tidemill.project.upkeep.retention import collect


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@as_json
@in_project
def command(dry_run: bool, json_: bool, project: str) -> int:
    """Delete old runs, and values and logs that nothing needs.

    The settings `retention` and `retention_runs` say what is old.
    """
    found = opened(project)
    freed = collect(found, dry_run=dry_run)
    if json_:
        click.echo(json_text({"dry_run": dry_run, **{name: getattr(freed, name) for name in freed.__struct_fields__}}))
        return 0
    would = "would be " if dry_run else ""
    settings = found.settings
    click.echo(f"{plural(len(freed.runs), 'run')} {would}forgotten (ended more than {duration(settings.retention)} ago, "
               f"the newest {settings.retention_runs} of each flow kept).")  # fmt: skip
    click.echo(f"{plural(freed.logs, 'folder')} of logs {would}deleted: {size(freed.log_bytes)}.")
    click.echo(f"{plural(freed.values, 'value')} that nothing names {would}deleted: {size(freed.value_bytes)}.")
    return 0
