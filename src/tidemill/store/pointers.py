"""How pointers move, and what an environment may stand on: the rules, the same for every database. Knows none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

import msgspec

from tidemill.errors import BadSetting, Unknown
from tidemill.graph.assets import Environment, RefRow
from tidemill.store.encoding import sound, text
from tidemill.store.problems import EnvironmentNeeded, EnvironmentTaken

Pointer: TypeAlias = tuple[str, str, str]  # environment, asset, partition
Part: TypeAlias = tuple[str, str]  # asset, partition

DEFAULT = "default"
"""The environment that needs no row."""

KEPT = 20
"""Versions of an asset's partition that stay alive although no environment shows them: its last ones, of whatever environment."""


def pointer(ref: RefRow) -> Pointer:
    """Which pointer it is."""
    return ref.environment, ref.asset, ref.partition


def moves(refs: Iterable[RefRow], now: dict[Pointer, RefRow], inherited: Mapping[Pointer, str]) -> list[RefRow]:
    """Those of `refs` that change version or key of what their environment says itself, in order, each with its `before`.

    `now` is what environments say themselves, and is changed; `inherited` the version that the others show of what they do not say.
    """
    moved = []
    for ref in refs:
        at = pointer(ref)
        old = now.get(at)
        if old is not None and (old.version, old.key) == (ref.version, ref.key):
            continue
        before = inherited.get(at, "") if old is None else old.version
        now[at] = msgspec.structs.replace(ref, handle=sound(ref.handle), because=text(ref.because), before=before, seq=0)
        moved.append(now[at])
    return moved


def differing(expected: Mapping[Part, str], shown: Mapping[Part, str]) -> list[tuple[str, str, str, str]]:
    """Where `shown` is not as `expected`: asset, partition, the version expected, the one shown."""
    asked = ((part, thought, shown.get(part, "")) for part, thought in sorted(expected.items()))
    return [(*part, thought, found) for part, thought, found in asked if thought != found]


def standing(wanted: Environment, there: Collection[Environment]) -> Environment | None:
    """The environment that is there already, or None if it can be made. Raises `EnvironmentTaken`, `Unknown`, `BadSetting`."""
    known = {one.name: one for one in there}
    found = known.get(wanted.name)
    if found is not None:
        if found.parent != wanted.parent:
            raise EnvironmentTaken(found.name, parent=found.parent, asked=wanted.parent)
        return found
    if not wanted.name or wanted.name != text(wanted.name):
        raise BadSetting(f"{wanted.name!r} cannot be the name of an environment.", why="It is empty, or no text.", mend="Give it a name.")
    if wanted.parent and wanted.parent not in known:  # so no environment ever stands on itself, however far behind
        raise Unknown("environment", wanted.parent, known=known)
    return None


def droppable(name: str, there: Collection[Environment]) -> None:
    """Raises `Unknown` if it is not there, `EnvironmentNeeded` if it must stay."""
    if name not in (known := [one.name for one in there]):
        raise Unknown("environment", name, known=known)
    children = [one.name for one in there if one.parent == name]
    if children or name == DEFAULT:
        raise EnvironmentNeeded(name, children=children)
