"""What an asset stands for inside a flow: its current version, a node that makes it (in memory), or an error.

Knows flows being built; which versions there are it is told.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from tidemill.authoring.assembly.references import Reference
from tidemill.authoring.assets.asset import Asset, Output
from tidemill.authoring.assets.problems import NotBuilt
from tidemill.authoring.assets.sources import Source
from tidemill.authoring.places import here
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.task import Task
from tidemill.graph.values import Constant, Expr, Handle

if TYPE_CHECKING:
    from tidemill.authoring.building import Building
    from tidemill.authoring.definitions import Definitions

__all__ = ["MadeInMemory", "OnlyParameters", "Versions"]


class Versions:
    """The assets of a project, each with the version that is shown."""

    def __init__(self, definitions: Definitions, shown: Mapping[str, Handle]) -> None:
        self._definitions = definitions
        self._shown = shown

    def named(self, name: str, _function: Any) -> Any:
        """The asset or source of that name, or None."""
        return self._definitions.asset_objects.get(name)

    def expr(self, building: Building, thing: Any) -> Expr:
        """The current version. Raises `NotBuilt`."""
        handle = self._shown.get(thing.name)
        if handle is None:
            raise NotBuilt([thing.name], reader=f"the flow {building.flow_name!r}")
        return Constant(handle)


class OnlyParameters:
    """For the body of a flow that is an asset: what it reads must be among its parameters, or its key would not know of it."""

    def __init__(self, definitions: Definitions, asset: str) -> None:
        self._definitions = definitions
        self._asset = asset

    def named(self, name: str, _function: Any) -> Any:
        """The asset or source of that name, or None."""
        return self._definitions.asset_objects.get(name)

    def expr(self, _building: Building, thing: Any) -> NoReturn:
        """Raises `BadDefinition`."""
        raise BadDefinition(
            f"The asset {self._asset!r} is a flow that reads {thing.name!r}, which is not one of its parameters.",
            why="What an asset reads decides when it is computed again, so it must be known before its flow is built.",
            mend=f"Make {thing.name.rpartition('/')[2]!r} a parameter of the flow, and pass it on.",
            where=here(),
        )


class MadeInMemory:
    """For flows run in memory, where nothing has versions: an asset is made, once, by what it is made of."""

    def __init__(self) -> None:
        self._made: dict[int, Expr] = {}
        self._making: list[str] = []

    def named(self, name: str, function: Any) -> Any:
        """The asset or source that the module of `function` has under that name, or None."""
        known: dict[str, Any] = getattr(function, "__globals__", {})
        found = known.get(name)
        if isinstance(found, Source):
            found.named(name)
        if isinstance(found, (Asset, Output, Source)):
            return found
        made = (one.outputs.get(name) for one in list(known.values()) if isinstance(one, Asset)) if name else ()
        return next((one for one in made if one is not None), None)

    def expr(self, building: Building, thing: Any) -> Expr:
        """What it returns. Raises `BadDefinition` for what cannot be made here."""
        found = self._made.get(id(thing))
        if found is None:
            if thing.name in self._making:
                raise BadDefinition(f"These assets read one another: {' → '.join([*self._making, thing.name])}.", where=here())
            self._making.append(thing.name)
            found = self._made[id(thing)] = self._make(building, thing)
            self._making.pop()
        return found

    def _make(self, building: Building, thing: Any) -> Expr:
        if isinstance(thing, Output):
            return building.encode(building.call_task(_picker(thing), (self._reference(building, thing.of),), {}))
        if isinstance(thing, Source):
            return building.encode(building.call_task(_observer(thing), (), {}))
        given: dict[str, Any] = {}
        for name in thing.signature.names:
            upstream = thing.about.inputs.get(name, name)
            found = self.named(upstream.rpartition("/")[2], thing.function)
            if found is not None and found is not thing:
                given[name] = self._reference(building, found)
        flow = getattr(thing, "flow", None)
        made = building.call_task(thing, (), given) if flow is None else building.call_flow(flow, (), given)
        return building.encode(made)

    def _reference(self, building: Building, thing: Any) -> Reference:
        return Reference(building, self.expr(building, thing), thing.result_hint)


def _picker(output: Output[Any]) -> Task[..., Any]:
    return Task(output.made_by().function, name=output.name.replace("/", "-"))


def _observer(source: Source[Any]) -> Task[..., Any]:
    def look(**resources: Any) -> Any:
        return source.observe(None, **resources).value

    names = [name for name in source.signature.required if name != "cursor"]
    look.__signature__ = inspect.Signature([inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names])  # type: ignore[attr-defined]
    return Task(look, name=source.name.replace("/", "-"))
