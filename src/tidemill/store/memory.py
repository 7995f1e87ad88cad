"""The store in the memory of this process, for tests and for runs that nobody will ask about later. No SQLAlchemy.

Rows are copied on their way in and out, so that nobody changes what is stored by changing what they hold.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import msgspec

from tidemill.errors import Unknown
from tidemill.graph.assets import Environment, RefRow
from tidemill.graph.nodes import Graph
from tidemill.machine.states import RUN_ENDS, RunState, TaskState
from tidemill.ports import (
    AttemptRow,
    Commit,
    EngineRow,
    EventRow,
    MemoRow,
    NoteRow,
    Page,
    RunFilter,
    RunRow,
    TaskFilter,
    TaskRow,
    Violation,
)
from tidemill.store.audit import audit_run
from tidemill.store.chain import START, Head, extend, verified
from tidemill.store.encoding import encoded_graph, sound, text
from tidemill.store.memory_assets import MemoryAssets
from tidemill.store.pages import after_run, after_task
from tidemill.store.problems import OutOfStep

_DIGEST = re.compile(rb'"digest":"([^"\\]+)"')
_copy = msgspec.structs.replace


class _Of:
    """All that belongs to one run."""

    def __init__(self, run: RunRow) -> None:
        self.run = run
        self.head: Head = START
        self.events: list[EventRow] = []
        self.tasks: dict[tuple[str, int], TaskRow] = {}
        self.attempts: dict[tuple[str, int, int], AttemptRow] = {}
        self.notes: dict[tuple[str, int, int, str, str, float], NoteRow] = {}


class MemoryStore:
    """`tidemill.ports.Store` without a database. Calls may come from several threads; nothing outlives the process."""

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._of: dict[str, _Of] = {}
        self._keys: dict[str, str] = {}
        self._graphs: dict[str, Graph] = {}
        self._log: list[EventRow] = []
        self._seq = 0
        self._memos: dict[str, MemoRow] = {}
        self._assets = MemoryAssets()
        self._engines: dict[str, EngineRow] = {}

    def create_run(self, run: RunRow, graph: Graph, events: Sequence[EventRow] = ()) -> RunRow:
        with self._mutex:
            if run.key in self._keys:
                return _run(self._of[self._keys[run.key]].run)
            chained = extend(START, run.id, events)
            if run.graph not in self._graphs:
                encoded_graph(run.graph, graph)
                self._graphs[run.graph] = graph
            of = self._of[run.id] = _Of(_clean_run(run))
            self._keys[run.key] = run.id
            self._append(of, chained.rows)
            return _run(of.run)

    def _append(self, of: _Of, rows: list[tuple]) -> None:  # type: ignore[type-arg]
        for run, n, kind, at, body, chain in rows:
            self._seq += 1
            entry = EventRow(run=run, n=n, kind=kind, at=at, body=body, seq=self._seq, chain=chain)
            of.events.append(entry)
            self._log.append(entry)
            of.head = Head(n, chain)

    def commit(self, commits: Sequence[Commit], *, durable: bool) -> list[str]:  # noqa: ARG002 - nothing here survives a loss of power
        with self._mutex:
            before = {commit.run: self._of[commit.run].head.n for commit in commits if commit.run in self._of}
            for commit in commits:  # all or nothing: look before the first change
                self._check(commit, before)
            refused = [commit.run for commit in commits if not self._store(commit)]
            return list(dict.fromkeys(refused))

    def _check(self, commit: Commit, last: dict[str, int]) -> None:
        of = self._of.get(commit.run)
        if of is None or not commit.events or self._is_there(of, commit) or of.run.epoch != commit.epoch:
            return
        if commit.events[0].n != last[commit.run] + 1:
            raise OutOfStep(commit.run, last=last[commit.run], given=commit.events[0].n)
        last[commit.run] = extend(Head(last[commit.run], ""), commit.run, commit.events).head.n

    def _is_there(self, of: _Of, commit: Commit) -> bool:
        first = commit.events[0].n
        there = [(e.n, e.kind, e.at, e.body) for e in of.events[first - 1 : first - 1 + len(commit.events)]]
        return there == [(e.n, e.kind, e.at, bytes(e.body)) for e in commit.events]

    def _store(self, commit: Commit) -> bool:
        of = self._of.get(commit.run)
        if of is None:
            return False
        if commit.events and commit.events[0].n <= of.head.n and self._is_there(of, commit):
            return True
        if of.run.epoch != commit.epoch:
            return False
        self._append(of, extend(of.head, commit.run, commit.events).rows)
        for task in commit.tasks:
            output, failure = task.output and sound(task.output), task.failure and sound(task.failure)
            of.tasks[task.place, task.unit] = _copy(task, name=text(task.name), because=text(task.because), output=output, failure=failure)
        for attempt in commit.attempts:
            of.attempts[attempt.place, attempt.unit, attempt.attempt] = _copy(attempt, failure=attempt.failure and sound(attempt.failure))
        for note in commit.notes:
            slot = 0.0 if note.kind == "progress" else note.at
            value = text(note.value) if isinstance(note.value, str) else note.value
            key = (note.place, note.unit, note.attempt, note.kind, note.name, slot)
            of.notes[key] = _copy(note, name=text(note.name), value=value, handle=note.handle and sound(note.handle))
        for memo in commit.memos:
            self._memos[memo.key] = _copy(memo, handle=sound(memo.handle), parts=sound(dict(memo.parts)))
        self._assets.move(commit.refs)
        if commit.change is not None:
            given = {name: getattr(commit.change, name) for name in commit.change.__struct_fields__}
            of.run = _clean_run(_copy(of.run, **{name: value for name, value in given.items() if value is not msgspec.UNSET}))
        return True

    def claim(self, engine: str, *, now: float, until: float, limit: int, only: str | None = None) -> list[RunRow]:
        with self._mutex:
            free = [of for of in self._unfinished() if (only is None or of.run.id == only) and _is_free(of.run, now)]
            for of in free[: max(0, limit)]:
                run = of.run
                gone = run.recoveries + (run.owner is not None)
                of.run = _copy(run, owner=engine, lease_until=until, epoch=run.epoch + 1, recoveries=gone)
            return [_run(of.run) for of in free[: max(0, limit)]]

    def _unfinished(self) -> list[_Of]:
        return sorted((of for of in self._of.values() if of.run.state not in RUN_ENDS), key=lambda of: (of.run.created_at, of.run.id))

    def renew(self, engine: EngineRow, *, until: float) -> list[RunRow]:
        with self._mutex:
            self._engines[engine.id] = _copy(engine, command=text(engine.command))
            mine = [of for of in self._unfinished() if of.run.owner == engine.id]
            for of in mine:
                of.run = _copy(of.run, lease_until=until)
            return [_run(of.run) for of in mine]

    def release(self, engine: str, runs: Sequence[str]) -> None:
        with self._mutex:
            for of in self._unfinished():
                if of.run.id in runs and of.run.owner == engine:
                    of.run = _copy(of.run, owner=None, lease_until=None)

    def ask_cancel(self, run: str, *, by: str, because: str, now: float) -> RunRow:  # noqa: ARG002 - the engine's event says when
        with self._mutex:
            of = self._find(run)
            if of.run.state not in RUN_ENDS and of.run.cancel is None:
                of.run = _copy(of.run, cancel=text(f"{by}: {because}" if because else by))
            return _run(of.run)

    def graph(self, digest: str) -> Graph:
        if digest not in self._graphs:
            raise Unknown("graph", digest, known=())
        return self._graphs[digest]

    def run(self, id: str) -> RunRow:
        with self._mutex:
            return _run(self._find(id).run)

    def _find(self, id: str) -> _Of:
        if id in self._of:
            return self._of[id]
        near = sorted(known for known in self._of if id and known.startswith(id))
        if len(near) == 1:
            return self._of[near[0]]
        raise Unknown("run", id, known=near[:8] or [run.id for run in self._newest()[:20]], see="tidemill runs")

    def _newest(self) -> list[RunRow]:
        return sorted((of.run for of in self._of.values()), key=lambda run: (run.created_at, run.id), reverse=True)

    def runs(self, which: RunFilter, page: Page) -> list[RunRow]:
        after = None if page.after is None else after_run(page.after)
        with self._mutex:
            found = (run for run in self._newest() if _matches(run, which) and (after is None or (run.created_at, run.id) < after))
            return [_run(run) for run, _ in zip(found, range(page.limit))]  # noqa: B905 - whichever is shorter

    def tasks(self, run: str, which: TaskFilter, page: Page) -> list[TaskRow]:
        after = ("", -1) if page.after is None else after_task(page.after)
        with self._mutex:
            rows = sorted(self._of[run].tasks.items()) if run in self._of else []
            found = [
                _copy(task)
                for key, task in rows
                if key > after
                and (task.unit == 0 if which.place is None else task.place == which.place and task.unit > 0)
                and (not which.states or task.state in which.states)
            ]
            return found[: page.limit]

    def task(self, run: str, place: str, unit: int) -> TaskRow:
        with self._mutex:
            tasks = self._of[run].tasks if run in self._of else {}
            if (place, unit) in tasks:
                return _copy(tasks[place, unit])
        name = place if unit == 0 else f"{place}[{unit}]"
        raise Unknown("task", name, known=[known for known, number in tasks if number == 0], see=f"tidemill show {run}")

    def counts(self, run: str) -> dict[str, dict[str, int]]:
        nodes: dict[str, Counter[str]] = {}
        items: dict[str, Counter[str]] = {}
        with self._mutex:
            for (place, unit), task in self._of[run].tasks.items() if run in self._of else ():
                if unit:
                    items.setdefault(place, Counter())[task.state.value] += 1
                else:
                    nodes[place] = Counter() if task.size is not None else Counter({task.state.value: 1})
        return {place: dict(items.get(place) or nodes.get(place) or {}) for place in sorted({*nodes, *items})}

    def attempts(self, run: str, place: str, unit: int) -> list[AttemptRow]:
        with self._mutex:
            rows = sorted(self._of[run].attempts.items()) if run in self._of else []
            return [_copy(row) for (of, n, _), row in rows if (of, n) == (place, unit)]

    def notes(self, run: str, place: str | None = None) -> list[NoteRow]:
        with self._mutex:
            rows = self._of[run].notes.values() if run in self._of else []
            found = [_copy(row) for row in rows if place is None or row.place == place]
        return sorted(found, key=lambda row: (row.at, row.place, row.unit, row.attempt, row.kind, row.name))

    def events(self, run: str, *, after: int = 0, limit: int | None = None) -> Iterator[EventRow]:
        with self._mutex:
            entries = list(self._of[run].events[after:]) if run in self._of else []
        for entry in entries if limit is None else entries[: max(0, limit)]:
            verified(entry, entry.n - 1, None)
            yield _copy(entry)

    def stream(self, *, after: int, limit: int) -> list[EventRow]:
        with self._mutex:
            found = [entry for entry in self._log[-max(0, self._seq - after) :] if entry.seq > after] if self._seq > after else []
        return [_copy(entry) for entry in found[:limit]]

    def durations(self, flow: str, *, runs: int = 20) -> dict[str, float]:
        spans: dict[str, list[float]] = {}
        with self._mutex:
            good = [run for run in self._newest() if run.flow == flow and run.state is RunState.SUCCEEDED][:runs]
            for run in good:
                times = [("", run.started_at, run.ended_at)]
                nodes = (task for task in self._of[run.id].tasks.values() if task.unit == 0 and task.state is TaskState.SUCCEEDED)
                times += [(task.place, task.started_at, task.ended_at) for task in nodes]
                for place, started, ended in times:
                    if started is not None and ended is not None:
                        spans.setdefault(place, []).append(ended - started)
        return {place: median(found) for place, found in spans.items()}

    def recall(self, keys: Sequence[str], *, now: float) -> dict[str, MemoRow]:
        with self._mutex:
            found = [self._memos[key] for key in keys if key in self._memos]
        return {memo.key: _memo(memo) for memo in found if memo.expires_at is None or memo.expires_at > now}

    def memos(self, keys: Sequence[str]) -> dict[str, MemoRow]:
        with self._mutex:
            return {key: _memo(self._memos[key]) for key in keys if key in self._memos}

    def asset_history(self, assets: Sequence[str], *, last: int = 20) -> dict[str, tuple[float, ...]]:
        found: dict[str, list[tuple[float, float]]] = {asset: [] for asset in assets}
        with self._mutex:
            for memo in self._memos.values():
                if memo.node in found:
                    found[memo.node].append((memo.at, memo.seconds))
        newest = {asset: sorted(times, key=lambda time: -time[0])[: max(0, last)] for asset, times in found.items()}
        return {asset: tuple(seconds for _, seconds in times) for asset, times in newest.items() if times}

    def publish(self, refs: Sequence[RefRow], *, expected: Mapping[tuple[str, str], str] | None = None) -> list[RefRow]:
        with self._mutex:
            return self._assets.publish(refs, expected)

    def refs(self, environment: str, assets: Collection[str] | None = None) -> list[RefRow]:
        with self._mutex:
            return self._assets.shown(environment, assets)

    def versions(self, asset: str, page: Page, *, environment: str | None = None, partition: str | None = None) -> list[RefRow]:
        with self._mutex:
            return self._assets.history(asset, page, environment, partition)

    def environments(self) -> list[Environment]:
        with self._mutex:
            return self._assets.environments()

    def create_environment(self, environment: Environment) -> Environment:
        with self._mutex:
            return self._assets.create(environment)

    def drop_environment(self, name: str) -> None:
        with self._mutex:
            self._assets.drop(name)

    def live(self) -> Iterator[str]:
        with self._mutex:
            kept = [self._graphs, self._memos, [(of.run, list(of.tasks.values()), list(of.notes.values())) for of in self._of.values()]]
            told = [*(msgspec.json.encode(value) for value in kept), *(entry.body for entry in self._log)]
            told += [msgspec.json.encode(ref.handle) for ref in self._assets.kept()]
        yield from dict.fromkeys(digest.decode() for text in told for digest in _DIGEST.findall(text))

    def forget(self, *, ended_before: float, keep_per_flow: int) -> list[str]:
        kept = Counter[str]()
        gone: list[RunRow] = []
        with self._mutex:
            for run in self._newest():
                if run.state in RUN_ENDS:
                    kept[run.flow] += 1
                    if kept[run.flow] > keep_per_flow and run.ended_at is not None and run.ended_at < ended_before:
                        gone.append(run)
            ids = {run.id for run in gone}
            for run in gone:
                del self._of[run.id], self._keys[run.key]
            self._log = [entry for entry in self._log if entry.run not in ids]
            used = {of.run.graph for of in self._of.values()}
            self._graphs = {digest: graph for digest, graph in self._graphs.items() if digest in used}
            needed = {ref.key for ref in self._assets.kept()}
            over = [memo.key for memo in self._memos.values() if memo.expires_at is not None and memo.expires_at < ended_before]
            for key in set(over) - needed:
                del self._memos[key]
        return [run.id for run in sorted(gone, key=lambda run: (run.ended_at or 0.0, run.id))]

    def audit(self, *, now: float) -> list[Violation]:
        with self._mutex:
            found = self._assets.audit(self._memos)
            for of in self._of.values():
                graph = self._graphs.get(of.run.graph)
                found += audit_run(of.run, graph, of.head, tasks=list(of.tasks.values()), events=of.events, now=now)
            return found

    def engines(self) -> list[EngineRow]:
        with self._mutex:
            return [_copy(row) for row in sorted(self._engines.values(), key=lambda row: (row.started_at, row.id), reverse=True)]

    def close(self) -> None:
        """Nothing is held."""


def _run(run: RunRow) -> RunRow:
    return _copy(run, params=dict(run.params), counts=dict(run.counts))


def _clean_run(run: RunRow) -> RunRow:
    cancel = None if run.cancel is None else text(run.cancel)
    cleaned = {name: text(getattr(run, name)) for name in ("because", "origin", "environment", "project")}
    told: dict[str, Any] = {name: sound(getattr(run, name)) for name in ("params", "counts", "output", "failure")}
    return _copy(run, cancel=cancel, **cleaned, **{name: dict(value) if isinstance(value, dict) else value for name, value in told.items()})


def _memo(memo: MemoRow) -> MemoRow:
    return _copy(memo, parts=dict(memo.parts))


def _is_free(run: RunRow, now: float) -> bool:
    return run.owner is None or run.lease_until is None or run.lease_until <= now


def _matches(run: RunRow, which: RunFilter) -> bool:
    return (
        (which.flow is None or run.flow == which.flow)
        and (not which.states or run.state in which.states)
        and (which.environment is None or run.environment == which.environment)
        and (which.created_after is None or run.created_at > which.created_after)
        and (which.created_before is None or run.created_at < which.created_before)
    )
