"""What a flow would run: order, sizes and durations as history knows them, and the path that decides how long it takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import median

import msgspec

from tidemill.graph.nodes import Graph, Group, Node
from tidemill.graph.values import Constant
from tidemill.machine.resolve import shape

__all__ = ["Forecast", "Step", "forecast", "node_key"]

_INDEX = re.compile(r"\[\d+\]")


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node: what it waits for, how long it took, whether it is on the critical path."""

    key: str
    task: str
    after: tuple[str, ...] = ()
    role: str = "task"
    seconds: float | None = None  # by history; None when it never ran
    mapped: bool = False
    size: int | None = None  # items, if known
    size_is: str = ""  # "now" (it is known) or "last time"
    conditional: bool = False
    group: str = ""
    critical: bool = False
    because: str = ""


class Forecast(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A plan: steps in an order in which each comes after all it waits for."""

    flow: str
    params: dict[str, str]
    steps: list[Step]
    seconds: float | None = None  # the whole run, by history
    critical: float | None = None  # seconds of the longest chain, as far as they are known
    unknown: int = 0  # steps that never ran


def forecast(graph: Graph, durations: Mapping[str, float], sizes: Mapping[str, int]) -> Forecast:
    """`durations` by place (median seconds; "" is the run), `sizes` of mapped nodes in the last run."""
    took = _by_key(durations)
    groups = {group.key: group for group in graph.groups}
    inside = _members(graph)
    waits = {node.key: _waits(node, graph, groups, inside) for node in graph.nodes}
    order = _order(waits)
    finish: dict[str, float] = {}
    slowest: dict[str, str | None] = {}
    for key in order:
        before = max(waits[key], key=lambda one: finish[one], default=None)
        slowest[key] = before
        finish[key] = (finish[before] if before is not None else 0.0) + took.get(key, 0.0)
    critical = _path(finish, slowest)
    nodes = graph.by_key()
    steps = [_step(nodes[key], waits[key], took.get(key), sizes, groups, critical=key in critical) for key in order]
    return Forecast(
        flow=graph.flow,
        params={name: handle.preview or "" for name, handle in graph.params.items()},
        steps=steps,
        seconds=durations.get(""),
        critical=max(finish.values(), default=0.0) if took else None,
        unknown=sum(1 for key in order if key not in took),
    )


def node_key(place: str) -> str:
    """The node of a place: "region[2].load" is of region.load."""
    return _INDEX.sub("", place)


def _by_key(durations: Mapping[str, float]) -> dict[str, float]:
    """Durations by node: of nodes in mapped groups the median over the items."""
    found: dict[str, list[float]] = {}
    for place, seconds in durations.items():
        if place:
            found.setdefault(node_key(place), []).append(seconds)
    return {key: median(spans) for key, spans in found.items()}


def _members(graph: Graph) -> dict[str, list[str]]:
    """The nodes inside each group, at any depth."""
    parents = {group.key: group.parent for group in graph.groups}
    found: dict[str, list[str]] = {}
    for node in graph.nodes:
        key = node.group
        while key:
            found.setdefault(key, []).append(node.key)
            key = parents[key]
    return found


def _waits(node: Node, graph: Graph, groups: Mapping[str, Group], inside: Mapping[str, list[str]]) -> tuple[str, ...]:
    keys: list[str] = []
    for key in node.waits_for():
        keys += inside.get(key, []) if key in groups else [key]
    around = node.group
    while around:
        group = groups[around]
        for key in group.waits_for():
            keys += inside.get(key, []) if key in groups else [key]
        around = group.parent
    if node.role in ("on_failure", "on_exit") and not node.guards:
        keys += [one.key for one in graph.nodes if one.role not in ("on_failure", "on_exit")]
    return tuple(one for one in dict.fromkeys(keys) if one != node.key)


def _order(waits: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Each after all it waits for; else as they stand in the flow."""
    left = {key: sum(1 for one in before if one in waits) for key, before in waits.items()}
    readers: dict[str, list[str]] = {}
    for key, before in waits.items():
        for one in before:
            readers.setdefault(one, []).append(key)
    order: list[str] = []
    place = {key: n for n, key in enumerate(waits)}
    level = [key for key, n in left.items() if n == 0]
    while level:
        order += level
        following: dict[str, None] = {}
        for key in level:
            for reader in readers.get(key, ()):
                left[reader] -= 1
                if left[reader] == 0:
                    following[reader] = None
        level = sorted(following, key=place.__getitem__)
    return order


def _path(finish: Mapping[str, float], slowest: Mapping[str, str | None]) -> set[str]:
    if not finish or not any(finish.values()):
        return set()
    found: set[str] = set()
    key: str | None = max(finish, key=lambda one: finish[one])
    while key is not None:
        found.add(key)
        key = slowest[key]
    return found


def _step(
    node: Node, waits: tuple[str, ...], seconds: float | None, sizes: Mapping[str, int], groups: Mapping[str, Group], *, critical: bool
) -> Step:
    size, size_is = None, ""
    if node.over:
        expr = node.args[node.over[0]]
        known = shape(expr) if isinstance(expr, Constant) else None
        if known is not None and known.length is not None:
            size, size_is = known.length, "now"
        elif node.key in sizes:
            size, size_is = sizes[node.key], "last time"
    because = "its condition holds" if node.when else "it waits for nothing" if not waits else "all it waits for has ended"
    if node.policy.cache is not None:
        because += ", and its result is not remembered"
    if node.role in ("on_failure", "on_exit"):
        because = "the run has failed" if node.role == "on_failure" else "the run has ended, however"
    return Step(
        key=node.key, task=node.task.name, after=waits, role=node.role, seconds=seconds, mapped=bool(node.over), size=size, size_is=size_is,
        conditional=bool(node.when), group=node.group if node.group in groups else "", critical=critical, because=because,
    )  # fmt: skip
