"""`@asset`: a function, or a flow, whose result is named, versioned and outlives the run.

Knows the function, its options, and what a worker calls to make it; which version it has is known elsewhere.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, ParamSpec, Protocol, TypeVar, Unpack, cast, get_type_hints, overload

import msgspec

from tidemill.authoring.assets.options import AssetOptions, AssetWords, read, valid_name
from tidemill.authoring.assets.problems import WrongResult
from tidemill.authoring.flow import Flow
from tidemill.authoring.identity import found_by_import
from tidemill.authoring.places import place_of
from tidemill.authoring.policies import BackoffCallable
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.task import Task, task
from tidemill.authoring.types.signatures import UNKNOWN, Signature
from tidemill.errors import Unknown
from tidemill.graph.assets import RefRow
from tidemill.graph.policy import Policy

__all__ = ["Asset", "FlowAsset", "Maker", "Output", "asset"]

P = ParamSpec("P")
R = TypeVar("R")


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker calls to make one asset, and what its result must pass."""

    function: Callable[..., Any]
    signature: Signature
    checks: tuple[Any, ...] = ()
    backoff: BackoffCallable | None = None
    loads: frozenset[str] | None = None  # arguments that are read; None: all
    paths: Literal["content", "name"] = "content"  # how paths in the result are kept
    is_async: bool = False
    looks: bool = False  # it gets the observation before as it is, and not only its value


class Asset(Task[P, R]):
    """The named, versioned result of a function. Called plainly it is the function.

    Its parameters are filled by their names: with the current version of the asset or source of that name, with the
    resource, or with the run's parameter. In a flow, `total(orders)` gives the task the current version of `orders`.
    """

    is_asset: ClassVar[bool] = True
    noun: ClassVar[str] = "asset"

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        policy: Policy | None = None,
        version: str = "",
        backoff: BackoffCallable | None = None,
        options: AssetOptions | None = None,
        made: Task[P, R] | None = None,
    ) -> None:
        super().__init__(function, policy=policy, version=version, backoff=backoff, origin=made)
        self._origin = None  # of `made` only the signature is taken: it is costly to read
        self.name = _checked(name or self.__name__.strip("<>"), function)
        self.about = options or AssetOptions()
        self._added: list[Any] = []
        self._check_inputs()

    @property
    def checks(self) -> tuple[Any, ...]:
        """What each result must pass before it is published."""
        return (*self.about.checks, *self._added)

    def load(self, *, want: type | None = None, version: str = "") -> Any:
        """The value of the version that is shown now, or of the one that begins with `version`, as the type `want` (see `Project.load`).

        The project is that of the file in which the asset is written; in a notebook, that of the current folder.
        """
        return _project_of(self).load(self.name, want=want, version=version)

    def versions(self, *, limit: int = 100) -> list[RefRow]:
        """What was shown of it, newest first. The project is found as by `load`."""
        return cast("list[RefRow]", _project_of(self).versions(self.name, limit=limit))

    def add_check(self, check: Any) -> None:
        """One more check: what `@check(asset)` does. One of the same name is replaced."""
        self._added = [one for one in self._added if one.name != check.name]
        self._added.append(check)

    @property
    def description(self) -> str:
        return self.about.description or inspect.getdoc(self.function) or ""

    @cached_property
    def outputs(self) -> dict[str, Output[Any]]:
        """The assets that its parts are, by name, if it makes several."""
        names = self.about.outputs
        fields = getattr(self.result_hint, "_fields", None)
        if names is None:
            names = tuple(fields) if fields else ()
        if fields and any(name not in fields for name in names):
            wrong = next(name for name in names if name not in fields)
            raise Unknown(f"field of {self.result_hint.__name__}", wrong, known=fields)
        hints = _field_hints(self.result_hint) if fields else {}
        folder = self.name.rpartition("/")[0]
        made: dict[str, Output[Any]] = {}
        for index, name in enumerate(names):
            full = f"{folder}/{name}" if folder and "/" not in name else name
            made[full] = Output(self, full, name, index, hints.get(name, UNKNOWN))
        return made

    def maker(self, name: str) -> Maker:
        """What makes the asset of that name: this one, or one of its outputs."""
        if name in self.outputs:
            return self.outputs[name].made_by()
        return Maker(function=self.function, signature=self.signature, checks=self.checks, backoff=self.backoff, is_async=self.is_async)

    def __reduce__(self) -> Any:
        if self.importable:
            return super().__reduce__()
        return (_again, (type(self), getattr(self, "flow", self.function), self._words(), self._added))

    def _words(self) -> dict[str, Any]:
        return {"name": self.name, "policy": self.policy, "version": self.stated_version, "backoff": self.backoff, "options": self.about}

    def __repr__(self) -> str:
        return f"<asset {self.name} ({self.module}:{self.qualname})>"

    def _check_inputs(self) -> None:
        for parameter in self.about.inputs:
            if parameter not in self.signature.names:
                raise Unknown(f"parameter of the asset {self.name!r}", parameter, known=self.signature.names)


