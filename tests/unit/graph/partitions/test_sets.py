"""Sets of partitions beside Python's sets of keys; their texts and JSON; what people are told when they ask for what is not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import BadSetting, Corrupt
from tidemill.graph.partitions import (
    BadPartition,
    BadPartitions,
    OtherPartitions,
    Partitions,
    PartitionSet,
    Registry,
    daily,
    dynamic,
    from_json,
    hourly,
    monthly,
    parse,
    partitions_of,
    space_of,
    static,
    text,
    to_json,
    weekly,
    windows,
)

NOW = datetime(2026, 7, 10, 12, tzinfo=UTC)
DAYS = [f"2026-01-{day:02}" for day in range(1, 13)]
ONE = space_of(daily("2026-01-01", "2026-01-12"))
TWO = space_of(daily("2026-01-01", "2026-01-12") * static("fr", "de", "es", name="country"))
THREE = space_of({"size": static("s", "l"), "day": daily("2026-01-01", "2026-01-04"), "country": static("fr", "de/at", "e|s")})
SPACES = {
    "one": (ONE, DAYS),
    "two": (TWO, [f"{day}/{country}" for day in DAYS for country in ("fr", "de", "es")]),
    "three": (THREE, [f"{s}/{day}/{country}" for s in "sl" for day in DAYS[:4] for country in ("fr", '"de/at"', '"e|s"')]),
}


def some(keys: list[str]):
    return st.frozensets(st.sampled_from(keys))


@pytest.mark.parametrize("name", SPACES)
@given(data=st.data())
def test_sets_of_partitions_do_what_sets_of_keys_do(name: str, data) -> None:
    space, keys = SPACES[name]
    a, b = data.draw(some(keys)), data.draw(some(keys))
    mine, yours, whole = PartitionSet.of(space, a), PartitionSet.of(space, b), PartitionSet.everything(space)
    assert set(whole) == set(keys)
    for found, model in ((mine | yours, a | b), (mine & yours, a & b), (mine - yours, a - b), (mine.complement(whole), set(keys) - a)):
        assert set(found) == model
        assert len(found) == len(model)
        assert bool(found) == bool(model)
        assert found == PartitionSet.of(space, model)
    assert (mine <= yours) == (a <= b)
    assert (mine == yours) == (a == b)
    assert all((key in mine) == (key in a) for key in keys)


@pytest.mark.parametrize("name", SPACES)
@given(data=st.data())
def test_a_set_comes_back_from_its_text_and_its_json(name: str, data) -> None:
    space, keys = SPACES[name]
    mine = PartitionSet.of(space, data.draw(some(keys)))
    assert from_json(space, to_json(mine)) == mine
    if mine:
        assert parse(space, text(mine)) == mine


def day_of(name: str, key: str) -> str:
    return key.split("/")[1 if name == "three" else 0]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("order", ["oldest", "newest"])
@given(data=st.data(), count=st.integers(1, 7))
def test_pieces_come_in_the_order_of_time_and_miss_nothing(name: str, order, data, count: int) -> None:
    space, keys = SPACES[name]
    chosen = data.draw(some(keys))
    mine = PartitionSet.of(space, chosen)
    days = sorted((day_of(name, key) for key in chosen), reverse=order == "newest")
    assert [day_of(name, key) for key in mine.keys(order)] == days
    chunks = list(mine.chunks(count, order))
    assert all(0 < len(chunk) <= count for chunk in chunks)
    assert [day_of(name, key) for chunk in chunks for key in chunk.keys(order)] == days
    assert set().union(*chunks) == chosen
    batches = list(mine.batches(count, order))
    assert all(0 < len(batch) <= count and len(batch.region) == 2 - (name != "one") for batch in batches)
    assert sorted(key for batch in batches for key in batch) == sorted(chosen)
    firsts = [day_of(name, next(batch.keys(order))) for batch in batches]
    assert firsts == sorted(firsts, reverse=order == "newest")
    if chosen:
        assert day_of(name, mine.first()) == min(days)
        assert day_of(name, mine.last()) == max(days)
        assert set(mine.take(count, order)) == set(chunks[0])


@given(chosen=some(SPACES["two"][1]), ends=st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)))
def test_a_slice_includes_both_ends(chosen, ends) -> None:
    first, last = sorted(ends)
    mine = PartitionSet.of(TWO, chosen)
    assert set(mine.between(first, last)) == {key for key in chosen if first <= key[:10] <= last}
    assert set(mine.between(first)) == {key for key in chosen if first <= key[:10]}
    assert set(mine.between(None, last)) == {key for key in chosen if key[:10] <= last}


def test_a_batch_has_no_gap_and_one_key_of_each_other_dimension() -> None:
    mine = parse(TWO, "2026-01-01..2026-01-05|2026-01-07, fr|de")
    assert [text(batch) for batch in mine.batches(3, "newest")] == [
        "2026-01-07, fr",
        "2026-01-07, de",
        "2026-01-03..2026-01-05, fr",
        "2026-01-03..2026-01-05, de",
        "2026-01-01..2026-01-02, fr",
        "2026-01-01..2026-01-02, de",
    ]


def test_iterating_a_million_partitions_starts_at_once() -> None:
    whole = PartitionSet.everything(space_of(hourly("1970-01-01", "2100-12-31")))
    assert len(whole) == 1_148_328
    assert list(islice(whole, 2)) == ["1970-01-01T00", "1970-01-01T01"]
    assert next(whole.keys("newest")) == "2100-12-31T23"


@pytest.mark.parametrize(
    ("written", "count", "back"),
    [
        ("2026-01-01..2026-01-03, fr|de", 6, "2026-01-01..2026-01-03, fr|de"),
        ("2026-01-01..2026-01-03, fr|de; 2026-01-05, es", 7, "2026-01-01..2026-01-03, fr|de; 2026-01-05, es"),
        ("2026-01", 36, "all"),
        ("2026-W02", 21, "2026-01-05..2026-01-11"),
        ("2026", 36, "all"),
        ("fr,de", 24, "fr|de"),
        ("fr, 2026-01-02", 1, "2026-01-02, fr"),
        ("2026-01-01/fr", 1, "2026-01-01, fr"),
        ("2026-01-01..2026-01-02/fr|de", 4, "2026-01-01..2026-01-02, fr|de"),
        ("2026-01-01/fr, 2026-01-02/de", 2, "2026-01-01, fr; 2026-01-02, de"),
        ("2026-01-02/*", 3, "2026-01-02"),
        ("country=fr", 12, "fr"),
        ("day=2026-01-02", 3, "2026-01-02"),
        ("2026-01-11..", 6, "2026-01-11..2026-01-12"),
        ("..2026-01-02", 6, "2026-01-01..2026-01-02"),
        ("2020..2026-01-02", 6, "2026-01-01..2026-01-02"),
        ("all", 36, "all"),
        ("*", 36, "all"),
        ("", 36, "all"),
    ],
)
def test_a_text_means_partitions(written: str, count: int, back: str) -> None:
    found = parse(TWO, written)
    assert (len(found), text(found)) == (count, back)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2026-02-30", r"(?s)no day '2026-02-30'.*Did you mean 2026-02-28\?"),
        ("2025-12-31", r"(?s)is before the first, 2026-01-01.*from 2026-01-01 to 2026-01-12"),
        ("2026-01-13", r"(?s)is after the last, 2026-01-12.*Did you mean 2026-01-12"),
        ("2026-1", r"(?s)no day '2026-1'.*written like 2026-01-31.*Write a key such as 2026-01-01"),
        ("2026-13", "no day '2026-13'"),
        ("2026-01-05..2026-01-02", r"(?s)ends before it starts.*Did you mean 2026-01-02..2026-01-05"),
        ("2020..2021", "(?s)has no day of 'day'.*from 2026-01-01 to 2026-01-12"),
        ("franc", r"(?s)No dimension has a key 'franc'.*Say which is meant|Did you mean 'fr'"),
        ("country=frr", "(?s)no key 'frr'.*It has fr, de, es.*Did you mean 'fr'"),
        ("region=fr", "(?s)no dimension 'region'.*day, country"),
        ("2026-01-01/fr,de", "(?s)mixes whole keys and parts"),
        ("2026-01-01/fr/x", "(?s)does not name a partition"),
        (";", "names no partition"),
    ],
)
def test_a_text_that_means_nothing_says_why(written: str, told: str) -> None:
    with pytest.raises(BadPartition, match=told):
        parse(TWO, written)


def test_a_word_of_two_dimensions_must_say_which() -> None:
    space = space_of({"home": static("fr", "de"), "away": static("fr", "es")})
    with pytest.raises(BadPartition, match=r"(?s)'fr' is a key of home and of away.*home=fr or away=fr"):
        parse(space, "fr")
    assert text(parse(space, "home=fr, es")) == "home=fr, es"


def test_what_has_not_ended_is_not_there_yet() -> None:
    space = space_of(daily("2026-07-01"))
    assert text(PartitionSet.everything(space, NOW), limit=3) == "2026-07-01..2026-07-09"
    assert len(parse(space, "2026-07-05..", NOW)) == 5
    with pytest.raises(BadPartition, match="2026-07-10 has not ended yet"):
        parse(space, "2026-07-10", NOW)
    assert not PartitionSet.everything(space_of(daily("2027-01-01")), NOW)


def test_today_ends_at_midnight_of_its_zone() -> None:
    before_midnight = datetime(2026, 7, 9, 21, 59, 59, tzinfo=UTC)
    space = space_of(daily("2026-07-01", tz="Europe/Paris"))
    assert PartitionSet.everything(space, before_midnight).last() == "2026-07-08"
    assert PartitionSet.everything(space, before_midnight.replace(hour=22, minute=0, second=0)).last() == "2026-07-09"


def test_a_long_text_is_cut() -> None:
    scattered = PartitionSet.of(ONE, DAYS[::2])
    assert text(scattered, limit=2) == "2026-01-01|2026-01-03|… and 4 more"
    assert text(PartitionSet(ONE)) == "nothing"
    assert repr(scattered) == "<6 partitions by day>"


def test_json_is_by_keys_so_that_what_was_stored_outlives_a_new_start_and_order() -> None:
    mine = parse(TWO, "2026-01-02..2026-01-03, fr|es; 2026-01-07, de")
    assert to_json(mine) == (
        '[{"country":["fr","es"],"day":["2026-01-02","2026-01-03"]},{"country":["de"],"day":["2026-01-07","2026-01-07"]}]'
    )
    later = space_of(daily("2026-01-03") * static("at", "es", "de", "fr", name="country"))
    assert sorted(from_json(later, to_json(mine))) == sorted(mine)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "{",
        "[{}]",
        '[{"day":["2026-01-01"],"country":["fr"]}]',
        '[{"day":["x","y"],"country":["fr"]}]',
        '[{"day":[],"country":["xx"]}]',
        '[{"day":1}]',
    ],
)
def test_a_stored_set_that_cannot_be_read_is_named(stored: str) -> None:
    with pytest.raises(Corrupt, match="stored set of partitions"):
        from_json(TWO, stored)


def test_keys_that_are_added_keep_the_numbers_of_those_before() -> None:
    few = Registry(("acme", "a/b"))
    many = few.adding("acme", "zeta", "zeta")
    assert many.keys == ("acme", "a/b", "zeta")
    assert few.adding("acme") is few
    definition = dynamic("customers") * daily("2026-01-01", "2026-01-03")
    before, after = (space_of(definition, {"customers": each}) for each in (few, many))
    old, new = parse(before, "2026-01-01"), parse(after, "zeta, 2026-01-02")
    for both in (old | new, new | old):
        assert list(both) == ["acme/2026-01-01", '"a/b"/2026-01-01', "zeta/2026-01-02"]
    assert not PartitionSet.everything(space_of(definition))
    with pytest.raises(BadPartition, match=r"(?s)no key 'acm'.*Did you mean 'acme'"):
        parse(before, "customers=acm")
    with pytest.raises(BadPartition, match="It has no keys yet"):
        parse(space_of(dynamic("customers")), "acme")


def test_sets_of_other_dimensions_do_not_mix() -> None:
    with pytest.raises(OtherPartitions, match=r"(?s)by day and by month cannot be combined.*Map one onto the other"):
        PartitionSet(ONE) | PartitionSet(space_of(monthly("2026-01-01")))
    with pytest.raises(OtherPartitions):
        PartitionSet(ONE) & PartitionSet(space_of(daily("2026-01-01", tz="Europe/Paris")))
    assert not PartitionSet(ONE) & PartitionSet.everything(space_of(daily("2020-01-01", "2020-12-31")))


def test_a_partition_hands_typed_values_to_a_task() -> None:
    assert TWO.values("2026-01-02/fr") == {"day": date(2026, 1, 2), "country": "fr"}
    hour = space_of(hourly("2026-01-01", tz="Europe/Paris"))
    assert hour.values("2026-01-01T05")["hour"].isoformat() == "2026-01-01T05:00:00+01:00"
    begin, end = hour.window("2026-03-29T01")
    assert (begin.isoformat(), end.isoformat()) == ("2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00")
    assert space_of(static("fr")).window("fr") is None
    with pytest.raises(BadPartition, match=r"(?s)does not name a partition.*day, country.*2026-01-01/fr"):
        TWO.values("2026-01-02")


def test_an_asset_without_dimensions_has_one_partition() -> None:
    space = space_of(None)
    whole = PartitionSet.everything(space, NOW)
    assert (len(whole), list(whole), text(whole), space.values("")) == (1, [""], "all", {})
    assert from_json(space, to_json(whole)) == whole


def test_keys_have_no_order() -> None:
    with pytest.raises(BadPartition, match="have no order"):
        PartitionSet.everything(space_of(static("a", "b"))).between("a", "b")


@pytest.mark.parametrize(
    ("definition", "first", "last", "count"),
    [
        (daily("2026-01-01", "2026-06-30"), "2026-01-01", "2026-06-30", 181),
        (daily(date(2026, 1, 1), date(2026, 1, 2), tz="Asia/Kathmandu"), "2026-01-01", "2026-01-02", 2),
        (hourly("2026-03-29", "2026-03-29", tz="Europe/Paris"), "2026-03-29T00", "2026-03-29T23", 23),
        (hourly("2026-01-01T05", "2026-01-01T07"), "2026-01-01T05", "2026-01-01T07", 3),
        (weekly("2026-01-01", "2026-02-10"), "2026-W01", "2026-W07", 7),
        (weekly("2026-W03", "2026-W05"), "2026-W03", "2026-W05", 3),
        (monthly("2026-01-15", "2026-03"), "2026-01", "2026-03", 3),
        (windows("0 6 * * 1-5", "2026-01-03", "2026-01-09"), "2026-01-05T06:00", "2026-01-09T06:00", 5),
        (daily("1970-01-01"), "1970-01-01", "2100-12-31", 47_847),
    ],
)
def test_partitions_go_from_the_start_to_the_end(definition, first: str, last: str, count: int) -> None:
    whole = PartitionSet.everything(space_of(definition))
    assert (whole.first(), whole.last(), len(whole)) == (first, last, count)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: space_of(daily("2026-02-01", "2026-01-01")), "ends before it starts"),
        (lambda: space_of(daily("2026-02-30")), "start='2026-02-30' is not a date"),
        (lambda: space_of(daily("soon")), "start='soon' is not a date"),
        (lambda: space_of(daily("1969-12-31")), r"(?s)out of range.*1970 to 2100"),
        (lambda: space_of(daily("2026-01-01", "2101-01-01")), "end='2101-01-01' is out of range"),
        (lambda: daily(20260101), "is not a date"),
        (lambda: space_of(windows("x", "2026-01-01")), "not a cron expression"),
        (static, "has no keys"),
        (lambda: static("a", "a"), "has the key 'a' twice"),
        (lambda: static(""), "has the key ''"),
        (lambda: static("a\nb"), "can be read and written"),
        (lambda: static(1), "has the key 1"),
        (lambda: daily("2026-01-01") * daily("2026-01-01"), r"(?s)Two dimensions have the name 'day'.*Name them"),
        (lambda: partitions_of({"my day": daily("2026-01-01")}), "cannot name a dimension"),
        (lambda: partitions_of("daily"), "'daily' is not a partition dimension"),
        (lambda: space_of(daily("2026-01-01"), {"customers": Registry()}), "no dynamic dimension 'customers'"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(make, told: str) -> None:
    with pytest.raises(BadPartitions, match=told):
        make()


@pytest.mark.parametrize("offset", ["24h", "0.5s", 86_400])
def test_an_offset_is_shorter_than_its_unit(offset: object) -> None:
    with pytest.raises(BadSetting, match="does not fit a day"):
        daily("2026-01-01", offset=offset)


def test_a_definition_survives_json() -> None:
    definition = (
        daily("2026-01-01", tz="Europe/Paris", offset="6h") * static("fr", "de") * dynamic("customers") * windows("0 6 * * *", "2026-01-01")
    )
    assert msgspec.json.decode(msgspec.json.encode(definition), type=Partitions) == definition
    assert definition.names == ("day", "part", "customers", "window")
