"""Partition dimensions as people declare them: plain values that survive JSON. Computes nothing but their validity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TypeAlias

import msgspec

from tidemill.errors import BadSetting
from tidemill.graph.durations import seconds
from tidemill.graph.partitions.calendars.regular import Unit
from tidemill.graph.partitions.problems import BadPartitions

__all__ = [
    "Dimension", "Dynamic", "Partitions", "Registry", "Static", "TimeDimension", "Windows", "daily", "dynamic", "hourly", "monthly",
    "partitions_of", "static", "weekly", "windows",
]  # fmt: skip

Moment: TypeAlias = str | date | datetime
_LONGEST = {"hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 28 * 86_400}


class _Factor(msgspec.Struct, frozen=True):
    """What can be multiplied with another dimension."""

    name: str

    def __mul__(self, other: Dimension | Partitions) -> Partitions:
        return _product((_dimension(self), *partitions_of(other).dimensions))


class TimeDimension(_Factor, frozen=True, tag="time", omit_defaults=True):
    """Hours, days, weeks or months of a zone, from the one that holds `start` to the one that holds `end`.

    `offset` is by how many seconds a window begins late. Without an `end`, there are more as time passes.
    """

    unit: Unit
    start: str
    end: str | None = None
    tz: str = "UTC"
    offset: int = 0


class Windows(_Factor, frozen=True, tag="windows", omit_defaults=True):
    """From each tick of a cron expression to the next, in a zone: from the first tick at or after `start`."""

    cron: str
    start: str
    end: str | None = None
    tz: str = "UTC"


class Static(_Factor, frozen=True, tag="static"):
    """A list of keys, fixed where it is declared."""

    keys: tuple[str, ...]


class Dynamic(_Factor, frozen=True, tag="dynamic"):
    """Keys that are added at run time; a `Registry` of them is kept outside."""


Dimension: TypeAlias = TimeDimension | Windows | Static | Dynamic


class Registry:
    """The keys of a dynamic dimension in the order in which they were added: a value; its numbers never change."""

    __slots__ = ("ids", "keys")

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        self.keys = keys
        self.ids = {key: number for number, key in enumerate(keys)}
        _check_keys("A registry", keys, len(self.ids))

    def adding(self, *keys: str) -> Registry:
        """This registry with those of the keys that it does not have, at the end."""
        new = tuple(dict.fromkeys(key for key in keys if key not in self.ids))
        return Registry(self.keys + new) if new else self


class Partitions(msgspec.Struct, frozen=True):
    """The dimensions of an asset, in the order in which a key names them. Without any, an asset has one partition."""

    dimensions: tuple[Dimension, ...] = ()

    def __mul__(self, other: Dimension | Partitions) -> Partitions:
        return _product((*self.dimensions, *partitions_of(other).dimensions))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the dimensions; a task's parameters of these names are handed their values."""
        return tuple(dimension.name for dimension in self.dimensions)


def partitions_of(value: Dimension | Partitions | Mapping[str, Dimension] | None) -> Partitions:
    """What `partitions=` takes: a dimension, a product of them, a dict from name to dimension, or None. Raises `BadPartitions`."""
    if value is None:
        return Partitions()
    if isinstance(value, Partitions):
        return value
    if isinstance(value, Mapping):
        return _product(tuple(msgspec.structs.replace(_dimension(each), name=name) for name, each in value.items()))
    return _product((_dimension(value),))


def _dimension(value: object) -> Dimension:
    if not isinstance(value, (TimeDimension, Windows, Static, Dynamic)):
        raise BadPartitions(
            f"{value!r} is not a partition dimension.",
            mend="Write, for example, partitions=daily('2026-01-01') * static('fr', 'de', name='country').",
        )
    return value


