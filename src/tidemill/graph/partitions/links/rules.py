"""How the partitions of one dimension read those of another: rules as people declare them, and as functions on runs.

Each function pair is one relation "d reads u": `back` gives the u that some d read, `forth` the d that read any of some u.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol, TypeAlias

import msgspec

from tidemill.graph.partitions import runs as r
from tidemill.graph.partitions.axes import Axis, ListAxis, TimeAxis
from tidemill.graph.partitions.problems import MappingMisfit
from tidemill.graph.partitions.runs import Runs

__all__ = [
    "ALL", "IDENTITY", "LATEST", "OVERLAP", "All", "AxisRule", "Custom", "Identity", "Latest", "Moved", "Overlap", "Relation", "SameKeys",
    "SameNumbers", "Touching", "Whole", "Window", "custom", "shift", "window",
]  # fmt: skip


class Identity(msgspec.Struct, frozen=True, tag="identity"):
    """Each partition reads the one of its own key."""


class Overlap(msgspec.Struct, frozen=True, tag="overlap"):
    """Each window of time reads all windows that it shares time with."""


class Window(msgspec.Struct, frozen=True, tag="window"):
    """Each partition reads those from `first` to `last` places away, both included, in its own calendar."""

    first: int
    last: int


class All(msgspec.Struct, frozen=True, tag="all"):
    """Each partition reads all that there are."""


class Latest(msgspec.Struct, frozen=True, tag="latest"):
    """Each partition reads the last one that there is."""


class Custom(msgspec.Struct, frozen=True):
    """A function of the user's from a key to the keys that it reads. It is called once per partition: it is slow, and survives no JSON."""

    function: Callable[[str], Iterable[str]]


AxisRule: TypeAlias = Identity | Overlap | Window | All | Latest
IDENTITY, OVERLAP, ALL, LATEST = Identity(), Overlap(), All(), Latest()


def window(first: int, last: int) -> Window:
    """`window(-6, 0)`: a day reads itself and the six days before it."""
    if last < first:
        raise MappingMisfit(f"window({first}, {last}) ends before it starts.", mend=f"Did you mean window({last}, {first})?")
    return Window(first, last)


def shift(by: int) -> Window:
    """`shift(-1)`: a day reads the day before."""
    return Window(by, by)


def custom(function: Callable[[str], Iterable[str]]) -> Custom:
    """A mapping by a function from a downstream key to the upstream keys that it reads."""
    return Custom(function)


class Relation(Protocol):
    """A rule between two axes, on runs. Results are not cut to what exists."""

    def forth(self, upstream: Runs) -> Runs:
        """The downstream numbers that read any of these."""

    def back(self, downstream: Runs) -> Runs:
        """The upstream numbers that these read."""


class SameNumbers:
    """Equal numbers mean the same on both axes."""

    def forth(self, upstream: Runs) -> Runs:
        return upstream

    def back(self, downstream: Runs) -> Runs:
        return downstream


class SameKeys:
    """Two lists with some keys in common, at other places."""

    def __init__(self, upstream: ListAxis, downstream: ListAxis) -> None:
        places = {key: number for number, key in enumerate(upstream.names)}
        self._up = {places[key]: number for number, key in enumerate(downstream.names) if key in places}
        self._down = {number: place for place, number in self._up.items()}

    def forth(self, upstream: Runs) -> Runs:
        return r.of_indices(self._up[number] for number in r.indices(upstream) if number in self._up)

    def back(self, downstream: Runs) -> Runs:
        return r.of_indices(self._down[number] for number in r.indices(downstream) if number in self._down)


class Touching:
    """Windows of two calendars that share time."""

    def __init__(self, upstream: TimeAxis, downstream: TimeAxis) -> None:
        self._up = upstream.calendar
        self._down = downstream.calendar

    def forth(self, upstream: Runs) -> Runs:
        return _touched(upstream, self._up.start, self._down.at)

    def back(self, downstream: Runs) -> Runs:
        return _touched(downstream, self._down.start, self._up.at)


def _touched(runs: Runs, start: Callable[[int], int], at: Callable[[int], int]) -> Runs:
    return r.normal([(at(start(lo)), at(start(hi) - 1) + 1) for lo, hi in r.pairs(runs)])


class Moved:
    """A relation seen through a window of the downstream calendar: "these months and the two before", of days."""

    def __init__(self, first: int, last: int, inner: Relation) -> None:
        self._first = first
        self._last = last
        self._inner = inner

    def forth(self, upstream: Runs) -> Runs:
        return r.widened(self._inner.forth(upstream), -self._last, -self._first)

    def back(self, downstream: Runs) -> Runs:
        return self._inner.back(r.widened(downstream, self._first, self._last))


class Whole:
    """Every downstream number reads the same upstream numbers."""

    def __init__(self, read: Runs, readers: Runs) -> None:
        self._read = read
        self._readers = readers

    def forth(self, upstream: Runs) -> Runs:
        return self._readers if r.intersection(upstream, self._read) else r.EMPTY

    def back(self, downstream: Runs) -> Runs:
        return self._read if downstream else r.EMPTY


def whole(rule: All | Latest, upstream: Axis, downstream: Axis, now: datetime | None) -> Whole:
    """The relation of `ALL` and `LATEST`, which read what there is at `now`."""
    there = upstream.universe(now)
    return Whole(there if isinstance(rule, All) else r.take_last(there, 1), downstream.extent)
