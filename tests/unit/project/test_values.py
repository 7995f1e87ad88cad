"""What people see of a result: previews as the worker made them, JSON where nothing is hidden or cut."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tidemill.artifacts.local import LocalFolder
from tidemill.artifacts.store import Artifacts
from tidemill.graph.values import At, Nothing, Several
from tidemill.project.values import UNKNOWN, evaluate, plain_value, preview


def test_a_small_json_value_is_shown_and_told_whole(tmp_path: Path) -> None:
    expr = At(Artifacts(LocalFolder(tmp_path)).keep({"a": [1, 2.5, None]}))
    assert preview(expr) == '{"a":[1,2.5,null]}'
    assert plain_value(expr) == {"a": [1, 2.5, None]}


def test_a_part_of_a_value_is_shown_alone(tmp_path: Path) -> None:
    handle = Artifacts(LocalFolder(tmp_path)).keep({"a": [1, 2, 3]})
    assert preview(At(handle, (("item", "a"), ("nth", 1)))) == "2"
    assert plain_value(At(handle, (("item", "b"),))) is UNKNOWN


def test_a_masked_value_is_never_told(tmp_path: Path) -> None:
    artifacts = Artifacts(LocalFolder(tmp_path), mask=lambda text: text.replace("s3cret", "***"))
    expr = At(artifacts.keep({"token": "s3cret"}))
    assert preview(expr) == '{"token":"***"}'
    assert plain_value(expr) is UNKNOWN
    assert "s3cret" not in preview(At(expr.handle, (("item", "token"),)))


def test_a_type_of_the_users_is_not_taken_apart(tmp_path: Path) -> None:
    handle = Artifacts(LocalFolder(tmp_path)).keep((1, 2))
    assert plain_value(At(handle)) is UNKNOWN


def test_several_are_shown_up_to_a_limit_and_told_whole(tmp_path: Path) -> None:
    artifacts = Artifacts(LocalFolder(tmp_path))
    many = Several("list", tuple(At(artifacts.keep(n)) for n in range(30)))
    assert preview(many, most=3) == "[0, 1, 2, … 27 more]"
    assert plain_value(many) == list(range(30))
    assert evaluate(artifacts, many) == list(range(30))
    named = Several("dict", (At(artifacts.keep(1)), Nothing()), ("a", "b"))
    assert preview(named) == '{"a": 1, "b": null}'
    assert evaluate(artifacts, named) == {"a": 1, "b": None}


def test_a_value_that_is_not_json_is_named(tmp_path: Path) -> None:
    handle = msgspec.structs.replace(Artifacts(LocalFolder(tmp_path)).keep(b"x"), preview=None, codec="arrow", type="pyarrow.Table")
    assert preview(At(handle)).startswith("<pyarrow.Table, ")
    assert plain_value(At(handle)) is UNKNOWN
