"""Wiring by name: what each parameter of an asset is filled with. Knows definitions by name; no version and no graph."""

from __future__ import annotations

import datetime as dt
import enum
import types
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec

from tidemill.authoring.assets.asset import Asset, Output
from tidemill.authoring.assets.problems import UnknownInput
from tidemill.authoring.assets.sources import Source
from tidemill.authoring.places import place_of
from tidemill.authoring.problems import BadDefinition, TypeMismatch
from tidemill.authoring.types import typecheck
from tidemill.authoring.types.shapes import bare, readable
from tidemill.authoring.types.signatures import UNKNOWN
from tidemill.graph.nodes import CyclicGraph, find_cycle

if TYPE_CHECKING:
    from tidemill.authoring.definitions import Definitions

__all__ = ["WHOLE", "Wired", "place_of_asset", "wire", "wire_all"]

WHOLE = "whole"  # the parameter by which one of several outputs reads what its function returned

_PLAIN = (str, int, float, bool, bytes, dt.date, dt.time, dt.timedelta, Decimal, UUID, enum.Enum)


class Wired(msgspec.Struct, frozen=True, kw_only=True):
    """What fills the parameters of one asset or source."""

    inputs: dict[str, str] = {}  # parameter → asset
    resources: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # run parameters
    required: tuple[str, ...] = ()  # those of them that have no default


def wire_all(definitions: Definitions) -> dict[str, Wired]:
    """Every asset and source, wired. Raises `UnknownInput`, `TypeMismatch`, `BadDefinition`, `CyclicGraph`."""
    wired = {name: wire(definitions, name) for name in definitions.asset_objects}
    if path := find_cycle({name: tuple(dict.fromkeys(one.inputs.values())) for name, one in wired.items()}):
        raise CyclicGraph(path)
    return wired


def wire(definitions: Definitions, name: str) -> Wired:
    """What fills the parameters of the asset of that name. Raises as `wire_all`, but for cycles."""
    found = definitions.asset_objects[name]
    if isinstance(found, Output):
        return Wired(inputs={WHOLE: found.of.name})
    if isinstance(found, Source):
        return Wired(resources=_resources_of(found, definitions))
    return _of_asset(found, definitions)


def _of_asset(asset: Asset[..., Any], definitions: Definitions) -> Wired:
    signature = asset.signature
    if signature.style == "bind":
        raise BadDefinition(
            f"The asset {asset.name!r} has positional-only parameters, or *args.",
            why="The parameters of an asset are filled by their names.",
            mend="Write plain parameters.",
            where=place_of(asset.function),
        )
    inputs: dict[str, str] = {}
    resources: list[str] = []
    settings: list[str] = []
    for name in signature.names:
        upstream = asset.about.inputs.get(name, name)
        if upstream in definitions.asset_objects:
            inputs[name] = upstream
            _check_type(asset, name, definitions.asset_objects[upstream])
        elif name in asset.about.inputs:
            raise UnknownInput(asset.name, upstream, known=definitions.asset_objects, where=place_of(asset.function))
        elif name in definitions.resource_objects:
            _check_resource(asset, name, definitions.resource_objects[name])
            resources.append(name)
        elif name in signature.defaults or _is_plain(signature.hint(name)):
            settings.append(name)
        else:
            known = [*definitions.asset_objects, *definitions.resource_objects]
            raise UnknownInput(asset.name, name, known=known, where=place_of(asset.function))
    required = tuple(name for name in settings if name not in signature.defaults)
    return Wired(inputs=inputs, resources=tuple(resources), settings=tuple(settings), required=required)


def _resources_of(source: Source[Any], definitions: Definitions) -> tuple[str, ...]:
    found: list[str] = []
    for name in source.signature.names:
        if name in definitions.resource_objects:
            found.append(name)
        elif name != "cursor" and name in source.signature.required:
            raise UnknownInput(source.name, name, known=definitions.resource_objects, where=source.place)
    return tuple(found)


def place_of_asset(found: Any) -> str:
    """Where an asset or source is defined, "file.py:12"."""
    if isinstance(found, Source):
        return found.place
    return place_of((found.of if isinstance(found, Output) else found).function)


def _check_type(asset: Asset[..., Any], parameter: str, upstream: Any) -> None:
    returned, expected = upstream.result_hint, asset.signature.hint(parameter)
    if returned is UNKNOWN or expected is UNKNOWN or typecheck.fits(returned, expected):
        return
    kind = "source" if isinstance(upstream, Source) else "asset"
    raise TypeMismatch(
        f"The asset {asset.name!r} takes {readable(expected)} for {parameter!r}, and the {kind} {upstream.name!r} is {readable(returned)}.",
        why=f"{upstream.name!r} is defined in {place_of_asset(upstream)}.",
        mend="Change one of the two annotations, or put an asset between them that converts.",
        where=place_of(asset.function),
    )


def _check_resource(asset: Asset[..., Any], name: str, resource: Any) -> None:
    hint = bare(asset.signature.hint(name))
    if isinstance(hint, type) and not isinstance(resource, hint) and not hasattr(type(resource), "__enter__"):
        raise BadDefinition(
            f"The asset {asset.name!r} takes {readable(hint)} for {name!r}, and the resource of that name is a {type(resource).__name__}.",
            why="A parameter is filled by its name, and its type must agree.",
            mend="Rename the parameter or the resource, or change the annotation.",
            where=place_of(asset.function),
        )


def _is_plain(hint: Any) -> bool:
    """Whether people can write a value of this type on a command line."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return True
    if get_origin(hint) in (Union, types.UnionType):
        return all(arm is types.NoneType or _is_plain(arm) for arm in get_args(hint))
    return isinstance(hint, type) and issubclass(hint, _PLAIN)
