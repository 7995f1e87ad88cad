"""What `doctor` looks at: the store's promises, a sample of the values, and what this machine is. Repairs nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tidemill.artifacts.location import TREE, Location, open_location
from tidemill.errors import Problem
from tidemill.graph.values import Handle
from tidemill.machine.states import GOOD_ENDS
from tidemill.ports import Page, RunFilter, Store, TaskFilter, TaskRow, Violation
from tidemill.project.project import Project
from tidemill.project.result import task_rows
from tidemill.store.opening import sqlite_path

__all__ = ["Checkup", "Fact", "check"]

SAMPLE = 200  # values that are read whole
_RUNS = 50  # newest runs that the sample is taken from
_ROWS = 2000  # tasks of one run
_ROOM = 1_000_000_000  # bytes below which a disk is nearly full
_SAFE_SQLITE = (3, 51, 3)  # before it, several writers could lose the write-ahead log's reset


class Fact(msgspec.Struct, frozen=True):
    """Something about the surroundings. `warning`: it may lead to trouble."""

    name: str
    value: str
    warning: str = ""


class Checkup(msgspec.Struct, frozen=True):
    """All that was found. `values`: how many were read and compared with their digest."""

    violations: list[Violation]
    facts: list[Fact]
    values: int


def check(project: Project) -> Checkup:
    """Look at everything. Raises `NoHistory`, and what opening the store raises."""
    store = project.store()
    try:
        violations = list(store.audit(now=project.clock.now()))
        location = open_location(project.settings.artifacts, cache=project.home / "cache", clock=project.utc)
        found, values = _values(store, location)
        facts = [*_facts(project), *_holder(project, store)]
    finally:
        store.close()
    return Checkup(violations + found, facts, values)


def _values(store: Store, location: Location) -> tuple[list[Violation], int]:
    """Read the values of the newest runs, up to `SAMPLE` of them."""
    seen: set[str] = set()
    wrong: list[Violation] = []
    for task, handle in _handles(store):
        if len(seen) >= SAMPLE:
            break
        key = handle.digest + TREE if handle.codec == "files" else handle.digest
        if key in seen:
            continue
        seen.add(key)
        try:
            location.local_path(key)
        except Problem as problem:
            detail = f"run {task.run}: the result of {task.name or task.place}: {problem.what}"
            wrong.append(Violation(rule="value-unreadable", detail=detail))
    return wrong, len(seen)


def _handles(store: Store) -> Iterator[tuple[TaskRow, Handle]]:
    """Results that are kept as files."""
    for run in store.runs(RunFilter(), Page(limit=_RUNS)):
        for task in task_rows(store, run.id, most=_ROWS):
            if task.size is not None:
                rows: Iterator[TaskRow] = task_rows(store, run.id, TaskFilter(place=task.place), most=_ROWS)
            else:
                rows = iter([task])
            for row in rows:
                if row.output is not None and row.output.data is None and row.state in GOOD_ENDS:
                    yield row, row.output


def _facts(project: Project) -> Iterator[Fact]:
    yield Fact("python", f"{sys.version.split()[0]} ({sys.executable})")
    yield Fact("state", str(project.home), _not_private(project.home))
    if project.settings.database_url.startswith("sqlite"):
        old = sqlite3.sqlite_version_info < _SAFE_SQLITE
        why = "before 3.51.3 SQLite may lose a log reset when several processes write: let no other program write this file"
        yield Fact("sqlite", sqlite3.sqlite_version, why if old else "")
        yield _room("disk of the store", sqlite_path(project.settings.database_url).parent)
    if "://" not in project.settings.artifacts and Path(project.settings.artifacts).is_dir():
        yield _room("disk of the values", Path(project.settings.artifacts))


def _not_private(home: Path) -> str:
    try:
        mode = home.stat().st_mode & 0o077
    except OSError as error:
        return str(error)
    return f"others may look into it: chmod 700 {home}" if mode else ""


def _room(name: str, folder: Path) -> Fact:
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB"
    return Fact(name, text, "it is nearly full: tidemill gc" if usage.free < _ROOM else "")


def _holder(project: Project, store: Store) -> Iterator[Fact]:
    """Who drives runs now."""
    url = project.settings.database_url
    engines = store.engines()
    if url.startswith("sqlite"):
        path = sqlite_path(url)
        lock = path.with_name(path.name + ".lock")
        held = _is_locked(lock)
        newest = engines[0] if engines else None
        who = f"process {newest.pid} ({newest.command})" if held and newest is not None else "a process" if held else "nobody"
        yield Fact("driven by", who)
        return
    now = project.clock.now()
    living = [engine for engine in engines if engine.seen_at > now - project.settings.lease]
    yield Fact("driven by", ", ".join(f"process {engine.pid} on {engine.host}" for engine in living) or "nobody")


def _is_locked(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
