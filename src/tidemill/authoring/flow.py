"""`@flow`: a function that calls tasks, made into a graph with typed parameters.

Called plainly it runs in memory; inside another flow it is a group. Knows neither engine nor store: the one late import
is named where it stands.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, cast, overload

import msgspec

from tidemill.authoring.building import build
from tidemill.authoring.calls import caller
from tidemill.authoring.identity import found_by_import
from tidemill.authoring.places import place_of
from tidemill.authoring.policies import Duration
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.task import Partial, Task, checked_name
from tidemill.authoring.types.signatures import Signature
from tidemill.errors import BadSetting, Unknown
from tidemill.graph.durations import seconds
from tidemill.graph.policy import Policy

__all__ = ["Flow", "FlowMaker", "FlowOptions", "flow"]

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")


class FlowWords(TypedDict, total=False):
    """Every keyword of `@flow(...)`."""

    name: str
    description: str
    tags: str | Sequence[str]
    fail_fast: bool
    on_failure: Task[..., Any] | None
    on_exit: Task[..., Any] | None
    dynamic: bool
    timeout: Duration | None
    max_active: int | None


class FlowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `@flow(...)` says about running. `timeout` in seconds."""

    description: str = ""
    tags: tuple[str, ...] = ()
    fail_fast: bool = False
    on_failure: Any = None
    on_exit: Any = None
    dynamic: bool = False
    timeout: float | None = None
    max_active: int | None = None


class Flow(Generic[P, R]):
    """A graph of task calls.

    Called plainly, it is built and run in memory, and its value returned. Called in another flow it is a group of that
    graph. A dynamic flow called plainly is just Python.
    """

    def __init__(self, function: Callable[..., Any], *, name: str | None = None, options: FlowOptions | None = None) -> None:
        self.function = function
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        self.name = checked_name(name or function.__name__.strip("<>"), function)
        self.options = options or FlowOptions(description=inspect.getdoc(function) or "")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        answer = caller.get()
        if answer is not None:
            return cast("R", answer.call_flow(self, args, kwargs))
        if self.dynamic:
            from tidemill.authoring.dynamic.plain import run_plainly  # lazily: only dynamic flows outside the engine need it

            return cast("R", run_plainly(self, args, kwargs))
        built = build(self, self.signature.bind(args, kwargs))
        # By name, because the engine stands above this room: a plain call is the one place where writing leads to running.
        inline = importlib.import_module("tidemill.engine.inline")
        return cast("R", inline.run_in_memory(built))

    @overload
    def map(self, over: Mapping[K, Any], /, *more: Any, **named: Any) -> dict[K, R]: ...
    @overload
    def map(self, over: Iterable[Any], /, *more: Any, **named: Any) -> list[R]: ...
    @overload
    def map(self, **named: Any) -> list[R]: ...
    def map(self, *args: Any, **kwargs: Any) -> Any:
        """The whole flow once per item, as `Task.map`; inside it, the mapped parameters are results that are not there yet."""
        return self.partial().map(*args, **kwargs)

    def partial(self, *args: Any, **kwargs: Any) -> Partial[R]:
        """This flow with some arguments fixed: `.map(...)` it over the others, or call it with them."""
        self.signature.bind(args, kwargs)
        return PartialFlow(self, args, kwargs)

    @property
    def dynamic(self) -> bool:
        """Whether the body itself is run, as durable code, instead of a graph built from it."""
        return self.options.dynamic

    @property
    def module(self) -> str:
        return self.function.__module__

    @property
    def qualname(self) -> str:
        return self.__qualname__

    @cached_property
    def signature(self) -> Signature:
        return Signature(self.function)

    @cached_property
    def importable(self) -> bool:
        """Whether another process finds this very flow by importing its module."""
        return getattr(found_by_import(self.module, self.qualname), "function", None) is self.function

    @cached_property
    def as_task(self) -> Task[P, R]:
        """The flow as one unit of work: the driver of a dynamic flow."""
        return FlowTask[P, R](self)

    def __reduce__(self) -> Any:
        if self.importable:
            return (_by_name, (self.module, self.qualname))
        return (_again, (self.function, self.name, self.options))

    def __repr__(self) -> str:
        return f"<flow {self.name} ({self.module}:{self.qualname})>"


class FlowTask(Task[P, R]):
    """A flow seen as one unit of work. It is found where the flow is."""

    def __init__(self, flow: Flow[P, R]) -> None:
        # The body of a dynamic flow is what its driver runs; any other flow is called, and then runs in memory.
        policy = Policy(executor="thread" if flow.dynamic else "process", tags=flow.options.tags)
        super().__init__(flow.function if flow.dynamic else flow, name=flow.name, policy=policy)
        self.flow = flow

    @cached_property
    def importable(self) -> bool:
        return self.flow.importable

    def __reduce__(self) -> Any:
        return self.flow.__reduce__()  # what a worker loads is the flow


