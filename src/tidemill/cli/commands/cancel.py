"""`tidemill cancel`: ask a run to end, from any process; wait until its driver has seen it."""

from __future__ import annotations

import getpass
import time

import click

from tidemill.cli.commands.explain import driver_of
from tidemill.cli.options import as_json, find_run, in_project, opened
from tidemill.cli.render.words import json_text
from tidemill.machine.states import RUN_ENDS, RunState

_LOOK_EVERY = 0.1  # seconds


@click.command("cancel")
@click.argument("run")
@click.option("--because", default="", help="Why, for the record.")
@click.option("--wait", "patience", default=30.0, show_default=True, metavar="SECONDS", help="How long to wait for it to end.")
@as_json
@in_project
def command(run: str, because: str, patience: float, json_: bool, project: str) -> int:
    """Ask a run to end. Repeating it is harmless.

    RUN is an id, its unique beginning, or `last`.
    """
    found = opened(project)
    store = found.store()
    try:
        row = find_run(store, run)
        ended_before = row.state in RUN_ENDS
        if not ended_before:
            row = store.ask_cancel(row.id, by=_me(), because=because, now=found.clock.now())
        driver = "" if ended_before else driver_of(store, row, found.clock.now())
        until = found.clock.monotonic() + patience
        while driver and row.state not in RUN_ENDS and found.clock.monotonic() < until:
            time.sleep(_LOOK_EVERY)
            row = store.run(row.id)
    finally:
        store.close()
    if json_:
        click.echo(json_text({"id": row.id, "state": row.state, "because": row.because, "driver": driver}))
    elif ended_before:
        click.echo(f"Run {row.id} had ended already: {row.state}.", err=True)
    elif row.state in RUN_ENDS:
        click.echo(f"Run {row.id} of {row.flow} is {row.state}.", err=True)
    elif driver:
        click.echo(f"Run {row.id} is {row.state}. {driver} What runs is being stopped.", err=True)
    else:
        click.echo(f"The cancellation of run {row.id} is recorded. No process drives it; the next `tidemill run` of its project ends it.",
                   err=True)  # fmt: skip
    return 0 if row.state is RunState.CANCELLED or not ended_before else 1


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        return "the command line"
