"""`tidemill doctor`: whether all promises hold, and what about this machine may lead to trouble."""

from __future__ import annotations

import sys

import click

from tidemill.cli.options import as_json, in_project, opened
from tidemill.cli.render.words import json_text, plural, style_of
from tidemill.project.upkeep.checkup import check


@click.command("doctor")
@as_json
@in_project
def command(json_: bool, project: str) -> int:
    """Check that all promises hold. Exit code 1 if one does not. Repairs nothing."""
    found = check(opened(project))
    if json_:
        click.echo(json_text({"well": not found.violations, "violations": found.violations, "facts": found.facts, "values": found.values}))
        return 1 if found.violations else 0
    style = style_of(sys.stdout)
    for fact in found.facts:
        click.echo(f"{fact.name}: {fact.value}" + (f"\n  {style.paint('note', 'retrying')}: {fact.warning}" if fact.warning else ""))
    click.echo(f"values read and compared: {found.values}")
    for violation in found.violations:
        click.echo(f"{style.paint(violation.rule, 'failed')}: {violation.detail}")
    if found.violations:
        click.echo(f"{plural(len(found.violations), 'promise')} {'is' if len(found.violations) == 1 else 'are'} broken.", err=True)
        return 1
    click.echo(style.paint("All is well.", "succeeded"))
    return 0
