"""Parts of values: one step of a path after the other, and a copy that its reader may change. Knows no bytes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import PosixPath
from types import NoneType
from typing import Any
from uuid import UUID

from tidemill.artifacts.problems import BadPath
from tidemill.graph.values import PathStep

_SHOWN = 8  # keys or fields in an error
_FIXED = frozenset({str, int, float, bool, NoneType, bytes, complex, Decimal, datetime, date, time, timedelta, UUID, PosixPath, range})
_FIXED_MODULES = frozenset({"pyarrow"})  # all its values are immutable


def part_of(value: Any, path: tuple[PathStep, ...]) -> object:
    """The part of `value` at `path`. Raises `BadPath`."""
    whole = value
    for step, (kind, name) in enumerate(path):
        try:
            value = _step(value, kind, name)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise _bad(whole, value, path, step, error) from error
    return value


def _step(value: Any, kind: str, name: str | int) -> Any:
    if kind == "attr":
        return getattr(value, str(name))
    if kind == "nth" and isinstance(value, Mapping):
        return next(islice(value.values(), int(name), None))
    return value[name]


def own(value: Any) -> Any:
    """`value` itself if it cannot change, else a deep copy."""
    kind = type(value)
    if kind in _FIXED:
        return value
    if kind is dict:
        return {key: item if type(item) in _FIXED else own(item) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in _FIXED else own(item) for item in value]
    return value if kind.__module__.partition(".")[0] in _FIXED_MODULES else copy.deepcopy(value)


def path_text(path: tuple[PathStep, ...]) -> str:
    """A path as it is written in code: result['rows'][0].name"""
    return "result" + "".join(f"[{name!r}]" if kind == "item" else f".{name}" for kind, name in path)


def _bad(whole: Any, value: Any, path: tuple[PathStep, ...], step: int, error: Exception) -> BadPath:
    kind = path[step][0]
    found = path_text(path[:step]) if step else "the result"
    return BadPath(
        f"There is no {path_text(path[: step + 1])}.",
        why=f"{found[:1].upper()}{found[1:]} is {_described(value)}.{'' if isinstance(error, LookupError) else f' {error}'}",
        mend=f"Take {'an item' if kind == 'item' else 'a field'} that exists, or change what the task returns ({_described(whole)}).",
    )


def _described(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, dict):
        names = [repr(key) for key in list(value)[:_SHOWN]]
        return f"a dict with {len(value)} keys: {', '.join(names)}{', …' if len(value) > _SHOWN else ''}" if names else "an empty dict"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"a {kind} with the fields {', '.join(value._fields[:_SHOWN])}"
    if isinstance(value, (list, tuple)):
        return f"a {kind} of {len(value)} items"
    return "None" if value is None else f"of type {kind}"
