"""Hours, days, weeks and months of a time zone as whole numbers, both ways. Reads no clock.

The numbers count from 1970, whatever start an asset has, so that a changed start moves nothing. Day 0 is 1970-01-01, week 0 the week of
that day (they begin on Monday), month 0 its month, hour 0 its first hour. A day of 23 or 25 hours is one day; a day that a zone
skipped has no number. An hour is a stretch in which the clocks show one hour and keep one distance from UTC: the two passes of a
repeated hour are two, and a hour that the clocks cut short is a short one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from datetime import date, datetime, timedelta
from functools import cache
from typing import Literal, Protocol, TypeAlias

from tidemill.graph.partitions.calendars.zones import DAY, Zone, zone

__all__ = ["Calendar", "Days", "Hours", "Months", "Refused", "Unit", "Weeks", "calendar", "read_offset", "wall_of", "written_offset"]

Unit: TypeAlias = Literal["hour", "day", "week", "month"]
_ORDINAL = date(1970, 1, 1).toordinal()
_MONDAY = _ORDINAL - 3
_HOUR = 3600
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d))?", re.ASCII)


class Refused(Exception):
    """A text that is no key of a calendar: `why`, and the nearest key where there is one.

    It is an answer to the caller, who knows which dimension is meant and makes a `BadPartition` of it.
    """

    def __init__(self, why: str, near: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.near = near


class Calendar(Protocol):
    """A line of windows of time without gaps, numbered from 1970 on."""

    zone: Zone
    offset: int

    @property
    def unit(self) -> str:
        """What one window is called."""

    @property
    def alike(self) -> tuple[object, ...]:
        """What two calendars must share for their numbers to mean the same."""

    def start(self, number: int) -> int:
        """The instant at which a window begins. It ends where the next begins."""

    def at(self, instant: int) -> int:
        """The number of the window that holds an instant."""

    def since(self, day: date) -> int:
        """The first window that is named by `day` or a later date."""

    def key(self, number: int) -> str:
        """A window's name."""

    def number(self, key: str) -> int:
        """The window of that name. Raises `Refused`."""

    def value(self, number: int) -> date | datetime:
        """What a task is handed: a datetime of the zone for windows within a day, else the first date."""


