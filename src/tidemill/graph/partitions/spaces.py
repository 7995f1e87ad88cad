"""The partitions that an asset can have: its dimensions side by side, and the names of the points in them. Reads no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache

from tidemill.graph.partitions.axes import Axis, TimeAxis, axis_of
from tidemill.graph.partitions.dimensions import Dimension, Dynamic, Partitions, Registry, Static, partitions_of
from tidemill.graph.partitions.problems import BadPartition, BadPartitions
from tidemill.graph.partitions.runs import Runs

__all__ = ["Space", "quoted", "space_of", "split", "unquoted"]

_PLAIN = re.compile(r"[^\s/,;|=\"*](?:[^/,;|=\"]*[^\s/,;|=\"*])?")
_NOTHING = Static("", ("",))  # the one axis of an asset without dimensions


class Space:
    """Axes in two orders: `axes` as declared, by which keys are written, and `order`, by which regions are nested.

    `order` names places in `axes`: lists first and times last, so that the long runs of time are innermost.
    """

    def __init__(self, axes: tuple[Axis, ...]) -> None:
        self.axes = axes
        self.names = tuple(axis.name for axis in self.axes)
        self.order = tuple(sorted(range(len(self.axes)), key=lambda place: self.axes[place].is_time))
        self.nested = tuple(self.axes[place] for place in self.order)

    def __len__(self) -> int:
        return len(self.axes)

    def __repr__(self) -> str:
        return f"Space({', '.join(self.names)})"

    def axis(self, name: str) -> Axis:
        """The axis of that name. Raises `BadPartition`."""
        if name not in self.names:
            known = f"The dimensions are {', '.join(self.names)}."
            raise BadPartition(f"There is no dimension {name!r}.", why=known, mend="Name one of them.")
        return self.axes[self.names.index(name)]

    @property
    def clock(self) -> TimeAxis | None:
        """The innermost axis if it is one of time: by it, partitions are older and newer."""
        last = self.nested[-1]
        return last if isinstance(last, TimeAxis) else None

    def fits(self, other: Space) -> bool:
        """Whether sets of both can be combined: the same dimensions by name, and by calendar or keys.

        Starts and ends may differ, and one may have keys that were added later.
        """
        return self is other or (
            self.names == other.names and all(mine.fits(theirs) for mine, theirs in zip(self.axes, other.axes, strict=True))
        )

    def wider(self, other: Space) -> Space:
        """The space of two that fit which has all keys of both."""
        if self is other or all(map(_as_long, self.axes, other.axes)):
            return self
        return Space(tuple(mine if _as_long(mine, theirs) else theirs for mine, theirs in zip(self.axes, other.axes, strict=True)))

    def box(self, now: datetime | None = None) -> tuple[Runs, ...]:
        """All there is at `now`, axis by axis of `nested`: windows that have ended, and every key. Without `now`, all there will be."""
        return tuple(axis.universe(now) for axis in self.nested)

    def point(self, key: str) -> tuple[int, ...]:
        """The numbers of a key, in the order of `nested`. Raises `BadPartition`."""
        alone = len(self.axes) == 1 and self.axes[0].matches(key)  # such a key needs no quotes
        parts = [key] if alone else [unquoted(part) for part in split(key, "/")]
        if len(parts) != len(self.axes):
            example = self.key([axis.extent[0] for axis in self.nested]) if all(axis.extent for axis in self.axes) else ""
            raise BadPartition(
                f"{key!r} does not name a partition.",
                why=f"A key has a part for each of {', '.join(self.names)}.",
                mend=f"Write a key such as {example}." if example else "",
            )
        numbers = [axis.number(part) for axis, part in zip(self.axes, parts, strict=True)]
        return tuple(numbers[place] for place in self.order)

    def key(self, point: Sequence[int]) -> str:
        """The key of a point: its parts in the order of the dimensions, joined by "/"."""
        if len(point) == 1:
            return self.axes[0].key(point[0])
        parts = dict(zip(self.order, point, strict=True))
        return "/".join(quoted(axis.key(parts[place])) for place, axis in enumerate(self.axes))

    def values(self, key: str) -> dict[str, str | date | datetime]:
        """What a task is handed for a partition, by the name of the dimension: a date, a datetime of the zone, or the key."""
        return {axis.name: axis.value(number) for axis, number in zip(self.nested, self.point(key), strict=True) if axis.name}

    def window(self, key: str) -> tuple[datetime, datetime] | None:
        """Begin and end (which belongs to the next) of a partition's time; None where there is no dimension of time."""
        clock = self.clock
        return clock.window(self.point(key)[-1]) if clock else None


def space_of(
    partitions: Dimension | Partitions | Mapping[str, Dimension] | None, registries: Mapping[str, Registry] | None = None
) -> Space:
    """The space of a definition, with the registries of its dynamic dimensions by their names; an absent registry has no keys.

    Raises `BadPartitions` for what cannot be, and `Unknown` for a time zone that is not.
    """
    return _space(partitions_of(partitions)) if not registries else _with_registries(partitions_of(partitions), registries)


@lru_cache(maxsize=4096)
def _space(partitions: Partitions) -> Space:
    return Space(tuple(axis_of(each) for each in partitions.dimensions or (_NOTHING,)))


def _with_registries(partitions: Partitions, registries: Mapping[str, Registry]) -> Space:
    named = {each.name for each in partitions.dimensions if isinstance(each, Dynamic)}
    if unknown := sorted(set(registries) - named):
        raise BadPartitions(f"There is no dynamic dimension {unknown[0]!r} to have keys.", mend="Declare it: dynamic('customers').")
    return Space(tuple(axis_of(each, registries.get(each.name)) for each in partitions.dimensions))


def _as_long(mine: Axis, theirs: Axis) -> bool:
    """Whether one list has all keys of another that fits; times fit without more."""
    return mine.is_time or mine.extent >= theirs.extent


def quoted(text: str) -> str:
    """A part of a key as it is written beside others: in quotes if it has signs that would part it."""
    if _PLAIN.fullmatch(text) and ".." not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquoted(text: str) -> str:
    """The part that `quoted` wrote. Space around it does not count."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def split(text: str, sign: str) -> list[str]:
    """The parts of a text between the signs that are not in quotes."""
    if '"' not in text:
        return text.split(sign)
    pattern = rf'((?:"(?:\\.|[^"\\])*"|(?!{re.escape(sign)}).)*)(?:{re.escape(sign)}|$)'
    parts: list[str] = []
    at = 0
    while True:
        found = re.compile(pattern, re.DOTALL).match(text, at)
        if found is None:
            return [*parts, text[at:]]
        parts.append(found[1])
        if found.end() == found.end(1):
            return parts
        at = found.end()
