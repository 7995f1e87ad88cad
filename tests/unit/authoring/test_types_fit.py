"""What fits what: no false alarm on common code, and an alarm where it cannot be right."""

# ruff: noqa: UP007, UP045 - users write these forms
from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NewType, Optional, Protocol, TypedDict, TypeVar, Union

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tidemill import Problem, flow, task
from tidemill.authoring.building import build
from tidemill.authoring.types.shapes import Results
from tidemill.authoring.types.typecheck import fits
from unit.authoring.user_tasks import add, double, extract, name_of, pair, row, sizes, total, two

T = TypeVar("T")
UserId = NewType("UserId", int)


class Animal: ...


class Dog(Animal): ...


class Ints(list[int]): ...


class Box(Generic[T]): ...


class Named(Protocol):
    name: str


class Shop(TypedDict):
    shop: str


class Sized(Shop):
    size: int


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (int, int),
        (int, float),
        (int, complex),
        (float, complex),
        (bool, int),
        (Any, int),
        (int, Any),
        (int, object),
        (object, int),
        (list[int], Sequence[int]),
        (list[int], Iterable[int]),
        (list[int], list[float]),
        (list[int], list),
        (list, list[int]),
        (list[int], Sequence),
        (Sequence[int], list[int]),
        (dict[str, int], Mapping[str, float]),
        (dict, dict[str, int]),
        (Mapping[str, int], dict[str, int]),
        (dict[str, Any], dict[str, int]),
        (dict[str, int], Iterable[str]),
        (tuple[int, int], tuple[int, ...]),
        (tuple[int, str], tuple[int, str]),
        (tuple[int, ...], Sequence[int]),
        (tuple[int, ...], tuple[int, int]),
        (int | None, int),
        (Optional[int], int),
        (None, Optional[int]),
        (int, int | str),
        (int | str, int),
        (Union[int, str], str | bytes),
        (Dog, Animal),
        (Literal["a"], str),
        (str, Literal["a", "b"]),
        (Literal["a", "b"], Literal["a", "c"]),
        (Literal[1], int),
        (Annotated[int, "x"], int),
        (int, Annotated[int, "x"]),
        (Annotated[int, []], int),
        (UserId, int),
        (int, UserId),
        (T, int),
        (int, T),
        (pl.DataFrame, pl.LazyFrame),
        (pl.LazyFrame, pl.DataFrame),
        (pl.DataFrame, pd.DataFrame),
        (pd.DataFrame, pa.Table),
        (pa.Table, pl.DataFrame),
        (pl.Series, pd.Series),
        (list[pl.DataFrame], list[pd.DataFrame]),
        (Ints, list[int]),
        (Box[int], Box[int]),
        (Box, Box[int]),
        (Animal, Named),
        (Shop, dict[str, Any]),
        (Sized, Shop),
        (dict[str, str], Shop),
        (Shop, Mapping[str, object]),
        (Path, Path),
        (dt.datetime, dt.date),
        (Callable[[int], str], Callable[..., Any]),
        (type[int], type),
        ("Unresolved", int),
        (set[int], frozenset[int] | set[int]),
    ],
)
def test_common_code_passes(returned: object, expected: object) -> None:
    assert fits(returned, expected)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (int, str),
        (str, int),
        (float, int),
        (list[int], int),
        (int, list[int]),
        (list[int], list[str]),
        (list[int], dict[str, int]),
        (dict[str, int], list[int]),
        (dict[str, int], dict[int, int]),
        (dict[str, str], dict[str, int]),
        (Sequence[str], list[int]),
        (tuple[int, str], tuple[int, int]),
        (tuple[int, str], tuple[int, str, int]),
        (tuple[int, str], Sequence[int]),
        (tuple[str, ...], tuple[int, ...]),
        (None, int),
        (None, list[int]),
        (int | None, str),
        (int | str, bytes),
        (int, str | bytes),
        (Animal, Dog),
        (Literal["a"], int),
        (int, Literal["a"]),
        (Literal["a"], Literal["b"]),
        (UserId, str),
        (Annotated[int, "x"], str),
        (pl.DataFrame, int),
        (int, pl.DataFrame),
        (pl.DataFrame, pl.Series),
        (Ints, list[str]),
        (Shop, list[str]),
        (Shop, Sized),
        (list[list[int]], list[list[str]]),
        (str, Path),
        (Path, str),
        (dt.date, dt.datetime),
        (int, type),
        (list[pl.DataFrame], pl.DataFrame),
    ],
)
def test_what_cannot_be_right_is_an_alarm(returned: object, expected: object) -> None:
    assert not fits(returned, expected)