class Output(Generic[R]):
    """One of several assets that a function makes together: a field of its NamedTuple, or an item of its tuple or dict."""

    is_asset: ClassVar[bool] = True

    def __init__(self, of: Asset[..., Any], name: str, field: str, index: int, hint: Any) -> None:
        self.of = of
        self.name = _checked(name, of.function)
        self.field = field
        self.index = index
        self.result_hint = hint
        self.checks: tuple[Any, ...] = ()

    def add_check(self, check: Any) -> None:
        """One more check: what `@check(asset.outputs["train"])` does."""
        self.checks = (*(one for one in self.checks if one.name != check.name), check)

    def pick(self, whole: Any) -> Any:
        """The part of the whole. Raises `WrongResult`."""
        if hasattr(whole, "_fields"):
            return getattr(whole, self.field)
        if isinstance(whole, Mapping) and self.field in whole:
            return whole[self.field]
        if isinstance(whole, (tuple, list)) and len(whole) == len(self.of.outputs):
            return whole[self.index]
        size = f" of {len(whole)}" if isinstance(whole, (tuple, list)) else ""
        raise WrongResult(
            f"{self.of.name!r} returned a {type(whole).__name__}{size}, in which there is no {self.field!r}.",
            why=f"It says that it makes {', '.join(self.of.outputs)}.",
            mend="Return a NamedTuple or a dict with these names, or a tuple with one value for each, in this order.",
            where=place_of(self.of.function),
        )

    def made_by(self) -> Maker:
        """What a worker calls."""

        def pick(whole: Any) -> Any:
            return self.pick(whole)

        return Maker(function=pick, signature=Signature(pick), checks=self.checks)

    def __repr__(self) -> str:
        return f"<asset {self.name}, made by {self.of.name}>"


class FlowAsset(Asset[P, R]):
    """The named, versioned result of a flow. Called plainly it is the flow."""

    def __init__(
        self,
        flow: Flow[..., Any],
        *,
        name: str | None = None,
        policy: Policy | None = None,
        version: str = "",
        backoff: BackoffCallable | None = None,
        options: AssetOptions | None = None,
    ) -> None:
        self.flow = flow
        super().__init__(flow.function, name=name or flow.name, policy=policy, version=version, backoff=backoff, options=options)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", self.flow(*args, **kwargs))

    @cached_property
    def importable(self) -> bool:
        return getattr(found_by_import(self.module, self.qualname), "flow", None) is self.flow

    def maker(self, name: str) -> Maker:
        if name in self.outputs:
            return self.outputs[name].made_by()

        def published(result: Any, **_inputs: Any) -> Any:
            return result

        return Maker(function=published, signature=Signature(published), checks=self.checks, loads=frozenset({"result"}))


