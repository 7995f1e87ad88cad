"""Rows ↔ tuples of plain values. JSON is kept as text; a NUL in text, which PostgreSQL refuses, becomes the sign for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tidemill.errors import Corrupt
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Expr, Handle
from tidemill.graph.work import Failure

T = TypeVar("T")

to_bytes = msgspec.json.Encoder().encode


def text(value: str) -> str:
    """Text as both databases can keep it."""
    if value.isascii():
        return value.replace("\0", "␀") if "\0" in value else value
    # Half of a surrogate pair (a file name that is no UTF-8) cannot be written either.
    return value.replace("\0", "␀").encode("utf-8", "replace").decode()


def to_json(value: object) -> str:
    """JSON as text. Half of a surrogate pair in it, which no file can hold, becomes "?"."""
    try:
        return to_bytes(value).decode()
    except UnicodeEncodeError:
        return to_bytes(_whole(msgspec.to_builtins(value))).decode()


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list | tuple) else value


def some_json(value: object | None) -> str | None:
    """JSON of what is there. None stays None, and costs nothing."""
    return None if value is None else to_json(value)


def sound(value: T) -> T:
    """The value as it comes back from `to_json`: itself, unless half of a surrogate pair is in it."""
    try:
        to_bytes(value)
    except UnicodeEncodeError:
        return msgspec.json.decode(to_json(value), type=type(value))
    return value


def _some(decode: Callable[[str], T]) -> Callable[[str | None], T | None]:
    return lambda told: None if told is None else decode(told)


handle: Callable[[str], Handle] = msgspec.json.Decoder(Handle).decode
some_handle = _some(handle)
some_failure: Callable[[str | None], Failure | None] = _some(msgspec.json.Decoder(Failure).decode)
some_expr: Callable[[str | None], Expr | None] = _some(msgspec.json.Decoder(Expr).decode)
numbers: Callable[[str], dict[str, int]] = msgspec.json.Decoder(dict[str, int]).decode
texts: Callable[[str], dict[str, str]] = msgspec.json.Decoder(dict[str, str]).decode


def number_or_text(value: float | str | None) -> str | None:
    """One column for both, exactly: JSON knows no NaN, and SQLite would make NULL of it."""
    if value is None:
        return None
    return "s" + text(value) if isinstance(value, str) else "f" + repr(float(value))


def from_number_or_text(told: str | None) -> Any:
    """What `number_or_text` was given."""
    if told is None:
        return None
    return told[1:] if told[0] == "s" else float(told[1:])


def encoded_graph(digest: str, graph: Graph) -> bytes:
    """The graph as it is stored. Raises `Corrupt` when `digest` is not its own."""
    if (real := graph_digest(graph)) != digest:
        raise Corrupt(
            f"The graph of {graph.flow!r} was to be stored as {digest[:12]}…, and it is {real[:12]}….",
            why="A graph is kept under the digest of what is in it.",
            mend="This is a fault of Tidemill: please report it.",
        )
    return msgspec.json.encode(graph)
