"""What the key of an asset's version is made of besides its inputs, each part under the name by which people read of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from tidemill.authoring.assets.asset import Asset, Output
from tidemill.authoring.assets.sources import FileSource, FunctionSource, Source, TableSource
from tidemill.authoring.assets.wiring import Wired
from tidemill.authoring.identity import fingerprint

__all__ = ["Code", "CodeOf", "code_by_itself", "parts_of"]

_LONGEST = 80  # characters of a setting that are shown as they are


class Code(NamedTuple):
    """What a function is: one digest, and the named parts of it ("shop.clean" → digest, "package polars" → version)."""

    digest: str
    parts: Mapping[str, str]


CodeOf = Callable[[Any], Code]


def code_by_itself(function: Any) -> Code:
    """The code of the function alone; what it calls is not looked into."""
    digest = fingerprint(function)
    return Code(digest, {f"{function.__module__}.{function.__qualname__}": digest})


def parts_of(found: Any, wired: Wired, code_of: CodeOf, params: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The digest of the code, or the stated version, of an asset, output or source, and the parts of its key."""
    if isinstance(found, Output):
        return found.field, {"output": found.field}
    parts: dict[str, str] = {}
    if found.stated_version:
        digest = f"version {found.stated_version}"
        parts["version"] = found.stated_version
    else:
        digest, code = _code(found, code_of)
        parts |= {name if name.startswith("package ") else f"code {name}": value for name, value in code.items()}
    if isinstance(found, Asset):
        values = {**found.signature.defaults, **params}
        for name in wired.settings:
            if name in values and (text := _text(values[name])):
                parts[f"setting {name}"] = text
    return digest, parts


def _code(found: Asset[..., Any] | Source[Any], code_of: CodeOf) -> tuple[str, Mapping[str, str]]:
    if isinstance(found, FileSource):
        return "", {}
    if isinstance(found, TableSource):
        return "", {}
    function = found.function if isinstance(found, (Asset, FunctionSource)) else found.observe
    return code_of(function)


def _text(value: Any) -> str:
    """`value` as short canonical JSON, or the digest of it; "" if it is nothing that JSON has words for."""
    try:
        text = msgspec.json.encode(value, order="deterministic").decode()
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        return ""  # a default that is an object: it is part of the code
    return text if len(text) <= _LONGEST else f"digest {blake2b(text.encode(), digest_size=16).hexdigest()}"
