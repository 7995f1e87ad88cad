"""`tidemill env`: environments, each a map from assets to versions that stands on another."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from tidemill.cli.options import as_json, in_project, opened
from tidemill.cli.render.words import Style, clip, json_text, plural, style_of, table, when
from tidemill.graph.assets import Environment, short_version
from tidemill.ports import Store
from tidemill.project.assets import Assets
from tidemill.project.data.environments import Change, changes
from tidemill.project.data.work import NoEnvironment


@click.group("env")
def command() -> None:
    """Environments: branches of data that copy nothing."""


@command.command("list")
@as_json
@in_project
def list_(json_: bool, project: str) -> int:
    """All environments: what each stands on, and how many assets it shows itself."""
    store = opened(project).store()
    try:
        told = [(one, sum(ref.environment == one.name for ref in store.refs(one.name))) for one in store.environments()]
    finally:
        store.close()
    if json_:
        click.echo(json_text([_data(one, own) for one, own in told]))
        return 0
    rows = [(one.name, one.parent, f"{own:,}", when(one.created_at or None)) for one, own in told]
    for line in table(("ENVIRONMENT", "STANDS ON", "OWN ASSETS", "MADE"), rows, style_of(sys.stdout)):
        click.echo(line)
    return 0


@command.command("create")
@click.argument("name")
@click.option("--from", "parent", default="default", show_default=True, metavar="PARENT", help="The environment that it stands on.")
@as_json
@in_project
def create(name: str, parent: str, json_: bool, project: str) -> int:
    """Make an environment that shows what PARENT shows, until something is computed in it. Nothing is copied."""
    found = opened(project)
    store = found.store()
    try:
        made = store.create_environment(Environment(name=name, parent=parent, created_at=found.clock.now()))
    finally:
        store.close()
    if json_:
        click.echo(json_text(_data(made, 0)))
    else:
        click.echo(f"{made.name} stands on {made.parent}. Use it with: tidemill run --env {made.name}", err=True)
    return 0


@command.command("drop")
@click.argument("name")
@in_project
def drop(name: str, project: str) -> int:
    """Forget an environment. Its versions stay until `tidemill gc` finds that nothing needs them."""
    store = opened(project).store()
    try:
        store.drop_environment(name)
    finally:
        store.close()
    click.echo(f"{name} is forgotten.", err=True)
    return 0


@command.command("diff")
@click.argument("a")
@click.argument("b")
@as_json
@in_project
def diff(a: str, b: str, json_: bool, project: str) -> int:
    """What B shows otherwise than A: versions, rows, columns, and why they differ."""
    found = opened(project)
    store = found.store()
    try:
        before, after = (_shown(store, name, found.clock.now()) for name in (a, b))
        told = changes(before, after)
    finally:
        store.close()
    if json_:
        click.echo(json_text(told))
        return 0
    style = style_of(sys.stdout)
    for line in _lines(told, a, b, style):
        click.echo(style.text(line))
    return 0


def _data(one: Environment, own: int) -> dict[str, Any]:
    return {"name": one.name, "parent": one.parent, "own_assets": own, "protected": one.protected}


def _shown(store: Store, name: str, now: float) -> Assets:
    known = [one.name for one in store.environments()]
    if name not in known:
        raise NoEnvironment(name, known)
    return Assets(store, (), name, now=now)


def _lines(told: list[Change], a: str, b: str, style: Style) -> Iterator[str]:
    if not told:
        yield f"{a} and {b} show the same."
        return
    yield f"{plural(len(told), 'asset')} in {b} {'is' if len(told) == 1 else 'are'} not as in {a}:"
    rows = [
        (
            one.kind,
            one.asset,
            f"{short_version(one.before, 8) or '–'} → {short_version(one.after, 8) or '–'}",
            _rows(one),
            "; ".join(_why(one)),
        )
        for one in told
    ]
    yield from table(("", "ASSET", "VERSION", "ROWS", "BECAUSE"), rows, style)


def _rows(one: Change) -> str:
    def told(rows: int | None) -> str:
        return f"{rows:,}" if rows is not None else "–"

    if one.rows_before is None and one.rows_after is None:
        return ""
    return told(one.rows_after) if one.rows_before == one.rows_after else f"{told(one.rows_before)} → {told(one.rows_after)}"


def _why(one: Change) -> Iterable[str]:
    yield from one.because
    for word, columns in (("new columns", one.columns_added), ("columns gone", one.columns_removed), ("other types", one.columns_retyped)):
        if columns:
            yield clip(f"{word}: {', '.join(columns)}", 200)
