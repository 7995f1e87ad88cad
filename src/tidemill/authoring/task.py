"""`@task`: a function made into a unit of work. Called plainly it is the function; called in a flow, a node of its graph.

Knows the function, its signature and its policy; who answers a call inside a flow stands behind `calls.caller`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from tidemill.authoring.calls import caller
from tidemill.authoring.identity import fingerprint, found_by_import
from tidemill.authoring.places import place_of
from tidemill.authoring.policies import BackoffCallable, TaskOptions, policy_from
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.types.shapes import readable
from tidemill.authoring.types.signatures import UNKNOWN, Signature
from tidemill.graph.policy import Policy

if TYPE_CHECKING:
    from tidemill.authoring.dynamic import Submitted

__all__ = ["Partial", "Task", "TaskMaker", "checked_name", "task"]

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")


class Task(Generic[P, R]):
    """A function as a unit of work.

    Outside a flow a call is a plain call. Inside one it returns a reference to the result, which checkers see as the
    result's own type `R`; that holds for `async def` functions too. `function` is the function as it was written.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        policy: Policy | None = None,
        version: str = "",
        backoff: BackoffCallable | None = None,
        origin: Task[..., Any] | None = None,
        after: tuple[Any, ...] = (),
    ) -> None:
        self.function = function
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", "task")
        self.__qualname__ = getattr(function, "__qualname__", self.__name__)
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        self.is_async = inspect.iscoroutinefunction(function)
        self.name = checked_name(name or self.__name__.strip("<>"), function)
        self.policy = policy or Policy(executor="async" if self.is_async else "process")
        self.stated_version = version
        self.backoff = backoff
        self.after = after
        self._origin = origin  # the task that `.options()` was called on, so that all of one function share what was read of it
        self.signature: Signature = origin.signature if origin else _read(function)

    # ------------------------------------------------------------ calls

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        answer = caller.get()
        if answer is None:
            return cast("R", self.function(*args, **kwargs))
        return cast("R", answer.call_task(self, args, kwargs))

    @overload
    def map(self, over: Mapping[K, Any], /, *more: Any, **named: Any) -> dict[K, R]: ...
    @overload
    def map(self, over: Iterable[Any], /, *more: Any, **named: Any) -> list[R]: ...
    @overload
    def map(self, **named: Any) -> list[R]: ...
    def map(self, *args: Any, **kwargs: Any) -> Any:
        """One call per item of a list, tuple or dict (or of a result that will be one); several are taken together.

        The result is the list of what the calls return, or the dict with the same keys.
        Outside a flow the calls are made at once, one after the other.
        """
        return Partial(self, (), {}).map(*args, **kwargs)

    def partial(self, *args: Any, **kwargs: Any) -> Partial[R]:
        """This task with some arguments fixed: `.map(...)` it over the others, or call it with them."""
        self.signature.bind(args, kwargs)
        return Partial(self, args, kwargs)

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Submitted[R]:
        """Start a call without waiting for it, in a dynamic flow: `.result()` waits, and so does `await`.

        Outside one the call is made at once.
        """
        from tidemill.authoring.dynamic import submit  # lazily: it needs futures, which other flows do not

        return cast("Submitted[R]", submit(self, args, kwargs))

    # ------------------------------------------------------------ variants

    def options(self, **options: Unpack[TaskOptions]) -> Task[P, R]:
        """The same task with other options, for one call: `fetch.options(retries=5)(page)`. Raises `Unknown`, `BadSetting`."""
        name = options.get("name", self.name)
        policy, ask = policy_from(options, start=self.policy, task=name)
        return Task[P, R](
            self.function,
            name=name,
            policy=policy,
            version=str(options.get("version", self.stated_version)),
            backoff=ask if "backoff" in options else self.backoff,
            origin=self._origin or self,
            after=self.after,
        )

    def following(self, *references: Any) -> Task[P, R]:
        """The same task, to start only after `references`: as `a >> b`, and checkers agree with it."""
        other = self.options()
        other.after = (*self.after, *references)
        return other

    # ------------------------------------------------------------ identity

    @property
    def module(self) -> str:
        return str(self.function.__module__ or "builtins")

    @property
    def qualname(self) -> str:
        return self.__qualname__

    @cached_property
    def same_as(self) -> Any:
        """Tasks with equal `same_as` are one function to a worker: options made for one call change it only by their backoff function."""
        return (id(self.function), id(self.backoff) if self.backoff else 0, self.stated_version)

    @cached_property
    def importable(self) -> bool:
        """Whether another process finds this very task by importing its module."""
        found = found_by_import(self.module, self.qualname)
        function = getattr(found, "function", found)
        return function is self.function and (self.backoff is None or getattr(found, "backoff", None) is self.backoff)

    @property
    def version(self) -> str:
        """What `version=` says, else a fingerprint of the code."""
        return self.stated_version or self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.function)

    @cached_property
    def result_hint(self) -> Any:
        """The declared result type, of an `async def` that of its awaited result; `UNKNOWN` if there is none."""
        return self.signature.hint("return")

    @cached_property
    def returns(self) -> str:
        return "" if self.result_hint is UNKNOWN else readable(self.result_hint)

    def __reduce__(self) -> Any:
        if self.importable and self._origin is None:
            return (_by_name, (self.module, self.qualname))
        return (_again, (self.function, self.name, self.policy, self.stated_version, self.backoff))

    def __get__(self, instance: object, owner: type | None = None) -> Task[P, R]:
        if instance is None:
            return self
        raise BadDefinition(
            f"The task {self.name!r} is a method.",
            why="A task is found and called by its name in another process, where that object does not exist.",
            mend="Make it a function of the module; hand it what it needs as arguments, or as a Resource.",
            where=place_of(self.function),
        )

    def __repr__(self) -> str:
        return f"<task {self.name} ({self.module}:{self.qualname})>"


