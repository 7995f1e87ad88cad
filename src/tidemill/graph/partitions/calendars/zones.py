"""A time zone as a table of the stretches in which its clocks kept one distance from UTC. Reads no clock.

Instants are whole seconds since 1970-01-01 UTC; a *wall* is what a clock on the wall shows, in whole seconds since
its own 1970-01-01T00:00. `zoneinfo` gives no access to its table, so ours is found by asking it day by day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from tidemill.errors import Unknown

__all__ = ["DAY", "FIRST_YEAR", "LAST_YEAR", "Zone", "zone"]

DAY = 86_400
FIRST_YEAR, LAST_YEAR = 1970, 2100
# A margin on both sides, so that weeks and zones that reach over the edge of the years are whole.
_BEGIN = datetime(FIRST_YEAR - 1, 12, 1, 12, tzinfo=UTC).replace(tzinfo=None)  # a wall time, of whatever zone
_DAYS = (datetime(LAST_YEAR + 1, 2, 1, tzinfo=UTC).replace(tzinfo=None) - _BEGIN).days
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_FOREVER = 1 << 40


class Zone:
    """One time zone. `starts[i]` is the instant from which clocks show `offsets[i]` seconds more than UTC.

    `reach[i]` is the wall at which stretch i ends. The first stretch begins before, the last ends after all years we know.
    """

    __slots__ = ("info", "name", "offsets", "reach", "starts")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self.info = info
        changes = list(_changes(info))
        self.starts = (-_FOREVER, *(at for at, _ in changes[1:]))
        self.offsets = tuple(offset for _, offset in changes)
        ends = (*self.starts[1:], _FOREVER)
        self.reach = tuple(end + offset for end, offset in zip(ends, self.offsets, strict=True))

    def wall(self, instant: int) -> int:
        """What the wall clock shows at an instant."""
        return instant + self.offsets[bisect_right(self.starts, instant) - 1]

    def instant(self, wall: int) -> int:
        """The first instant at which the wall clock shows `wall` or later.

        Of a wall that comes twice that is the first time; of one that is jumped over, the jump.
        """
        at = bisect_right(self.reach, wall)
        return max(wall - self.offsets[at], self.starts[at])

    def jumps(self) -> Iterator[tuple[int, int, int]]:
        """Each change of the clocks: its instant, the wall before it and the wall after it."""
        for at in range(1, len(self.starts)):
            yield self.starts[at], self.starts[at] + self.offsets[at - 1], self.starts[at] + self.offsets[at]

    def datetime(self, instant: int) -> datetime:
        """An instant as a datetime of this zone, with its fold."""
        return datetime.fromtimestamp(instant, self.info)


def _changes(info: ZoneInfo) -> Iterator[tuple[int, int]]:
    """(instant, offset from then on), the first one being the offset at the beginning."""
    day, step, offset_of = _BEGIN, timedelta(days=1), info.utcoffset
    before = offset_of(day)
    yield 0, _seconds(before)
    known = -_FOREVER
    for _ in range(_DAYS):
        day += step
        after = offset_of(day)
        if after != before:
            wall = _seconds(day - _EPOCH)
            # The noon before may be one that the zone jumped over, and so lie after the jump.
            found = list(_search(info, max(known, wall - 2 * DAY - _seconds(before)), wall - _seconds(after)))
            yield from found
            known = found[-1][0]
            before = after


def _search(info: ZoneInfo, low: int, high: int) -> Iterator[tuple[int, int]]:
    """The changes between two instants whose offsets differ."""
    target = _offset(info, high)
    while (before := _offset(info, low)) != target:
        bad, good = low, high
        while good - bad > 1:
            middle = (bad + good) // 2
            bad, good = (middle, good) if _offset(info, middle) == before else (bad, middle)
        low = good
        yield good, _offset(info, good)


def _offset(info: ZoneInfo, instant: int) -> int:
    return _seconds(datetime.fromtimestamp(instant, UTC).astimezone(info).utcoffset())


def _seconds(span: timedelta | None) -> int:
    return 0 if span is None else round(span.total_seconds())


@cache
def zone(name: str) -> Zone:
    """The zone of that IANA name. Its table takes some milliseconds once per process. Raises `Unknown`."""
    try:
        return Zone(name, ZoneInfo(name))
    except (ValueError, KeyError, OSError):  # what zoneinfo raises for absent names, for paths and for folders
        raise Unknown("time zone", name, known=available_timezones()) from None
