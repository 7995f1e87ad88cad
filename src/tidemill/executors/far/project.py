"""What a project's modules define, put to use in a worker: graphs are built, resources started. Imports no user module."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.authoring.places import place_of
from tidemill.executors.far.attempts import Toolbox
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Handle

if TYPE_CHECKING:
    from tidemill.authoring.assets.entries import AssetEntry
    from tidemill.authoring.definitions import Definitions
    from tidemill.executors.far.coding import Coding
    from tidemill.executors.protocol import BuildAssets

_RESOURCES = "tidemill.authoring.resources.resource"


class Project:
    """The definitions of one project in this process. `settings` are the fields of resources that the environment replaces."""

    def __init__(self, modules: list[ModuleType], settings: Mapping[str, Any]) -> None:
        self._modules = modules
        self._settings = settings
        self._scanned: Definitions | None = None
        self._resources: dict[str, Any] | None = None
        self._scope: Any = None

    @property
    def definitions(self) -> Definitions:
        """Flows, tasks and resources. Raises `DuplicateName`."""
        if self._scanned is None:
            from tidemill.authoring.definitions import scan  # lazily: a warm worker without resources never asks

            self._scanned = scan(self._modules)
        return self._scanned

    @property
    def resources(self) -> dict[str, Any]:
        """Resources by name, with this environment's settings. Raises what is wrong with these."""
        if self._resources is None:
            room = sys.modules.get(_RESOURCES)
            # Without that module nobody has made a `Resource`, and importing it would cost pydantic.
            self._resources = {} if room is None else room.overridden(self.definitions.resource_objects, self._settings)
        return self._resources

    def resource(self, name: str) -> Any:
        """The started resource of that name. Raises `Unknown`, `ResourceFailed`."""
        if self._scope is None:
            from tidemill.authoring.resources.resource import ResourceScope  # lazily: it imports pydantic

            self._scope = ResourceScope(self.resources)
        return self._scope.get(name)

    def close(self) -> None:
        """Close what was started; what fails is printed, for there is nobody left to fail."""
        for error in self._scope.close_all() if self._scope is not None else ():
            print(f"A resource could not be closed: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - the worker's log

    def build(self, name: str | None, raw: Mapping[str, Any], shown: Mapping[str, Handle], tools: Toolbox) -> tuple[Graph, str]:
        """The graph of a flow for raw parameters, and where the flow is defined. Raises its `Problem`."""
        from tidemill.authoring.assets.current import Versions  # lazily: warm workers build nothing
        from tidemill.authoring.building import build
        from tidemill.authoring.definitions.params import validate

        found = self.definitions
        flow = found.flow(name)
        values = validate(flow, raw, masker=tools.masker, filled=found.asset_objects)
        assets = Versions(found, shown)
        # A path that a flow is given says where to read or write: it is kept as words, not as what is there now.
        built = build(flow, values, keep=partial(tools.artifacts.keep, paths="name"), resources=self.resources, assets=assets)
        return built.graph, place_of(flow.function)

    def build_assets(self, order: BuildAssets, tools: Toolbox) -> Graph:
        """The graph that makes a version of each target. Raises its `Problem`."""
        from tidemill.authoring.assets.assemble import assemble  # lazily: as above

        built = assemble(
            self.definitions, order.targets, shown=order.shown, forced=order.forced, params=order.params,
            keep=partial(tools.artifacts.keep, paths="name"), code_of=self._coding.of,
        )  # fmt: skip
        return built.graph

    def catalog(self, params: Mapping[str, Any]) -> list[AssetEntry]:
        """Every asset and source, for runs with these parameters. Raises what is wrong with them."""
        from tidemill.authoring.assets.catalog import catalog  # lazily: as above

        return catalog(self.definitions, code_of=self._coding.of, params=params)

    @cached_property
    def _coding(self) -> Coding:
        from tidemill.executors.far.coding import Coding  # lazily: only a builder fingerprints

        return Coding(self._modules)

    def describe(self) -> dict[str, Any]:
        """Flows (with the schema of their parameters), tasks and resources, as plain data."""
        found = self.definitions
        flows = [{**msgspec.to_builtins(flow), "parameters": found.schema(flow.name)} for flow in found.flows]
        return {"flows": flows, "tasks": msgspec.to_builtins(found.tasks), "resources": msgspec.to_builtins(found.resources)}
