"""Values by reference: a `Handle` says where bytes are, an `Expr` says how an argument is made of them.

Knows neither how bytes are decoded (codecs) nor where they are kept (artifacts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec

INLINE_LIMIT = 4096  # bytes; a larger value becomes a file, so that rows and events stay small
PREVIEW_LIMIT = 2000  # characters of preview that a handle carries


class Shape(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the control process may know of a value without decoding it."""

    truth: bool | None = None  # bool(value); None when it has none (a data frame)
    length: int | None = None  # len(value) of a list, tuple or dict that can be mapped over
    keys: tuple[str, ...] | None = None  # of a dict, in order, when there are at most 1,000
    kind: str = ""  # "list", "tuple", "dict" for what can be mapped over


class Handle(msgspec.Struct, frozen=True, omit_defaults=True):
    """One immutable, content-addressed value: how it was encoded, what it is, where its bytes are.

    `digest` is the BLAKE3 of the encoded bytes, in hex. `data` holds them when they are at most
    `INLINE_LIMIT` long; otherwise they are in the artifact store under their digest.
    """

    codec: str
    digest: str
    size: int  # bytes
    version: int = 1  # of the codec's format
    data: bytes | None = None
    type: str = ""  # the Python type it was, "builtins.int"
    shape: Shape | None = None
    rows: int | None = None
    schema: tuple[tuple[str, str], ...] | None = None  # (column, type)
    preview: str | None = None  # made in the worker, secrets masked
    note: str | None = None  # what the user should know: "pickled: …"
    content: str = ""  # digest of the data whatever its row order and encoding, where there is one


class Constant(msgspec.Struct, frozen=True, tag="literal", tag_field="t"):
    """A value that was known when the graph was built."""

    handle: Handle


PathStep: TypeAlias = tuple[Literal["item", "attr", "nth"], str | int]  # ref["k"], ref[0]; ref.name; the n-th value of a list or dict


class Ref(msgspec.Struct, frozen=True, tag="ref", tag_field="t", omit_defaults=True):
    """What a node returns, or the part of it at `path`. Of a mapped node: the list or dict of all results."""

    node: str
    path: tuple[PathStep, ...] = ()


class Item(msgspec.Struct, frozen=True, tag="item", tag_field="t", omit_defaults=True):
    """What the mapped group `group` hands to its parameter `name` in the current item (`Group.over[name]`), or the part at `path`."""

    group: str
    path: tuple[PathStep, ...] = ()
    name: str = ""


class Several(msgspec.Struct, frozen=True, tag="several", tag_field="t", omit_defaults=True):
    """A list, tuple, set or dict of expressions. `names` are a dict's keys, in the order of `items`."""

    kind: Literal["list", "tuple", "set", "dict"]
    items: tuple[Expr, ...]
    names: tuple[str, ...] = ()


class At(msgspec.Struct, frozen=True, tag="at", tag_field="t", omit_defaults=True):
    """A resolved reference: the value of `handle`, or the part of it at `path`. Only in work, never in a graph."""

    handle: Handle
    path: tuple[PathStep, ...] = ()


class Nothing(msgspec.Struct, frozen=True, tag="nothing", tag_field="t"):
    """A resolved reference to something that was skipped: it reads as None. Only in work, never in a graph."""


Expr: TypeAlias = Constant | Ref | Item | Several | At | Nothing


def refs(expr: Expr) -> Iterator[Ref]:
    """Every `Ref` inside `expr`, in reading order."""
    if isinstance(expr, Ref):
        yield expr
    elif isinstance(expr, Several):
        for item in expr.items:
            yield from refs(item)


def items(expr: Expr) -> Iterator[Item]:
    """Every `Item` inside `expr`, in reading order."""
    if isinstance(expr, Item):
        yield expr
    elif isinstance(expr, Several):
        for inner in expr.items:
            yield from items(inner)


def rewrite(expr: Expr, change: Callable[[Any], Expr]) -> Expr:
    """`expr` with every leaf replaced by `change(leaf)`."""
    if isinstance(expr, Several):
        return msgspec.structs.replace(expr, items=tuple(rewrite(item, change) for item in expr.items))
    return change(expr)