class AssetMaker(Protocol):
    """What `@asset(...)` is: it makes an asset of a function or flow."""

    @overload
    def __call__(self, function: Flow[P, R], /) -> Asset[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Asset[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Asset[P, R]: ...


@overload
def asset(function: Flow[P, R], /) -> Asset[P, R]: ...
@overload
def asset(function: Callable[P, Coroutine[Any, Any, R]], /) -> Asset[P, R]: ...
@overload
def asset(function: Callable[P, R], /) -> Asset[P, R]: ...
@overload
def asset(**options: Unpack[AssetWords]) -> AssetMaker: ...
def asset(function: Any = None, /, **options: Any) -> Any:
    """Make the result of a function, or of a flow, an asset: named, versioned, computed again only when there is a reason.

    `name` ("shop/orders"; else the function's), `inputs` (parameter → asset, where the names differ), `checks` (what a
    result must pass before it is published), `outputs` (several assets from one function: the names of the parts; a
    NamedTuple return says it by itself; `[]`: one asset after all), `fresh` (for how long a version holds), `same`
    (`approx(1e-9)`: results that differ by less keep the old version), `version` (instead of the code's fingerprint),
    `owner`, `group`, `tags`, `description` (else the docstring), and every option of a task but `cache`.
    Raises `Unknown`, `BadSetting`, `BadDefinition`.
    """
    own, rest = read(options)
    if function is None:
        task(**cast("Any", rest))  # the mistake is shown at the decorator, not at the function
        return lambda inner: _made(inner, own, rest)
    return _made(function, own, rest)


def _made(function: Any, own: AssetOptions, rest: Mapping[str, Any]) -> Asset[..., Any]:
    name = rest.get("name")
    if isinstance(function, Flow):
        policy = Policy(tags=tuple(rest.get("tags", ())) or function.options.tags) if rest.keys() <= {"name", "version", "tags"} else None
        if policy is None:
            word = next(word for word in rest if word not in ("name", "version", "tags"))
            raise BadDefinition(
                f"The asset {name or function.name!r} is a flow, and says {word}=.",
                why="A flow is a graph of tasks; how each runs is said by the task.",
                mend=f"Say {word}= at the tasks of the flow.",
                where=place_of(function.function),
            )
        return FlowAsset(function, name=name, policy=policy, version=str(rest.get("version", "")), options=own)
    if isinstance(function, Task):
        raise BadDefinition(
            f"@asset was given the {'asset' if isinstance(function, Asset) else 'task'} {function.name!r}.",
            why="An asset is made of a function, or of a flow.",
            mend="Write only @asset: it takes every option of a task.",
            where=place_of(function.function),
        )
    # What cannot be a task cannot be an asset either; and the name, which may hold a "/", is checked by the asset.
    made = task(**cast("Any", {word: value for word, value in rest.items() if word != "name"}))(function)
    return Asset(made.function, name=name, policy=made.policy, version=made.stated_version, backoff=made.backoff, options=own, made=made)


def _project_of(asset: Asset[..., Any]) -> Any:
    # By name, because projects stand above this room: asking a definition for its value is where writing leads to history.
    room = importlib.import_module("tidemill.project.project")
    file = Path(asset.function.__code__.co_filename)
    return room.Project(file) if file.is_file() and file.suffix == ".py" else room.Project(".")


def _checked(name: str, function: Any) -> str:
    if valid_name(name):
        return name
    raise BadDefinition(
        f"{name!r} cannot be the name of an asset.",
        why="Names are made of letters, digits, '_' and '-', in parts joined by '/', and have at most 200 characters.",
        mend="Give another with name='…', for example name='shop/orders'.",
        where=place_of(function),
    )


def _field_hints(kind: Any) -> dict[str, Any]:
    try:
        return get_type_hints(kind)
    except Exception:  # noqa: BLE001 - annotations may hold anything; what cannot be resolved is not declared
        return {}


def _again(kind: Any, function: Any, words: dict[str, Any], added: list[Any]) -> Asset[..., Any]:
    made: Asset[..., Any] = kind(function, **words)
    for check in added:
        made.add_check(check)
    return made
