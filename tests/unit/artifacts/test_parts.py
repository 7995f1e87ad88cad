"""Parts of stored values: found by path, the reader's own, decoded once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.artifacts import Artifacts
from tidemill.artifacts.parts import own
from tidemill.artifacts.problems import BadPath
from tidemill.artifacts.recall import Recall
from tidemill.errors import Corrupt
from tidemill.graph.values import Handle
from unit.artifacts.user_types import Opaque, Order, Pair


@pytest.mark.parametrize(
    ("value", "path", "part"),
    [
        ([1, 2, 3], (("item", 1),), 2),
        ([1, 2, 3], (("item", -1),), 3),
        ({"rows": [{"id": 7}]}, (("item", "rows"), ("item", 0), ("item", "id")), 7),
        (Pair({"a": 1}, None), (("attr", "left"), ("item", "a")), 1),
        (Pair(1, None), (("attr", "right"),), None),
        ({5: "five"}, (("item", 5),), "five"),
        (Order(3, None, ["x"]), (("attr", "notes"), ("item", 0)), "x"),
        ([Opaque(1), Opaque([2])], (("item", 1), ("attr", "value"), ("item", 0)), 2),
        ("word", (), "word"),
    ],
)
def test_a_part_is_found_by_items_and_attributes(store: Artifacts, value: object, path: tuple, part: object) -> None:
    assert store.load_part(store.keep(value), path) == part


def test_changing_a_part_changes_neither_the_next_one_nor_the_value(store: Artifacts) -> None:
    handle = store.keep([{"rows": [1, 2]}, Opaque([1])])
    store.load_part(handle, (("item", 0),))["rows"].append(99)
    store.load_part(handle, (("item", 0), ("item", "rows"))).clear()
    handed = store.load(handle)
    handed[0]["rows"].append(3)
    assert store.load_part(handle, (("item", 0),)) == {"rows": [1, 2]}
    pickled = store.keep([Opaque([1])])
    store.load_part(pickled, (("item", 0),)).value.append(2)
    assert store.load_part(pickled, (("item", 0),)) == Opaque([1])


def test_many_parts_of_a_large_value_read_its_file_once(store: Artifacts) -> None:
    rows = [{"i": at, "name": f"n{at}"} for at in range(10_000)]
    handle = store.keep(rows)
    assert store.load_part(handle, (("item", 0),)) == rows[0]
    store.location.local_path(handle.digest).unlink()  # whatever comes now is remembered
    assert [store.load_part(handle, (("item", at),)) for at in range(10_000)] == rows


def test_handles_of_one_digest_and_two_codecs_are_not_confused(store: Artifacts) -> None:
    handle = store.keep([10, 20])
    store.load_part(handle, (("item", 0),))
    with pytest.raises(Exception, match="cannot be read here"):
        store.load_part(Handle("pickle", handle.digest, handle.size, data=handle.data), (("item", 0),))


@pytest.mark.parametrize(
    ("value", "path", "text"),
    [
        (
            {"a": 1, "b": 2},
            (("item", "c"),),
            "There is no result['c'].\nThe result is a dict with 2 keys: 'a', 'b'.\nTake an item that exists",
        ),
        ({"a": [1]}, (("item", "a"), ("item", 5)), "There is no result['a'][5].\nResult['a'] is a list of 1 items."),
        (Pair(1), (("attr", "middle"),), "There is no result.middle.\nThe result is a Pair with the fields left, right."),
        ({"a": None}, (("item", "a"), ("item", "b")), "There is no result['a']['b'].\nResult['a'] is None."),
        ({}, (("item", "a"),), "There is no result['a'].\nThe result is an empty dict."),
        (5, (("item", 0),), "There is no result[0].\nThe result is of type int."),
    ],
)
def test_a_part_that_is_not_there_is_named_with_what_is(store: Artifacts, value: object, path: tuple, text: str) -> None:
    with pytest.raises(BadPath) as caught:
        store.load_part(store.keep(value), path)
    assert str(caught.value).startswith(text)


def test_a_part_of_damaged_inline_bytes_is_refused(store: Artifacts) -> None:
    handle = store.keep([1, 2])
    with pytest.raises(Corrupt, match="is damaged"):
        store.load_part(Handle("json", handle.digest, handle.size, data=b"[1,3]"), (("item", 1),))


@given(st.recursive(st.integers() | st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_an_own_copy_is_equal_and_shares_no_list_or_dict(value: object) -> None:
    def containers(of: object) -> list[int]:
        if not isinstance(of, list | dict):
            return []
        return [id(of), *(inner for item in (of.values() if isinstance(of, dict) else of) for inner in containers(item))]

    copied = own(value)
    assert copied == value
    assert not set(containers(copied)) & set(containers(value))


def test_what_is_remembered_is_bounded_in_bytes_and_the_oldest_goes_first() -> None:
    recall = Recall(100)
    recall.put("a", 1, 60)
    recall.put("b", 2, 40)
    recall.get("a")
    recall.put("c", 3, 30)
    assert [recall.get(key) for key in "abc"] == [(1, True), (None, False), (3, True)]
    recall.put("huge", 4, 1000)
    assert [recall.get(key)[1] for key in ("a", "c", "huge")] == [False, False, True]
