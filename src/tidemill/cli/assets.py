"""Assets on the command line: selected, planned, told, and made. Used by `run` and `plan`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import click

from tidemill.cli.render.words import Style, duration, json_text, plural, style_of, table
from tidemill.errors import Problem
from tidemill.plan.values import Decision, Plan, State
from tidemill.ports import RunRow
from tidemill.project.assets import AssetLoader, Assets
from tidemill.project.project import Project
from tidemill.project.session import Session

__all__ = ["AssetChoice", "AssetRun", "could_be_assets", "looks_like_assets", "plan_lines", "prepare_assets"]

_SELECTION = re.compile(r"[+@:,*/]")
_SIGNS = {State.OK: "=", State.LINK: "→", State.RUN: "+", State.MAYBE: "?", State.WAIT: "…", State.HELD: "■", State.BLOCKED: "✗"}
_PLAIN_SIGNS = {State.OK: "=", State.LINK: ">", State.RUN: "+", State.MAYBE: "?", State.WAIT: ".", State.HELD: "#", State.BLOCKED: "x"}


def looks_like_assets(names: Sequence[str]) -> bool:
    """Whether these words can only be a selection of assets, not the name of a flow."""
    return len(names) > 1 or any(_SELECTION.search(name) for name in names)


class AssetChoice(NamedTuple):
    """What was said beside the selection."""

    refresh: bool = False
    exclude: Sequence[str] = ()
    json_: bool = False


def could_be_assets(problem: Problem) -> bool:
    """Whether a flow was not found, or there is not exactly one, so that assets may be meant."""
    return problem.report().code in ("unknown-name", "bad-setting")


async def prepare_assets(
    session: Session, project: Project, words: Sequence[str], params: Mapping[str, object], choice: AssetChoice
) -> tuple[RunRow, None] | None:
    """Plan a selection, say the plan, and record the run that makes it so; None when all is as it should be."""
    work = AssetRun(session, session.executor, environment=project.settings.environment, now=project.clock.now())
    plan, row = await work.prepare(words, params, refresh=choice.refresh, exclude=choice.exclude)
    if choice.json_ and row is None:
        click.echo(json_text(plan))
    elif not choice.json_:
        style = style_of(sys.stderr)
        for line in plan_lines(plan, style):
            click.echo(style.text(line), err=True)
    return None if row is None else (row, None)


class AssetRun:
    """What one command does with assets: look at the sources, plan, and build the graph of what is not as it should be."""

    def __init__(self, session: Session, loader: AssetLoader, *, environment: str, now: float) -> None:
        self.session = session
        self.loader = loader
        self.environment = environment
        self.now = now

    async def assets(self, params: Mapping[str, object]) -> Assets:
        """The catalog, and what the environment shows of it. Raises the project's `Problem`."""
        entries = await self.loader.catalog(params)
        return await asyncio.to_thread(Assets, self.session.store, entries, self.environment, now=self.now)

    async def observed(self, assets: Assets, names: Sequence[str]) -> Assets:
        """The same, after the sources of `names` were looked at, in a run of its own. Raises `ObservationFailed`."""
        sources = assets.sources_of(names)
        graph = await assets.observation(self.loader, sources)
        if graph is None:
            return assets
        row = await self.session.create(graph, because="the sources are looked at before a plan is made")
        row = await self.session.drive(row)
        if row.state != "succeeded":
            raise ObservationFailed(row)
        return await assets.refreshed()

    async def prepare(
        self, words: Sequence[str], params: Mapping[str, object], *, refresh: bool, exclude: Sequence[str] = ()
    ) -> tuple[Plan, RunRow | None]:
        """The plan for a selection, and the run that makes it so, recorded but not driven; None when all is as it should be."""
        assets = await self.assets(params)
        names = assets.select(words, exclude)
        assets = await self.observed(assets, names)
        forced = dict.fromkeys(names, "it was asked for with --refresh") if refresh else {}
        plan = await asyncio.to_thread(lambda: assets.plan(names, forced=forced))
        graph = await assets.graph(self.loader, plan, forced=forced, params=params)
        if graph is None:
            return plan, None
        why = "; ".join(f"{one.name}: {', '.join(one.because)}" for one in plan.to_run[:3])
        return plan, await self.session.create(graph, because=why[:500] or "pointers move")


class ObservationFailed(Problem):
    """Sources could not be looked at, so it is not known what there is to do."""

    code = "observation-failed"

    def __init__(self, row: RunRow) -> None:
        super().__init__(
            "The sources could not be looked at, so no plan was made.", why=row.because, mend=f"See why: tidemill explain {row.id}"
        )


def plan_lines(plan: Plan, style: Style) -> Iterator[str]:
    """The plan for people: what is not as it should be, each with its reason; then what it costs."""
    told = [one for one in plan.decisions if one.state is not State.OK]
    same = len(plan.decisions) - len(told)
    if told:
        yield from table(("", "ASSET", "STATE", "TAKES", "BECAUSE"), [_row(one, style) for one in told], style)
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