def _product(dimensions: tuple[Dimension, ...]) -> Partitions:
    names = [dimension.name for dimension in dimensions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadPartitions(
            f"Two dimensions have the name {twice[0]!r}.",
            why="A task's parameter and a key's part find their dimension by its name.",
            mend="Name them: partitions={'sold': daily(...), 'paid': daily(...)}.",
        )
    for name in names:
        if not name.isidentifier():
            mend = "Use a name such as 'country'."
            why = "It is also the name of a parameter."
            raise BadPartitions(f"{name!r} cannot name a dimension.", why=why, mend=mend)
    return Partitions(dimensions)


def hourly(start: Moment, end: Moment | None = None, tz: str = "UTC", *, offset: object = 0, name: str = "hour") -> TimeDimension:
    """Hours, keys like "2026-01-31T05". `offset="15m"`: from a quarter past to a quarter past."""
    return _time("hour", start, end, tz, offset, name=name)


def daily(start: Moment, end: Moment | None = None, tz: str = "UTC", *, offset: object = 0, name: str = "day") -> TimeDimension:
    """Days, keys like "2026-01-31". `offset="6h"`: from six to six. `end` is the last day."""
    return _time("day", start, end, tz, offset, name=name)


def weekly(start: Moment, end: Moment | None = None, tz: str = "UTC", *, offset: object = 0, name: str = "week") -> TimeDimension:
    """ISO weeks from Monday on, keys like "2026-W07". `offset="6d"`: from Sunday on. The first is the week that holds `start`."""
    return _time("week", start, end, tz, offset, name=name)


def monthly(start: Moment, end: Moment | None = None, tz: str = "UTC", *, offset: object = 0, name: str = "month") -> TimeDimension:
    """Months, keys like "2026-01". The first is the month that holds `start`."""
    return _time("month", start, end, tz, offset, name=name)


def windows(cron: str, start: Moment, end: Moment | None = None, tz: str = "UTC", *, name: str = "window") -> Windows:
    """From each tick of `cron` to the next, keys like "2026-01-05T06:00".

    The first tick is at or after `start`, the last at or before `end`.
    """
    return Windows(name, cron, _moment(start, "start"), None if end is None else _moment(end, "end"), tz)


def static(*keys: str, name: str = "part") -> Static:
    """Fixed keys: `static("fr", "de", name="country")`."""
    if not keys:
        raise BadPartitions("static() has no keys.", mend="Name them: static('fr', 'de').")
    _check_keys("static()", keys, len(set(keys)))
    return Static(name, keys)


def dynamic(name: str) -> Dynamic:
    """Keys that are added at run time: `dynamic("customers")`."""
    return Dynamic(name)


def _time(unit: Unit, start: Moment, end: Moment | None, tz: str, offset: object, *, name: str) -> TimeDimension:
    late = seconds(offset, name="offset")
    if late >= _LONGEST[unit] or late != int(late):
        raise BadSetting(
            f"offset={offset!r} does not fit a {unit}.",
            why=f"A {unit} can begin late by whole seconds, and by less than a {unit}.",
            mend="Leave it out, or write for example offset='6h' for days.",
        )
    return TimeDimension(name, unit, _moment(start, "start"), None if end is None else _moment(end, "end"), tz, int(late))


def _moment(value: Moment, what: str) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value.strip()
    raise BadPartitions(f"{what}={value!r} is not a date.", mend=f"Write a date or its text: {what}='2026-01-01'.")


def _check_keys(whose: str, keys: tuple[str, ...], different: int) -> None:
    named: tuple[object, ...] = keys  # people hand over numbers
    bad = next((key for key in named if not (isinstance(key, str) and key.strip() and key.isprintable())), None)
    if bad is not None:
        why = "A key is text that can be read and written."
        raise BadPartitions(f"{whose} has the key {bad!r}.", why=why, mend="Use keys such as 'fr'.")
    if different < len(keys):
        twice = next(key for at, key in enumerate(keys) if key in keys[:at])
        raise BadPartitions(f"{whose} has the key {twice!r} twice.", mend="Name each key once.")
