"""What a function takes: its parameters read once, calls bound in microseconds, types resolved when asked.

Knows neither tasks nor graphs.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from tidemill.authoring.places import place_of
from tidemill.authoring.problems import BadCall
from tidemill.errors import nearest

__all__ = ["UNKNOWN", "Signature", "call_with"]


class _NotDeclared:
    def __repr__(self) -> str:
        return "not declared"


UNKNOWN: Any = _NotDeclared()  # the type of what carries no annotation, or one that cannot be resolved

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Signature:
    """The parameters of one function. Raises `ValueError` or `TypeError` for callables that Python cannot describe."""

    __slots__ = (
        "_hints", "defaults", "function", "named", "names", "parameters", "positional", "required", "style",
        "text", "var_keyword", "var_positional",
    )  # fmt: skip

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        found = inspect.signature(function)
        self.parameters: Mapping[str, inspect.Parameter] = found.parameters
        given = list(found.parameters.values())
        self.text = f"{getattr(function, '__name__', 'function')}{found}"
        self.positional = tuple(p.name for p in given if p.kind in _POSITIONAL)
        self.var_positional = next((p.name for p in given if p.kind is p.VAR_POSITIONAL), "")
        self.var_keyword = next((p.name for p in given if p.kind is p.VAR_KEYWORD), "")
        self.names = tuple(p.name for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        self.named = frozenset(p.name for p in given if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        self.defaults = {p.name: p.default for p in given if p.default is not p.empty}
        self.required = tuple(name for name in self.names if name not in self.defaults)
        positional_only = any(p.kind is p.POSITIONAL_ONLY for p in given)
        self.style: Literal["keywords", "bind"] = "bind" if self.var_positional or positional_only else "keywords"
        self._hints: dict[str, Any] | None = None

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by parameter name; missing ones are not looked for. Extra positional ones are a tuple under `*name`'s name.

        Raises `BadCall`.
        """
        bound = dict(zip(self.positional, args, strict=False))
        if len(args) > len(self.positional):
            if not self.var_positional:
                raise self._bad(f"{self._name}() takes {len(self.positional)} positional arguments, and {len(args)} were given.")
            bound[self.var_positional] = tuple(args[len(self.positional) :])
        if kwargs:
            if not self.var_keyword and not (kwargs.keys() <= self.named):
                unknown = next(name for name in kwargs if name not in self.named)
                guess = nearest(unknown, self.named)
                raise self._bad(f"{self._name}() has no parameter {unknown!r}.", f"Did you mean {guess!r}?" if guess else "")
            if twice := bound.keys() & kwargs.keys():
                raise self._bad(f"{self._name}() was given {min(twice)!r} twice: by position and by name.")
            bound.update(kwargs)
        return bound

    def missing(self, bound: Iterable[str]) -> list[str]:
        """Required parameters that `bound` leaves open."""
        return [name for name in self.required if name not in bound]

    def refuse_missing(self, missing: Sequence[str]) -> BadCall:
        """The error that names parameters left open."""
        names = ", ".join(repr(name) for name in missing)
        return self._bad(f"{self._name}() needs {names}, and nothing was given for {'it' if len(missing) == 1 else 'them'}.")

    def hint(self, name: str) -> Any:
        """The resolved annotation of a parameter or of "return"; `UNKNOWN` if there is none that can be resolved."""
        if self._hints is None:
            self._hints = _resolve(self.function)
        if name not in self._hints and self.var_keyword and name not in self.parameters:
            return self._hints.get(self.var_keyword, UNKNOWN)  # **options: int
        return self._hints.get(name, UNKNOWN)

    @property
    def _name(self) -> str:
        return str(getattr(self.function, "__name__", "function"))

    def _bad(self, what: str, mend: str = "") -> BadCall:
        return BadCall(what, signature=self.text, defined=place_of(self.function), mend=mend)


def call_with(function: Callable[..., Any], values: Mapping[str, Any], style: Literal["keywords", "bind"] = "keywords") -> Any:
    """Call `function` with values by parameter name, as `Node.calls_with` says.

    "bind" puts positional-only parameters and the tuple under `*name`'s name where they belong.
    """
    if style == "keywords":
        return function(**values)
    rest = dict(values)
    args: list[Any] = []
    extra: tuple[Any, ...] = ()
    by_position = True
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in _POSITIONAL and parameter.name in rest and by_position:
            args.append(rest.pop(parameter.name))
        elif parameter.kind in _POSITIONAL:
            by_position = False  # a default is used here: what follows goes by name
        elif parameter.kind is parameter.VAR_POSITIONAL:
            extra = tuple(rest.pop(parameter.name, ()))
    return function(*args, *extra, **rest)


def _resolve(function: Callable[..., Any]) -> dict[str, Any]:
    plain = inspect.unwrap(function)
    with suppress(Exception):  # an annotation may hold any expression; those that resolve are still of use
        return typing.get_type_hints(plain, include_extras=True)
    known = dict(getattr(plain, "__globals__", None) or vars(sys.modules.get(plain.__module__, typing)))
    found: dict[str, Any] = {}
    for name, annotation in getattr(plain, "__annotations__", {}).items():
        holder = type("holder", (), {"__annotations__": {name: annotation}})
        try:
            found |= typing.get_type_hints(holder, known, include_extras=True)
        except Exception:  # noqa: BLE001, S112 - e.g. imported under TYPE_CHECKING only: unknown, not wrong
            continue
    return found
