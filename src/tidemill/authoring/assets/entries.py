"""What a catalog says of an asset or source: plain data that survives JSON."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["AssetEntry", "CheckEntry"]


class CheckEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A check, as lists show it."""

    name: str
    severity: str = "error"


class AssetEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An asset or source, as the code defines it. `parts` and `inputs` are what its key is made of."""

    name: str
    kind: Literal["asset", "source"] = "asset"
    made_by: Literal["function", "flow", "output", "files", "table"] = "function"
    module: str = ""
    file: str = ""
    line: int = 0
    doc: str = ""
    inputs: dict[str, str] = {}  # parameter → asset
    parts: dict[str, str] = {}
    resources: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # run parameters
    required: tuple[str, ...] = ()  # those without a default
    outputs: tuple[str, ...] = ()  # the assets that are parts of it
    tags: tuple[str, ...] = ()
    owner: str = ""
    group: str = ""
    checks: tuple[CheckEntry, ...] = ()
    returns: str = ""
    policy: dict[str, Any] = {}  # what is not the default
    same: str = ""
    expires_after: float | None = None  # seconds for which a version holds
    observes: str = ""  # "files inbox/*.csv"
