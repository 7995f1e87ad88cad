"""`@flow(dynamic=True)`: the body runs as durable code, and each task call in it is a node, found again by its content.

Knows how a call becomes a node and an outcome a value or an error. What happens to the node is the session's business,
which the worker brings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tidemill.authoring.assembly.shipping import Keep, Shipment
from tidemill.authoring.assembly.wiring import Wiring
from tidemill.authoring.calls import Fixed, caller
from tidemill.authoring.dynamic.plain import Plainly, each_call, finished, shaped
from tidemill.authoring.places import here, place_of
from tidemill.authoring.problems import BadCall, BadDefinition
from tidemill.graph.nodes import Node
from tidemill.graph.values import Constant

if TYPE_CHECKING:
    from tidemill.authoring.flow import Flow
    from tidemill.authoring.resources.resource import Resource
    from tidemill.authoring.task import Task

__all__ = ["Session", "Submitted", "run_driver", "submit"]

R = TypeVar("R")


class Session(Protocol):
    """What the engine gives the driver of a dynamic flow. A node whose key is finished already is answered from the log."""

    def call(self, node: Node) -> object:
        """Run `node` and return its value. Raises the task's error (see `failures.error_of`)."""

    def submit(self, node: Node) -> Future[object]:
        """The same without waiting."""


class Submitted(Generic[R]):
    """A call that was started: `.result()` waits for it in plain code, `await` in async code."""

    def __init__(self, wait: Callable[[float | None], Any], done: Callable[[], bool], awaited: Callable[[], Any]) -> None:
        self._wait, self._done, self._awaited = wait, done, awaited

    def result(self, timeout: float | None = None) -> R:
        """The value, waiting at most `timeout` seconds. Raises the task's error, or `TimeoutError`."""
        return self._wait(timeout)  # type: ignore[no-any-return]

    def done(self) -> bool:
        """Whether the call has ended."""
        return self._done()

    def __await__(self) -> Generator[Any, None, R]:
        return self._awaited().__await__()  # type: ignore[no-any-return]


def run_driver(
    flow: Flow[..., Any],
    values: Mapping[str, object],
    *,
    session: Session,
    keep: Keep,
    key: str,
    resources: Mapping[str, Resource] | None = None,
    tasks: dict[str, Any] | None = None,
) -> object:
    """Run the body of a dynamic flow in this thread and return what it returns.

    `values` are its arguments by name, `key` is that of the driver's node and begins the keys of all it asks for. With
    `tasks` given, the tasks asked for are entered there by `TaskRef.name` instead of being shipped: for runs in memory.
    """
    shipment = Shipment(keep, ship=tasks is None, tasks=tasks)
    driving = _Driving(_Calls(session, keep, key, shipment, Wiring(resources, flow)), in_async=flow.as_task.is_async)
    token = caller.set(driving)
    try:
        result = flow.function(**values)
        return finished(result) if flow.as_task.is_async else result
    finally:
        caller.reset(token)


