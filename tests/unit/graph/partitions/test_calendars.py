"""Windows of time in twenty zones: no gap, no overlap, each key once, both ways, over every change of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Unknown
from tidemill.graph.partitions import BadPartitions
from tidemill.graph.partitions.calendars.crons import ticks
from tidemill.graph.partitions.calendars.regular import Refused, calendar
from tidemill.graph.partitions.calendars.zones import zone

ZONES = [
    "UTC",
    "Europe/Paris",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Caracas",
    "America/Havana",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Africa/Monrovia",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Asia/Pyongyang",
    "Asia/Beirut",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Chatham",
    "America/Nuuk",
]
FIRST, LAST = 86_400, int(datetime(2100, 12, 30, tzinfo=UTC).timestamp())
CRONS = ["0 6 * * 1-5", "*/5 * * * *", "30 2 * * *", "0,30 0-3 * * *", "15 * * * *", "0 0 1 * *", "0 0 * * *", "10 0 1,15 * 1"]


@cache
def near_changes(name: str) -> list[int]:
    """Instants around a third of the changes of the clocks."""
    changes = [at for at in zone(name).starts[1::3] if FIRST + 10**6 < at < LAST - 10**6]
    return [at + hours * 3600 for at in changes for hours in (-26, -2, -1, 0, 1, 3, 25)]


@pytest.mark.parametrize("name", ZONES)
def test_the_table_of_a_zone_says_what_zoneinfo_says(name: str) -> None:
    info, mine = ZoneInfo(name), zone(name)
    for at in [*near_changes(name), *range(FIRST, LAST, 40_000_017)]:
        for instant in (at - 1, at, at + 1):
            theirs = datetime.fromtimestamp(instant, info)
            assert mine.wall(instant) == instant + theirs.utcoffset().total_seconds()
    assert list(mine.reach) == sorted(mine.reach)


@pytest.mark.parametrize("name", ZONES)
@given(wall=st.integers(FIRST, LAST))
def test_a_wall_begins_when_it_is_first_shown(name: str, wall: int) -> None:
    mine = zone(name)
    found = mine.instant(wall)
    assert mine.wall(found) >= wall > mine.wall(found - 1)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("offset", [0, 900])
def test_windows_follow_one_another_and_have_one_key_each(name: str, unit, offset: int) -> None:
    line = calendar(unit, name, offset)
    for instant in [*near_changes(name)[:210], 1_767_225_600]:
        number = line.at(instant)
        assert line.start(number) <= instant < line.start(number + 1)
        for near in range(number - 2, number + 3):
            assert line.number(line.key(near)) == near
            assert line.start(near) < line.start(near + 1)
            assert line.at(line.start(near)) == near == line.at(line.start(near + 1) - 1)


@pytest.mark.parametrize("name", ZONES)
def test_days_begin_at_the_first_midnight_and_are_never_lost(name: str) -> None:
    line, info = calendar("day", name, 0), ZoneInfo(name)
    numbers = [line.number(line.key(number)) for number in range(0, 47_000, 97)]
    assert numbers == list(range(0, 47_000, 97))
    for number in range(0, 47_000, 97):
        midnight = datetime.combine(line.value(number), datetime.min.time(), info)
        if midnight.astimezone(UTC).astimezone(info) == midnight:  # the zone does not jump over it
            assert line.start(number) == midnight.timestamp()


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Paris", "2026-03-29", 23),
        ("Europe/Paris", "2026-10-25", 25),
        ("Europe/Paris", "2026-07-01", 24),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("Asia/Kathmandu", "1986-01-01", 23.75),
        ("Africa/Monrovia", "1972-01-07", 24 - 44.5 / 60),
    ],
)
def test_a_day_is_as_long_as_it_was(name: str, day: str, hours: float) -> None:
    line = calendar("day", name, 0)
    number = line.number(day)
    assert (line.start(number + 1) - line.start(number)) / 3600 == pytest.approx(hours)


def test_a_day_that_a_zone_skipped_has_no_number() -> None:
    line = calendar("day", "Pacific/Apia", 0)
    assert line.number("2011-12-31") == line.number("2011-12-29") + 1
    with pytest.raises(Refused, match=r"went over the date line and had no 2011-12-30") as refused:
        line.number("2011-12-30")
    assert refused.value.near == "2011-12-31"
    assert calendar("day", "Pacific/Auckland", 0).key(calendar("day", "Pacific/Auckland", 0).number("2011-12-30")) == "2011-12-30"


@pytest.mark.parametrize(
    ("name", "around", "keys"),
    [
        ("Europe/Paris", "2026-03-29T00:00+00:00", ["2026-03-29T01", "2026-03-29T03", "2026-03-29T04"]),
        ("Europe/Paris", "2026-10-24T23:00+00:00", ["2026-10-25T01", "2026-10-25T02+02:00", "2026-10-25T02+01:00", "2026-10-25T03"]),
        ("America/New_York", "2026-11-01T05:00+00:00", ["2026-11-01T01-04:00", "2026-11-01T01-05:00", "2026-11-01T02"]),
        ("Australia/Lord_Howe", "2026-04-04T14:00+00:00", ["2026-04-05T01+11:00", "2026-04-05T01+10:30", "2026-04-05T02"]),
        ("Australia/Lord_Howe", "2026-10-03T14:30+00:00", ["2026-10-04T01", "2026-10-04T02", "2026-10-04T03"]),
        (
            "America/St_Johns",
            "2010-11-07T01:30+00:00",
            ["2010-11-06T23-02:30", "2010-11-07T00-02:30", "2010-11-06T23-03:30", "2010-11-07T00-03:30"],
        ),
    ],
)  # fmt: skip
def test_the_hours_around_a_change_of_the_clocks(name: str, around: str, keys: list[str]) -> None:
    line = calendar("hour", name, 0)
    number = line.at(int(datetime.fromisoformat(around).timestamp()))
    assert [line.key(number + step) for step in range(len(keys))] == keys


def test_an_hour_hands_a_task_a_datetime_with_its_fold() -> None:
    line = calendar("hour", "Europe/Paris", 0)
    first, second = (line.value(line.number(f"2026-10-25T02{offset}")) for offset in ("+02:00", "+01:00"))
    assert (first.hour, first.fold, second.hour, second.fold) == (2, 0, 2, 1)
    assert second.timestamp() - first.timestamp() == 3600
    assert calendar("week", "UTC", 0).value(calendar("week", "UTC", 0).number("2026-W07")) == date(2026, 2, 9)


@pytest.mark.parametrize(
    ("unit", "key", "why", "near"),
    [
        ("hour", "2026-10-25T02", "as 2026-10-25T02\\+02:00 and 2026-10-25T02\\+01:00", "2026-10-25T02+02:00"),
        ("hour", "2026-03-29T02", "jump over", "2026-03-29T03"),
        ("hour", "2026-03-29T24", "T00 to T23", "2026-03-29T23"),
        ("hour", "2026-03-29", "written like 2026-01-31T05", None),
        ("hour", "2026-02-30T01", "no such day", None),
        ("day", "2026-02-30", "no such day", "2026-02-28"),
        ("day", "2026-2-3", "written like 2026-01-31", None),
        ("day", "today", "written like 2026-01-31", None),
        ("week", "2026-W54", "no such week", None),
        ("month", "2026-13", "no such month", None),
    ],
)
def test_a_key_that_is_none_is_refused_with_the_nearest(unit, key: str, why: str, near: str | None) -> None:
    with pytest.raises(Refused, match=why) as refused:
        calendar(unit, "Europe/Paris", 0).number(key)
    assert refused.value.near == near


def test_an_offset_begins_windows_late() -> None:
    line = calendar("day", "Europe/Paris", 6 * 3600)
    start = line.start(line.number("2026-01-02"))
    assert datetime.fromtimestamp(start, UTC) == datetime(2026, 1, 2, 5, tzinfo=UTC)
    assert line.key(line.at(start - 1)) == "2026-01-01"


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/New_York", "Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo"])
@pytest.mark.parametrize("cron", CRONS)
def test_cron_windows_begin_when_cronsim_says(name: str, cron: str) -> None:
    line, info = ticks(cron, name), ZoneInfo(name)
    for at in [*zone(name).starts[2::9], 1_767_225_600]:
        begin = datetime.fromtimestamp(at - 3 * 86_400, UTC).astimezone(info)
        expected: list[int] = []
        for tick in CronSim(cron, begin):
            if (instant := int(tick.timestamp())) > at + 3 * 86_400:
                break
            if instant not in expected[-1:]:  # two times of one gap come at one instant
                expected.append(instant)
        number = line.at(int(begin.timestamp())) + 1
        assert [line.start(number + step) for step in range(len(expected))] == expected


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("cron", ["0 6 * * 1-5", "*/20 * * * *", "30 0,2 * * *"])
def test_cron_windows_have_one_key_each(name: str, cron: str) -> None:
    line = ticks(cron, name)
    for instant in near_changes(name)[:70]:
        number = line.at(instant)
        assert line.start(number) <= instant < line.start(number + 1)
        keys = [line.key(near) for near in range(number - 3, number + 4)]
        assert [line.number(key) for key in keys] == list(range(number - 3, number + 4))
        assert all(line.start(a) < line.start(b) for a, b in pairwise(range(number - 3, number + 4)))


def test_what_is_no_cron_window_is_refused() -> None:
    line = ticks("0 6 * * 1-5", "Europe/Paris")
    with pytest.raises(Refused, match="No window of '0 6 \\* \\* 1-5' begins then") as refused:
        line.number("2026-01-03T06:00")
    assert refused.value.near == "2026-01-02T06:00"
    with pytest.raises(Refused, match="no such day"):
        line.number("2026-02-30T06:00")
    with pytest.raises(Refused, match="written by its begin, like"):
        line.number("2026-01")


@pytest.mark.parametrize("cron", ["", "0 6 * *", "61 * * * *", "0 0 30 2 *"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(BadPartitions, match=r"(?s)is not a cron expression.*Write five fields"):
        ticks(cron, "UTC")


@pytest.mark.parametrize("name", ["Europe/Pariss", "Europe", "/etc/passwd", "../UTC", ""])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(Unknown, match="There is no time zone named"):
        zone(name)


def test_a_zone_is_known_to_its_edges() -> None:
    line = calendar("hour", "Pacific/Kiritimati", 0)
    assert line.number("1970-01-01T00") == 0
    assert line.key(line.number("2100-12-31T23")) == "2100-12-31T23"
    assert timedelta(seconds=line.start(1) - line.start(0)) == timedelta(hours=1)
