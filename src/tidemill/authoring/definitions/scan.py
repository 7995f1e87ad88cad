"""What some modules define: assets, flows, tasks and resources by name, as data for lists, forms and wiring.

Reads modules that are imported already; imports none, and computes schemas and fingerprints only when asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import msgspec

from tidemill.authoring.assets.asset import Asset
from tidemill.authoring.assets.sources import Source
from tidemill.authoring.assets.wiring import place_of_asset
from tidemill.authoring.flow import Flow
from tidemill.authoring.places import place_of
from tidemill.authoring.problems import DuplicateName
from tidemill.authoring.task import Task
from tidemill.errors import BadSetting, Unknown

__all__ = ["Definitions", "FlowDefinition", "ResourceDefinition", "TaskDefinition", "scan"]


class FlowDefinition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A flow, as lists show it."""

    name: str
    module: str
    qualname: str
    file: str
    line: int
    doc: str = ""
    signature: str = ""
    tags: tuple[str, ...] = ()
    dynamic: bool = False
    fail_fast: bool = False
    max_active: int | None = None
    timeout: float | None = None  # seconds
    on_failure: str = ""
    on_exit: str = ""


class TaskDefinition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A task, as lists show it."""

    name: str
    module: str
    qualname: str
    file: str
    line: int
    doc: str = ""
    signature: str = ""
    tags: tuple[str, ...] = ()


class ResourceDefinition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A resource, as lists show it: never its values."""

    name: str
    module: str
    type: str
    doc: str = ""


class Definitions(msgspec.Struct, kw_only=True):
    """All that was found. The dicts after the lists hold the things themselves, and stay in this process."""

    flows: list[FlowDefinition]
    tasks: list[TaskDefinition]
    resources: list[ResourceDefinition]
    flow_objects: dict[str, Any]  # by name
    task_objects: dict[str, Any]  # by "module:qualname"
    resource_objects: dict[str, Any]  # by name
    asset_objects: dict[str, Any] = {}  # assets, their outputs, and sources, by name

    def asset(self, name: str) -> Any:
        """The asset, output or source of that name. Raises `Unknown`."""
        found = self.asset_objects.get(name)
        if found is None:
            raise Unknown("asset", name, known=self.asset_objects, see="tidemill ls")
        return found

    def flow(self, name: str | None = None) -> Flow[..., Any]:
        """The flow of that name, or of that "module:qualname"; None: the only one. Raises `Unknown` or `BadSetting`."""
        if name is None:
            if len(self.flow_objects) == 1:
                return next(iter(self.flow_objects.values()))
            names = ", ".join(sorted(self.flow_objects))
            raise BadSetting(
                "No flow was named, and there is not exactly one.",
                why=f"There are: {names}." if names else "The modules define no flow.",
                mend="Name one of them." if names else "Put @flow on a function that calls tasks.",
            )
        for found in self.flow_objects.values():
            if name in (found.name, f"{found.module}:{found.qualname}"):
                return found  # type: ignore[no-any-return]
        raise Unknown("flow", name, known=self.flow_objects, see="tidemill ls")

    def schema(self, flow: str) -> dict[str, Any]:
        """The JSON Schema of a flow's parameters. Raises `Unknown` or `BadDefinition`."""
        from tidemill.authoring.definitions.params import schema  # lazily: it needs pydantic

        return schema(self.flow(flow), filled=self.asset_objects)


