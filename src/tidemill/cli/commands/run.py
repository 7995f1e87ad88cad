"""`tidemill run`: a flow, to its end, recorded."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.options import (
    as_json,
    could_be_assets,
    environment,
    in_project,
    looks_like_assets,
    only_flow,
    split_words,
    with_flow_parameters,
)
from tidemill.errors import Problem
from tidemill.project.places import find
from tidemill.project.project import Project

if TYPE_CHECKING:
    from tidemill.cli.driving import Prepared
    from tidemill.project.session import Session


@click.command("run", context_settings={"ignore_unknown_options": True})
@with_flow_parameters
@click.option("--refresh", is_flag=True, help="Compute also what `cache=` remembers.")
@click.option("--exclude", multiple=True, metavar="SELECTION", help="Assets to leave out.")
@as_json
@environment
@in_project
def command(words: tuple[str, ...], params: tuple[str, ...], refresh: bool, exclude: tuple[str, ...], **given: Any) -> int:
    """Run a flow, or bring assets up to date, with live progress. Exit code 0 only if all succeeded.

    TARGET is a file, a folder or a module; without one, the project of this folder. Then a flow, which may be left out where
    there is only one, or a selection of assets: revenue, +revenue, tag:finance, '*'. Parameters: --NAME VALUE.
    """
    json_, environment, project = given["json_"], given["environment"], given["project"]
    targets, raw = split_words(words, params)
    place = find([project, *targets] if project else targets, Path.cwd())
    found = Project.at(place, environment)
    session = found.session(command=shlex.join(["tidemill", *sys.argv[1:]]), refresh=refresh)
    from tidemill.cli.driving import drive  # lazily: all this is imported while the supervisor imports the project

    async def prepare(session: Session) -> Prepared:
        if not looks_like_assets(place.names) and not exclude:
            try:
                return await session.create(await session.build(only_flow(place.names), raw), because="asked for on the command line"), None
            except Problem as problem:
                if not could_be_assets(problem) or not await session.executor.catalog(raw):
                    raise
        from tidemill.cli.assets import prepare_assets  # lazily: a flow has no use for the planner
        from tidemill.project.data.work import Wanted

        return await prepare_assets(session, found, Wanted(place.names, exclude, refresh), raw, json_=json_)

    return drive(found, session, prepare, json_=json_, option=elsewhere(found))


def elsewhere(project: Project) -> str:
    """The option that other commands need to find this project from the current folder: none if they find it by themselves."""
    here = Path.cwd()
    if project.home == Project.at(find([], here)).home:
        return ""
    return f" --project {shlex.quote(os.path.relpath(project.place.folder, here))}"
