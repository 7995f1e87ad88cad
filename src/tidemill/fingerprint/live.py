"""Looking into live objects without running any of their code: what they wrap, hold, and are plainly equal to."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import pathlib
import re
import uuid
from collections.abc import Callable, Iterator
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

from tidemill.fingerprint.tables.digests import table_digest

__all__ = ["Plain", "carried", "contained", "functions_of", "steps"]

_DEPTH = 6
_LISTS = (list, tuple, set, frozenset)
_MAPS = (dict, MappingProxyType)
_BY_REPR = (
    bool, float, complex, bytes, type(None), type(...), range, slice, decimal.Decimal, uuid.UUID,
    dt.date, dt.time, dt.timedelta, dt.timezone, pathlib.PurePath,
)  # fmt: skip


def steps(value: Any) -> Iterator[Any]:
    """`value`, then what it wraps, to the innermost: decorated functions, tasks and their like."""
    for _ in range(50):
        yield value
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, MethodType | staticmethod | classmethod):
            value = value.__func__
        else:
            inner = None if isinstance(value, type) else _attribute(value, "__wrapped__") or _attribute(value, "function")
            if not callable(inner):
                return
            value = inner


def functions_of(value: Any) -> list[FunctionType]:
    """The functions that calling `value` can be seen to run; the innermost is the last."""
    found = [inner for one in steps(value) for inner in contained(carried(one))]
    return [one for one in found if isinstance(one, FunctionType)] + [one for one in steps(value) if isinstance(one, FunctionType)]


def carried(value: Any) -> Any:
    """The arguments that a partial or a bound method brings along; None for others."""
    if isinstance(value, functools.partial):
        return (value.args, value.keywords)
    if isinstance(value, MethodType) and not isinstance(value.__self__, type | ModuleType):
        return value.__self__
    return None


def contained(value: Any, depth: int = 3) -> list[Any]:
    """The functions and classes inside lists, tuples, sets and dicts, and `value` itself if it is one."""
    if isinstance(value, (FunctionType, type)):
        return [value]
    if isinstance(value, _MAPS):
        value = list(value.values()) + list(value)
    elif not isinstance(value, _LISTS):
        return [one for one in steps(value) if isinstance(one, FunctionType)] if callable(value) else []
    if not depth or len(value) > 10_000:
        return []
    return [one for item in value for one in contained(item, depth - 1)]


class Plain:
    """A value as text that is equal for equal values; functions, classes and modules stand as their names.

    Instances are looked into only if `inside` says so of their type: those of libraries hold caches. `kinds` are the
    types of all instances; `opaque` those that stand for nothing but their type.
    """

    def __init__(self, value: Any, inside: Callable[[type], bool]) -> None:
        self.kinds: list[type] = []
        self.opaque: list[type] = []
        self._inside = inside
        self.text = self._text(value, _DEPTH)

    def _text(self, value: Any, depth: int) -> str:
        kind = type(value)
        if kind is str:
            return f"s{len(value)}:{value}"
        if kind is int:
            return f"i{value:x}."
        if kind in _BY_REPR or isinstance(value, pathlib.PurePath):
            return f"{kind.__name__}:{value!r}."
        if isinstance(value, ModuleType):
            return f"module {value.__name__}."
        if isinstance(value, type | FunctionType):
            return f"name {value.__module__}.{value.__qualname__}."
        if isinstance(value, re.Pattern):
            return f"pattern {value.flags} {self._text(value.pattern, depth)}"
        if depth < 0:
            return self._unread(kind)
        if kind in _LISTS or isinstance(value, tuple):
            items = [self._text(one, depth - 1) for one in value]
            return f"{kind.__name__}{len(items)}({''.join(sorted(items) if kind in (set, frozenset) else items)})"
        if isinstance(value, _MAPS):
            return f"dict({''.join(self._text(key, depth - 1) + '=' + self._text(one, depth - 1) for key, one in value.items())})"
        return self._instance(value, depth)

    def _instance(self, value: Any, depth: int) -> str:
        kind = type(value)
        self.kinds.append(kind)
        if isinstance(value, enum.Enum):
            return f"enum {kind.__qualname__}.{value.name}."
        if (table := table_digest(value)) is not None:
            return f"table {table.algorithm} {table.schema} {table.table}."
        names = [name for name in (*getattr(value, "__dict__", ()), *_slots(kind)) if name not in ("__dict__", "__weakref__")]
        if not names or not self._inside(kind):
            return self._unread(kind)
        fields = (f"{name}={self._text(_attribute(value, name), depth - 1)}" for name in sorted(set(names)))
        return f"{kind.__module__}.{kind.__qualname__}({''.join(fields)})"

    def _unread(self, kind: type) -> str:
        self.opaque.append(kind)
        return f"<{kind.__module__}.{kind.__qualname__}>"


def _slots(kind: type) -> list[str]:
    found: list[str] = []
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        found += [slots] if isinstance(slots, str) else list(slots)
    return found


def _attribute(value: Any, name: str) -> Any:
    """The attribute, read without running a property or `__getattr__`."""
    inside = getattr(value, "__dict__", None)
    if isinstance(inside, dict) and name in inside:
        return inside[name]
    for base in type(value).__mro__:
        found = vars(base).get(name)
        if found is not None:
            # C-level descriptors (slots, functools' __wrapped__) are safe to ask; Python's own properties are code.
            if isinstance(found, property | FunctionType | classmethod | staticmethod) or not hasattr(found, "__get__"):
                return None
            try:
                return found.__get__(value, type(value))
            except AttributeError:
                return None
    return None
