"""Assets as `ls`, `show` and `explain` tell of them: lists, versions, stories."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from tidemill.cli.options import find_run
from tidemill.cli.render.words import Style, ago, clip, instant, json_text, size, style_of, table, when
from tidemill.errors import Unknown, nearest
from tidemill.graph.assets import RefRow, short_version
from tidemill.plan.values import State
from tidemill.ports import Page, RunRow, Store
from tidemill.project.assets import Assets
from tidemill.project.data.facade import AssetLine, looked_up
from tidemill.project.data.provenance import AssetStory, asset_story, moves, story_lines
from tidemill.project.project import Project

__all__ = ["asset_list", "explain_asset", "line_data", "run_or_asset", "show_asset"]

_STATES = {State.OK: "as it should be", State.LINK: "stale", State.RUN: "stale", State.MAYBE: "may be stale"}


def run_or_asset(store: Store, word: str, task: str | None) -> RunRow | None:
    """The run that a word means; None when there is no such run, so that it can only be an asset. Raises `Unknown`."""
    try:
        return find_run(store, word)
    except Unknown:
        if task is not None or word == "last":
            raise
        if store.versions(word, Page(limit=1)):
            return None
        if nearest(word, ["last"]) or not any(store.refs(one.name) for one in store.environments()):
            raise
        return None


# ---------------------------------------------------------------- ls


def line_data(line: AssetLine) -> dict[str, Any]:
    """One asset or source as JSON."""
    entry, shown = line.entry, line.shown
    return {
        "name": entry.name, "kind": entry.kind, "made_by": entry.made_by, "inputs": entry.inputs, "checks": entry.checks,
        "owner": entry.owner, "group": entry.group, "tags": entry.tags, "doc": entry.doc, "file": entry.file, "line": entry.line,
        "state": _state(line), "because": list(line.now.because) if line.now else [],
        "version": shown.version if shown else None, "rows": shown.handle.rows if shown else None,
        "at": instant(shown.at) if shown else None,
    }  # fmt: skip


def asset_list(lines: Sequence[AssetLine], style: Style) -> Iterator[str]:
    """Assets and sources, one after the other, sources first."""
    for line in sorted(lines, key=lambda one: (one.entry.kind != "source", one.entry.name)):
        entry = line.entry
        file = os.path.relpath(entry.file) if entry.file else ""
        yield f"{style.bold(f'{entry.kind} {entry.name}')}  {style.dim(f'{file}:{entry.line}')}  {_state(line)}"
        if entry.doc:
            yield f"    {clip(entry.doc.splitlines()[0], 120)}"
        if entry.observes:
            yield f"    observes {entry.observes}"
        if entry.inputs:
            yield f"    from {', '.join(dict.fromkeys(entry.inputs.values()))}"
        if entry.checks:
            yield f"    checked by {', '.join(check.name for check in entry.checks)}"
        about = [f"{word} {value}" for word, value in (("owner", entry.owner), ("group", entry.group)) if value]
        about += [f"tag:{tag}" for tag in entry.tags]
        if about:
            yield f"    {', '.join(about)}"


def _state(line: AssetLine) -> str:
    if line.shown is None:
        return "never observed" if line.entry.kind == "source" else "missing"
    if line.entry.kind == "source":
        return "observed"
    return _STATES.get(line.now.state, str(line.now.state)) if line.now else ""


# ---------------------------------------------------------------- show


def show_asset(store: Store, project: Project, name: str, limit: int, *, json_: bool) -> None:
    """The versions of an asset, newest first. Raises `Unknown` for what was never published."""
    environment = project.settings.environment
    past = moves(store, name, environment, limit=limit)
    if not past and not store.versions(name, Page(limit=1)):
        known = [ref.asset for one in store.environments() for ref in store.refs(one.name)]
        raise Unknown("run or asset", name, known=set(known), see="tidemill runs, or tidemill ls")
    current = next((ref for ref in store.refs(environment, [name]) if not ref.partition), None)
    if json_:
        click.echo(json_text({"asset": name, "environment": environment, "versions": [_version_data(ref, current) for ref in past]}))
        return
    style, now = style_of(sys.stdout), project.clock.now()
    click.echo(style.text(f"{style.bold(name)} in {environment}: {len(past)} versions were shown, newest first."))
    rows = [
        ("*" if _same(ref, current) else "", short_version(ref.version), when(ref.at), ago(ref.at, now), _amount(ref), ref.run, ref.because)
        for ref in past
    ]
    for line in table(("", "VERSION", "SHOWN", "", "ROWS", "RUN", "BECAUSE"), rows, style):
        click.echo(style.text(line))


def _same(ref: RefRow, current: RefRow | None) -> bool:
    return current is not None and (ref.environment, ref.version, ref.key, ref.at) == (
        current.environment, current.version, current.key, current.at
    )  # fmt: skip


def _amount(ref: RefRow) -> str:
    return f"{ref.handle.rows:,}" if ref.handle.rows is not None else size(ref.handle.size)


def _version_data(ref: RefRow, current: RefRow | None) -> dict[str, Any]:
    return {
        "version": ref.version, "current": _same(ref, current), "at": instant(ref.at), "because": ref.because, "run": ref.run,
        "rows": ref.handle.rows, "bytes": ref.handle.size, "before": ref.before, "environment": ref.environment, "key": ref.key,
    }  # fmt: skip


# ---------------------------------------------------------------- explain


def explain_asset(project: Project, name: str, *, json_: bool) -> int:
    """The story of an asset. Raises `Unknown`."""

    def story(assets: Assets) -> AssetStory:
        if name not in assets.entries:
            raise Unknown("run or asset", name, known=assets.entries, see="tidemill runs, or tidemill ls")
        return asset_story(assets, name)

    told: AssetStory = asyncio.run(looked_up(project, {}, story))
    if json_:
        click.echo(json_text(told))
        return 0
    style = style_of(sys.stdout)
    for line in story_lines(told):
        click.echo(style.text(line))
    return 0
