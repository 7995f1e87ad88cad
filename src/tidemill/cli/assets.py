"""Assets on the command line: selected, planned, told, and made. Used by `run` and `plan`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping

import click

from tidemill.cli.render.words import Style, duration, json_text, plural, style_of, table
from tidemill.plan.values import Decision, Plan, State
from tidemill.ports import RunRow
from tidemill.project.data.facade import asset_plan
from tidemill.project.data.work import AssetWork, Wanted
from tidemill.project.project import Project
from tidemill.project.session import Session

__all__ = ["plan_lines", "prepare_assets", "tell_plan"]

_MOST = 50  # rows of a plan that people are shown
_SIGNS = {State.OK: "=", State.LINK: "→", State.RUN: "+", State.MAYBE: "?", State.WAIT: "…", State.HELD: "■", State.BLOCKED: "✗"}
_PLAIN_SIGNS = {State.OK: "=", State.LINK: ">", State.RUN: "+", State.MAYBE: "?", State.WAIT: ".", State.HELD: "#", State.BLOCKED: "x"}


async def prepare_assets(
    session: Session, project: Project, wanted: Wanted, params: Mapping[str, object], *, json_: bool
) -> tuple[RunRow, None] | None:
    """Plan what is wanted, say the plan, and record the run that makes it so; None when all is as it should be."""
    work = AssetWork(session, session.executor, environment=project.settings.environment, now=project.clock.now())
    plan, row = await work.prepare(wanted, params)
    if json_ and row is None:
        click.echo(json_text(plan))
    elif not json_:
        style = style_of(sys.stderr)
        for line in plan_lines(plan, style):
            click.echo(style.text(line), err=True)
    return None if row is None else (row, None)


def tell_plan(project: Project, wanted: Wanted, params: Mapping[str, object], *, json_: bool) -> int:
    """Say what a run of these assets would do. Returns the exit code."""
    command = f"tidemill plan {' '.join(wanted.words)}".strip()
    plan, remark = asyncio.run(asset_plan(project, wanted, params, command=command))
    style = style_of(sys.stdout)
    if remark:
        click.echo(remark, err=True)
    for line in [json_text(plan)] if json_ else plan_lines(plan, style):
        click.echo(line if json_ else style.text(line))
    return 0


def plan_lines(plan: Plan, style: Style) -> Iterator[str]:
    """The plan for people: what is not as it should be, each with its reason; then what it costs."""
    told = [one for one in plan.decisions if one.state is not State.OK]
    same = len(plan.decisions) - len(told)
    if told:
        yield from table(("", "ASSET", "STATE", "TAKES", "BECAUSE"), [_row(one, style) for one in told[:_MOST]], style)
        if len(told) > _MOST:
            yield f"… and {len(told) - _MOST:,} more (tidemill plan --json has all)."
    if same:
        yield f"{plural(same, 'asset')} {'is' if same == 1 else 'are'} as {'it' if same == 1 else 'they'} should be."
    if any(one.state in (State.RUN, State.MAYBE) for one in told):
        yield from _cost(plan)


def _row(one: Decision, style: Style) -> tuple[str, ...]:
    signs = _SIGNS if style.unicode else _PLAIN_SIGNS
    state = f"{one.state} p={one.likely:.2f}" if one.state is State.MAYBE else str(one.state)
    return signs[one.state], one.name, state, duration(one.seconds), "; ".join(one.because)


def _cost(plan: Plan) -> Iterator[str]:
    cost = plan.cost
    if cost.most:
        yield f"Cost: {duration(cost.least)} at least, {duration(cost.expected)} expected, {duration(cost.most)} at most."
    if cost.unknown:
        yield f"{plural(cost.unknown, 'asset')} never ran, so their time is not known."
    if len(plan.critical) > 1 and plan.critical_seconds:
        yield f"Critical path ({duration(plan.critical_seconds)}): {' → '.join(plan.critical)}"
