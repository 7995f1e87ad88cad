"""Assets: what can be said of them, what they are made of, and how they behave as plain functions."""

from __future__ import annotations

import pickle
from types import ModuleType
from typing import NamedTuple

import pytest

from tidemill import Problem, approx, asset, check, flow, task
from tidemill.authoring.assets.asset import Asset
from tidemill.authoring.assets.catalog import catalog
from tidemill.authoring.assets.parts import Code
from tidemill.authoring.definitions import Definitions, scan
from tidemill.authoring.problems import BadDefinition, DuplicateName
from tidemill.errors import BadSetting, Unknown
from unit.authoring.user_tasks import extract


class Split(NamedTuple):
    train: list[int]
    test: list[int]


@asset
def plain(xs: list[int]) -> int:
    """Adds up.

    And no more.
    """
    return sum(xs)


def module_of(**members: object) -> ModuleType:
    made = ModuleType("shop")
    vars(made).update(members)
    return made


def defined(**members: object) -> Definitions:
    return scan([module_of(**members)])


def test_an_asset_called_plainly_is_its_function() -> None:
    assert plain([1, 2]) == 3


def test_a_flow_asset_called_plainly_runs_the_flow() -> None:
    @asset
    @flow
    def doubled(x: int) -> list[int]:
        return [x, x]

    assert doubled(2) == [2, 2]


def test_the_description_is_the_docstring_unless_it_is_given() -> None:
    assert plain.description == "Adds up.\n\nAnd no more."
    assert asset(description="Other")(plain.function).description == "Other"


def test_every_option_of_a_task_is_an_option_of_an_asset() -> None:
    made = asset(name="shop/total", retries=3, timeout="2m", pool="api", tags=["a"], owner="me", group="g", version="3", fresh="2h")(
        plain.function
    )
    assert (made.name, made.policy.retries, made.policy.timeout.run, made.policy.pool, made.policy.tags) == (
        "shop/total", 3, 120.0, "api", ("a",),
    )  # fmt: skip
    assert (made.about.owner, made.about.group, made.version, made.about.fresh) == ("me", "g", "3", 7200.0)


def test_an_async_asset_runs_on_the_loop() -> None:
    @asset
    async def later() -> int:
        return 1

    assert later.policy.executor == "async"


def test_a_word_that_is_no_option_names_the_nearest() -> None:
    with pytest.raises(Unknown, match="no asset option named 'onwer'") as caught:
        asset(onwer="me")
    assert caught.value.mend == "Did you mean 'owner'?"


def test_cache_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(BadSetting, match="An asset says cache=") as caught:
        asset(cache="2d")
    assert 'fresh="2d"' in caught.value.mend


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"inputs": {"o": 3}}, "does not say which asset each parameter reads"),
        ({"outputs": "train"}, "are not names of assets"),
        ({"outputs": ["a", "a"]}, "are not names of assets"),
        ({"checks": ["unique"]}, "checks= has 'unique', which is not a check"),
        ({"owner": 3}, "owner=3 is not text"),
        ({"same": 0.1}, "same=0.1 does not say when two results are the same"),
        ({"fresh": "soon"}, "fresh='soon' is not a duration"),
        ({"retries": -1}, "retries=-1 is not a whole number"),
    ],
)
def test_values_that_cannot_be_are_refused_at_the_decorator(words: dict[str, object], text: str) -> None:
    with pytest.raises(BadSetting, match=text):
        asset(**words)


def test_a_tolerance_is_a_number_of_at_least_zero() -> None:
    assert str(approx(1e-6, absolute=2)) == "approx(1e-06, absolute=2)"
    with pytest.raises(BadSetting, match=r"approx\(relative=-1\) is not a tolerance"):
        approx(-1)


def test_a_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadDefinition, match="'a b' cannot be the name of an asset"):
        asset(name="a b")(plain.function)


def test_a_task_cannot_be_made_an_asset_as_well() -> None:
    with pytest.raises(BadDefinition, match="@asset was given the task 'extract'"):
        asset(extract)


def test_a_flow_asset_refuses_options_that_its_tasks_have() -> None:
    @flow
    def whole() -> int:
        return 1

    with pytest.raises(BadDefinition, match="is a flow, and says retries="):
        asset(retries=3)(whole)


def test_an_input_of_a_parameter_that_is_not_there_is_named() -> None:
    with pytest.raises(Unknown, match="no parameter of the asset 'plain' named 'xy'"):
        asset(inputs={"xy": "a"})(plain.function)


def test_an_asset_with_a_name_travels_by_name_and_any_other_with_all_it_says() -> None:
    assert pickle.loads(pickle.dumps(plain)) is plain

    def local() -> int:
        return 1

    made = asset(name="x/y", checks=[check.rows(min=1)], owner="me")(local)
    kind, words = made.__reduce__()
    again = kind(*words)
    assert isinstance(again, Asset)
    assert (again.name, again.about, again.function) == (made.name, made.about, local)


