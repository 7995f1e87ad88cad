"""`tidemill runs`: what was run, newest first."""

from __future__ import annotations

import sys

import click

from tidemill.cli.options import as_json, in_project, opened
from tidemill.cli.render.words import ago, clip, counted, duration, instant, json_text, style_of, table
from tidemill.errors import BadSetting, nearest
from tidemill.graph.durations import seconds
from tidemill.machine.states import RunState
from tidemill.ports import Page, RunFilter, RunRow
from tidemill.store.pages import page_key


@click.command("runs")
@click.option("--flow", help="Only runs of this flow.")
@click.option("--state", "states", multiple=True, help="Only runs in this state; may be given several times.")
@click.option("--since", help="Only runs made so long ago at most: 2h, 7d.")
@click.option("--limit", default=20, show_default=True, help="How many.")
@click.option("--after", help="The page after this key, which the page before ends with.")
@as_json
@in_project
def command(
    *, flow: str | None, states: tuple[str, ...], since: str | None, limit: int, after: str | None, json_: bool, project: str
) -> int:
    """What was run, newest first."""
    found = opened(project)
    now = found.clock.now()
    after_time = None if since is None else now - seconds(since, name="--since")
    which = RunFilter(flow=flow, states=tuple(map(_state, states)), created_after=after_time)
    store = found.store()
    try:
        rows = store.runs(which, Page(limit=max(1, limit), after=after))
    finally:
        store.close()
    more = page_key(rows[-1]) if len(rows) == limit else None
    if json_:
        click.echo(json_text({"runs": [_data(row) for row in rows], "after": more}))
        return 0
    if not rows:
        click.echo("There are no such runs.", err=True)
        return 0
    style = style_of(sys.stdout)
    lines = [(row.id, row.flow, str(row.state), ago(row.created_at, now), _took(row, now), clip(_tale(row), 200)) for row in rows]
    for line in table(("RUN", "FLOW", "STATE", "MADE", "TOOK", ""), lines, style, states=2):
        click.echo(style.text(line))
    if more is not None:
        click.echo(f"More: tidemill runs --after '{more}'", err=True)
    return 0


def _state(word: str) -> RunState:
    try:
        return RunState(word)
    except ValueError:
        guess = nearest(word, [state.value for state in RunState])
        raise BadSetting(
            f"There is no state {word!r} of runs.",
            why=f"They are {', '.join(state.value for state in RunState)}.",
            mend=f"Did you mean {guess!r}?" if guess else "",
        ) from None


def _took(row: RunRow, now: float) -> str:
    return duration((row.ended_at or now) - row.started_at) if row.started_at is not None else ""


def _tale(row: RunRow) -> str:
    params = ", ".join(f"{name}={value}" for name, value in row.params.items())
    why = row.because if row.state in (RunState.FAILED, RunState.CANCELLED) else counted(row.counts) if row.counts else ""
    return "; ".join(text for text in (why, params, f"retry of {row.retry_of}" if row.retry_of else "") if text)


def _data(row: RunRow) -> dict[str, object]:
    return {
        "id": row.id, "flow": row.flow, "state": row.state, "because": row.because, "origin": row.origin, "environment": row.environment,
        "params": row.params, "retry_of": row.retry_of, "created_at": instant(row.created_at), "started_at": instant(row.started_at),
        "ended_at": instant(row.ended_at), "counts": row.counts,
    }  # fmt: skip
