"""The types of parts: what `ref[0]`, `ref["k"]`, `ref.name` and `a, b = ref` are, given the declared type of `ref`.

Knows types only. What is not declared is `UNKNOWN`, and passes.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, is_typeddict

from tidemill.authoring.types.signatures import UNKNOWN
from tidemill.errors import Problem, nearest

__all__ = ["Results", "bare", "field_hint", "item_hint", "mapped_over", "readable", "unpacked_hints"]

Complain = Callable[[str, str], Problem]


class Results(NamedTuple):
    """The type of a mapped result: a list or a dict (by what was mapped over, not known yet) of `each`."""

    each: Any
    kind: str = ""  # "list", "dict", or "" while it is open


def bare(hint: Any) -> Any:
    """`hint` without Annotated, and without None in a union of two: what can be looked into."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if hint is Any or hint is object or isinstance(hint, typing.TypeVar):
        return UNKNOWN
    if get_origin(hint) in (Union, UnionType):
        rest = [arm for arm in get_args(hint) if arm is not NoneType]
        return bare(rest[0]) if len(rest) == 1 else UNKNOWN
    return hint


def item_hint(hint: Any, key: str | int, complain: Complain) -> Any:
    """The type of `ref[key]`. Raises what `complain` makes when the declared type has no such part."""
    if isinstance(hint, Results):
        return hint.each
    hint = bare(hint)
    origin = get_origin(hint) or hint
    args = get_args(hint)
    if hint is UNKNOWN or not isinstance(origin, type):
        return UNKNOWN
    if is_typeddict(origin):
        return _of_typed_dict(origin, key, complain)
    if issubclass(origin, tuple):
        return _of_tuple(hint, key, complain)
    if issubclass(origin, (int, float, complex, NoneType)):
        raise complain(f"The result of {{name}} is declared as {readable(hint)}, which has no parts.", "Pass it on whole.")
    if issubclass(origin, Mapping):
        return args[1] if len(args) == 2 else UNKNOWN
    if issubclass(origin, Sequence) and isinstance(key, str):
        raise complain(
            f"The result of {{name}} is declared as {readable(hint)}: its parts have numbers, not the name {key!r}.",
            "Index it with a whole number, or let the task return a dict.",
        )
    return args[0] if issubclass(origin, Sequence) and len(args) == 1 else UNKNOWN


def _of_typed_dict(origin: Any, key: str | int, complain: Complain) -> Any:
    fields = _hints(origin)
    if key in fields:
        return fields[str(key)]
    guess = nearest(str(key), fields)
    raise complain(
        f"The result of {{name}} is declared as {readable(origin)}, which has no key {key!r}.",
        f"Did you mean {guess!r}?" if guess else f"It has {', '.join(map(repr, fields))}.",
    )


def _of_tuple(hint: Any, key: str | int, complain: Complain) -> Any:
    if isinstance(key, str):
        raise complain(f"The result of {{name}} is a tuple: its parts have numbers, not the name {key!r}.", "Index it with a whole number.")
    parts = unpacked_hints(hint)
    if parts is None:
        args = get_args(hint)
        return args[0] if args else UNKNOWN
    if not -len(parts) <= key < len(parts):
        raise complain(f"The result of {{name}} is declared with {len(parts)} parts, and part [{key}] was asked for.", "Count from 0.")
    return parts[key]


def field_hint(hint: Any, name: str, complain: Complain) -> Any:
    """The type of `ref.name`. Raises what `complain` makes unless the declared type has that field."""
    declared = hint
    hint = UNKNOWN if isinstance(hint, Results) else bare(hint)
    origin = get_origin(hint) or hint
    fields = _hints(origin) if isinstance(origin, type) and hint is not UNKNOWN and not is_typeddict(origin) else {}
    if name in fields:
        return fields[name]
    if isinstance(origin, type) and isinstance(getattr(origin, name, None), property):
        return _hints(getattr(origin, name).fget).get("return", UNKNOWN)
    if fields and (guess := nearest(name, fields)):
        mend = f"Did you mean .{guess}?"
    elif bare(declared) is UNKNOWN:
        mend = "Declare what the task returns (a dataclass, NamedTuple or model with that field), or read it inside a task."
    else:
        mend = f'Read it inside a task; for the key of a dict write ["{name}"].'
    said = "is not declared" if bare(declared) is UNKNOWN else f"is declared as {readable(declared)}, which has no field of that name"
    raise complain(f"The flow reads .{name} of the result of {{name}}, which {said}.", mend)


def unpacked_hints(hint: Any) -> tuple[Any, ...] | None:
    """The types of `a, b = ref` for tuple[X, Y] and NamedTuples; None when the number of parts is not declared."""
    if isinstance(hint, Results):
        return None
    hint = bare(hint)
    origin = get_origin(hint) or hint
    if not isinstance(origin, type) or not issubclass(origin, tuple):
        return None
    if names := getattr(origin, "_fields", None):
        fields = _hints(origin)
        return tuple(fields.get(name, UNKNOWN) for name in names)
    args = get_args(hint)
    if not args or Ellipsis in args or any(get_origin(arg) is typing.Unpack for arg in args):
        return None
    return args


def mapped_over(hint: Any) -> Results | None:
    """What `.map` over a value of this type finds: the type of one item. None when the type cannot be mapped over."""
    if isinstance(hint, Results):
        return hint
    hint = bare(hint)
    origin = get_origin(hint) or hint
    args = get_args(hint)
    if hint is UNKNOWN or not isinstance(origin, type):
        return Results(UNKNOWN)
    if is_typeddict(origin):
        return Results(UNKNOWN, "dict")
    if issubclass(origin, (str, bytes, int, float, complex)) or origin is NoneType:
        return None
    if issubclass(origin, Mapping):
        return Results(args[1] if len(args) == 2 else UNKNOWN, "dict")
    if issubclass(origin, tuple):
        return Results(args[0] if len(args) == 2 and args[1] is Ellipsis else UNKNOWN, "list")
    if issubclass(origin, Sequence):
        return Results(args[0] if len(args) == 1 else UNKNOWN, "list")
    return Results(UNKNOWN)


def readable(hint: Any) -> str:
    """A type as people write it."""
    if hint is UNKNOWN:
        return "not declared"
    if isinstance(hint, Results):
        return {"list": f"list[{readable(hint.each)}]", "dict": f"dict[str, {readable(hint.each)}]"}.get(
            hint.kind, f"the results of a map, each {readable(hint.each)}"
        )
    if hint is NoneType or hint is None:
        return "None"
    if isinstance(hint, type) and not get_args(hint):
        return hint.__qualname__
    return str(hint).replace("typing.", "").replace("collections.abc.", "")


@lru_cache(maxsize=4096)
def _hints(holder: Any) -> Mapping[str, Any]:
    try:
        found = typing.get_type_hints(holder)
    except Exception:  # noqa: BLE001 - annotations may hold anything; the names are still known
        found = dict.fromkeys(getattr(holder, "__annotations__", {}), UNKNOWN)
    return {name: hint for name, hint in found.items() if get_origin(hint) is not typing.ClassVar}
