"""What `gc` deletes: old runs, their logs, and values that nothing names any more. Knows the policy; the rooms do the deleting."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec

from tidemill.artifacts.collect import sweep
from tidemill.artifacts.location import open_location
from tidemill.executors.places import run_folder
from tidemill.machine.states import RUN_ENDS
from tidemill.ports import Page, RunFilter, Store
from tidemill.project.project import Project
from tidemill.store.pages import page_key

__all__ = ["Freed", "collect"]

_PAGE = 500


class Freed(msgspec.Struct, frozen=True):
    """What was deleted, or would be. Bytes of files; a SQLite file keeps its size and uses the room again."""

    runs: list[str]
    logs: int  # folders
    log_bytes: int
    values: int
    value_bytes: int


def collect(project: Project, *, dry_run: bool) -> Freed:
    """Apply the settings `retention` and `retention_runs`. With `dry_run` only say what would go; values that become
    free by forgetting those runs are then not counted yet.

    Values younger than `retention`, and never younger than the longest outage that running tasks sit out, are kept: a
    task may have written one whose run has not been told.
    """
    settings = project.settings
    now = project.clock.now()
    store = project.store()
    try:
        before = now - settings.retention
        gone = _old(store, before, settings.retention_runs) if dry_run else _forget(store, before, settings.retention_runs)
        logs, log_bytes = _logs(project.home, gone, dry_run=dry_run)
        location = open_location(settings.artifacts, cache=project.home / "cache", clock=project.utc)
        grace = timedelta(seconds=max(settings.retention, settings.outage))
        swept = sweep(location, store.live(), older_than=grace, now=project.utc(), dry_run=dry_run)
    finally:
        store.close()
    return Freed(gone, logs, log_bytes, swept.count, swept.bytes)


def _forget(store: Store, before: float, keep: int) -> list[str]:
    return store.forget(ended_before=before, keep_per_flow=keep)


def _old(store: Store, before: float, keep: int) -> list[str]:
    """The runs that `forget` would delete: ended before then, and not among the newest `keep` ended ones of their flow."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    after: str | None = None
    while True:
        rows = store.runs(RunFilter(states=tuple(RUN_ENDS)), Page(limit=_PAGE, after=after))
        for row in rows:
            seen[row.flow] += 1
            if seen[row.flow] > keep and row.ended_at is not None and row.ended_at < before:
                found.append(row.id)
        if len(rows) < _PAGE:
            return found
        after = page_key(rows[-1])


def _logs(home: Path, runs: list[str], *, dry_run: bool) -> tuple[int, int]:
    count = size = 0
    for run in runs:
        folder = run_folder(home, run)
        if folder.is_dir():
            count += 1
            size += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
    return count, size
