"""Rows for tests of the store: a small world, with every field that a test does not care about filled in."""

from __future__ import annotations

import msgspec

from tidemill.graph.assets import RefRow
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph, Node, TaskRef
from tidemill.graph.values import Handle
from tidemill.graph.work import Failure, Outcome
from tidemill.machine.events import Begun, Event, Finished, Launched, Opened, Recovered, Settled
from tidemill.machine.states import RunState, TaskState
from tidemill.ports import Commit, EngineRow, EventRow, MemoRow, RunChange, RunRow, Store, TaskRow

GRAPH = Graph(flow="nightly", nodes=(Node(key="load", task=TaskRef("jobs", "load")), Node(key="clean", task=TaskRef("jobs", "clean"))))
DIGEST = graph_digest(GRAPH)


def run_row(id: str = "r1", **more: object) -> RunRow:
    told = {"key": f"key of {id}", "flow": "nightly", "graph": DIGEST, "created_at": 100.0, **more}
    return RunRow(id=id, **told)


def handle(text: str = "42") -> Handle:
    return Handle("json", text.encode().hex().ljust(64, "0")[:64], len(text), data=text.encode(), preview=text)


def event(run: str, n: int, what: Event) -> EventRow:
    kind = str(type(what).__struct_config__.tag)
    return EventRow(run=run, n=n, kind=kind, at=what.at, body=msgspec.json.encode(what))


def begun(run: str = "r1", n: int = 1) -> EventRow:
    return event(run, n, Begun(100.0 + n))


def entry(run: str, n: int, size: int = 0) -> EventRow:
    """An entry that says little, of about `size` bytes."""
    return event(run, n, Recovered(float(n), "x" * size))


def task(run: str = "r1", place: str = "load", unit: int = 0, **more: object) -> TaskRow:
    told = {"task": "jobs:load", "state": TaskState.RUNNING, **more}
    return TaskRow(run=run, place=place, unit=unit, **told)


def engine(id: str = "ada", **more: object) -> EngineRow:
    told = {"host": "here", "pid": 1, "started_at": 1.0, "seen_at": 2.0, **more}
    return EngineRow(id=id, **told)


def claimed(store: Store, id: str = "r1", **more: object) -> RunRow:
    """A run that "ada" drives until 1000."""
    store.create_run(run_row(id, **more), GRAPH)
    (run,) = store.claim("ada", now=100.0, until=1000.0, limit=1, only=id)
    return run


def whole_run(store: Store, id: str = "r1", *, at: float = 100.0, flow: str = "nightly") -> None:
    """A run from its creation to its end, as an engine would record it: both tasks succeed, after 2 and 4 seconds."""
    store.create_run(run_row(id, created_at=at, flow=flow), GRAPH)
    store.claim("ada", now=at, until=at + 1000, limit=1, only=id)
    log: list[Event] = [Begun(at), Opened(at, "load"), Launched(at, "load", [(0, 1)])]
    log += [Settled(at + 2, "load", [Outcome(0, 1, at, at + 2, handle("1"))]), Opened(at + 2, "clean")]
    log += [Launched(at + 2, "clean", [(0, 1)]), Settled(at + 6, "clean", [Outcome(0, 1, at + 2, at + 6, handle("2"))])]
    log += [Finished(at + 6, RunState.SUCCEEDED)]
    rows = [
        task(id, "load", state=TaskState.SUCCEEDED, started_at=at, ended_at=at + 2, output=handle("1")),
        task(id, "clean", state=TaskState.SUCCEEDED, started_at=at + 2, ended_at=at + 6, output=handle("2")),
    ]
    change = RunChange(state=RunState.SUCCEEDED, started_at=at, ended_at=at + 6)
    events = [event(id, n, what) for n, what in enumerate(log, 1)]
    assert store.commit([Commit(run=id, epoch=1, events=events, tasks=rows, change=change)], durable=True) == []


def failed(message: str = "no such column") -> Failure:
    return Failure("error", message, type="builtins.KeyError")


def ref(asset: str, version: str, *, environment: str = "prod", partition: str = "", **more: object) -> RefRow:
    """A pointer to the version with that text; its key is "key of" that."""
    value = handle(version)
    told = {"key": f"key of {version}", "at": 1.0, "run": "r1", "place": asset, "because": "computed", **more}
    return RefRow(environment=environment, asset=asset, partition=partition, version=value.digest, handle=value, **told)


def memo(key: str, text: str = "1", *, node: str = "load", **more: object) -> MemoRow:
    told = {"at": 1.0, "run": "r1", **more}
    return MemoRow(key=key, node=node, handle=handle(text), **told)


def read(version: str) -> str:
    """The text of a version that `ref` made."""
    return bytes.fromhex(version.rstrip("0") + "0" * (len(version.rstrip("0")) % 2)).decode() if version else ""
