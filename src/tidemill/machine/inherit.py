"""What a retry of a run takes over from the run before: results whose whole past is taken over too. Pure."""

from __future__ import annotations

from collections.abc import Collection

from tidemill.graph.values import Handle
from tidemill.graph.work import Instant
from tidemill.machine.events import Inherited
from tidemill.machine.run import AFTERMATH, Place, Run
from tidemill.machine.states import GOOD_ENDS, TaskState


def inheritance(before: Run, at: Instant, *, rerun: Collection[str] = ()) -> Inherited:
    """The results of `before` that a retry may use.

    A unit's result is taken over when it succeeded, everything it waited for is wholly taken over (so that it would
    be given the same), and neither it nor anything before it is in `rerun` (node keys or place paths). A setup is taken
    over only together with everything it serves, since its teardown has run.
    """
    whole: dict[str, bool] = {}
    units: dict[str, list[tuple[int, Handle]]] = {}
    served = _served_by_setups(before)
    for place in _in_order(before):
        same = _same_past(place, whole) and not _named(place, rerun)
        if same and place.role == "setup":
            same = all(one.state in GOOD_ENDS for one in served.get(place.path, ()))
        if same and place.role not in AFTERMATH and place.units:
            kept = [(n, unit.handle) for n, unit in enumerate(place.units) if unit.state in GOOD_ENDS and unit.handle is not None]
            if kept:
                units[place.path] = kept
        whole[place.path] = same and (place.state in GOOD_ENDS or place.state is TaskState.SKIPPED)
    return Inherited(at, before.id, units)


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
    return place.path in rerun or (place.node is not None and place.node.key in rerun) or (place.group is not None and place.group.key in rerun)


def _served_by_setups(run: Run) -> dict[str, list[Place]]:
    served: dict[str, list[Place]] = {}
    for place in run.places.values():
        if place.role == "teardown" and place.node is not None:
            setup = run.seen_from(place.node.setup, place.scope)
            if setup is not None:
                found = [run.seen_from(key, place.scope) for key in place.node.guards]
                served[setup.path] = [one for one in found if one is not None]
    return served


def _in_order(run: Run) -> list[Place]:
    """Places such that each comes after all it waited for."""
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
            stack.extend((one, False) for one in place.upstream if one.path not in done)
            if place.group is not None:
                continue
            if place.container is not None and place.container.path not in done:
                stack.extend((one, False) for one in place.container.upstream if one.path not in done)
    return order
