"""What the control process may know of a value without decoding it: truth, length, keys. Knows no codec."""

from __future__ import annotations

import sys
from typing import Any

from tidemill.graph.values import Shape

KEYS_LIMIT = 1000
KEYS_SIZE = 16 * 1024  # characters of all keys together
_TRUE, _FALSE = Shape(truth=True), Shape(truth=False)


def shape_of(value: Any) -> Shape | None:
    """The shape of `value`; None if it has neither a truth nor a length (a table, an array)."""
    if isinstance(value, (list, tuple)):
        return Shape(truth=bool(value), length=len(value), kind="list" if isinstance(value, list) else "tuple")
    if isinstance(value, dict):
        return Shape(truth=bool(value), length=len(value), kind="dict", keys=_keys(value))
    numpy = sys.modules.get("numpy")
    module = type(value).__module__.partition(".")[0]
    if module in ("pandas", "polars", "pyarrow", "torch") or (numpy is not None and isinstance(value, numpy.ndarray)):
        return None
    try:
        return _TRUE if value else _FALSE
    except Exception:  # noqa: BLE001 - __bool__ of the user's type: then it has no truth
        return None


def _keys(value: dict[Any, Any]) -> tuple[str, ...] | None:
    if len(value) > KEYS_LIMIT or not set(map(type, value)) <= {str}:
        return None
    keys = tuple(value)
    return keys if sum(map(len, keys)) < KEYS_SIZE else None
