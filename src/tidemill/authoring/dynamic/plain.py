"""Calls outside the engine: `.map` as a loop, and dynamic flows as plain Python. Knows no graph and no session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidemill.authoring.assembly.mapping import bind_mapped, collected, same_length
from tidemill.authoring.calls import Fixed, caller

if TYPE_CHECKING:
    from tidemill.authoring.flow import Flow
    from tidemill.authoring.task import Task

__all__ = ["Plainly", "each_call", "map_plainly", "run_plainly", "shaped"]


def map_plainly(
    task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any], *, call: Callable[..., Any] | None = None
) -> Any:
    """The calls one after the other: a list of what they return, or a dict if a dict was mapped over."""
    calls, keys = each_call(task, fixed, args, kwargs)
    return shaped([(call or task)(**given) for given in calls], keys)


def each_call(
    task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """The arguments of each call of a map over known things, and the keys if one of them is a dict."""
    names, bound = bind_mapped(task.signature, fixed, args, kwargs)
    over = {name: collected(bound[name], task, name) for name in names}
    same_length(task, over)
    keys = next((list(value) for value in over.values() if isinstance(value, dict)), None)
    columns = [_in_order(value, keys) for value in over.values()]
    rest = {name: value for name, value in bound.items() if name not in over}
    return [{**rest, **dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True)], keys


def shaped(values: list[Any], keys: list[Any] | None) -> list[Any] | dict[Any, Any]:
    """What a map returns."""
    return values if keys is None else dict(zip(keys, values, strict=True))


def _in_order(value: Any, keys: list[Any] | None) -> Sequence[Any]:
    return [value[key] for key in keys or value] if isinstance(value, dict) else value


def run_plainly(flow: Flow[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run the body of a dynamic flow as Python: its task calls are calls of their functions."""
    token = caller.set(Plainly(in_async=flow.as_task.is_async))
    try:
        result = flow.function(*args, **kwargs)
        if flow.as_task.is_async:
            return finished(result)
        return result
    finally:
        caller.reset(token)


def finished(awaitable: Any) -> Any:
    """Run a coroutine to its end, also where an event loop is running already."""
    import asyncio  # lazily: only async code needs it, and importing tidemill must be quick
    import contextvars
    import threading

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaitable)
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = asyncio.run(awaitable)
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread
            outcome["error"] = error

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,))
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


class Plainly:
    """A `Caller` without an engine: for the body of a dynamic flow that is called in a test or a notebook."""

    def __init__(self, *, in_async: bool) -> None:
        self._in_async = in_async

    def call_task(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        token = caller.set(None)  # a task that calls a task just calls it
        try:
            result = task.function(*args, **kwargs)
            return finished(result) if task.is_async and not self._in_async else result
        finally:
            caller.reset(token)

    def map_task(self, task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        calls, keys = each_call(task, fixed, args, kwargs)
        values = [self.call_task(task, (), given) for given in calls]
        if task.is_async and self._in_async:
            return _gathered(values, keys)
        return shaped(values, keys)

    def call_flow(self, flow: Flow[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if flow.dynamic and flow.as_task.is_async and self._in_async:
            return flow.function(*args, **kwargs)
        token = caller.set(None)
        try:
            return flow(*args, **kwargs)
        finally:
            caller.reset(token)

    def map_flow(self, flow: Flow[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        calls, keys = each_call(flow.as_task, fixed, args, kwargs)
        values = [self.call_flow(flow, (), given) for given in calls]
        if flow.dynamic and flow.as_task.is_async and self._in_async:
            return _gathered(values, keys)
        return shaped(values, keys)


async def _gathered(awaitables: list[Any], keys: list[Any] | None) -> Any:
    import asyncio  # lazily, as above

    return shaped(list(await asyncio.gather(*awaitables)), keys)
