"""The tagged form of what JSON has no word for: {"$": "decimal", "v": "1.10"}. Knows values only, no bytes.

A value comes back equal, of the same type, or `Unfit` says that it cannot: then another codec takes it.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from math import isfinite
from pathlib import Path, PosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from tidemill.artifacts.codecs.form import Unfit, find_type, importable
from tidemill.artifacts.problems import CannotRead, CannotStore

DEPTH = 200  # levels of nesting; both sides recurse, and a reader may stand deeper on its stack than the writer
_DIGITS = 1000  # bits of an integer that is written in decimal
Tags = dict[str, Callable[[Any], object]]


class Tagger:
    """Turns one value into plain JSON values. `file`, if given, takes paths of which the content is to be kept."""

    def __init__(self, file: Callable[[Path], dict[str, Any] | None] | None = None) -> None:
        self._file = file
        self._around: set[int] = set()
        self._typed: dict[type, bool] = {}

    def tag(self, value: Any, depth: int) -> Any:
        """Raises `Unfit` for a type without a form, `CannotStore` for what is nested too deep or contains itself."""
        kind = type(value)
        simple = _SIMPLE.get(kind)
        if simple is not None:
            return simple(value)
        if depth > DEPTH:
            raise _too_deep()
        if id(value) in self._around:
            raise CannotStore(
                "The value contains itself.",
                why=f"A {kind.__name__} in it is its own part, so its stored form would have no end.",
                mend="Return the parts without the reference back, for example a list of rows with the parent's id.",
            )
        self._around.add(id(value))
        try:
            return self._tag_inner(value, kind, depth + 1)
        finally:
            self._around.discard(id(value))

    def _tag_inner(self, value: Any, kind: type, depth: int) -> Any:
        if kind is list:
            return [self.tag(item, depth) for item in value]
        if kind is dict:
            if "$" not in value and all(type(key) is str and _encodes(key) for key in value):
                return {key: self.tag(item, depth) for key, item in value.items()}
            return {"$": "dict", "v": [[self.tag(key, depth), self.tag(item, depth)] for key, item in value.items()]}
        if kind is tuple:
            return {"$": "tuple", "v": [self.tag(item, depth) for item in value]}
        if kind is set or kind is frozenset:
            # In an order of its own: the same set must give the same bytes in every process.
            return {"$": kind.__name__, "v": sorted((self.tag(item, depth) for item in value), key=msgspec.json.encode)}
        if kind is PosixPath:
            if self._file is None and value.exists():
                raise NeedsFiles("it holds a path")
            entry = self._file(value) if self._file else None
            return entry or {"$": "path", "v": _text(str(value))}
        if kind.__module__ == "numpy":
            return _tag_numpy(value)
        return self._tag_object(value, kind, depth)

    def _tag_object(self, value: Any, kind: type, depth: int) -> dict[str, Any]:
        if kind not in self._typed:
            self._typed[kind] = importable(kind)
        if not self._typed[kind]:
            raise Unfit(f"{kind.__qualname__} cannot be imported by its name")
        form, parts = _parts(value, kind)
        inner = {name: self.tag(part, depth) for name, part in parts.items()}
        return {"$": form, "t": f"{kind.__module__}:{kind.__qualname__}", "v": inner}


def untag(node: Any, tags: Tags) -> Any:
    """The value of what a `Tagger` made; lists and dicts are changed in place. Raises `CannotRead`."""
    if type(node) is list:
        for at, item in enumerate(node):
            if type(item) is dict or type(item) is list:
                node[at] = untag(item, tags)
        return node
    if type(node) is not dict:
        return node
    form = node.get("$")
    if form is None:
        for key, item in node.items():
            if type(item) is dict or type(item) is list:
                node[key] = untag(item, tags)
        return node
    return _untag_form(form, node, tags)


def _untag_form(form: str, node: dict[str, Any], tags: Tags) -> Any:
    read = tags.get(form)
    if read is not None:
        return read(node)
    read = _FORMS.get(form)
    if read is not None:
        return read(node)
    items = _COLLECTIONS.get(form)
    if items is not None:
        return items(untag(node["v"], tags))
    make = _OBJECTS.get(form)
    if make is not None:
        module, _, qualname = node["t"].partition(":")
        kind = find_type(module, qualname)
        if not isinstance(kind, type):
            raise CannotRead(
                f"{node['t']} is not a type any more.",
                why="A stored value is of it.",
                mend="Run the task that made the value again.",
            )
        try:
            return make(kind, {name: untag(part, tags) for name, part in node["v"].items()})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise CannotRead(
                f"A stored {qualname} cannot be made again.",
                why=f"{type(error).__name__}: {error}. Its definition in {module} has changed since.",
                mend="Give new fields a default, or run the task that made the value again.",
            ) from error
    raise CannotRead(f"A stored value has the form {form!r}, which this version does not know.", mend="Update Tidemill here.")


# ---------------------------------------------------------------- scalars


def _text(value: str) -> Any:
    return value if _encodes(value) else {"$": "str", "v": _base64(value.encode("utf-8", "surrogatepass"))}


def _encodes(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _float(value: float) -> Any:
    return value if isfinite(value) else {"$": "float", "v": repr(value)}


def _int(value: int) -> Any:
    return value if value.bit_length() <= _DIGITS else {"$": "int", "v": hex(value)}


def _datetime(value: datetime) -> dict[str, Any]:
    return {"$": "datetime", **_zone(value.tzinfo), **({"fold": 1} if value.fold else {}), "v": _iso(value)}


def _time(value: time) -> dict[str, Any]:
    return {"$": "time", **_zone(value.tzinfo), **({"fold": 1} if value.fold else {}), "v": _iso(value)}


def _iso(value: datetime | time) -> str:
    return value.replace(tzinfo=None).isoformat()


def _zone(zone: tzinfo | None) -> dict[str, Any]:
    if zone is None:
        return {}
    if type(zone) is ZoneInfo and zone.key:
        return {"tz": zone.key}
    if type(zone) is timezone:
        delta, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        return {"offset": [delta.days, delta.seconds, delta.microseconds], **({"name": name[0]} if name else {})}
    raise Unfit(f"{type(zone).__name__} is a time zone without an IANA name")


def _read_zone(node: dict[str, Any]) -> tzinfo | None:
    if "tz" in node:
        return ZoneInfo(node["tz"])
    if "offset" not in node:
        return None
    days, seconds, micros = node["offset"]
    delta = timedelta(days=days, seconds=seconds, microseconds=micros)
    return timezone(delta, node["name"]) if "name" in node else timezone(delta)


def _read_moment(kind: type[datetime | time]) -> Callable[[dict[str, Any]], object]:
    return lambda node: kind.fromisoformat(node["v"]).replace(tzinfo=_read_zone(node), fold=node.get("fold", 0))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _tag_numpy(value: Any) -> dict[str, Any]:
    numpy = sys.modules["numpy"]
    if not isinstance(value, numpy.generic) or value.dtype.hasobject or value.dtype.names:
        raise Unfit(f"it holds a numpy {type(value).__name__}")
    return {"$": "numpy", "t": value.dtype.str, "v": _base64(value.tobytes())}


def _read_numpy(node: dict[str, Any]) -> object:
    try:
        import numpy as np  # optional: only for values that came from it
    except ImportError:
        from tidemill.artifacts.problems import LibraryMissing

        raise LibraryMissing("NumPy", "numpy", "a NumPy number") from None
    return np.frombuffer(base64.b64decode(node["v"]), dtype=node["t"])[0]


class NeedsFiles(Unfit):
    """The value holds paths of files that exist: their content must be kept with it."""


def _too_deep() -> CannotStore:
    return CannotStore(
        f"The value is nested more than {DEPTH} levels deep.",
        why="Such a value could not be read again everywhere.",
        mend="Return it flat: a list of rows, or a table.",
    )


_SIMPLE: dict[type, Callable[[Any], Any]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    int: _int,
    float: _float,
    str: _text,
    bytes: lambda value: {"$": "bytes", "v": _base64(value)},
    bytearray: lambda value: {"$": "bytearray", "v": _base64(value)},
    complex: lambda value: {"$": "complex", "v": [repr(value.real), repr(value.imag)]},
    Decimal: lambda value: {"$": "decimal", "v": str(value)},
    datetime: _datetime,
    date: lambda value: {"$": "date", "v": value.isoformat()},
    time: _time,
    timedelta: lambda value: {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]},
    UUID: lambda value: {"$": "uuid", "v": value.hex},
    range: lambda value: {"$": "range", "v": [value.start, value.stop, value.step]},
}

_FORMS: dict[str, Callable[[dict[str, Any]], object]] = {
    "str": lambda node: base64.b64decode(node["v"]).decode("utf-8", "surrogatepass"),
    "float": lambda node: float(node["v"]),
    "int": lambda node: int(node["v"], 16),
    "bytes": lambda node: base64.b64decode(node["v"]),
    "bytearray": lambda node: bytearray(base64.b64decode(node["v"])),
    "complex": lambda node: complex(*map(float, node["v"])),
    "decimal": lambda node: Decimal(node["v"]),
    "datetime": _read_moment(datetime),
    "date": lambda node: date.fromisoformat(node["v"]),
    "time": _read_moment(time),
    "timedelta": lambda node: timedelta(*node["v"]),
    "uuid": lambda node: UUID(hex=node["v"]),
    "range": lambda node: range(*node["v"]),
    "path": lambda node: Path(untag(node["v"], {})),
    "numpy": _read_numpy,
}

_COLLECTIONS: dict[str, Callable[[list[Any]], object]] = {
    "dict": dict,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}

# ---------------------------------------------------------------- objects of the user's types


def _parts(value: Any, kind: type) -> tuple[str, dict[str, Any]]:
    """The form of an object and its parts by name, if that is all it is made of. Raises `Unfit`."""
    if isinstance(value, enum.Enum):
        return "enum", {"name": value.name} if value.name in kind.__members__ else {"value": value.value}  # type: ignore[attr-defined]
    if isinstance(value, tuple) and hasattr(kind, "_fields") and hasattr(kind, "_make"):
        if len(value) == len(kind._fields) and not getattr(value, "__dict__", None):
            return "namedtuple", dict(zip(kind._fields, value, strict=True))
    elif dataclasses.is_dataclass(kind) and _is_simple(kind):
        names = {field.name for field in dataclasses.fields(kind)}
        if set(getattr(value, "__dict__", ())) <= names:
            return "dataclass", {name: getattr(value, name) for name in sorted(names) if hasattr(value, name)}
    elif isinstance(value, msgspec.Struct):
        return "struct", {name: getattr(value, name) for name in kind.__struct_fields__}  # type: ignore[attr-defined]
    elif hasattr(kind, "__pydantic_fields__") and hasattr(kind, "model_construct"):
        state = value.__getstate__()
        return "pydantic", {name.strip("_"): part for name, part in state.items()}
    raise Unfit(f"it holds {_article(kind.__qualname__)}")


def _is_simple(kind: type) -> bool:
    """Whether an object of `kind` is its fields and nothing else, and is pickled in the ordinary way."""
    return all(getattr(kind, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__", "__new__"))


def _make_enum(kind: Any, parts: dict[str, Any]) -> object:
    return kind[parts["name"]] if "name" in parts else kind(parts["value"])


def _make_dataclass(kind: type, parts: dict[str, Any]) -> object:
    # Not through __init__: its checks and defaults have had their say when the value was first made.
    value: object = object.__new__(kind)
    for field in dataclasses.fields(kind):
        if field.name in parts:
            object.__setattr__(value, field.name, parts[field.name])
        elif field.default is not dataclasses.MISSING:
            object.__setattr__(value, field.name, field.default)
        elif field.default_factory is not dataclasses.MISSING:
            object.__setattr__(value, field.name, field.default_factory())
    return value


def _make_namedtuple(kind: Any, parts: dict[str, Any]) -> object:
    defaults = kind._field_defaults
    return kind._make(parts[name] if name in parts else defaults[name] for name in kind._fields)


def _make_pydantic(kind: Any, parts: dict[str, Any]) -> object:
    value = kind.__new__(kind)
    value.__setstate__({"__dict__" if name == "dict" else f"__{name}__": part for name, part in parts.items()})
    return value


_OBJECTS: dict[str, Callable[[type, dict[str, Any]], object]] = {
    "enum": _make_enum,
    "namedtuple": _make_namedtuple,
    "dataclass": _make_dataclass,
    "struct": lambda kind, parts: kind(**parts),
    "pydantic": _make_pydantic,
}


def _article(word: str) -> str:
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
