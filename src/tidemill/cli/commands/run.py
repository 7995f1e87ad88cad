"""`tidemill run`: a flow, to its end, recorded."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidemill.cli.options import as_json, environment, in_project, only_flow, split_words, with_flow_parameters
from tidemill.project.places import find
from tidemill.project.project import Project

if TYPE_CHECKING:
    from tidemill.cli.driving import Prepared
    from tidemill.project.session import Session


@click.command("run", context_settings={"ignore_unknown_options": True})
@with_flow_parameters
@click.option("--refresh", is_flag=True, help="Compute also what `cache=` remembers.")
@as_json
@environment
@in_project
def command(words: tuple[str, ...], params: tuple[str, ...], refresh: bool, json_: bool, environment: str, project: str) -> int:
    """Run a flow, with live progress. Exit code 0 only if all succeeded.

    TARGET is a file, a folder or a module; without one, the project of this folder. FLOW may be left out where there is only one.
    Parameters of the flow: --NAME VALUE.
    """
    targets, raw = split_words(words, params)
    place = find([project, *targets] if project else targets, Path.cwd())
    flow = only_flow(place.names)
    found = Project.at(place, environment)
    session = found.session(command=shlex.join(["tidemill", *sys.argv[1:]]), refresh=refresh)
    from tidemill.cli.driving import drive  # lazily: all this is imported while the supervisor imports the project

    async def prepare(session: Session) -> Prepared:
        return await session.create(await session.build(flow, raw), because="asked for on the command line"), None

    return drive(found, session, prepare, json_=json_, option=elsewhere(found))


def elsewhere(project: Project) -> str:
    """The option that other commands need to find this project from the current folder: none if they find it by themselves."""
    here = Path.cwd()
    if project.home == Project.at(find([], here)).home:
        return ""
    return f" --project {shlex.quote(os.path.relpath(project.place.folder, here))}"
