"""A whole graph of assets: each decided after its inputs, the cost of it all, and the path that takes longest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.errors import Unknown
from tidemill.graph.nodes import CyclicGraph, find_cycle
from tidemill.plan.decide import decide
from tidemill.plan.values import Cost, Decision, Defined, Known, Plan, State


def make_plan(assets: Mapping[str, Defined], known: Known, targets: Iterable[str] | None = None) -> Plan:
    """The plan for `targets` (all, if none are given). What they need is looked at, and computed only if it is a target.

    Raises `Unknown` for a name that nothing defines, and `CyclicGraph`.
    """
    order = in_order(assets)
    wanted = set(assets) if targets is None else set(targets)
    for name in wanted:
        if name not in assets:
            raise Unknown("asset", name, known=assets, see="tidemill ls")
    needed = _with_upstream(assets, wanted)
    decisions: dict[str, Decision] = {}
    for name in order:
        if name in needed:
            decision = decide(assets[name], decisions, known)
            decisions[name] = decision if name in wanted else _as_it_is(decision, known)
    kept = tuple(decision for name, decision in decisions.items() if name in wanted)
    path, seconds = critical_path(assets, {one.name: one for one in kept})
    return Plan(decisions=kept, cost=cost_of(kept), critical=path, critical_seconds=seconds)


def in_order(assets: Mapping[str, Defined]) -> list[str]:
    """Names such that each comes after its inputs. Raises `Unknown` and `CyclicGraph`."""
    waits: dict[str, tuple[str, ...]] = {}
    for name, asset in assets.items():
        for upstream in asset.inputs.values():
            if upstream not in assets:
                raise Unknown("asset", upstream, known=assets, see="tidemill ls")
        waits[name] = tuple(dict.fromkeys(asset.inputs.values()))
    left = {name: len(before) for name, before in waits.items()}
    readers: dict[str, list[str]] = {}
    for name, before in waits.items():
        for upstream in before:
            readers.setdefault(upstream, []).append(name)
    order = [name for name, count in left.items() if count == 0]
    for name in order:  # grows while it is read
        for reader in readers.get(name, ()):
            left[reader] -= 1
            if left[reader] == 0:
                order.append(reader)
    if len(order) < len(assets):
        raise CyclicGraph(find_cycle(waits) or [])
    return order


def _with_upstream(assets: Mapping[str, Defined], wanted: set[str]) -> set[str]:
    needed, stack = set(wanted), list(wanted)
    while stack:
        for upstream in assets[stack.pop()].inputs.values():
            if upstream not in needed:
                needed.add(upstream)
                stack.append(upstream)
    return needed


def _as_it_is(decision: Decision, known: Known) -> Decision:
    """Of what is not to be computed, the version that is shown now counts."""
    shown = known.shown.get(decision.name)
    if decision.state in (State.RUN, State.MAYBE, State.LINK, State.HELD, State.WAIT):
        if shown is not None:
            return Decision(name=decision.name, state=State.OK, version=shown.version, likely=0.0)
        if decision.state is not State.WAIT:
            why = ("it was never built, and is not among what is to be computed",)
            return Decision(name=decision.name, state=State.BLOCKED, because=why, likely=0.0)
    return decision


def cost_of(decisions: Iterable[Decision]) -> Cost:
    """Seconds of work in all."""
    least = expected = most = 0.0
    unknown = 0
    for one in decisions:
        if one.state not in (State.RUN, State.MAYBE):
            continue
        if one.seconds is None:
            unknown += 1
            continue
        least += one.seconds if one.state is State.RUN else 0.0
        expected += one.seconds * one.likely
        most += one.slow_seconds if one.slow_seconds is not None else one.seconds
    return Cost(least=least, expected=expected, most=most, unknown=unknown)


def critical_path(assets: Mapping[str, Defined], decisions: Mapping[str, Decision]) -> tuple[tuple[str, ...], float]:
    """The chain of computed assets that takes longest, and its seconds. `decisions` are in order."""
    ends: dict[str, tuple[float, str | None]] = {}
    for name, one in decisions.items():
        own = one.seconds or 0.0 if one.state in (State.RUN, State.MAYBE) else 0.0
        before = max(((ends[up][0], up) for up in assets[name].inputs.values() if up in ends), default=(0.0, None))
        ends[name] = (before[0] + own, before[1])
    if not ends:
        return (), 0.0
    last: str | None = max(ends, key=lambda name: ends[name][0])
    total = ends[last][0] if last else 0.0
    path: list[str] = []
    while last is not None:
        if decisions[last].state in (State.RUN, State.MAYBE):
            path.append(last)
        last = ends[last][1]
    return tuple(reversed(path)), total
