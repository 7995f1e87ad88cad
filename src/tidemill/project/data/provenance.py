"""What a version was computed from, back to the sources, and why it was computed: from the parts that its key was made of."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tidemill.errors import Unknown
from tidemill.graph.assets import RefRow, short_version
from tidemill.machine.states import BAD_ENDS, GOOD_ENDS
from tidemill.plan.keys import difference
from tidemill.plan.values import Decision
from tidemill.ports import Page, RunFilter, Store
from tidemill.project.assets import PROMOTED, ROLLED_BACK, Assets

__all__ = ["AssetStory", "FailedAttempt", "Origin", "asset_story", "attempt_after", "moves", "story_lines"]

DEPTH = 20  # steps back towards the sources
_RUNS_LOOKED_AT = 50
_ENDED = {"failed": "failed", "lost": "was lost with its process", "blocked": "was blocked", "cancelled": "was cancelled"}


class Origin(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One version among those that something was computed from. `depth` counts the steps."""

    depth: int
    parameter: str
    asset: str
    version: str
    run: str = ""
    current: bool = True  # it is what the environment shows now


class FailedAttempt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The newest attempt to make a version, if it did not come to one."""

    run: str
    state: str
    message: str


class AssetStory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything that is to be said of an asset in one environment."""

    asset: str
    environment: str
    kind: str
    shown: RefRow | None = None
    why_made: tuple[str, ...] = ()  # against the version before
    failed: FailedAttempt | None = None
    now: Decision | None = None  # what a plan says of it
    origins: list[Origin] = []
    readers: list[str] = []


def asset_story(assets: Assets, name: str) -> AssetStory:
    """The story of asset `name`. It has to be one of `assets`."""
    entry = assets.entries[name]
    shown = assets.shown.get(name)
    story = AssetStory(
        asset=name, environment=assets.environment, kind=entry.kind, shown=shown, now=assets.plan().of(name),
        readers=[other.name for other in assets.entries.values() if name in other.inputs.values()],
    )  # fmt: skip
    story.failed = attempt_after(assets, name, shown)
    if shown is not None:
        story.why_made = _why_made(assets, shown)
        story.origins = list(_origins(assets, name, shown))
    return story


def moves(store: Store, asset: str, environment: str, *, limit: int) -> list[RefRow]:
    """What the pointer of an asset was moved to, newest first: in the environment, and in those that it stands on."""
    parents = {one.name: one.parent for one in store.environments()}
    found: list[RefRow] = []
    name = environment
    while name:
        found += store.versions(asset, Page(limit=limit), environment=name)
        name = parents.get(name, "")
    return sorted(found, key=lambda ref: -ref.seq)[:limit]


def attempt_after(assets: Assets, name: str, shown: RefRow | None) -> FailedAttempt | None:
    """The newest attempt to make `name`, if it failed after what is shown was published; as far as the last runs tell."""
    for run in assets.store.runs(RunFilter(environment=assets.environment), Page(limit=_RUNS_LOOKED_AT)):
        if shown is not None and run.created_at < shown.at:
            return None
        try:
            row = assets.store.task(run.id, name, 0)
        except Unknown:
            continue
        if not any(node.key == name and node.publishes is not None for node in assets.store.graph(run.graph).nodes):
            continue  # a task of a flow that has the same name
        if row.state in GOOD_ENDS:
            return None
        if row.state in BAD_ENDS:
            message = row.failure.message if row.failure is not None else row.because
            return FailedAttempt(run=run.id, state=str(row.state), message=message.partition("\n")[0])
    return None


def _why_made(assets: Assets, shown: RefRow) -> tuple[str, ...]:
    past = moves(assets.store, shown.asset, assets.environment, limit=2)
    memos = assets.store.memos([ref.key for ref in past])
    if len(past) < 2:
        return ("it had never been built here",)
    new, old = (memos.get(ref.key) for ref in past)
    if new is None or old is None:
        return (shown.because,)
    return difference(old.parts, new.parts) or (shown.because,)


def _origins(assets: Assets, name: str, shown: RefRow) -> Iterator[Origin]:
    """Versions it was computed from, nearest first within each branch."""
    stack: list[tuple[int, str, str]] = [(0, name, shown.key)]
    seen: set[str] = set()
    while stack:
        depth, asset, key = stack.pop()
        memo = assets.store.memos([key]).get(key) if key else None
        entry = assets.entries.get(asset)
        if memo is None or entry is None or depth >= DEPTH or key in seen:
            continue
        seen.add(key)
        for parameter, upstream in entry.inputs.items():
            version = memo.parts.get(f"input {parameter}", "")
            ref = _published(assets, upstream, version)
            now = assets.shown.get(upstream)
            current = now is not None and now.version == version
            yield Origin(depth=depth + 1, parameter=parameter, asset=upstream, version=version, run=ref.run if ref else "", current=current)
            if ref is not None:
                stack.append((depth + 1, upstream, ref.key))


def _published(assets: Assets, asset: str, version: str) -> RefRow | None:
    return next((ref for ref in assets.store.versions(asset, Page(limit=1000)) if ref.version == version), None)


def story_lines(story: AssetStory) -> list[str]:
    """The story as text: the same for the command line and the API."""
    lines = [f"{story.kind.capitalize()} {story.asset} in {story.environment}."]
    shown = story.shown
    if shown is None:
        lines.append("  It was never built here.")
    else:
        size = f"{shown.handle.rows:,} rows" if shown.handle.rows is not None else f"{shown.handle.size:,} bytes"
        lines.append(f"  Version {short_version(shown.version)}, {size}, made in run {shown.run}.")
        if shown.because in (PROMOTED, ROLLED_BACK):
            lines.append(f"  It was {shown.because}{f' from {short_version(shown.before)}' if shown.before else ''}.")
        else:
            lines.append(f"  It was made because {'; '.join(story.why_made)}.")
    if story.failed is not None:
        kept = " What is shown is the last version that passed." if shown is not None else ""
        lines.append(f"  The newest attempt, in run {story.failed.run}, {_ENDED[story.failed.state]}: {story.failed.message}{kept}")
    if story.now is not None:
        lines.append(f"  Now: {story.now.state}{': ' + '; '.join(story.now.because) if story.now.because else ''}.")
    if story.origins:
        lines.append("It was computed from:")
        lines += [
            f"{'  ' * origin.depth}{origin.asset} {short_version(origin.version)}{'' if origin.current else ' (there is a newer one)'}"
            for origin in story.origins
        ]
    if story.readers:
        lines.append(f"It is read by: {', '.join(story.readers)}.")
    return lines
