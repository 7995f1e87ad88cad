"""Windows between the ticks of a cron expression as whole numbers, both ways, without walking from tick to tick. Reads no clock.

Fields mean what they mean to cronsim, which parses them: a time that the clocks jump over comes at the jump, one that comes twice counts
the first time; where the minute or the hour is a star, ticks follow the clock through both passes and leave out what it jumps over.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from itertools import accumulate

from cronsim import CronSim, CronSimError

from tidemill.graph.partitions.calendars.regular import Refused, read_offset, wall_of, written_offset
from tidemill.graph.partitions.calendars.zones import DAY, FIRST_YEAR, LAST_YEAR, Zone, zone
from tidemill.graph.partitions.problems import BadPartitions

__all__ = ["Ticks", "ticks"]

_FIRST = date(FIRST_YEAR - 1, 12, 2).toordinal() - date(1970, 1, 1).toordinal()  # as a day since 1970
_DAYS = date(LAST_YEAR + 1, 1, 31).toordinal() - date(FIRST_YEAR - 1, 12, 2).toordinal()
_ORDINAL = date(1970, 1, 1).toordinal()


class Ticks:
    """The windows of a cron expression; keys "2026-01-31T06:00", with the distance from UTC where that wall time comes twice.

    On most days ticks stand at the same walls, so a tick's number is the number of ticks on the days before and its place in the
    day. Only days on which clocks change are computed one by one.
    """

    unit = "window"
    shape = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d)(?::(\d\d))?([+-]\d\d:\d\d(?::\d\d)?)?", re.ASCII)

    def __init__(self, cron: str, where: Zone) -> None:
        fields = CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
        self.cron = cron
        self.offset = 0
        self.zone = where
        self.alike = (self.unit, where.name, cron)
        self._walls = sorted(h * 3600 + m * 60 + s for h in fields.hours for m in fields.minutes for s in fields.seconds)
        parts = cron.split()
        # cronsim's own condition for following Debian: times of day, where no minute and hour is a star and no seconds are given.
        self._of_day = len(parts) == 5 and not parts[0].startswith("*") and not parts[1].startswith("*")
        self._matched = [_matches(fields, day) for day in range(_FIRST, _FIRST + _DAYS)]
        self._special = {day: self._changed(day) for day in sorted(self._days_of_change())}
        counts = [len(self._walls) if matched else 0 for matched in self._matched]
        for day, found in self._special.items():
            counts[day - _FIRST] = len(found)
        self._before = [0, *accumulate(counts)]
        epoch = self._before[-_FIRST]
        self._before = [number - epoch for number in self._before]
        if counts.count(0) == len(counts):
            raise CronSimError("it never ticks")

    def _days_of_change(self) -> set[int]:
        return {
            day
            for _, before, after in self.zone.jumps()
            for day in range((min(before, after) - 1) // DAY, max(before, after) // DAY + 2)
            if _FIRST < day < _FIRST + _DAYS - 1
        }

    def _changed(self, day: int) -> list[int]:
        """The ticks of a day on which clocks change, as instants."""
        if self._of_day:
            late = self._by_time_of_day(day - 1)[-1:]
            return [at for at in self._by_time_of_day(day) if at not in late]
        # What belongs to a day is what happens from its first midnight to the next one's, also if the wall shows the day before again.
        lo, hi = self.zone.instant(day * DAY), self.zone.instant((day + 1) * DAY)
        starts, offsets = self.zone.starts, self.zone.offsets
        found: list[int] = []
        for at in range(bisect_right(starts, lo) - 1, bisect_left(starts, hi)):
            until = starts[at + 1] if at + 1 < len(starts) else hi
            found += [wall - offsets[at] for wall in self._between(max(lo, starts[at]) + offsets[at], min(hi, until) + offsets[at])]
        return found

    def _between(self, begin: int, end: int) -> Iterator[int]:
        """The walls in [begin, end) that the fields allow."""
        for day in range(begin // DAY, (end - 1) // DAY + 1):
            if self._matched[day - _FIRST]:
                midnight = day * DAY
                first, last = bisect_left(self._walls, begin - midnight), bisect_left(self._walls, end - midnight)
                yield from (midnight + wall for wall in self._walls[first:last])

    def _by_time_of_day(self, day: int) -> list[int]:
        if not self._matched[day - _FIRST]:
            return []
        return sorted({self.zone.instant(day * DAY + wall) for wall in self._walls})

    def start(self, number: int) -> int:
        day = bisect_right(self._before, number) - 1
        place = number - self._before[day]
        day += _FIRST
        if (found := self._special.get(day)) is not None:
            return found[place]
        return self.zone.instant(day * DAY + self._walls[place])

    def at(self, instant: int) -> int:
        """The number of the window that holds an instant: that of the last tick at or before it."""
        low, high = self._before[0], self._before[-1]
        day = self.zone.wall(instant) // DAY - _FIRST
        if 2 <= day < _DAYS - 3:  # a change of the clocks moves no tick further than to the day beside
            low, high = self._before[day - 2], self._before[day + 3]
        # The last number whose start is not after the instant.
        low -= 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.start(middle) <= instant else (low, middle)
        return low

    def since(self, day: date) -> int:
        instant = self.zone.instant(wall_of(day))
        number = self.at(instant)
        return number if self.start(number) >= instant else number + 1

    def key(self, number: int) -> str:
        instant = self.start(number)
        wall = self.zone.wall(instant)
        day, seconds = divmod(wall, DAY)
        text = f"{date.fromordinal(day + _ORDINAL).isoformat()}T{seconds // 3600:02}:{seconds // 60 % 60:02}"
        if seconds % 60:
            text += f":{seconds % 60:02}"
        return text if self._once(wall) else text + written_offset(wall - instant)

    def _once(self, wall: int) -> bool:
        """Whether no other tick shows this wall. Only on a day of change can there be one, and not far away."""
        day = wall // DAY
        if day not in self._special:
            return True
        return sum(self.zone.wall(at) == wall for near in (day - 1, day, day + 1) for at in self._special.get(near, ())) <= 1

    def number(self, key: str) -> int:
        found = self.shape.fullmatch(key)
        if not found:
            raise Refused(f"A window is written by its begin, like {self.key(self.at(1_767_225_600))}.")
        try:
            day = date.fromisoformat(found[1])
        except ValueError as error:
            raise Refused(f"There is no such day: {error}.") from None
        wall = wall_of(day, int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4] or 0))
        shift = read_offset(found[5]) if found[5] else None
        number = self.at(self.zone.instant(wall) if shift is None else wall - shift)
        near = self.key(number)
        if near != key and self.key(number + 1) == key:
            return number + 1
        if near != key:
            again = " The clocks show it twice." if near.startswith(key) else ""
            raise Refused(f"No window of {self.cron!r} begins then in {self.zone.name}.{again}", near=near)
        return number

    def value(self, number: int) -> datetime:
        return self.zone.datetime(self.start(number))


def _matches(fields: CronSim, day: int) -> bool:
    when = date.fromordinal(day + _ORDINAL)
    return when.month in fields.months and fields.match_day(when)


@cache
def ticks(cron: str, tz: str) -> Ticks:
    """The windows of a cron expression in a zone. Raises `Unknown` for a zone that is not, `BadPartitions` for no expression."""
    where = zone(tz)
    try:
        return Ticks(cron, where)
    except CronSimError as error:
        raise BadPartitions(
            f"{cron!r} is not a cron expression.",
            why=f"It was refused with: {error}.",
            mend="Write five fields, minute hour day month weekday: windows('0 6 * * 1-5', ...).",
        ) from None