@pytest.mark.parametrize(
    ("kind", "expected", "fit"),
    [
        ("list", list[int], True),
        ("list", Sequence[float], True),
        ("list", dict[str, int], False),
        ("list", list[str], False),
        ("dict", dict[str, int], True),
        ("dict", list[int], False),
        ("dict", Mapping[str, str], False),
        ("", list[int], True),
        ("", dict[str, int], True),
        ("", int, False),
        ("", list[str], False),
        ("list", list, True),
        ("list", int, False),
    ],
)
def test_a_mapped_result_is_a_list_or_dict_of_results(kind: str, expected: object, fit: bool) -> None:
    assert fits(Results(int, kind), expected) is fit
    assert fits(Results(Results(int, kind), "list"), list[expected]) is fit  # type: ignore[valid-type]


@task
def of_strings(xs: list[str]) -> list[str]:
    return xs


@task
def of_floats(xs: Sequence[float], label: str | None = None) -> float:
    return sum(xs)


@task
def of_unknown(x: NotImported) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda: total(double(1)), r"total\(\) takes list\[int\] for 'xs', and was given int"),
        (lambda: of_strings(extract()), r"of_strings\(\) takes list\[str\] for 'xs', and was given list\[int\]"),
        (lambda: of_strings(double.map(extract())), r"was given list\[int\]"),
        (lambda: name_of.map(extract()), r"name_of\(\) takes str for 'text', and was given int(?s:.*)Each item of the result of 'extract'"),
        (lambda: name_of.map(double.map([1])), "takes str for 'text', and was given int"),
        (lambda: name_of(extract()[0]), r"The result of 'extract\[0\]' is declared as int"),
        (lambda: double(two()[1]), "takes int for 'x', and was given str"),
        (lambda: double(pair().right), "was given str"),
        (lambda: double(row()["shop"]), "was given str"),
        (lambda: name_of(sizes()["a"]), "was given int"),
        (lambda: of_strings([extract()[0]]), "takes str for 'xs', and was given int"),
        (lambda: add.partial(y=name_of("a")).map([1]), "takes int for 'y', and was given str"),
        (lambda: double.map([name_of("a")]), "takes int for 'x', and was given str"),
        (lambda: typed_flow(name_of("a")), r"typed_flow\(\) takes int for 'n', and was given str"),
        (lambda: typed_flow.map([name_of("a")]), "takes int for 'n', and was given str"),
    ],
)
def test_a_mismatch_names_both_types_both_places_and_the_mend(use: Callable[[], object], text: str) -> None:
    @flow
    def wrong() -> None:
        use()

    with pytest.raises(Problem, match=text) as caught:
        build(wrong)
    assert caught.value.report().code == "type-mismatch"
    assert "is declared as" in caught.value.why
    assert "is defined in" in caught.value.why
    assert "Change one of the two annotations" in caught.value.mend
    assert "test_types_fit.py:" in caught.value.where


@flow
def typed_flow(n: int) -> int:
    return double(n)


def test_what_is_right_or_unknown_builds() -> None:
    @flow
    def fine() -> None:
        of_floats(double.map(extract()))
        of_floats([double(1), 2.5])
        of_floats(extract(), label=name_of("a"))
        of_unknown(extract())
        total(typed_flow.map(extract()))
        double(typed_flow(double(1)))

    assert len(build(fine).graph.nodes) == 16
