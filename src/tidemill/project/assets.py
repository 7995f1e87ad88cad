"""Assets of a project at work: what they are, what would happen to them and why, and the graph that makes it happen.

Joins the catalog (from the loader), what the store knows, and the planner. Decides nothing itself.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from tidemill.authoring.assets.catalog import AssetEntry
from tidemill.errors import Problem
from tidemill.graph.assets import RefRow
from tidemill.graph.nodes import Graph
from tidemill.graph.selection import Catalog, Entry, parse, select
from tidemill.graph.values import Handle
from tidemill.machine.states import TaskState
from tidemill.plan.plan import make_plan
from tidemill.plan.values import Decision, Defined, History, Known, Plan, Remembered, Shown, State
from tidemill.ports import Page, RunFilter, Store, TaskFilter

__all__ = ["PROMOTED", "ROLLED_BACK", "AssetLoader", "Assets", "NothingSelected", "catalog_for_selection", "known_of"]

PROMOTED = "promoted"
ROLLED_BACK = "rolled back"  # why a pointer moved: a plan does not lead back to the version it was moved from
_HISTORY = 20  # computations that an estimate looks back on
_RUNS_LOOKED_AT = 50  # for state:failed


class AssetLoader(Protocol):
    """The part of the loader that knows assets."""

    async def catalog(self, params: Mapping[str, object] | None = None) -> list[AssetEntry]:
        """Every asset and source of the project. Raises the project's `Problem`."""

    async def build_assets(
        self,
        targets: Collection[str],
        *,
        shown: Mapping[str, Handle],
        forced: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> Graph:
        """The graph that makes a version of each target."""


class NothingSelected(Problem):
    """A selection that names things, none of which is there."""

    code = "nothing-selected"

    def __init__(self, selection: str, why: str) -> None:
        super().__init__(
            f"{selection!r} selects nothing." if selection else "There are no assets.",
            why=why or "Every part of it was understood; no asset fits all of them.",
            mend="See all assets with: tidemill ls",
        )


class Assets:
    """The assets of one project in one environment."""

    def __init__(self, store: Store, entries: Iterable[AssetEntry], environment: str, *, now: float) -> None:
        self.store = store
        self.environment = environment
        self.now = now
        self.entries = {entry.name: entry for entry in entries}
        self.shown: dict[str, RefRow] = {ref.asset: ref for ref in store.refs(environment) if not ref.partition}

    # ---------------------------------------------------------------- which

    def select(self, words: Sequence[str], exclude: Sequence[str] = ()) -> list[str]:
        """Names in the order of their inputs. Without words: all. Raises `Unknown`, `NothingSelected`, and for bad syntax."""
        selection = parse(words, exclude)
        asks = any(factor.method == "state" for term in (*selection.terms, *selection.exclude) for factor in term.factors)
        found = select(selection, catalog_for_selection(self, with_states=asks))
        if not found.names:
            raise NothingSelected(selection.text, found.message)
        return list(found.names)

    def sources_of(self, names: Iterable[str]) -> list[str]:
        """The sources that these assets are computed from, directly or through others."""
        seen: set[str] = set()
        stack = list(names)
        while stack:
            name = stack.pop()
            if name in seen or name not in self.entries:
                continue
            seen.add(name)
            stack.extend(self.entries[name].inputs.values())
        return [name for name in seen if self.entries[name].kind == "source"]

    # ---------------------------------------------------------------- what would happen

    def defined(self, forced: Mapping[str, str] | None = None) -> dict[str, Defined]:
        """The assets as the planner wants them."""
        forced = forced or {}
        return {
            name: Defined(
                name=name, inputs=entry.inputs, parts=entry.parts, source=entry.kind == "source",
                forced=forced.get(name, ""), expires_after=entry.expires_after,
            )
            for name, entry in self.entries.items()
        }  # fmt: skip

    def plan(self, targets: Sequence[str] | None = None, *, forced: Mapping[str, str] | None = None) -> Plan:
        """What would become of the targets (all, if none are given)."""
        known = known_of(self.store, self.entries, self.shown, now=self.now)
        return make_plan(self.defined(forced), known, targets)

    # ---------------------------------------------------------------- making it so

    async def graph(
        self, loader: AssetLoader, plan: Plan, *, forced: Mapping[str, str] | None = None, params: Mapping[str, object] | None = None
    ) -> Graph | None:
        """The graph of what is not as it should be; None when all is."""
        todo = [one.name for one in plan.decisions if one.state in (State.RUN, State.MAYBE, State.LINK) and self._made(one)]
        if not todo:
            return None
        inputs = {up for name in todo for up in self.entries[name].inputs.values()} - set(todo)
        shown = {name: self.shown[name].handle for name in inputs if name in self.shown}
        kept = {name: why for name, why in (forced or {}).items() if name in todo}
        return await loader.build_assets(todo, shown=shown, forced=kept, params=params or {})

    async def observation(self, loader: AssetLoader, sources: Sequence[str], params: Mapping[str, object] | None = None) -> Graph | None:
        """The graph that looks at these sources; None when there are none."""
        if not sources:
            return None
        before = {name: self.shown[name].handle for name in sources if name in self.shown}
        return await loader.build_assets(list(sources), shown=before, forced={}, params=params or {})

    def _made(self, decision: Decision) -> bool:
        return self.entries[decision.name].kind != "source"

    async def refreshed(self) -> Assets:
        """The same, as the store shows it now."""
        return await asyncio.to_thread(Assets, self.store, self.entries.values(), self.environment, now=self.now)


class _Memos(dict[str, Remembered]):
    """Remembered results, looked up when they are asked for: most plans ask only for what is shown."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._asked: set[str] = set()

    def fetch(self, keys: Iterable[str]) -> None:
        wanted = [key for key in dict.fromkeys(keys) if key and key not in self._asked]
        self._asked.update(wanted)
        for key, row in self._store.memos(wanted).items() if wanted else ():
            self[key] = Remembered(version=row.handle.content or row.handle.digest, parts=row.parts)

    def get(self, key: str, default: Any = None) -> Any:
        self.fetch((key,))
        return super().get(key, default)


def known_of(store: Store, entries: Mapping[str, AssetEntry], shown: Mapping[str, RefRow], *, now: float) -> Known:
    """What the store knows of these assets."""
    memos = _Memos(store)
    memos.fetch(ref.key for ref in shown.values())
    history: dict[str, History] = {}
    for name, seconds in store.asset_history(list(entries), last=_HISTORY).items():
        if seconds:
            slow = sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.9))]
            history[name] = History(seconds=statistics.median(seconds), slow_seconds=slow)
    pointers = {
        name: Shown(version=ref.version, key=ref.key, at=ref.at, rejected=ref.before if ref.because == ROLLED_BACK else "")
        for name, ref in shown.items()
    }
    return Known(shown=pointers, memos=memos, history=history, now=now)


_STATE_WORDS = {
    State.OK: "ok",
    State.LINK: "stale",
    State.RUN: "stale",
    State.MAYBE: "stale",
    State.WAIT: "waiting",
    State.HELD: "held",
    State.BLOCKED: "blocked",
}


def catalog_for_selection(assets: Assets, *, with_states: bool) -> Catalog:
    """The graph of assets as the selection syntax wants it. States take a plan, so they are looked up only if asked for."""
    states = _states(assets) if with_states else {}
    return Catalog(
        {
            name: Entry(
                upstream=tuple(entry.inputs.values()), tags=tuple(entry.tags), group=entry.group, owner=entry.owner, kind=entry.kind,
                states=states.get(name, ()),
            )
            for name, entry in assets.entries.items()
        }
    )  # fmt: skip


def _states(assets: Assets) -> dict[str, tuple[str, ...]]:
    failed = failed_assets(assets.store, assets.environment)
    found: dict[str, tuple[str, ...]] = {}
    for one in assets.plan().decisions:
        words = [_STATE_WORDS[one.state]]
        if one.state is not State.OK and one.name not in assets.shown:
            words.append("missing")
        if one.name in failed:
            words.append("failed")
        found[one.name] = tuple(words)
    return found


def failed_assets(store: Store, environment: str) -> set[str]:
    """Assets whose newest attempt to be built failed, as far as the last runs tell."""
    bad: dict[str, bool] = {}
    ends = (TaskState.SUCCEEDED, TaskState.REUSED, TaskState.FAILED, TaskState.LOST)
    for run in store.runs(RunFilter(environment=environment), Page(limit=_RUNS_LOOKED_AT)):
        published = {node.key: node.publishes.asset for node in store.graph(run.graph).nodes if node.publishes is not None}
        if published:
            for row in store.tasks(run.id, TaskFilter(states=ends), Page(limit=100_000)):
                if row.place in published:
                    bad.setdefault(published[row.place], row.state in (TaskState.FAILED, TaskState.LOST))
    return {name for name, is_bad in bad.items() if is_bad}
