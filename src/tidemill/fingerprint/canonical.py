"""A syntax tree as one text that is equal for code that does the same, on every Python from 3.11.

Knows syntax only: no names are looked up here, and nothing but the standard library is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["canonical"]

# Places, load/store marks and spellings do not change what code does.
_IDLE = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)

_fields: dict[type, tuple[tuple[str, str], ...]] = {}

Put = Callable[[str], None]


def canonical(node: ast.AST | Iterable[ast.AST]) -> str:
    """The text of `node` (or of several, in order): equal for equal code.

    Comments, docstrings, layout, `pass`, bare constants, the kind of quotes and positions do not count; names,
    annotations, decorators and the types of constants do.
    """
    out: list[str] = []
    put = out.append
    for one in [node] if isinstance(node, ast.AST) else node:
        _node(one, put)
    return "".join(out)


def _node(node: ast.AST, put: Put) -> None:
    kind = node.__class__
    if kind is ast.Constant:
        _constant(node.value, put)  # type: ignore[attr-defined]
        return
    if kind is ast.Name:  # the commonest node by far
        put(f"[{node.id}]")  # type: ignore[attr-defined]
        return
    if kind is ast.JoinedStr:
        put("(JoinedStr")
        _joined(node.values, put)  # type: ignore[attr-defined]
        put(")")
        return
    fields = _fields.get(kind) or _learn(kind)
    values = node.__dict__
    put(fields[0][1])
    for name, label in fields[1:]:
        value = values.get(name)
        if value is None or (value.__class__ is list and not value):
            continue
        if value.__class__ is list:
            if label == " body=" or isinstance(value[0], ast.stmt):
                value = _acting(value)
            put(label)
            for item in value:
                if item is None:  # a missing key in {**a}, a keyword-only parameter without default
                    put("-")
                elif isinstance(item, ast.AST):
                    _node(item, put)
                else:
                    _constant(item, put)
            put(";")
        elif isinstance(value, ast.AST):
            put(label)
            _node(value, put)
        else:
            put(label)
            _constant(value, put)
    put(")")


def _learn(kind: type) -> tuple[tuple[str, str], ...]:
    names = sorted(set(getattr(kind, "_fields", ())) - _IDLE)
    _fields[kind] = (("", f"({kind.__name__}"), *((name, f" {name}=") for name in names))
    return _fields[kind]


def _acting(statements: list[Any]) -> list[Any]:
    """The statements that do something: docstrings, `pass` and `...` do not."""
    return [
        one for one in statements if not (one.__class__ is ast.Pass or (one.__class__ is ast.Expr and one.value.__class__ is ast.Constant))
    ]


def _joined(values: list[Any], put: Put) -> None:
    # Python 3.12 cuts the constant text of an f-string at other places than 3.11.
    text = ""
    for value in values:
        if value.__class__ is ast.Constant:
            text += str(value.value)
            continue
        if text:
            _constant(text, put)
            text = ""
        _node(value, put)
    if text:
        _constant(text, put)


def _constant(value: Any, put: Put) -> None:
    # Lengths instead of quotes: which characters `repr` escapes depends on Python's Unicode tables.
    kind = value.__class__
    if kind is str:
        put(f"s{len(value)}:{value}")
    elif kind is int:
        put(f"i{value:x}.")  # hexadecimal: no limit on digits
    elif kind is bytes:
        put(f"b{len(value)}:{value.hex()}")
    elif kind is tuple or kind is frozenset:  # never parsed, but trees can be made by hand
        put(f"{kind.__name__}{len(value)}:")
        for item in value if kind is tuple else sorted(value, key=repr):
            _constant(item, put)
    else:  # None, True, False, ..., floats, complex numbers
        put(f"c{kind.__name__}:{value!r}.")
