"""Parameters of a flow: their JSON Schema (for forms), and raw values to the types that the flow declares.

Knows signatures and pydantic, which it imports when it is first asked.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import enum
import json
import types
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Union, get_args, get_origin

from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.types.shapes import readable
from tidemill.authoring.types.signatures import UNKNOWN, Signature
from tidemill.errors import Problem, nearest

if TYPE_CHECKING:
    import pydantic

    from tidemill.authoring.flow import Flow
    from tidemill.authoring.masking import Masker

__all__ = ["BadParameter", "schema", "typed", "validate"]


class BadParameter(Problem):
    """A run's parameter that is unknown, missing, or not of its type."""

    code = "bad-parameter"


def schema(flow: Flow[..., Any], *, filled: Container[str] = ()) -> dict[str, Any]:
    """The JSON Schema of the flow's parameters: an object, in the order of the signature, with defaults.

    Required ones in `filled` are assets, which nobody types in. Raises `BadDefinition`.
    """
    import pydantic  # lazily: 50 ms that only forms and runs need

    fields: dict[str, Any] = {}
    for name in flow.signature.names:
        if name in filled and name in flow.signature.required:
            continue
        hint = flow.signature.hint(name)
        default = flow.signature.defaults.get(name, ...)
        fields[name] = (Any if hint is UNKNOWN else hint, default)
    # Fields may be called as BaseModel's own attributes are ("schema", "json"); aliases keep them apart.
    renamed = {f"p{index}": (hint, pydantic.Field(default, alias=name)) for index, (name, (hint, default)) in enumerate(fields.items())}
    config = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid", title=flow.name)
    try:
        model = pydantic.create_model(flow.name, __config__=config, **renamed)  # type: ignore[call-overload]
        found: dict[str, Any] = model.model_json_schema(by_alias=True, mode="validation")
    except pydantic.errors.PydanticUserError as error:
        raise BadDefinition(
            f"The parameters of the flow {flow.name!r} cannot be shown as a form.",
            why=str(error).split("\n", 1)[0],
            mend="Give each a type that JSON has, or a dataclass or pydantic model; hand other things over inside tasks.",
        ) from error
    for part in found.get("properties", {}).values():
        if isinstance(part.get("title"), str):
            part.pop("title")
    return found


def validate(
    flow: Flow[..., Any], raw: Mapping[str, object], *, masker: Masker | None = None, filled: Container[str] = ()
) -> dict[str, object]:
    """`raw` (JSON values, text from a command line, or real values) as the flow's types. Defaults are left to the flow.

    Parameters in `filled` may be left out: they are assets.

    Raises `BadParameter`, naming parameter, expected type and value; known secrets are masked in it.
    """
    signature = flow.signature
    for name in raw:
        if name not in signature.named and not signature.var_keyword:
            guess = nearest(name, signature.named)
            known = ", ".join(signature.names) or "none"
            mend = f"Did you mean {guess!r}?" if guess else ""
            raise BadParameter(f"The flow {flow.name!r} has no parameter {name!r}.", why=f"It has: {known}.", mend=mend)
    if missing := [name for name in signature.missing(raw) if name not in filled]:
        listed = ", ".join(f"{name} ({readable(signature.hint(name))})" for name in missing)
        example = " ".join(f"--{name} …" for name in missing)
        raise BadParameter(
            f"The flow {flow.name!r} needs {'a value' if len(missing) == 1 else 'values'} for {listed}.",
            mend=f"Give {'it' if len(missing) == 1 else 'them'}: tidemill run {flow.name} {example}",
        )
    return {name: typed(flow, name, value, masker) for name, value in raw.items()}