class _Nominal:
    """Windows that begin at a wall time which can be computed: the first instant at which the wall clock shows it or later."""

    unit: str
    shape: re.Pattern[str]
    example: str

    def __init__(self, where: Zone, offset: int) -> None:
        self.zone = where
        self.offset = offset
        self.alike: tuple[object, ...] = (self.unit, where.name, offset)

    def first_date(self, number: int) -> date:
        """The date by which a window is named."""
        raise NotImplementedError

    def named(self, day: date) -> int:
        """The window whose dates hold `day`."""
        raise NotImplementedError

    def _parsed(self, found: re.Match[str]) -> int:
        raise NotImplementedError

    def start(self, number: int) -> int:
        return self.zone.instant((self.first_date(number).toordinal() - _ORDINAL) * DAY + self.offset)

    def at(self, instant: int) -> int:
        number = self.named(date.fromordinal((self.zone.wall(instant) - self.offset) // DAY + _ORDINAL))
        # Where clocks are put back over a boundary, the wall shows the old date again: the boundary has passed all the same.
        while self.start(number + 1) <= instant:
            number += 1
        return number

    def since(self, day: date) -> int:
        number = self.named(day)
        return number if self.first_date(number) >= day else number + 1

    def number(self, key: str) -> int:
        found = self.shape.fullmatch(key)
        if not found:
            raise Refused(f"A {self.unit} is written like {self.example}.")
        try:
            return self._parsed(found)
        except ValueError as error:
            raise Refused(f"There is no such {self.unit}: {error}.") from None

    def value(self, number: int) -> date:
        return self.first_date(number)


class Days(_Nominal):
    """Days; keys "2026-01-31"."""

    unit = "day"
    shape = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
    example = "2026-01-31"

    def __init__(self, where: Zone, offset: int) -> None:
        super().__init__(where, offset)
        # Days that no instant belongs to: the zone went over the date line. As ordinals, and as the number of the day after.
        jumped = [
            day
            for _, before, after in where.jumps()
            if after - before >= DAY
            for day in range(-(-(before - offset) // DAY), (after - offset) // DAY)
        ]
        self._skipped = [_ORDINAL + day for day in jumped]
        self._after = [day - place for place, day in enumerate(jumped)]

    def first_date(self, number: int) -> date:
        return date.fromordinal(number + _ORDINAL + bisect_right(self._after, number))

    def named(self, day: date) -> int:
        ordinal = day.toordinal()
        return ordinal - _ORDINAL - bisect_left(self._skipped, ordinal)

    def key(self, number: int) -> str:
        return self.first_date(number).isoformat()

    def _parsed(self, found: re.Match[str]) -> int:
        try:
            day = date.fromisoformat(found[0])
        except ValueError as error:
            raise Refused(f"There is no such day: {error}.", near=_last_of_month(found)) from None
        number = self.named(day)
        if day.toordinal() in self._skipped:
            raise Refused(f"{self.zone.name} went over the date line and had no {found[0]}.", near=self.key(number))
        return number


class Weeks(_Nominal):
    """ISO weeks, from Monday on; keys "2026-W07"."""

    unit = "week"
    shape = re.compile(r"(\d{4})-W(\d\d)", re.ASCII)
    example = "2026-W07"

    def first_date(self, number: int) -> date:
        return date.fromordinal(_MONDAY + 7 * number)

    def named(self, day: date) -> int:
        return (day.toordinal() - _MONDAY) // 7

    def key(self, number: int) -> str:
        year, week, _ = self.first_date(number).isocalendar()
        return f"{year:04}-W{week:02}"

    def _parsed(self, found: re.Match[str]) -> int:
        return self.named(date.fromisocalendar(int(found[1]), int(found[2]), 1))


class Months(_Nominal):
    """Months; keys "2026-01"."""

    unit = "month"
    shape = re.compile(r"(\d{4})-(\d\d)", re.ASCII)
    example = "2026-01"

    def first_date(self, number: int) -> date:
        return date(1970 + number // 12, number % 12 + 1, 1)

    def named(self, day: date) -> int:
        return (day.year - 1970) * 12 + day.month - 1

    def key(self, number: int) -> str:
        return f"{1970 + number // 12:04}-{number % 12 + 1:02}"

    def _parsed(self, found: re.Match[str]) -> int:
        return self.named(date(int(found[1]), int(found[2]), 1))


class Hours:
    """Hours; keys "2026-01-31T05", with the distance from UTC ("2026-10-25T02+01:00") where an hour comes in more than one piece."""

    unit = "hour"
    shape = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)([+-]\d\d:\d\d(?::\d\d)?)?", re.ASCII)

    def __init__(self, where: Zone, offset: int) -> None:
        self.zone = where
        self.offset = offset
        self.alike = (self.unit, where.name, offset)
        # Per stretch of the zone: the first and last hour that its walls show, and the number of the first.
        self._first = [(start + shift - offset) // _HOUR for start, shift in zip(where.starts, where.offsets, strict=True)]
        self._last = [-(-(end - offset) // _HOUR) - 1 for end in where.reach]
        self._base = [0]
        for first, last in zip(self._first[:-1], self._last[:-1], strict=True):
            self._base.append(self._base[-1] + last - first + 1)
        epoch = next(base - first for first, last, base in zip(self._first, self._last, self._base, strict=True) if first <= 0 <= last)
        self._base = [base - epoch for base in self._base]

    def _place(self, number: int) -> tuple[int, int]:
        """(stretch, hour that the wall shows)."""
        at = bisect_right(self._base, number) - 1
        return at, self._first[at] + number - self._base[at]

    def start(self, number: int) -> int:
        at, hour = self._place(number)
        return max(hour * _HOUR + self.offset - self.zone.offsets[at], self.zone.starts[at])

    def at(self, instant: int) -> int:
        at = bisect_right(self.zone.starts, instant) - 1
        return self._base[at] + (instant + self.zone.offsets[at] - self.offset) // _HOUR - self._first[at]

    def since(self, day: date) -> int:
        return self.at(self.zone.instant(wall_of(day, self.offset)))

    def key(self, number: int) -> str:
        at, hour = self._place(number)
        text = f"{date.fromordinal(hour // 24 + _ORDINAL).isoformat()}T{hour % 24:02}"
        if (at and hour <= self._last[at - 1]) or (at + 1 < len(self._first) and hour >= self._first[at + 1]):
            text += written_offset(self.zone.offsets[at])
        return text

    def number(self, key: str) -> int:
        found = self.shape.fullmatch(key)
        if not found:
            raise Refused("An hour is written like 2026-01-31T05, from T00 to T23.")
        try:
            day = date.fromisoformat(found[1])
        except ValueError as error:
            raise Refused(f"There is no such day: {error}.") from None
        if int(found[2]) > 23:
            raise Refused("The hours of a day are T00 to T23.", near=f"{found[1]}T23")
        hour = (day.toordinal() - _ORDINAL) * 24 + int(found[2])
        if len(self._first) == 1 and not found[3]:
            return self._base[0] + hour - self._first[0]
        passes = [at for at in self._around(hour) if self._first[at] <= hour <= self._last[at]]
        numbers = [self._base[at] + hour - self._first[at] for at in passes]
        if not passes:
            after = self.key(self.at(self.zone.instant(hour * _HOUR + self.offset)))
            raise Refused(f"The clocks of {self.zone.name} jump over {key}.", near=after)
        if found[3]:
            shift = read_offset(found[3])
            numbers = [number for number, at in zip(numbers, passes, strict=True) if self.zone.offsets[at] == shift]
        if len(numbers) != 1:
            ways = [self.key(self._base[at] + hour - self._first[at]) for at in passes]
            raise Refused(f"The clocks of {self.zone.name} show this hour as {' and '.join(ways)}.", near=ways[0])
        return numbers[0]

    def _around(self, hour: int) -> range:
        """The stretches that may show an hour: a change of the clocks is far shorter than the time between two of them."""
        at = bisect_right(self.zone.reach, hour * _HOUR + self.offset)
        return range(max(0, at - 1), min(len(self._first), at + 3))

    def value(self, number: int) -> datetime:
        """The window's begin. Its wall may lie within the hour, where clocks were changed."""
        return self.zone.datetime(self.start(number))


def written_offset(seconds: int) -> str:
    """A distance from UTC as text: "+02:00"."""
    sign, rest = ("-", -seconds) if seconds < 0 else ("+", seconds)
    text = f"{sign}{rest // 3600:02}:{rest // 60 % 60:02}"
    return f"{text}:{rest % 60:02}" if rest % 60 else text


def read_offset(text: str) -> int | None:
    """The seconds that `written_offset` wrote, or None."""
    found = _OFFSET.fullmatch(text)
    if not found:
        return None
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4] or 0)
    return -seconds if found[1] == "-" else seconds


def wall_of(day: date, seconds: int = 0) -> int:
    """The wall of `seconds` after a day's midnight."""
    return (day.toordinal() - _ORDINAL) * DAY + seconds


def _last_of_month(found: re.Match[str]) -> str | None:
    year, month = int(found[1]), int(found[2])
    if not (1 <= year < 9999 and 1 <= month <= 12 and int(found[3])):
        return None
    return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).isoformat()


_KINDS: dict[Unit, type[Hours | Days | Weeks | Months]] = {"hour": Hours, "day": Days, "week": Weeks, "month": Months}


@cache
def calendar(unit: Unit, tz: str, offset: int) -> Calendar:
    """The calendar of a unit and a zone, whose windows begin `offset` seconds late. Raises `Unknown` for a zone that is not."""
    return _KINDS[unit](zone(tz), offset)
