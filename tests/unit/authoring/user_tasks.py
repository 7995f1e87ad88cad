"""Tasks and flows as a user's module would have them, for the tests beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from tidemill import flow, task
from tidemill.graph.values import Constant, Expr, Item, Ref, Several


class Pair(NamedTuple):
    left: int
    right: str


class Row(TypedDict):
    shop: str
    amount: int


@dataclass
class Report:
    title: str
    sizes: list[int]


@task
def extract() -> list[int]:
    return [1, 2, 3]


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def double(x: int) -> int:
    return 2 * x


@task
def add(x: int, y: int = 0) -> int:
    return x + y


@task
def is_big(x: int) -> bool:
    return x > 3


@task
def nothing() -> None: ...


@task
def anything(value: Any = None) -> Any:
    return value


@task
def pair() -> Pair:
    return Pair(1, "a")


@task
def two() -> tuple[int, str]:
    return 1, "a"


@task
def row() -> Row:
    return {"shop": "a", "amount": 1}


@task
def report() -> Report:
    return Report("t", [1])


@task
def sizes() -> dict[str, int]:
    return {"a": 1, "b": 2}


@task
def name_of(text: str) -> str:
    return text


@task
def where() -> Path:
    return Path("x/y")


@flow
def quadruple(n: int) -> int:
    return double(double(n))


def plain(expr: Expr | None, values: Mapping[str, Any]) -> Any:
    """An expression as something short to compare: "extract", "row['shop']", ("constant", 3), lists and dicts of these."""
    if isinstance(expr, Constant):
        return ("constant", values[expr.handle.digest])
    if isinstance(expr, (Ref, Item)):
        start = expr.node if isinstance(expr, Ref) else f"item {expr.group}:{expr.name}"
        return start + "".join(f"[{step!r}]" if kind == "item" else f".{step}" for kind, step in expr.path)
    if isinstance(expr, Several):
        parts = [plain(item, values) for item in expr.items]
        return (
            dict(zip(expr.names, parts, strict=True))
            if expr.kind == "dict"
            else {"list": list, "tuple": tuple, "set": set}[expr.kind](parts)
        )
    return expr
