"""Values that are not tables come back exactly: equal, of the same types, in every depth."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.artifacts import Artifacts
from tidemill.artifacts.codecs.json import from_json, to_json
from tidemill.artifacts.problems import CannotRead, CannotStore
from tidemill.graph.values import Handle, Shape
from unit.artifacts.user_types import Colour, Level, Order, Pair, Point, Right, Row, Shop


def same(one: object, other: object) -> bool:
    """Equal in value and type, with NaN equal to itself and -0.0 not to 0.0; zones by what they are, not by their offset."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, datetime | time):
        return one.replace(tzinfo=None) == other.replace(tzinfo=None) and one.fold == other.fold and repr(one.tzinfo) == repr(other.tzinfo)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Row):
        return one.long_name == other.long_name and same(one.value, other.value)
    if isinstance(one, dict):
        return len(one) == len(other) and all(same(k, m) and same(v, w) for (k, v), (m, w) in zip(one.items(), other.items(), strict=True))
    return one == other


ZONES = st.one_of(
    st.none(), st.timezones(), st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30)), timezone(timedelta(hours=1), "X")])
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**53, max_value=2**200),
    st.floats(),
    st.text(st.characters()),
    st.text(st.characters(categories=["Cs", "Ll"]), max_size=3),  # with lone surrogates
    st.just("$"),
    st.binary(max_size=20),
    st.decimals(),
    st.dates(),
    st.datetimes(timezones=ZONES),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from(Colour),
    st.builds(Point, st.integers(), st.integers()),
)
KEYS = st.one_of(st.text(max_size=5), st.just("$"), st.integers(), st.none(), st.dates(), st.tuples(st.integers(), st.text(max_size=2)))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=5) | st.just("$"), inner, max_size=5),
        st.dictionaries(KEYS, inner, max_size=3),
        st.sets(st.integers() | st.text(max_size=3), max_size=5),
        st.frozensets(st.integers(), max_size=5),
        st.builds(Pair, inner, inner),
        st.builds(Row, st.text(max_size=3), inner),
    ),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_any_nested_value_comes_back_exactly(value: object) -> None:
    assert same(value, from_json(to_json(value)))


@pytest.mark.parametrize(
    "value",
    [
        2**53 + 1,
        -(2**63) - 1,
        2**64,
        float("nan"),
        float("-inf"),
        -0.0,
        5e-324,
        Decimal("1.10"),
        Decimal("NaN"),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        time(1, 2, 3, 4, tzinfo=timezone(timedelta(seconds=5400), "odd")),
        date(1, 1, 1),
        timedelta.min,
        UUID(int=7),
        [[None, [None]], None],
        {"$": 1, "nested": {"$": {"$": None}}},
        {1: "a", "1": "b", None: "c", (1, 2): {3}},
        {"v": "$"},
        range(3, 10, 2),
        bytearray(b"x"),
        1 + 2j,
        Pair(1, Pair(None, (2,))),
        Level.HIGH,
        [1.0, 2, True],
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_that_json_has_no_word_for_comes_back_through_the_store(store: Artifacts, value: object) -> None:
    handle = store.keep(value)
    assert handle.codec == "json"
    assert same(value, store.load(handle))


def test_an_integer_of_thousands_of_digits_stays_an_integer(store: Artifacts) -> None:
    assert store.load(store.keep([10**5000 + 1, -(10**5000)])) == [10**5000 + 1, -(10**5000)]


def test_objects_of_the_users_types_come_back_as_themselves(store: Artifacts) -> None:
    order = Order(1, Decimal("2.50"), ["a", None])
    order.total = Decimal("9.99")
    shop = Shop(name="x")
    shop._hidden = 7
    back = store.load(store.keep([order, Point(1.0, -0.0), shop, Row("n", (1,)), Right.READ | Right.WRITE, Colour.BLUE]))
    assert back == [order, Point(1.0, -0.0), shop, Row("n", (1,)), Right.READ | Right.WRITE, Colour.BLUE]
    assert back[0].total == Decimal("9.99")
    assert (back[2]._hidden, back[2].model_fields_set) == (7, {"name"})


def test_plain_values_are_stored_as_plain_readable_json(store: Artifacts) -> None:
    assert store.keep({"a": [1, 2.5, None, "é"]}).data == '{"a":[1,2.5,null,"é"]}'.encode()
    assert store.keep({"d": Decimal("1.10")}).data == b'{"d":{"$":"decimal","v":"1.10"}}'


def test_equal_sets_have_one_digest_whatever_their_order_in_memory(store: Artifacts) -> None:
    words = [f"w{at}" for at in range(100)]
    backwards = list(reversed(words))
    assert store.keep(set(words)).digest == store.keep(set(backwards)).digest


def test_a_value_that_contains_itself_is_a_problem_that_says_so(store: Artifacts) -> None:
    ring: list[object] = [1]
    ring.append({"again": ring})
    with pytest.raises(CannotStore, match="The value contains itself"):
        store.keep(ring)


def test_a_value_nested_too_deep_is_a_problem_and_no_crash(store: Artifacts) -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CannotStore, match="nested more than 200 levels deep"):
        store.keep(deep)


def test_a_value_as_deep_as_allowed_is_read_again(store: Artifacts) -> None:
    deep: object = float("nan")
    for _ in range(190):
        deep = [deep]
    back = store.load(store.keep(deep))
    for _ in range(190):
        assert isinstance(back, list)
        back = back[0]
    assert math.isnan(back)


def test_a_type_that_is_gone_is_named_when_its_value_is_read(store: Artifacts) -> None:
    data = b'{"$":"dataclass","t":"unit.artifacts.user_types:Gone","v":{}}'
    handle = Handle("json", store.keep(data.decode()).digest, len(data), data=data)
    with pytest.raises(CannotRead, match="user_types:Gone of a stored value is not there any more"):
        from_json(handle.data)


def test_a_form_of_a_later_version_is_refused() -> None:
    with pytest.raises(CannotRead, match="form 'quaternion', which this version does not know"):
        from_json(b'{"$":"quaternion","v":1}')


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (0, Shape(truth=False)),
        ("x", Shape(truth=True)),
        (None, Shape(truth=False)),
        ([1, 2], Shape(truth=True, length=2, kind="list")),
        ((), Shape(truth=False, length=0, kind="tuple")),
        (Pair(1), Shape(truth=True, length=2, kind="tuple")),
        ({"a": 1, "b": 2}, Shape(truth=True, length=2, kind="dict", keys=("a", "b"))),
        ({1: 2}, Shape(truth=True, length=1, kind="dict")),
        ({"k" * 20_000: 1}, Shape(truth=True, length=1, kind="dict")),
        (dict.fromkeys(map(str, range(1001))), Shape(truth=True, length=1001, kind="dict")),
        ({1, 2}, Shape(truth=True)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_shape_says_what_can_be_known_without_the_value(store: Artifacts, value: object, shape: Shape) -> None:
    assert store.keep(value).shape == shape