# ------------------------------------------------------------ several from one function


def test_the_fields_of_a_named_tuple_are_assets_of_their_own() -> None:
    @asset(name="ml/split")
    def split(xs: list[int] = [1]) -> Split:  # noqa: B006
        return Split(xs, xs)

    found = defined(split=split).asset_objects
    assert list(found) == ["ml/split", "ml/test", "ml/train"]
    assert found["ml/train"].result_hint == list[int]
    assert found["ml/train"].pick(Split([1], [2])) == [1]


def test_outputs_name_the_parts_of_a_tuple_or_dict() -> None:
    @asset(outputs=["a", "b"])
    def both() -> tuple[int, int]:
        return 1, 2

    assert [both.outputs["b"].pick(whole) for whole in ((1, 2), [3, 4], {"a": 5, "b": 6})] == [2, 4, 6]
    with pytest.raises(Problem, match="'both' returned a tuple of 1, in which there is no 'b'") as caught:
        both.outputs["b"].pick((1,))
    assert caught.value.report().code == "wrong-result"


def test_empty_outputs_make_a_named_tuple_one_asset() -> None:
    @asset(outputs=[])
    def split() -> Split:
        return Split([], [])

    assert list(defined(split=split).asset_objects) == ["split"]


def test_an_output_that_is_no_field_is_named() -> None:
    @asset(outputs=["trian"])
    def split() -> Split:
        return Split([], [])

    with pytest.raises(Unknown, match="no field of Split named 'trian'") as caught:
        defined(split=split)
    assert caught.value.mend == "Did you mean 'train'?"


# ------------------------------------------------------------ names


def test_two_assets_of_one_name_are_shown_with_both_places() -> None:
    def other() -> int:
        return 1

    with pytest.raises(DuplicateName, match="Two assets are named 'plain'") as caught:
        defined(a=plain, b=asset(name="plain")(other))
    assert caught.value.why.count("test_assets.py:") == 2


def test_an_asset_and_a_flow_of_one_name_are_refused() -> None:
    @flow(name="plain")
    def other() -> int:
        return 1

    with pytest.raises(DuplicateName, match="Two definitions are named 'plain'") as caught:
        defined(a=plain, b=other)
    assert "(a flow)" in caught.value.why
    assert "(an asset)" in caught.value.why


def test_an_unknown_asset_is_answered_with_the_nearest() -> None:
    found = defined(plain=plain, raw=asset(name="xs")(lambda_free))
    assert found.asset("plain") is plain
    with pytest.raises(Unknown, match="no asset named 'plian'") as caught:
        found.asset("plian")
    assert caught.value.mend == "Did you mean 'plain'?"


def lambda_free() -> list[int]:
    return [1]


# ------------------------------------------------------------ the catalog


def test_the_catalog_tells_all_that_is_said_of_an_asset() -> None:
    @asset(name="xs", same=approx(), checks=[check.rows(min=1, severity="warn")], retries=2)
    def numbers(limit: int = 3, day: str = "x" * 200) -> list[int]:
        return [limit]

    code = Code("d1", {"shop.numbers": "abc", "package polars": "1.2"})
    first, second = catalog(defined(plain=plain, numbers=numbers), code_of=lambda _: code, params={"limit": 7})
    assert (first.name, first.inputs, first.returns, first.doc.partition("\n")[0]) == ("plain", {"xs": "xs"}, "int", "Adds up.")
    assert first.file.endswith("test_assets.py")
    assert second.settings == ("limit", "day")
    assert second.parts.pop("setting day").startswith("digest ")
    assert second.parts == {"code shop.numbers": "abc", "package polars": "1.2", "setting limit": "7"}
    assert (second.same, second.policy, [(one.name, one.severity) for one in second.checks]) == (
        "approx(1e-09)", {"retries": 2}, [("rows(min=1)", "warn")],
    )  # fmt: skip


def test_a_stated_version_stands_for_the_code() -> None:
    made = asset(version="3", name="v")(lambda_free)
    (entry,) = catalog(defined(v=made), code_of=lambda _: Code("d", {"x": "y"}))
    assert entry.parts == {"version": "3"}


def test_tasks_that_are_assets_are_not_listed_as_tasks() -> None:
    found = defined(extract=extract, raw=asset(name="raw")(lambda_free))
    assert [one.name for one in found.tasks] == ["extract"]
    assert list(found.asset_objects) == ["raw"]


def test_a_task_is_no_asset() -> None:
    assert not isinstance(task(lambda_free), Asset)
