"""Sources: named by their variables, looked at, told apart by tokens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill import Observation, Problem, source
from tidemill.authoring.assets.files import observe_files
from tidemill.authoring.assets.problems import UnknownInput, WrongResult
from tidemill.authoring.assets.wiring import wire_all
from tidemill.authoring.problems import BadDefinition
from tidemill.errors import BadSetting, Unknown
from unit.authoring.test_assets import defined


def test_a_source_has_the_name_of_its_variable_unless_it_says_one() -> None:
    found = defined(inbox=source.files("*.csv"), other=source.files("*.txt", name="shop/texts")).asset_objects
    assert sorted(found) == ["inbox", "shop/texts"]
    assert repr(found["inbox"]) == "<source inbox: files *.csv>"


def test_a_source_function_stays_a_function_and_has_its_name() -> None:
    @source
    def prices() -> int:
        """Prices."""
        return 3

    assert prices() == 3
    assert (prices.name, prices.description, prices.result_hint) == ("prices", "Prices.", int)
    assert source(name="p", owner="me")(prices.function).owner == "me"


def test_files_are_sorted_and_a_pattern_goes_into_folders(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt", "in/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "folder.csv").mkdir()
    found = observe_files("**/*.csv", folder=tmp_path, by_content=False)
    assert [path.relative_to(tmp_path).as_posix() for path in found.value] == ["a.csv", "b.csv", "in/d.csv"]
    assert found.event_time == max(path.stat().st_mtime for path in found.value)


def test_the_token_changes_when_a_file_comes_goes_or_changes(tmp_path: Path) -> None:
    def token() -> str:
        return observe_files("*", folder=tmp_path, by_content=False).token

    seen = [token()]
    (tmp_path / "a").write_text("1")
    seen.append(token())
    (tmp_path / "a").write_text("22")
    seen.append(token())
    (tmp_path / "a").rename(tmp_path / "b")
    seen.append(token())
    assert len(set(seen)) == 4
    assert token() == seen[-1]


def test_by_content_a_touched_or_copied_file_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = observe_files("*", folder=tmp_path, by_content=True)
    by_time = observe_files("*", folder=tmp_path, by_content=False)
    os.utime(tmp_path / "a", (5, 5))
    assert observe_files("*", folder=tmp_path, by_content=True, previous=first) is first
    assert observe_files("*", folder=tmp_path, by_content=False).token != by_time.token
    (tmp_path / "a").write_text("2")
    assert observe_files("*", folder=tmp_path, by_content=True, previous=first) is not first


def test_a_pattern_is_seen_from_the_folder_of_the_module() -> None:
    assert source.files("x/*.csv").folder == Path(__file__).parent


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: source.files(""), r"source.files\(''\) is not a pattern"),
        (lambda: source.files("*", by="size"), "by='size' is not known"),
        (lambda: source.table("orders", "shop", token=" "), "is not text"),
        (lambda: source.table("orders", "the shop", token="select 1"), "is not the name of a resource"),
        (lambda: source.files("*", cache="2d"), "A source says cache="),
        (lambda: source.files("*", owner=3), "owner=3 is not text"),
    ],
)
def test_what_cannot_be_a_source_is_refused(make, text: str) -> None:
    with pytest.raises(BadSetting, match=text):
        make()


def test_an_unknown_word_of_a_source_names_the_nearest() -> None:
    with pytest.raises(Unknown, match="no source option named 'onwer'"):
        source.files("*", onwer="me")


def test_a_source_that_is_no_function_is_refused() -> None:
    with pytest.raises(BadDefinition, match="which is not a function that returns what it found"):
        source(3)


# ------------------------------------------------------------ looking


def looked(found: object) -> Observation:
    @source
    def any_source():
        return found

    return any_source.observe()


def test_a_function_returns_a_value_or_a_value_with_its_token_or_an_observation() -> None:
    assert looked([1]) == Observation([1])
    assert looked(([1], "t")) == Observation([1], token="t")
    assert looked(([1], 7)) == Observation([1], token="7")
    assert looked(Observation(1, watermark=3.0)) == Observation(1, watermark=3.0)


def test_a_tuple_whose_second_part_is_no_token_is_refused() -> None:
    with pytest.raises(WrongResult, match="returned a tuple whose second part is a list"):
        looked((1, [2]))


def test_a_cursor_is_the_token_before() -> None:
    seen: list[str | None] = []

    @source
    async def feed(cursor: str | None):
        seen.append(cursor)
        return [len(seen)], "a" if len(seen) < 3 else "b"

    first = feed.observe()
    assert feed.observe(first) is first  # the same token: the same version, whatever was found
    assert feed.observe(first) == Observation([3], token="b")
    assert seen == [None, "a", "a"]


def test_what_is_told_by_its_value_alone_is_kept_as_that() -> None:
    @source
    def feed():
        return [1]

    assert feed.maker("feed").function() == [1]
    assert source(lambda_with_token).maker("x").function(Observation(0, token="old")) == Observation(5, token="new")


def lambda_with_token():
    return 5, "new"


def test_a_table_is_looked_at_by_a_query_of_its_resource() -> None:
    class Connection:
        def __init__(self, *rows: object) -> None:
            self.rows = rows

        def execute(self, sql: str) -> Connection:
            assert sql == "select max(at) from orders"
            return self

        def fetchall(self) -> list[object]:
            return list(self.rows)

    orders = source.table("orders", "shop", token="select max(at) from orders").named("orders")
    first = orders.observe(shop=Connection((3,)))
    assert (first.value, first.token) == ("orders", "[[3]]")
    assert orders.observe(first, shop=Connection((3,))) is first
    assert orders.observe(first, shop=Connection((4,))).token == "[[4]]"
    with pytest.raises(Problem, match=r"looks at a table through 'shop', which has no execute\(\)"):
        orders.observe(shop=object())


def test_a_resource_that_a_source_needs_is_named_when_it_is_not_there() -> None:
    with pytest.raises(UnknownInput, match="takes 'shop'"):
        wire_all(defined(orders=source.table("orders", "shop", token="select 1")))
