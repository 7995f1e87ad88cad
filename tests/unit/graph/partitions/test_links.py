"""Which partitions read which, and which have what they read: beside relations that are written out pair by pair."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product as combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import BadSetting
from tidemill.graph.partitions import (
    ALL,
    IDENTITY,
    LATEST,
    OVERLAP,
    BadPartition,
    MappingMisfit,
    PartitionSet,
    complete,
    custom,
    daily,
    dynamic,
    hourly,
    link,
    monthly,
    newly_ready,
    parse,
    shift,
    space_of,
    static,
    text,
    weekly,
    window,
    windows,
)

NOW = datetime(2026, 4, 1, tzinfo=UTC)
DAY = daily("2026-01-28", "2026-03-03")
PARIS_HOURS = hourly("2026-03-28", "2026-03-30", tz="Europe/Paris")
LANDS = static("fr", "de", name="land")
MORE_LANDS = static("at", "de", "fr", name="land")


def shared_time(up, down):
    """Whether two windows share time, by their own datetimes. Those of one zone are compared as instants."""
    (a, b), (c, d) = ([end.astimezone(UTC) for end in ends] for ends in (up, down))
    return a < d and c < b


def by_time(up, down):
    return lambda u, d: shared_time(up.window(u), down.window(d))


def days_apart(first: int, last: int):
    def reads(u: str, d: str) -> bool:
        days = (datetime.fromisoformat(u) - datetime.fromisoformat(d)).days
        return first <= days <= last

    return lambda up, down: reads


def months_apart(first: int, last: int):
    def number(key: str) -> int:
        return int(key[:4]) * 12 + int(key[5:7])

    return lambda up, down: lambda u, d: first <= number(u) - number(d) <= last


def always(up, down):
    return lambda u, d: True


CASES = {
    "identity": (DAY, daily("2026-02-01", "2026-03-10"), None, lambda up, down: lambda u, d: u == d),
    "identity, said": (DAY, DAY, IDENTITY, lambda up, down: lambda u, d: u == d),
    "days in months": (DAY, monthly("2026-01-01", "2026-03"), None, by_time),
    "months of days": (monthly("2026-01-01", "2026-03"), DAY, None, by_time),
    "days in weeks": (DAY, weekly("2026-01-28", "2026-03-03"), None, by_time),
    "hours in days of Paris": (PARIS_HOURS, daily("2026-03-28", "2026-03-30", tz="Europe/Paris"), None, by_time),
    "hours of UTC in days of Paris": (
        hourly("2026-03-27", "2026-03-31"),
        daily("2026-03-28", "2026-03-30", tz="Europe/Paris"),
        None,
        by_time,
    ),
    "hours in cron windows": (hourly("2026-01-01", "2026-01-12"), windows("0 6 * * 1-5", "2026-01-01", "2026-01-10"), None, by_time),
    "days that only overlap": (DAY, daily("2026-01-28", "2026-03-03", tz="Asia/Kathmandu"), OVERLAP, by_time),
    "window": (DAY, DAY, window(-6, 0), days_apart(-6, 0)),
    "window ahead": (DAY, DAY, window(-1, 2), days_apart(-1, 2)),
    "shift": (DAY, DAY, shift(-1), days_apart(-1, -1)),
    "window over months": (DAY, monthly("2026-01-01", "2026-03"), window(-1, 0), months_apart(-1, 0)),
    "all": (DAY, DAY, ALL, always),
    "latest": (DAY, monthly("2026-01-01", "2026-03"), LATEST, lambda up, down: lambda u, d: u == "2026-03-03"),
    "custom": (
        DAY,
        LANDS,
        custom(lambda land: ["2026-02-01"] if land == "fr" else []),
        lambda up, down: lambda u, d: (u, d) == ("2026-02-01", "fr"),
    ),
    "feeds each": (DAY, DAY * LANDS, None, lambda up, down: lambda u, d: u == d[:10]),
    "reads each": (DAY * LANDS, DAY, None, lambda up, down: lambda u, d: u[:10] == d),
    "other keys": (LANDS, MORE_LANDS, None, lambda up, down: lambda u, d: u == d),
    "keys and days": (
        LANDS * DAY,
        monthly("2026-01-01", "2026-03") * MORE_LANDS,
        None,
        lambda up, down: lambda u, d: (u[:2] == d[-2:]) and u[3:10] == d[:7],
    ),
    "per dimension": (
        LANDS * DAY,
        DAY * LANDS,
        {"land": ALL, "day": shift(-1)},
        lambda up, down: lambda u, d: days_apart(-1, -1)(0, 0)(u[3:], d[:10]),
    ),
    "no partitions above": (None, LANDS, None, always),
    "no partitions below": (DAY * LANDS, None, None, always),
}


def made(name: str):
    up, down, rule, model = CASES[name]
    above, below = space_of(up), space_of(down)
    ups, downs = list(PartitionSet.everything(above)), list(PartitionSet.everything(below))
    reads = model(above, below)
    pairs = {(u, d) for u, d in combinations(ups, downs) if reads(u, d)}
    return above, below, link(above, below, rule, NOW), ups, downs, pairs


RELATIONS = {name: made(name) for name in CASES}


def drawn(data, keys: list[str]) -> frozenset[str]:
    """Some keys: scattered ones, or most of a stretch."""
    if data.draw(st.booleans()):
        return data.draw(st.frozensets(st.sampled_from(keys), max_size=12))
    lo, hi = sorted((data.draw(st.integers(0, len(keys))), data.draw(st.integers(0, len(keys)))))
    return frozenset(keys[lo:hi]) - data.draw(st.frozensets(st.sampled_from(keys), max_size=3))


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_image_and_preimage_are_those_of_the_relation(name: str, data) -> None:
    above, below, joined, ups, downs, pairs = RELATIONS[name]
    some_up, some_down = drawn(data, ups), drawn(data, downs)
    everything = PartitionSet.everything(below)
    assert set(joined.image(PartitionSet.of(above, some_up)) & everything) == {d for u, d in pairs if u in some_up}
    assert set(joined.preimage(PartitionSet.of(below, some_down))) == {u for u, d in pairs if d in some_down}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data(), need=st.sampled_from(["all", "any", 1, 2, 3, 25]))
def test_what_is_ready_has_enough_and_what_waits_misses_something(name: str, data, need) -> None:
    above, below, joined, ups, downs, pairs = RELATIONS[name]
    have, want = drawn(data, ups), drawn(data, downs)
    reads = {d: {u for u, other in pairs if other == d} for d in want}
    enough = {"all": lambda n: n, "any": lambda n: 1}.get(need, lambda n: min(need, n))
    ready = {d for d, mine in reads.items() if mine and len(mine & have) >= enough(len(mine))}
    found = complete(PartitionSet.of(above, have), PartitionSet.of(below, want), joined, need)
    assert set(found.ready) == ready
    assert set(found.waiting) == want - ready
    assert set(found.unread) == {d for d, mine in reads.items() if not mine}
    assert set(found.missing) == {u for d in want - ready for u in reads[d]} - have
    assert {key: set(missing) for key, missing in found.each()} == {d: reads[d] - have for d in want - ready}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data(), need=st.sampled_from(["all", "any", 2]))
def test_what_arrives_makes_ready_what_a_second_look_would_find(name: str, data, need) -> None:
    above, below, joined, ups, downs, _ = RELATIONS[name]
    have, arrived = (PartitionSet.of(above, drawn(data, ups)) for _ in range(2))
    want = PartitionSet.of(below, drawn(data, downs))
    before, after = (complete(there, want, joined, need).ready for there in (have, have | arrived))
    assert newly_ready(arrived, have, want, joined, need) == after - before


@pytest.mark.parametrize(
    ("up", "down", "rule", "because"),
    [
        (DAY, DAY, None, "the same day"),
        (DAY, monthly("2026-01-01"), None, "each month reads every day in it"),
        (monthly("2026-01-01"), DAY, None, "each day reads the month that holds it"),
        (DAY * LANDS, monthly("2026-01-01"), None, "each month reads every day in it; all of land"),
        (DAY, DAY * LANDS, None, "the same day; the same for each land"),
        (DAY, DAY, window(-6, 0), "day from -6 to +0 days, as you say"),
        (DAY, DAY, ALL, "all of day, as you say"),
        (DAY, DAY, LATEST, "the latest day, as you say"),
        (DAY, daily("2026-01-28", tz="Europe/Paris"), OVERLAP, "each day reads every day it shares time with, as you say"),
        (DAY, DAY, custom(len), "a function of yours, len, says which (slow: it is called per partition)"),
        (None, None, None, "neither has partitions"),
    ],
)
def test_a_link_says_what_reads_what(up, down, rule, because: str) -> None:
    joined = link(space_of(up), space_of(down), rule, NOW)
    assert joined.because == because
    assert joined.slow == ("slow" in because)


@pytest.mark.parametrize(
    ("up", "down", "rule", "told"),
    [
        (weekly("2026-01-01"), monthly("2026-01-01"), None, r"(?s)'week' \(week UTC 0\) and 'month' \(month UTC 0\) do not fit.*OVERLAP"),
        (DAY, daily("2026-01-01", tz="Europe/Paris"), None, "do not fit"),
        (DAY, monthly("2026-01-01", offset="6h"), None, "do not fit"),
        (hourly("2026-01-01"), daily("2026-01-01", tz="Asia/Kathmandu"), None, "do not fit"),
        (windows("0 6 * * 1-5", "2026-01-01"), DAY, None, "do not fit"),
        (DAY, static("a", name="day"), None, "one of time on one side and a list of keys on the other"),
        (LANDS, LANDS, shift(-1), "(?s)keys of 'land' have no order.*for dimensions of time"),
        (LANDS, LANDS, OVERLAP, "have no order"),
        (DAY, daily("2026-01-01", tz="Europe/Paris"), IDENTITY, "no keys in common"),
        (DAY, DAY, {"month": ALL}, "(?s)no shared dimension 'month'.*share day"),
        (LANDS, DAY, ALL, "(?s)not clear which dimension.*share none"),
        ({"sold": DAY, "paid": DAY}, DAY, None, "(?s)not clear which dimensions of time.*sold and paid"),
    ],
)
def test_a_mapping_that_does_not_fit_says_why(up, down, rule, told: str) -> None:
    with pytest.raises(MappingMisfit, match=told):
        link(space_of(up), space_of(down), rule, NOW)


@pytest.mark.parametrize(
    ("answer", "told"), [("2026-02-01", r"(?s)says '2026-02-01' for fr.*\[key\]"), (None, "says None"), (["x"], "For fr .* that is not")]
)
def test_a_function_that_names_no_keys_is_refused(answer: object, told: str) -> None:
    joined = link(space_of(DAY), space_of(LANDS), custom(lambda key: answer), NOW)
    with pytest.raises(MappingMisfit, match=told):
        joined.preimage(parse(space_of(LANDS), "fr"))


def test_a_function_is_asked_once_per_partition() -> None:
    asked: list[str] = []

    def read(key: str) -> list[str]:
        asked.append(key)
        return [key]

    joined = link(space_of(DAY), space_of(DAY), custom(read), NOW)
    assert asked == []
    for _ in range(2):
        joined.preimage(parse(space_of(DAY), "2026-02-01|2026-02-02"))
    assert asked == ["2026-02-01", "2026-02-02"]


def test_the_sides_of_a_link_cannot_be_swapped() -> None:
    joined = link(space_of(DAY), space_of(LANDS), None, NOW)
    with pytest.raises(MappingMisfit, match="by land were given where those by day are meant"):
        joined.image(PartitionSet.everything(space_of(LANDS)))


def test_a_month_waits_for_its_last_day_and_says_which() -> None:
    days, months = space_of(DAY), space_of(monthly("2026-01-01", "2026-03"))
    found = complete(parse(days, "2026-01,2026-02-01..2026-02-27"), parse(months, "2026-01..2026-02"), link(days, months))
    assert (text(found.ready), text(found.waiting), text(found.missing_for("2026-02"))) == ("2026-01", "2026-02", "2026-02-28")
    with pytest.raises(BadPartition):
        found.missing_for("2026-13")


def test_a_month_that_has_not_ended_waits_for_days_to_come() -> None:
    days, months = space_of(daily("2026-01-01")), space_of(monthly("2026-01-01"))
    joined = link(days, months, now=NOW)
    assert not complete(PartitionSet.everything(days, NOW), parse(months, "2026-04"), joined).ready
    assert complete(PartitionSet.everything(days, NOW + timedelta(days=30)), parse(months, "2026-04"), joined).ready


def test_a_key_that_is_added_upstream_is_waited_for() -> None:
    registry = space_of(dynamic("customers")).wider(space_of(dynamic("customers")))
    assert complete(PartitionSet(registry), PartitionSet.everything(space_of(None)), link(registry, space_of(None))).unread


@pytest.mark.parametrize("need", ["some", 0, -1, True, 1.5, None])
def test_a_need_that_is_none_is_refused(need: object) -> None:
    above, below, joined, *_ = RELATIONS["identity"]
    with pytest.raises(BadSetting, match=r"need=.*is not what an input can need"):
        complete(PartitionSet(above), PartitionSet(below), joined, need)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(MappingMisfit, match=r"window\(0, -6\) ends before it starts"):
        window(0, -6)
