"""Assets of a project from Python: planned, brought up to date, loaded. What `Project` answers with; prints nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tidemill.authoring.assets.entries import AssetEntry
from tidemill.authoring.assets.observation import Observation
from tidemill.errors import Problem, nearest
from tidemill.graph.assets import RefRow, begins
from tidemill.plan.values import Decision, Plan
from tidemill.ports import Artifacts, Page, Store
from tidemill.project.assets import AssetLoader, Assets
from tidemill.project.data.environments import Promotion, UnknownVersion, differing, promote, promotion
from tidemill.project.data.provenance import moves
from tidemill.project.data.work import AssetWork, NoEnvironment, Wanted, opened_assets
from tidemill.project.places import NoHistory
from tidemill.project.project import Project
from tidemill.project.result import RunResult
from tidemill.store.problems import InUse

__all__ = ["AssetLine", "NeverBuilt", "Update", "asset_lines", "asset_plan", "load", "looked_up", "past", "promoted", "run_assets"]


class NeverBuilt(Problem):
    """The value of an asset that an environment shows no version of was asked for."""

    code = "never-built"

    def __init__(self, asset: str, environment: str, known: Sequence[str]) -> None:
        guess = nearest(asset, known)
        super().__init__(
            f"{environment} shows no version of {asset!r}.",
            why=f"It shows: {', '.join(known[:8])}{' …' if len(known) > 8 else ''}." if known else "It shows no asset at all.",
            mend=f"{f'Did you mean {guess!r}? Else build' if guess else 'Build'} it: tidemill run +{asset}",
        )


class Update(NamedTuple):
    """Assets that were brought up to date: the plan, and the run that did it; None if all was as it should be."""

    plan: Plan
    run: RunResult | None

    @property
    def succeeded(self) -> bool:
        return self.run is None or self.run.succeeded


class AssetLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An asset or source as lists show it: as the code defines it, what is shown of it, and what a plan says."""

    entry: AssetEntry
    shown: RefRow | None = None
    now: Decision | None = None


async def asset_plan(project: Project, wanted: Wanted, params: Mapping[str, object], *, command: str) -> tuple[Plan, str]:
    """What a run would do, and a remark. Sources are looked at first; where another process drives runs, as they were last seen."""
    try:
        async with project.session(command=command) as session:
            work = AssetWork(session, session.executor, environment=project.settings.environment, now=project.clock.now())
            return (await work.planned(wanted, params))[1], ""
    except InUse as busy:
        remark = f"The sources are taken as they were last seen: {busy.what}"
    found = await looked_up(project, params, lambda assets: _planned(assets, wanted))
    return found, remark


def _planned(assets: Assets, wanted: Wanted) -> Plan:
    names = assets.select(wanted.words, wanted.exclude)
    return assets.plan(names, forced=dict.fromkeys(names, "it was asked for with --refresh") if wanted.refresh else {})


async def looked_up(project: Project, params: Mapping[str, object], question: Callable[[Assets], Any], *, environment: str = "") -> Any:
    """What `question` finds in the assets as they are shown now. Locks nothing, looks at no source. Raises `NoHistory`."""
    executor = project.executor()
    try:
        await executor.start(lambda _: None)
        store = await asyncio.to_thread(project.store)
        try:
            environment = environment or project.settings.environment
            assets = await opened_assets(store, executor, params, environment=environment, now=project.clock.now())
            return await asyncio.to_thread(question, assets)
        finally:
            store.close()
    finally:
        await executor.close(grace=0.0)


async def promoted(project: Project, source: str, target: str, selection: Sequence[str], *, only_plan: bool) -> tuple[Promotion, bool]:
    """See `Project.promote`."""

    def ask(there: Assets) -> tuple[Promotion, bool]:
        known = [one.name for one in there.store.environments()]
        if source not in known:
            raise NoEnvironment(source, known)
        here = Assets(there.store, there.entries.values(), source, now=there.now)
        names = differing(here, there)
        if selection:
            chosen = set(here.select(selection))
            names = [name for name in names if name in chosen]
        found = promotion(there, names)
        if not only_plan and (found.moves or not found.work):
            promote(there, found)
            return found, True
        return found, False

    found: tuple[Promotion, bool] = await looked_up(project, {}, ask, environment=target)
    return found


async def run_assets(project: Project, wanted: Wanted, params: Mapping[str, object], *, command: str) -> Update:
    """Bring assets up to date, in a recorded run. A run that fails is returned, not raised."""
    async with project.session(command=command, refresh=wanted.refresh) as session:
        work = AssetWork(session, session.executor, environment=project.settings.environment, now=project.clock.now())
        plan, row = await work.prepare(wanted, params, origin="python")
        if row is None:
            return Update(plan, None)
        row = await session.drive(row)
    return Update(plan, RunResult(row, artifacts=project.artifacts, store=project.store))


async def asset_lines(loader: AssetLoader, project: Project) -> list[AssetLine]:
    """Every asset and source, by name, with its state as far as the store tells. Without a history there is none."""
    environment, now = project.settings.environment, project.clock.now()
    try:
        store = await asyncio.to_thread(project.store)
    except NoHistory:
        return [AssetLine(entry=entry) for entry in sorted(await loader.catalog({}), key=lambda entry: entry.name)]
    try:
        assets = await opened_assets(store, loader, {}, environment=environment, now=now)
        decisions = {one.name: one for one in (await asyncio.to_thread(assets.plan)).decisions}
    finally:
        store.close()
    return [AssetLine(entry=assets.entries[name], shown=assets.shown.get(name), now=decisions.get(name)) for name in sorted(assets.entries)]


# ---------------------------------------------------------------- values


def load(project: Project, asset: str, *, want: type | None, version: str) -> Any:
    """See `Project.load`."""
    store = project.store()
    try:
        ref = _of_version(store, asset, version) if version else _current(store, asset, project.settings.environment)
    finally:
        store.close()
    return loaded(project.artifacts(), ref, want=want)


def loaded(artifacts: Artifacts, ref: RefRow, *, want: type | None = None) -> Any:
    """The value of a version. Of a source that is what its readers get."""
    value = artifacts.load(ref.handle, want=want)
    return value.value if type(value) is Observation else value


def _current(store: Store, asset: str, environment: str) -> RefRow:
    found = [ref for ref in store.refs(environment, [asset]) if not ref.partition]
    if not found:
        raise NeverBuilt(asset, environment, sorted({ref.asset for ref in store.refs(environment)}))
    return found[0]


def _of_version(store: Store, asset: str, version: str) -> RefRow:
    moves = store.versions(asset, Page(limit=1000))
    fitting = {ref.version: ref for ref in moves if begins(ref.version, version)}
    if len(fitting) != 1:
        raise UnknownVersion(asset, version, list(dict.fromkeys(ref.version for ref in moves))[:5])
    return next(iter(fitting.values()))


def past(project: Project, asset: str, limit: int) -> list[RefRow]:
    """See `Project.versions`."""
    store = project.store()
    try:
        return moves(store, asset, project.settings.environment, limit=limit)
    finally:
        store.close()
