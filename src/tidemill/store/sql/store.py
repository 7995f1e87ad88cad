"""The store on a database: each verb of the port is one transaction, made of what the nouns beside this file say.

`forget` and `doctor` are imported when they are asked for: a run needs neither, and would wait for them to load.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from tidemill.graph.assets import Environment, RefRow
from tidemill.graph.nodes import Graph
from tidemill.machine.states import RUN_ENDS
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
from tidemill.store.chain import Head
from tidemill.store.databases.connect import Database

# The port's words for its arguments are those of these modules.
from tidemill.store.sql import commits as _commits
from tidemill.store.sql import environments as _environments
from tidemill.store.sql import events as _events
from tidemill.store.sql import lease, memo, tasks
from tidemill.store.sql import refs as _refs
from tidemill.store.sql import runs as _runs

HEADS = 10_000  # ends of logs that are remembered


class SqlStore:
    """`tidemill.ports.Store` on SQLite or PostgreSQL. Calls may come from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heads: dict[str, Head] = {}

    def create_run(self, run: RunRow, graph: Graph, events: Sequence[EventRow] = ()) -> RunRow:
        return self._database.write(lambda session: _runs.create(session, run, graph, events), durable=True)

    def commit(self, commits: Sequence[Commit], *, durable: bool) -> list[str]:
        heads = self._heads
        stored = self._database.write(lambda session: _commits.write(session, commits, heads), durable=durable)
        if len(heads) > HEADS:
            heads.clear()
        heads.update(stored.heads)
        for commit in commits:
            if commit.change is not None and commit.change.state in RUN_ENDS:
                heads.pop(commit.run, None)
        for run in stored.refused:
            heads.pop(run, None)
        return stored.refused

    def claim(self, engine: str, *, now: float, until: float, limit: int, only: str | None = None) -> list[RunRow]:
        return self._database.write(
            lambda session: lease.claim(session, engine, now=now, until=until, limit=limit, only=only), durable=True
        )

    def renew(self, engine: EngineRow, *, until: float) -> list[RunRow]:
        return self._database.write(lambda session: lease.renew(session, engine, until=until), durable=True)

    def release(self, engine: str, runs: Sequence[str]) -> None:
        self._database.write(lambda session: lease.release(session, engine, runs), durable=True)

    def ask_cancel(self, run: str, *, by: str, because: str, now: float) -> RunRow:  # noqa: ARG002 - the engine's event says when
        return self._database.write(lambda session: lease.ask_cancel(session, run, by=by, because=because), durable=True)

    def graph(self, digest: str) -> Graph:
        return self._database.read(lambda session: _runs.graph(session, digest))

    def run(self, id: str) -> RunRow:
        return self._database.read(lambda session: _runs.find(session, id))

    def runs(self, which: RunFilter, page: Page) -> list[RunRow]:
        statement, values = _runs.listing(which, page)
        return [_runs.row(found) for found in self._database.read(lambda session: session.rows(statement, **values))]

    def tasks(self, run: str, which: TaskFilter, page: Page) -> list[TaskRow]:
        statement, values = tasks.listing(run, which, page)
        return [tasks.row(found) for found in self._database.read(lambda session: session.rows(statement, **values))]

    def task(self, run: str, place: str, unit: int) -> TaskRow:
        return self._database.read(lambda session: tasks.one(session, run, place, unit))

    def counts(self, run: str) -> dict[str, dict[str, int]]:
        return self._database.read(lambda session: tasks.counts(session, run))

    def attempts(self, run: str, place: str, unit: int) -> list[AttemptRow]:
        return self._database.read(lambda session: tasks.earlier(session, run, place, unit))

    def notes(self, run: str, place: str | None = None) -> list[NoteRow]:
        return self._database.read(lambda session: tasks.said(session, run, place))

    def events(self, run: str, *, after: int = 0, limit: int | None = None) -> Iterator[EventRow]:
        return _events.of_run(self._database, run, after=after, limit=limit)

    def stream(self, *, after: int, limit: int) -> list[EventRow]:
        return [_events.row(found) for found in self._database.read(lambda session: session.rows(_events.OF_ALL, after=after, most=limit))]

    def durations(self, flow: str, *, runs: int = 20) -> dict[str, float]:
        return self._database.read(lambda session: tasks.durations(session, flow, runs))

    def recall(self, keys: Sequence[str], *, now: float) -> dict[str, MemoRow]:
        return self._database.read(lambda session: memo.recall(session, keys, now=now))

    def publish(self, refs: Sequence[RefRow], *, expected: Mapping[tuple[str, str], str] | None = None) -> list[RefRow]:
        return self._database.write(lambda session: _refs.publish(session, refs, expected), durable=True)

    def refs(self, environment: str, assets: Collection[str] | None = None) -> list[RefRow]:
        return self._database.read(lambda session: _refs.shown(session, environment, assets))

    def versions(self, asset: str, page: Page, *, environment: str | None = None, partition: str | None = None) -> list[RefRow]:
        statement, values = _refs.history(asset, page, environment=environment, partition=partition)
        return [_refs.row(told, seq) for seq, *told in self._database.read(lambda session: session.rows(statement, **values))]

    def environments(self) -> list[Environment]:
        return self._database.read(_environments.every)

    def create_environment(self, environment: Environment) -> Environment:
        return self._database.write(lambda session: _environments.create(session, environment), durable=True)

    def drop_environment(self, name: str) -> None:
        self._database.write(lambda session: _environments.drop(session, name), durable=True)

    def memos(self, keys: Sequence[str]) -> dict[str, MemoRow]:
        return self._database.read(lambda session: memo.of_keys(session, keys))

    def asset_history(self, assets: Sequence[str], *, last: int = 20) -> dict[str, tuple[float, ...]]:
        return self._database.read(lambda session: memo.history(session, assets, last))

    def live(self) -> Iterator[str]:
        from tidemill.store.sql import forget

        return forget.live(self._database)

    def forget(self, *, ended_before: float, keep_per_flow: int) -> list[str]:
        from tidemill.store.sql import forget

        gone: list[str] = []
        while some := self._database.write(
            lambda session: forget.forget_some(session, ended_before=ended_before, keep_per_flow=keep_per_flow), durable=True
        ):
            gone += some
        self._database.write(lambda session: forget.forget_memos(session, expired_before=ended_before), durable=True)
        return gone

    def audit(self, *, now: float) -> list[Violation]:
        from tidemill.store.sql import doctor

        return doctor.audit(self._database, now=now)

    def engines(self) -> list[EngineRow]:
        return self._database.read(lease.drivers)

    def close(self) -> None:
        self._database.close()
