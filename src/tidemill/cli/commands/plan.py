"""`tidemill plan`: what a run would do, in which order, why, and how long that took before. Computes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from tidemill.cli.render.words import Style, duration, json_text, plural, style_of, table
from tidemill.errors import Problem
from tidemill.project.forecast import Forecast, Step
from tidemill.project.places import find
from tidemill.project.project import Project


@click.command("plan", context_settings={"ignore_unknown_options": True})
@with_flow_parameters
@click.option("--refresh", is_flag=True, help="As if nothing were remembered of the selected assets.")
@click.option("--exclude", multiple=True, metavar="SELECTION", help="Assets to leave out.")
@as_json
@environment
@in_project
def command(words: tuple[str, ...], params: tuple[str, ...], refresh: bool, exclude: tuple[str, ...], **given: Any) -> int:
    """What a run would do, and why: of a flow, or of a selection of assets. Computes nothing.

    TARGET, FLOW and selections are those of `tidemill run`.
    """
    json_, project = given["json_"], given["project"]
    targets, raw = split_words(words, params)
    place = find([project, *targets] if project else targets, Path.cwd())
    found = Project.at(place, given["environment"])
    from tidemill.cli.assets import tell_plan  # lazily: it imports an engine
    from tidemill.project.data.work import Wanted

    told: Forecast | None = None
    if not looks_like_assets(place.names) and not exclude and not refresh:
        try:
            told = found.plan(only_flow(place.names), raw)
        except Problem as problem:
            if not could_be_assets(problem) or not found.assets():
                raise
    if told is None:
        return tell_plan(found, Wanted(place.names, exclude, refresh), raw, json_=json_)
    if json_:
        click.echo(json_text(told))
        return 0
    style = style_of(sys.stdout)
    for line in _lines(told, style):
        click.echo(style.text(line))
    return 0


def _lines(plan: Forecast, style: Style) -> Iterator[str]:
    given = f" with {', '.join(f'{name}={value}' for name, value in plan.params.items())}" if plan.params else ""
    yield f"{style.bold(plan.flow)}{given}: {plural(len(plan.steps), 'task')} would run."
    rows = [(str(n), _name(step, style), duration(step.seconds) or "never ran", _after(step)) for n, step in enumerate(plan.steps, 1)]
    yield from table(("", "TASK", "TOOK", "RUNS WHEN"), rows, style)
    if plan.seconds is not None:
        yield f"The whole run took {duration(plan.seconds)} (median of the last runs)."
    if plan.critical:
        path = " → ".join(step.key for step in plan.steps if step.critical)
        yield f"Critical path ({duration(plan.critical)}): {path}"
    if plan.unknown:
        yield f"{plural(plan.unknown, 'task')} never ran, so their time is not known."


def _name(step: Step, style: Style) -> str:
    times = "×" if style.unicode else "x"
    if not step.mapped:
        return step.key
    if step.size is None:
        return f"{step.key} {times}?"
    return f"{step.key} {times}{step.size:,}{' last time' if step.size_is == 'last time' else ''}"


def _after(step: Step) -> str:
    waits = ", ".join(step.after[:5]) + (f" and {len(step.after) - 5} more" if len(step.after) > 5 else "")
    return f"{step.because}{f': {waits}' if waits and step.role == 'task' else ''}"
