"""Wiring by name: which parameters of a task are filled with resources. Knows resources by name, and never starts one."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from tidemill.authoring.places import place_of
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.types import shapes
from tidemill.authoring.types.signatures import UNKNOWN
from tidemill.errors import Unknown

if TYPE_CHECKING:
    from tidemill.authoring.flow import Flow
    from tidemill.authoring.resources.resource import Resource
    from tidemill.authoring.task import Task

__all__ = ["Wiring"]


class Wiring:
    """The resources that the tasks of one graph can have. `found` are those that some task needs."""

    def __init__(self, resources: Mapping[str, Resource] | None, flow: Flow[..., Any]) -> None:
        self._given = resources
        self._flow = flow
        self._by_task: dict[Any, dict[str, Any]] = {}
        self.found: dict[str, Any] = {}

    def fill(self, task: Task[..., Any], args: Container[str]) -> tuple[str, ...]:
        """The parameters that are not in `args` and that the worker fills. Raises `Unknown` or `BadDefinition`."""
        known = self._by_task.get(task.same_as)
        if known is None:
            known = self._by_task[task.same_as] = self._candidates(task)
        if not known:
            return ()
        names = tuple(name for name in known if name not in args)
        for name in names:
            self.found[name] = self._fitting(task, name, known[name])
        return names

    def stands_for(self, task: Task[..., Any], name: str, value: Any) -> bool:
        """Whether `value` is the resource that parameter `name` gets anyway. `pull(shop)` is then `pull()`, as checkers like it."""
        module = sys.modules.get("tidemill.authoring.resources.resource")
        if module is None or not isinstance(value, module.Resource):
            return False
        known = [getattr(function, "__globals__", {}).get(name) for function in (task.function, self._flow.function)]
        if self._given is not None:
            known.append(self._given.get(name))
        if any(value is one for one in known):
            return True
        raise module.refuse_as_argument(value, name)

    def _candidates(self, task: Task[..., Any]) -> dict[str, Any]:
        module = sys.modules.get("tidemill.authoring.resources.resource")
        if module is None:
            return {}  # nobody asked for `Resource`, so there is none
        kind: type = module.Resource
        found: dict[str, Any] = {}
        for name in task.signature.names:
            hint = shapes.bare(task.signature.hint(name))
            is_resource = isinstance(hint, type) and issubclass(hint, kind)
            resource = self._look_up(task, name, kind)
            required = name in task.signature.required
            if (is_resource and (resource is not None or required)) or (hint is UNKNOWN and resource is not None and required):
                found[name] = resource
        return found

    def _look_up(self, task: Task[..., Any], name: str, kind: type) -> Any:
        if self._given is not None:
            return self._given.get(name)
        for function in (task.function, self._flow.function):
            resource = getattr(function, "__globals__", {}).get(name)
            if isinstance(resource, kind):
                return resource
        return None

    def _fitting(self, task: Task[..., Any], name: str, resource: Any) -> Any:
        hint = shapes.bare(task.signature.hint(name))
        if resource is None:
            raise Unknown("resource", name, known=self._given or (), see="tidemill ls")
        if isinstance(hint, type) and not isinstance(resource, hint):
            raise BadDefinition(
                f"The task {task.name!r} takes {shapes.readable(hint)} for {name!r}, and the resource of that name "
                f"is a {type(resource).__name__}.",
                why="A parameter is filled by its name, and its type must agree.",
                mend="Rename the parameter or the resource, or change the annotation.",
                where=place_of(task.function),
            )
        return resource