def submit(task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Submitted[Any]:
    """What `task.submit(...)` does, by where it is called."""
    answer = caller.get()
    if isinstance(answer, _Driving):
        return _of_future(answer.calls.start(task, args, kwargs))
    if answer is None or isinstance(answer, Plainly):
        return _at_once(task, args, kwargs)
    raise BadDefinition(
        f"{task.name}.submit() was called in a flow that is not dynamic.",
        why="There every call runs as soon as what it reads is there, side by side with others: nothing has to be submitted.",
        mend=f"Write {task.name}(…), or {task.name}.map(…) for many; .submit() is for a @flow(dynamic=True).",
        where=here(),
    )


class _Calls:
    """Makes nodes of calls, and hands them to the session. Shared by a driver and the dynamic flows called in it."""

    def __init__(self, session: Session, keep: Keep, key: str, shipment: Shipment, wiring: Wiring) -> None:
        self.session = session
        self._keep = keep
        self._key = key
        self._shipment = shipment
        self._wiring = wiring
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def start(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Future[object]:
        return self.session.submit(self.node(task, args, kwargs))

    def node(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Node:
        """The node of one call. Its key tells function, arguments and the how-many-th such call it is."""
        bound = task.signature.bind(args, kwargs)
        for name, value in bound.items():
            if getattr(value, "is_asset", False):
                raise BadCall(
                    f"{task.name}() was given {value!r} for {name!r}, in the body of a dynamic flow.",
                    signature=task.signature.text, defined=place_of(task.function),
                    mend=f"Make {value.name!r} a parameter of the flow: its body then has the value of the current version.",
                )  # fmt: skip
        resources = self._wiring.fill(task, bound)
        if missing := [name for name in task.signature.missing(bound) if name not in resources]:
            raise task.signature.refuse_missing(missing)
        ref = self._shipment.ref(task)
        exprs = {name: Constant(self._keep(value)) for name, value in bound.items()}
        # 64 bits: with fewer, two calls of a long run could be taken for one another.
        content = "\0".join([ref.name, ref.version, *(f"{name}={exprs[name].handle.digest}" for name in sorted(exprs))])
        key = f"{self._key}/{task.name}-{blake2b(content.encode(), digest_size=8).hexdigest()}"
        with self._lock:
            count = self._seen[key] = self._seen.get(key, 0) + 1
        return Node(
            key=key if count == 1 else f"{key}-{count}", task=ref, args=dict(exprs), policy=task.policy,
            resources=resources, returns=task.returns, calls_with=task.signature.style,
        )  # fmt: skip


class _Driving:
    """The `Caller` while the body of a dynamic flow runs."""

    def __init__(self, calls: _Calls, *, in_async: bool) -> None:
        self.calls = calls
        self._in_async = in_async

    def call_task(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self._in_async and task.is_async:
            return _of_future(self.calls.start(task, args, kwargs))
        return self.calls.session.call(self.calls.node(task, args, kwargs))

    def map_task(self, task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        each, keys = each_call(task, fixed, args, kwargs)
        futures = [self.calls.start(task, (), given) for given in each]
        if self._in_async and task.is_async:
            return _all_awaited(futures, keys)
        return shaped(_all_results(futures), keys)

    def call_flow(self, flow: Flow[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if not flow.dynamic:  # one unit of work: it runs in memory where it is sent
            return self.calls.session.call(self.calls.node(flow.as_task, args, kwargs))
        token = caller.set(_Driving(self.calls, in_async=flow.as_task.is_async))
        try:
            result = flow.function(*args, **kwargs)
            # In async code the caller awaits it, and `caller` is then this one: both are async, so they agree.
            return result if self._in_async or not flow.as_task.is_async else finished(result)
        finally:
            caller.reset(token)

    def map_flow(self, flow: Flow[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        each, keys = each_call(flow.as_task, fixed, args, kwargs)
        if not flow.dynamic:
            return shaped(_all_results([self.calls.start(flow.as_task, (), given) for given in each]), keys)
        values = [self.call_flow(flow, (), given) for given in each]
        return _gathered(values, keys) if self._in_async and flow.as_task.is_async else shaped(values, keys)


def _all_results(futures: list[Future[object]]) -> list[object]:
    """Every value; if some failed, the error of the first of them, once all have ended."""
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error
    return [future.result() for future in futures]


async def _all_awaited(futures: list[Future[object]], keys: list[Any] | None) -> Any:
    return await _gathered([_wrapped(future) for future in futures], keys)


async def _gathered(awaitables: list[Any], keys: list[Any] | None) -> Any:
    import asyncio  # lazily: only async bodies need it

    return shaped(list(await asyncio.gather(*awaitables)), keys)


async def _wrapped(future: Future[object]) -> object:
    import asyncio  # lazily: only async bodies need it

    return await asyncio.wrap_future(future)


def _of_future(future: Future[object]) -> Submitted[Any]:
    return Submitted(future.result, future.done, lambda: _wrapped(future))


def _at_once(task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Submitted[Any]:
    if task.is_async:
        # Started when it is waited for: nobody says yet on which event loop.
        return Submitted(lambda _timeout: finished(task.function(*args, **kwargs)), lambda: False, lambda: task.function(*args, **kwargs))
    future: Future[object] = Future()
    token = caller.set(None)
    try:
        future.set_result(task.function(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 - told when the result is asked for, as with a real submit
        future.set_exception(error)
    finally:
        caller.reset(token)
    return _of_future(future)
