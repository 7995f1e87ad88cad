"""`tidemill retry`: a new run that takes over what succeeded in an old one."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from tidemill.cli.options import as_json, find_run, in_project, opened, split_words
from tidemill.project.places import Place
from tidemill.project.project import Project
from tidemill.project.rerun import check_retry, rerun

if TYPE_CHECKING:
    from tidemill.cli.driving import Prepared
    from tidemill.project.session import Session


@click.command("retry", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="RUN [--NAME VALUE]...")
@click.option("--from", "again", multiple=True, metavar="TASK", help="Run this task and all after it again, also if it succeeded.")
@click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE", help="Another value for a parameter; also: --NAME VALUE.")
@as_json
@in_project
def command(words: tuple[str, ...], again: tuple[str, ...], params: tuple[str, ...], json_: bool, project: str) -> int:
    """Run again what did not succeed, reusing what did: a new run.

    RUN is an id, its unique beginning, or `last`. The flow's code of today is taken, with the parameters of then.
    """
    runs, raw = split_words(words, params)
    if len(runs) != 1:
        raise click.UsageError("Name one run: its id, the beginning of it, or `last`.")
    found = opened(project)
    store = found.store()
    try:
        row = find_run(store, runs[0])
    finally:
        store.close()
    check_retry(row, again, raw)
    target = row.project or found.place.target
    of_run = Project.at(Place(found.place.folder, target), row.environment)
    session = of_run.session(command=shlex.join(["tidemill", *sys.argv[1:]]))
    from tidemill.cli.commands.run import elsewhere  # lazily: imported while the supervisor imports the project
    from tidemill.cli.driving import drive
    from tidemill.project.session import folded

    async def prepare(session: Session) -> Prepared:
        before = folded(session.store, row)
        if assets := [node.publishes.asset for node in before.graph.nodes if node.publishes is not None]:
            return await _assets_again(session, of_run, assets, again, json_=json_)
        made = await rerun(row, before, session.build, at=of_run.clock.now(), again=again, params=raw)
        if made.older and not json_:
            click.echo(
                f"The code of {', '.join(made.older[:5])} has changed since; what it returned then is kept. "
                f"To run it again: tidemill retry {row.id} --from {made.older[0]}",
                err=True,
            )
        return await session.create(made.graph, origin="retry", because=f"a retry of run {row.id}", retry_of=row.id), made.inherited

    return drive(of_run, session, prepare, json_=json_, option=elsewhere(found))


async def _assets_again(session: Session, project: Project, assets: list[str], again: tuple[str, ...], *, json_: bool) -> Prepared:
    """Bring the assets of that run up to date: what it made is reused by its key. Those named by `--from`, and all after them, anew."""
    from tidemill.cli.assets import prepare_assets  # lazily: a flow has no use for the planner
    from tidemill.project.data.work import Wanted

    wanted = Wanted(tuple(f"{name}+" for name in again), refresh=True) if again else Wanted(tuple(assets))
    return await prepare_assets(session, project, wanted, {}, json_=json_)
