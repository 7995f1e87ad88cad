"""Wiring by name: an asset, else a resource, else a run parameter; and what is said when it is none of these."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from tidemill import Resource, asset, source
from tidemill.authoring.assets.problems import UnknownInput
from tidemill.authoring.assets.wiring import Wired, wire, wire_all
from tidemill.authoring.problems import BadDefinition, DuplicateName, TypeMismatch
from tidemill.graph.nodes import CyclicGraph
from unit.authoring.test_assets import defined


class Shop(Resource):
    url: str = "x"


@asset
def raw() -> list[int]:
    return [1]


def test_each_parameter_is_filled_by_its_name() -> None:
    @asset(inputs={"o": "raw"})
    def clean(o: list[int], shop: Shop, limit: int = 3, *, day: str) -> list[int]:
        return o

    found = wire(defined(raw=raw, clean=clean, shop=Shop()), "clean")
    assert found == Wired(inputs={"o": "raw"}, resources=("shop",), settings=("limit", "day"), required=("day",))


def test_an_asset_goes_before_a_default() -> None:
    @asset
    def clean(raw: list[int] | None = None) -> int:
        return 1

    assert wire(defined(raw=raw, clean=clean), "clean").inputs == {"raw": "raw"}


def test_an_input_may_be_the_asset_itself() -> None:
    @asset(inputs={"o": raw})
    def clean(o: list[int]) -> int:
        return 1

    assert wire(defined(raw=raw, clean=clean), "clean").inputs == {"o": "raw"}


def test_what_nothing_fills_is_named_with_the_nearest() -> None:
    @asset
    def clean(rwa: list[int]) -> int:
        return 1

    with pytest.raises(UnknownInput, match="The asset 'clean' takes 'rwa', and there is no asset, source or res") as caught:
        wire_all(defined(raw=raw, clean=clean))
    assert caught.value.mend == "Did you mean 'raw'?"
    assert "test_assets_wiring.py" in caught.value.where


def test_a_renamed_input_that_is_not_there_is_named_with_the_nearest() -> None:
    @asset(inputs={"o": "shop/rwa"})
    def clean(o: list[int]) -> int:
        return 1

    with pytest.raises(UnknownInput, match="'shop/rwa'"):
        wire_all(defined(raw=raw, clean=clean))


def test_types_that_cannot_fit_are_refused() -> None:
    @asset
    def clean(raw: str) -> int:
        return 1

    with pytest.raises(TypeMismatch, match=r"The asset 'clean' takes str for 'raw', and the asset 'raw' is list\[int\]"):
        wire_all(defined(raw=raw, clean=clean))


def test_tables_of_different_libraries_fit() -> None:
    @asset
    def frame() -> pl.DataFrame:
        return pl.DataFrame()

    @asset
    def clean(frame: pd.DataFrame) -> pl.LazyFrame:
        return pl.LazyFrame()

    assert wire_all(defined(frame=frame, clean=clean))["clean"].inputs == {"frame": "frame"}


def test_a_source_is_told_apart_in_a_type_mismatch() -> None:
    @asset
    def clean(inbox: list[int]) -> int:
        return 1

    inbox = source.files("*.csv")
    with pytest.raises(TypeMismatch, match="the source 'inbox' is list"):
        wire_all(defined(inbox=inbox, clean=clean))
    assert Path in inbox.result_hint.__args__


def test_assets_that_read_one_another_are_shown_as_a_path() -> None:
    @asset
    def first(second: int) -> int:
        return 1

    @asset
    def second(first: int) -> int:
        return 1

    with pytest.raises(CyclicGraph, match=r"first → second → first|second → first → second"):
        wire_all(defined(first=first, second=second))


def test_a_resource_of_another_type_is_refused() -> None:
    @asset
    def clean(shop: int) -> int:
        return 1

    with pytest.raises(BadDefinition, match="The asset 'clean' takes int for 'shop', and the resource of that name is a Shop"):
        wire_all(defined(clean=clean, shop=Shop()))


def test_an_asset_and_a_resource_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateName, match="Two definitions are named 'raw'") as caught:
        defined(raw=Shop(), other=raw)
    assert "(a resource)" in caught.value.why


def test_parameters_by_position_only_are_refused() -> None:
    @asset
    def clean(raw: list[int], /) -> int:
        return 1

    with pytest.raises(BadDefinition, match="positional-only parameters"):
        wire_all(defined(raw=raw, clean=clean))
