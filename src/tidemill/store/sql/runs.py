"""Runs and their graphs: created once per key, found by the beginning of an id, listed newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Select, Update, and_, bindparam, or_, select, update

from tidemill.errors import Unknown
from tidemill.graph.nodes import Graph
from tidemill.machine.states import RunState
from tidemill.ports import EventRow, Page, RunChange, RunFilter, RunRow
from tidemill.store import encoding
from tidemill.store.chain import START, extend
from tidemill.store.databases.connect import Bulk, Session
from tidemill.store.databases.tables import graphs, runs
from tidemill.store.pages import after_run
from tidemill.store.sql.events import EVENTS

FIELDS = tuple(name for name in runs.columns.keys() if name not in ("n", "chain"))  # noqa: SIM118 - not a dict
COLUMNS = [runs.c[name] for name in FIELDS]
_RUNS = Bulk(runs, replace=False)
_GRAPHS = Bulk(graphs, replace=False)

_by_id = select(*COLUMNS).where(runs.c.id == bindparam("id"))
_by_key = select(*COLUMNS).where(runs.c.key == bindparam("key"))
_by_start = (
    select(*COLUMNS).where(runs.c.id >= bindparam("start"), runs.c.id < bindparam("end")).order_by(runs.c.id).limit(bindparam("most"))
)
_newest_ids = select(runs.c.id).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(20)
_graph = select(graphs.c.body).where(graphs.c.digest == bindparam("digest"))
_has_graph = select(graphs.c.digest).where(graphs.c.digest == bindparam("digest"))
_read_graph = msgspec.json.Decoder(Graph).decode
_STATES = {state.value: state for state in RunState}


def values(run: RunRow, *, n: int, chain: str) -> tuple[Any, ...]:
    """The tuple of a run, with the last entry of its log."""
    text = encoding.text
    return (
        run.id,
        run.key,
        run.flow,
        run.graph,
        run.state.value,
        text(run.because),
        text(run.origin),
        text(run.environment),
        text(run.project),
        encoding.to_json(run.params),
        run.retry_of,
        run.created_at,
        run.started_at,
        run.ended_at,
        run.owner,
        run.epoch,
        run.lease_until,
        run.recoveries,
        None if run.cancel is None else text(run.cancel),
        encoding.to_json(run.counts),
        encoding.some_json(run.output),
        encoding.some_json(run.failure),
        n,
        chain,
    )


def row(found: Sequence[Any]) -> RunRow:
    """The run of a tuple with the columns `COLUMNS`."""
    told: dict[str, Any] = dict(zip(FIELDS, found, strict=True))
    told["state"] = _STATES[told["state"]]
    told["params"] = encoding.texts(told["params"])
    told["counts"] = encoding.numbers(told["counts"])
    told["output"] = encoding.some_expr(told["output"])
    told["failure"] = encoding.some_failure(told["failure"])
    return RunRow(**told)


def create(session: Session, run: RunRow, graph: Graph, events: Sequence[EventRow]) -> RunRow:
    """Insert a run with its graph and first entries, or find the one that has its key."""
    if found := session.rows(_by_key, key=run.key):
        return row(found[0])
    chained = extend(START, run.id, events)
    if not session.rows(_has_graph, digest=run.graph):
        session.put(_GRAPHS, [(run.graph, encoding.encoded_graph(run.graph, graph))])
    session.put(_RUNS, [values(run, n=chained.head.n, chain=chained.head.chain)])
    if chained.rows:
        session.in_order()
        session.put(EVENTS, chained.rows)
    return row(session.rows(_by_id, id=run.id)[0])


def graph(session: Session, digest: str) -> Graph:
    """The graph of that digest. Raises `Unknown`."""
    if not (found := session.rows(_graph, digest=digest)):
        raise Unknown("graph", digest, known=())
    return _read_graph(found[0][0])


def find(session: Session, id: str) -> RunRow:
    """The run with that id, or the only one whose id begins so. Raises `Unknown`."""
    if found := session.rows(_by_id, id=id):
        return row(found[0])
    near = session.rows(_by_start, start=id, end=id + "\U0010ffff", most=8) if id else []
    if len(near) == 1:
        return row(near[0])
    known = [r[0] for r in near] or [r[0] for r in session.rows(_newest_ids)]
    raise Unknown("run", id, known=known, see="tidemill runs")


@cache
def _list(names: frozenset[str], states: int) -> Select[Any]:
    asked = {
        "flow": runs.c.flow == bindparam("flow"),
        "environment": runs.c.environment == bindparam("environment"),
        "created_after": runs.c.created_at > bindparam("created_after"),
        "created_before": runs.c.created_at < bindparam("created_before"),
        "at": or_(runs.c.created_at < bindparam("at"), and_(runs.c.created_at == bindparam("at"), runs.c.id < bindparam("id"))),
    }
    where = [asked[name] for name in sorted(names)]
    if "at" in names:
        where.append(runs.c.created_at <= bindparam("at"))  # what the index can begin at
    if states:
        where.append(runs.c.state.in_([bindparam(f"state{n}") for n in range(states)]))
    return select(*COLUMNS).where(*where).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(bindparam("most"))


def listing(which: RunFilter, page: Page) -> tuple[Select[Any], dict[str, Any]]:
    """The query for a page of runs, and its values."""
    given: dict[str, Any] = {
        "flow": which.flow,
        "environment": which.environment,
        "created_after": which.created_after,
        "created_before": which.created_before,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if page.after is not None:
        given["at"], given["id"] = after_run(page.after)
    statement = _list(frozenset(given) - {"id"}, len(which.states))
    return statement, given | {f"state{n}": state.value for n, state in enumerate(which.states)} | {"most": page.limit}


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "state": lambda state: state.value,
    "because": encoding.text,
    "counts": encoding.to_json,
    "output": encoding.some_json,
    "failure": encoding.some_json,
    "cancel": lambda cancel: None if cancel is None else encoding.text(cancel),
}


@cache
def _fence(names: tuple[str, ...]) -> Update:
    changed = {runs.c[name]: bindparam(f"new_{name}", type_=runs.c[name].type) for name in ("n", "chain", *names)}
    as_expected = [runs.c.id == bindparam("run"), runs.c.epoch == bindparam("epoch"), runs.c.n == bindparam("last")]
    return update(runs).where(*as_expected).values(changed)


_FENCE = _fence(())


def fence(change: RunChange | None) -> tuple[Update, dict[str, Any]]:
    """The update that a commit stands or falls with: it meets no row when the epoch, or the end of the log, is another."""
    if change is None:
        return _FENCE, {}
    told: dict[str, Any] = {}
    for name in change.__struct_fields__:
        if (value := getattr(change, name)) is not msgspec.UNSET:
            told[f"new_{name}"] = _CHANGES[name](value) if name in _CHANGES else value
    return _fence(tuple(name.removeprefix("new_") for name in told)), told
