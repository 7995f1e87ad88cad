"""Types as users write them, where another process finds them."""

from __future__ import annotations

import dataclasses
import enum
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pydantic


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Pair(NamedTuple):
    left: Any
    right: Any = None


@dataclasses.dataclass
class Order:
    id: int
    price: Decimal
    notes: list[str | None] = dataclasses.field(default_factory=list)
    total: Decimal = dataclasses.field(init=False, default=Decimal(0))


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


class Shop(pydantic.BaseModel):
    name: str
    limit: int = 5
    _hidden: int = pydantic.PrivateAttr(default=1)


class Row(msgspec.Struct, rename="camel"):
    long_name: str
    value: Any = None


class Opaque:
    """Nothing but pickle knows it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)
