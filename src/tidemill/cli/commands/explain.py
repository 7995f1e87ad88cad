"""`tidemill explain`: why a run, a task or an asset is as it is, as one chain of causes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click

from tidemill.cli.options import as_json, find_task, in_project, opened
from tidemill.cli.options import environment as environment_option
from tidemill.cli.render.words import Style, clip, instant, json_text, size, style_of, when
from tidemill.cli.versions import explain_asset, run_or_asset
from tidemill.engine.rows import read_event
from tidemill.machine.apply import fold
from tidemill.machine.run import Run
from tidemill.ports import RunRow, Store
from tidemill.project.session import lives
from tidemill.project.story import Explanation, of_run, of_task

_MOST = 40


@click.command("explain")
@click.argument("run")
@click.argument("task", required=False)
@as_json
@environment_option
@in_project
def command(run: str, task: str | None, json_: bool, environment: str, project: str) -> int:
    """Why something ran, did not, failed or waits. Of an asset: what it was made of, why, and what a run would do with it.

    RUN is an id, its unique beginning, or `last`; TASK is one task or one item of it: load[3]. Else RUN is the name of an asset.
    """
    found = opened(project, environment)
    store = found.store()
    try:
        row = run_or_asset(store, run, task)
        if row is None:
            return explain_asset(found, run, json_=json_)
        log = [read_event(entry) for entry in store.events(row.id)]
        state = fold(Run(row.id, store.graph(row.graph)), log)
        if task is None:
            told = of_run(row, state, log, driver=driver_of(store, row, found.clock.now()))
        elif task in state.places:
            told = of_task(state, log, task)
        else:
            one = find_task(store, row, task)
            told = of_task(state, log, one.place, one.unit - 1 if one.unit else None)
    finally:
        store.close()
    if json_:
        data = {"subject": told.subject, "state": told.state, "because": told.because, "inputs": told.inputs}
        click.echo(json_text({**data, "story": [{"at": instant(moment.at), "what": moment.what} for moment in told.story]}))
        return 0
    style = style_of(sys.stdout)
    for line in _lines(told, style):
        click.echo(style.text(line))
    return 0


def driver_of(store: Store, row: RunRow, now: float) -> str:
    """Which process drives a run, in words; empty when none does."""
    if row.owner is None or row.lease_until is None or row.lease_until < now:
        return ""
    for engine in store.engines():
        if engine.id == row.owner:
            if engine.host == os.uname().nodename and not lives(engine.pid):
                return ""
            return f"It is driven by process {engine.pid} on {engine.host} ({engine.command})."
    return ""


def _lines(told: Explanation, style: Style) -> Iterator[str]:
    yield f"{style.bold(told.subject[:1].upper() + told.subject[1:])} is {style.paint(told.state, told.state)}."
    yield from (f"  {text}" for text in told.because)
    if told.inputs:
        yield "It was given:"
        for one in told.inputs:
            what = f"{one.digest[:12]}… ({size(one.bytes)})" if one.digest and one.bytes is not None else ""
            yield f"  {one.name} from {one.source}: {what} {clip(one.preview, 80)}".rstrip()
    if told.story:
        yield "What happened:"
        for moment in told.story[:_MOST]:
            yield f"  {when(moment.at)[11:]}  {clip(moment.what, 400)}"
        if len(told.story) > _MOST:
            yield f"  … and {len(told.story) - _MOST:,} more (--json has all)"
