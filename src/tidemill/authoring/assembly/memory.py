"""Values that stay where they are, for runs in memory: a `Handle` is a ticket, and nothing is encoded.

Knows no codec and no artifact store. Such handles mean nothing outside the `Built` that they came with.
"""

from __future__ import annotations

from typing import Any

from tidemill.graph.values import Handle, Shape

__all__ = ["MEMORY_CODEC", "InMemory", "shape_of"]

MEMORY_CODEC = "memory"


class InMemory:
    """Keeps values by ticket. Call it with a value to get a handle; `values[handle.digest]` is the value itself."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __call__(self, value: Any) -> Handle:
        ticket = f"{MEMORY_CODEC}-{len(self.values)}"
        self.values[ticket] = value
        return Handle(codec=MEMORY_CODEC, digest=ticket, size=0, shape=shape_of(value))


def shape_of(value: Any) -> Shape:
    """What may be known of `value` without decoding it: its truth, and what it has to map over."""
    try:
        truth: bool | None = bool(value)
    except Exception:  # noqa: BLE001 - data frames and arrays refuse; whatever a class raises means: it has none
        truth = None
    if isinstance(value, dict):
        keys = tuple(str(key) for key in value) if len(value) <= 1000 else None
        return Shape(truth=truth, length=len(value), keys=keys, kind="dict")
    if isinstance(value, (list, tuple)):
        return Shape(truth=truth, length=len(value), kind="list" if isinstance(value, list) else "tuple")
    return Shape(truth=truth)
