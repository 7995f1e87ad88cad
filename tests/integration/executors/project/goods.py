"""Assets of every kind, for tests with real workers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from tidemill import Observation, Resource, asset, check, flow, source, task

HERE = Path(__file__).parent


class Shelf(Resource):
    start_at: int = 5


shelf = Shelf()
inbox = source.files("inbox/*.csv")


@source
def feed(cursor: str | None) -> tuple[list[int], str]:
    last = int(cursor or 0)
    return list(range(last, last + 2)), str(last + 2)


@source
def table(shelf: Shelf) -> Observation:
    return Observation(pl.DataFrame({"n": [shelf.start_at]}), token="first", watermark=10.0)


@asset(owner="shop", tags=["daily"])
def orders(inbox: list[Path], limit: int = 100) -> pl.DataFrame:
    """All orders."""
    return pl.DataFrame({"id": [1, 2, 2], "files": [len(inbox)] * 3}).head(limit)


@asset(checks=[check.unique("id")])
def strict(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@asset(checks=[check.unique("id", severity="warn")])
async def lenient(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@check(strict)
def never_judges(strict: pl.DataFrame) -> bool:
    raise ZeroDivisionError("no")


class Split(NamedTuple):
    low: list[int]
    high: list[int]


@asset
def halves(feed: list[int], table: pl.DataFrame) -> Split:
    return Split(feed, table["n"].to_list())


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@asset
@flow
def grand(low: list[int], high: list[int], factor: int = 1) -> int:
    return total([total(low), total(high), factor])


@flow
def reads(grand: int) -> int:
    return total([grand, grand])
