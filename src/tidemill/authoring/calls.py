"""Who answers a call of a task or flow: nobody (it is a plain call), the flow being built, or a running dynamic flow.

Knows only the seam; `building` and `dynamic` stand behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tidemill.authoring.flow import Flow
    from tidemill.authoring.task import Task

__all__ = ["Caller", "Fixed", "caller"]

Fixed = tuple[Sequence[Any], Mapping[str, Any]]  # the arguments that `.partial` holds


class Caller(Protocol):
    """Answers calls that are made while a flow is built or a dynamic flow runs."""

    def call_task(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """One call of a task."""

    def map_task(self, task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """One call per item; everything in `args` and `kwargs` is mapped over, together."""

    def call_flow(self, flow: Flow[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A flow inside a flow."""

    def map_flow(self, flow: Flow[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A flow inside a flow, once per item."""


caller: ContextVar[Caller | None] = ContextVar("tidemill_caller", default=None)
