"""A dimension ready to compute with: from key to number, from number to key and to the value a task is handed. Reads no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from tidemill.errors import nearest
from tidemill.graph.partitions import runs as r
from tidemill.graph.partitions.calendars.crons import ticks
from tidemill.graph.partitions.calendars.regular import Calendar, Refused, calendar, wall_of
from tidemill.graph.partitions.calendars.zones import FIRST_YEAR, LAST_YEAR
from tidemill.graph.partitions.dimensions import Dimension, Dynamic, Registry, Static, TimeDimension, Windows
from tidemill.graph.partitions.problems import BadPartition, BadPartitions
from tidemill.graph.partitions.runs import Runs

__all__ = ["Axis", "ListAxis", "TimeAxis", "axis_of", "period"]

_PERIOD = re.compile(r"(\d{4})(?:-W(\d\d)|-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_BEGIN, _END = date(FIRST_YEAR, 1, 1), date(LAST_YEAR + 1, 1, 1)
_MANY = 20_000  # known keys beyond which a near one is not searched: comparing texts is slow


class ListAxis:
    """Keys by their place in a list."""

    is_time = False

    def __init__(self, name: str, keys: tuple[str, ...], ids: dict[str, int]) -> None:
        self.name = name
        self.names = keys
        self._ids = ids

    @property
    def extent(self) -> Runs:
        """The numbers of all keys."""
        return (0, len(self.names)) if self.names else r.EMPTY

    def universe(self, now: datetime | None) -> Runs:
        """All there is: every key, at any time."""
        del now
        return self.extent

    def fits(self, other: Axis) -> bool:
        """Whether the numbers of both mean the same keys, as far as both have them."""
        if not isinstance(other, ListAxis):
            return False
        shared = min(len(self.names), len(other.names))
        return self.names is other.names or self.names[:shared] == other.names[:shared]

    def key(self, number: int) -> str:
        return self.names[number]

    def keys(self, runs: Runs) -> Iterator[str]:
        return (self.names[number] for number in r.indices(runs))

    def value(self, number: int) -> str:
        """What a task is handed."""
        return self.names[number]

    def number(self, key: str) -> int:
        """The number of a key. Raises `BadPartition`."""
        if (number := self._ids.get(key)) is None:
            near = nearest(key, self.names) if len(self.names) <= _MANY else None
            shown = ", ".join(self.names[:8]) + (" …" if len(self.names) > 8 else "")
            raise BadPartition(
                f"The dimension {self.name!r} has no key {key!r}.",
                why=f"It has {shown}." if shown else "It has no keys yet.",
                mend=f"Did you mean {near!r}?" if near else "",
            )
        return number

    def matches(self, text: str) -> bool:
        """Whether a text speaks of this dimension."""
        return text in self._ids

    def term(self, text: str) -> Runs:
        """The keys that a text names. Raises `BadPartition`."""
        number = self.number(text)
        return (number, number + 1)


class TimeAxis:
    """Windows of time by their number since 1970, between a first and a last one."""

    is_time = True

    def __init__(self, name: str, line: Calendar, lo: int, hi: int, *, open_end: bool) -> None:
        self.name = name
        self.calendar = line
        self.lo = lo
        self.hi = hi
        self.open_end = open_end

    @property
    def extent(self) -> Runs:
        """All windows that there are or will be."""
        return (self.lo, self.hi)

    def universe(self, now: datetime | None) -> Runs:
        """The windows that have ended at `now`; without a `now`, all that there will be."""
        if now is None:
            return self.extent
        return (self.lo, hi) if (hi := min(self.hi, self.calendar.at(instant_of(now)))) > self.lo else r.EMPTY

    def fits(self, other: Axis) -> bool:
        """Whether the numbers of both mean the same windows."""
        return isinstance(other, TimeAxis) and self.calendar.alike == other.calendar.alike

    def key(self, number: int) -> str:
        return self.calendar.key(number)

    def keys(self, runs: Runs) -> Iterator[str]:
        return map(self.calendar.key, r.indices(runs))

    def value(self, number: int) -> date | datetime:
        """What a task is handed: a date, or for windows within a day a datetime of the zone."""
        return self.calendar.value(number)

    def window(self, number: int) -> tuple[datetime, datetime]:
        """Begin and end (which belongs to the next) as datetimes of the zone."""
        where = self.calendar.zone
        return where.datetime(self.calendar.start(number)), where.datetime(self.calendar.start(number + 1))

    def number(self, key: str) -> int:
        """The number of a key. Raises `BadPartition`."""
        number = self._read(key)
        if not self.lo <= number < self.hi:
            side, edge = ("before the first", self.lo) if number < self.lo else ("after the last", self.hi - 1)
            raise BadPartition(
                f"The {self.calendar.unit} {key} is {side}, {self.key(edge)}.",
                why=f"The dimension {self.name!r} goes from {self.key(self.lo)} to {self._last()}.",
                mend=f"Did you mean {self.key(edge)}? Otherwise change the start or end of the partitions.",
            )
        return number

    def _read(self, key: str) -> int:
        try:
            return self.calendar.number(key)
        except Refused as refused:
            near = f"Did you mean {refused.near}?" if refused.near else f"Write a key such as {self.key(self.lo)}."
            raise BadPartition(f"The dimension {self.name!r} has no {self.calendar.unit} {key!r}.", why=refused.why, mend=near) from None

    def _last(self) -> str:
        return f"{LAST_YEAR}-12-31, the last day that is known" if self.open_end else self.key(self.hi - 1)

    def matches(self, text: str) -> bool:
        """Whether a text speaks of this dimension."""
        return bool(_PERIOD.match(text))

    def term(self, text: str) -> Runs:
        """The windows that a text names: a key, or a year, month, week or day in which windows begin. Raises `BadPartition`.

        A key must be within the extent; of a period, what lies within is meant.
        """
        try:
            dates = period(text)
        except ValueError:
            dates = None
        if dates:
            lo, hi = self.calendar.since(max(dates[0], _BEGIN)), self.calendar.since(min(dates[1], _END))
            if hi - lo > 1 or (hi > lo and self.key(lo) != text):
                return r.clip((lo, hi), self.lo, self.hi)
        number = self.number(text)
        return (number, number + 1)

    def since(self, text: str) -> int:
        """The first window that a text names, wherever that is. Raises `BadPartition`."""
        return self._edge(text)[0]

    def until(self, text: str) -> int:
        """The number after the last window that a text names."""
        return self._edge(text)[1]

    def _edge(self, text: str) -> tuple[int, int]:
        try:
            number = self.calendar.number(text)
        except Refused:
            try:
                dates = period(text)
            except ValueError:
                dates = None
            if dates and _BEGIN <= dates[0] < _END and self.calendar.since(dates[0]) < self.calendar.since(min(dates[1], _END)):
                return self.calendar.since(dates[0]), self.calendar.since(min(dates[1], _END))
            number = self._read(text)
        return number, number + 1


Axis: TypeAlias = ListAxis | TimeAxis


def axis_of(dimension: Dimension, registry: Registry | None = None) -> Axis:
    """The axis of a dimension. Raises `BadPartitions`, and `Unknown` for a time zone that is not."""
    match dimension:
        case Static():
            return ListAxis(dimension.name, dimension.keys, {key: number for number, key in enumerate(dimension.keys)})
        case Dynamic():
            known = registry or Registry()
            return ListAxis(dimension.name, known.keys, known.ids)
        case TimeDimension():
            return _time_axis(dimension, calendar(dimension.unit, dimension.tz, dimension.offset))
        case Windows():
            return _time_axis(dimension, ticks(dimension.cron, dimension.tz))


def _time_axis(dimension: TimeDimension | Windows, line: Calendar) -> TimeAxis:
    lo = _first(dimension.start, line, "start")
    hi = line.since(_END) if dimension.end is None else _after_last(dimension.end, line)
    if hi <= lo:
        raise BadPartitions(
            f"The dimension {dimension.name!r} ends before it starts: start={dimension.start!r}, end={dimension.end!r}.",
            why="`end` is the last partition; no window begins between the two.",
            mend="Give an end that is not before the start, or none.",
        )
    return TimeAxis(dimension.name, line, lo, hi, open_end=dimension.end is None)


def _first(text: str, line: Calendar, what: str) -> int:
    """The window that holds a moment; of cron windows, the first from then on."""
    instant = _moment(text, line, what, after=False)
    number = line.at(instant)
    return number + 1 if line.unit == "window" and line.start(number) < instant else number


def _after_last(text: str, line: Calendar) -> int:
    return line.at(_moment(text, line, "end", after=True) - 1) + 1


def _moment(text: str, line: Calendar, what: str, *, after: bool) -> int:
    """The instant at which what a text says begins, or is over: a day and longer as the calendar counts them, else a time of day."""
    try:
        if dates := period(text):
            instant = line.zone.instant(wall_of(dates[1] if after else dates[0], line.offset))
            within = dates[1] > _BEGIN and dates[0] < _END
        else:
            when = datetime.fromisoformat(text)
            seconds = when.hour * 3600 + when.minute * 60 + when.second
            instant = int(when.timestamp()) if when.tzinfo else line.zone.instant(wall_of(when.date(), seconds))
            if after:  # the window that holds it, or the tick at it, is the last one
                instant += 1
            within = _BEGIN <= when.date() < _END
    except ValueError as error:
        raise BadPartitions(
            f"{what}={text!r} is not a date.",
            why=f"It was refused with: {error}.",
            mend=f"Write {what}='2026-01-01', or '2026-01-01T05:00' for hours.",
        ) from None
    if not within:
        why = f"Calendars go from {FIRST_YEAR} to {LAST_YEAR}."
        raise BadPartitions(f"{what}={text!r} is out of range.", why=why, mend=f"Give a {what} between.")
    return instant


def period(text: str) -> tuple[date, date] | None:
    """[first date, date after the last) of a year, month, week or day as text; None for another text. Raises ValueError for no date."""
    found = _PERIOD.fullmatch(text)
    if not found:
        return None
    year = int(found[1])
    if found[2]:
        monday = date.fromisocalendar(year, int(found[2]), 1)
        return monday, monday + timedelta(days=7)
    if found[4]:
        day = date(year, int(found[3]), int(found[4]))
        return day, day + timedelta(days=1)
    if found[3]:
        month = int(found[3])
        return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    return date(year, 1, 1), date(year + 1, 1, 1)


def instant_of(when: datetime) -> int:
    """The whole second of a moment. One without a zone is taken as UTC."""
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() // 1)


def numbers(axis: Axis, keys: Iterable[str]) -> Runs:
    """The set of some keys. Raises `BadPartition`."""
    return r.of_indices(axis.number(key) for key in keys)
