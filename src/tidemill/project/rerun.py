"""A retry of a run: its graph made anew from today's code and the same parameters, and what of the old results still fits.

Pure but for the loader that is handed in. It imports no user code: parameters that only their own types can read keep
the graph as it was stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from tidemill.artifacts.codecs.json import from_json
from tidemill.errors import BadSetting, Problem, Unknown
from tidemill.graph.nodes import Graph, Node
from tidemill.graph.values import Handle
from tidemill.machine.events import Inherited
from tidemill.machine.inherit import inheritance
from tidemill.machine.run import Run
from tidemill.machine.states import RUN_ENDS, RunState
from tidemill.ports import RunRow

__all__ = ["NothingToRetry", "Rerun", "check_retry", "plain_parameter", "rerun"]

# Tagged forms of Python's own types: reading them imports nothing of the user's.
_SAFE = frozenset(
    {"date", "datetime", "time", "timedelta", "decimal", "uuid", "tuple", "set", "frozenset", "path", "float", "int", "dict", "range"}
)


class NothingToRetry(Problem):
    """A retry of a run that has not ended, or of which all succeeded."""

    code = "nothing-to-retry"


class Rerun(NamedTuple):
    """What the new run is made of. `older`: tasks whose results are kept though their code has changed since."""

    graph: Graph
    inherited: Inherited
    older: list[str]
    changed: list[str]  # nodes that run again because the flow gives them something else


async def rerun(
    row: RunRow,
    before: Run,
    build: Callable[[str, Mapping[str, object]], Awaitable[Graph]],
    *,
    at: float,
    again: Sequence[str] = (),
    params: Mapping[str, object] | None = None,
) -> Rerun:
    """The retry of an ended run. `again`: nodes that run again, with all after them; `params` replace parameters.

    Raises `NothingToRetry`, `Unknown`, and what building the graph raises.
    """
    check_retry(row, again, params)
    known = _known(before)
    for name in again:
        if name not in known:
            raise Unknown("task", name, known=known, see=f"tidemill show {row.id}")
    graph = await _graph(row, before.graph, build, params or {})
    changed, older = _compared(before.graph, graph)
    inherited = inheritance(before, at, rerun={*again, *changed})
    kept = {place.node.key for path in inherited.units if (place := before.places[path]).node is not None}
    return Rerun(graph, inherited, [key for key in older if key in kept], changed)


def check_retry(row: RunRow, again: Sequence[str] = (), params: Mapping[str, object] | None = None) -> None:
    """Raise `NothingToRetry` for a run that goes on, and for one that succeeded unless a part is named or a parameter changed."""
    if row.state not in RUN_ENDS:
        raise NothingToRetry(
            f"Run {row.id} is {row.state}: it has not ended.",
            why="A retry takes over what succeeded, and that is known only at the end.",
            mend=f"Wait for it, or end it: tidemill cancel {row.id}",
        )
    if row.state is RunState.SUCCEEDED and not again and not params:
        raise NothingToRetry(
            f"Run {row.id} of {row.flow} succeeded: there is nothing to retry.",
            mend=f"Run part of it again with: tidemill retry {row.id} --from TASK",
        )


def _known(run: Run) -> set[str]:
    return {what.key for place in run.places.values() if (what := place.node or place.group)} | set(run.places)


async def _graph(
    row: RunRow, stored: Graph, build: Callable[[str, Mapping[str, object]], Awaitable[Graph]], params: Mapping[str, object]
) -> Graph:
    raw = {name: plain_parameter(handle) for name, handle in stored.params.items()}
    opaque = [name for name, value in raw.items() if value is msgspec.UNSET and name not in params]
    if not opaque:
        return await build(row.flow, {**raw, **params})
    if params:
        raise BadSetting(
            f"Run {row.id} cannot be made again with other parameters.",
            why=f"Its parameter {opaque[0]!r} is of a type that only the project's own code can read.",
            mend=f"Give {', '.join('--' + name for name in opaque)} as well, or make a new run: tidemill run {row.flow} …",
        )
    return stored


def _compared(old: Graph, new: Graph) -> tuple[list[str], list[str]]:
    """Nodes and groups that are given something else than before, and nodes whose code alone is another."""
    before, changed, older = old.by_key(), [], []
    for node in new.nodes:
        was = before.get(node.key)
        if was is None or not _same(was, node):
            changed.append(node.key)
        elif was.task.version != node.task.version:
            older.append(node.key)
    groups = {group.key: group for group in old.groups}
    changed += [group.key for group in new.groups if groups.get(group.key) != group]
    return changed, older


def _same(was: Node, now: Node) -> bool:
    """Whether two calls are the same but for code and policy."""
    if (was.task.module, was.task.qualname) != (now.task.module, now.task.qualname):
        return False
    return bool(msgspec.structs.replace(was, task=now.task, policy=now.policy) == now)


# ---------------------------------------------------------------- parameters


def plain_parameter(handle: Handle) -> Any:
    """A stored parameter as the loader takes it from a caller, or `UNSET` when only its own type could read it."""
    if handle.codec != "json" or handle.data is None:
        return msgspec.UNSET
    if not _is_safe(msgspec.json.decode(handle.data)):
        return msgspec.UNSET
    return _plain(from_json(handle.data))


def _is_safe(value: Any) -> bool:
    """Whether all tagged forms in it are of Python's own types, so that reading them imports nothing."""
    if isinstance(value, list):
        return all(map(_is_safe, value))
    if not isinstance(value, dict):
        return True
    if "$" in value and (value["$"] not in _SAFE or "t" in value):
        return False
    return all(map(_is_safe, value.values()))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [_plain(one) for one in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (Decimal, UUID, PurePath)):
        return str(value)
    return value
