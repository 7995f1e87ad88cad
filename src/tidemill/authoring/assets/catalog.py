"""The catalog: every asset and source of a project as plain data, for the process that imports no user code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.authoring.assets.asset import Asset, FlowAsset, Output
from tidemill.authoring.assets.entries import AssetEntry, CheckEntry
from tidemill.authoring.assets.parts import CodeOf, code_by_itself, parts_of
from tidemill.authoring.assets.sources import Source
from tidemill.authoring.assets.wiring import Wired, place_of_asset, wire_all
from tidemill.authoring.types.shapes import readable
from tidemill.authoring.types.signatures import UNKNOWN

if TYPE_CHECKING:
    from tidemill.authoring.definitions import Definitions

__all__ = ["AssetEntry", "catalog"]


def catalog(definitions: Definitions, *, code_of: CodeOf = code_by_itself, params: Mapping[str, Any] | None = None) -> list[AssetEntry]:
    """Every asset and source, by name. `code_of` fingerprints a function; `params` are the run parameters that are given.

    Raises `UnknownInput`, `TypeMismatch`, `CyclicGraph`, `BadDefinition`.
    """
    wired = wire_all(definitions)
    return [_entry(name, found, wired[name], code_of, params or {}) for name, found in definitions.asset_objects.items()]


def _entry(name: str, found: Any, wired: Wired, code_of: CodeOf, params: Mapping[str, Any]) -> AssetEntry:
    file, _, line = place_of_asset(found).rpartition(":")
    _digest, parts = parts_of(found, wired, code_of, params)
    owner: Any = found.of if isinstance(found, Output) else found
    asset = owner if isinstance(owner, Asset) else None
    about: Any = asset.about if asset else owner
    return AssetEntry(
        name=name,
        kind="source" if isinstance(found, Source) else "asset",
        made_by=_made_by(found),
        module=owner.module,
        file=file or line,
        line=int(line) if file and line.isdigit() else 0,
        doc=owner.description,
        inputs=wired.inputs,
        parts=parts,
        resources=wired.resources,
        settings=wired.settings,
        required=tuple(setting for setting in wired.required if setting not in params),
        outputs=tuple(found.outputs) if isinstance(found, Asset) else (),
        tags=owner.policy.tags,
        owner=about.owner,
        group=about.group,
        checks=tuple(CheckEntry(check.name, check.severity) for check in found.checks),
        returns="" if found.result_hint is UNKNOWN else readable(found.result_hint),
        policy={word: value for word, value in msgspec.to_builtins(owner.policy).items() if word != "tags"},
        same=str(about.same) if asset and about.same is not None else "",
        expires_after=asset.about.fresh if asset else None,
        observes=found.about if isinstance(found, Source) else "",
    )


def _made_by(found: Any) -> Any:
    if isinstance(found, Output):
        return "output"
    if isinstance(found, Source):
        return found.kind
    return "flow" if isinstance(found, FlowAsset) else "function"