def scan(modules: Iterable[ModuleType]) -> Definitions:
    """Everything that `modules` hold at their top level. Imported names count once, where they were defined.

    Raises `DuplicateName` for two flows, resources or assets of one name, and for any of them named like another.
    """
    flows: dict[str, Flow[..., Any]] = {}
    tasks: dict[str, Task[..., Any]] = {}
    resources: dict[str, tuple[Any, str]] = {}
    assets: dict[str, Any] = {}
    module = sys.modules.get("tidemill.authoring.resources.resource")
    kind: type | None = module.Resource if module else None
    for name, value, where in _members(modules):
        if isinstance(value, (Asset, Source)):
            _take_asset(assets, name, value)
        elif isinstance(value, Flow):
            known = flows.setdefault(value.name, value)
            if known.function is not value.function:
                raise DuplicateName("flow", value.name, first=place_of(known.function), second=place_of(value.function))
        elif isinstance(value, Task):
            tasks.setdefault(f"{value.module}:{value.qualname}", value)
        elif kind is not None and isinstance(value, kind):
            resource, first = resources.setdefault(name, (value, where))
            if resource is not value:
                raise DuplicateName("resource", name, first=first, second=where)
    _refuse_shared(flows, resources, assets)
    return Definitions(
        flows=[_flow(flow) for _name, flow in sorted(flows.items())],
        tasks=[_task(task) for _name, task in sorted(tasks.items())],
        resources=[_resource(name, value, where) for name, (value, where) in sorted(resources.items())],
        flow_objects=dict(sorted(flows.items())),
        task_objects=dict(sorted(tasks.items())),
        resource_objects={name: value for name, (value, _where) in sorted(resources.items())},
        asset_objects=dict(sorted(assets.items())),
    )


def _take_asset(assets: dict[str, Any], variable: str, value: Any) -> None:
    if isinstance(value, Source):
        value.named(variable, variable=variable)
    for one in (value, *(value.outputs.values() if isinstance(value, Asset) else ())):
        known = assets.setdefault(one.name, one)
        if known is not one:
            raise DuplicateName("asset", one.name, first=place_of_asset(known), second=place_of_asset(one))


def _refuse_shared(flows: dict[str, Any], resources: dict[str, tuple[Any, str]], assets: dict[str, Any]) -> None:
    """A name leads to one thing: an asset, a flow or a resource."""
    tables = (
        ("a flow", {name: place_of(flow.function) for name, flow in flows.items()}),
        ("a resource", {name: where for name, (_, where) in resources.items()}),
        ("an asset", dict.fromkeys(assets, "")),
    )
    for index, (word, table) in enumerate(tables):
        for other_word, other in tables[index + 1 :]:
            for name in sorted(table.keys() & other.keys()):
                first, second = (places[name] or place_of_asset(assets[name]) for places in (table, other))
                raise DuplicateName("definition", name, first=f"{first} ({word})", second=f"{second} ({other_word})")


def _members(modules: Iterable[ModuleType]) -> Iterator[tuple[str, Any, str]]:
    for module in modules:
        for name, value in list(vars(module).items()):
            yield name, value, f"{getattr(module, '__file__', None) or module.__name__} (as {name})"


def _flow(flow: Flow[..., Any]) -> FlowDefinition:
    options = flow.options
    return FlowDefinition(
        **_where(flow.function), name=flow.name, module=flow.module, qualname=flow.qualname, doc=options.description,
        signature=flow.signature.text, tags=options.tags, dynamic=options.dynamic, fail_fast=options.fail_fast,
        max_active=options.max_active, timeout=options.timeout,
        on_failure=options.on_failure.name if options.on_failure else "", on_exit=options.on_exit.name if options.on_exit else "",
    )  # fmt: skip


def _task(task: Task[..., Any]) -> TaskDefinition:
    return TaskDefinition(
        **_where(task.function), name=task.name, module=task.module, qualname=task.qualname, doc=(task.__doc__ or "").strip(),
        signature=task.signature.text, tags=task.policy.tags,
    )  # fmt: skip


def _resource(name: str, value: Any, where: str) -> ResourceDefinition:
    doc = type(value).__dict__.get("__doc__") or ""
    return ResourceDefinition(name=name, module=where.rsplit(" (as ", 1)[0], type=type(value).__qualname__, doc=doc.strip())


def _where(function: Any) -> dict[str, Any]:
    file, _, line = place_of(function).rpartition(":")
    return {"file": file, "line": int(line)} if line.isdigit() else {"file": line, "line": 0}
