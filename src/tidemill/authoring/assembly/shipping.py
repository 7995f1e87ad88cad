"""How the tasks of one graph reach a worker: a `TaskRef` each, with the code inside where a name does not do.

Knows tasks and the `keep` it is given; starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tidemill.authoring.identity import pickled
from tidemill.graph.nodes import TaskRef
from tidemill.graph.values import Handle

if TYPE_CHECKING:
    from tidemill.authoring.task import Task

__all__ = ["Keep", "Shipment"]

Keep = Callable[[object], Handle]


class Shipment:
    """Task references, made once per task. `tasks` is what they stand for in this process, by `TaskRef.name`."""

    def __init__(self, keep: Keep, *, ship: bool, tasks: dict[str, Any] | None = None) -> None:
        self._keep = keep
        self._ship = ship
        self._refs: dict[Any, TaskRef] = {}
        self.tasks: dict[str, Any] = {} if tasks is None else tasks

    def ref(self, task: Task[..., Any]) -> TaskRef:
        """How a worker finds the function of `task`. Raises `CannotShip`."""
        found = self._refs.get(task.same_as)
        if found is None:
            qualname, count = task.qualname, 1
            while (other := self.tasks.get(f"{task.module}:{qualname}")) is not None and other.same_as != task.same_as:
                count += 1  # functions made in a loop share their name
                qualname = f"{task.qualname}#{count}"
            code = self._keep(pickled(task, task.function)) if self._ship and not task.importable else None
            version = task.version if task.stated_version or task.policy.cache is not None else ""
            found = self._refs[task.same_as] = TaskRef(task.module, qualname, code, version)
            self.tasks[found.name] = task
        return found
