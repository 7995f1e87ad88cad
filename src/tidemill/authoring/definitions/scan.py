"""What some modules define: flows, tasks and resources by name, as data for lists, forms and wiring.

Reads modules that are imported already; imports none, and computes schemas and fingerprints only when asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import msgspec

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

        return schema(self.flow(flow))


def scan(modules: Iterable[ModuleType]) -> Definitions:
    """Everything that `modules` hold at their top level. Imported names count once, where they were defined.

    Raises `DuplicateName` for two flows, or two resources, of one name, and for a resource named like a flow.
    """
    flows: dict[str, Flow[..., Any]] = {}
    tasks: dict[str, Task[..., Any]] = {}
    resources: dict[str, tuple[Any, str]] = {}
    module = sys.modules.get("tidemill.authoring.resources.resource")
    kind: type | None = module.Resource if module else None
    for name, value, where in _members(modules):
        if isinstance(value, Flow):
            known = flows.setdefault(value.name, value)
            if known.function is not value.function:
                raise DuplicateName("flow", value.name, first=place_of(known.function), second=place_of(value.function))
        elif isinstance(value, Task):
            tasks.setdefault(f"{value.module}:{value.qualname}", value)
        elif kind is not None and isinstance(value, kind):
            resource, first = resources.setdefault(name, (value, where))
            if resource is not value:
                raise DuplicateName("resource", name, first=first, second=where)
    if both := flows.keys() & resources.keys():
        name = min(both)
        flow_place = place_of(flows[name].function)
        raise DuplicateName("definition", name, first=f"{flow_place} (a flow)", second=f"{resources[name][1]} (a resource)")
    return Definitions(
        flows=[_flow(flow) for _name, flow in sorted(flows.items())],
        tasks=[_task(task) for _name, task in sorted(tasks.items())],
        resources=[_resource(name, value, where) for name, (value, where) in sorted(resources.items())],
        flow_objects=dict(sorted(flows.items())),
        task_objects=dict(sorted(tasks.items())),
        resource_objects={name: value for name, (value, _where) in sorted(resources.items())},
    )


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
