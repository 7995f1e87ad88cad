"""What expressions stand for, in the user's own process: what a run returned, loaded again. Knows artifacts, no run."""

from __future__ import annotations

from typing import Any

import msgspec

from tidemill.graph.values import At, Constant, Expr, Nothing, Several
from tidemill.ports import Artifacts

__all__ = ["UNKNOWN", "evaluate", "plain_value", "preview"]

_KINDS = {"list": list, "tuple": tuple, "set": set}


def evaluate(artifacts: Artifacts, expr: Expr | None) -> Any:
    """The value of a resolved expression; None when there is none. Raises what `Artifacts.load` raises."""
    if isinstance(expr, At):
        return artifacts.load_part(expr.handle, expr.path) if expr.path else artifacts.load(expr.handle)
    if isinstance(expr, Constant):
        return artifacts.load(expr.handle)
    if isinstance(expr, Several):
        inner = [evaluate(artifacts, item) for item in expr.items]
        return dict(zip(expr.names, inner, strict=True)) if expr.kind == "dict" else _KINDS[expr.kind](inner)
    return None


def preview(expr: Expr | None, *, most: int = 20) -> str:
    """What people see of a result, from the previews that workers made: secrets are masked, nothing is decoded."""
    if expr is None or isinstance(expr, Nothing):
        return "null"
    if isinstance(expr, Several):
        shown = [preview(item, most=most) for item in expr.items[:most]]
        more = [f"… {len(expr.items) - most:,} more"] if len(expr.items) > most else []
        if expr.kind == "dict":
            return "{" + ", ".join([f'"{name}": {text}' for name, text in zip(expr.names, shown, strict=False)] + more) + "}"
        return "[" + ", ".join(shown + more) + "]"
    if not isinstance(expr, (At, Constant)):
        return "(not there yet)"
    handle = expr.handle
    text = handle.preview if handle.preview is not None else f"<{handle.type or handle.codec}, {handle.size:,} bytes>"
    if isinstance(expr, At) and expr.path:
        part = plain_value(expr)
        if part is not UNKNOWN:
            return _json(part)
        steps = "".join(f"[{key!r}]" if kind == "item" else f".{key}" if kind == "attr" else f"[{key}]" for kind, key in expr.path)
        return f"{steps} of {text}"
    return text


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


def plain_value(expr: Expr | None) -> Any:
    """The JSON value of a result if its preview shows it whole and unmasked, else `UNKNOWN`. Decodes JSON only."""
    if expr is None or isinstance(expr, Nothing):
        return None
    if isinstance(expr, Several):
        inner = [plain_value(item) for item in expr.items]
        if any(one is UNKNOWN for one in inner):
            return UNKNOWN
        return dict(zip(expr.names, inner, strict=True)) if expr.kind == "dict" else inner
    if not isinstance(expr, (At, Constant)):
        return UNKNOWN
    handle = expr.handle
    if handle.codec != "json" or handle.data is None or handle.preview is None:
        return UNKNOWN
    if handle.preview.encode() != handle.data:  # cut, or a secret was masked in it
        return UNKNOWN
    value = msgspec.json.decode(handle.data)
    for kind, key in expr.path if isinstance(expr, At) else ():
        try:
            if kind == "nth" and isinstance(value, dict):
                value = list(value.values())[int(key)]
            elif kind == "attr" or (isinstance(value, dict) and "$" in value):
                return UNKNOWN  # a tagged form: only who imports its type can take it apart
            else:
                value = value[key]
        except (LookupError, TypeError, ValueError):
            return UNKNOWN
    return UNKNOWN if _is_tagged(value) else value


def _is_tagged(value: Any) -> bool:
    if isinstance(value, dict):
        return "$" in value or any(_is_tagged(one) for one in value.values())
    return isinstance(value, list) and any(_is_tagged(one) for one in value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
