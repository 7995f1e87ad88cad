"""`tidemill promote`: pointers of one environment move to another; or one asset back to an earlier version."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tidemill.cli.options import as_json, in_project
from tidemill.cli.render.words import Style, json_text, plural, style_of, table
from tidemill.errors import BadSetting
from tidemill.graph.assets import short_version
from tidemill.project.assets import Assets
from tidemill.project.data.environments import Promotion, roll_back
from tidemill.project.data.work import NoEnvironment
from tidemill.project.places import find
from tidemill.project.project import Project


@click.command("promote")
@click.argument("words", nargs=-1, required=True, metavar="FROM [SELECTION]... | ASSET --version V")
@click.option("--to", "target", default="default", show_default=True, metavar="TARGET", help="The environment whose pointers move.")
@click.option("--plan", "only_plan", is_flag=True, help="Only say what would move, and what would be left to build.")
@click.option("--version", default="", metavar="V", help="Show this earlier version of ASSET again: the beginning of it is enough.")
@as_json
@in_project
def command(words: tuple[str, ...], target: str, only_plan: bool, version: str, json_: bool, project: str) -> int:
    """Move what one environment shows to another; or roll back. Moves pointers, all or none; computes and copies nothing.

    What was computed from exactly what TARGET shows moves; the rest is listed as work. With --version: roll back one asset.
    """
    place = find([project] if project else [], Path.cwd())
    found = Project.at(place)
    if version:
        return _roll_back(found, words, target, version, json_=json_, only_plan=only_plan)
    told, moved = found.promote(words[0], to=target, selection=words[1:], only_plan=only_plan)
    if json_:
        click.echo(json_text({"moves": told.moves, "work": told.work, "same": told.same, "moved": moved}))
        return 0
    style = style_of(sys.stdout)
    for line in _lines(told, target, style, done=moved):
        click.echo(style.text(line))
    return 0


def _roll_back(project: Project, words: tuple[str, ...], target: str, version: str, *, json_: bool, only_plan: bool) -> int:
    if len(words) != 1 or only_plan:
        raise BadSetting("--version goes with the name of one asset.", mend="Write: tidemill promote ASSET --version V [--to TARGET]")
    store = project.store()
    try:
        known = [one.name for one in store.environments()]
        if target not in known:
            raise NoEnvironment(target, known)
        moved = roll_back(Assets(store, (), target, now=project.clock.now()), words[0], version)
    finally:
        store.close()
    click.echo(
        json_text(moved) if json_ else f"{target} shows {moved.asset} {short_version(moved.version)} again, made in run {moved.run}."
    )
    return 0


def _lines(told: Promotion, target: str, style: Style, *, done: bool) -> Iterator[str]:
    verb = "moved" if done else "would move"
    if told.moves:
        rows = [(ref.asset, short_version(ref.version), f"made in run {ref.run}") for ref in told.moves]
        yield from table((verb.upper(), "VERSION", ""), rows, style)
        yield f"{plural(len(told.moves), 'pointer')} of {target} {verb}."
    if told.work:
        yield f"To be built in {target}, because it was not computed from what {target} shows:"
        yield from table(("ASSET", "STATE", "BECAUSE"), [(one.name, str(one.state), "; ".join(one.because)) for one in told.work], style)
    if not told.moves and not told.work:
        yield f"{target} shows all of it already."
