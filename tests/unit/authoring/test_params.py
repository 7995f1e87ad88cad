"""Parameters of a flow: a form, and raw values to types with messages that name what is wrong."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types
import pydantic
import pytest

from tidemill import flow
from tidemill.authoring.definitions.params import BadParameter, schema, validate
from tidemill.authoring.masking import Masker


class Colour(Enum):
    RED = "r"
    BLUE = "b"


class Range(pydantic.BaseModel):
    low: int
    high: int = 9


@dataclass
class Point:
    x: int
    y: int = 0


class Opaque: ...


@flow
def report(  # noqa: PLR0917
    day: dt.date,
    limit: int = 100,
    mode: Literal["fast", "full"] = "fast",
    share: Annotated[float, annotated_types.Ge(0), annotated_types.Le(1)] = 0.5,
    colour: Colour = Colour.RED,
    at: dt.datetime | None = None,
    price: Decimal = Decimal("1.10"),
    ids: list[int] = [],  # noqa: B006 - as users write it
    bounds: Range | None = None,
    point: Point = Point(1),  # noqa: B008
    name: str | None = None,
    full: bool = False,
    where: Path = Path("x"),
    level: Literal[1, 2] = 1,
    free: Any = None,
    untyped=3,
) -> None: ...


@flow
def strict(schema: int, json: str) -> None: ...


@flow
def with_object(thing: Opaque) -> None: ...


def one(name: str, raw: object) -> object:
    return validate(report, {"day": "2026-01-31", name: raw})[name]


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("day", "2026-01-31", dt.date(2026, 1, 31)),
        ("day", dt.date(2026, 1, 31), dt.date(2026, 1, 31)),
        ("limit", "7", 7),
        ("limit", 7, 7),
        ("mode", "full", "full"),
        ("share", "0.25", 0.25),
        ("colour", "b", Colour.BLUE),
        ("colour", "BLUE", Colour.BLUE),
        ("at", "2026-01-31T06:00:00+01:00", dt.datetime(2026, 1, 31, 6, tzinfo=dt.timezone(dt.timedelta(hours=1)))),
        ("at", "none", None),
        ("at", None, None),
        ("price", "2.50", Decimal("2.50")),
        ("ids", "[1, 2]", [1, 2]),
        ("ids", "1,2", [1, 2]),
        ("ids", "", []),
        ("ids", [3], [3]),
        ("bounds", '{"low": 2}', Range(low=2)),
        ("bounds", {"low": 2}, Range(low=2)),
        ("point", '{"x": 4}', Point(4)),
        ("name", "text", "text"),
        ("full", "yes", True),
        ("full", "false", False),
        ("where", "a/b", Path("a/b")),
        ("level", "2", 2),
        ("free", "x", "x"),
        ("untyped", "x", "x"),
    ],
)
def test_raw_values_become_the_declared_type(name: str, raw: object, value: object) -> None:
    found = one(name, raw)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("limit", "many", r"The parameter 'limit' of the flow 'report' takes int, and was given 'many'(?s:.*)valid integer"),
        ("limit", 1.5, r"takes int, and was given 1.5"),
        ("day", "yesterday", r"(?s)takes date, and was given 'yesterday'.*Write it as --day 2026-01-31"),
        ("at", "noon", r"(?s)'at'.*was given 'noon'.*--at 2026-01-31T06:00:00\+01:00"),
        ("mode", "slow", r"(?s)takes Literal\['fast', 'full'\], and was given 'slow'.*It is one of 'fast', 'full'"),
        ("colour", "GREEN", r"(?s)takes Colour, and was given 'GREEN'.*It is one of 'r', 'b'"),
        ("share", "1.5", r"(?s)was given '1.5'.*less than or equal to 1"),
        ("ids", '[1, "x"]', r"(?s)takes list\[int\].*ids\[1\]: .*valid integer"),
        ("bounds", '{"low": "x"}', r"(?s)bounds.*\.low: .*valid integer"),
        ("point", "{}", r"(?s)takes Point.*point\.x: Field required"),
    ],
)
def test_a_wrong_value_names_parameter_type_and_value(name: str, raw: object, text: str) -> None:
    with pytest.raises(BadParameter, match=text):
        one(name, raw)


def test_unknown_and_missing_parameters_are_named() -> None:
    with pytest.raises(BadParameter, match=r"(?s)has no parameter 'limt'.*It has: day, limit.*Did you mean 'limit'"):
        validate(report, {"day": "2026-01-31", "limt": 3})
    with pytest.raises(BadParameter, match=r"(?s)needs a value for day \(date\).*tidemill run report --day …"):
        validate(report, {})
    with pytest.raises(BadParameter, match=r"needs values for schema \(int\), json \(str\)"):
        validate(strict, {})


def test_known_secrets_are_masked_in_the_message() -> None:
    with pytest.raises(BadParameter) as caught:
        validate(report, {"day": "hunter2hunter2"}, masker=Masker(["hunter2hunter2"]))
    assert "hunter2" not in str(caught.value)
    assert "was given '***'" in caught.value.what


def test_long_values_are_cut_in_the_message() -> None:
    with pytest.raises(BadParameter) as caught:
        validate(report, {"day": "x" * 5000})
    assert len(caught.value.what) < 400


def test_defaults_are_left_to_the_flow() -> None:
    assert validate(report, {"day": "2026-01-31"}) == {"day": dt.date(2026, 1, 31)}


def test_objects_of_other_classes_pass_by_their_type() -> None:
    thing = Opaque()
    assert validate(with_object, {"thing": thing}) == {"thing": thing}
    with pytest.raises(BadParameter, match="takes Opaque, and was given 3"):
        validate(with_object, {"thing": 3})


def test_the_schema_is_a_form() -> None:
    found = schema(report)
    assert found["required"] == ["day"]
    assert list(found["properties"])[:3] == ["day", "limit", "mode"]
    assert found["properties"]["day"] == {"format": "date", "type": "string"}
    assert found["properties"]["limit"] == {"default": 100, "type": "integer"}
    assert found["properties"]["mode"] == {"default": "fast", "enum": ["fast", "full"], "type": "string"}
    assert found["properties"]["share"] == {"default": 0.5, "maximum": 1.0, "minimum": 0.0, "type": "number"}
    assert found["properties"]["colour"]["default"] == "r"
    assert found["additionalProperties"] is False
    assert "Range" in found["$defs"]


def test_parameters_may_be_called_like_anything() -> None:
    assert list(schema(strict)["properties"]) == ["schema", "json"]
    assert validate(strict, {"schema": "1", "json": "x"}) == {"schema": 1, "json": "x"}


def test_a_parameter_that_json_does_not_have_is_no_form() -> None:
    with pytest.raises(Exception, match=r"(?s)The parameters of the flow 'with_object' cannot be shown as a form"):
        schema(with_object)
