"""What one command or call does with assets: look at the sources, plan, and record the run that makes it so. Prints nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidemill.errors import Problem, nearest
from tidemill.plan.values import Plan
from tidemill.ports import RunRow, Store
from tidemill.project.assets import AssetLoader, Assets
from tidemill.project.session import Session

__all__ = ["AssetWork", "NoEnvironment", "ObservationFailed", "Wanted", "opened_assets"]

REFRESHED = "it was asked for with --refresh"


class NoEnvironment(Problem):
    """An environment that was never made."""

    code = "no-environment"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        guess = nearest(name, known)
        super().__init__(
            f"There is no environment {name!r}.",
            why=f"There are: {', '.join(known)}.",
            mend=f"Did you mean {guess!r}?" if guess else f"Make it: tidemill env create {name}",
        )


class ObservationFailed(Problem):
    """Sources could not be looked at, so it is not known what there is to do."""

    code = "observation-failed"

    def __init__(self, row: RunRow) -> None:
        super().__init__(
            "The sources could not be looked at, so no plan was made.", why=row.because, mend=f"See why: tidemill explain {row.id}"
        )


class Wanted(NamedTuple):
    """Which assets are asked for. `refresh`: computed whatever is remembered; `observe`: the sources are looked at first."""

    words: Sequence[str] = ()
    exclude: Sequence[str] = ()
    refresh: bool = False
    observe: bool = True


async def opened_assets(store: Store, loader: AssetLoader, params: Mapping[str, object], *, environment: str, now: float) -> Assets:
    """The catalog, and what `environment` shows of it. Raises `NoEnvironment`, and the project's `Problem`."""
    known = [one.name for one in await asyncio.to_thread(store.environments)]
    if environment not in known:
        raise NoEnvironment(environment, known)
    entries = await loader.catalog(params)
    return await asyncio.to_thread(Assets, store, entries, environment, now=now)


class AssetWork:
    """Assets in the hands of an engine's session."""

    def __init__(self, session: Session, loader: AssetLoader, *, environment: str, now: float) -> None:
        self.session = session
        self.loader = loader
        self.environment = environment
        self.now = now

    async def planned(self, wanted: Wanted, params: Mapping[str, object]) -> tuple[Assets, Plan, dict[str, str]]:
        """The assets as they are, the plan for what is wanted, and why what is computed anyway is. Raises `ObservationFailed`."""
        assets = await opened_assets(self.session.store, self.loader, params, environment=self.environment, now=self.now)
        names = assets.select(wanted.words, wanted.exclude)
        if wanted.observe:
            assets = await self._observed(assets, names)
        forced = dict.fromkeys(names, REFRESHED) if wanted.refresh else {}
        return assets, await asyncio.to_thread(lambda: assets.plan(names, forced=forced)), forced

    async def _observed(self, assets: Assets, names: Sequence[str]) -> Assets:
        """The same, after the sources of `names` were looked at, in a run of its own. Raises `ObservationFailed`."""
        graph = await assets.observation(self.loader, assets.sources_of(names))
        if graph is None:
            return assets
        row = await self.session.create(graph, because="the sources are looked at before a plan is made")
        row = await self.session.drive(row)
        if row.state != "succeeded":
            raise ObservationFailed(row)
        return await assets.refreshed()

    async def prepare(self, wanted: Wanted, params: Mapping[str, object], *, origin: str = "cli") -> tuple[Plan, RunRow | None]:
        """The plan, and the run that makes it so, recorded but not driven; None when all is as it should be."""
        assets, plan, forced = await self.planned(wanted, params)
        graph = await assets.graph(self.loader, plan, forced=forced, params=params)
        if graph is None:
            return plan, None
        why = "; ".join(f"{one.name}: {', '.join(one.because)}" for one in plan.to_run[:3])
        return plan, await self.session.create(graph, because=why[:500] or "pointers move", origin=origin)