class PartialFlow(Partial[R]):
    """A flow with some of its arguments fixed."""

    def __init__(self, of: Flow[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(of.as_task, args, kwargs)
        self.flow = of

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        return self.flow(*self.args, *args, **{**self.kwargs, **kwargs})

    def partial(self, *args: Any, **kwargs: Any) -> Partial[R]:
        """Fix further arguments."""
        return self.flow.partial(*self.args, *args, **{**self.kwargs, **kwargs})

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """The flow once per item, each with the fixed arguments."""
        answer = caller.get()
        if answer is not None:
            return answer.map_flow(self.flow, (self.args, self.kwargs), args, kwargs)
        from tidemill.authoring.dynamic.plain import map_plainly  # lazily: only for maps outside a flow

        return map_plainly(self.of, (self.args, self.kwargs), args, kwargs, call=self.flow)


class FlowMaker(Protocol):
    """What `@flow(...)` is: it makes a flow of a function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Flow[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(**options: Unpack[FlowWords]) -> FlowMaker: ...
def flow(function: Any = None, /, **options: Any) -> Any:
    """Make a function a flow, with or without options.

    `fail_fast` (the first failure ends the run; else independent branches finish), `on_failure` and `on_exit` (tasks with no
    parameter, or one that gets a dict with run, flow, state, failed), `dynamic` (run the body itself, as durable code),
    `timeout` (of the whole run), `max_active` (at most so many tasks at once), `tags`, `name`, `description` (else the docstring).
    Raises `Unknown`, `BadSetting`, `BadDefinition`.
    """
    if function is None:
        read = _options(options)
        return lambda inner: _made(inner, options.get("name"), read)
    return _made(function, None, FlowOptions())


def _made(function: Any, name: str | None, options: FlowOptions) -> Flow[..., Any]:
    if isinstance(function, type) or not inspect.isfunction(function):
        raise BadDefinition(
            f"@flow was given {function!r:.80}, which is not a function.",
            why="A flow is a function that calls tasks.",
            mend="Write: @flow / def name(...): ... (and not both @task and @flow on one function).",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadDefinition(
            f"The flow {function.__name__!r} uses `yield`.",
            why="A flow is called once, and what it returns is the result of the run.",
            mend="Return the results, in a list or dict if there are several.",
            where=place_of(function),
        )
    if inspect.iscoroutinefunction(function) and not options.dynamic:
        raise BadDefinition(
            f"The flow {function.__name__!r} is `async def`.",
            why="Its body only builds the graph, so there is nothing to await in it. (Its tasks may be async.)",
            mend="Write a plain `def`, or make it @flow(dynamic=True), whose body itself is run.",
            where=place_of(function),
        )
    if not options.description:
        options = msgspec.structs.replace(options, description=inspect.getdoc(function) or "")
    return Flow(function, name=name, options=options)


def _options(words: Mapping[str, Any]) -> FlowOptions:
    read: dict[str, Any] = {}
    for word, value in words.items():
        if word not in FlowWords.__annotations__:
            raise Unknown("flow option", word, known=FlowWords.__annotations__)
        if word != "name":
            read[word] = _READERS[word](word, value)
    return FlowOptions(**read)


def _yes(word: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadSetting(f"{word}={value!r} is neither True nor False.")
    return value


def _text(word: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadSetting(f"{word}={value!r} is not text.")
    return value


def _tags(word: str, value: Any) -> tuple[str, ...]:
    several = (value,) if isinstance(value, str) else tuple(value)
    return tuple(_text(word, tag) for tag in several)


def _hook(word: str, value: Any) -> Task[..., Any] | None:
    if value is None or (isinstance(value, Task) and len(value.signature.required) <= 1):
        return value
    if isinstance(value, Task):
        raise BadSetting(
            f"{word}={value.name!r} takes {len(value.signature.required)} arguments.",
            why="A hook is called with one, a dict with run, flow, state and failed, or with none.",
            mend=f"Write: @task / def {value.name}(what: dict[str, object]) -> None: ...",
        )
    raise BadSetting(f"{word}={value!r:.60} is not a task.", mend="Put @task on the function.")


def _limit(word: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise BadSetting(f"{word}={value!r} is not a whole number of at least 1.")
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "description": _text,
    "tags": _tags,
    "fail_fast": _yes,
    "on_failure": _hook,
    "on_exit": _hook,
    "dynamic": _yes,
    "timeout": lambda word, value: None if value is None else seconds(value, name=word),
    "max_active": _limit,
}


def _by_name(module: str, qualname: str) -> Any:
    from tidemill.authoring.identity import load  # lazily: `load` imports user modules, and only unpickling asks for it

    return load(module, qualname)


def _again(function: Any, name: str, options: FlowOptions) -> Flow[..., Any]:
    return Flow(function, name=name, options=options)
