"""What a retry of a run takes over from the run before: results whose whole past is taken over too. Pure."""

from __future__ import annotations

from collections.abc import Collection

from tidemill.graph.values import Handle
from tidemill.graph.work import Instant
from tidemill.machine.events import Inherited
from tidemill.machine.run import HOOKS, Place, Run
from tidemill.machine.states import GOOD_ENDS, TaskState


def inheritance(before: Run, at: Instant, *, rerun: Collection[str] = ()) -> Inherited:
    """The results of `before` that a retry may use.

    A unit's result is taken over when it succeeded, everything it waited for is wholly taken over (so that it would
    be given the same), and neither it nor anything before it is in `rerun` (node keys or place paths). A setup is taken
    over only together with everything it serves, since its teardown has run; and a teardown together with its setup.
    """
    again = set(rerun)
    order = _in_order(before)
    served = _served_by_setups(before)
    while True:
        units, whole = _taken_over(order, again)
        # A setup is before all it serves, so what becomes of them is known only now.
        needed = {path for path, guarded in served.items() if whole.get(path) and not all(whole.get(one.path) for one in guarded)}
        if not needed:
            return Inherited(at, before.id, units)
        again |= needed


def _taken_over(order: list[Place], rerun: Collection[str]) -> tuple[dict[str, list[tuple[int, Handle]]], dict[str, bool]]:
    """Per place the units that can be taken over, and whether that is all of it."""
    whole: dict[str, bool] = {}
    units: dict[str, list[tuple[int, Handle]]] = {}
    for place in order:
        same = _same_past(place, whole) and not _named(place, rerun)
        if same and place.role not in HOOKS and place.units:
            kept = [(n, unit.handle) for n, unit in enumerate(place.units) if unit.state in GOOD_ENDS and unit.handle is not None]
            if kept:
                units[place.path] = kept
        ended_well = place.state in GOOD_ENDS or place.state is TaskState.SKIPPED
        whole[place.path] = same and ended_well and all(whole[child.path] for child in place.children)
    return units, whole


def _same_past(place: Place, whole: dict[str, bool]) -> bool:
    around = place.container
    while around is not None:
        if not all(whole.get(one.path, False) for one in around.upstream):
            return False
        around = around.container
    if place.called_by is not None:
        return True  # found again by what it is: function and arguments
    return all(whole.get(one.path, False) for one in place.upstream)


def _named(place: Place, rerun: Collection[str]) -> bool:
    around: Place | None = place
    while around is not None:
        if around.path in rerun or (around.node or around.group).key in rerun:  # type: ignore[union-attr]
            return True
        around = around.container
    return False


def _served_by_setups(run: Run) -> dict[str, list[Place]]:
    served: dict[str, list[Place]] = {}
    for place in run.places.values():
        if place.role == "teardown" and place.node is not None:
            setup = run.seen_from(place.node.setup, place.scope)
            if setup is not None:
                found = [run.seen_from(key, place.scope) for key in place.node.guards]
                served.setdefault(setup.path, []).extend(one for one in found if one is not None)
    return served


def _in_order(run: Run) -> list[Place]:
    """Places such that each comes after all it waited for, and a mapped group after all that is in it."""
    done: set[str] = set()
    order: list[Place] = []
    for root in run.places.values():
        stack = [(root, False)]
        while stack:
            place, ready = stack.pop()
            if place.path in done:
                continue
            if ready:
                done.add(place.path)
                order.append(place)
                continue
            stack.append((place, True))
            before = [*place.upstream, *place.children]
            around = place.container
            while around is not None:
                before += around.upstream
                around = around.container
            stack.extend((one, False) for one in before if one.path not in done)
    return order
