"""Order without data: what `a >> b` means for nodes, mapped flows and whole flows inside flows. Knows drafts only."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from tidemill.authoring.assembly.drafts import Draft, GroupDraft
from tidemill.authoring.assembly.references import Reference
from tidemill.authoring.places import here
from tidemill.authoring.problems import BadDefinition
from tidemill.graph.nodes import CyclicGraph, find_cycle
from tidemill.graph.values import Ref, items, refs

if TYPE_CHECKING:
    from tidemill.authoring.building import Building

__all__ = ["Order", "settle", "targets"]


class Order(NamedTuple):
    """Everything in `before` ends before anything in `after` starts. Keys of nodes and groups."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def targets(building: Building, value: Any) -> tuple[str, ...]:
    """The nodes or groups that `value` (a reference, or a list or tuple of them) stands for."""
    if isinstance(value, (list, tuple)):
        return tuple(key for one in value for key in targets(building, one))
    if isinstance(value, Reference):
        expr = building.own(value)
        if value._tm_group:
            return (value._tm_group,)
        if isinstance(expr, Ref):
            return (expr.node,)
    raise BadDefinition(
        f"`>>` was given {value!r}, which is not a call of a task or flow.",
        why="`a >> b` orders two calls: b starts when a has ended.",
        mend="Write: a = first(); b = second(); a >> b. Lists of calls are allowed on either side, beside one call.",
        where=here(),
    )


def settle(orders: list[Order], drafts: list[Draft], groups: list[GroupDraft]) -> None:
    """Write every order into the drafts. Raises `CyclicGraph`."""
    if not orders:
        return  # without arrows, every call only reads what was called before it
    nodes = {draft.key: draft for draft in drafts}
    mapped = {group.key: group for group in groups if group.over}
    members = _members(drafts, groups)
    for before, after in orders:
        ends = [key for one in before for key in (_last(one, members, nodes, mapped) if one in members and one not in mapped else (one,))]
        starts = [key for one in after for key in (members[one] if one in members and one not in mapped else (one,))]
        for start in starts:
            (mapped[start] if start in mapped else nodes[start]).after.update(dict.fromkeys(ends))
    if path := find_cycle(_waits(drafts, groups)):
        raise CyclicGraph(path)


def _members(drafts: list[Draft], groups: list[GroupDraft]) -> dict[str, list[str]]:
    """Per group: its nodes and mapped groups, those of unmapped groups inside it as well."""
    around = {group.key: group for group in groups}
    found: dict[str, list[str]] = {group.key: [] for group in groups}
    inner = [(draft.key, draft.group) for draft in drafts] + [(group.key, group.parent) for group in groups if group.over]
    for key, parent in inner:
        holder = parent
        while holder:
            found[holder].append(key)
            holder = "" if around[holder].over else around[holder].parent
    return found


def _last(group: str, members: dict[str, list[str]], nodes: dict[str, Draft], mapped: dict[str, GroupDraft]) -> list[str]:
    """Those of a group that nothing else in it waits for."""
    inside = members[group]
    awaited = {key for one in inside for key in (_node_waits(nodes[one]) if one in nodes else _group_waits(mapped[one]))}
    return [key for key in inside if key not in awaited]


def _node_waits(draft: Draft) -> set[str]:
    found = {ref.node for expr in draft.args.values() for ref in refs(expr)}
    found |= {ref.node for when in draft.when for ref in refs(when.of)}
    found |= {*draft.after, *draft.guards, draft.setup}
    return found - {""}


def _group_waits(group: GroupDraft) -> set[str]:
    found = {ref.node for expr in group.over.values() for ref in refs(expr)}
    found |= {item.group for expr in group.over.values() for item in items(expr)}
    return found | {ref.node for when in group.when for ref in refs(when.of)} | set(group.after)


def _waits(drafts: list[Draft], groups: list[GroupDraft]) -> dict[str, tuple[str, ...]]:
    """Who waits for whom, for the search for a cycle. A mapped group is two points: its start and (its key) its end."""
    around = {group.key: group for group in groups}

    def start_of(group: str) -> str:
        while group and not around[group].over:
            group = around[group].parent
        return f"start of {group}" if group else ""

    waits: dict[str, set[str]] = defaultdict(set)
    for draft in drafts:
        waits[draft.key] = _node_waits(draft) | ({start_of(draft.group)} - {""})
        if start := start_of(draft.group):
            waits[start.removeprefix("start of ")].add(draft.key)
    for group in groups:
        if group.over:
            waits[f"start of {group.key}"] |= _group_waits(group) | ({start_of(group.parent)} - {""})
            waits[group.key].add(f"start of {group.key}")
            if outer := start_of(group.parent):
                waits[outer.removeprefix("start of ")].add(group.key)
    return {key: tuple(sorted(found)) for key, found in waits.items()}
