"""What a checker must see of assets, sources and checks. Read by mypy and pyright in `./dev test`, never run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, assert_type

from tidemill import Asset, Observation, approx, asset, check, flow, source, task

inbox = source.files("inbox/*.csv", owner="shop")
table = source.table("orders", "shop", token="select max(updated_at) from orders")


@source
def prices(cursor: str | None) -> tuple[list[int], str]:
    return [1], "a"


@source(owner="me", retries=2)
def rates() -> Observation:
    return Observation({"EUR": 1.0}, token="t")


@asset
def orders(inbox: list[Path], limit: int = 100) -> list[int]:
    return [limit, len(inbox)]


@asset(name="shop/clean", inputs={"o": "orders"}, checks=[check.rows(min=1), check.unique("id", mostly=0.99, where="id > 1")],
       same=approx(1e-9), fresh="6h", owner="me", group="g", tags=["a"], version="3", retries=3, timeout="2m", pool="api")  # fmt: skip
def clean(o: list[int]) -> list[int]:
    return o


@asset
async def later(orders: list[int]) -> str:
    return str(orders)


class Split(NamedTuple):
    train: list[int]
    test: list[int]


@asset
def split(orders: list[int]) -> Split:
    return Split(orders, orders)


@check(orders, severity="warn")
def looks_sane(orders: list[int]) -> bool:
    return bool(orders)


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@asset
@flow
def revenue(train: list[int], factor: int = 2) -> int:
    return total(train) * factor


@asset(owner="me")
@flow
def yearly(train: list[int]) -> int:
    return total(train)


assert_type(orders([Path("a")]), list[int])
assert_type(clean([1]), list[int])
assert_type(later([1]), str)
assert_type(split([1]).train, list[int])
assert_type(revenue([1], factor=3), int)
assert_type(yearly([1]), int)
assert_type(looks_sane([1]), bool)
made: Asset[..., list[int]] = orders
orders(3)  # type: ignore[arg-type]  # a wrong argument is an error, or --strict would find this comment unused