class Parametric(Protocol):
    """A flow or an asset, as far as its parameters go."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def signature(self) -> Signature:
        """Its parameters."""


def typed(flow: Parametric, name: str, value: object, masker: Masker | None) -> object:
    """One raw value as the type that a flow or asset declares for its parameter `name`. Raises `BadParameter`."""
    hint = flow.signature.hint(name)
    if hint is UNKNOWN:
        return value
    import pydantic  # lazily, as above

    try:
        adapter = _adapter(hint)
    except pydantic.errors.PydanticUserError:
        return value  # a type that pydantic knows nothing of, and without isinstance: nothing to be said
    tries = [value, *_readings(hint, value)]
    errors: list[pydantic.ValidationError] = []
    for attempt in tries:
        try:
            return adapter.validate_python(attempt)
        except pydantic.ValidationError as error:
            errors.append(error)
    raise _bad(flow, name, hint, value, errors[-1] if _structured(hint) else errors[0], masker)


def _adapter(hint: Any) -> pydantic.TypeAdapter[Any]:
    import pydantic  # lazily, as above

    has_own = isinstance(hint, type) and (issubclass(hint, pydantic.BaseModel) or hasattr(hint, "__pydantic_config__"))
    try:
        return pydantic.TypeAdapter(hint, config=None if has_own else pydantic.ConfigDict(arbitrary_types_allowed=True))
    except pydantic.errors.PydanticUserError:
        return pydantic.TypeAdapter(hint)  # it carries its own configuration somewhere inside


def _readings(hint: Any, value: object) -> list[object]:
    """What text from a command line may also mean: JSON, a list with commas, the name of an Enum member, None."""
    if not isinstance(value, str):
        return []
    found: list[object] = []
    arms = _arms(hint)
    if any(arm is type(None) for arm in arms) and value.lower() in ("", "none", "null"):
        found.append(None)
    for arm in arms:
        if isinstance(arm, type) and issubclass(arm, enum.Enum) and value in arm.__members__:
            found.append(arm[value])
        origin = get_origin(arm) or arm
        if origin is Literal:
            found += [one for one in get_args(arm) if str(one) == value]
        elif isinstance(origin, type) and issubclass(origin, (list, tuple, set, frozenset)) and not value.lstrip().startswith("["):
            found.append([part.strip() for part in value.split(",")] if value.strip() else [])
    if value[:1] in '[{"' or value in ("null", "true", "false"):
        with contextlib.suppress(ValueError):
            found.append(json.loads(value))
    return found


def _arms(hint: Any) -> tuple[Any, ...]:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _structured(hint: Any) -> bool:
    plain = (str, int, float, bool, bytes, dt.date, dt.time, dt.timedelta, decimal.Decimal, enum.Enum)
    return not any(isinstance(arm, type) and issubclass(arm, plain) for arm in _arms(hint))


def _bad(flow: Parametric, name: str, hint: Any, value: object, error: pydantic.ValidationError, masker: Masker | None) -> BadParameter:
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{step!r}]" if isinstance(step, int) else f".{step}" for step in first["loc"] if not _is_arm(step))
    shown = repr(value) if len(repr(value)) <= 200 else repr(value)[:200] + "…"
    words = f"The parameter {name!r} of the {getattr(flow, 'noun', 'flow')} {flow.name!r} takes {readable(hint)}, and was given {shown}."
    why = f"{name}{place}: {first['msg']}." if place else f"{first['msg']}."
    if masker is not None:
        words, why = masker.text(words), masker.text(why)
    return BadParameter(words, why=why, mend=_example(hint, name))


def _is_arm(step: object) -> bool:
    return isinstance(step, str) and (not step.isidentifier() or step in ("int", "str", "float", "bool", "none", "date", "datetime"))


def _example(hint: Any, name: str) -> str:
    for arm in _arms(hint):
        if get_origin(arm) is Literal:
            return f"It is one of {', '.join(repr(one) for one in get_args(arm))}."
        if isinstance(arm, type) and issubclass(arm, enum.Enum):
            return f"It is one of {', '.join(repr(one.value) for one in arm)}."
        if arm is dt.date:
            return f"Write it as --{name} 2026-01-31."
        if arm is dt.datetime:
            return f"Write it as --{name} 2026-01-31T06:00:00+01:00."
    return ""
