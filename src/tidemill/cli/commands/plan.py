"""`tidemill plan`: what a flow would run, in which order, and how long that took before. Changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tidemill.cli.options import as_json, environment, in_project, only_flow, split_words, with_flow_parameters
from tidemill.cli.render.words import Style, duration, json_text, plural, style_of, table
from tidemill.project.forecast import Forecast, Step
from tidemill.project.places import find
from tidemill.project.project import Project


@click.command("plan", context_settings={"ignore_unknown_options": True})
@with_flow_parameters
@as_json
@environment
@in_project
def command(words: tuple[str, ...], params: tuple[str, ...], json_: bool, environment: str, project: str) -> int:
    """What a flow would run, in which order, and how long. Changes nothing."""
    targets, raw = split_words(words, params)
    place = find([project, *targets] if project else targets, Path.cwd())
    found = Project.at(place, environment).plan(only_flow(place.names), raw)
    if json_:
        click.echo(json_text(found))
        return 0
    style = style_of(sys.stdout)
    for line in _lines(found, style):
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
