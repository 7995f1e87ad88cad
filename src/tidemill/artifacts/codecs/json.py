"""JSON values, exactly: plain ones as plain JSON, the others in a tagged form (`tagged`). Knows no file."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from types import NoneType
from typing import Any

import msgspec

from tidemill.artifacts.codecs.form import Source, Unfit, Written
from tidemill.artifacts.codecs.tagged import DEPTH, Tagger, untag
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import CannotRead

_WORDS = frozenset({str, int, bool, NoneType})
_NUMBERS = _WORDS | {float}
_FLOATS = {float}
_KEYS = {str}
encode = msgspec.json.Encoder().encode
decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
_PREVIEWED = 8192  # bytes of text given to the mask: more than is shown, so that no secret is cut in two before it is seen


class Json:
    """The codec "json"."""

    name = "json"
    version = 1

    def write(self, value: object, location: Location) -> Written:  # noqa: ARG002 - the protocol's
        """See `Codec`."""
        data = to_json(value)
        return Written(data=data, preview=preview_of(data))

    def read(self, source: Source) -> object:
        """See `Codec`."""
        return from_json(source.bytes())


def to_json(value: object) -> bytes:
    """`value` as bytes that `from_json` turns into an equal value of the same types. Raises `Unfit`, `CannotStore`."""
    if is_plain(value, 0):
        try:
            return encode(value)
        except (UnicodeEncodeError, ValueError, OverflowError):
            pass  # lone surrogates, integers of thousands of digits: they have a tagged form
    return encode(Tagger().tag(value, 0))


def from_json(data: bytes, tags: dict[str, Callable[[Any], object]] | None = None) -> object:
    """The value again. `tags` adds readers of further tagged forms. Raises `CannotRead`."""
    try:
        value = decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CannotRead("A stored JSON value cannot be read.", why=str(error), mend="Run the task that made it again.") from error
    # Inside a JSON string a quote is escaped, so these three bytes stand for the tag (or for the word "$": harmless).
    return untag(value, tags or {}) if b'"$"' in data else value


def is_plain(value: Any, depth: int) -> bool:
    """Whether plain JSON tells `value` exactly. Lists of scalars, the common large case, are seen at the speed of C."""
    kind = type(value)
    if kind in _WORDS:
        return True
    if kind is float:
        return isfinite(value)
    if kind is dict:
        if value and (set(map(type, value)) != _KEYS or "$" in value):
            return False
        value = value.values()
    elif kind is not list:
        return False
    kinds = set(map(type, value))
    if kinds <= _WORDS:
        return True
    if kinds == _FLOATS:
        return all(map(isfinite, value))
    if kinds <= _NUMBERS:
        return all(isfinite(item) for item in value if type(item) is float)
    return depth < DEPTH and all(is_plain(item, depth + 1) for item in value)


def preview_of(data: bytes) -> str:
    """The beginning of JSON bytes as text."""
    return data[:_PREVIEWED].decode(errors="ignore")


__all__ = ["Json", "Unfit", "decode", "encode", "from_json", "is_plain", "preview_of", "to_json"]
