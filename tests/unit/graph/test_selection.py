"""Selections mean what dbt's mean: beside a naive reading of the same graph."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Unknown
from tidemill.graph.selection import BadSelection, Catalog, Entry, Factor, Selection, Term, parse, select

SHOP = Catalog(
    {
        "raw/orders": Entry(tags=("source",), owner="ada", kind="source"),
        "raw/fx": Entry(tags=("source",), kind="source", states=("failed",)),
        "orders": Entry(("raw/orders",), tags=("daily",), group="sales", states=("stale",)),
        "revenue": Entry(("orders", "raw/fx"), tags=("daily", "finance"), group="sales", owner="ada"),
        "report": Entry(("revenue",), tags=("finance",), kind="flow"),
        "shop/eu/visits": Entry((), states=("missing", "stale")),
        "shop/visits": Entry(("shop/eu/visits",)),
    }
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("orders", "orders"),
        ("+orders", "raw/orders orders"),
        ("orders+", "orders revenue report"),
        ("+revenue+", "raw/orders raw/fx orders revenue report"),
        ("1+revenue", "raw/fx orders revenue"),
        ("2+revenue", "raw/orders raw/fx orders revenue"),
        ("orders+1", "orders revenue"),
        ("0+orders", "orders"),
        ("1+revenue+1", "raw/fx orders revenue report"),
        ("@orders", "raw/orders raw/fx orders revenue report"),
        ("@report", "raw/orders raw/fx orders revenue report"),
        ("tag:daily", "orders revenue"),
        ("+tag:finance", "raw/orders raw/fx orders revenue report"),
        ("group:sales", "orders revenue"),
        ("owner:ada", "raw/orders revenue"),
        ("kind:source", "raw/orders raw/fx"),
        ("state:failed+", "raw/fx revenue report"),
        ("stale", "shop/eu/visits orders"),
        ("state:stale,tag:daily", "orders"),
        ("tag:daily , +report", "orders revenue"),
        ("raw/fx shop/visits", "raw/fx shop/visits"),
        ("raw/*", "raw/orders raw/fx"),
        ("shop/*", "shop/visits"),
        ("shop/**", "shop/eu/visits shop/visits"),
        ("shop/", "shop/eu/visits shop/visits"),
        ("*/f?", "raw/fx"),
        ("name:orders", "orders"),
        ("path:shop/eu", "shop/eu/visits"),
        ("tag:f*", "revenue report"),
        ("name:re*", "revenue report"),
    ],
)
def test_a_text_selects_names(text: str, names: str) -> None:
    assert set(select(text, SHOP).names) == set(names.split())


def test_names_come_upstream_first() -> None:
    found = select("", SHOP).names
    assert set(found) == set(SHOP.names)
    assert all(found.index(up) < found.index(name) for name, entry in SHOP.entries.items() for up in entry.upstream)


def test_several_texts_are_a_union_and_exclude_takes_away() -> None:
    assert select(["orders", "report"], SHOP).names == ("orders", "report")
    assert select(parse("+revenue", exclude="tag:source"), SHOP).names == ("orders", "revenue")
    assert select(parse((), exclude=["raw/*", "shop/"]), SHOP).names == ("orders", "revenue", "report")


def test_a_text_is_parsed_into_a_value() -> None:
    assert parse("2+tag:x,@b a+") == Selection(
        (Term((Factor("tag", "x", 2), Factor("name", "b", builders=True))), Term((Factor("name", "a", 0, -1),))), (), "2+tag:x,@b a+"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("+", "no name, or a sign out of place"),
        ("a,,b", "nothing before or after a comma"),
        ("a++b", "a sign out of place"),
        ("@a+", r"has both '@' and '\+'"),
        ("tagg:x", r"(?s)no method.*tag:, group:, owner:, kind:, state:.*Did you mean tag:x"),
        ("tag:", "nothing after the colon"),
    ],
)
def test_what_is_no_selection_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadSelection, match=why):
        parse(text)


@pytest.mark.parametrize(
    ("text", "guess"),
    [("revenu", "revenue"), ("tag:dayly", "daily"), ("state:stael", "stale"), ("owner:adda", "ada"), ("group:sale", "sales")],
)
def test_an_unknown_name_or_value_comes_with_the_nearest(text: str, guess: str) -> None:
    with pytest.raises(Unknown, match=f"(?s)There is no .*Did you mean '{guess}'"):
        select(text, SHOP)


@pytest.mark.parametrize(
    ("text", "exclude", "message"),
    [
        ("nothing/*", "", "nothing/*: nothing of 7 fits."),
        ("tag:daily,raw/fx", "", "tag:daily,raw/fx: nothing of 7 fits."),
        ("orders", "tag:daily", "orders without tag:daily: all 1 that were selected are excluded."),
        ("", "**", "everything without **: all 7 that were selected are excluded."),
    ],
)
def test_selecting_nothing_says_so(text: str, exclude: str, message: str) -> None:
    found = select(parse(text, exclude), SHOP)
    assert (found.names, found.message) == ((), message)


def test_an_empty_catalog_says_so() -> None:
    assert select("", Catalog({})).message == "There is nothing to select from yet."


def test_a_name_that_is_also_a_state_is_a_name() -> None:
    catalog = Catalog({"stale": Entry(), "b": Entry(states=("stale",))})
    assert select("stale", catalog).names == ("stale",)
    assert select("state:stale", catalog).names == ("b",)


def test_a_cycle_and_an_upstream_elsewhere_do_no_harm() -> None:
    catalog = Catalog({"a": Entry(("b", "elsewhere")), "b": Entry(("a",)), "c": Entry(())})
    assert select("+a", catalog).names == ("a", "b")
    assert select("", catalog).names == ("c", "a", "b")


@st.composite
def graphs(draw) -> dict[str, Entry]:
    count = draw(st.integers(1, 9))
    return {
        f"n{at}": Entry(
            tuple(f"n{up}" for up in draw(st.sets(st.integers(0, at - 1), max_size=3))) if at else (),
            tags=tuple(sorted(draw(st.sets(st.sampled_from("xyz"))))),
        )
        for at in range(count)
    }


def distances(entries: dict[str, Entry], start: str, *, down: bool) -> dict[str, int]:
    """How many steps away each name is: by trying all edges again and again."""
    found = {start: 0}
    for _ in entries:
        for name, entry in entries.items():
            for up in entry.upstream:
                a, b = (up, name) if down else (name, up)
                if a in found:
                    found[b] = min(found.get(b, 99), found[a] + 1)
    return found


@given(entries=graphs(), data=st.data())
def test_reaching_upstream_and_downstream_is_what_trying_all_edges_gives(entries, data) -> None:
    names = st.sampled_from(sorted(entries))
    catalog = Catalog(entries)
    start, up, down, tag = data.draw(names), data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4)), data.draw(st.sampled_from("xyz"))
    above, below = distances(entries, start, down=False), distances(entries, start, down=True)
    tagged = {name for name, entry in entries.items() if tag in entry.tags}
    near = {name for name, steps in above.items() if steps <= up} | {name for name, steps in below.items() if steps <= down}
    assert set(select(f"{up}+{start}+{down}", catalog).names) == near
    assert set(select(f"+{start}+", catalog).names) == set(above) | set(below)
    assert set(select(f"@{start}", catalog).names) == {up for name in below for up in distances(entries, name, down=False)}
    if tagged:
        assert set(select(f"+{start},tag:{tag} {start}", catalog).names) == (set(above) & tagged) | {start}
        assert set(select(parse(f"{start}+", exclude=f"tag:{tag}"), catalog).names) == set(below) - tagged