class Partial(Generic[R]):
    """A task with some of its arguments fixed."""

    def __init__(self, of: Task[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.of = of
        self.args = args
        self.kwargs = kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        return self.of(*self.args, *args, **{**self.kwargs, **kwargs})

    def partial(self, *args: Any, **kwargs: Any) -> Partial[R]:
        """Fix further arguments."""
        self.of.signature.bind((*self.args, *args), {**self.kwargs, **kwargs})
        return Partial(self.of, (*self.args, *args), {**self.kwargs, **kwargs})

    @overload
    def map(self, over: Mapping[K, Any], /, *more: Any, **named: Any) -> dict[K, R]: ...
    @overload
    def map(self, over: Iterable[Any], /, *more: Any, **named: Any) -> list[R]: ...
    @overload
    def map(self, **named: Any) -> list[R]: ...
    def map(self, *args: Any, **kwargs: Any) -> Any:
        """One call per item, as `Task.map`, each with the fixed arguments. Mapped by position are the parameters left open."""
        answer = caller.get()
        if answer is not None:
            return answer.map_task(self.of, (self.args, self.kwargs), args, kwargs)
        from tidemill.authoring.dynamic.plain import map_plainly  # lazily: only for maps outside a flow

        return map_plainly(self.of, (self.args, self.kwargs), args, kwargs)


class TaskMaker(Protocol):
    """What `@task(...)` is: it makes a task of a function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(**options: Unpack[TaskOptions]) -> TaskMaker: ...
def task(function: Any = None, /, **options: Any) -> Any:
    """Make a function a task, with or without options.

    `retries` (how often again after a failure), `backoff` ("exponential", waits, or a function (attempt, error) → seconds),
    `retry_on` (exception classes, or the causes "memory", "timeout", "signal"), `memory_growth` (factor for `memory` after a
    kill for memory), `timeout` ("2m" of one attempt, or queue/run/total), `cache` (True, or for how long), `pool`, `priority`
    (higher first), `executor` ("process", "thread", "async", "inline"), `isolation` ("warm", "fresh"), `cpus`, `memory`
    ("300MB"), `gpus`, `tags`, `run_if`, `at_most_once`, `version` (instead of the code's fingerprint), `name`.
    Raises `Unknown` for other words, `BadSetting` for values that cannot be, `BadDefinition` for what cannot be a task.
    """
    if function is None:
        policy_from(options, start=Policy(), task="")  # the mistake is shown at the decorator, not at the function
        return lambda inner: task(inner, **options)
    return _made(function, options)


def _made(function: Any, options: Mapping[str, Any]) -> Task[..., Any]:
    if isinstance(function, Task):
        return function.options(**cast("TaskOptions", dict(options))) if options else function
    if isinstance(function, type) or not callable(function) or not hasattr(function, "__module__") or not hasattr(function, "__name__"):
        raise BadDefinition(
            f"@task was given {function!r:.80}, which is not a function.",
            why="A task is a function: its name, parameters and code are what is run, shown and fingerprinted.",
            mend="Write a function around it: @task / def name(...): ...",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadDefinition(
            f"The task {function.__name__!r} uses `yield`.",
            why="A task returns one result, which is stored when it is complete.",
            mend="Return a list. To handle items one by one, return the list and .map the next task over it.",
            where=place_of(function),
        )
    start = Policy(executor="async") if inspect.iscoroutinefunction(function) else Policy()
    name = options.get("name") or function.__name__
    policy, ask = policy_from(options, start=start, task=name)
    if policy.executor == "async" and start.executor != "async":
        raise BadDefinition(
            f"The task {name!r} says executor='async' and is a plain `def`.",
            why="On the event loop a plain function would hold up all others.",
            mend="Write `async def`, or take executor='thread'.",
            where=place_of(function),
        )
    return Task(function, name=options.get("name"), policy=policy, version=str(options.get("version", "")), backoff=ask)


def _read(function: Callable[..., Any]) -> Signature:
    try:
        return Signature(function)
    except (TypeError, ValueError) as error:
        raise BadDefinition(
            f"The parameters of {getattr(function, '__name__', function)!r} cannot be read.",
            why=str(error),
            mend="Write a function around it with the parameters it needs.",
        ) from error


def checked_name(name: str, function: Callable[..., Any]) -> str:
    """`name`, if it can be part of a key. Raises `BadDefinition`."""
    if name.replace("_", "").replace("-", "").replace(" ", "").isalnum() and len(name) <= 100 and name.strip() == name:
        return name
    raise BadDefinition(
        f"{name!r} cannot be the name of a task or flow.",
        why="Names are made of letters, digits, '_', '-' and single spaces, and have at most 100 characters.",
        mend="Give another with name='…'.",
        where=place_of(function),
    )


def _by_name(module: str, qualname: str) -> Any:
    from tidemill.authoring.identity import load  # lazily: `load` imports user modules, and only unpickling asks for it

    return load(module, qualname)


def _again(function: Any, name: str, policy: Policy, version: str, backoff: BackoffCallable | None) -> Task[..., Any]:
    return Task(function, name=name, policy=policy, version=version, backoff=backoff)
