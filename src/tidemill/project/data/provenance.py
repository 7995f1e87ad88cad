"""What a version was computed from, back to the sources, and why it was computed: from the parts that its key was made of."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tidemill.graph.assets import RefRow
from tidemill.plan.keys import difference
from tidemill.plan.values import Decision
from tidemill.ports import Page
from tidemill.project.assets import Assets

__all__ = ["AssetStory", "Origin", "asset_story", "story_lines"]

DEPTH = 20  # steps back towards the sources


class Origin(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One version among those that something was computed from. `depth` counts the steps."""

    depth: int
    parameter: str
    asset: str
    version: str
    run: str = ""
    current: bool = True  # it is what the environment shows now


class AssetStory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything that is to be said of an asset in one environment."""

    asset: str
    environment: str
    kind: str
    shown: RefRow | None = None
    why_made: tuple[str, ...] = ()  # against the version before
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
    if shown is not None:
        story.why_made = _why_made(assets, shown)
        story.origins = list(_origins(assets, name, shown))
    return story


def _why_made(assets: Assets, shown: RefRow) -> tuple[str, ...]:
    past = assets.store.versions(shown.asset, Page(limit=2), environment=shown.environment)
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
        lines.append(f"  Version {shown.version[:12]}, {size}, made in run {shown.run}.")
        lines.append(f"  It was made because {'; '.join(story.why_made)}.")
    if story.now is not None:
        lines.append(f"  Now: {story.now.state}{': ' + '; '.join(story.now.because) if story.now.because else ''}.")
    if story.origins:
        lines.append("It was computed from:")
        lines += [
            f"{'  ' * origin.depth}{origin.asset} {origin.version[:12]}{'' if origin.current else ' (there is a newer one)'}"
            for origin in story.origins
        ]
    if story.readers:
        lines.append(f"It is read by: {', '.join(story.readers)}.")
    return lines
